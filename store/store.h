/* The store: where jobs live. One engine behind this interface for now (SQLite); PostgreSQL will be another.
 *
 * Threads: the loop thread calls store_submit and store_drain; the store's own thread commits. Operations
 * submitted while a commit is on its way go into the next one: one sync serves them all (group commit), and
 * their `done` callbacks run in store_drain on the loop thread after it, in the order of submission.
 *
 * Ownership: the caller owns the op and everything it points to, and must leave both alone until done is
 * called. done is called exactly once, never inside store_submit.
 *
 * Durability: when an ADD, START or UPDATE is done with status 0, it has reached the disk (promise 1): files
 * synced, folder synced, then the commit, `synchronous=FULL`. When it is done with anything else, nothing of
 * it was kept. (One exception that no disk allows to exclude: a commit whose sync failed, and then the server
 * is killed before the disk works again: the next start may find it.) An operation that was committed but
 * whose reply was lost is found again after restart.
 *
 * Failure: STORE_NO_SPACE (disk full) and negative errno-like faults (-EIO, …). After a failed sync the store
 * refuses writes at once (every write op is done with -EIO) and tries to reopen the database by itself, at
 * most once a second, until it has committed something; store_health tells. Reads go on as long as they can.
 * A program that holds the database's lock for more than a second is such a fault, too, with -EBUSY. */
#ifndef SENDOFF_STORE_STORE_H
#define SENDOFF_STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cause.h"
#include "job/job.h"

struct store;

enum {
        STORE_NOT_FOUND = 1, /* no such job, or the id's random part differs */
        STORE_NO_SPACE = 2,  /* the disk is full: 507 */
        STORE_CONFLICT = 3, /* the job is not in the state the op expects (cancelled meanwhile, say), or ADD's
                               number is taken; nothing was done */
        STORE_LOCKED = 4,   /* store_open only: another server owns the folder; cause names its pid */
        STORE_NEWER = 5,    /* store_open only: the schema is of a later version of sendoff */
        STORE_BODY_GONE = 6, /* START only */
};

enum store_kind {
        STORE_ADD, /* job: insert it in its state, with its request. Marks the body's spool as kept once it is
                      committed. When links.retry_of is set, that job's retried_as is written in the same
                      commit; CONFLICT when that one is not in a final state, has a retried_as already, or is
                      gone */
        STORE_START,  /* job->id: a ready job becomes running. Fills job entirely (request with body opened),
                         state already moved by job_start(now_ms). CONFLICT when not ready. BODY_GONE when the
                         file of its body is gone: nothing is changed then, job is filled without it, but
                         body.len says how long it was */
        STORE_UPDATE, /* job: write state, times, retries, crashes, run, progress, and, when reply.kept, the
                         reply; when reply.log is set, that as the log of job->run.number. An earlier run
                         whose number differs is moved to the runs table. `added` jobs are inserted as ADD
                         does: all of them with it, or nothing of either; -EEXIST when one of them is refused
                         (its number is taken, say). Marks the spools as kept. CONFLICT when the stored job is
                         in a final state, or not in `expect` where that is set: then nothing is done */
        STORE_GET,    /* job->id: fill the whole record with earlier runs. want_request / want_reply also open
                         the bodies and load header blocks; -ENOENT when the file of one is gone. want_log: the
                         logs of its last RUN_LOGS_KEPT runs, oldest first, as op->logs */
        STORE_LIST,   /* list: filled with records as GET does, without bodies and headers, newest first */
        STORE_READY,  /* ready: the ids of ready jobs of one runner with seq > after, oldest first */
        STORE_RUNNING, /* ready: the ids of jobs that stand as running, of any runner: for recovery */
        STORE_DUE,     /* due: at most `limit` scheduled jobs with run_at_ms <= now_ms become ready, the
                          earliest first, of one time in the order of their acceptance */
        STORE_PURGE,   /* purge: forget at most STORE_PURGE_STEP finished jobs with finished_ms < before_ms,
                          with their files and logs */
        STORE_STATS,   /* stats: filled */
};

