/* Questions about jobs, cancelling, watches, and recovery at start: the other half of jobs.h. Every question
 * is one operation of the store; a cancel of a running job is decided in memory. */
#include "server/jobs_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define PURGE_FIRST_MS 1000

/* ---- life ---- */

int jobs_new(struct jobs **out, const struct jobs_config *config, struct cause *cause)
{
        struct jobs *jobs = mem_alloc(sizeof(*jobs));

        (void)cause;
        jobs->config = *config;
        uv_timer_init(config->loop, &jobs->retry);
        uv_timer_init(config->loop, &jobs->again);
        uv_timer_init(config->loop, &jobs->purge);
        jobs->retry.data = jobs->again.data = jobs->purge.data = jobs;
        *out = jobs;
        return 0;
}

void jobs_use(struct jobs *jobs, struct dispatcher *dispatcher)
{
        jobs->dispatcher = dispatcher;
        uv_timer_start(&jobs->purge, jobs_purge, PURGE_FIRST_MS, PURGE_EVERY_MS);
        jobs_turn(jobs);
}

static void close_timer(uv_timer_t *timer)
{
        if (!uv_is_closing((uv_handle_t *)timer))
                uv_close((uv_handle_t *)timer, NULL);
}

void jobs_close(struct jobs *jobs)
{
        close_timer(&jobs->retry);
        close_timer(&jobs->again);
        close_timer(&jobs->purge);
}

void jobs_free(struct jobs *jobs)
{
        struct watch_slot *slot, *next;

        if (!jobs)
                return;
        HASH_ITER (hh, jobs->watches, slot, next) {
                HASH_DELETE(hh, jobs->watches, slot);
                free(slot);
        }
        free(jobs);
}

const uint64_t *jobs_counts(const struct jobs *jobs)
{
        return jobs->counts;
}

/* ---- watches ---- */

void jobs_watch(struct jobs *jobs, struct jobs_watch *watch)
{
        struct watch_slot *slot;

        HASH_FIND(hh, jobs->watches, &watch->seq, sizeof(watch->seq), slot);
        if (!slot) {
                slot = mem_alloc(sizeof(*slot));
                slot->seq = watch->seq;
                HASH_ADD(hh, jobs->watches, seq, sizeof(slot->seq), slot);
        }
        DL_APPEND(slot->list, watch);
        watch->on = true;
}

static void slot_drop_when_empty(struct jobs *jobs, struct watch_slot *slot)
{
        if (slot->list)
                return;
        HASH_DELETE(hh, jobs->watches, slot);
        free(slot);
}

void jobs_unwatch(struct jobs *jobs, struct jobs_watch *watch)
{
        struct watch_slot *slot;

        if (!watch->on)
                return;
        watch->on = false;
        HASH_FIND(hh, jobs->watches, &watch->seq, sizeof(watch->seq), slot);
        if (!slot)
                return;
        DL_DELETE(slot->list, watch);
        slot_drop_when_empty(jobs, slot);
}

static void slot_fire(struct jobs *jobs, struct watch_slot *slot)
{
        struct jobs_watch *list = slot->list, *watch;

        HASH_DELETE(hh, jobs->watches, slot);
        free(slot);
        DL_FOREACH (list, watch)
                watch->on = false;
        while (list) {
                watch = list;
                DL_DELETE(list, watch);
                watch->ended(watch);
        }
}

void jobs_notify(struct jobs *jobs, uint64_t seq)
{
        struct watch_slot *slot;

        HASH_FIND(hh, jobs->watches, &seq, sizeof(seq), slot);
        if (slot)
                slot_fire(jobs, slot);
}

void jobs_notify_all(struct jobs *jobs)
{
        while (jobs->watches)
                slot_fire(jobs, jobs->watches);
}

/* ---- questions ---- */

struct call {
        struct store_op op;
        struct jobs *jobs;
        jobs_found *found;
        jobs_listed *listed;
        void *arg;
};

static struct call *call_new(struct jobs *jobs, enum store_kind kind, void (*done)(struct store_op *op),
                             void *arg)
{
        struct call *call = mem_alloc(sizeof(*call));

        call->jobs = jobs;
        call->arg = arg;
        call->op.kind = kind;
        call->op.done = done;
        call->op.arg = call;
        call->op.now_ms = clock_real_ms();
        return call;
}

static void call_submit(struct call *call)
{
        call->jobs->under_way++;
        store_submit(call->jobs->config.store, &call->op);
}

static void call_found(struct store_op *op)
{
        struct call *call = op->arg;
        struct jobs *jobs = call->jobs;

        jobs->under_way--;
        if (op->status == 0) {
                call->found(call->arg, 0, op->job, NULL);
        } else {
                job_free(op->job);
                call->found(call->arg, op->status, NULL, op->cause.text);
        }
        free(call);
        jobs_check_idle(jobs);
}

void jobs_get(struct jobs *jobs, const struct job_id *id, bool want_reply, jobs_found *done, void *arg)
{
        struct call *call = call_new(jobs, STORE_GET, call_found, arg);

        call->found = done;
        call->op.job = job_new();
        call->op.job->id = *id;
        call->op.want_reply = want_reply;
        call_submit(call);
}

static void call_listed(struct store_op *op)
{
        struct call *call = op->arg;
        struct jobs *jobs = call->jobs;

        jobs->under_way--;
        call->listed(call->arg, op->status, &op->list, op->cause.text);
        free(call);
        jobs_check_idle(jobs);
}

