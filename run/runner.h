/* What a runner provides, and what run.c does for all of them: limits, the ladder, the end. For the runners
 * only. A runner embeds struct run as the first member of its own struct. */
#ifndef SENDOFF_RUN_RUNNER_H
#define SENDOFF_RUN_RUNNER_H

#include <uv.h>

#include "run/run.h"

struct runner {
        const char *name;
        void (*pause)(struct run *run);
        void (*resume)(struct run *run);
        void (*hang_up)(struct run *run);     /* close its output; run_over follows when the work has ended */
        void (*ask)(struct run *run);         /* politely. May do nothing: then the grace goes by */
        void (*kill)(struct run *run);        /* for sure; run_over follows, not inside the call */
        int (*worker)(const struct run *run); /* may be NULL */
        int (*pid)(const struct run *run);    /* may be NULL */
        void (*free)(struct run *run);        /* the whole struct; once, after the last run_unref */
};

struct run {
        const struct runner *runner;
        struct run_handlers handlers;
        void *arg;
        uv_timer_t timer; /* the next of: a limit, the end of grace */
        unsigned refs;    /* the timer's handle, and whatever else the runner counts with run_ref */
        struct run_limits limits;
        int64_t time_up_ms;   /* when the time limit is reached (loop time); 0 none */
        int64_t grace_end_ms; /* 0 not asked */
        int64_t last_ms;      /* when it was last heard of, for the idle limit */
        bool paused, gone, asked, killed, over;
        bool settling;            /* its end has begun: the runner is told nothing more */
        int bits;                 /* CONNECTION_* */
        enum run_outcome decided; /* RUN_NONE; RUN_STOPPED, RUN_PUT_BACK: whatever the runner reports */
        char reason[JOB_REASON_MAX];
};

void run_init(struct run *run, const struct runner *runner, uv_loop_t *loop,
              const struct run_handlers *handlers, void *arg);
static inline void run_ref(struct run *run)
{
        run->refs++;
}
void run_unref(struct run *run);

void run_heard(struct run *run); /* a byte came: the idle limit counts from now */

/* Asks it to end and arms the grace without deciding how it ends: for a runner that wants nothing more of its
 * work. */
void run_give_up(struct run *run);

/* It never began: gives up the timer's reference, no `end`. */
void run_abandon(struct run *run);

/* Its end has begun, though a last line or byte may still be handed on: what a handler does to the run from
 * here on is recorded, but the runner is not called any more. */
static inline void run_settle(struct run *run)
{
        run->settling = true;
}

/* It is over: how->outcome as in run_handlers.end; what was decided from outside (outcome, reason, bits) is
 * put over it first. Calls `end`, then gives up the timer's reference. The runner must have settled its own
 * state before. */
void run_over(struct run *run, struct job_run *how);

/* An empty result: no status, no exit code, nothing known. */
struct job_run run_result(enum run_outcome outcome);

#endif
