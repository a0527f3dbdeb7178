/* What the files of jobs.h share: jobs.c (accepting, queued jobs, turns), entry.c (a job in motion: its run),
 * ending.c (the end of a run on its way to the store, and what comes then), job_calls.c (questions and
 * wishes), recovery.c. For these files only. */
#ifndef SENDOFF_SERVER_JOBS_INTERNAL_H
#define SENDOFF_SERVER_JOBS_INTERNAL_H

#include <uthash.h>
#include <uv.h>

#include "server/jobs.h"
#include "server/window.h"

#define PURGE_EVERY_MS   1000
#define UNSAVED_RETRY_MS 500
#define DUE_LOOK_MS      60000

enum entry_phase {
        ENTRY_ADDING,   /* its ADD is on its way to the store */
        ENTRY_STARTING, /* its START is; room is reserved */
        ENTRY_WAITING,  /* begun on paper, what was reserved fell out */
        ENTRY_RUNNING,
        ENTRY_ENDING,  /* its UPDATE is on its way */
        ENTRY_UNSAVED, /* the store did not take it yet */
};

/*   ADDING ──committed, room reserved──▶ (entry_start) ──▶ RUNNING ──end──▶ ENDING ──committed──▶ forgotten
 *      └── committed as ready ──▶ forgotten (window or disk)                  └── store refuses ──▶ UNSAVED,
 * tried again STARTING (a queued job) ──committed──▶ (entry_start) (entry_start): WAITING when what was
 * reserved fell out in between An adopted foreground run is ADDING and runs at the same time: it ends after
 * its ADD is committed. */
struct entry {
        uint64_t seq; /* key */
        UT_hash_handle hh;
        struct jobs *jobs;
        enum entry_phase phase;
        struct job *job;
        struct run *run; /* under way */
        struct site_match match;
        char **argv, **env; /* of a program */
        struct run_log log;
        struct retry_advice advice;
        struct store_op op;
        jobs_accepted *accepted;
        void *accepted_arg;
        bool reserved, started;    /* room is reserved in its lane; its run has begun in it */
        bool prepared;             /* log and output are made */
        bool cancel_asked;         /* while STARTING */
        bool adopted, over;        /* over: the run has ended, its ADD is still on its way */
        bool unlisted;             /* adopted, and its ADD was refused */
        bool ignore_abort;         /* it said so on SENDOFF_CONTROL */
        struct job *then[2];       /* ENDING: stored with it */
        struct entry *prev, *next; /* waiting or unsaved */
};

/* A runner's queue: what is ready, and how much room there is. */
struct lane {
        struct window window;
        struct entry *waiting; /* run begun on paper, what was reserved fell out */
        unsigned running;      /* exec, http: runs under way and starts on their way */
};

struct watch_slot {
        uint64_t seq; /* key */
        UT_hash_handle hh;
        struct jobs_watch *list;
};

struct jobs {
        struct jobs_config config;
        struct jobs_desks desks;
        char *host;
        uint64_t seq; /* the last one given out */
        struct entry *entries;
        struct entry *unsaved; /* ended, but the store did not take it yet */
        struct watch_slot *watches;
        struct lane lanes[JOB_RUNNERS];
        unsigned under_way; /* ops the store has */
        uint64_t counts[JOB_STATES];
        uint64_t bytes; /* request bodies of unfinished jobs */
        int64_t due_ms; /* when the next scheduled job is due; 0 none */
        uv_timer_t retry, again, purge, due;
        struct store_op purge_op, due_op;
        bool purging, dueing, draining, turning;
};

/* jobs.c */
void jobs_number(struct jobs *jobs, struct job *job); /* gives it its id */
void jobs_count_move(struct jobs *jobs, enum job_state from, enum job_state to, uint64_t body_bytes);
void jobs_queue(struct jobs *jobs, enum job_runner runner, const struct job_id *id,
                bool new);                          /* it is ready */
void jobs_due_at(struct jobs *jobs, int64_t at_ms); /* a job is scheduled for then */
void jobs_check_idle(struct jobs *jobs);
void jobs_turn_again(uv_timer_t *timer);
void jobs_turn_soon(struct jobs *jobs);
void jobs_purge(uv_timer_t *timer);
void jobs_due(uv_timer_t *timer);
void jobs_store_adopted(struct entry *e);
void entry_forget(struct entry *e); /* it was never stored */

/* entry.c */
struct entry *entry_new(struct jobs *jobs, enum entry_phase phase);
void entry_know(struct entry *e);
void entry_free(struct entry *e);
unsigned lane_limit(struct jobs *jobs, enum job_runner runner);
bool lane_take(struct jobs *jobs, enum job_runner runner);
void lane_untake(struct jobs *jobs, enum job_runner runner); /* nothing has begun with what was taken */
void entry_give_back(struct entry *e);
void entry_start(struct entry *e);
void entry_abort(struct entry *e, const char *why);   /* by its on_abort policy */
int64_t entry_option(int64_t own, int64_t of_server); /* own unless unset */
void entry_add_text(struct job *job, const struct run_log *log);

/* ending.c */
struct retry_policy jobs_policy(const struct jobs *jobs, const struct job *job);
void entry_ended(struct entry *e, const struct job_run *how); /* decides, and stores it */
void entry_save(struct entry *e);
/* What is to be stored with the end of the job: drafts made, numbered and accepted, in out; how many. */
unsigned jobs_make_then(struct jobs *jobs, const struct job *job, struct job *out[2]);
/* They are on disk: counts them, and queues them. Frees them. */
void jobs_added_then(struct jobs *jobs, struct job **then, unsigned count);
void jobs_retry_unsaved(uv_timer_t *timer);

/* job_calls.c */
void jobs_notify(struct jobs *jobs, uint64_t seq);
void jobs_notify_line(struct jobs *jobs, uint64_t seq, struct slice line);
void jobs_notify_all(struct jobs *jobs);

#endif