void jobs_list(struct jobs *jobs, uint32_t states, uint64_t before_seq, uint32_t limit, jobs_listed *done,
               void *arg)
{
        struct call *call = call_new(jobs, STORE_LIST, call_listed, arg);

        call->listed = done;
        call->op.list.states = states;
        call->op.list.before_seq = before_seq;
        call->op.list.limit = limit;
        call_submit(call);
}

/* ---- cancelling ---- */

static int cancel_status(const struct store_op *op)
{
        if (op->status == 0)
                return 204;
        if (op->status == STORE_NOT_FOUND)
                return 404;
        if (op->status == STORE_CONFLICT)
                return job_state_is_final(op->job->state) ? 409 : 202;
        return op->status == STORE_NO_SPACE ? 507 : 503;
}

static void call_cancelled(struct store_op *op)
{
        struct call *call = op->arg;
        struct jobs *jobs = call->jobs;
        int status = cancel_status(op);
        uint64_t seq = op->job->id.seq;

        jobs->under_way--;
        if (status == 204)
                jobs_count_move(jobs, JOB_READY, JOB_CANCELLED, op->job->request.body.len);
        if (status == 404 || status == 503 || status == 507) {
                job_free(op->job);
                op->job = NULL;
        }
        call->found(call->arg, status, op->job, op->cause.text);
        free(call);
        if (status == 204)
                jobs_notify(jobs, seq);
        jobs_check_idle(jobs);
}

/* A job in motion is ended in memory; the record is then asked for, so that the answer shows what is stored.
 */
static void call_stopped(struct store_op *op)
{
        struct call *call = op->arg;
        struct jobs *jobs = call->jobs;

        jobs->under_way--;
        if (op->status != 0) {
                job_free(op->job);
                op->job = NULL;
        }
        call->found(call->arg,
                    op->status == 0                 ? 202
                    : op->status == STORE_NOT_FOUND ? 404
                                                    : 503,
                    op->job, op->cause.text);
        free(call);
        jobs_check_idle(jobs);
}

static bool entry_cancel(struct entry *e)
{
        if (e->phase == ENTRY_STARTING) {
                e->cancel_asked = true;
                return true;
        }
        if (e->job->state != JOB_RUNNING)
                return false;
        if (job_cancel(e->job, clock_real_ms()) == JOB_CANCEL_ASKED && e->run)
                run_stop(e->run, "cancelled");
        return true;
}

void jobs_cancel(struct jobs *jobs, const struct job_id *id, jobs_found *done, void *arg)
{
        struct entry *e;
        struct call *call;
        bool running;

        HASH_FIND(hh, jobs->entries, &id->seq, sizeof(id->seq), e);
        running = e && job_id_eq(&e->job->id, id) && entry_cancel(e);
        call = call_new(jobs, running ? STORE_GET : STORE_CANCEL, running ? call_stopped : call_cancelled,
                        arg);
        call->found = done;
        call->op.job = job_new();
        call->op.job->id = *id;
        call_submit(call);
}

const char *jobs_waiting_for(struct jobs *jobs, const struct job *job, char *out, size_t size)
{
        const struct dispatch *counts = dispatcher_counts(jobs->dispatcher);

        if (job->state == JOB_READY)
                snprintf(out, size, "a worker: %u of %u for jobs busy", counts->jobs,
                         dispatch_job_limit(counts));
        else if (job->state == JOB_HELD)
                snprintf(out, size, "a person");
        else
                return NULL;
        return out;
}

/* ---- recovery ---- */

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

static int recover_one(struct jobs *jobs, const struct job_id *id, struct cause *cause)
{
        struct job_run how = { .outcome = RUN_CRASHED, .exit_code = -1, .cpu_ms = -1, .peak_rss_kb = -1 };
        struct blocking b = { .op = { .kind = STORE_GET } };
        int r;

        b.op.job = job_new();
        b.op.job->id = *id;
        r = store_wait(jobs, &b);
        if (r == 0) {
                snprintf(how.reason, sizeof(how.reason),
                         "the server ended while run %u was under way (killed, crashed, or the machine went "
                         "down)",
                         b.op.job->run.number);
                job_run_ended(b.op.job, &how, clock_real_ms());
                log_say(LOG_WARN, "server", "a run was cut short by the server's end",
                        "job=%s run=%u crashes=%u state=%s", id->text, b.op.job->run.number,
                        b.op.job->crashes, job_state_name(b.op.job->state));
                b.op.kind = STORE_UPDATE;
                b.op.now_ms = clock_real_ms();
                r = store_wait(jobs, &b);
        }
        if (r != 0)
                cause_set(cause, r, "job %s could not be recovered: %s", id->text, b.op.cause.text);
        job_free(b.op.job);
        return r == 0 ? 0 : -1;
}

int jobs_recover(struct jobs *jobs, struct cause *cause)
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
        b = (struct blocking){ .op = { .kind = STORE_STATS } };
        r = store_wait(jobs, &b);
        if (r != 0)
                return cause_set(cause, -1, "the jobs could not be counted: %s", b.op.cause.text);
        memcpy(jobs->counts, b.op.stats.jobs, sizeof(jobs->counts));
        jobs->bytes = b.op.stats.unfinished_bytes;
        jobs->seq = b.op.stats.seq_max;
        jobs->window.more = jobs->counts[JOB_READY] > 0;
        return 0;
}
