/* Questions and wishes about jobs, and watches: the other half of jobs.h. A question is one operation of the
 * store. A wish (cancel, retry) reads the job, lets job/job.c decide, and writes it back if it is still in
 * the same state; else it begins again. */
#include "server/jobs_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define PURGE_FIRST_MS 1000
#define WISH_TRIES     8 /* against a job that keeps changing its state meanwhile */
#define LOG_TEXT_MAX   (4 << 20)

/* ---- life ---- */

int jobs_new(struct jobs **out, const struct jobs_config *config, struct cause *cause)
{
        struct jobs *jobs = mem_alloc(sizeof(*jobs));

        (void)cause;
        jobs->config = *config;
        uv_timer_init(config->loop, &jobs->retry);
        uv_timer_init(config->loop, &jobs->again);
        uv_timer_init(config->loop, &jobs->purge);
        uv_timer_init(config->loop, &jobs->due);
        jobs->retry.data = jobs->again.data = jobs->purge.data = jobs->due.data = jobs;
        *out = jobs;
        return 0;
}

void jobs_use(struct jobs *jobs, const struct jobs_desks *desks)
{
        jobs->desks = *desks;
        uv_timer_start(&jobs->purge, jobs_purge, PURGE_FIRST_MS, PURGE_EVERY_MS);
        jobs_due_at(jobs, 1);
        jobs_turn(jobs);
}

