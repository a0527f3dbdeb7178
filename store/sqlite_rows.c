/* Jobs to rows and back: statements, binding, loading. Each function returns an SQLite result code. Schema:
 * sqlite_schema.c. */
#include "store/sqlite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define RUN_COLUMNS                                                                                          \
        "run, run_started_ms, run_ended_ms, run_outcome, connection_status, status, exit_code, signal, "     \
        "cpu_ms, peak_rss_kb, reason"

#define STATE_COLUMNS                                                                                        \
        "id, state, queue, created_ms, run_at_ms, finished_ms, crashes, cancel_asked, runner, retries, "     \
        "options, progress_done, progress_total, progress_note, retry_of, retried_as, then_of, " RUN_COLUMNS

/* What every new job has. */
#define NEW_COLUMNS                                                                                          \
        "seq, id, state, queue, created_ms, run_at_ms, runner, method, target, headers, host, remote, "      \
        "local, body_len, body, body_file"

/* The partial index is only considered when its own condition is repeated. */
#define LIST_REST(state)                                                                                     \
        " UNION ALL SELECT seq FROM jobs INDEXED BY jobs_rest WHERE ?3 >> " #state                           \
        " & 1 AND state = " #state " AND state IN (1, 4, 5, 6, 7, 8) AND seq < ?1"
#define LIST_READY(runner)                                                                                   \
        " UNION ALL SELECT seq FROM jobs INDEXED BY jobs_ready WHERE ?3 >> 2 & 1 AND state = 2 AND runner "  \
        "= " #runner " AND seq < ?1"

