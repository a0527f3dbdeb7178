/* The schema: what a database of the first version becomes, whatever happens to the disk meanwhile, and that
 * counting and listing read no rows they do not show. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/log.h"
#include "base/mem.h"
#include "rig.h"
#include "shim.h"
#include "store/sqlite.h"

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
        rig_remove(*state);
        free(*state);
        return 0;
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

/* Closes the store and leaves a database of version 1 in its place: version_1.sql is a dump of what the first
 * released version had written when it was killed. */
static void make_version_1(struct rig *rig, const char *more)
{
        static const char *const ends[] = { "-wal", "-shm", "" };
        char path[96], *sql = whole_file(VERSION_1_SQL);

        store_close(rig->store);
        rig->store = NULL;
        for (int i = 0; i < 3; i++) {
                snprintf(path, sizeof(path), "%s/sendoff.db%s", rig->folder, ends[i]);
                unlink(path);
        }
        rig_sql(rig, sql);
        rig_sql(rig, more);
        free(sql);
}

static void open_again(struct rig *rig)
{
        struct cause cause = { "" };

        if (rig_open(rig, &cause) != 0)
                fail_msg("%s", cause.text);
}

static struct job *get_by_number(struct rig *rig, uint64_t seq, struct store_op *op)
{
        struct store_op list = { .kind = STORE_LIST, .list = { .limit = 1, .before_seq = seq + 1 } };

        *op = (struct store_op){
                .kind = STORE_GET, .want_request = true, .want_reply = true, .want_log = true
        };
        assert_int_equal(rig_do(rig, &list), 0);
        assert_int_equal(list.list.count, 1);
        op->job = job_new();
        op->job->id = list.list.jobs[0]->id;
        assert_int_equal(op->job->id.seq, seq);
        job_free(list.list.jobs[0]);
        free(list.list.jobs);
        assert_int_equal(rig_do(rig, op), 0);
        return op->job;
}

static void done_with(struct store_op *op)
{
        for (uint32_t i = 0; i < op->log_count; i++)
                free(op->logs[i].text);
        free(op->logs);
        job_free(op->job);
}

static void assert_body(const struct spool *body, const char *expected)
{
        char text[64] = "";

        assert_int_equal(body->len, strlen(expected));
        assert_int_equal(spool_read(body, 0, text, sizeof(text) - 1), strlen(expected));
        assert_string_equal(text, expected);
}

/* What version_1.sql holds. */
static void assert_all_is_there(struct rig *rig)
{
        static const char *const bodies[] = { "", "a=b", "waits", "waits too" };
        static const enum job_state states[] = { JOB_SUCCEEDED, JOB_RUNNING, JOB_READY, JOB_READY };
        struct store_op op;

        for (uint64_t seq = 1; seq <= 4; seq++) {
                struct job *job = get_by_number(rig, seq, &op);

                assert_int_equal(job->state, states[seq - 1]);
                assert_int_equal(job->runner, JOB_FASTCGI);
                assert_string_equal(job->request.host, "127.0.0.1:8123");
                assert_body(&job->request.body, bodies[seq - 1]);
                assert_int_equal(job->options.retries, -1);
                assert_int_equal(job->retries, 0);
                assert_false(job->progress.any);
                assert_string_equal(job->links.retry_of, "");
                assert_int_equal(job->run.number, seq <= 2);
                assert_int_equal(job->reply.kept, seq == 1);
                assert_int_equal(op.log_count, seq == 1);
                done_with(&op);
        }
}

