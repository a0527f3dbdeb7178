/* A run: one attempt at carrying out a request, foreground or job, by whatever runner. The small interface
 * every runner has; FastCGI is the first.
 *
 * Callbacks come only from the loop, never inside the call that started the run, and `end` exactly once,
 * last. After `end` the run is gone. */
#ifndef SENDOFF_RUN_RUN_H
#define SENDOFF_RUN_RUN_H

#include "job/job.h"
#include "net/cgi.h"
#include "net/fcgi.h"

struct run; /* owned by its runner until end */

struct run_handlers {
        /* The reply's head, once, before any data. Slices are valid during the call. Not called when the run
         * ends without a complete head. */
        void (*head)(void *arg, const struct cgi_head *head);
        void (*data)(void *arg, struct slice bytes); /* reply body as it comes; never while paused */
        void (*log)(void *arg, struct slice bytes);  /* stderr; may be cut into pieces anywhere */
        /* How it ended: outcome (succeeded and failed both mean "answered completely": the caller judges the
         * status; RUN_CRASHED, RUN_STOPPED), status, exit_code, signal, reason, connection_status. number,
         * started_ms and ended_ms are not filled. */
        void (*end)(void *arg, const struct job_run *how);
};

/* Back-pressure: between pause and resume no data is delivered and the runner stops reading, so that the
 * script blocks. `end` does not come either, unless the run is stopped or put back. */
void run_pause(struct run *run);
void run_resume(struct run *run);

/* The caller has hung up (policy `php`): the script's connection is closed once the request is fully written,
 * so that PHP notices as it always did: at its next output. The rest of the output is not delivered. `end`
 * comes once it is closed, with connection_status 1 and outcome RUN_STOPPED; the worker stays busy until it
 * answers again. */
void run_hang_up(struct run *run);

/* End it now: SIGKILL to the worker. `end` follows with RUN_STOPPED and `reason` when it has been reaped. */
void run_stop(struct run *run, const char *reason);

/* For the access log and lists: the worker's number (from 1) and pid. */
int run_worker(const struct run *run);
int run_pid(const struct run *run);

#endif
