/* The jobs of a running server: accepts them (a receipt only after the commit), lets them run when there is a
 * worker, records how each run ended, tells who waits. It holds in memory what runs, what is on its way to
 * the store, and a bounded window of ready jobs; everything else is on disk and asked for when needed.
 *
 * Every callback comes from the loop, never inside the call that asked. */
#ifndef SENDOFF_SERVER_JOBS_H
#define SENDOFF_SERVER_JOBS_H

#include "server/config.h"
#include "server/dispatcher.h"
#include "server/site.h"
#include "store/store.h"

struct jobs;

struct jobs_config {
        uv_loop_t *loop;
        const struct config *config;
        struct store *store;
        struct site *site;
        void (*idle)(void *arg); /* while draining: nothing is under way any more */
        void *arg;
};

int jobs_new(struct jobs **out, const struct jobs_config *config, struct cause *cause)
        __attribute__((warn_unused_result));
void jobs_close(struct jobs *jobs); /* closes its timers on the loop; jobs_free once the loop has run */
void jobs_free(struct jobs *jobs);  /* after the store is closed */
void jobs_use(struct jobs *jobs, struct dispatcher *dispatcher); /* once, before the first accept */

/* At start, before the doors open: runs the loop until the counts are known and every job that a crash left
 * `running` has been judged. 0 or < 0. */
int jobs_recover(struct jobs *jobs, struct cause *cause) __attribute__((warn_unused_result));

/* Whether a job may be accepted now: 0, or the status to answer (503, 507) with the sentence in cause.
 * body_bytes: of the request to come. */
int jobs_may_accept(const struct jobs *jobs, uint64_t body_bytes, struct cause *cause);

/* Stores the draft and lets it run. The draft is taken over. done: status 202 with the job (valid during the
 * call), or 503/507 with why and no job: then nothing was kept. */
typedef void jobs_accepted(void *arg, int status, const struct job *job, const char *why);
void jobs_accept(struct jobs *jobs, struct job *draft, jobs_accepted *done, void *arg);

/* Looks a job up. done: status 0 with the job, which is then the callee's (job_free); STORE_NOT_FOUND; < 0.
 */
typedef void jobs_found(void *arg, int status, struct job *job, const char *why);
void jobs_get(struct jobs *jobs, const struct job_id *id, bool want_reply, jobs_found *done, void *arg);

/* Cancels. done: 204 with the job when it was queued and is cancelled now; 202 when it is running and is
 * being ended; 404; 409 when it is in a final state; 503/507. The job, where there is one, is the callee's.
 */
void jobs_cancel(struct jobs *jobs, const struct job_id *id, jobs_found *done, void *arg);

/* A page of the list. done: status 0 and list (jobs and array become the callee's), or < 0. */
typedef void jobs_listed(void *arg, int status, struct store_list *list, const char *why);
void jobs_list(struct jobs *jobs, uint32_t states, uint64_t before_seq, uint32_t limit, jobs_listed *done,
               void *arg);

/* Tell when the job reaches a final state (that is on disk). Fires once, from the loop, then is gone; unwatch
 * before that forgets it. Watch first, then jobs_get, so that nothing is missed. */
struct jobs_watch {
        uint64_t seq;
        void (*ended)(struct jobs_watch *watch);
        struct jobs_watch *prev, *next;
        bool on;
};
void jobs_watch(struct jobs *jobs, struct jobs_watch *watch);
void jobs_unwatch(struct jobs *jobs, struct jobs_watch *watch);

/* Why an unfinished job does not run yet: "a worker: 4 of 4 busy"; NULL when there is nothing to say. Points
 * into out. */
const char *jobs_waiting_for(struct jobs *jobs, const struct job *job, char *out, size_t size);

void jobs_turn(struct jobs *jobs);           /* a worker may be free for a job */
void jobs_drain(struct jobs *jobs);          /* accept and start nothing more */
bool jobs_are_idle(const struct jobs *jobs); /* nothing runs, nothing is on its way to the store */
const uint64_t *
jobs_counts(const struct jobs *jobs); /* by state, JOB_STATES of them; those in memory's view */

#endif