const char *const engine_sql_text[SQL_COUNT] = {
        [SQL_ADD] = "INSERT INTO jobs (" NEW_COLUMNS ", finished_ms, crashes, cancel_asked, run)"
                    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, 0, 0, "
                    "0, 0)",
        [SQL_ADD_WHOLE] =
                "INSERT INTO jobs (" NEW_COLUMNS ", finished_ms, crashes, cancel_asked, retries, options, "
                "progress_done, progress_total, progress_note, retry_of, retried_as, then_of, " RUN_COLUMNS
                ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, "
                "?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35, "
                "?36, ?37, ?38)",
        [SQL_GET] = "SELECT " STATE_COLUMNS ", method, target, headers, host, remote, local, body_len, "
                    "body, body_file FROM jobs WHERE seq = ?1",
        [SQL_GET_RUN] = "SELECT id, state, " RUN_COLUMNS " FROM jobs WHERE seq = ?1",
        [SQL_GET_RUNS] = "SELECT " RUN_COLUMNS " FROM runs WHERE seq = ?1 ORDER BY run",
        [SQL_GET_REPLY] =
                "SELECT status, headers, cut, body_len, body, body_file FROM replies WHERE seq = ?1",
        [SQL_UPDATE] =
                "UPDATE jobs SET state = ?2, run_at_ms = ?3, finished_ms = ?4, crashes = ?5, "
                "cancel_asked = ?6, retries = ?7, progress_done = ?8, progress_total = ?9, "
                "progress_note = ?10, run = ?11, run_started_ms = ?12, run_ended_ms = ?13, "
                "run_outcome = ?14, connection_status = ?15, status = ?16, exit_code = ?17, signal = ?18, "
                "cpu_ms = ?19, peak_rss_kb = ?20, reason = ?21 WHERE seq = ?1",
        [SQL_ADD_RUN] = "INSERT OR REPLACE INTO runs (seq, " RUN_COLUMNS
                        ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        [SQL_SET_REPLY] = "INSERT OR REPLACE INTO replies (seq, status, headers, cut, body_len, body, "
                          "body_file) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        [SQL_REPLY_FILE] = "SELECT body_file FROM replies WHERE seq = ?1",
        [SQL_LIST] = "SELECT seq, " STATE_COLUMNS ", method, target, host, remote, body_len"
                     " FROM jobs WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2",
        [SQL_LIST_STATES] =
                "SELECT seq, " STATE_COLUMNS ", method, target, host, remote, body_len FROM jobs JOIN ("
                " SELECT seq AS s FROM jobs INDEXED BY jobs_running WHERE ?3 >> 3 & 1 AND state = 3 AND seq "
                "< ?1" LIST_READY(0) LIST_READY(1) LIST_READY(2) LIST_REST(1) LIST_REST(4) LIST_REST(5)
                        LIST_REST(6) LIST_REST(7) LIST_REST(8) " ORDER BY 1 DESC LIMIT ?2) ON seq = s "
                                                               "ORDER BY seq DESC",
        [SQL_READY] = "SELECT seq, id FROM jobs INDEXED BY jobs_ready WHERE state = 2 AND runner = ?3 AND "
                      "seq > ?1 ORDER BY seq LIMIT ?2",
        [SQL_RUNNING] = "SELECT seq, id FROM jobs INDEXED BY jobs_running WHERE state = 3 AND seq > ?1 "
                        "ORDER BY seq LIMIT ?2",
        [SQL_SET_LOG] = "INSERT OR REPLACE INTO logs (seq, run, text) VALUES (?1, ?2, ?3)",
        [SQL_GET_LOGS] = "SELECT run, text FROM logs WHERE seq = ?1 ORDER BY run",
        [SQL_TRIM_LOGS] = "DELETE FROM logs WHERE seq = ?1 AND run <= ?2",
        [SQL_DUE] =
                "SELECT seq, id, runner FROM jobs INDEXED BY jobs_due WHERE state = 1 AND run_at_ms <= ?1 "
                "ORDER BY run_at_ms, seq LIMIT ?2",
        [SQL_DUE_NEXT] =
                "SELECT run_at_ms FROM jobs INDEXED BY jobs_due WHERE state = 1 ORDER BY run_at_ms LIMIT 1",
        [SQL_MAKE_READY] = "UPDATE jobs SET state = 2 WHERE seq = ?1",
        [SQL_GET_RETRIED] = "SELECT id, state, retried_as FROM jobs WHERE seq = ?1",
        [SQL_SET_RETRIED] = "UPDATE jobs SET retried_as = ?2 WHERE seq = ?1",
        /* state, runner, how many, bytes of their bodies */
        [SQL_STATS] = "SELECT 2, runner, count(*), sum(body_len) FROM jobs INDEXED BY jobs_ready"
                      " WHERE state = 2 GROUP BY runner"
                      " UNION ALL SELECT 3, 0, count(*), sum(body_len) FROM jobs INDEXED BY jobs_running"
                      " WHERE state = 3"
                      " UNION ALL SELECT state, 0, count(*), iif(state IN (1, 8), sum(body_len), 0)"
                      " FROM jobs INDEXED BY jobs_rest WHERE state IN (1, 4, 5, 6, 7, 8) GROUP BY state",
        [SQL_SEQ_MAX] = "SELECT max((SELECT ifnull(max(seq), 0) FROM jobs), (SELECT seq_max FROM numbers))",
        [SQL_PURGE_PICK] = "SELECT seq, body_file FROM jobs INDEXED BY jobs_finished WHERE finished_ms > 0 "
                           "AND finished_ms < ?1 ORDER BY finished_ms LIMIT ?2",
        [SQL_PURGE_NUMBER] =
                "UPDATE numbers SET seq_max = max(seq_max, (SELECT ifnull(max(seq), 0) FROM jobs))",
        [SQL_PURGE_JOB] = "DELETE FROM jobs WHERE seq = ?1",
        [SQL_PURGE_REPLY] = "DELETE FROM replies WHERE seq = ?1",
        [SQL_PURGE_RUNS] = "DELETE FROM runs WHERE seq = ?1",
        [SQL_PURGE_LOGS] = "DELETE FROM logs WHERE seq = ?1",
};

int rows_step(sqlite3_stmt *s)
{
        int r = sqlite3_step(s);

        sqlite3_reset(s);
        sqlite3_clear_bindings(s);
        return r == SQLITE_DONE || r == SQLITE_ROW ? SQLITE_OK : r;
}

static void bind_text(sqlite3_stmt *s, int at, const char *text)
{
        if (text)
                sqlite3_bind_text(s, at, text, -1, SQLITE_STATIC);
}

/* Columns at, at + 1 (the bytes, or the file's name), preceded by the length at - 1. */
static void bind_spool(sqlite3_stmt *s, int at, const struct spool *body)
{
        sqlite3_bind_int64(s, at - 1, (sqlite3_int64)body->len);
        if (body->fd >= 0)
                bind_text(s, at + 1, body->name);
        else if (body->len > 0)
                sqlite3_bind_blob64(s, at, buf_slice(&body->mem).ptr, body->len, SQLITE_STATIC);
}

