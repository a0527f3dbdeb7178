/* The SQLite engine: opening, schema, groups, checkpoints. The good path: engine_open once, then engine_group
 * for each group of operations: BEGIN IMMEDIATE, every op, the files' folder synced, COMMIT (which syncs the
 * log, synchronous=FULL), and only then files that nobody names any more are removed. Any fault rolls the
 * whole group back. Rows: sqlite_rows.c. */
#include "store/sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

/* Step i brings a database of version i to version i + 1. */
static const char *const migrations[SCHEMA_VERSION] = {
        "CREATE TABLE jobs ("
        " seq INTEGER PRIMARY KEY," /* the number in the id */
        " id TEXT NOT NULL,"
        " state INTEGER NOT NULL," /* 1 scheduled 2 ready 3 running 4 succeeded 5 failed 6 dead 7 cancelled 8
                                      held */
        " queue TEXT NOT NULL,"
        " created_ms INTEGER NOT NULL, run_at_ms INTEGER NOT NULL, finished_ms INTEGER NOT NULL," /* since
                                                                                                     1970,
                                                                                                     UTC; 0
                                                                                                     not yet
                                                                                                   */
        " crashes INTEGER NOT NULL, cancel_asked INTEGER NOT NULL,"
        /* the last run, or the one under way; earlier ones are in runs */
        " run INTEGER NOT NULL, run_started_ms INTEGER, run_ended_ms INTEGER, run_outcome INTEGER, "
        "connection_status INTEGER,"
        " status INTEGER, exit_code INTEGER, signal INTEGER, cpu_ms INTEGER, peak_rss_kb INTEGER, reason "
        "TEXT,"
        /* the request; a large body is the file files/{body_file} */
        " method TEXT NOT NULL, target TEXT NOT NULL, headers TEXT NOT NULL, host TEXT NOT NULL, remote TEXT "
        "NOT NULL, local TEXT NOT NULL,"
        " body_len INTEGER NOT NULL, body BLOB, body_file TEXT);"
        /* the accepting transaction writes to the growing end of at most one of these */
        "CREATE INDEX jobs_ready ON jobs (seq, body_len) WHERE state = 2;"
        "CREATE INDEX jobs_running ON jobs (seq, body_len) WHERE state = 3;"
        "CREATE INDEX jobs_finished ON jobs (finished_ms, state) WHERE finished_ms > 0;"
        "CREATE INDEX jobs_files ON jobs (body_file) WHERE body_file IS NOT NULL;"
        "CREATE TABLE replies ("
        " seq INTEGER PRIMARY KEY, status INTEGER NOT NULL, headers TEXT NOT NULL, cut INTEGER NOT NULL, log "
        "TEXT,"
        " body_len INTEGER NOT NULL, body BLOB, body_file TEXT);"
        "CREATE INDEX replies_files ON replies (body_file) WHERE body_file IS NOT NULL;"
        "CREATE TABLE runs ("
        " seq INTEGER NOT NULL, run INTEGER NOT NULL, run_started_ms INTEGER, run_ended_ms INTEGER, "
        "run_outcome INTEGER, connection_status INTEGER,"
        " status INTEGER, exit_code INTEGER, signal INTEGER, cpu_ms INTEGER, peak_rss_kb INTEGER, reason "
        "TEXT,"
        " PRIMARY KEY (seq, run)) WITHOUT ROWID;"
        "CREATE TABLE numbers (seq_max INTEGER NOT NULL);" /* at least the highest seq ever purged */
        "INSERT INTO numbers VALUES (0);",
};

static int engine_fault(struct engine *e, const char *what, struct cause *cause)
{
        const char *text = e->db ? sqlite3_errmsg(e->db) : "out of memory";
        int system = e->db ? sqlite3_system_errno(e->db) : 0;

        return cause_set(cause, -EIO, "%s: %s%s%s", what, text, system ? ": " : "",
                         system ? strerror(system) : "");
}