void jobs_set_host(struct jobs *jobs, const char *host)
{
        free(jobs->host);
        jobs->host = mem_dup(host);
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
        close_timer(&jobs->due);
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
        free(jobs->host);
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

void jobs_notify_line(struct jobs *jobs, uint64_t seq, struct slice line)
{
        struct watch_slot *slot;
        struct jobs_watch *watch, *next;

        if (!jobs->watches)
                return;
        HASH_FIND(hh, jobs->watches, &seq, sizeof(seq), slot);
        if (!slot)
                return;
        DL_FOREACH_SAFE (slot->list, watch, next)
                if (watch->line)
                        watch->line(watch, line);
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
        jobs_logged *logged;
        void *arg;
        void (*wish)(struct call *call);
        struct job *then[2];
        unsigned tries;
        int status; /* to answer once it is written */
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

static void call_free(struct call *call)
{
        for (uint32_t i = 0; i < call->op.log_count; i++)
                free(call->op.logs[i].text);
        free(call->op.logs);
        free(call);
}

/* The end of a call: the job, where there is one, becomes the callee's. */
static void call_answer(struct call *call, int status, const char *why)
{
        struct jobs *jobs = call->jobs;

        call->found(call->arg, status, call->op.job, why);
        call_free(call);
        jobs_check_idle(jobs);
}

static void call_fail(struct call *call, int status)
{
        job_free(call->op.job);
        call->op.job = NULL;
        call_answer(call, status, call->op.cause.text);
}

static struct entry *entry_of(struct jobs *jobs, const struct job_id *id)
{
        struct entry *e;

        HASH_FIND(hh, jobs->entries, &id->seq, sizeof(id->seq), e);
        return e && job_id_eq(&e->job->id, id) ? e : NULL;
}

/* What memory knows better than the disk. */
static void overlay(struct jobs *jobs, struct job *job)
{
        struct entry *e = entry_of(jobs, &job->id);

        if (e && e->run && job->state == JOB_RUNNING)
                job->progress = e->job->progress;
}

static void call_found(struct store_op *op)
{
        struct call *call = op->arg;

        call->jobs->under_way--;
        if (op->status == 0) {
                overlay(call->jobs, op->job);
                call_answer(call, 0, NULL);
        } else {
                call_fail(call, op->status);
        }
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

/* ---- the log ---- */

static int add_summary(const struct job_run *run, struct buf *text)
{
        char time[CLOCK_RFC3339_SIZE];
        int r = buf_printf(text, "%s %u sendoff run %u has begun\n", clock_rfc3339(run->started_ms, time),
                           run->number, run->number);

        if (r == 0 && run->ended_ms)
                r = buf_printf(text, "%s %u sendoff run %u %s%s%s\n", clock_rfc3339(run->ended_ms, time),
                               run->number, run->number, run_outcome_name(run->outcome),
                               run->reason[0] ? ": " : "", run->reason);
        return r;
}

/* The log of one run: as it was stored, as it is in memory, or what the record says. */
static int add_log(const struct call *call, const struct job_run *run, struct buf *text)
{
        const struct entry *e = entry_of(call->jobs, &call->op.job->id);

        for (uint32_t i = 0; i < call->op.log_count; i++)
                if (call->op.logs[i].run == run->number)
                        return buf_append_str(text, call->op.logs[i].text);
        if (e && e->prepared && e->log.run == run->number)
                return run_log_text(&e->log, text);
        return add_summary(run, text);
}

static void call_logged(struct store_op *op)
{
        struct call *call = op->arg;
        struct jobs *jobs = call->jobs;
        const struct job *job = op->job;
        struct buf text;
        int r = 0;

        jobs->under_way--;
        if (op->status != 0) {
                job_free(op->job);
                call->logged(call->arg, op->status, NULL, NULL, op->cause.text);
        } else {
                buf_init(&text, LOG_TEXT_MAX);
                for (uint32_t i = 0; job->earlier && i < job->earlier_count && r == 0; i++)
                        r = add_log(call, &job->earlier[i], &text);
                if (job->run.number > 0 && r == 0)
                        r = add_log(call, &job->run, &text);
                overlay(jobs, op->job);
                call->logged(call->arg, 0, op->job, buf_take(&text), NULL);
        }
        call_free(call);
        jobs_check_idle(jobs);
}

void jobs_log(struct jobs *jobs, const struct job_id *id, jobs_logged *done, void *arg)
{
        struct call *call = call_new(jobs, STORE_GET, call_logged, arg);

        call->logged = done;
        call->op.job = job_new();
        call->op.job->id = *id;
        call->op.want_log = true;
        call_submit(call);
}

/* ---- wishes: the job is read, changed, and written back when it is still in the state it was in ---- */

static void wish_read(struct call *call);

static void wish_written(struct store_op *op)
{
        struct call *call = op->arg;
        struct jobs *jobs = call->jobs;
        struct job *job = op->job;
        enum job_state before = op->expect;

        jobs->under_way--;
        if (op->status == STORE_CONFLICT && ++call->tries < WISH_TRIES) {
                for (unsigned i = 0; i < op->added_count; i++)
                        job_free(call->then[i]);
                op->added_count = 0;
                wish_read(call);
                return;
        }
        if (op->status != 0) {
                for (unsigned i = 0; i < op->added_count; i++)
                        job_free(call->then[i]);
                call_fail(call, op->status == STORE_NOT_FOUND  ? 404
                                : op->status == STORE_NO_SPACE ? 507
                                                               : 503);
                return;
        }
        if (before != job->state)
                jobs_count_move(jobs, before, job->state, job->request.body.len);
        jobs_added_then(jobs, call->then, op->added_count);
        if (job->state == JOB_READY)
                jobs_queue(jobs, job->runner, &job->id, false);
        if (job_state_is_final(job->state))
                jobs_notify(jobs, job->id.seq);
        call_answer(call, call->status, NULL);
        jobs_turn(jobs);
}

static void wish_write(struct call *call, enum job_state expect, int status)
{
        call->status = status;
        call->op.kind = STORE_UPDATE;
        call->op.expect = expect;
        call->op.now_ms = clock_real_ms();
        call->op.added = call->then;
        call->op.added_count = jobs_make_then(call->jobs, call->op.job, call->then);
        call->op.done = wish_written;
        call_submit(call);
}

static void wish_found(struct store_op *op)
{
        struct call *call = op->arg;

        call->jobs->under_way--;
        if (op->status != 0)
                call_fail(call, op->status == STORE_NOT_FOUND ? 404 : 503);
        else
                call->wish(call);
}

static void wish_read(struct call *call)
{
        struct job_id id = call->op.job->id;

        job_free(call->op.job);
        call->op.job = job_new();
        call->op.job->id = id;
        call->op.kind = STORE_GET;
        call->op.expect = JOB_DRAFT;
        call->op.done = wish_found;
        call_submit(call);
}

static void wish_new(struct jobs *jobs, const struct job_id *id, void (*wish)(struct call *call),
                     bool want_request, jobs_found *done, void *arg)
{
        struct call *call = call_new(jobs, STORE_GET, wish_found, arg);

        call->found = done;
        call->wish = wish;
        call->op.job = job_new();
        call->op.job->id = *id;
        call->op.want_request = want_request;
        wish_read(call);
}

/* ---- cancelling ---- */

static void entry_cancel(struct entry *e)
{
        if (e->phase == ENTRY_STARTING)
                e->cancel_asked = true;
        else if (e->job->state == JOB_RUNNING && job_cancel(e->job, clock_real_ms()) == JOB_CANCEL_ASKED)
                entry_abort(e, "cancelled");
}

/* Put behind what is known of the last run, when there was one. */
static void note_cancelled(struct job_run *run)
{
        const char *again = run->number ? " again" : "";
        size_t len = strlen(run->reason);

        if (len > JOB_REASON_MAX - 64)
                len = JOB_REASON_MAX - 64;
        snprintf(run->reason + len, sizeof(run->reason) - len, "%scancelled before it ran%s", len ? "; " : "",
                 again);
}

/* One under way is ended in memory; that it was asked for is stored, too, so that a crash does not forget it.
 */
static void wish_cancel(struct call *call)
{
        struct job *job = call->op.job;
        enum job_state before = job->state;
        struct entry *e = entry_of(call->jobs, &job->id);

        switch (job_cancel(job, clock_real_ms())) {
        case JOB_ALREADY_FINAL:
                call_answer(call, 409, "the job has ended already and cannot be cancelled");
                return;
        case JOB_CANCEL_ASKED:
                if (e)
                        entry_cancel(e);
                overlay(call->jobs, job);
                wish_write(call, before, 202);
                return;
        default:
                if (e && e->phase == ENTRY_STARTING)
                        e->cancel_asked = true;
                note_cancelled(&job->run);
                wish_write(call, before, 204);
        }
}

void jobs_cancel(struct jobs *jobs, const struct job_id *id, jobs_found *done, void *arg)
{
        wish_new(jobs, id, wish_cancel, false, done, arg);
}

/* ---- running again ---- */

static void again_accepted(void *arg, int status, const struct job *job, const char *why)
{
        struct call *call = arg;

        job_free(call->op.job);
        call->op.job = job ? job_new() : NULL;
        if (job) { /* what a receipt shows */
                call->op.job->id = job->id;
                call->op.job->state = job->state;
                call->op.job->links = job->links;
        }
        call_answer(call, status, why);
}

static void do_again(struct call *call)
{
        struct jobs *jobs = call->jobs;
        const struct config *config = jobs->config.config;
        struct job *job = call->op.job, *draft;
        struct cause cause = { "" };
        struct spool body;
        int status = jobs_may_accept(jobs, job->request.body.len, &cause), r;

        if (status) {
                call_answer(call, status, cause.text);
                return;
        }
        r = spool_copy(&body, &job->request.body, store_files_fd(jobs->config.store),
                       config->body_memory_max);
        if (r < 0) {
                call_answer(call, r == -ENOSPC ? 507 : 503, strerror(-r));
                return;
        }
        spool_fini(&job->request.body);
        spool_move(&job->request.body, &body);
        draft = job_again(job);
        jobs_accept(jobs, draft, again_accepted, call);
}

static void wish_retry(struct call *call)
{
        struct job *job = call->op.job;
        enum job_state before = job->state;
        char why[128];

        switch (job_retry(job, clock_real_ms())) {
        case JOB_ALREADY_FINAL:
                if (job->links.retried_as[0]) {
                        snprintf(why, sizeof(why), "it was run again already, as %s", job->links.retried_as);
                        call_answer(call, 409, why);
                } else {
                        do_again(call);
                }
                return;
        case JOB_UNDER_WAY:
                snprintf(why, sizeof(why), "the job is %s: there is nothing to run again yet",
                         job_state_name(before));
                call_answer(call, 409, why);
                return;
        default:
                wish_write(call, before, 200);
        }
}

void jobs_retry(struct jobs *jobs, const struct job_id *id, jobs_found *done, void *arg)
{
        wish_new(jobs, id, wish_retry, true, done, arg);
}

/* ---- why it waits ---- */

static const char *waiting_for_room(struct jobs *jobs, const struct job *job, char *out, size_t size)
{
        const struct lane *lane = &jobs->lanes[job->runner];
        const struct dispatch *counts;

        if (!jobs->desks.dispatcher)
                return NULL;
        counts = dispatcher_counts(jobs->desks.dispatcher);
        if (job->runner == JOB_FASTCGI)
                snprintf(out, size, "a worker: %u of %u for jobs busy", counts->jobs,
                         dispatch_job_limit(counts));
        else
                snprintf(out, size, "%s: %u of %u at once (option %s)",
                         job->runner == JOB_EXEC ? "other programs" : "other URLs", lane->running,
                         lane_limit(jobs, job->runner), job->runner == JOB_EXEC ? "programs" : "urls");
        return out;
}

static const char *waiting_for_time(struct jobs *jobs, const struct job *job, char *out, size_t size)
{
        int64_t left = job->run_at_ms - clock_real_ms();
        char time[CLOCK_RFC3339_SIZE], pause[OPTION_NUMBER_SIZE];

        left = left > 0 ? (left + 999) / 1000 * 1000 : 0;
        if (job->retries > 0)
                snprintf(out, size, "retry %u of %u in %s", job->retries, jobs_policy(jobs, job).max,
                         option_duration_text((uint64_t)left, pause));
        else
                snprintf(out, size, "its time, %s", clock_rfc3339(job->run_at_ms, time));
        return out;
}

const char *jobs_waiting_for(struct jobs *jobs, const struct job *job, char *out, size_t size)
{
        if (job->state == JOB_READY)
                return waiting_for_room(jobs, job, out, size);
        if (job->state == JOB_SCHEDULED)
                return waiting_for_time(jobs, job, out, size);
        if (job->state != JOB_HELD)
                return NULL;
        snprintf(out, size, "a person");
        return out;
}
