/* What stands beside a job's row: runners, what is due, logs, jobs that follow, jobs that are run again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "rig.h"

static int setup(void **state)
{
        struct rig *rig = mem_alloc(sizeof(*rig));

        rig_make(rig);
        *state = rig;
        return 0;
}

static int teardown(void **state)
{
        rig_remove(*state);
        free(*state);
        return 0;
}

static void replace(char **at, const char *with)
{
        free(*at);
        *at = mem_dup(with);
}

/* A draft for a target, accepted at 1000 to run at run_at_ms (0: at once). */
static struct job *draft_for(uint64_t seq, const char *target, int64_t run_at_ms)
{
        struct job *job = job_new();

        job->id = rig_id(seq);
        replace(&job->request.method, "POST");
        replace(&job->request.target, target);
        job->run_at_ms = run_at_ms;
        return job;
}

static int add(struct rig *rig, struct job *job)
{
        struct store_op op = { .kind = STORE_ADD, .job = job };
        int r;

        if (job->state == JOB_DRAFT)
                job_accept(job, false, 1000);
        r = rig_do(rig, &op);
        job_free(job);
        return r;
}

static struct job *get(struct rig *rig, uint64_t seq)
{
        int status;
        struct job *job = rig_get(rig, seq, &status);

        assert_non_null(job);
        return job;
}

static struct job *start(struct rig *rig, uint64_t seq)
{
        struct store_op op = { .kind = STORE_START, .now_ms = 2000, .job = job_new() };

        op.job->id = rig_id(seq);
        assert_int_equal(rig_do(rig, &op), 0);
        return op.job;
}

static int end(struct rig *rig, struct job *job, enum run_outcome outcome, struct job **added, unsigned count)
{
        struct job_run how = { .outcome = outcome, .exit_code = -1, .cpu_ms = -1, .peak_rss_kb = -1 };
        struct store_op op = { .kind = STORE_UPDATE, .job = job, .added = added, .added_count = count };

        job_run_ended(job, &(struct job_ending){ .run = &how }, 3000);
        return rig_do(rig, &op);
}

static struct store_ready ready(struct rig *rig, enum job_runner runner)
{
        struct store_op op = { .kind = STORE_READY, .ready = { .runner = runner, .limit = 100 } };

        assert_int_equal(rig_do(rig, &op), 0);
        return op.ready;
}

static struct store_stats stats(struct rig *rig)
{
        struct store_op op = { .kind = STORE_STATS };

        assert_int_equal(rig_do(rig, &op), 0);
        return op.stats;
}

static void each_runner_has_its_own_line_of_ready_jobs(void **state)
{
        static const char *const targets[] = { "/a.php", "exec:ls", "https://example.org/" };
        struct rig *rig = *state;

        for (uint64_t i = 1; i <= 9; i++)
                assert_int_equal(add(rig, draft_for(i, targets[i % 3], 0)), 0);
        rig_reopen(rig);
        for (int runner = 0; runner < JOB_RUNNERS; runner++) {
                struct store_ready line = ready(rig, (enum job_runner)runner);

                assert_int_equal(line.count, 3);
                for (uint32_t i = 0; i < 3; i++)
                        assert_int_equal(line.ids[i].seq % 3, runner);
                assert_true(line.ids[0].seq < line.ids[1].seq && line.ids[1].seq < line.ids[2].seq);
                assert_int_equal(stats(rig).ready[runner], 3);
                free(line.ids);
        }
        assert_int_equal(stats(rig).jobs[JOB_READY], 9);
}

