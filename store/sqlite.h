/* The SQLite engine: the database of one data folder, one function for a whole group of operations. Called by
 * the store's thread only (and by store_open before that thread begins).
 *
 * After a fault the connection is not used again, but kept open as `retired` until a fresh one has committed
 * something. The log may hold a whole transaction whose sync failed, and whose operations were refused: as
 * long as somebody is connected, the index of the log in shared memory does not count it in, and the next
 * commit overwrites it. Were the last connection closed, the next one would find it in the log and take it
 * for committed. */
#ifndef SENDOFF_STORE_SQLITE_H
#define SENDOFF_STORE_SQLITE_H

#include <sqlite3.h>

#include "store/files.h"
#include "store/store.h"

#define SCHEMA_VERSION 2

enum engine_sql { /* one prepared statement each; the text is in sqlite_rows.c */
                  SQL_ADD,
                  SQL_ADD_WHOLE,
                  SQL_GET,
                  SQL_GET_RUN,
                  SQL_GET_RUNS,
                  SQL_GET_REPLY,
                  SQL_UPDATE,
                  SQL_ADD_RUN,
                  SQL_SET_REPLY,
                  SQL_REPLY_FILE,
                  SQL_LIST,
                  SQL_LIST_STATES,
                  SQL_READY,
                  SQL_RUNNING,
                  SQL_SET_LOG,
                  SQL_GET_LOGS,
                  SQL_TRIM_LOGS,
                  SQL_DUE,
                  SQL_DUE_NEXT,
                  SQL_MAKE_READY,
                  SQL_GET_RETRIED,
                  SQL_SET_RETRIED,
                  SQL_STATS,
                  SQL_SEQ_MAX,
                  SQL_PURGE_LOGS,
                  SQL_PURGE_PICK,
                  SQL_PURGE_NUMBER,
                  SQL_PURGE_JOB,
                  SQL_PURGE_REPLY,
                  SQL_PURGE_RUNS,
                  SQL_COUNT,
};

struct engine {
        char *path;
        struct files *files; /* borrowed */
        size_t body_memory_max;
        sqlite3 *db;      /* NULL while closed after a fault */
        sqlite3 *retired; /* see above; NULL unless there was a fault since the last good commit */
        sqlite3_stmt *statements[SQL_COUNT];
        int wal_pages;                   /* in the log after the last commit */
        char (*doomed)[SPOOL_NAME_SIZE]; /* files to remove once the transaction is committed */
        unsigned doomed_count, doomed_cap;
        bool files_dirty; /* files/ wants a sync before the commit */
};

/* Opens or makes the database, migrates. 0; STORE_NEWER; < 0 with cause; then it is closed. */
int engine_open(struct engine *e, struct cause *cause) __attribute__((warn_unused_result));
void engine_close(struct engine *e);  /* twice is harmless */
void engine_retire(struct engine *e); /* after a fault: closed but for what is said above */

/* Commits something small to see whether it works. 0 as below; then what was retired is closed, too. */
int engine_probe(struct engine *e, struct cause *cause) __attribute__((warn_unused_result));

/* Carries out the whole list in one transaction and fills every op's status; with reads_only the ops that
 * write are passed over, their statuses left alone. 0: committed. Otherwise everything was rolled back and
 * the statuses mean nothing: STORE_NO_SPACE; -EBUSY (another program holds the database's lock); -EIO (a
 * fault of disk or database: the engine is to be retired), with cause. */
int engine_group(struct engine *e, struct store_op *ops, bool reads_only, struct cause *cause)
        __attribute__((warn_unused_result));
bool engine_op_writes(const struct store_op *op);

int engine_sweep(struct engine *e, struct cause *cause) __attribute__((warn_unused_result));
/* Moves the log's pages into the database as far as readers allow. When it cannot they stay in the log, which
 * grows: false, with the reason in the log of the server. */
bool engine_checkpoint(sqlite3 *db);

int engine_fault(struct engine *e, const char *what, struct cause *cause); /* -EIO, cause says what */

/* sqlite_schema.c. 0; STORE_NEWER; < 0 */
int schema_migrate(struct engine *e, struct cause *cause) __attribute__((warn_unused_result));

/* sqlite_rows.c: SQLite's codes, or < 0 as said */
extern const char *const engine_sql_text[SQL_COUNT];
int rows_add(struct engine *e, const struct job *job);
int rows_update(struct engine *e, const struct job *job);
int rows_set_reply(struct engine *e, const struct job *job);
int rows_add_run(struct engine *e, uint64_t seq, const struct job_run *run);
/* Fills job from the row of its id. SQLITE_ROW found; SQLITE_DONE not (or the random part differs); -errno
 * when the file of a body cannot be opened, all but that body is filled then; else an error. */
int rows_get(struct engine *e, struct job *job, bool want_request, bool want_reply, bool want_runs);
/* Only the state and the run of the job that has this id. SQLITE_ROW, SQLITE_DONE as above, or an error. */
int rows_get_run(struct engine *e, const struct job_id *id, enum job_state *state, struct job_run *run);
int rows_list(struct engine *e, struct store_list *list);
int rows_ids(struct engine *e, enum engine_sql which, struct store_ready *ready);
int rows_stats(struct engine *e, struct store_stats *stats);
int rows_purge(struct engine *e, int64_t before_ms, uint32_t *removed, bool *more);
int rows_reply_file(struct engine *e, uint64_t seq);
int rows_step(sqlite3_stmt *s); /* step and reset: SQLITE_DONE becomes SQLITE_OK */

/* sqlite_work.c: what stands beside a job's row. SQLite's codes */
int rows_set_log(struct engine *e,
                 const struct job *job); /* job->reply.log, as that of job->run; old ones go */
int rows_get_logs(struct engine *e, uint64_t seq, struct store_log **logs, uint32_t *count);
int rows_due(struct engine *e, struct store_due *due, int64_t now_ms);
/* Whether the job of links.retry_of may be run again by this one: SQLITE_OK; SQLITE_DONE when it is not
 * final, was run again already, or is gone. Then its retried_as is set once this one is there. */
int rows_may_retry(struct engine *e, const struct job *job);
int rows_set_retried(struct engine *e, const struct job *job);

#endif