static void bind_run(sqlite3_stmt *s, int at, const struct job_run *run)
{
        sqlite3_bind_int64(s, at++, run->number);
        sqlite3_bind_int64(s, at++, run->started_ms);
        sqlite3_bind_int64(s, at++, run->ended_ms);
        sqlite3_bind_int(s, at++, run->outcome);
        sqlite3_bind_int(s, at++, run->connection_status);
        sqlite3_bind_int(s, at++, run->status);
        sqlite3_bind_int(s, at++, run->exit_code);
        sqlite3_bind_int(s, at++, run->signal);
        sqlite3_bind_int64(s, at++, run->cpu_ms);
        sqlite3_bind_int64(s, at++, run->peak_rss_kb);
        bind_text(s, at, run->reason);
}

static void load_run(sqlite3_stmt *s, int at, struct job_run *run)
{
        const unsigned char *reason = sqlite3_column_text(s, at + 10);

        run->number = (uint32_t)sqlite3_column_int64(s, at);
        if (run->number == 0) { /* all NULL, or what stands for nothing */
                *run = (struct job_run){ .exit_code = -1, .cpu_ms = -1, .peak_rss_kb = -1 };
                return;
        }
        run->started_ms = sqlite3_column_int64(s, at + 1);
        run->ended_ms = sqlite3_column_int64(s, at + 2);
        run->outcome = (enum run_outcome)sqlite3_column_int(s, at + 3);
        run->connection_status = sqlite3_column_int(s, at + 4);
        run->status = sqlite3_column_int(s, at + 5);
        run->exit_code = sqlite3_column_int(s, at + 6);
        run->signal = sqlite3_column_int(s, at + 7);
        run->cpu_ms = sqlite3_column_int64(s, at + 8);
        run->peak_rss_kb = sqlite3_column_int64(s, at + 9);
        snprintf(run->reason, sizeof(run->reason), "%s", reason ? (const char *)reason : "");
}

static void take_text(char **at, sqlite3_stmt *s, int column)
{
        free(*at);
        *at = slice_dup((struct slice){ (const char *)sqlite3_column_text(s, column),
                                        (size_t)sqlite3_column_bytes(s, column) });
}

/* Columns at (length), at + 1 (bytes), at + 2 (file). SQLITE_OK, or -errno when the file cannot be opened. */
static int load_spool(struct engine *e, sqlite3_stmt *s, int at, struct spool *body)
{
        const char *file = (const char *)sqlite3_column_text(s, at + 2);
        size_t len = (size_t)sqlite3_column_bytes(s, at + 1);

        spool_fini(body);
        if (file)
                return spool_open(body, e->files->dir_fd, file);
        spool_init(body, -1, len, len);
        return spool_write(body, sqlite3_column_blob(s, at + 1), len) == 0 ? SQLITE_OK : SQLITE_NOMEM;
}

static bool id_matches(sqlite3_stmt *s, int column, const struct job_id *id)
{
        struct slice text = { (const char *)sqlite3_column_text(s, column),
                              (size_t)sqlite3_column_bytes(s, column) };
        struct job_id stored;

        return job_id_parse(text, &stored) && job_id_eq(&stored, id);
}

static void load_link(sqlite3_stmt *s, int at, char link[JOB_ID_SIZE])
{
        const unsigned char *text = sqlite3_column_text(s, at);

        snprintf(link, JOB_ID_SIZE, "%s", text ? (const char *)text : "");
}

static void load_progress(sqlite3_stmt *s, int at, struct job_progress *progress)
{
        const unsigned char *note = sqlite3_column_text(s, at + 2);

        progress->any = sqlite3_column_type(s, at) != SQLITE_NULL;
        progress->done = sqlite3_column_int64(s, at);
        progress->total = sqlite3_column_int64(s, at + 1);
        snprintf(progress->note, sizeof(progress->note), "%s", note ? (const char *)note : "");
}

