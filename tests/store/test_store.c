/* The store on a real disk: what each operation promises, and what is left after faults of every kind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/log.h"
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

static int start_job(struct rig *rig, uint64_t seq, struct job **out)
{
        struct store_op op = { .kind = STORE_START, .now_ms = 5000, .job = job_new() };
        int r;

        op.job->id = rig_id(seq);
        r = rig_do(rig, &op);
        *out = op.job;
        return r;
}

/* Ends the run that is under way with a reply of len bytes, or none when len is -1. */
static int end_job(struct rig *rig, struct job *job, enum run_outcome outcome, int len)
{
        struct job_run how = { .outcome = outcome,
                               .status = len < 0 ? 0 : 200,
                               .exit_code = -1,
                               .cpu_ms = -1,
                               .peak_rss_kb = -1,
                               .reason = "why" };
        struct store_op op = { .kind = STORE_UPDATE, .job = job };
        char *body = mem_alloc((size_t)(len < 0 ? 0 : len));

        if (len >= 0) {
                job->reply.status = 200;
                free(job->reply.headers);
                job->reply.headers = mem_dup("X-Reply: yes\r\n");
                spool_fini(&job->reply.body);
                spool_init(&job->reply.body, store_files_fd(rig->store), 1000, 1 << 30);
                memset(body, 'r', (size_t)len);
                assert_int_equal(spool_write(&job->reply.body, body, (size_t)len), 0);
        }
        free(body);
        job->reply.kept = len >= 0;
        job_run_ended(job, &(struct job_ending){ .run = &how }, 6000);
        return rig_do(rig, &op);
}

static void a_job_is_found_again_whole_after_a_restart(void **state)
{
        static const size_t sizes[] = { 0, 1, 999, 1000, 1001, 300000 };
        struct rig *rig = *state;
        int status;

        for (uint64_t i = 0; i < 6; i++)
                assert_int_equal(rig_add(rig, i + 1, sizes[i], i % 2), 0);
        assert_int_equal(rig_files(rig), 2);
        rig_reopen(rig);
        assert_int_equal(rig_files(rig), 2);
        for (uint64_t i = 0; i < 6; i++) {
                struct job *job = rig_get(rig, i + 1, &status);

                assert_non_null(job);
                assert_int_equal(job->state, i % 2 ? JOB_RUNNING : JOB_READY);
                assert_int_equal(job->run.number, i % 2);
                assert_string_equal(job->request.method, "POST");
                assert_string_equal(job->request.headers, "X-One: 1\r\nX-Two: 2\r\n");
                assert_int_equal(job->created_ms, 1001 + (int64_t)i);
                assert_true(rig_body_is_whole(&job->request.body, i + 1, sizes[i]));
                job_free(job);
        }
}

static void an_id_with_another_random_part_is_not_found(void **state)
{
        struct store_op op = { .kind = STORE_GET, .job = job_new() };
        unsigned char other[13] = { 1 };
        struct rig *rig = *state;

        assert_int_equal(rig_add(rig, 1, 10, false), 0);
        job_id_make(&op.job->id, 1, other);
        assert_int_equal(rig_do(rig, &op), STORE_NOT_FOUND);
        job_id_make(&op.job->id, 2, other);
        assert_int_equal(rig_do(rig, &op), STORE_NOT_FOUND);
        op.kind = STORE_START;
        assert_int_equal(rig_do(rig, &op), STORE_NOT_FOUND);
        job_free(op.job);
}

static void a_ready_job_starts_once(void **state)
{
        struct rig *rig = *state;
        struct job *job, *again;

        assert_int_equal(rig_add(rig, 1, 5000, false), 0);
        assert_int_equal(start_job(rig, 1, &job), 0);
        assert_int_equal(job->state, JOB_RUNNING);
        assert_int_equal(job->run.number, 1);
        assert_int_equal(job->run.started_ms, 5000);
        assert_true(rig_body_is_whole(&job->request.body, 1, 5000));
        assert_int_equal(start_job(rig, 1, &again), STORE_CONFLICT);
        job_free(again);
        job_free(job);
        assert_int_equal(rig_files(rig), 1);
}

