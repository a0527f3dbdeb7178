/* The job: what is kept of a request that was sent off, the states it goes through, and what an event does to
 * it. Pure: no fd, no clock, no dice; times are real milliseconds and random numbers are given by the caller.
 *
 *                    accept                       end of the run
 *   (draft) ──┬──▶ ready ──start──▶ running ──┬──▶ succeeded
 *             │     ▲ │ ▲            │ │ │    ├──▶ failed      (ended by its own answer)
 *             │     │ │ └─ cut short ┘ │ │    ├──▶ dead        (retries or crash budget used up)
 *             │  due│ │cancel          │ │    └──▶ cancelled
 *             │     │ ▼                │ │ cut short, on_crash hold
 *             │     │cancelled         │ └──▶ held ──retry──▶ ready      (waiting for a person)
 *             └──▶ scheduled ◀─────────┘ failed, retries left
 *
 * scheduled and held may be cancelled, too. */
#ifndef SENDOFF_JOB_JOB_H
#define SENDOFF_JOB_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bounds.h"
#include "base/cause.h"
#include "base/slice.h"
#include "base/spool.h"
#include "job/control_line.h"
#include "job/id.h"
#include "job/options.h"
#include "job/retry.h"
#include "job/target.h"

enum job_state { /* the numbers are on disk: never change one */
                 JOB_DRAFT = 0,
                 JOB_SCHEDULED = 1,
                 JOB_READY = 2,
                 JOB_RUNNING = 3,
                 JOB_SUCCEEDED = 4,
                 JOB_FAILED = 5,
                 JOB_DEAD = 6,
                 JOB_CANCELLED = 7,
                 JOB_HELD = 8,
                 JOB_STATES = 9,
};

enum run_outcome {               /* the numbers are on disk: never change one */
                   RUN_NONE = 0, /* under way */
                   RUN_SUCCEEDED = 1,
                   RUN_FAILED = 2,   /* its own answer was a failure */
                   RUN_CRASHED = 3,  /* the worker died under it, or the server did */
                   RUN_STOPPED = 4,  /* ended on purpose: cancelled, its caller gone, its time up */
                   RUN_PUT_BACK = 5, /* ended by an orderly shutdown; does not count against any budget */
                   RUN_OUTCOMES = 6,
};

enum {
        CONNECTION_ABORTED = 1,   /* PHP's own bits: a caller hung up, or somebody cancelled */
        CONNECTION_TIMED_OUT = 2, /* the time limit or the idle limit was reached */
};

/* One attempt. */
struct job_run {
        uint32_t number; /* from 1 */
        enum run_outcome outcome;
        int64_t started_ms;
        int64_t ended_ms;            /* 0 while under way */
        int connection_status;       /* 0 normal, 1 aborted, 2 timed out, 3 both */
        int status;                  /* the HTTP status it answered; 0 none */
        int exit_code;               /* -1 none */
        int signal;                  /* 0 none */
        int64_t cpu_ms;              /* -1 unknown */
        int64_t peak_rss_kb;         /* -1 unknown */
        char reason[JOB_REASON_MAX]; /* one sentence saying why it failed; "" when it did not */
        bool may_pass;               /* a failure that another run may not have; not stored */
        bool untouched;              /* put back before anything of it was done; not stored */
};

/* The stored request. All strings are owned by the job, never NULL. */
struct job_request {
        char *method;  /* "POST" */
        char *target;  /* "/report.php?to=a": origin-form, undecoded */
        char *headers; /* "Name: value\r\n" lines (net/http1.h, http1_block_next), without hop-by-hop fields
                          and Content-Length */
        char *host;    /* the authority the caller used, with its port; may be "" */
        char *remote;  /* "127.0.0.1:50412", "[::1]:50412", "unix:" */
        char *local;   /* "127.0.0.1:8080" or "unix:" */
        struct spool body;
};

/* What the run answered. */
struct job_reply {
        int status;    /* 0: no reply kept */
        char *headers; /* block, may be NULL */
        struct spool body;
        bool kept; /* there is a reply: what a program printed has a body but no status */
        bool cut;  /* the body was cut at output_max */
        char *log; /* of this run: lines "TIME STREAM TEXT", see server/run_log.h; may be NULL */
};

/* A later request for the same work, and what came of it. Ids as text, "" none. */
struct job_links {
        char retry_of[JOB_ID_SIZE];   /* this job does that one's work again, because a person asked */
        char retried_as[JOB_ID_SIZE]; /* the other way round */
        char then_of[JOB_ID_SIZE];    /* this job tells how that one ended */
};

