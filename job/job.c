/* The pure core: states, legal edges, and what an event does to a job. See the picture in job.h. Everything
 * here can be walked at random without a socket or a disk (tests/job). */
#include "job/job.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define EXIT_TRY_LATER 75 /* EX_TEMPFAIL of sysexits.h */

#define REASON_KEPT_MAX (JOB_REASON_MAX - 120) /* of a run's own reason, when something is put behind it */

#define TO(state) (1U << (state))

static const unsigned legal[JOB_STATES] = {
        [JOB_DRAFT] = TO(JOB_SCHEDULED) | TO(JOB_READY) | TO(JOB_RUNNING),
        [JOB_SCHEDULED] = TO(JOB_READY) | TO(JOB_CANCELLED),
        [JOB_READY] = TO(JOB_RUNNING) | TO(JOB_CANCELLED),
        [JOB_RUNNING] = TO(JOB_SUCCEEDED) | TO(JOB_FAILED) | TO(JOB_DEAD) | TO(JOB_CANCELLED) |
                        TO(JOB_READY) | TO(JOB_SCHEDULED) | TO(JOB_HELD),
        [JOB_HELD] = TO(JOB_READY) | TO(JOB_CANCELLED),
};

static const char *const state_names[JOB_STATES] = {
        "draft", "scheduled", "ready", "running", "succeeded", "failed", "dead", "cancelled", "held",
};

static const char *const outcome_names[RUN_OUTCOMES] = {
        "running", "succeeded", "failed", "crashed", "stopped", "put back",
};

struct job *job_new(void)
{
        struct job *job = mem_alloc(sizeof(*job));

        job->queue = mem_dup("default");
        job_options_init(&job->options);
        job->run.exit_code = -1;
        job->run.cpu_ms = -1;
        job->run.peak_rss_kb = -1;
        job->request.method = mem_dup("");
        job->request.target = mem_dup("");
        job->request.headers = mem_dup("");
        job->request.host = mem_dup("");
        job->request.remote = mem_dup("");
        job->request.local = mem_dup("");
        spool_init(&job->request.body, -1, 0, 0);
        spool_init(&job->reply.body, -1, 0, 0);
        return job;
}

void job_request_fini(struct job_request *request)
{
        free(request->method);
        free(request->target);
        free(request->headers);
        free(request->host);
        free(request->remote);
        free(request->local);
        spool_fini(&request->body);
}

void job_free(struct job *job)
{
        if (!job)
                return;
        free(job->queue);
        free(job->earlier);
        job_options_fini(&job->options);
        job_request_fini(&job->request);
        free(job->reply.headers);
        free(job->reply.log);
        spool_fini(&job->reply.body);
        free(job);
}

const char *job_state_name(enum job_state state)
{
        return (unsigned)state < JOB_STATES ? state_names[state] : "unknown";
}

bool job_state_parse(struct slice name, enum job_state *out)
{
        for (int i = JOB_SCHEDULED; i < JOB_STATES; i++) {
                if (slice_eq(name, slice_of(state_names[i]))) {
                        *out = (enum job_state)i;
                        return true;
                }
        }
        return false;
}

bool job_state_is_final(enum job_state state)
{
        return (unsigned)state < JOB_STATES && state != JOB_DRAFT && legal[state] == 0;
}

bool job_state_may(enum job_state from, enum job_state to)
{
        return (unsigned)from < JOB_STATES && (unsigned)to < JOB_STATES && (legal[from] & TO(to));
}

const char *run_outcome_name(enum run_outcome outcome)
{
        return (unsigned)outcome < RUN_OUTCOMES ? outcome_names[outcome] : "unknown";
}

static void job_move(struct job *job, enum job_state to, int64_t now_ms)
{
        assert(job_state_may(job->state, to));
        job->state = to;
        if (job_state_is_final(to))
                job->finished_ms = now_ms;
}

static void job_begin_run(struct job *job, int64_t now_ms)
{
        job->run = (struct job_run){
                .number = job->run.number + 1,
                .started_ms = now_ms,
                .exit_code = -1,
                .cpu_ms = -1,
                .peak_rss_kb = -1,
        };
}

void job_accept(struct job *job, bool start_now, int64_t now_ms)
{
        bool later = job->run_at_ms > now_ms;

        assert(job->state == JOB_DRAFT && (!later || !start_now));
        job->runner = job_target_runner(job->request.target);
        job->created_ms = now_ms;
        if (!later)
                job->run_at_ms = now_ms;
        job_move(job, later ? JOB_SCHEDULED : start_now ? JOB_RUNNING : JOB_READY, now_ms);
        if (start_now)
                job_begin_run(job, now_ms);
}