static void the_end_of_a_run_is_kept_with_its_reply(void **state)
{
        static const int sizes[] = { 0, 10, 50000 };
        struct rig *rig = *state;
        struct job *job;
        int status;

        for (int i = 0; i < 3; i++) {
                uint64_t seq = (uint64_t)i + 1;

                assert_int_equal(rig_add(rig, seq, 5, false), 0);
                assert_int_equal(start_job(rig, seq, &job), 0);
                assert_int_equal(end_job(rig, job, RUN_SUCCEEDED, sizes[i]), 0);
                job_free(job);
                rig_reopen(rig);
                job = rig_get(rig, seq, &status);
                assert_non_null(job);
                assert_int_equal(job->state, JOB_SUCCEEDED);
                assert_int_equal(job->finished_ms, 6000);
                assert_int_equal(job->reply.status, 200);
                assert_string_equal(job->reply.headers, "X-Reply: yes\r\n");
                assert_int_equal(job->reply.body.len, sizes[i]);
                assert_string_equal(job->run.reason, "why");
                job_free(job);
        }
}

static void earlier_runs_are_kept_and_a_replaced_reply_leaves_no_file(void **state)
{
        struct rig *rig = *state;
        struct job *job;
        int status;

        assert_int_equal(rig_add(rig, 1, 5, false), 0);
        for (int run = 1; run <= 2; run++) {
                assert_int_equal(start_job(rig, 1, &job), 0);
                assert_int_equal(end_job(rig, job, RUN_CRASHED, 5000), 0);
                assert_int_equal(job->state, JOB_READY);
                job_free(job);
                assert_int_equal(rig_files(rig), 1);
        }
        assert_int_equal(start_job(rig, 1, &job), 0);
        assert_int_equal(end_job(rig, job, RUN_SUCCEEDED, 5), 0);
        job_free(job);
        assert_int_equal(rig_files(rig), 0);
        job = rig_get(rig, 1, &status);
        assert_non_null(job);
        assert_int_equal(job->run.number, 3);
        assert_int_equal(job->crashes, 2);
        assert_int_equal(job->earlier_count, 2);
        assert_int_equal(job->earlier[0].number, 1);
        assert_int_equal(job->earlier[1].number, 2);
        assert_int_equal(job->earlier[1].outcome, RUN_CRASHED);
        job_free(job);
}

/* As the server does it: the job is read, changed, and written when it is still as it was. */
static int cancel_job(struct rig *rig, uint64_t seq)
{
        struct store_op op = { .kind = STORE_UPDATE };
        int status, r;

        op.job = rig_get(rig, seq, &status);
        if (!op.job)
                return status;
        op.expect = op.job->state;
        r = job_cancel(op.job, 7000) == JOB_ALREADY_FINAL ? STORE_CONFLICT : rig_do(rig, &op);
        job_free(op.job);
        return r;
}

static void a_final_state_is_never_overwritten(void **state)
{
        struct store_op op = { .kind = STORE_UPDATE };
        struct rig *rig = *state;
        struct job *stale, *job;
        int status;

        assert_int_equal(rig_add(rig, 1, 5, true), 0);
        stale = rig_get(rig, 1, &status);
        job = rig_get(rig, 1, &status);
        op.job = rig_get(rig, 1, &status);
        assert_int_equal(end_job(rig, job, RUN_SUCCEEDED, 3), 0);
        assert_int_equal(end_job(rig, stale, RUN_FAILED, 3), STORE_CONFLICT);
        assert_int_equal(rig_do(rig, &op), STORE_CONFLICT);
        job_free(op.job);
        op.job = rig_get(rig, 1, &status);
        assert_int_equal(op.job->state, JOB_SUCCEEDED);
        job_free(op.job);
        job_free(job);
        job_free(stale);
}