static void options_progress_and_links_come_back_as_they_were(void **state)
{
        struct rig *rig = *state;
        struct job *job = draft_for(1, "exec:ls -l", 0);
        struct cause cause;
        struct slice name, value,
                rest = SLICE("time_limit=90,on_abort=continue,on_crash=hold,retries=5,backoff=1s,"
                             "memory=1M,then_success=/a.php,then_always=https://x.org/?y=1"),
                pair;

        while (slice_cut(&rest, ',', &pair)) {
                char *text;

                value = pair;
                slice_cut(&value, '=', &name);
                text = slice_dup(value);
                assert_int_equal(job_option_set(&job->options, job_option_find(name), text, &cause), 0);
                free(text);
        }
        snprintf(job->links.then_of, sizeof(job->links.then_of), "%s", rig_id(7).text);
        job->progress = (struct job_progress){ .any = true, .done = 3, .total = 0, .note = "grüße" };
        assert_int_equal(add(rig, job), 0);
        rig_reopen(rig);
        job = get(rig, 1);
        assert_int_equal(job->runner, JOB_EXEC);
        assert_int_equal(job->options.time_limit_ms, 90000);
        assert_int_equal(job->options.idle_limit_ms, -1);
        assert_int_equal(job->options.on_abort, JOB_ABORT_CONTINUE);
        assert_int_equal(job->options.on_crash, JOB_CRASH_HOLD);
        assert_int_equal(job->options.retries, 5);
        assert_int_equal(job->options.memory, 1 << 20);
        assert_string_equal(job->options.then[JOB_THEN_SUCCESS], "/a.php");
        assert_null(job->options.then[JOB_THEN_FAILURE]);
        assert_string_equal(job->options.then[JOB_THEN_ALWAYS], "https://x.org/?y=1");
        assert_string_equal(job->links.then_of, rig_id(7).text);
        assert_string_equal(job->links.retry_of, "");
        assert_true(job->progress.any);
        assert_int_equal(job->progress.done, 3);
        assert_int_equal(job->progress.total, 0);
        assert_string_equal(job->progress.note, "grüße");
        job_free(job);
        assert_int_equal(add(rig, draft_for(2, "/a.php", 0)), 0);
        job = get(rig, 2);
        assert_false(job->progress.any);
        assert_int_equal(job->options.retries, -1);
        job_free(job);
}

static void what_is_due_becomes_ready_the_earliest_first(void **state)
{
        static const int64_t times[] = { 5000, 3000, 9000, 4000, 3000 };
        struct store_op op = { .kind = STORE_DUE, .now_ms = 2999, .due = { .limit = 3 } };
        struct rig *rig = *state;
        struct job *job;

        for (uint64_t i = 0; i < 5; i++)
                assert_int_equal(add(rig, draft_for(i + 1, i % 2 ? "exec:ls" : "/a.php", times[i])), 0);
        rig_reopen(rig);
        assert_int_equal(stats(rig).jobs[JOB_SCHEDULED], 5);
        assert_int_equal(rig_do(rig, &op), 0);
        assert_int_equal(op.due.count, 0);
        assert_int_equal(op.due.next_ms, 3000);
        free(op.due.jobs);
        op.now_ms = 5000;
        assert_int_equal(rig_do(rig, &op), 0);
        assert_int_equal(op.due.count, 3);
        assert_int_equal(op.due.jobs[0].id.seq, 2);
        assert_int_equal(op.due.jobs[1].id.seq, 5);
        assert_int_equal(op.due.jobs[2].id.seq, 4);
        assert_int_equal(op.due.jobs[2].runner, JOB_EXEC);
        assert_int_equal(op.due.next_ms, 5000); /* there was no room for it */
        free(op.due.jobs);
        assert_int_equal(rig_do(rig, &op), 0);
        assert_int_equal(op.due.count, 1);
        assert_int_equal(op.due.next_ms, 9000);
        free(op.due.jobs);
        assert_int_equal(stats(rig).jobs[JOB_READY], 4);
        assert_int_equal(stats(rig).jobs[JOB_SCHEDULED], 1);
        job = start(rig, 4);
        assert_int_equal(job->run.number, 1);
        job_free(job);
        op.now_ms = 9000;
        assert_int_equal(rig_do(rig, &op), 0);
        assert_int_equal(op.due.next_ms, 0);
        free(op.due.jobs);
}

static void an_update_is_refused_when_the_job_is_not_in_the_state_it_expects(void **state)
{
        struct store_op op = { .kind = STORE_UPDATE, .expect = JOB_READY };
        struct rig *rig = *state;
        struct job *job;

        assert_int_equal(add(rig, draft_for(1, "/a.php", 0)), 0);
        op.job = get(rig, 1);
        job_free(start(rig, 1));
        assert_int_equal(job_cancel(op.job, 4000), 0);
        assert_int_equal(rig_do(rig, &op), STORE_CONFLICT);
        assert_non_null(strstr(op.cause.text, "running"));
        job_free(op.job);
        job = get(rig, 1);
        assert_int_equal(job->state, JOB_RUNNING);
        job_free(job);
}

