/* Who gets a worker. Owns the pool and the line of foreground requests that wait for one; jobs ask it for a
 * worker of their own. The rule is job/dispatch.h: foreground first, some workers never for jobs. */
#ifndef SENDOFF_SERVER_DISPATCHER_H
#define SENDOFF_SERVER_DISPATCHER_H

#include "job/dispatch.h"
#include "run/pool.h"

struct dispatcher;

/* Somebody waiting for a worker; embedded in what waits. */
struct dispatch_turn {
        void (*go)(struct dispatch_turn *turn); /* a worker is free: call dispatcher_start now. From the loop,
                                                   never inside dispatcher_wait */
        void (*never)(struct dispatch_turn
                              *turn); /* the server stops: no worker will come; the turn is out of the line */
        struct dispatch_turn *prev, *next;
        bool waiting;
};

struct dispatcher_config {
        struct pool_config pool; /* freed and arg are set by the dispatcher */
        unsigned reserve;        /* workers never given to jobs */
        void (*job_turn)(
                void *arg); /* a worker has become free for a job: take it with dispatcher_take_for_job */
        void *arg;
};

int dispatcher_new(struct dispatcher **out, const struct dispatcher_config *config, struct cause *cause)
        __attribute__((warn_unused_result));
/* Turns away the line, then stops the pool. */
void dispatcher_stop(struct dispatcher *d, void (*done)(void *arg), void *arg);
void dispatcher_free(struct dispatcher *d); /* after done, or NULL */

/* A foreground request: true when a worker is free for it at once, and nobody is before it. */
bool dispatcher_free_now(const struct dispatcher *d);
void dispatcher_wait(struct dispatcher *d, struct dispatch_turn *turn); /* joins the line */
unsigned dispatcher_waiting(const struct dispatcher *d);

/* A worker for a job: reserved when true, whether its run is started at once or after a commit. Give it back
 * with dispatcher_release_job when that run has ended, or will not start. */
bool dispatcher_take_for_job(struct dispatcher *d);
void dispatcher_release_job(struct dispatcher *d,
                            bool started);       /* started: dispatcher_start has said 0 for it */
void dispatcher_stop_jobs(struct dispatcher *d); /* shutdown: dispatcher_take_for_job says no from now on */

/* pool_start, for a foreground request or a job that holds a reservation. */
int dispatcher_start(struct dispatcher *d, bool for_job, const struct pool_request *request,
                     const struct run_handlers *handlers, void *arg, struct run **out)
        __attribute__((warn_unused_result));

const struct dispatch *dispatcher_counts(struct dispatcher *d);
struct pool *dispatcher_pool(struct dispatcher *d);

#endif