static void a_database_of_version_1_opens_with_all_it_holds(void **state)
{
        struct store_op op, ready = { .kind = STORE_READY, .ready = { .limit = 10 } },
                            stats = { .kind = STORE_STATS };
        struct rig *rig = *state;

        make_version_1(rig, "");
        open_again(rig);
        assert_all_is_there(rig);
        get_by_number(rig, 1, &op);
        assert_int_equal(op.job->reply.status, 201);
        assert_string_equal(op.job->reply.headers, "X-One: 1\r\nContent-type: text/html; charset=UTF-8\r\n");
        assert_body(&op.job->reply.body, "made\n");
        assert_int_equal(op.job->run.ended_ms, 1795252528222);
        assert_int_equal(op.logs[0].run, 1);
        assert_string_equal(op.logs[0].text, "2026-11-21T09:15:28.222Z 1 stderr careful\n");
        done_with(&op);
        assert_int_equal(rig_do(rig, &ready), 0);
        assert_int_equal(ready.ready.count, 2);
        assert_int_equal(ready.ready.ids[0].seq, 3);
        free(ready.ready.ids);
        assert_int_equal(rig_do(rig, &stats), 0);
        assert_int_equal(stats.stats.jobs[JOB_READY], 2);
        assert_int_equal(stats.stats.ready[JOB_FASTCGI], 2);
        assert_int_equal(stats.stats.seq_max, 4);
        rig_reopen(rig);
        assert_all_is_there(rig);
}

/* Version 1 kept a reply without a status when a run had written nothing but its log. */
static void a_log_of_version_1_without_a_reply_is_kept_as_a_log_only(void **state)
{
        struct rig *rig = *state;
        struct store_op op;

        make_version_1(rig,
                       "UPDATE jobs SET run = 3, run_ended_ms = 1795252530001 WHERE seq = 4;"
                       "INSERT INTO replies VALUES (4, 0, '', 0, 'one' || char(10) || 'two', 0, NULL, NULL)");
        open_again(rig);
        get_by_number(rig, 4, &op);
        assert_false(op.job->reply.kept);
        assert_int_equal(op.log_count, 1);
        assert_int_equal(op.logs[0].run, 3);
        assert_string_equal(op.logs[0].text, "2026-11-21T09:15:30.001Z 3 stderr one\n"
                                             "2026-11-21T09:15:30.001Z 3 stderr two\n");
        done_with(&op);
        assert_int_equal(rig_number(rig, "SELECT count(*) FROM replies"), 1);
}

static char *schema_text(struct rig *rig)
{
        char path[96], *text;
        sqlite3_stmt *s;
        sqlite3 *db;

        snprintf(path, sizeof(path), "%s/sendoff.db", rig->folder);
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_prepare_v2(db,
                                            "SELECT group_concat(sql, char(10)) FROM (SELECT sql FROM"
                                            " sqlite_schema WHERE sql IS NOT NULL ORDER BY name)",
                                            -1, &s, NULL),
                         SQLITE_OK);
        assert_int_equal(sqlite3_step(s), SQLITE_ROW);
        text = mem_dup((const char *)sqlite3_column_text(s, 0));
        sqlite3_finalize(s);
        sqlite3_close(db);
        return text;
}

/* A step that was released and is changed afterwards shows here: version_1.sql has its text as it was. */
static void a_database_brought_up_to_date_is_as_a_fresh_one(void **state)
{
        struct rig *rig = *state;
        char *fresh = schema_text(rig), *migrated;

        make_version_1(rig, "");
        open_again(rig);
        migrated = schema_text(rig);
        assert_string_equal(migrated, fresh);
        free(migrated);
        free(fresh);
}

static bool migrate_once(struct rig *rig, enum shim_fault fault, int on, int n, const char *schema)
{
        struct cause cause = { "" };
        char *migrated;
        bool hit;
        int r;

        make_version_1(rig, "");
        shim_fail(fault, n, on);
        r = rig_open(rig, &cause);
        hit = shim_hit();
        shim_heal();
        if (r != 0) {
                assert_true(hit);
                assert_true(r < 0);
                assert_true(cause.text[0]);
                assert_int_equal(rig_number(rig, "SELECT count(*) FROM jobs"), 4);
                open_again(rig);
        }
        assert_all_is_there(rig);
        migrated = schema_text(rig);
        assert_string_equal(migrated, schema);
        free(migrated);
        return hit;
}

