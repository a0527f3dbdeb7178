/* The pure core: states, legal edges, and what an event does to a job. See the picture in job.h. Everything
 * here can be walked at random without a socket or a disk (tests/job). */
#include "job/job.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

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
        job->created_ms = now_ms;
        job->run_at_ms = now_ms;
        job_move(job, start_now ? JOB_RUNNING : JOB_READY, now_ms);
        if (start_now)
                job_begin_run(job, now_ms);
}

void job_start(struct job *job, int64_t now_ms)
{
        job_move(job, JOB_RUNNING, now_ms);
        job_begin_run(job, now_ms);
}

bool job_status_succeeds(int status)
{
        return status >= 200 && status < 400;
}

static enum job_state job_after_crash(struct job *job)
{
        char why[JOB_REASON_MAX];

        job->crashes++;
        if (job->cancel_asked)
                return JOB_CANCELLED;
        if (job->crashes < JOB_CRASHES_MAX)
                return JOB_READY;
        memcpy(why, job->run.reason, sizeof(why));
        snprintf(job->run.reason, sizeof(job->run.reason), "%.400s; crash %u of at most %d, not run again",
                 why, job->crashes, JOB_CRASHES_MAX);
        return JOB_DEAD;
}

void job_run_ended(struct job *job, const struct job_run *run, int64_t now_ms)
{
        struct job_run ended = *run;
        enum job_state next = JOB_FAILED;

        ended.number = job->run.number;
        ended.started_ms = job->run.started_ms;
        ended.ended_ms = now_ms;
        job->run = ended;
        switch (ended.outcome) {
        case RUN_SUCCEEDED:
                next = JOB_SUCCEEDED;
                break;
        case RUN_CRASHED:
                next = job_after_crash(job);
                break;
        case RUN_PUT_BACK:
                next = job->cancel_asked ? JOB_CANCELLED : JOB_READY;
                break;
        case RUN_STOPPED:
                next = job->cancel_asked ? JOB_CANCELLED : JOB_FAILED;
                break;
        case RUN_FAILED:
        case RUN_NONE:
        case RUN_OUTCOMES:
                next = JOB_FAILED;
                break;
        }
        if (next == JOB_READY && job->run.number >= JOB_RUNS_MAX) {
                snprintf(job->run.reason, sizeof(job->run.reason), "run %u of at most %d, not run again",
                         job->run.number, JOB_RUNS_MAX);
                next = JOB_DEAD;
        }
        job_move(job, next, now_ms);
}

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