static void a_queued_job_is_cancelled(void **state)
{
        struct rig *rig = *state;
        struct job *job;
        int status;

        assert_int_equal(rig_add(rig, 1, 77, false), 0);
        assert_int_equal(cancel_job(rig, 1), 0);
        job = rig_get(rig, 1, &status);
        assert_int_equal(job->state, JOB_CANCELLED);
        assert_int_equal(job->finished_ms, 7000);
        job_free(job);
        assert_int_equal(start_job(rig, 1, &job), STORE_CONFLICT);
        job_free(job);
}

static void free_list(struct store_list *list)
{
        for (uint32_t i = 0; i < list->count; i++)
                job_free(list->jobs[i]);
        free(list->jobs);
}

static void jobs_are_listed_newest_first_by_state_in_pages(void **state)
{
        struct rig *rig = *state;
        struct store_op op = { .kind = STORE_LIST };
        uint64_t expected = 10;

        for (uint64_t i = 1; i <= 10; i++)
                assert_int_equal(rig_add(rig, i, 1, i % 2 == 0), 0);
        do {
                op.list.limit = 3;
                op.list.before_seq = expected == 10 ? 0 : expected + 1;
                assert_int_equal(rig_do(rig, &op), 0);
                for (uint32_t i = 0; i < op.list.count; i++)
                        assert_int_equal(op.list.jobs[i]->id.seq, expected--);
                free_list(&op.list);
        } while (op.list.more);
        assert_int_equal(expected, 0);
        op.list = (struct store_list){ .limit = 100, .states = 1U << JOB_RUNNING };
        assert_int_equal(rig_do(rig, &op), 0);
        assert_int_equal(op.list.count, 5);
        assert_int_equal(op.list.jobs[0]->id.seq, 10);
        free_list(&op.list);
}

static void jobs_in_final_states_are_listed_by_any_mix_of_states(void **state)
{
        static const enum run_outcome outcomes[] = { RUN_SUCCEEDED, RUN_FAILED };
        struct store_op op = { .kind = STORE_LIST };
        struct rig *rig = *state;

        for (uint64_t i = 1; i <= 12; i++) { /* succeeded, failed, ready, running, … */
                assert_int_equal(rig_add(rig, i, 1, i % 4 != 3), 0);
                if (i % 4 == 1 || i % 4 == 2) {
                        struct job *job = rig_get(rig, i, &(int){ 0 });

                        assert_int_equal(end_job(rig, job, outcomes[i % 4 - 1], 0), 0);
                        job_free(job);
                }
        }
        assert_int_equal(cancel_job(rig, 11), 0);
        for (uint32_t states = 2; states < 1U << JOB_STATES; states += 2) {
                uint64_t before = 12;

                op.list = (struct store_list){ .limit = 20, .states = states, .before_seq = before };
                assert_int_equal(rig_do(rig, &op), 0);
                for (uint64_t seq = 11, at = 0; seq > 0; seq--) {
                        enum job_state is = seq == 11      ? JOB_CANCELLED
                                            : seq % 4 == 1 ? JOB_SUCCEEDED
                                            : seq % 4 == 2 ? JOB_FAILED
                                            : seq % 4 == 3 ? JOB_READY
                                                           : JOB_RUNNING;

                        if (!(states >> is & 1))
                                continue;
                        assert_true(at < op.list.count);
                        assert_int_equal(op.list.jobs[at]->id.seq, seq);
                        assert_int_equal(op.list.jobs[at++]->state, is);
                        before = at;
                }
                assert_int_equal(op.list.count, before == 12 ? 0 : before);
                free_list(&op.list);
        }
}

