/* What stands beside a job's row: runners, what is due, logs, jobs that follow, jobs that are run again,
 * older schemas. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

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
        assert_int_equal(op.due.jobs[0].id.seq + op.due.jobs[1].id.seq, 2 + 5);
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

static char *whole_file(const char *path)
{
        FILE *f = fopen(path, "re");
        char *text;
        long len;

        assert_non_null(f);
        fseek(f, 0, SEEK_END);
        len = ftell(f);
        rewind(f);
        text = mem_alloc((size_t)len + 1);
        assert_int_equal(fread(text, 1, (size_t)len, f), len);
        fclose(f);
        return text;
}

/* version_1.sql is a dump of what the first released version had written when it was killed. */
static void a_database_of_version_1_opens_with_all_it_holds(void **state)
{
        struct store_op op = {
                .kind = STORE_GET, .want_request = true, .want_reply = true, .want_log = true
        };
        struct store_op list = { .kind = STORE_LIST, .list = { .limit = 10 } };
        struct rig *rig = *state;
        struct cause cause = { "" };
        struct store_ready line;
        char path[96], *sql = whole_file(VERSION_1_SQL), text[16] = "";
        sqlite3 *db;

        store_close(rig->store);
        for (int i = 0; i < 3; i++) {
                snprintf(path, sizeof(path), "%s/sendoff.db%s", rig->folder,
                         i == 0   ? "-wal"
                         : i == 1 ? "-shm"
                                  : "");
                unlink(path);
        }
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
        free(sql);
        assert_int_equal(rig_open(rig, &cause), 0);
        assert_int_equal(rig_do(rig, &list), 0);
        assert_int_equal(list.list.count, 4);
        op.job = job_new();
        op.job->id = list.list.jobs[3]->id;
        assert_int_equal(rig_do(rig, &op), 0);
        assert_int_equal(op.job->state, JOB_SUCCEEDED);
        assert_int_equal(op.job->runner, JOB_FASTCGI);
        assert_int_equal(op.job->options.retries, -1);
        assert_true(op.job->reply.kept);
        assert_int_equal(op.job->reply.status, 201);
        assert_int_equal(spool_read(&op.job->reply.body, 0, text, sizeof(text)), 5);
        assert_string_equal(text, "made\n");
        assert_int_equal(op.log_count, 1);
        assert_int_equal(op.logs[0].run, 1);
        assert_non_null(strstr(op.logs[0].text, "careful"));
        free_logs(&op);
        job_free(op.job);
        assert_int_equal(list.list.jobs[2]->state, JOB_RUNNING);
        line = ready(rig, JOB_FASTCGI);
        assert_int_equal(line.count, 2);
        free(line.ids);
        assert_int_equal(stats(rig).jobs[JOB_READY], 2);
        assert_int_equal(stats(rig).seq_max, list.list.jobs[0]->id.seq);
        for (uint32_t i = 0; i < list.list.count; i++)
                job_free(list.list.jobs[i]);
        free(list.list.jobs);
        rig_reopen(rig);
        assert_int_equal(stats(rig).jobs[JOB_SUCCEEDED], 1);
}

/* A child that was handed the lock by a server that is dead by now, and ends a little later. */
static void the_lock_is_waited_for_when_its_server_is_dead(void **state)
{
        struct rig *rig = *state;
        struct cause cause = { "" };
        char path[96];
        int told[2], status;
        FILE *f;
        pid_t child;

        store_close(rig->store);
        assert_int_equal(pipe(told), 0);
        child = fork();
        if (child == 0) { /* the server */
                struct rig server = *rig;
                pid_t supervisor;

                if (rig_open(&server, &cause) != 0)
                        _exit(1);
                supervisor = fork();
                if (supervisor == 0) {
                        char byte;

                        close(told[1]);
                        (void)!read(told[0], &byte, 1); /* until the test says so */
                        usleep(100000);
                        _exit(0);
                }
                _exit(0);
        }
        close(told[0]);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        snprintf(path, sizeof(path), "%s/lock", rig->folder);
        f = fopen(path, "re");
        assert_non_null(f);
        assert_int_equal(fscanf(f, "%d", &status), 1);
        assert_int_equal(status, child);
        fclose(f);
        close(told[1]);
        assert_int_equal(rig_open(rig, &cause), 0);
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
                EACH(a_database_of_version_1_opens_with_all_it_holds),
                EACH(the_lock_is_waited_for_when_its_server_is_dead),
        };

        return cmocka_run_group_tests_name("work", tests, NULL, NULL);
}