struct job {
        struct job_id id;
        enum job_state state;
        enum job_runner runner; /* follows from request.target; set by job_accept */
        char *queue;            /* "default" */
        int64_t created_ms;
        int64_t run_at_ms;       /* not before this time */
        int64_t finished_ms;     /* 0 until it is in a final state */
        uint32_t retries;        /* used so far */
        uint32_t crashes;        /* runs cut short so far; JOB_CRASHES_MAX ends the job */
        bool cancel_asked;       /* somebody cancelled it while it was running */
        struct job_run run;      /* the last run, or the one under way; number 0 before the first */
        uint32_t earlier_count;  /* runs before it, loaded only when asked for; see store_get */
        struct job_run *earlier; /* owned; NULL when not loaded */
        struct job_progress progress;
        struct job_options options;
        struct job_links links;
        struct job_request request;
        struct job_reply reply;
};

/* A draft with empty strings, queue "default", options unset; spools not initialised to a folder (memory
 * only, 0 bytes). */
struct job *job_new(void);
void job_free(struct job *job); /* spools are finished: files not kept are removed. NULL is fine */

void job_request_fini(struct job_request *request); /* for a request that is not a job's; job_free does it for
                                                       one that is */

const char *job_state_name(enum job_state state); /* "ready"; never NULL */
bool job_state_parse(struct slice name, enum job_state *out);
bool job_state_is_final(enum job_state state);              /* succeeded, failed, dead, cancelled */
bool job_state_may(enum job_state from, enum job_state to); /* the one table of legal edges */
const char *run_outcome_name(enum run_outcome outcome);

/* The events. Each takes the job from its state along a legal edge (asserted) and leaves in it what is to be
 * stored. */

/* draft → scheduled when run_at_ms is later than now_ms (0: at once), else → ready, or → running as its run 1
 * when start_now. */
void job_accept(struct job *job, bool start_now, int64_t now_ms);
void job_due(struct job *job, int64_t now_ms);   /* scheduled → ready */
void job_start(struct job *job, int64_t now_ms); /* ready → running, run number raised */

/* Sets what the run's own answer means for this job's runner: outcome RUN_SUCCEEDED or RUN_FAILED, may_pass,
 * and a reason where there is none. fastcgi: below 400 succeeds; http: 2xx; exec: 0. For a run that answered
 * completely (outcome RUN_SUCCEEDED or RUN_FAILED from the runner, without may_pass); others are left as they
 * are. advice: gets RETRY_ASKED for exit code 75, unless something was said already. */
void job_judge(enum job_runner runner, struct job_run *run, struct retry_advice *advice);

/* The run under way ended as `run` says (its number and started_ms are the job's own and are kept). Decides
 * the next state:
 *
 * - succeeded: RUN_SUCCEEDED.
 * - cancelled: a cancel was asked and the run did not succeed.
 * - scheduled: failed or timed out, worth another try (advice, policy) and retries left; run_at_ms is set.
 * - failed: its own answer, and not worth another try, or policy.max is 0.
 * - dead: worth another try, but retries, crash budget (JOB_CRASHES_MAX) or JOB_RUNS_MAX are used up; the
 *   reason names the budget. Or cut short or put back, and options.on_crash is JOB_CRASH_END.
 * - ready, held: cut short, or put back by a shutdown (options.on_crash); put back untouched: ready. */
struct job_ending {
        const struct job_run *run;
        struct retry_advice advice;
        struct retry_policy policy; /* the job's own where it has one, else the server's */
        uint32_t random;
};
void job_run_ended(struct job *job, const struct job_ending *ending, int64_t now_ms);

/* A queued job (scheduled, ready, held) becomes cancelled: 0. A running one remembers that it was asked:
 * JOB_CANCEL_ASKED. A final one: JOB_ALREADY_FINAL, nothing changes. */
enum { JOB_CANCEL_ASKED = 1, JOB_ALREADY_FINAL = 2 };
int job_cancel(struct job *job, int64_t now_ms) __attribute__((warn_unused_result));

/* A person wants it to run now. A held or scheduled one becomes ready (the crash budget of a held one is
 * fresh): 0. One that is ready or running: JOB_UNDER_WAY, nothing changes. A final one: JOB_ALREADY_FINAL;
 * its work is done again by a new job, see job_again. */
enum { JOB_UNDER_WAY = 1 };
int job_retry(struct job *job, int64_t now_ms) __attribute__((warn_unused_result));

/* A draft that asks for the same work: target, method, headers, addresses, queue, options; links.retry_of is
 * set. The body moves out of `from`. */
struct job *job_again(struct job *from);

/* Which of the job's `then` targets its final state calls for, each once, in `out` (pointers into the job's
 * options): how many, 0 to 2. */
unsigned job_then_targets(const struct job *job, const char *out[2]);

/* Whether a reply status makes a site job's run a success: below 400. */
bool job_status_succeeds(int status);

#endif