static void jobs_are_counted_by_state(void **state)
{
        struct store_op op = { .kind = STORE_STATS };
        struct rig *rig = *state;

        for (uint64_t i = 1; i <= 6; i++)
                assert_int_equal(rig_add(rig, i, 100 * i, i % 2), 0);
        for (uint64_t i = 1; i <= 3; i += 2) {
                struct job *job = rig_get(rig, i, &(int){ 0 });

                assert_int_equal(end_job(rig, job, i == 1 ? RUN_SUCCEEDED : RUN_FAILED, 0), 0);
                job_free(job);
        }
        rig_reopen(rig);
        assert_int_equal(rig_do(rig, &op), 0);
        assert_int_equal(op.stats.jobs[JOB_READY], 3);
        assert_int_equal(op.stats.jobs[JOB_RUNNING], 1);
        assert_int_equal(op.stats.jobs[JOB_SUCCEEDED], 1);
        assert_int_equal(op.stats.jobs[JOB_FAILED], 1);
        assert_int_equal(op.stats.jobs[JOB_DEAD], 0);
        assert_int_equal(op.stats.unfinished_bytes, 200 + 400 + 500 + 600);
        assert_int_equal(op.stats.seq_max, 6);
}

static void ready_and_running_ids_come_oldest_first(void **state)
{
        struct rig *rig = *state;
        struct store_op op = { .kind = STORE_READY, .ready = { .after = 2, .limit = 2 } };

        for (uint64_t i = 1; i <= 8; i++)
                assert_int_equal(rig_add(rig, i, 1, i % 2 == 0), 0);
        assert_int_equal(rig_do(rig, &op), 0);
        assert_int_equal(op.ready.count, 2);
        assert_int_equal(op.ready.ids[0].seq, 3);
        assert_int_equal(op.ready.ids[1].seq, 5);
        free(op.ready.ids);
        op = (struct store_op){ .kind = STORE_RUNNING, .ready = { .limit = 10 } };
        assert_int_equal(rig_do(rig, &op), 0);
        assert_int_equal(op.ready.count, 4);
        assert_int_equal(op.ready.ids[0].seq, 2);
        free(op.ready.ids);
}

static void finished_jobs_are_purged_in_steps_with_their_files_and_numbers_stay_unique(void **state)
{
        struct rig *rig = *state;
        struct store_op purge = { .kind = STORE_PURGE, .purge = { .before_ms = 6001 } },
                        stats = { .kind = STORE_STATS };
        unsigned total = 0;
        struct job *job;

        for (uint64_t i = 1; i <= STORE_PURGE_STEP + 10; i++) {
                assert_int_equal(rig_add(rig, i, i < 5 ? 5000 : 1, true), 0);
                if (i == 3)
                        continue; /* this one goes on */
                job = rig_get(rig, i, &(int){ 0 });
                assert_int_equal(end_job(rig, job, RUN_SUCCEEDED, i < 5 ? 5000 : 1), 0);
                job_free(job);
        }
        do {
                assert_int_equal(rig_do(rig, &purge), 0);
                assert_true(purge.purge.removed <= STORE_PURGE_STEP);
                total += purge.purge.removed;
        } while (purge.purge.more);
        assert_int_equal(total, STORE_PURGE_STEP + 9);
        assert_int_equal(rig_files(rig), 1);
        assert_int_equal(rig_do(rig, &stats), 0);
        assert_int_equal(stats.stats.jobs[JOB_RUNNING], 1);
        assert_int_equal(stats.stats.jobs[JOB_SUCCEEDED], 0);
        assert_int_equal(stats.stats.unfinished_bytes, 5000);
        assert_int_equal(stats.stats.seq_max, STORE_PURGE_STEP + 10);
}

static void a_second_store_on_the_folder_is_refused_with_our_pid(void **state)
{
        struct rig *rig = *state, other = *rig;
        struct cause cause = { "" };
        char pid[32];

        assert_int_equal(rig_open(&other, &cause), STORE_LOCKED);
        snprintf(pid, sizeof(pid), "pid %ld", (long)getpid());
        assert_non_null(strstr(cause.text, pid));
}

