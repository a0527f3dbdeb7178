/* At start: every job that stands as running was cut short by the end of the server before. Each is judged
 * like any other crash (job/job.c), with what comes then, before the doors open. */
#include "server/jobs_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

struct blocking {
        struct store_op op;
        bool done;
};

static void blocking_done(struct store_op *op)
{
        struct blocking *b = op->arg;

        b->done = true;
}

/* Only before the doors are open: runs the loop until the store has answered. */
static int store_wait(struct jobs *jobs, struct blocking *b)
{
        b->op.done = blocking_done;
        b->op.arg = b;
        b->done = false;
        store_submit(jobs->config.store, &b->op);
        while (!b->done)
                uv_run(jobs->config.loop, UV_RUN_ONCE);
        return b->op.status;
}

static void judge(struct jobs *jobs, struct job *job)
{
        struct job_run how = { .outcome = RUN_CRASHED, .exit_code = -1, .cpu_ms = -1, .peak_rss_kb = -1 };
        const struct job_ending ending = { .run = &how, .policy = jobs_policy(jobs, job) };

        if (job->options.on_crash == JOB_CRASH_END && job->cancel_asked)
                how.connection_status = CONNECTION_ABORTED;
        snprintf(how.reason, sizeof(how.reason),
                 "the server ended while run %u was under way (killed, crashed, or the machine went down)",
                 job->run.number);
        job_run_ended(job, &ending, clock_real_ms());
        log_say(LOG_WARN, "server", "a run was cut short by the server's end",
                "job=%s run=%u crashes=%u state=%s", job->id.text, job->run.number, job->crashes,
                job_state_name(job->state));
}

static int recover_one(struct jobs *jobs, const struct job_id *id, struct cause *cause)
{
        struct blocking b = { .op = { .kind = STORE_GET } };
        struct job *then[2] = { NULL, NULL };
        int r;

        b.op.job = job_new();
        b.op.job->id = *id;
        r = store_wait(jobs, &b);
        if (r == 0) {
                judge(jobs, b.op.job);
                b.op.kind = STORE_UPDATE;
                b.op.now_ms = clock_real_ms();
                b.op.added = then;
                b.op.added_count = jobs_make_then(jobs, b.op.job, then);
                r = store_wait(jobs, &b);
        }
        if (r != 0)
                cause_set(cause, r, "job %s could not be recovered: %s", id->text, b.op.cause.text);
        for (unsigned i = 0; i < b.op.added_count; i++)
                job_free(then[i]);
        job_free(b.op.job);
        return r == 0 ? 0 : -1;
}

static int read_stats(struct jobs *jobs, struct store_stats *stats, struct cause *cause)
{
        struct blocking b = { .op = { .kind = STORE_STATS } };

        if (store_wait(jobs, &b) != 0)
                return cause_set(cause, -1, "the jobs could not be counted: %s", b.op.cause.text);
        *stats = b.op.stats;
        return 0;
}

static int recover_running(struct jobs *jobs, struct cause *cause)
{
        struct blocking b = { .op = { .kind = STORE_RUNNING } };
        int r;

        b.op.ready.limit = STORE_LIST_MAX;
        do {
                r = store_wait(jobs, &b);
                if (r != 0)
                        return cause_set(cause, -1, "the running jobs could not be read: %s",
                                         b.op.cause.text);
                for (uint32_t i = 0; i < b.op.ready.count && r == 0; i++) {
                        r = recover_one(jobs, &b.op.ready.ids[i], cause);
                        b.op.ready.after = b.op.ready.ids[i].seq;
                }
                free(b.op.ready.ids);
                b.op.ready.ids = NULL;
                if (r < 0)
                        return r;
        } while (b.op.ready.count == b.op.ready.limit);
        return 0;
}

int jobs_recover(struct jobs *jobs, struct cause *cause)
{
        struct store_stats stats;
        int r = read_stats(jobs, &stats, cause);

        if (r == 0) {
                jobs->seq = stats.seq_max; /* what comes then gets numbers */
                r = recover_running(jobs, cause);
        }
        if (r == 0)
                r = read_stats(jobs, &stats, cause);
        if (r < 0)
                return r;
        memcpy(jobs->counts, stats.jobs, sizeof(jobs->counts));
        jobs->bytes = stats.unfinished_bytes;
        for (int i = 0; i < JOB_RUNNERS; i++)
                jobs->lanes[i].window.more = stats.ready[i] > 0;
        return 0;
}
