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

int engine_fault(struct engine *e, const char *what, struct cause *cause)
{
        const char *text = e->db ? sqlite3_errmsg(e->db) : "out of memory";
        int system = e->db ? sqlite3_system_errno(e->db) : 0;

        return cause_set(cause, -EIO, "%s: %s%s%s", what, text, system ? ": " : "",
                         system ? strerror(system) : "");
}

static int on_wal(void *arg, sqlite3 *db, const char *name, int pages)
{
        struct engine *e = arg;

        e->wal_pages = pages;
        return SQLITE_OK;
}

static void engine_finalize(struct engine *e)
{
        for (int i = 0; i < SQL_COUNT; i++) {
                sqlite3_finalize(e->statements[i]);
                e->statements[i] = NULL;
        }
}

/* What is retired stays. */
static void engine_drop(struct engine *e)
{
        engine_finalize(e);
        sqlite3_close(e->db);
        e->db = NULL;
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
                engine_drop(e);
                return r;
        }
        r = schema_migrate(e, cause);
        for (int i = 0; i < SQL_COUNT && r == 0; i++)
                if (sqlite3_prepare_v3(e->db, engine_sql_text[i], -1, SQLITE_PREPARE_PERSISTENT,
                                       &e->statements[i], NULL) != SQLITE_OK)
                        r = engine_fault(e, "a statement cannot be prepared", cause);
        if (r != 0) {
                engine_drop(e);
                return r;
        }
        sqlite3_wal_hook(e->db, on_wal, e);
        return 0;
}

void engine_close(struct engine *e)
{
        engine_drop(e);
        sqlite3_close(e->retired);
        e->retired = NULL;
        free(e->doomed);
        e->doomed = NULL;
        e->doomed_count = e->doomed_cap = 0;
}