/* STATE_COLUMNS, from `at` (id) on. */
#define STATE_COUNT 28 /* of them */
static void load_job(sqlite3_stmt *s, int at, struct job *job)
{
        const unsigned char *options = sqlite3_column_text(s, at + 10);

        job->state = (enum job_state)sqlite3_column_int(s, at + 1);
        take_text(&job->queue, s, at + 2);
        job->created_ms = sqlite3_column_int64(s, at + 3);
        job->run_at_ms = sqlite3_column_int64(s, at + 4);
        job->finished_ms = sqlite3_column_int64(s, at + 5);
        job->crashes = (uint32_t)sqlite3_column_int64(s, at + 6);
        job->cancel_asked = sqlite3_column_int(s, at + 7) != 0;
        job->runner = (enum job_runner)sqlite3_column_int(s, at + 8);
        job->retries = (uint32_t)sqlite3_column_int64(s, at + 9);
        if (options)
                job_options_read(&job->options, slice_of((const char *)options));
        load_progress(s, at + 11, &job->progress);
        load_link(s, at + 14, job->links.retry_of);
        load_link(s, at + 15, job->links.retried_as);
        load_link(s, at + 16, job->links.then_of);
        load_run(s, at + 17, &job->run);
}

static void bind_link(sqlite3_stmt *s, int at, const char *link)
{
        if (link[0])
                bind_text(s, at, link);
}

static void bind_progress(sqlite3_stmt *s, int at, const struct job_progress *progress)
{
        if (!progress->any)
                return;
        sqlite3_bind_int64(s, at, progress->done);
        sqlite3_bind_int64(s, at + 1, progress->total);
        bind_text(s, at + 2, progress->note);
}

/* SQLITE_OK or SQLITE_NOMEM. text holds the bytes until the statement was stepped. */
static int bind_options(sqlite3_stmt *s, int at, const struct job_options *options, struct buf *text)
{
        if (job_options_text(options, text) != 0)
                return SQLITE_NOMEM;
        if (buf_len(text) > 0)
                sqlite3_bind_text64(s, at, buf_data(text), buf_len(text), SQLITE_STATIC, SQLITE_UTF8);
        return SQLITE_OK;
}

static void bind_new(sqlite3_stmt *s, const struct job *job)
{
        sqlite3_bind_int64(s, 1, (sqlite3_int64)job->id.seq);
        bind_text(s, 2, job->id.text);
        sqlite3_bind_int(s, 3, job->state);
        bind_text(s, 4, job->queue);
        sqlite3_bind_int64(s, 5, job->created_ms);
        sqlite3_bind_int64(s, 6, job->run_at_ms);
        sqlite3_bind_int(s, 7, job->runner);
        bind_text(s, 8, job->request.method);
        bind_text(s, 9, job->request.target);
        bind_text(s, 10, job->request.headers);
        bind_text(s, 11, job->request.host);
        bind_text(s, 12, job->request.remote);
        bind_text(s, 13, job->request.local);
        bind_spool(s, 15, &job->request.body);
}

static int add_whole(struct engine *e, const struct job *job)
{
        sqlite3_stmt *s = e->statements[SQL_ADD_WHOLE];
        struct buf options;
        int r;

        buf_init(&options, (JOB_THENS + 1) * JOB_TARGET_MAX);
        bind_new(s, job);
        sqlite3_bind_int64(s, 17, job->finished_ms);
        sqlite3_bind_int64(s, 18, job->crashes);
        sqlite3_bind_int(s, 19, job->cancel_asked);
        sqlite3_bind_int64(s, 20, job->retries);
        r = bind_options(s, 21, &job->options, &options);
        bind_progress(s, 22, &job->progress);
        bind_link(s, 25, job->links.retry_of);
        bind_link(s, 26, job->links.retried_as);
        bind_link(s, 27, job->links.then_of);
        bind_run(s, 28, &job->run);
        if (r == SQLITE_OK)
                r = rows_step(s);
        buf_fini(&options);
        return r;
}

static bool asks_for_nothing(const struct job_options *options)
{
        for (const struct job_option_row *row = job_option_rows; row->name; row++)
                if (job_option_is_set(options, row))
                        return false;
        return true;
}

/* Most jobs have nothing but their request, and what else there could be is worth saving: each column costs
 * as much as a small index. */
int rows_add(struct engine *e, const struct job *job)
{
        if (job->run.number > 0 || job->finished_ms || job->crashes || job->cancel_asked || job->retries ||
            job->progress.any || job->links.retry_of[0] || job->links.retried_as[0] ||
            job->links.then_of[0] || !asks_for_nothing(&job->options))
                return add_whole(e, job);
        bind_new(e->statements[SQL_ADD], job);
        return rows_step(e->statements[SQL_ADD]);
}