static void a_schema_of_a_later_version_is_refused(void **state)
{
        struct rig *rig = *state;
        struct cause cause = { "" };
        char path[96];
        sqlite3 *db;

        store_close(rig->store);
        snprintf(path, sizeof(path), "%s/sendoff.db", rig->folder);
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
        assert_int_equal(rig_open(rig, &cause), STORE_NEWER);
        assert_non_null(strstr(cause.text, "99"));
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 2", NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
        assert_int_equal(rig_open(rig, &cause), 0);
}

static void files_that_no_job_names_are_swept_at_start(void **state)
{
        struct rig *rig = *state;
        int fd;

        assert_int_equal(rig_add(rig, 1, 5000, false), 0);
        fd = openat(store_files_fd(rig->store), "0123456789abcdef0123456789abcdef", O_CREAT | O_WRONLY, 0600);
        assert_true(fd >= 0);
        close(fd);
        assert_int_equal(rig_files(rig), 2);
        rig_reopen(rig);
        assert_int_equal(rig_files(rig), 1);
}

static void count_one(struct store_op *op)
{
        ++*(int *)op->arg;
}

static void many_operations_share_a_few_commits_and_end_in_order(void **state)
{
        enum { COUNT = 500 };
        struct store_op *ops = mem_alloc(COUNT * sizeof(*ops));
        struct store_health health;
        struct rig *rig = *state;
        int done = 0;

        store_health(rig->store, &health);
        for (int i = 0; i < COUNT; i++) {
                ops[i] = (struct store_op){ .kind = STORE_ADD,
                                            .job = rig_job(rig, (uint64_t)i + 1, 100, false),
                                            .done = count_one,
                                            .arg = &done };
                store_submit(rig->store, &ops[i]);
        }
        rig_wait(rig, &done, COUNT);
        for (int i = 0; i < COUNT; i++) {
                assert_int_equal(ops[i].status, 0);
                job_free(ops[i].job);
        }
        free(ops);
        store_health(rig->store, &health);
        assert_true(health.commits < COUNT / 4);
        assert_int_equal(health.ops, COUNT);
}

static void submit_all(struct rig *rig, struct store_op *ops, int count)
{
        int done = 0;

        for (int i = 0; i < count; i++) {
                ops[i].done = count_one;
                ops[i].arg = &done;
        }
        for (int i = 0; i < count; i++)
                store_submit(rig->store, &ops[i]);
        rig_wait(rig, &done, count);
}

static void an_operation_that_fails_for_its_own_reasons_spoils_no_other(void **state)
{
        struct store_health health;
        struct rig *rig = *state;
        struct store_op ops[5] = {
                { .kind = STORE_ADD, .job = rig_job(rig, 1, 5000, false) },
                { .kind = STORE_ADD, .job = rig_job(rig, 1, 5000, false) },
                { .kind = STORE_START, .job = job_new(), .now_ms = 5000 },
                { .kind = STORE_ADD, .job = rig_job(rig, 2, 10, false) },
                { .kind = STORE_GET, .job = job_new() },
        };

        ops[2].job->id = rig_id(7);
        ops[4].job->id = rig_id(2);
        submit_all(rig, ops, 5);
        assert_int_equal(ops[0].status, 0);
        assert_int_equal(ops[1].status, STORE_CONFLICT);
        assert_true(ops[1].cause.text[0]);
        assert_int_equal(ops[2].status, STORE_NOT_FOUND);
        assert_int_equal(ops[3].status, 0);
        assert_int_equal(ops[4].status, 0); /* a read sees what was added before it */
        for (int i = 0; i < 5; i++)
                job_free(ops[i].job);
        assert_int_equal(rig_files(rig), 1);
        store_health(rig->store, &health);
        assert_true(health.writable);
}