static void jobs_that_follow_are_there_with_the_end_or_not_at_all(void **state)
{
        struct rig *rig = *state;
        struct job *job, *then[2] = { draft_for(2, "/then.php", 0), draft_for(3, "exec:ls", 0) };

        for (int i = 0; i < 2; i++) {
                snprintf(then[i]->links.then_of, sizeof(then[i]->links.then_of), "%s", rig_id(1).text);
                spool_fini(&then[i]->request.body);
                spool_init(&then[i]->request.body, store_files_fd(rig->store), i ? 0 : 100, 100);
                assert_int_equal(spool_write(&then[i]->request.body, "outcome", 7), 0);
                job_accept(then[i], false, 2500);
        }
        assert_int_equal(add(rig, draft_for(1, "/a.php", 0)), 0);
        job = start(rig, 1);
        assert_int_equal(end(rig, job, RUN_SUCCEEDED, then, 2), 0);
        job_free(job);
        job_free(then[0]);
        job_free(then[1]);
        rig_reopen(rig);
        for (uint64_t seq = 2; seq <= 3; seq++) {
                char text[16] = "";

                job = get(rig, seq);
                assert_int_equal(job->state, JOB_READY);
                assert_string_equal(job->links.then_of, rig_id(1).text);
                assert_int_equal(spool_read(&job->request.body, 0, text, sizeof(text)), 7);
                assert_string_equal(text, "outcome");
                job_free(job);
        }
        job = get(rig, 1); /* a stale end brings nothing with it */
        then[0] = draft_for(4, "/then.php", 0);
        job_accept(then[0], false, 2500);
        assert_int_equal(rig_do(rig,
                                &(struct store_op){
                                        .kind = STORE_UPDATE, .job = job, .added = then, .added_count = 1 }),
                         STORE_CONFLICT);
        job_free(job);
        job_free(then[0]);
        assert_null(rig_get(rig, 4, &(int){ 0 }));
}

static void free_logs(struct store_op *op)
{
        for (uint32_t i = 0; i < op->log_count; i++)
                free(op->logs[i].text);
        free(op->logs);
        op->logs = NULL;
}

static void the_logs_of_the_last_runs_are_kept_and_purged_with_the_job(void **state)
{
        struct store_op op = { .kind = STORE_GET, .want_log = true },
                        purge = { .kind = STORE_PURGE, .purge = { .before_ms = 4000 } };
        struct rig *rig = *state;
        unsigned runs = RUN_LOGS_KEPT + 3;
        struct job *job = draft_for(1, "/a.php", 0);
        char text[32];

        assert_int_equal(add(rig, job), 0);
        for (unsigned run = 1; run <= runs; run++) {
                job = start(rig, 1);
                assert_int_equal(job->earlier_count, run - 1);
                job->crashes = 0;
                if (run != runs - 1) {
                        snprintf(text, sizeof(text), "log of run %u\n", run);
                        job->reply.log = mem_dup(text);
                }
                assert_int_equal(end(rig, job, run < runs ? RUN_CRASHED : RUN_SUCCEEDED, NULL, 0), 0);
                job_free(job);
        }
        rig_reopen(rig);
        op.job = job_new();
        op.job->id = rig_id(1);
        assert_int_equal(rig_do(rig, &op), 0);
        assert_int_equal(op.log_count, RUN_LOGS_KEPT - 1);
        assert_int_equal(op.logs[0].run, runs - RUN_LOGS_KEPT + 1);
        assert_int_equal(op.logs[op.log_count - 1].run, runs);
        snprintf(text, sizeof(text), "log of run %u\n", runs);
        assert_string_equal(op.logs[op.log_count - 1].text, text);
        free_logs(&op);
        assert_int_equal(rig_do(rig, &purge), 0);
        assert_int_equal(purge.purge.removed, 1);
        assert_int_equal(add(rig, draft_for(1, "/a.php", 0)),
                         0); /* the same number: nothing is left of the first */
        assert_int_equal(rig_do(rig, &op), 0);
        assert_int_equal(op.log_count, 0);
        free_logs(&op);
        job_free(op.job);
}