int rows_update(struct engine *e, const struct job *job)
{
        sqlite3_stmt *s = e->statements[SQL_UPDATE];

        sqlite3_bind_int64(s, 1, (sqlite3_int64)job->id.seq);
        sqlite3_bind_int(s, 2, job->state);
        sqlite3_bind_int64(s, 3, job->run_at_ms);
        sqlite3_bind_int64(s, 4, job->finished_ms);
        sqlite3_bind_int64(s, 5, job->crashes);
        sqlite3_bind_int(s, 6, job->cancel_asked);
        sqlite3_bind_int64(s, 7, job->retries);
        bind_progress(s, 8, &job->progress);
        bind_run(s, 11, &job->run);
        return rows_step(s);
}

int rows_set_reply(struct engine *e, const struct job *job)
{
        sqlite3_stmt *s = e->statements[SQL_SET_REPLY];

        sqlite3_bind_int64(s, 1, (sqlite3_int64)job->id.seq);
        sqlite3_bind_int(s, 2, job->reply.status);
        bind_text(s, 3, job->reply.headers ? job->reply.headers : "");
        sqlite3_bind_int(s, 4, job->reply.cut);
        bind_spool(s, 6, &job->reply.body);
        return rows_step(s);
}

int rows_add_run(struct engine *e, uint64_t seq, const struct job_run *run)
{
        sqlite3_stmt *s = e->statements[SQL_ADD_RUN];

        sqlite3_bind_int64(s, 1, (sqlite3_int64)seq);
        bind_run(s, 2, run);
        return rows_step(s);
}

static int get_reply(struct engine *e, struct job *job)
{
        sqlite3_stmt *s = e->statements[SQL_GET_REPLY];
        int r;

        sqlite3_bind_int64(s, 1, (sqlite3_int64)job->id.seq);
        r = sqlite3_step(s);
        if (r == SQLITE_ROW) {
                job->reply.status = sqlite3_column_int(s, 0);
                take_text(&job->reply.headers, s, 1);
                job->reply.cut = sqlite3_column_int(s, 2) != 0;
                job->reply.kept = true;
                r = load_spool(e, s, 3, &job->reply.body);
        }
        sqlite3_reset(s);
        return r == SQLITE_DONE ? SQLITE_OK : r;
}

static int get_runs(struct engine *e, struct job *job)
{
        sqlite3_stmt *s = e->statements[SQL_GET_RUNS];
        uint32_t max;
        int r;

        free(job->earlier);
        job->earlier = NULL;
        job->earlier_count = 0;
        if (job->run.number < 2)
                return SQLITE_OK;
        max = job->run.number < JOB_RUNS_MAX ? job->run.number : JOB_RUNS_MAX;
        job->earlier = mem_alloc(max * sizeof(*job->earlier));
        sqlite3_bind_int64(s, 1, (sqlite3_int64)job->id.seq);
        while ((r = sqlite3_step(s)) == SQLITE_ROW) {
                if (job->earlier_count < max && (uint32_t)sqlite3_column_int64(s, 0) < job->run.number)
                        load_run(s, 0, &job->earlier[job->earlier_count++]);
        }
        sqlite3_reset(s);
        return r == SQLITE_DONE ? SQLITE_OK : r;
}

/* As if the body had not been wanted. */
static void body_unread(struct spool *body, sqlite3_int64 len)
{
        spool_fini(body);
        spool_init(body, -1, 0, 0);
        body->len = (uint64_t)len;
}

/* A fault of the database counts more than a missing file, and the first file more than the next. */
static int worse(int first, int then)
{
        return then > SQLITE_OK || first == SQLITE_OK ? then : first;
}

