/* The jobs of a running server: accepts them (a receipt only after the commit), lets them run when there is
 * room for their runner, records how each run ended, starts what comes then, tells who waits. It holds in
 * memory what runs, what is on its way to the store, and a bounded window of ready jobs for each runner;
 * everything else is on disk and asked for when needed.
 *
 * Every callback comes from the loop, never inside the call that asked. */
#ifndef SENDOFF_SERVER_JOBS_H
#define SENDOFF_SERVER_JOBS_H

#include "run/exec.h"
#include "run/http.h"
#include "server/config.h"
#include "server/dispatcher.h"
#include "server/run_log.h"
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

/* What carries runs out; all borrowed. */
struct jobs_desks {
        struct dispatcher *dispatcher;
        struct exec_desk *exec;
        struct http_desk *http;
};

int jobs_new(struct jobs **out, const struct jobs_config *config, struct cause *cause)
        __attribute__((warn_unused_result));
void jobs_close(struct jobs *jobs); /* closes its timers on the loop; jobs_free once the loop has run */
void jobs_free(struct jobs *jobs);  /* after the store is closed */
void jobs_use(struct jobs *jobs, const struct jobs_desks *desks); /* once, before the first accept */
void jobs_set_host(struct jobs *jobs, const char *host); /* what jobs of our own making call the site by */

/* At start, before the doors open: runs the loop until the counts are known and every job that a crash left
 * `running` has been judged. 0 or < 0. */
int jobs_recover(struct jobs *jobs, struct cause *cause) __attribute__((warn_unused_result));

/* Whether a job may be accepted now: 0, or the status to answer (503, 507) with the sentence in cause.
 * body_bytes: of the request to come. */
int jobs_may_accept(const struct jobs *jobs, uint64_t body_bytes, struct cause *cause);

/* Stores the draft and lets it run. The draft is taken over. done: status 202 with the job (valid during the
 * call), or 409 (retry_of was run again already), 503, 507 with why and no job: then nothing was kept. */
typedef void jobs_accepted(void *arg, int status, const struct job *job, const char *why);
void jobs_accept(struct jobs *jobs, struct job *draft, jobs_accepted *done, void *arg);

/* Looks a job up. done: status 0 with the job, which is then the callee's (job_free); STORE_NOT_FOUND; < 0.
 * What is known of a run under way (progress) is in it. */
typedef void jobs_found(void *arg, int status, struct job *job, const char *why);
void jobs_get(struct jobs *jobs, const struct job_id *id, bool want_reply, jobs_found *done, void *arg);

/* Cancels. done: 204 with the job when it was queued and is cancelled now; 202 when it is running and is
 * being ended by its on_abort policy; 404; 409 when it is in a final state; 503/507. The job, where there is
 * one, is the callee's. */
void jobs_cancel(struct jobs *jobs, const struct job_id *id, jobs_found *done, void *arg);

/* A person wants it to run (again). done: 200 with the job, which was held or scheduled and is ready now; 202
 * with a new job that does the work of a final one again; 404; 409 with why: it is ready or running, or was
 * run again already; 503/507. The job, where there is one, is the callee's. */
void jobs_retry(struct jobs *jobs, const struct job_id *id, jobs_found *done, void *arg);

/* The stored logs of its runs, and of a run under way what is there so far, appended to out by the callee's
 * reading order: done gets status 0 with the job and its log as text (both the callee's), STORE_NOT_FOUND or
 * < 0. */
typedef void jobs_logged(void *arg, int status, struct job *job, char *text, const char *why);
void jobs_log(struct jobs *jobs, const struct job_id *id, jobs_logged *done, void *arg);

/* A page of the list. done: status 0 and list (jobs and array become the callee's), or < 0. */
typedef void jobs_listed(void *arg, int status, struct store_list *list, const char *why);
void jobs_list(struct jobs *jobs, uint32_t states, uint64_t before_seq, uint32_t limit, jobs_listed *done,
               void *arg);

/* Tell when the job reaches a final state (that is on disk). Fires once, from the loop, then is gone; unwatch
 * before that forgets it. Watch first, then jobs_get, so that nothing is missed. `line` (may be NULL) is
 * called for every line of its log as it comes. */
struct jobs_watch {
        uint64_t seq;
        void (*ended)(struct jobs_watch *watch);
        void (*line)(struct jobs_watch *watch, struct slice line);
        struct jobs_watch *prev, *next;
        bool on;
};
void jobs_watch(struct jobs *jobs, struct jobs_watch *watch);
void jobs_unwatch(struct jobs *jobs, struct jobs_watch *watch);

/* Why an unfinished job does not run yet: "a worker: 4 of 4 busy"; NULL when there is nothing to say. Points
 * into out. */
const char *jobs_waiting_for(struct jobs *jobs, const struct job *job, char *out, size_t size);

/* A foreground run whose caller is let go, or has hung up, becomes a job: stored as running, listed, its end
 * recorded, but not run again when the server ends under it. The draft is taken over; run is under way, its
 * callbacks are passed on by jobs_adopted's handlers (same arguments, arg is what jobs_adopt returned) until
 * `end` has been passed on. */
struct entry *jobs_adopt(struct jobs *jobs, struct job *draft, struct run *run, int64_t started_ms);
const struct run_handlers *jobs_adopted(void);

/* How often a job of these options is tried again at most. */
unsigned jobs_retries_max(const struct jobs *jobs, const struct job *job);

/* The limits of a run of this job, from its options and the server's. */
struct run_limits jobs_limits(const struct jobs *jobs, const struct job *job);

void jobs_turn(struct jobs *jobs);           /* there may be room for a job */
void jobs_drain(struct jobs *jobs);          /* accept and start nothing more */
bool jobs_are_idle(const struct jobs *jobs); /* nothing runs, nothing is on its way to the store */
const uint64_t *
jobs_counts(const struct jobs *jobs); /* by state, JOB_STATES of them; those in memory's view */

#endif