static void a_job_is_run_again_by_one_other_only_and_only_when_it_has_ended(void **state)
{
        struct rig *rig = *state;
        struct job *job, *again;
        struct job_id id;

        assert_int_equal(add(rig, draft_for(1, "/a.php", 0)), 0);
        job = start(rig, 1);
        assert_int_equal(add(rig, job_again(job)), STORE_CONFLICT);
        assert_int_equal(end(rig, job, RUN_FAILED, NULL, 0), 0);
        for (uint64_t seq = 2; seq <= 3; seq++) {
                again = job_again(job);
                again->id = rig_id(seq);
                assert_int_equal(add(rig, again), seq == 2 ? 0 : STORE_CONFLICT);
        }
        job_free(job);
        rig_reopen(rig);
        job = get(rig, 1);
        assert_string_equal(job->links.retried_as, rig_id(2).text);
        assert_int_equal(job->state, JOB_FAILED);
        job_free(job);
        job = get(rig, 2);
        assert_string_equal(job->links.retry_of, rig_id(1).text);
        job_free(job);
        assert_null(rig_get(rig, 3, &(int){ 0 }));
        /* of a job that is gone, or of which the permission is not known */
        again = draft_for(4, "/a.php", 0);
        snprintf(again->links.retry_of, sizeof(again->links.retry_of), "%s", rig_id(9).text);
        assert_int_equal(add(rig, again), STORE_CONFLICT);
        job = start(rig, 2);
        assert_int_equal(end(rig, job, RUN_FAILED, NULL, 0), 0);
        job_free(job);
        again = draft_for(4, "/a.php", 0);
        job_id_make(&id, 2, (const unsigned char[13]){ 1 });
        snprintf(again->links.retry_of, sizeof(again->links.retry_of), "%s", id.text);
        assert_int_equal(add(rig, again), STORE_CONFLICT);
        job = get(rig, 2);
        assert_string_equal(job->links.retried_as, "");
        job_free(job);
}

static void held_jobs_are_counted_and_listed(void **state)
{
        struct store_op op = { .kind = STORE_LIST,
                               .list = { .limit = 10, .states = 1U << JOB_HELD | 1U << JOB_SCHEDULED } };
        struct rig *rig = *state;
        struct job *job = draft_for(1, "/a.php", 0);

        job->options.on_crash = JOB_CRASH_HOLD;
        assert_int_equal(add(rig, job), 0);
        assert_int_equal(add(rig, draft_for(2, "/a.php", 9000)), 0);
        assert_int_equal(add(rig, draft_for(3, "/a.php", 0)), 0);
        job = start(rig, 1);
        assert_int_equal(end(rig, job, RUN_CRASHED, NULL, 0), 0);
        job_free(job);
        assert_int_equal(stats(rig).jobs[JOB_HELD], 1);
        assert_int_equal(rig_do(rig, &op), 0);
        assert_int_equal(op.list.count, 2);
        assert_int_equal(op.list.jobs[0]->id.seq, 2);
        assert_int_equal(op.list.jobs[1]->id.seq, 1);
        assert_int_equal(op.list.jobs[1]->state, JOB_HELD);
        for (uint32_t i = 0; i < op.list.count; i++)
                job_free(op.list.jobs[i]);
        free(op.list.jobs);
}

static int update(struct rig *rig, struct job *job, enum job_state expect, struct job **added, unsigned count)
{
        return rig_do(rig, &(struct store_op){ .kind = STORE_UPDATE,
                                               .job = job,
                                               .expect = expect,
                                               .added = added,
                                               .added_count = count });
}