static void remove_files(struct rig *rig)
{
        char command[128];

        snprintf(command, sizeof(command), "rm -f %s/files/*", rig->folder);
        assert_int_equal(system(command), 0);
}

static void a_job_whose_body_was_removed_does_not_start_and_harms_no_other(void **state)
{
        struct store_health health;
        struct rig *rig = *state;
        struct job *job;
        int status;

        assert_int_equal(rig_add(rig, 1, 5000, false), 0);
        assert_int_equal(rig_add(rig, 2, 10, false), 0);
        remove_files(rig);
        assert_null(rig_get(rig, 1, &status));
        assert_int_equal(status, -ENOENT);
        assert_int_equal(start_job(rig, 1, &job), STORE_BODY_GONE);
        assert_int_equal(job->state, JOB_READY);
        assert_string_equal(job->request.target, "/job.php?n=1");
        job_start(job, 5000);
        assert_int_equal(end_job(rig, job, RUN_FAILED, -1), 0);
        job_free(job);
        assert_int_equal(start_job(rig, 1, &job), STORE_CONFLICT);
        job_free(job);
        assert_int_equal(start_job(rig, 2, &job), 0);
        job_free(job);
        store_health(rig->store, &health);
        assert_true(health.writable);
}

static long log_size(struct rig *rig)
{
        struct stat st;
        char path[96];

        snprintf(path, sizeof(path), "%s/sendoff.db-wal", rig->folder);
        return stat(path, &st) == 0 ? (long)st.st_size : 0;
}

static void the_databases_log_does_not_grow_with_what_goes_through_it(void **state)
{
        enum { ROUNDS = 60, EACH = 1000 };
        struct store_op *ops = mem_alloc(EACH * sizeof(*ops));
        struct rig *rig = *state;
        long largest = 0;

        for (uint64_t round = 0; round < ROUNDS; round++) {
                for (uint64_t i = 0; i < EACH; i++)
                        ops[i] = (struct store_op){ .kind = STORE_ADD,
                                                    .job = rig_job(rig, round * EACH + i + 1, 1000, false) };
                submit_all(rig, ops, EACH);
                for (int i = 0; i < EACH; i++) {
                        assert_int_equal(ops[i].status, 0);
                        job_free(ops[i].job);
                }
                if (log_size(rig) > largest)
                        largest = log_size(rig);
        }
        free(ops);
        assert_true(largest > 0);
        assert_true(largest < 50L << 20); /* some 90 MB went through it */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
                TEST(a_job_is_found_again_whole_after_a_restart),
                TEST(an_id_with_another_random_part_is_not_found),
                TEST(a_ready_job_starts_once),
                TEST(the_end_of_a_run_is_kept_with_its_reply),
                TEST(earlier_runs_are_kept_and_a_replaced_reply_leaves_no_file),
                TEST(a_final_state_is_never_overwritten),
                TEST(a_queued_job_is_cancelled),
                TEST(jobs_are_listed_newest_first_by_state_in_pages),
                TEST(jobs_in_final_states_are_listed_by_any_mix_of_states),
                TEST(jobs_are_counted_by_state),
                TEST(ready_and_running_ids_come_oldest_first),
                TEST(finished_jobs_are_purged_in_steps_with_their_files_and_numbers_stay_unique),
                TEST(a_second_store_on_the_folder_is_refused_with_our_pid),
                TEST(a_schema_of_a_later_version_is_refused),
                TEST(files_that_no_job_names_are_swept_at_start),
                TEST(many_operations_share_a_few_commits_and_end_in_order),
                TEST(an_operation_that_fails_for_its_own_reasons_spoils_no_other),
                TEST(a_job_whose_body_was_removed_does_not_start_and_harms_no_other),
                TEST(the_databases_log_does_not_grow_with_what_goes_through_it),
        };

        log_set_level(LOG_ERROR);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
