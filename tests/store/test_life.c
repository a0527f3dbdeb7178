/* The life of jobs under every fault of the disk: an end with its reply, its log and two jobs that follow; a
 * start; what becomes due. Each is done whole or not at all, and what failed can be tried again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "rig.h"
#include "shim.h"

static int setup(void **state)
{
        struct rig *rig = mem_alloc(sizeof(*rig));

        shim_install();
        shim_heal();
        rig_make(rig);
        *state = rig;
        return 0;
}

static int teardown(void **state)
{
        shim_heal();
        shim_fail_fdatasync(0);
        rig_remove(*state);
        free(*state);
        return 0;
}

enum { LIFE_ENDS, LIFE_STARTS, LIFE_DUE, LIFE_OPS, LIFE_JOBS = 5 }; /* the last two jobs follow the first */

struct life {
        uint64_t seq; /* of the first job: running; then a ready one, a scheduled one */
        struct job *ends, *then[2];
        int results[LIFE_OPS];
};

static void life_begin(struct rig *rig, struct life *life, uint64_t seq)
{
        struct job_run how = {
                .outcome = RUN_SUCCEEDED, .status = 200, .exit_code = -1, .cpu_ms = -1, .peak_rss_kb = -1
        };
        struct store_op add = { .kind = STORE_ADD };
        char reply[3000];

        *life = (struct life){ .seq = seq };
        assert_int_equal(rig_add(rig, seq, 5000, true), 0);
        assert_int_equal(rig_add(rig, seq + 1, 5000, false), 0);
        add.job = rig_draft(rig, seq + 2, 10);
        add.job->run_at_ms = 1000000;
        job_accept(add.job, false, 1000);
        assert_int_equal(rig_do(rig, &add), 0);
        job_free(add.job);

        life->ends = rig_get(rig, seq, &(int){ 0 });
        assert_non_null(life->ends);
        life->ends->reply.kept = true;
        life->ends->reply.log = mem_dup("a line\n");
        memset(reply, 'r', sizeof(reply));
        spool_fini(&life->ends->reply.body);
        spool_init(&life->ends->reply.body, store_files_fd(rig->store), 1000, 1 << 20);
        assert_int_equal(spool_write(&life->ends->reply.body, reply, sizeof(reply)), 0);
        job_run_ended(life->ends, &(struct job_ending){ .run = &how }, 6000);
        for (unsigned i = 0; i < 2; i++)
                life->then[i] = rig_job(rig, seq + 3 + i, i ? 5000 : 10, false);
}

static void life_free(struct life *life)
{
        job_free(life->ends);
        job_free(life->then[0]);
        job_free(life->then[1]);
}

static int life_do(struct rig *rig, struct life *life, int what)
{
        struct store_op op = { .kind = STORE_UPDATE,
                               .job = life->ends,
                               .expect = JOB_RUNNING,
                               .added = life->then,
                               .added_count = 2 };
        int r;

        if (what == LIFE_STARTS) {
                op = (struct store_op){ .kind = STORE_START, .now_ms = 7000, .job = job_new() };
                op.job->id = rig_id(life->seq + 1);
        } else if (what == LIFE_DUE) {
                op = (struct store_op){ .kind = STORE_DUE, .now_ms = 1000000, .due = { .limit = 5 } };
        }
        r = rig_do(rig, &op);
        if (what == LIFE_STARTS)
                job_free(op.job);
        if (what == LIFE_DUE && r == 0) {
                assert_int_equal(op.due.count, 1);
                assert_int_equal(op.due.jobs[0].id.seq, life->seq + 2);
        } else if (what == LIFE_DUE) {
                assert_null(op.due.jobs);
        }
        free(op.due.jobs);
        return r;
}

static void assert_state(struct rig *rig, uint64_t seq, enum job_state expected)
{
        struct job *job = rig_get(rig, seq, &(int){ 0 });

        assert_non_null(job);
        assert_int_equal(job->state, expected);
        job_free(job);
}

static void account_for_life(struct rig *rig, const struct life *life)
{
        struct store_op get = { .kind = STORE_GET, .job = job_new(), .want_reply = true, .want_log = true };
        bool ended = life->results[LIFE_ENDS] == 0;

        get.job->id = rig_id(life->seq);
        assert_int_equal(rig_do(rig, &get), 0);
        assert_int_equal(get.job->state, ended ? JOB_SUCCEEDED : JOB_RUNNING);
        assert_int_equal(get.job->reply.kept, ended);
        assert_int_equal(get.job->reply.body.len, ended ? 3000 : 0);
        assert_int_equal(get.log_count, ended);
        for (uint32_t i = 0; i < get.log_count; i++)
                free(get.logs[i].text);
        free(get.logs);
        job_free(get.job);
        for (unsigned i = 0; i < 2; i++)
                assert_int_equal(rig_is_there(rig, life->seq + 3 + i, i ? 5000 : 10), ended);
        assert_state(rig, life->seq + 1, life->results[LIFE_STARTS] == 0 ? JOB_RUNNING : JOB_READY);
        assert_state(rig, life->seq + 2, life->results[LIFE_DUE] == 0 ? JOB_READY : JOB_SCHEDULED);
}