static void a_job_that_cannot_follow_refuses_the_update_whole_and_nothing_else(void **state)
{
        struct job_run how = { .outcome = RUN_FAILED, .exit_code = -1, .cpu_ms = -1, .peak_rss_kb = -1 };
        struct rig *rig = *state;
        struct store_health health;
        struct job *job, *then[3];

        for (uint64_t seq = 1; seq <= 2; seq++)
                assert_int_equal(add(rig, draft_for(seq, "/a.php", 0)), 0);
        for (unsigned i = 0; i < 3; i++) {
                then[i] = draft_for(10 + i, "/then.php", 0);
                spool_fini(&then[i]->request.body);
                spool_init(&then[i]->request.body, store_files_fd(rig->store), 0, 100);
                assert_int_equal(spool_write(&then[i]->request.body, "outcome", 7), 0);
                job_accept(then[i], false, 2500);
        }
        then[2]->id = rig_id(2);
        job = start(rig, 1);
        job->reply.log = mem_dup("a line\n");
        job_run_ended(job, &(struct job_ending){ .run = &how }, 3000);
        assert_int_equal(update(rig, job, JOB_RUNNING, then, 3), -EEXIST);
        then[2]->id = rig_id(12); /* now its number is free, but what it is to run again has not ended */
        snprintf(then[2]->links.retry_of, sizeof(then[2]->links.retry_of), "%s", rig_id(2).text);
        assert_int_equal(update(rig, job, JOB_RUNNING, then, 3), -EEXIST);
        store_health(rig->store, &health);
        assert_true(health.writable);
        assert_int_equal(stats(rig).jobs[JOB_RUNNING], 1);
        assert_int_equal(rig_number(rig, "SELECT count(*) FROM jobs"), 2);
        assert_int_equal(rig_number(rig, "SELECT count(*) FROM logs"), 0);
        then[2]->links.retry_of[0] = '\0';
        assert_int_equal(update(rig, job, JOB_RUNNING, then, 3), 0);
        assert_int_equal(rig_number(rig, "SELECT count(*) FROM jobs"), 5);
        job_free(job);
        for (unsigned i = 0; i < 3; i++)
                job_free(then[i]);
        assert_int_equal(rig_files(rig), 3);
        assert_int_equal(rig_named_files(rig), 3);
}

static void an_output_that_is_not_kept_leaves_no_file(void **state)
{
        struct rig *rig = *state;
        struct job *job;

        assert_int_equal(add(rig, draft_for(1, "/a.php", 0)), 0);
        job = start(rig, 1);
        spool_fini(&job->reply.body);
        spool_init(&job->reply.body, store_files_fd(rig->store), 0, 100);
        assert_int_equal(spool_write(&job->reply.body, "half of it", 10), 0);
        assert_int_equal(rig_files(rig), 1);
        assert_int_equal(end(rig, job, RUN_CRASHED, NULL, 0), 0);
        job_free(job);
        assert_int_equal(rig_files(rig), 0);
        job = get(rig, 1);
        assert_false(job->reply.kept);
        job_free(job);
}

static void a_job_without_its_body_comes_with_all_the_rest(void **state)
{
        struct store_op op = { .kind = STORE_START, .now_ms = 2000, .job = job_new() };
        struct rig *rig = *state;

        assert_int_equal(rig_add(rig, 1, 5000, false), 0);
        for (int run = 1; run <= 2; run++) {
                struct job *job = start(rig, 1);

                assert_int_equal(end(rig, job, RUN_CRASHED, NULL, 0), 0);
                job_free(job);
        }
        rig_sql(rig, "UPDATE jobs SET body_file = 'gone'");
        op.job->id = rig_id(1);
        assert_int_equal(rig_do(rig, &op), STORE_BODY_GONE);
        assert_int_equal(op.job->state, JOB_READY);
        assert_int_equal(op.job->run.number, 2);
        assert_int_equal(op.job->crashes, 2);
        assert_int_equal(op.job->request.body.len, 5000);
        assert_string_equal(op.job->request.headers, "X-One: 1\r\nX-Two: 2\r\n");
        assert_int_equal(op.job->earlier_count, 1);
        assert_int_equal(op.job->earlier[0].outcome, RUN_CRASHED);
        job_start(op.job, 2500); /* as the server does: it ends with a reason */
        assert_int_equal(end(rig, op.job, RUN_FAILED, NULL, 0), 0);
        job_free(op.job);
        assert_int_equal(stats(rig).jobs[JOB_FAILED], 1);
}