void job_due(struct job *job, int64_t now_ms)
{
        assert(job->state == JOB_SCHEDULED);
        job_move(job, JOB_READY, now_ms);
}

void job_start(struct job *job, int64_t now_ms)
{
        assert(job->state == JOB_READY);
        job_move(job, JOB_RUNNING, now_ms);
        job_begin_run(job, now_ms);
}

/* ---- what an answer means ---- */

bool job_status_succeeds(int status)
{
        return status >= 200 && status < 400;
}

static void judge_program(struct job_run *run, struct retry_advice *advice)
{
        bool later = run->exit_code == EXIT_TRY_LATER;

        run->outcome = run->exit_code == 0 ? RUN_SUCCEEDED : RUN_FAILED;
        if (later && advice->wish == RETRY_UNSAID)
                advice->wish = RETRY_ASKED;
        if (run->outcome == RUN_FAILED && !run->reason[0])
                snprintf(run->reason, sizeof(run->reason), "the program ended with exit code %d%s",
                         run->exit_code, later ? ": try again later" : "");
}

void job_judge(enum job_runner runner, struct job_run *run, struct retry_advice *advice)
{
        if ((run->outcome != RUN_SUCCEEDED && run->outcome != RUN_FAILED) || run->may_pass)
                return;
        if (runner == JOB_EXEC) {
                judge_program(run, advice);
                return;
        }
        if (!run->status)
                return; /* never answered: the runner has said why */
        run->outcome = (runner == JOB_HTTP ? run->status >= 200 && run->status < 300
                                           : job_status_succeeds(run->status))
                               ? RUN_SUCCEEDED
                               : RUN_FAILED;
        run->may_pass = run->outcome == RUN_FAILED && retry_status(run->status);
        if (run->outcome == RUN_FAILED && !run->reason[0])
                snprintf(run->reason, sizeof(run->reason), "the %s answered %d",
                         runner == JOB_HTTP ? "target" : "script", run->status);
}

/* ---- the end of a run ---- */

/* Puts what became of the job behind the run's own reason, which is cut between characters when it is too
 * long. */
__attribute__((format(printf, 2, 3))) static void add_reason(struct job *job, const char *format, ...)
{
        char *reason = job->run.reason;
        size_t len = strnlen(reason, REASON_KEPT_MAX);
        va_list args;

        if (len == REASON_KEPT_MAX)
                while (len > 0 && ((unsigned char)reason[len] & 0xc0) == 0x80)
                        len--;
        reason[len] = '\0';
        if (len > 0)
                len += (size_t)snprintf(reason + len, JOB_REASON_MAX - len, "; ");
        va_start(args, format);
        vsnprintf(reason + len, JOB_REASON_MAX - len, format, args);
        va_end(args);
}

static bool runs_used_up(struct job *job)
{
        if (job->run.number < JOB_RUNS_MAX)
                return false;
        add_reason(job, "run %u of at most %d, not run again", job->run.number, JOB_RUNS_MAX);
        return true;
}

static enum job_state after_crash(struct job *job)
{
        job->crashes++;
        if (job->cancel_asked)
                return JOB_CANCELLED;
        if (job->options.on_crash == JOB_CRASH_END)
                return JOB_DEAD;
        if (job->crashes >= JOB_CRASHES_MAX && job->options.on_crash != JOB_CRASH_HOLD) {
                add_reason(job, "crash %u of at most %d, not run again", job->crashes, JOB_CRASHES_MAX);
                return JOB_DEAD;
        }
        if (runs_used_up(job))
                return JOB_DEAD;
        return job->options.on_crash == JOB_CRASH_HOLD ? JOB_HELD : JOB_READY;
}

/* A run that was killed by the shutdown has done a part of its work, one that never began has not. */
static enum job_state after_put_back(struct job *job, const struct job_run *run)
{
        if (job->cancel_asked)
                return JOB_CANCELLED;
        if (job->options.on_crash == JOB_CRASH_END || runs_used_up(job))
                return JOB_DEAD;
        return job->options.on_crash == JOB_CRASH_HOLD && !run->untouched ? JOB_HELD : JOB_READY;
}