int rows_get(struct engine *e, struct job *job, bool want_request, bool want_reply, bool want_runs)
{
        sqlite3_stmt *s = e->statements[SQL_GET];
        int r;

        sqlite3_bind_int64(s, 1, (sqlite3_int64)job->id.seq);
        r = sqlite3_step(s);
        if (r == SQLITE_ROW && !id_matches(s, 0, &job->id))
                r = SQLITE_DONE;
        if (r != SQLITE_ROW) {
                sqlite3_reset(s);
                return r;
        }
        load_job(s, 0, job);
        take_text(&job->request.method, s, STATE_COUNT);
        take_text(&job->request.target, s, STATE_COUNT + 1);
        take_text(&job->request.host, s, STATE_COUNT + 3);
        take_text(&job->request.remote, s, STATE_COUNT + 4);
        take_text(&job->request.local, s, STATE_COUNT + 5);
        r = SQLITE_OK;
        if (want_request) {
                take_text(&job->request.headers, s, STATE_COUNT + 2);
                r = load_spool(e, s, STATE_COUNT + 6, &job->request.body);
        }
        if (!want_request || r < 0)
                body_unread(&job->request.body, sqlite3_column_int64(s, STATE_COUNT + 6));
        sqlite3_reset(s);
        if (r <= SQLITE_OK && want_reply)
                r = worse(r, get_reply(e, job));
        if (r <= SQLITE_OK && want_runs)
                r = worse(r, get_runs(e, job));
        return r == SQLITE_OK ? SQLITE_ROW : r;
}

int rows_get_run(struct engine *e, const struct job_id *id, enum job_state *state, struct job_run *run)
{
        sqlite3_stmt *s = e->statements[SQL_GET_RUN];
        int r;

        sqlite3_bind_int64(s, 1, (sqlite3_int64)id->seq);
        r = sqlite3_step(s);
        if (r == SQLITE_ROW && !id_matches(s, 0, id))
                r = SQLITE_DONE;
        if (r == SQLITE_ROW) {
                *state = (enum job_state)sqlite3_column_int(s, 1);
                load_run(s, 2, run);
        }
        sqlite3_reset(s);
        return r;
}

int rows_list(struct engine *e, struct store_list *list)
{
        sqlite3_stmt *s = e->statements[list->states ? SQL_LIST_STATES : SQL_LIST];
        uint32_t limit = list->limit > STORE_LIST_MAX ? STORE_LIST_MAX : list->limit;
        int r;

        list->jobs = mem_alloc((limit + 1) * sizeof(struct job *));
        list->count = 0;
        list->more = false;
        sqlite3_bind_int64(s, 1, list->before_seq ? (sqlite3_int64)list->before_seq : INT64_MAX);
        sqlite3_bind_int64(s, 2, (sqlite3_int64)limit + 1);
        if (list->states)
                sqlite3_bind_int64(s, 3, list->states);
        while ((r = sqlite3_step(s)) == SQLITE_ROW) {
                struct slice id = { (const char *)sqlite3_column_text(s, 1),
                                    (size_t)sqlite3_column_bytes(s, 1) };
                struct job *job;

                if (list->count == limit) {
                        list->more = true;
                        continue;
                }
                job = job_new();
                list->jobs[list->count++] = job;
                job_id_parse(id, &job->id);
                load_job(s, 1, job);
                take_text(&job->request.method, s, STATE_COUNT + 1);
                take_text(&job->request.target, s, STATE_COUNT + 2);
                take_text(&job->request.host, s, STATE_COUNT + 3);
                take_text(&job->request.remote, s, STATE_COUNT + 4);
                job->request.body.len = (uint64_t)sqlite3_column_int64(s, STATE_COUNT + 5);
        }
        sqlite3_reset(s);
        return r == SQLITE_DONE ? SQLITE_OK : r;
}

int rows_ids(struct engine *e, enum engine_sql which, struct store_ready *ready)
{
        sqlite3_stmt *s = e->statements[which];
        int r;

        ready->ids = mem_alloc((ready->limit ? ready->limit : 1) * sizeof(*ready->ids));
        ready->count = 0;
        sqlite3_bind_int64(s, 1, (sqlite3_int64)ready->after);
        sqlite3_bind_int64(s, 2, ready->limit);
        if (which == SQL_READY)
                sqlite3_bind_int64(s, 3, ready->runner);
        while ((r = sqlite3_step(s)) == SQLITE_ROW) {
                struct slice id = { (const char *)sqlite3_column_text(s, 1),
                                    (size_t)sqlite3_column_bytes(s, 1) };

                if (job_id_parse(id, &ready->ids[ready->count]))
                        ready->count++;
        }
        sqlite3_reset(s);
        return r == SQLITE_DONE ? SQLITE_OK : r;
}