static void a_failed_job_waits_for_its_next_try_and_becomes_due(void **state)
{
        struct job_run how = {
                .outcome = RUN_FAILED, .may_pass = true, .exit_code = -1, .cpu_ms = -1, .peak_rss_kb = -1
        };
        struct job_ending ending = {
                .run = &how,
                .policy = { .max = 3, .any_failure = true, .backoff_ms = 1000, .backoff_max_ms = 1000 }
        };
        struct store_op due = { .kind = STORE_DUE, .due = { .limit = 10 } };
        struct rig *rig = *state;
        struct job *job;

        assert_int_equal(add(rig, draft_for(1, "https://example.org/", 0)), 0);
        job = start(rig, 1);
        job_run_ended(job, &ending, 3000);
        assert_int_equal(job->state, JOB_SCHEDULED);
        due.now_ms = job->run_at_ms;
        assert_int_equal(update(rig, job, JOB_RUNNING, NULL, 0), 0);
        job_free(job);
        rig_reopen(rig);
        job = get(rig, 1);
        assert_int_equal(job->retries, 1);
        assert_int_equal(job->run_at_ms, due.now_ms);
        job_free(job);
        assert_int_equal(rig_do(rig, &due), 0);
        assert_int_equal(due.due.count, 1);
        assert_int_equal(due.due.jobs[0].runner, JOB_HTTP);
        assert_int_equal(due.due.next_ms, 0);
        free(due.due.jobs);
        job = start(rig, 1);
        assert_int_equal(job->run.number, 2);
        assert_int_equal(job->earlier_count, 1);
        job_free(job);
}

static void a_cancelled_job_never_becomes_due(void **state)
{
        struct store_op due = { .kind = STORE_DUE, .now_ms = 9000, .due = { .limit = 10 } };
        struct rig *rig = *state;
        struct job *job;

        assert_int_equal(add(rig, draft_for(1, "/a.php", 5000)), 0);
        job = get(rig, 1);
        assert_int_equal(job_cancel(job, 2000), 0);
        assert_int_equal(update(rig, job, JOB_READY, NULL, 0), STORE_CONFLICT); /* it is scheduled */
        assert_int_equal(update(rig, job, JOB_SCHEDULED, NULL, 0), 0);
        job_free(job);
        assert_int_equal(rig_do(rig, &due), 0);
        assert_int_equal(due.due.count, 0);
        assert_int_equal(due.due.next_ms, 0);
        free(due.due.jobs);
        assert_int_equal(stats(rig).jobs[JOB_CANCELLED], 1);
}

static void every_state_is_counted_with_the_bodies_of_what_is_unfinished(void **state)
{
        struct rig *rig = *state;
        struct store_stats counts;
        char sql[80];

        for (uint64_t seq = 1; seq < 100; seq++)
                assert_int_equal(rig_add(rig, seq, seq, false), 0);
        for (int s = JOB_SCHEDULED, seq = 1; s < JOB_STATES; s++) /* s of state s */
                for (int i = 0; i < s; i++, seq++) {
                        snprintf(sql, sizeof(sql), "UPDATE jobs SET state = %d, runner = %d WHERE seq = %d",
                                 s, i % 3, seq);
                        rig_sql(rig, sql);
                }
        rig_sql(rig, "DELETE FROM jobs WHERE seq > 36");
        counts = stats(rig);
        for (int s = JOB_SCHEDULED; s < JOB_STATES; s++)
                assert_int_equal(counts.jobs[s], s);
        assert_int_equal(counts.ready[JOB_FASTCGI], 1);
        assert_int_equal(counts.ready[JOB_EXEC], 1);
        assert_int_equal(counts.ready[JOB_HTTP], 0);
        assert_int_equal(counts.unfinished_bytes,
                         rig_number(rig, "SELECT sum(body_len) FROM jobs WHERE state IN (1, 2, 3, 8)"));
        assert_int_equal(counts.seq_max, 36);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define EACH(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
                EACH(each_runner_has_its_own_line_of_ready_jobs),
                EACH(options_progress_and_links_come_back_as_they_were),
                EACH(what_is_due_becomes_ready_the_earliest_first),
                EACH(an_update_is_refused_when_the_job_is_not_in_the_state_it_expects),
                EACH(jobs_that_follow_are_there_with_the_end_or_not_at_all),
                EACH(the_logs_of_the_last_runs_are_kept_and_purged_with_the_job),
                EACH(a_job_is_run_again_by_one_other_only_and_only_when_it_has_ended),
                EACH(held_jobs_are_counted_and_listed),
                EACH(a_job_that_cannot_follow_refuses_the_update_whole_and_nothing_else),
                EACH(an_output_that_is_not_kept_leaves_no_file),
                EACH(a_job_without_its_body_comes_with_all_the_rest),
                EACH(a_failed_job_waits_for_its_next_try_and_becomes_due),
                EACH(a_cancelled_job_never_becomes_due),
                EACH(every_state_is_counted_with_the_bodies_of_what_is_unfinished),
        };

        return cmocka_run_group_tests_name("work", tests, NULL, NULL);
}
