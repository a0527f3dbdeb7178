/* The end of a run: what becomes of the job (job/job.c decides), what comes then, and the store's word on it.
 * The good path: one UPDATE with the outcome, the output, the log and the jobs that tell of it, all in one
 * commit; then whoever waits is told. When the store refuses, the end is kept in memory and tried again until
 * it fits. */
#include "server/jobs_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "net/http1.h"
#include "server/job_json.h"

struct retry_policy jobs_policy(const struct jobs *jobs, const struct job *job)
{
        const struct config *config = jobs->config.config;
        const struct job_options *o = &job->options;

        return (struct retry_policy){
                .max = o->on_crash == JOB_CRASH_END
                               ? 0 /* nobody was promised that */
                               : (uint32_t)entry_option(o->retries, (int64_t)config->retries),
                .any_failure = job->runner == JOB_HTTP || o->retries >= 0,
                .backoff_ms = entry_option(o->backoff_ms, config->retry_backoff_ms),
                .backoff_max_ms = entry_option(o->backoff_max_ms, config->retry_backoff_max_ms),
        };
}

unsigned jobs_retries_max(const struct jobs *jobs, const struct job *job)
{
        return jobs_policy(jobs, job).max;
}

/* ---- what comes then ---- */

static int then_body(struct job *then, const struct job *job, unsigned retries_max)
{
        char *text = job_json_text(job_json_outcome(job, retries_max));
        size_t len = text ? strlen(text) : 0;
        int r;

        spool_fini(&then->request.body);
        spool_init(&then->request.body, -1, len, len);
        r = text ? spool_write(&then->request.body, text, len) : -ENOMEM;
        free(text);
        return r;
}

static void replace(char **at, const char *with)
{
        free(*at);
        *at = mem_dup(with);
}

static struct job *then_job(struct jobs *jobs, const struct job *job, const char *target)
{
        struct job *then = job_new();

        if (then_body(then, job, jobs_policy(jobs, job).max) != 0)
                log_say(LOG_ERROR, "server", "out of memory for the outcome of a job", "job=%s",
                        job->id.text);
        replace(&then->request.method, "POST");
        replace(&then->request.target, target);
        replace(&then->request.headers, "Content-Type: application/json\r\n");
        if (job_target_runner(target) == JOB_FASTCGI)
                replace(&then->request.host, job->runner == JOB_FASTCGI && job->request.host[0]
                                                     ? job->request.host
                                             : jobs->host ? jobs->host
                                                          : "localhost");
        replace(&then->request.remote, "unix:");
        replace(&then->request.local, job->request.local);
        replace(&then->queue, job->queue);
        memcpy(then->links.then_of, job->id.text, sizeof(then->links.then_of));
        jobs_number(jobs, then);
        job_accept(then, false, clock_real_ms());
        return then;
}

unsigned jobs_make_then(struct jobs *jobs, const struct job *job, struct job *out[2])
{
        const char *targets[2];
        unsigned count = job_then_targets(job, targets);

        for (unsigned i = 0; i < count; i++)
                out[i] = then_job(jobs, job, targets[i]);
        return count;
}

void jobs_added_then(struct jobs *jobs, struct job **then, unsigned count)
{
        for (unsigned i = 0; i < count; i++) {
                jobs_count_move(jobs, JOB_DRAFT, JOB_READY, then[i]->request.body.len);
                jobs_queue(jobs, then[i]->runner, &then[i]->id, true);
                job_free(then[i]);
                then[i] = NULL;
        }
}

/* ---- storing ---- */

static void drop_then(struct entry *e)
{
        for (unsigned i = 0; i < e->op.added_count; i++) {
                job_free(e->then[i]);
                e->then[i] = NULL;
        }
        e->op.added_count = 0;
}

static void entry_unsaved(struct entry *e, const char *why)
{
        struct jobs *jobs = e->jobs;

        e->phase = ENTRY_UNSAVED;
        DL_APPEND(jobs->unsaved, e);
        if (uv_is_active((uv_handle_t *)&jobs->retry))
                return;
        log_say(LOG_ERROR, "store", "the end of a run could not be stored; tried again until it can",
                "job=%s why=\"%s\"", e->job->id.text, why);
        uv_timer_start(&jobs->retry, jobs_retry_unsaved, UNSAVED_RETRY_MS, 0);
}