static void every_fault_of_the_disk_while_it_is_brought_up_to_date_loses_nothing(void **state)
{
        static const enum shim_fault faults[] = { SHIM_EIO, SHIM_FULL };
        struct rig *rig = *state;
        char *schema = schema_text(rig);

        log_set_level((enum log_level) - 1);
        for (int i = 0; i < 4; i++) {
                int n = 1;

                while (migrate_once(rig, faults[i / 2], i % 2, n, schema))
                        n++;
                assert_true(n > 10); /* the faults did strike */
        }
        free(schema);
}

enum { OF_EACH = 1000 }; /* rows of every state; some three of them to a page */

static void fill(struct rig *rig)
{
        char sql[512];

        store_close(rig->store);
        rig->store = NULL;
        for (int state = JOB_SCHEDULED; state < JOB_STATES; state++) {
                snprintf(
                        sql, sizeof(sql),
                        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
                        "INSERT INTO jobs (seq, id, state, queue, created_ms, run_at_ms, finished_ms, "
                        "crashes,"
                        " cancel_asked, runner, run, method, target, headers, host, remote, local, body_len,"
                        " body) SELECT i * 9 + %d, i, %d, 'default', 1, i * 7919 %% 1000, 0, 0, 0, i %% 3, 0,"
                        " 'POST', '/', '', '', '', '', 1200, zeroblob(1200) FROM n",
                        OF_EACH - 1, state, state);
                rig_sql(rig, sql);
        }
}

/* Pages that a statement reads from the database, by a connection that knows none. */
static int pages_read(struct rig *rig, enum engine_sql which, uint32_t states, int *rows)
{
        int before, after, high;
        sqlite3_stmt *s;
        char path[96];
        sqlite3 *db;

        snprintf(path, sizeof(path), "%s/sendoff.db", rig->folder);
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_prepare_v2(db, engine_sql_text[which], -1, &s, NULL), SQLITE_OK);
        if (which == SQL_LIST_STATES) {
                sqlite3_bind_int64(s, 1, INT64_MAX);
                sqlite3_bind_int(s, 2, 10);
                sqlite3_bind_int64(s, 3, states);
        }
        sqlite3_db_status(db, SQLITE_DBSTATUS_CACHE_MISS, &before, &high, 0);
        for (*rows = 0; sqlite3_step(s) == SQLITE_ROW; ++*rows)
                ;
        sqlite3_db_status(db, SQLITE_DBSTATUS_CACHE_MISS, &after, &high, 0);
        sqlite3_finalize(s);
        sqlite3_close(db);
        return after - before;
}

static void counting_and_listing_read_no_rows_but_those_they_show(void **state)
{
        struct rig *rig = *state;
        int rows;

        fill(rig);
        assert_true(rig_number(rig, "PRAGMA page_count") > OF_EACH);
        assert_true(pages_read(rig, SQL_STATS, 0, &rows) < 80);
        assert_int_equal(rows, JOB_RUNNERS + 1 + 2 + 4); /* ready, running, waiting, ended */
        for (uint32_t states = 2; states < 1U << JOB_STATES; states += 2) {
                assert_true(pages_read(rig, SQL_LIST_STATES, states, &rows) < 50);
                assert_int_equal(rows, 10);
        }
        open_again(rig);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define EACH(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
                EACH(a_database_of_version_1_opens_with_all_it_holds),
                EACH(a_log_of_version_1_without_a_reply_is_kept_as_a_log_only),
                EACH(a_database_brought_up_to_date_is_as_a_fresh_one),
                EACH(every_fault_of_the_disk_while_it_is_brought_up_to_date_loses_nothing),
                EACH(counting_and_listing_read_no_rows_but_those_they_show),
        };

        log_set_level(LOG_ERROR);
        return cmocka_run_group_tests_name("schema", tests, NULL, NULL);
}