/* What failed is tried again, as the server does, until it is done; then no file is left over. */
static bool life_once(struct rig *rig, enum shim_fault fault, int on, int n, uint64_t seq)
{
        struct life life;
        bool hit;

        life_begin(rig, &life, seq);
        shim_fail(fault, n, on);
        for (int i = 0; i < LIFE_OPS; i++)
                life.results[i] = life_do(rig, &life, i);
        hit = shim_hit();
        for (int i = 0; i < LIFE_OPS; i++)
                if (life.results[i] != 0)
                        assert_true(hit && (life.results[i] < 0 ||
                                            (fault == SHIM_FULL && life.results[i] == STORE_NO_SPACE)));
        shim_heal();
        rig_wait_until_writable(rig);
        account_for_life(rig, &life);
        for (int i = 0; i < LIFE_OPS; i++)
                if (life.results[i] != 0)
                        life.results[i] = life_do(rig, &life, i);
        for (int i = 0; i < LIFE_OPS; i++)
                assert_int_equal(life.results[i], 0);
        life_free(&life);
        assert_int_equal(rig_files(rig), rig_named_files(rig));
        rig_reopen(rig);
        account_for_life(rig, &life);
        assert_int_equal(rig_files(rig), rig_named_files(rig));
        rig_sql(rig,
                "UPDATE jobs SET state = 7 WHERE state = 2"); /* only the next round's are due and ready */
        return hit;
}

/* Nothing is tried again: what was refused is not there after a restart either. */
static void life_cut_short(struct rig *rig, enum shim_fault fault, int on, int n, uint64_t seq)
{
        struct life life;

        life_begin(rig, &life, seq);
        shim_fail(fault, n, on);
        for (int i = 0; i < LIFE_OPS; i++)
                life.results[i] = life_do(rig, &life, i);
        shim_heal();
        life_free(&life);
        rig_reopen(rig);
        account_for_life(rig, &life);
        assert_int_equal(rig_files(rig), rig_named_files(rig));
        rig_sql(rig, "UPDATE jobs SET state = 7 WHERE state IN (1, 2)");
}

static void life_torture(struct rig *rig, enum shim_fault fault, int on)
{
        uint64_t seq = 1;
        int n = 1;

        for (; life_once(rig, fault, on, n, seq); n++) {
                life_cut_short(rig, fault, on, n, seq + LIFE_JOBS);
                seq += 2 * LIFE_JOBS;
        }
        assert_true(n > 5);
}

static void every_io_error_leaves_a_job_with_all_of_its_end_or_nothing(void **state)
{
        life_torture(*state, SHIM_EIO, 0);
}

static void every_io_error_that_lasts_leaves_a_job_with_all_of_its_end_or_nothing(void **state)
{
        life_torture(*state, SHIM_EIO, 1);
}

static void every_full_disk_leaves_a_job_with_all_of_its_end_or_nothing(void **state)
{
        life_torture(*state, SHIM_FULL, 0);
}

static void every_full_disk_that_lasts_leaves_a_job_with_all_of_its_end_or_nothing(void **state)
{
        life_torture(*state, SHIM_FULL, 1);
}

/* A sync that fails between the bodies of the jobs that follow. */
static void an_end_whose_followers_cannot_be_synced_is_kept_back_whole(void **state)
{
        struct rig *rig = *state;
        struct life life;

        life_begin(rig, &life, 1);
        shim_fail_fdatasync(ENOSPC);
        life.results[LIFE_ENDS] = life_do(rig, &life, LIFE_ENDS);
        shim_fail_fdatasync(0);
        assert_int_equal(life.results[LIFE_ENDS], STORE_NO_SPACE);
        life.results[LIFE_STARTS] = life.results[LIFE_DUE] = -1; /* not done */
        account_for_life(rig, &life);
        life.results[LIFE_ENDS] = life_do(rig, &life, LIFE_ENDS);
        assert_int_equal(life.results[LIFE_ENDS], 0);
        account_for_life(rig, &life);
        life_free(&life);
        assert_int_equal(rig_files(rig), rig_named_files(rig));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
                TEST(every_io_error_leaves_a_job_with_all_of_its_end_or_nothing),
                TEST(every_io_error_that_lasts_leaves_a_job_with_all_of_its_end_or_nothing),
                TEST(every_full_disk_leaves_a_job_with_all_of_its_end_or_nothing),
                TEST(every_full_disk_that_lasts_leaves_a_job_with_all_of_its_end_or_nothing),
                TEST(an_end_whose_followers_cannot_be_synced_is_kept_back_whole),
        };

        log_set_level((enum log_level) - 1); /* faults are meant here */
        return cmocka_run_group_tests_name("life", tests, NULL, NULL);
}