static void entry_saved(struct store_op *op)
{
        struct entry *e = op->arg;
        struct jobs *jobs = e->jobs;
        enum job_state state = e->job->state;
        uint64_t seq = e->seq;
        bool good;

        jobs->under_way--;
        if (op->status != 0 && op->status != STORE_CONFLICT && op->status != STORE_NOT_FOUND) {
                drop_then(e);
                entry_unsaved(e, op->cause.text);
                return;
        }
        good = op->status == 0;
        jobs_count_move(jobs, JOB_RUNNING, state, e->job->request.body.len);
        if (good)
                jobs_added_then(jobs, e->then, op->added_count);
        else
                drop_then(e);
        if (good && state == JOB_READY)
                jobs_queue(jobs, e->job->runner, &e->job->id, false);
        if (good && state == JOB_SCHEDULED)
                jobs_due_at(jobs, e->job->run_at_ms);
        entry_free(e);
        if (job_state_is_final(state) || !good)
                jobs_notify(jobs, seq);
        jobs_turn(jobs);
        jobs_check_idle(jobs);
}

void entry_save(struct entry *e)
{
        struct jobs *jobs = e->jobs;

        if (e->unlisted) {
                entry_forget(e);
                return;
        }
        e->phase = ENTRY_ENDING;
        e->op.kind = STORE_UPDATE;
        e->op.job = e->job;
        e->op.now_ms = clock_real_ms();
        e->op.expect = JOB_DRAFT;
        e->op.added = e->then;
        e->op.added_count = jobs_make_then(jobs, e->job, e->then);
        e->op.done = entry_saved;
        jobs->under_way++;
        store_submit(jobs->config.store, &e->op);
}

void jobs_retry_unsaved(uv_timer_t *timer)
{
        struct jobs *jobs = timer->data;
        struct entry *list = jobs->unsaved, *e;

        jobs->unsaved = NULL;
        while (list) {
                e = list;
                DL_DELETE(list, e);
                entry_save(e);
        }
}

/* ---- the end ---- */

static void log_end(struct entry *e)
{
        const struct job *job = e->job;
        bool good = job->state == JOB_SUCCEEDED;
        char status[64] = "";

        if (job->run.status)
                snprintf(status, sizeof(status), ", status %d", job->run.status);
        else if (job->run.exit_code >= 0)
                snprintf(status, sizeof(status), ", exit code %d", job->run.exit_code);
        run_log_flush(&e->log, job->run.ended_ms);
        run_log_say(&e->log, !good, job->run.ended_ms, "run %u %s%s%s%s; the job is %s", job->run.number,
                    run_outcome_name(job->run.outcome), status, job->run.reason[0] ? ": " : "",
                    job->run.reason, job_state_name(job->state));
        if (!good)
                log_say(LOG_INFO, "run", "run did not succeed",
                        "job=%s run=%u outcome=\"%s\" state=%s why=\"%s\"", job->id.text, job->run.number,
                        run_outcome_name(job->run.outcome), job_state_name(job->state), job->run.reason);
}

void entry_add_text(struct job *job, const struct run_log *log)
{
        struct buf text;

        if (!log->worth_keeping)
                return;
        buf_init(&text, RUN_LOG_HEAD + RUN_LOG_TAIL + 256);
        if (run_log_text(log, &text) == 0) {
                free(job->reply.log);
                job->reply.log = buf_take(&text);
        }
        buf_fini(&text);
}

void entry_ended(struct entry *e, const struct job_run *how)
{
        struct job_run run = *how;
        struct job_ending ending = { .run = &run };
        unsigned char random[4];

        if (e->adopted && (run.connection_status & CONNECTION_ABORTED))
                e->job->cancel_asked = true; /* its caller's hang-up is what cancelling is for a job */
        job_judge(e->job->runner, &run, &e->advice);
        if (random_bytes(random, sizeof(random)) < 0)
                abort();
        memcpy(&ending.random, random, sizeof(random));
        ending.advice = e->advice;
        ending.policy = jobs_policy(e->jobs, e->job);
        job_run_ended(e->job, &ending, clock_real_ms());
        log_end(e);
        entry_add_text(e->job, &e->log);
        e->over = true;
        if (e->phase != ENTRY_ADDING)
                entry_save(e);
}