/* Worth another try: it asked for it, or it is a failure that may pass where those count. */
static bool wants_retry(const struct job *job, const struct job_ending *ending)
{
        bool timed_out = ending->run->outcome == RUN_STOPPED &&
                         (ending->run->connection_status & CONNECTION_TIMED_OUT);

        if (job->cancel_asked || ending->advice.wish == RETRY_NO)
                return false;
        if (ending->advice.wish == RETRY_ASKED && ending->run->outcome == RUN_FAILED)
                return true;
        return ending->policy.any_failure && (timed_out || ending->run->may_pass);
}

static enum job_state after_failure(struct job *job, const struct job_ending *ending, int64_t now_ms)
{
        if (job->cancel_asked)
                return JOB_CANCELLED;
        if (!wants_retry(job, ending))
                return JOB_FAILED;
        if (job->retries >= ending->policy.max) {
                if (ending->policy.max == 0)
                        return JOB_FAILED;
                add_reason(job, "retry %u of at most %u, not run again", job->retries, ending->policy.max);
                return JOB_DEAD;
        }
        if (runs_used_up(job))
                return JOB_DEAD;
        job->retries++;
        job->run_at_ms =
                now_ms + retry_pause_ms(&ending->policy, job->retries, &ending->advice, ending->random);
        return JOB_SCHEDULED;
}

static enum job_state next_state(struct job *job, const struct job_ending *ending, int64_t now_ms)
{
        switch (ending->run->outcome) {
        case RUN_SUCCEEDED:
                return JOB_SUCCEEDED;
        case RUN_CRASHED:
                return after_crash(job);
        case RUN_PUT_BACK:
                return after_put_back(job, ending->run);
        case RUN_STOPPED:
        case RUN_FAILED:
                return after_failure(job, ending, now_ms);
        case RUN_NONE:
        case RUN_OUTCOMES:
                break;
        }
        assert(!"a run that has ended has an outcome");
        return JOB_FAILED;
}

void job_run_ended(struct job *job, const struct job_ending *ending, int64_t now_ms)
{
        uint32_t number = job->run.number;
        int64_t started_ms = job->run.started_ms;

        assert(job->state == JOB_RUNNING);
        job->run = *ending->run;
        job->run.number = number;
        job->run.started_ms = started_ms;
        job->run.ended_ms = now_ms;
        job_move(job, next_state(job, ending, now_ms), now_ms);
}

/* ---- what people ask ---- */

int job_cancel(struct job *job, int64_t now_ms)
{
        if (job_state_is_final(job->state))
                return JOB_ALREADY_FINAL;
        if (job->state == JOB_RUNNING) {
                job->cancel_asked = true;
                return JOB_CANCEL_ASKED;
        }
        job_move(job, JOB_CANCELLED, now_ms);
        return 0;
}

int job_retry(struct job *job, int64_t now_ms)
{
        if (job_state_is_final(job->state))
                return JOB_ALREADY_FINAL;
        assert(job->state != JOB_DRAFT);
        if (job->state == JOB_READY || job->state == JOB_RUNNING)
                return JOB_UNDER_WAY;
        if (job->state == JOB_HELD)
                job->crashes = 0;
        job->run_at_ms = now_ms;
        job_move(job, JOB_READY, now_ms);
        return 0;
}

static void copy_text(char **to, const char *from)
{
        free(*to);
        *to = mem_dup(from);
}

struct job *job_again(struct job *from)
{
        struct job *job = job_new();

        copy_text(&job->queue, from->queue);
        copy_text(&job->request.method, from->request.method);
        copy_text(&job->request.target, from->request.target);
        copy_text(&job->request.headers, from->request.headers);
        copy_text(&job->request.host, from->request.host);
        copy_text(&job->request.remote, from->request.remote);
        copy_text(&job->request.local, from->request.local);
        spool_fini(&job->request.body);
        spool_move(&job->request.body, &from->request.body);
        job_options_fini(&job->options);
        job_options_copy(&job->options, &from->options);
        if (job->options.on_crash == JOB_CRASH_END)
                job->options.on_crash = -1;
        memcpy(job->links.retry_of, from->id.text, sizeof(job->links.retry_of));
        memcpy(job->links.then_of, from->links.then_of, sizeof(job->links.then_of));
        return job;
}

unsigned job_then_targets(const struct job *job, const char *out[2])
{
        const char *own =
                job->options.then[job->state == JOB_SUCCEEDED ? JOB_THEN_SUCCESS : JOB_THEN_FAILURE];
        const char *always = job->options.then[JOB_THEN_ALWAYS];
        unsigned n = 0;

        if (!job_state_is_final(job->state))
                return 0;
        if (own)
                out[n++] = own;
        if (always && (!own || strcmp(own, always) != 0))
                out[n++] = always;
        return n;
}
