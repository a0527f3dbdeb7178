/* See rig.h. */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

static const struct retry_policy none_left = { .max = 0, .backoff_ms = 1000, .backoff_max_ms = 60000 };

struct job_run ended(enum run_outcome outcome, const char *reason)
{
        struct job_run run = { .outcome = outcome, .exit_code = -1, .cpu_ms = 7, .peak_rss_kb = 8 };

        snprintf(run.reason, sizeof(run.reason), "%s", reason);
        return run;
}

void target_of(struct job *job, const char *target)
{
        free(job->request.target);
        job->request.target = mem_dup(target);
}

struct job *running_job(void)
{
        struct job *job = job_new();

        target_of(job, "/a.php");
        job_accept(job, true, 1000);
        return job;
}

void end_run(struct job *job, enum run_outcome outcome, const char *reason, int64_t now_ms)
{
        struct job_run run = ended(outcome, reason);
        struct job_ending ending = { .run = &run, .policy = none_left };

        job_run_ended(job, &ending, now_ms);
}

struct job *job_in(enum job_state state)
{
        struct job *job = job_new();

        target_of(job, "/a.php");
        if (state == JOB_DRAFT)
                return job;
        if (state == JOB_SCHEDULED)
                job->run_at_ms = 5000;
        job_accept(job, state != JOB_SCHEDULED && state != JOB_READY && state != JOB_CANCELLED, 1000);
        if (state == JOB_CANCELLED)
                assert_int_equal(job_cancel(job, 2000), 0);
        if (state == JOB_SUCCEEDED)
                end_run(job, RUN_SUCCEEDED, "", 2000);
        if (state == JOB_FAILED)
                end_run(job, RUN_FAILED, "why", 2000);
        if (state == JOB_DEAD || state == JOB_HELD) {
                job->options.on_crash = state == JOB_HELD ? JOB_CRASH_HOLD : JOB_CRASH_END;
                end_run(job, RUN_CRASHED, "why", 2000);
        }
        assert_int_equal(job->state, state);
        return job;
}
