/* What stands beside a job's row: the logs of its runs, what is due, and who does its work again. Each
 * function returns an SQLite result code. */
#include "base/mem.h"
#include "store/sqlite.h"

int rows_set_log(struct engine *e, const struct job *job)
{
        sqlite3_stmt *s = e->statements[SQL_SET_LOG];
        int r;

        sqlite3_bind_int64(s, 1, (sqlite3_int64)job->id.seq);
        sqlite3_bind_int64(s, 2, job->run.number);
        sqlite3_bind_text(s, 3, job->reply.log, -1, SQLITE_STATIC);
        r = rows_step(s);
        if (r != SQLITE_OK || job->run.number <= RUN_LOGS_KEPT)
                return r;
        s = e->statements[SQL_TRIM_LOGS];
        sqlite3_bind_int64(s, 1, (sqlite3_int64)job->id.seq);
        sqlite3_bind_int64(s, 2, job->run.number - RUN_LOGS_KEPT);
        return rows_step(s);
}

int rows_get_logs(struct engine *e, uint64_t seq, struct store_log **logs, uint32_t *count)
{
        sqlite3_stmt *s = e->statements[SQL_GET_LOGS];
        int r;

        *logs = mem_alloc(RUN_LOGS_KEPT * sizeof(**logs));
        *count = 0;
        sqlite3_bind_int64(s, 1, (sqlite3_int64)seq);
        while ((r = sqlite3_step(s)) == SQLITE_ROW && *count < RUN_LOGS_KEPT) {
                struct slice text = { (const char *)sqlite3_column_text(s, 1),
                                      (size_t)sqlite3_column_bytes(s, 1) };

                (*logs)[(*count)++] =
                        (struct store_log){ (uint32_t)sqlite3_column_int64(s, 0), slice_dup(text) };
        }
        sqlite3_reset(s);
        return r == SQLITE_DONE || r == SQLITE_ROW ? SQLITE_OK : r;
}

static int find_due(struct engine *e, struct store_due *due, int64_t now_ms)
{
        sqlite3_stmt *s = e->statements[SQL_DUE];
        int r;

        sqlite3_bind_int64(s, 1, now_ms);
        sqlite3_bind_int64(s, 2, due->limit);
        while ((r = sqlite3_step(s)) == SQLITE_ROW) {
                struct slice id = { (const char *)sqlite3_column_text(s, 1),
                                    (size_t)sqlite3_column_bytes(s, 1) };
                struct store_due_job *job = &due->jobs[due->count];

                job->runner = (enum job_runner)sqlite3_column_int(s, 2);
                if (job_id_parse(id, &job->id))
                        due->count++;
        }
        sqlite3_reset(s);
        return r == SQLITE_DONE ? SQLITE_OK : r;
}

int rows_due(struct engine *e, struct store_due *due, int64_t now_ms)
{
        sqlite3_stmt *next = e->statements[SQL_DUE_NEXT], *make = e->statements[SQL_MAKE_READY];
        int r;

        due->jobs = mem_alloc(due->limit * sizeof(*due->jobs));
        due->count = 0;
        due->next_ms = 0;
        r = find_due(e, due, now_ms);
        for (uint32_t i = 0; i < due->count && r == SQLITE_OK; i++) {
                sqlite3_bind_int64(make, 1, (sqlite3_int64)due->jobs[i].id.seq);
                r = rows_step(make);
        }
        if (r != SQLITE_OK)
                return r;
        r = sqlite3_step(next);
        if (r == SQLITE_ROW)
                due->next_ms = sqlite3_column_int64(next, 0);
        sqlite3_reset(next);
        return r == SQLITE_ROW || r == SQLITE_DONE ? SQLITE_OK : r;
}

/* The whole id counts, and the job must have come to an end that nobody has taken up yet. */
static bool is_open_end(sqlite3_stmt *s, const struct job_id *id)
{
        struct slice text = { (const char *)sqlite3_column_text(s, 0), (size_t)sqlite3_column_bytes(s, 0) };
        struct job_id stored;

        return job_id_parse(text, &stored) && job_id_eq(&stored, id) &&
               job_state_is_final((enum job_state)sqlite3_column_int(s, 1)) &&
               sqlite3_column_type(s, 2) == SQLITE_NULL;
}

int rows_may_retry(struct engine *e, const struct job *job)
{
        sqlite3_stmt *s = e->statements[SQL_GET_RETRIED];
        struct job_id id;
        int r;

        if (!job_id_parse(slice_of(job->links.retry_of), &id))
                return SQLITE_DONE;
        sqlite3_bind_int64(s, 1, (sqlite3_int64)id.seq);
        r = sqlite3_step(s);
        if (r == SQLITE_ROW)
                r = is_open_end(s, &id) ? SQLITE_OK : SQLITE_DONE;
        sqlite3_reset(s);
        return r;
}

int rows_set_retried(struct engine *e, const struct job *job)
{
        sqlite3_stmt *s = e->statements[SQL_SET_RETRIED];
        struct job_id id;

        if (!job_id_parse(slice_of(job->links.retry_of), &id))
                return SQLITE_OK;
        sqlite3_bind_int64(s, 1, (sqlite3_int64)id.seq);
        sqlite3_bind_text(s, 2, job->id.text, -1, SQLITE_STATIC);
        return rows_step(s);
}