static void count_in(sqlite3_stmt *s, struct store_stats *stats)
{
        int state = sqlite3_column_int(s, 0), runner = sqlite3_column_int(s, 1);
        uint64_t count = (uint64_t)sqlite3_column_int64(s, 2);

        if (state >= 0 && state < JOB_STATES)
                stats->jobs[state] += count;
        if (state == JOB_READY && runner >= 0 && runner < JOB_RUNNERS)
                stats->ready[runner] = count;
        stats->unfinished_bytes += (uint64_t)sqlite3_column_int64(s, 3);
}

int rows_stats(struct engine *e, struct store_stats *stats)
{
        sqlite3_stmt *counts = e->statements[SQL_STATS], *max = e->statements[SQL_SEQ_MAX];
        int r;

        memset(stats, 0, sizeof(*stats));
        while ((r = sqlite3_step(counts)) == SQLITE_ROW)
                count_in(counts, stats);
        sqlite3_reset(counts);
        if (r != SQLITE_DONE)
                return r;
        r = sqlite3_step(max);
        if (r == SQLITE_ROW)
                stats->seq_max = (uint64_t)sqlite3_column_int64(max, 0);
        sqlite3_reset(max);
        return r == SQLITE_ROW ? SQLITE_OK : r;
}

static void doom(struct engine *e, const char *name)
{
        if (!name || strlen(name) >= SPOOL_NAME_SIZE)
                return;
        if (e->doomed_count == e->doomed_cap) {
                unsigned cap = e->doomed_cap ? e->doomed_cap * 2 : 64;
                char(*more)[SPOOL_NAME_SIZE] = mem_alloc(cap * sizeof(*more));

                if (e->doomed_count)
                        memcpy(more, e->doomed, e->doomed_count * sizeof(*more));
                free(e->doomed);
                e->doomed = more;
                e->doomed_cap = cap;
        }
        strcpy(e->doomed[e->doomed_count++], name);
}

/* The reply's file, if it has one, goes with the transaction. */
int rows_reply_file(struct engine *e, uint64_t seq)
{
        sqlite3_stmt *s = e->statements[SQL_REPLY_FILE];
        int r;

        sqlite3_bind_int64(s, 1, (sqlite3_int64)seq);
        r = sqlite3_step(s);
        if (r == SQLITE_ROW)
                doom(e, (const char *)sqlite3_column_text(s, 0));
        sqlite3_reset(s);
        return r == SQLITE_ROW || r == SQLITE_DONE ? SQLITE_OK : r;
}

static int purge_one(struct engine *e, uint64_t seq)
{
        static const enum engine_sql parts[] = { SQL_PURGE_REPLY, SQL_PURGE_RUNS, SQL_PURGE_LOGS,
                                                 SQL_PURGE_JOB };
        int r = rows_reply_file(e, seq);

        for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && r == SQLITE_OK; i++) {
                sqlite3_bind_int64(e->statements[parts[i]], 1, (sqlite3_int64)seq);
                r = rows_step(e->statements[parts[i]]);
        }
        return r;
}

int rows_purge(struct engine *e, int64_t before_ms, uint32_t *removed, bool *more)
{
        sqlite3_stmt *s = e->statements[SQL_PURGE_PICK];
        uint64_t seqs[STORE_PURGE_STEP];
        uint32_t count = 0;
        int r;

        sqlite3_bind_int64(s, 1, before_ms);
        sqlite3_bind_int(s, 2, STORE_PURGE_STEP);
        while ((r = sqlite3_step(s)) == SQLITE_ROW && count < STORE_PURGE_STEP) {
                seqs[count++] = (uint64_t)sqlite3_column_int64(s, 0);
                doom(e, (const char *)sqlite3_column_text(s, 1));
        }
        sqlite3_reset(s);
        r = r == SQLITE_DONE || r == SQLITE_ROW ? SQLITE_OK : r;
        if (r == SQLITE_OK && count > 0) /* the highest number stays known when its job is purged */
                r = rows_step(e->statements[SQL_PURGE_NUMBER]);
        for (uint32_t i = 0; i < count && r == SQLITE_OK; i++)
                r = purge_one(e, seqs[i]);
        *removed = count;
        *more = count == STORE_PURGE_STEP;
        return r;
}
