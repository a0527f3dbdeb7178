/* What the store does when its disk does not do as it should: every n-th failure, failures that last, a disk
 * that is really full, and another program's lock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

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

static size_t torture_len(int i)
{
        return i == 1 ? 5000 : 400;
}

static void account(struct rig *rig, const int results[3], uint64_t seq)
{
        for (int i = 0; i < 3; i++)
                assert_int_equal(rig_is_there(rig, seq + (uint64_t)i, torture_len(i)), results[i] == 0);
}

/* Three additions while the n-th operation of the disk fails, and with `on` all after it: each that was
 * acknowledged is there and whole, each that was not is not there at all, now and after a restart. */
static bool torture_once(struct rig *rig, enum shim_fault fault, int on, int n, uint64_t seq)
{
        int results[3];
        bool hit;

        shim_fail(fault, n, on);
        for (int i = 0; i < 3; i++)
                results[i] = rig_add(rig, seq + (uint64_t)i, torture_len(i), false);
        hit = shim_hit();
        for (int i = 0; i < 3; i++)
                if (results[i] != 0)
                        assert_true(fault == SHIM_FULL ? results[i] == STORE_NO_SPACE || results[i] < 0
                                                       : results[i] < 0);
        if (!hit)
                assert_true(results[0] == 0 && results[1] == 0 && results[2] == 0);
        shim_heal();
        if (n % 2)
                rig_wait_until_writable(rig);
        else
                rig_reopen(rig);
        account(rig, results, seq);
        rig_reopen(rig);
        account(rig, results, seq);
        assert_int_equal(rig_add(rig, seq + 3, 10, false), 0);
        return hit;
}

static void torture(struct rig *rig, enum shim_fault fault, int on)
{
        uint64_t seq = 1;
        int n = 1;

        while (torture_once(rig, fault, on, n, seq)) {
                seq += 4;
                n++;
        }
        assert_true(n > 5); /* the faults did strike */
}

static void every_io_error_loses_nothing_acknowledged_and_keeps_nothing_refused(void **state)
{
        torture(*state, SHIM_EIO, 0);
}

static void every_io_error_that_lasts_loses_nothing_acknowledged_and_keeps_nothing_refused(void **state)
{
        torture(*state, SHIM_EIO, 1);
}

static void every_full_disk_loses_nothing_acknowledged_and_keeps_nothing_refused(void **state)
{
        torture(*state, SHIM_FULL, 0);
        rig_reopen(*state);
}

static void every_full_disk_that_lasts_loses_nothing_acknowledged_and_keeps_nothing_refused(void **state)
{
        torture(*state, SHIM_FULL, 1);
}

static void nothing_is_acknowledged_before_it_is_synced(void **state)
{
        struct rig *rig = *state;

        shim_heal();
        for (uint64_t seq = 1; seq <= 20; seq++) {
                assert_int_equal(rig_add(rig, seq, seq % 2 ? 10 : 5000, false), 0);
                assert_int_equal(shim_log_unsynced(), 0);
                assert_int_equal(shim_body_syncs(), seq / 2);
                assert_int_equal(shim_folder_syncs(), seq / 2);
        }
}

static void a_failed_sync_stops_acceptance_at_once_and_health_says_why(void **state)
{
        struct rig *rig = *state;
        struct store_health health;

        assert_int_equal(rig_add(rig, 1, 10, false), 0);
        shim_fail(SHIM_EIO, 1, 1);
        assert_true(rig_add(rig, 2, 10, false) < 0);
        shim_heal();
        assert_true(rig_add(rig, 3, 10, false) < 0); /* not before a probe was committed */
        store_health(rig->store, &health);
        assert_false(health.writable);
        assert_true(health.cause[0]);
        rig_wait_until_writable(rig);
        assert_int_equal(rig_add(rig, 4, 10, false), 0);
        store_health(rig->store, &health);
        assert_int_equal(health.cause[0], 0);
}

static void reads_go_on_while_writes_are_refused(void **state)
{
        struct store_op stats = { .kind = STORE_STATS };
        struct rig *rig = *state;
        struct store_health health;

        assert_int_equal(rig_add(rig, 1, 5000, false), 0);
        shim_fail(SHIM_EIO, 1, 1);
        assert_true(rig_add(rig, 2, 10, false) < 0);
        assert_true(rig_is_there(rig, 1, 5000));
        assert_false(rig_is_there(rig, 2, 10));
        assert_int_equal(rig_do(rig, &stats), 0);
        assert_int_equal(stats.stats.jobs[JOB_READY], 1);
        store_health(rig->store, &health);
        assert_false(health.writable); /* a read that works proves nothing */
}

static void a_full_disk_says_so_and_additions_work_again_at_once_when_there_is_room(void **state)
{
        struct rig *rig = *state;
        struct store_health health;

        shim_fail(SHIM_FULL, 1, 1);
        assert_int_equal(rig_add(rig, 1, 10, false), STORE_NO_SPACE);
        assert_false(rig_is_there(rig, 1, 10));
        store_health(rig->store, &health);
        assert_true(health.full);
        shim_heal();
        assert_int_equal(rig_add(rig, 2, 10, false), 0);
        store_health(rig->store, &health);
        assert_false(health.full);
}

static void count_one(struct store_op *op)
{
        ++*(int *)op->arg;
}

