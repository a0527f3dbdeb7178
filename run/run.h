/* A run: one attempt at carrying out a request, foreground or job. The small interface that every runner has:
 * fastcgi (run/pool.h), exec (run/exec.h), http (run/http.h).
 *
 * Callbacks come only from the loop, never inside the call that started the run, and `end` exactly once,
 * last. After `end` the run is gone.
 *
 * How a run is ended from outside is the same for all (run.c): first it is asked politely, and when its grace
 * is over it is killed for sure; `end` comes when it is really over.
 *
 *              run_stop, a limit           grace over, run_kill
 *   under way ───────────────────▶ asked ───────────────────────▶ killed ──▶ end
 *       └────────────────────────────┴──── ended by itself ─────────────────▶ end
 *
 *                asked                                            killed
 *   fastcgi      PHP: SIGPROF (its own time limit: shutdown       SIGKILL to the worker's process group
 *                functions run); other programs: SIGTERM
 *   exec         SIGTERM to its process group                     SIGKILL to its process group
 *   http         the connection is closed: that ends it           -
 */
#ifndef SENDOFF_RUN_RUN_H
#define SENDOFF_RUN_RUN_H

#include "job/job.h"
#include "net/cgi.h"
#include "net/fcgi.h"

struct run; /* owned by its runner until end */

struct run_handlers {
        /* The reply's head, once, before any data. Slices are valid during the call. Not called when the run
         * ends without a complete head, and never by exec, whose output has none. */
        void (*head)(void *arg, const struct cgi_head *head);
        void (*data)(void *arg, struct slice bytes); /* reply body, a program's stdout, as it comes; never
                                                        while paused */
        void (*log)(void *arg, struct slice bytes);  /* stderr; may be cut into pieces anywhere */
        void (*control)(void *arg,
                        struct slice line); /* a line written to SENDOFF_CONTROL, without its end */
        /* How it ended: outcome (succeeded and failed both mean "answered completely", the caller judges with
         * job_judge; failed with may_pass: it never answered, the target cannot be reached, say; RUN_CRASHED,
         * RUN_STOPPED, RUN_PUT_BACK), status, exit_code, signal, reason, connection_status, cpu_ms,
         * peak_rss_kb. number, started_ms and ended_ms are not filled. */
        void (*end)(void *arg, const struct job_run *how);
};

struct run_limits {
        int64_t time_limit_ms;   /* wall clock from now; 0 none */
        const char *time_option; /* that sets it, named in the reason; NULL: time_limit */
        int64_t idle_limit_ms; /* without a byte of output, a control line or (http) progress of the transfer;
                                  0 none. Does not count while paused */
        int64_t grace_ms;      /* from asking to killing */
};

/* Sets the limits, counted from now; may be called again at any time before `end`. A limit that is reached
 * stops the run with CONNECTION_TIMED_OUT. */
void run_set_limits(struct run *run, const struct run_limits *limits);
void run_set_time_limit(struct run *run, int64_t ms); /* the wall clock alone, from now; 0 none */

/* Back-pressure: between pause and resume no data is delivered and the runner stops reading, so that the
 * script blocks. `end` does not come either, unless the run is stopped or put back. */
void run_pause(struct run *run);
void run_resume(struct run *run);

/* Ends it: politely, then for sure. bits: CONNECTION_ABORTED or CONNECTION_TIMED_OUT; they are added up when
 * called again, and so are the reasons ("cancelled; then …"). `end` follows with RUN_STOPPED unless it ends
 * by itself successfully before it has been asked. Output goes on being delivered until then. */
void run_stop(struct run *run, int bits, const char *reason);

/* Aborted with policy `php`: its output is closed, so that it notices at its next output as it always did:
 * PHP by its own rules, a program by SIGPIPE, an http target by the closed connection. Nothing more is
 * delivered. `end` comes when the work has really ended, with CONNECTION_ABORTED and RUN_STOPPED; limits go
 * on counting. */
void run_hang_up(struct run *run, const char *reason);

/* Aborted with policy `continue`: only CONNECTION_ABORTED is recorded. */
void run_note_abort(struct run *run);

/* For the shutdown of the server: killed at once, ends with RUN_PUT_BACK. */
void run_put_back(struct run *run, const char *reason);

/* For the access log and lists: the worker's number (from 1; 0: none) and the pid (0: none). */
int run_worker(const struct run *run);
int run_pid(const struct run *run);

#endif