static int migrate(struct engine *e, struct cause *cause)
{
        sqlite3_stmt *s;
        int version = -1;
        char sql[64];

        if (sqlite3_prepare_v2(e->db, "PRAGMA user_version", -1, &s, NULL) == SQLITE_OK &&
            sqlite3_step(s) == SQLITE_ROW)
                version = sqlite3_column_int(s, 0);
        sqlite3_finalize(s);
        if (version < 0)
                return engine_fault(e, "the schema's version cannot be read", cause);
        if (version > SCHEMA_VERSION)
                return cause_set(
                        cause, STORE_NEWER,
                        "%s has schema version %d, this sendoff knows %d: it was written by a later version",
                        e->path, version, SCHEMA_VERSION);
        for (; version < SCHEMA_VERSION; version++) {
                snprintf(sql, sizeof(sql), "PRAGMA user_version = %d; COMMIT", version + 1);
                if (sqlite3_exec(e->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK ||
                    sqlite3_exec(e->db, migrations[version], NULL, NULL, NULL) != SQLITE_OK ||
                    sqlite3_exec(e->db, sql, NULL, NULL, NULL) != SQLITE_OK)
                        return engine_fault(e, "the schema cannot be brought up to date", cause);
        }
        return 0;
}

static int on_wal(void *arg, sqlite3 *db, const char *name, int pages)
{
        struct engine *e = arg;

        e->wal_pages = pages;
        return SQLITE_OK;
}

int engine_open(struct engine *e, struct cause *cause)
{
        static const char setup[] =
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;"
                " PRAGMA temp_store = MEMORY; PRAGMA cache_size = -4096; PRAGMA busy_timeout = 1000;";
        int r;

        if (sqlite3_open_v2(e->path, &e->db,
                            SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                                    SQLITE_OPEN_PRIVATECACHE,
                            NULL) != SQLITE_OK ||
            sqlite3_exec(e->db, setup, NULL, NULL, NULL) != SQLITE_OK) {
                r = engine_fault(e, "the database cannot be opened", cause);
                engine_close(e);
                return r;
        }
        r = migrate(e, cause);
        for (int i = 0; i < SQL_COUNT && r == 0; i++)
                if (sqlite3_prepare_v3(e->db, engine_sql_text[i], -1, SQLITE_PREPARE_PERSISTENT,
                                       &e->statements[i], NULL) != SQLITE_OK)
                        r = engine_fault(e, "a statement cannot be prepared", cause);
        if (r != 0) {
                engine_close(e);
                return r;
        }
        sqlite3_wal_hook(e->db, on_wal, e);
        return 0;
}

void engine_close(struct engine *e)
{
        for (int i = 0; i < SQL_COUNT; i++) {
                sqlite3_finalize(e->statements[i]);
                e->statements[i] = NULL;
        }
        sqlite3_close(e->db);
        e->db = NULL;
        free(e->doomed);
        e->doomed = NULL;
        e->doomed_count = e->doomed_cap = 0;
}

/* ---- one op each; SQLite codes back, the op's own condition in op->status ---- */

static int sync_body(struct engine *e, const struct spool *body)
{
        int r = files_sync_spool(body);

        if (r < 0)
                return r == -ENOSPC || r == -EDQUOT ? SQLITE_FULL : SQLITE_IOERR_FSYNC;
        e->files_dirty = e->files_dirty || body->fd >= 0;
        return SQLITE_OK;
}

static int do_add(struct engine *e, struct store_op *op)
{
        int r = sync_body(e, &op->job->request.body);

        return r == SQLITE_OK ? rows_add(e, op->job) : r;
}

/* 0 with the job filled, or op->status set. */
static int fetch(struct engine *e, struct store_op *op, struct job *job, bool want_request, bool want_reply,
                 bool want_runs)
{
        int r = rows_get(e, job, want_request, want_reply, want_runs);

        if (r == SQLITE_DONE) {
                op->status = STORE_NOT_FOUND;
                cause_set(&op->cause, 0, "there is no such job");
        }
        return r == SQLITE_ROW || r == SQLITE_DONE ? SQLITE_OK : r;
}

static int conflict(struct store_op *op, enum job_state state)
{
        op->status = STORE_CONFLICT;
        cause_set(&op->cause, 0, "the job is %s", job_state_name(state));
        return SQLITE_OK;
}

static int do_start(struct engine *e, struct store_op *op)
{
        struct job_run before;
        int r = fetch(e, op, op->job, true, false, false);

        if (r != SQLITE_OK || op->status)
                return r;
        if (op->job->state != JOB_READY)
                return conflict(op, op->job->state);
        before = op->job->run;
        job_start(op->job, op->now_ms);
        if (before.number > 0)
                r = rows_add_run(e, op->job->id.seq, &before);
        return r == SQLITE_OK ? rows_update(e, op->job) : r;
}

static int do_update(struct engine *e, struct store_op *op)
{
        struct job *stored = job_new();
        bool reply = op->job->reply.status || op->job->reply.log;
        int r;

        stored->id = op->job->id;
        r = fetch(e, op, stored, false, false, false);
        if (r == SQLITE_OK && !op->status && job_state_is_final(stored->state))
                r = conflict(op, stored->state);
        if (r == SQLITE_OK && !op->status && stored->run.number > 0 &&
            stored->run.number != op->job->run.number)
                r = rows_add_run(e, stored->id.seq, &stored->run);
        if (r == SQLITE_OK && !op->status && reply)
                r = rows_reply_file(e, stored->id.seq);
        if (r == SQLITE_OK && !op->status && reply)
                r = sync_body(e, &op->job->reply.body);
        if (r == SQLITE_OK && !op->status && reply)
                r = rows_set_reply(e, op->job);
        if (r == SQLITE_OK && !op->status)
                r = rows_update(e, op->job);
        job_free(stored);
        return r;
}

static int do_cancel(struct engine *e, struct store_op *op)
{
        int r = fetch(e, op, op->job, false, false, true);

        if (r != SQLITE_OK || op->status)
                return r;
        if (job_state_is_final(op->job->state) || op->job->state == JOB_RUNNING)
                return conflict(op, op->job->state);
        if (job_cancel(op->job, op->now_ms) != 0)
                return conflict(op, op->job->state);
        return rows_update(e, op->job);
}

/* The highest number stays known when its job is purged. */
static int do_purge(struct engine *e, struct store_op *op)
{
        int r = sqlite3_exec(
                e->db, "UPDATE numbers SET seq_max = max(seq_max, (SELECT ifnull(max(seq), 0) FROM jobs))",
                NULL, NULL, NULL);

        return r == SQLITE_OK ? rows_purge(e, op->purge.before_ms, &op->purge.removed, &op->purge.more) : r;
}

static int do_op(struct engine *e, struct store_op *op)
{
        op->status = 0;
        switch (op->kind) {
        case STORE_ADD:
                return do_add(e, op);
        case STORE_START:
                return do_start(e, op);
        case STORE_UPDATE:
                return do_update(e, op);
        case STORE_CANCEL:
                return do_cancel(e, op);
        case STORE_GET:
                return fetch(e, op, op->job, op->want_request, op->want_reply, true);
        case STORE_LIST:
                return rows_list(e, &op->list);
        case STORE_READY:
                return rows_ids(e, SQL_READY, &op->ready);
        case STORE_RUNNING:
                return rows_ids(e, SQL_UNFINISHED, &op->ready);
        case STORE_PURGE:
                return do_purge(e, op);
        case STORE_STATS:
                return rows_stats(e, &op->stats);
        }
        return SQLITE_MISUSE;
}

static bool op_writes(const struct store_op *op)
{
        return op->kind == STORE_ADD || op->kind == STORE_START || op->kind == STORE_UPDATE ||
               op->kind == STORE_CANCEL || op->kind == STORE_PURGE;
}

static int roll_back(struct engine *e, int code, struct cause *cause)
{
        int primary = code & 0xff;
        int r = engine_fault(e, "the database failed", cause);

        if (code == SQLITE_IOERR_FSYNC && sqlite3_errcode(e->db) == SQLITE_OK)
                r = cause_set(cause, -EIO, "a body's file could not be synced to disk");
        if (primary == SQLITE_FULL)
                r = cause_set(cause, STORE_NO_SPACE, "the disk is full");
        if (!sqlite3_get_autocommit(e->db))
                sqlite3_exec(e->db, "ROLLBACK", NULL, NULL, NULL);
        e->doomed_count = 0;
        e->files_dirty = false;
        return r;
}

/* What a failed try has read is given back, so that the group can be tried again. */
static void forget_results(struct store_op *ops)
{
        for (struct store_op *op = ops; op; op = op->next) {
                for (uint32_t i = 0; op->kind == STORE_LIST && op->list.jobs && i < op->list.count; i++)
                        job_free(op->list.jobs[i]);
                if (op->kind == STORE_LIST) {
                        free(op->list.jobs);
                        op->list.jobs = NULL;
                        op->list.count = 0;
                } else if (op->kind == STORE_READY || op->kind == STORE_RUNNING) {
                        free(op->ready.ids);
                        op->ready.ids = NULL;
                        op->ready.count = 0;
                }
        }
}

int engine_group(struct engine *e, struct store_op *ops, struct cause *cause)
{
        bool writes = false;
        int r;

        for (struct store_op *op = ops; op; op = op->next)
                writes = writes || op_writes(op);
        r = sqlite3_exec(e->db, writes ? "BEGIN IMMEDIATE" : "BEGIN", NULL, NULL, NULL);
        for (struct store_op *op = ops; op && r == SQLITE_OK; op = op->next)
                r = do_op(e, op);
        if (r == SQLITE_OK && e->files_dirty && files_sync(e->files) < 0)
                r = SQLITE_IOERR_FSYNC;
        if (r == SQLITE_OK)
                r = sqlite3_exec(e->db, "COMMIT", NULL, NULL, NULL);
        if (r != SQLITE_OK) {
                r = roll_back(e, r, cause);
                forget_results(ops);
                return r;
        }
        e->files_dirty = false;
        for (unsigned i = 0; i < e->doomed_count; i++)
                files_remove(e->files, e->doomed[i]);
        e->doomed_count = 0;
        return 0;
}

/* ---- sweeping and checkpoints ---- */

struct sweep {
        sqlite3_stmt *bodies, *replies;
};

static bool is_named(void *arg, const char *name)
{
        const struct sweep *sweep = arg;
        sqlite3_stmt *both[] = { sweep->bodies, sweep->replies };
        bool found = false;

        for (int i = 0; i < 2 && !found; i++) {
                sqlite3_bind_text(both[i], 1, name, -1, SQLITE_STATIC);
                found = sqlite3_step(both[i]) != SQLITE_DONE; /* when in doubt it is kept */
                sqlite3_reset(both[i]);
        }
        return found;
}

int engine_sweep(struct engine *e, struct cause *cause)
{
        struct sweep sweep = { NULL, NULL };
        unsigned removed = 0;
        int r = 0;

        if (sqlite3_prepare_v2(e->db, "SELECT 1 FROM jobs WHERE body_file = ?1", -1, &sweep.bodies, NULL) !=
                    SQLITE_OK ||
            sqlite3_prepare_v2(e->db, "SELECT 1 FROM replies WHERE body_file = ?1", -1, &sweep.replies,
                               NULL) != SQLITE_OK)
                r = engine_fault(e, "the files cannot be checked", cause);
        if (r == 0)
                r = files_sweep(e->files, is_named, &sweep, &removed);
        sqlite3_finalize(sweep.bodies);
        sqlite3_finalize(sweep.replies);
        if (removed)
                log_say(LOG_INFO, "store", "files that no job names were removed", "files=%u", removed);
        return r;
}

void engine_checkpoint(sqlite3 *db)
{
        sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}