/* The first write of a group fails for space. What ends something is tried again without the additions. */
static void the_end_of_a_job_is_kept_though_additions_beside_it_are_refused_for_space(void **state)
{
        struct job_run how = { .outcome = RUN_SUCCEEDED, .exit_code = -1, .cpu_ms = -1, .peak_rss_kb = -1 };
        struct rig *rig = *state;
        struct store_op ops[3] = { { .kind = STORE_STATS }, { .kind = STORE_UPDATE }, { .kind = STORE_ADD } };
        int done = 0, tries;

        for (tries = 1; tries < 1000; tries++) {
                uint64_t seq = (uint64_t)tries * 2;
                struct store_health before, after;

                assert_int_equal(rig_add(rig, seq, 10, true), 0);
                ops[1].job = rig_get(rig, seq, &(int){ 0 });
                job_run_ended(ops[1].job, &(struct job_ending){ .run = &how }, 6000);
                ops[2].job = rig_job(rig, seq + 1, 10, false);
                store_health(rig->store, &before);
                shim_fail(SHIM_FULL, 1, 0);
                done = 0;
                for (int i = 0; i < 3; i++) {
                        ops[i].done = count_one;
                        ops[i].arg = &done;
                        store_submit(rig->store, &ops[i]);
                }
                rig_wait(rig, &done, 3);
                shim_heal();
                store_health(rig->store, &after);
                job_free(ops[1].job);
                job_free(ops[2].job);
                assert_int_equal(rig_is_there(rig, seq + 1, 10), ops[2].status == 0);
                if (ops[1].status == 0 && ops[2].status == STORE_NO_SPACE) {
                        ops[1].job = rig_get(rig, seq, &(int){ 0 });
                        assert_int_equal(ops[1].job->state, JOB_SUCCEEDED);
                        job_free(ops[1].job);
                        return;
                }
                /* the thread took them apart: once more */
                assert_int_equal(ops[0].status, 0);
        }
        fail_msg("update and addition never met in one group");
}

static void a_body_that_cannot_be_synced_is_not_accepted_and_leaves_no_file(void **state)
{
        struct rig *rig = *state;

        shim_fail_fdatasync(EIO);
        assert_true(rig_add(rig, 1, 5000, false) < 0);
        shim_fail_fdatasync(ENOSPC);
        rig_wait_until_writable(rig);
        assert_int_equal(rig_add(rig, 2, 5000, false), STORE_NO_SPACE);
        shim_fail_fdatasync(0);
        assert_int_equal(rig_add(rig, 3, 5000, false), 0);
        assert_false(rig_is_there(rig, 1, 5000));
        assert_false(rig_is_there(rig, 2, 5000));
        assert_int_equal(rig_files(rig), 1);
}

static void another_programs_lock_refuses_writes_and_nothing_else(void **state)
{
        struct rig *rig = *state;
        char path[96];
        sqlite3 *db;

        assert_int_equal(rig_add(rig, 1, 10, false), 0);
        snprintf(path, sizeof(path), "%s/sendoff.db", rig->folder);
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(rig_add(rig, 2, 10, false), -EBUSY);
        assert_true(rig_is_there(rig, 1, 10));
        assert_false(rig_is_there(rig, 2, 10));
        assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
        rig_wait_until_writable(rig);
        assert_int_equal(rig_add(rig, 3, 10, false), 0);
}

/* A file system of 3 MB of its own, so that everything fails as it really does. */
static void a_disk_that_is_really_full_refuses_and_keeps_honestly(void **state)
{
        struct rig *rig = *state;
        int results[4000], count = 0, refused = 0, status;
        struct cause cause = { "" };

        store_close(rig->store);
        rig->store = NULL;
        if (mount("tmpfs", rig->folder, "tmpfs", 0, "size=3m") < 0) {
                print_message("# skipped: a small file system cannot be mounted here (%s)\n",
                              strerror(errno));
                assert_int_equal(rig_open(rig, &cause), 0);
                skip();
        }
        status = rig_open(rig, &cause);
        for (; status == 0 && count < 4000 && refused < 20; count++) {
                results[count] = rig_add(rig, (uint64_t)count + 1, count % 10 ? 900 : 20000, false);
                if (results[count] != 0)
                        refused++;
        }
        for (int i = 0; status == 0 && i < count; i++) {
                struct job *job = rig_get(rig, (uint64_t)i + 1, &(int){ 0 });

                if ((job != NULL) != (results[i] == 0) ||
                    (job && !rig_body_is_whole(&job->request.body, (uint64_t)i + 1, i % 10 ? 900 : 20000)))
                        status = i + 1000;
                job_free(job);
        }
        store_close(rig->store);
        rig->store = NULL;
        if (umount(rig->folder) < 0)
                umount2(rig->folder, MNT_DETACH);
        assert_int_equal(rig_open(rig, &cause), 0); /* for the teardown */
        assert_int_equal(status, 0);
        assert_int_equal(refused, 20);
        assert_true(count > 100);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
                TEST(every_io_error_loses_nothing_acknowledged_and_keeps_nothing_refused),
                TEST(every_io_error_that_lasts_loses_nothing_acknowledged_and_keeps_nothing_refused),
                TEST(every_full_disk_loses_nothing_acknowledged_and_keeps_nothing_refused),
                TEST(every_full_disk_that_lasts_loses_nothing_acknowledged_and_keeps_nothing_refused),
                TEST(nothing_is_acknowledged_before_it_is_synced),
                TEST(a_failed_sync_stops_acceptance_at_once_and_health_says_why),
                TEST(reads_go_on_while_writes_are_refused),
                TEST(a_full_disk_says_so_and_additions_work_again_at_once_when_there_is_room),
                TEST(the_end_of_a_job_is_kept_though_additions_beside_it_are_refused_for_space),
                TEST(a_body_that_cannot_be_synced_is_not_accepted_and_leaves_no_file),
                TEST(another_programs_lock_refuses_writes_and_nothing_else),
                TEST(a_disk_that_is_really_full_refuses_and_keeps_honestly),
        };

        log_set_level((enum log_level) - 1); /* faults are meant here */
        return cmocka_run_group_tests(tests, NULL, NULL);
}