void engine_retire(struct engine *e)
{
        engine_finalize(e);
        if (!e->retired) {
                e->retired = e->db;
                e->db = NULL;
        }
        engine_drop(e);
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

/* SQLITE_DONE and SQLITE_CONSTRAINT: it is refused, and nothing was done. */
static int add_job(struct engine *e, const struct job *job)
{
        bool again = job->links.retry_of[0];
        int r = sync_body(e, &job->request.body);

        if (r == SQLITE_OK && again)
                r = rows_may_retry(e, job);
        if (r == SQLITE_OK)
                r = rows_add(e, job); /* a constraint undoes the statement, not the group */
        return r == SQLITE_OK && again ? rows_set_retried(e, job) : r;
}

/* Whether r is a refusal; then the op's status is set. */
static bool refused(struct store_op *op, int r, int status)
{
        if (r != SQLITE_DONE && r != SQLITE_CONSTRAINT)
                return false;
        op->status = status;
        cause_set(&op->cause, 0, "%s",
                  r == SQLITE_DONE
                          ? "the job to be run again has not ended, was run again already, or is gone"
                          : "there is a job of this number");
        return true;
}

static int do_add(struct engine *e, struct store_op *op)
{
        int r = add_job(e, op->job);

        return refused(op, r, STORE_CONFLICT) ? SQLITE_OK : r;
}

/* What SQLite has no part in is the op's own affair and no fault of the group. */
static int settle(struct store_op *op, int r)
{
        if (r == SQLITE_DONE) {
                op->status = STORE_NOT_FOUND;
                cause_set(&op->cause, 0, "there is no such job");
        } else if (r < 0) {
                op->status = r;
                cause_set(&op->cause, 0, "the file of a body cannot be opened: %s", strerror(-r));
        }
        return r == SQLITE_ROW || r == SQLITE_DONE || r < 0 ? SQLITE_OK : r;
}

static int conflict(struct store_op *op, enum job_state state)
{
        op->status = STORE_CONFLICT;
        cause_set(&op->cause, 0, "the job is %s", job_state_name(state));
        return SQLITE_OK;
}

/* The run that was the last one so far becomes the latest of the earlier ones, also in memory. */
static void keep_earlier(struct job *job, const struct job_run *before)
{
        struct job_run *runs = mem_alloc((job->earlier_count + 1) * sizeof(*runs));

        if (job->earlier_count)
                memcpy(runs, job->earlier, job->earlier_count * sizeof(*runs));
        runs[job->earlier_count++] = *before;
        free(job->earlier);
        job->earlier = runs;
}

static int do_start(struct engine *e, struct store_op *op)
{
        struct job_run before;
        int got = rows_get(e, op->job, true, false, true);
        int r = got == -ENOENT ? SQLITE_OK : settle(op, got);

        if (r != SQLITE_OK || op->status)
                return r;
        if (op->job->state != JOB_READY)
                return conflict(op, op->job->state);
        if (got == -ENOENT) {
                op->status = STORE_BODY_GONE;
                cause_set(&op->cause, 0, "the file of its body is gone");
                return SQLITE_OK;
        }
        before = op->job->run;
        job_start(op->job, op->now_ms);
        if (before.number > 0) {
                r = rows_add_run(e, op->job->id.seq, &before);
                keep_earlier(op->job, &before);
        }
        return r == SQLITE_OK ? rows_update(e, op->job) : r;
}

static int update_reply(struct engine *e, const struct job *job, bool may_have_one)
{
        int r = sync_body(e, &job->reply.body);

        if (r == SQLITE_OK && may_have_one)
                r = rows_reply_file(e, job->id.seq);
        return r == SQLITE_OK ? rows_set_reply(e, job) : r;
}

static int sql(struct engine *e, const char *text)
{
        return sqlite3_exec(e->db, text, NULL, NULL, NULL);
}

/* All of them, or none. */
static int update_added(struct engine *e, struct store_op *op)
{
        int r = sql(e, "SAVEPOINT added");

        for (unsigned i = 0; i < op->added_count && r == SQLITE_OK; i++)
                r = add_job(e, op->added[i]);
        if (refused(op, r, -EEXIST))
                r = sql(e, "ROLLBACK TO added");
        return r == SQLITE_OK ? sql(e, "RELEASE added") : r;
}

static int do_update(struct engine *e, struct store_op *op)
{
        enum job_state state = JOB_DRAFT;
        struct job_run before;
        int r = settle(op, rows_get_run(e, &op->job->id, &state, &before));

        if (r != SQLITE_OK || op->status)
                return r;
        if (job_state_is_final(state) || (op->expect != JOB_DRAFT && state != op->expect))
                return conflict(op, state);
        if (op->added_count > 0)
                r = update_added(e, op);
        if (r != SQLITE_OK || op->status)
                return r;
        if (before.number > 0 && before.number != op->job->run.number)
                r = rows_add_run(e, op->job->id.seq, &before);
        if (r == SQLITE_OK && op->job->reply.log)
                r = rows_set_log(e, op->job);
        /* a first run that has not ended has no earlier reply */
        if (r == SQLITE_OK && op->job->reply.kept)
                r = update_reply(e, op->job, before.number > 1 || state != JOB_RUNNING);
        return r == SQLITE_OK ? rows_update(e, op->job) : r;
}

static int do_get(struct engine *e, struct store_op *op)
{
        int r = settle(op, rows_get(e, op->job, op->want_request, op->want_reply, true));

        if (r == SQLITE_OK && op->status == 0 && op->want_log)
                r = rows_get_logs(e, op->job->id.seq, &op->logs, &op->log_count);
        return r;
}

static int do_op(struct engine *e, struct store_op *op)
{
        op->status = 0;
        op->cause.text[0] = '\0';
        switch (op->kind) {
        case STORE_ADD:
                return do_add(e, op);
        case STORE_START:
                return do_start(e, op);
        case STORE_UPDATE:
                return do_update(e, op);
        case STORE_GET:
                return do_get(e, op);
        case STORE_LIST:
                return rows_list(e, &op->list);
        case STORE_READY:
                return rows_ids(e, SQL_READY, &op->ready);
        case STORE_RUNNING:
                return rows_ids(e, SQL_RUNNING, &op->ready);
        case STORE_DUE:
                return rows_due(e, &op->due, op->now_ms);
        case STORE_PURGE:
                return rows_purge(e, op->purge.before_ms, &op->purge.removed, &op->purge.more);
        case STORE_STATS:
                return rows_stats(e, &op->stats);
        }
        return SQLITE_MISUSE;
}

bool engine_op_writes(const struct store_op *op)
{
        return op->kind == STORE_ADD || op->kind == STORE_START || op->kind == STORE_UPDATE ||
               op->kind == STORE_DUE || op->kind == STORE_PURGE;
}

static int roll_back(struct engine *e, int code, struct cause *cause)
{
        int primary = code & 0xff;
        int r = engine_fault(e, "the database failed", cause);

        if (code == SQLITE_IOERR_FSYNC && sqlite3_errcode(e->db) == SQLITE_OK)
                r = cause_set(cause, -EIO, "a body's file could not be synced to disk");
        if (primary == SQLITE_FULL)
                r = cause_set(cause, STORE_NO_SPACE, "the disk is full");
        if (primary == SQLITE_BUSY)
                r = cause_set(cause, -EBUSY, "another program holds the lock on %s", e->path);
        if (!sqlite3_get_autocommit(e->db))
                sqlite3_exec(e->db, "ROLLBACK", NULL, NULL, NULL);
        e->doomed_count = 0;
        e->files_dirty = false;
        return r;
}

int engine_probe(struct engine *e, struct cause *cause)
{
        int r = sqlite3_exec(e->db, "UPDATE numbers SET seq_max = seq_max", NULL, NULL, NULL);

        if (r != SQLITE_OK)
                return roll_back(e, r, cause);
        sqlite3_close(e->retired);
        e->retired = NULL;
        return 0;
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
                } else if (op->kind == STORE_DUE) {
                        free(op->due.jobs);
                        op->due.jobs = NULL;
                        op->due.count = 0;
                }
                for (uint32_t i = 0; i < op->log_count; i++)
                        free(op->logs[i].text);
                free(op->logs);
                op->logs = NULL;
                op->log_count = 0;
        }
}

int engine_group(struct engine *e, struct store_op *ops, bool reads_only, struct cause *cause)
{
        bool writes = false;
        int r;

        for (struct store_op *op = ops; op && !reads_only; op = op->next)
                writes = writes || engine_op_writes(op);
        r = sqlite3_exec(e->db, writes ? "BEGIN IMMEDIATE" : "BEGIN", NULL, NULL, NULL);
        for (struct store_op *op = ops; op && r == SQLITE_OK; op = op->next)
                if (!reads_only || !engine_op_writes(op))
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

bool engine_checkpoint(sqlite3 *db)
{
        int r = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);

        if (r != SQLITE_OK && (r & 0xff) != SQLITE_BUSY)
                log_say(LOG_WARN, "store",
                        "the database's log could not be moved into it; it grows until it can", "why=\"%s\"",
                        sqlite3_errmsg(db));
        return r == SQLITE_OK;
}