struct store_list {
        uint32_t states;     /* bit 1 << state each; 0 = all */
        uint64_t before_seq; /* only jobs with a smaller number; 0 = from the newest */
        uint32_t limit;      /* 1 … STORE_LIST_MAX */
        struct job **jobs;   /* out: array of count, owned by the caller afterwards (job_free each, free the
                                array) */
        uint32_t count;
        bool more; /* there are older ones */
};

struct store_ready {
        enum job_runner runner; /* READY only */
        uint64_t after;
        uint32_t limit;
        struct job_id *ids; /* out: array of count; owned by the caller afterwards (free) */
        uint32_t count;
};

struct store_due_job {
        struct job_id id;
        enum job_runner runner;
};

struct store_due {
        uint32_t limit; /* 1 … STORE_LIST_MAX */
        struct store_due_job
                *jobs; /* out: array of count, the earliest first; the caller's afterwards (free) */
        uint32_t count;
        int64_t next_ms; /* out: when the next one after these is due; 0: none */
};

struct store_log {
        uint32_t run;
        char *text;
};

struct store_stats {
        uint64_t jobs[JOB_STATES];   /* by state */
        uint64_t ready[JOB_RUNNERS]; /* the ready ones by runner */
        uint64_t unfinished_bytes;   /* request bodies of unfinished jobs */
        uint64_t seq_max;            /* highest number ever given out that reached the store; 0 when none */
};

struct store_op {
        enum store_kind kind;
        int64_t now_ms;                          /* real time, for the ops that move a state */
        struct job *job;                         /* ADD, START, UPDATE, GET */
        bool want_request, want_reply, want_log; /* GET */
        struct store_log *logs; /* out of GET: array of log_count; the caller's (free each text, then it) */
        uint32_t log_count;
        enum job_state expect; /* UPDATE: JOB_DRAFT none */
        struct job **added;    /* UPDATE: array of added_count, the caller's */
        unsigned added_count;
        struct store_list list;
        struct store_ready ready;
        struct store_due due;
        struct {
                int64_t before_ms;
                uint32_t removed; /* out */
                bool more;        /* out */
        } purge;
        struct store_stats stats;

        void (*done)(struct store_op *op);
        void *arg;             /* the caller's */
        int status;            /* out: 0, a condition above, or a fault < 0 */
        struct cause cause;    /* out: why, when status is not 0 */
        struct store_op *next; /* the store's */
};

struct store_config {
        const char *folder;      /* the data folder; made (0700) when missing, its parents too */
        void (*wake)(void *arg); /* called from the store thread when there is something to drain; must be
                                    safe there (uv_async_send) */
        void *wake_arg;
        size_t body_memory_max; /* bodies read back up to this size are held in memory, larger ones are in
                                   files anyway */
};

struct store_health {
        bool writable; /* false after a failed sync or write, until a reopen worked */
        bool full;     /* the last failure was a full disk */
        char cause[CAUSE_MAX];
        uint64_t commits, ops;  /* so far: commits that wrote, ops of every kind */
        int64_t last_commit_us; /* how long the last group commit took */
};

/* Opens or makes the folder and the database, locks it (flock on `lock`), migrates the schema, sweeps files
 * no job names, starts the thread. 0; STORE_LOCKED; STORE_NEWER; < 0.
 *
 * When the lock is held, but not by the server whose number is in it (that is dead, or the number is another
 * program's by now), it is waited for: the parents of the dead server's programs hold it while they end
 * those. May take some seconds then. */
int store_open(struct store **out, const struct store_config *config, struct cause *cause)
        __attribute__((warn_unused_result));
/* Waits for what was submitted, commits it, ends the thread, closes and unlocks. Callbacks not yet drained
 * are run first. NULL is fine. */
void store_close(struct store *store);

void store_submit(struct store *store, struct store_op *op);
void store_drain(struct store *store); /* loop thread; callbacks may submit again */
void store_health(struct store *store, struct store_health *out); /* any thread */

/* The folder for big bodies (`files/` in the data folder), for spool_init; borrowed, open as long as the
 * store. */
int store_files_fd(const struct store *store);

/* The descriptor that holds the lock on the data folder; borrowed. A process that inherits it holds the lock,
 * too, until it closes it or ends: the next store_open waits for that, see above. */
int store_lock_fd(const struct store *store);

#endif
