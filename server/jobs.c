/* Accepting jobs, and letting queued ones run: see jobs.h. What happens to a job is decided by job/job.c;
 * here it is carried out. The good path of an accepted job: numbered, room taken when there is some, stored
 * (as running then, else as ready), answered, started (entry.c). Queued jobs wait in the window of their
 * runner's lane, or on disk behind it; scheduled ones on disk until they are due. */
#include "server/jobs_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"

#define DUE_STEP 500 /* scheduled jobs made ready in one commit */

void jobs_number(struct jobs *jobs, struct job *job)
{
        unsigned char random[13];

        if (random_bytes(random, sizeof(random)) < 0)
                abort();
        job_id_make(&job->id, ++jobs->seq, random);
}

void jobs_count_move(struct jobs *jobs, enum job_state from, enum job_state to, uint64_t body_bytes)
{
        if (from != JOB_DRAFT && jobs->counts[from] > 0)
                jobs->counts[from]--;
        jobs->counts[to]++;
        if (from == JOB_DRAFT)
                jobs->bytes += body_bytes;
        else if (job_state_is_final(to))
                jobs->bytes -= body_bytes < jobs->bytes ? body_bytes : jobs->bytes;
}

void jobs_queue(struct jobs *jobs, enum job_runner runner, const struct job_id *id, bool new)
{
        if (new)
                window_add(&jobs->lanes[runner].window, id);
        else
                window_return(&jobs->lanes[runner].window, id);
}

/* ---- accepting ---- */

static void forget_draft(struct entry *e)
{
        struct jobs *jobs = e->jobs;

        jobs->counts[e->job->state]--;
        jobs->bytes -= e->job->request.body.len;
}

static void entry_refused(struct entry *e)
{
        struct jobs *jobs = e->jobs;
        int status = e->op.status == STORE_NO_SPACE ? 507 : e->op.status == STORE_CONFLICT ? 409 : 503;

        forget_draft(e);
        e->accepted(e->accepted_arg, status, NULL, e->op.cause.text);
        entry_free(e);
        jobs_turn(jobs);
        jobs_check_idle(jobs);
}

static void entry_added(struct store_op *op)
{
        struct entry *e = op->arg;
        struct jobs *jobs = e->jobs;

        jobs->under_way--;
        if (op->status != 0) {
                entry_refused(e);
                return;
        }
        e->accepted(e->accepted_arg, 202, e->job, NULL);
        if (e->job->state == JOB_RUNNING) {
                entry_start(e);
                return;
        }
        if (e->job->state == JOB_READY)
                jobs_queue(jobs, e->job->runner, &e->job->id, true);
        else
                jobs_due_at(jobs, e->job->run_at_ms);
        entry_free(e);
        jobs_turn(jobs);
        jobs_check_idle(jobs);
}

int jobs_may_accept(const struct jobs *jobs, uint64_t body_bytes, struct cause *cause)
{
        const struct config *config = jobs->config.config;
        uint64_t unfinished = jobs->counts[JOB_READY] + jobs->counts[JOB_RUNNING] +
                              jobs->counts[JOB_SCHEDULED] + jobs->counts[JOB_HELD];

        if (jobs->draining)
                return cause_set(cause, 503, "the server is shutting down");
        if (unfinished >= config->queue_max)
                return cause_set(cause, 503,
                                 "the queue is full: %" PRIu64 " unfinished jobs (option queue_max)",
                                 unfinished);
        if (jobs->bytes + body_bytes > config->queue_bytes_max)
                return cause_set(cause, 507,
                                 "the queue is full: %" PRIu64
                                 " bytes of request bodies wait (option queue_bytes_max)",
                                 jobs->bytes);
        return 0;
}

static void entry_add(struct entry *e, void (*done)(struct store_op *op))
{
        e->op.kind = STORE_ADD;
        e->op.job = e->job;
        e->op.done = done;
        e->jobs->under_way++;
        store_submit(e->jobs->config.store, &e->op);
}

/* Nobody is before it in its lane. */
static bool lane_is_clear(const struct lane *lane)
{
        return lane->window.count == 0 && !lane->window.more && !lane->waiting;
}

void jobs_accept(struct jobs *jobs, struct job *draft, jobs_accepted *done, void *arg)
{
        struct entry *e = entry_new(jobs, ENTRY_ADDING);
        enum job_runner runner = job_target_runner(draft->request.target);
        int64_t now_ms = clock_real_ms();
        bool at_once =
                draft->run_at_ms <= now_ms && lane_is_clear(&jobs->lanes[runner]) && lane_take(jobs, runner);

        jobs_number(jobs, draft);
        job_accept(draft, at_once, now_ms);
        jobs_count_move(jobs, JOB_DRAFT, draft->state, draft->request.body.len);
        e->job = draft;
        e->reserved = at_once;
        e->accepted = done;
        e->accepted_arg = arg;
        entry_know(e);
        entry_add(e, entry_added);
}

/* The record of a foreground run that was let go. When it cannot be stored the run goes on unlisted. */
static void adopted_added(struct store_op *op)
{
        struct entry *e = op->arg;
        struct jobs *jobs = e->jobs;

        jobs->under_way--;
        e->phase = ENTRY_RUNNING;
        if (op->status != 0) {
                log_say(LOG_WARN, "store", "a foreground run that was let go cannot be listed", "why=\"%s\"",
                        op->cause.text);
                e->unlisted = true;
        }
        if (e->over)
                entry_save(e);
}

void jobs_store_adopted(struct entry *e)
{
        entry_add(e, adopted_added);
}

void entry_forget(struct entry *e)
{
        struct jobs *jobs = e->jobs;

        jobs->counts[JOB_RUNNING]--;
        jobs->bytes -= e->job->request.body.len;
        entry_free(e);
        jobs_check_idle(jobs);
}

/* ---- queued jobs ---- */

static void entry_without_body(struct entry *e)
{
        struct job_run how = { .outcome = RUN_FAILED,
                               .exit_code = -1,
                               .cpu_ms = -1,
                               .peak_rss_kb = -1,
                               .reason = "the file that held the request's body is gone" };

        log_say(LOG_ERROR, "store", "a job ends because the file of its body is gone", "job=%s",
                e->job->id.text);
        job_start(e->job, clock_real_ms());
        jobs_count_move(e->jobs, JOB_READY, JOB_RUNNING, 0);
        entry_give_back(e);
        run_log_init(&e->log, e->job->run.number, NULL, NULL);
        entry_ended(e, &how);
}

static void entry_claimed(struct store_op *op)
{
        struct entry *e = op->arg;
        struct jobs *jobs = e->jobs;
        struct job_id id = e->job->id;
        enum job_runner runner = e->job->runner;
        int status = op->status;

        jobs->under_way--;
        e->job->runner = runner;
        if (status == 0) {
                jobs_count_move(jobs, JOB_READY, JOB_RUNNING, 0);
                if (e->cancel_asked)
                        (void)!job_cancel(e->job, clock_real_ms());
                entry_start(e);
                return;
        }
        if (status == STORE_BODY_GONE) {
                entry_without_body(e);
                return;
        }
        entry_free(e);
        if (status != STORE_CONFLICT && status != STORE_NOT_FOUND) {
                window_return(&jobs->lanes[runner].window, &id);
                jobs_turn_soon(jobs);
        } else {
                jobs_turn(jobs);
        }
        jobs_check_idle(jobs);
}

/* Room is taken for it. */
static void jobs_claim(struct jobs *jobs, enum job_runner runner, const struct job_id *id)
{
        struct entry *e = entry_new(jobs, ENTRY_STARTING);

        e->job = job_new();
        e->job->id = *id;
        e->job->runner = runner;
        e->reserved = true;
        entry_know(e);
        e->op.kind = STORE_START;
        e->op.job = e->job;
        e->op.now_ms = clock_real_ms();
        e->op.done = entry_claimed;
        jobs->under_way++;
        store_submit(jobs->config.store, &e->op);
}

struct window_call {
        struct store_op op;
        struct jobs *jobs;
};

static void window_loaded(struct store_op *op)
{
        struct window_call *call = op->arg;
        struct jobs *jobs = call->jobs;

        jobs->under_way--;
        window_filled(&jobs->lanes[op->ready.runner].window, op->ready.ids,
                      op->status == 0 ? op->ready.count : 0,
                      op->status == 0 && op->ready.count < op->ready.limit);
        free(op->ready.ids);
        if (op->status < 0)
                jobs_turn_soon(jobs);
        else
                jobs_turn(jobs);
        free(call);
        jobs_check_idle(jobs);
}

static void window_load(struct jobs *jobs, enum job_runner runner)
{
        struct window_call *call = mem_alloc(sizeof(*call));
        struct window *window = &jobs->lanes[runner].window;

        window_filling(window);
        call->jobs = jobs;
        call->op.kind = STORE_READY;
        call->op.ready.runner = runner;
        call->op.ready.after = window->cursor;
        call->op.ready.limit = window_room(window);
        call->op.done = window_loaded;
        call->op.arg = call;
        jobs->under_way++;
        store_submit(jobs->config.store, &call->op);
}

/* Whether what was reserved for a waiting entry is likely there now. */
static bool lane_may_go(struct jobs *jobs, enum job_runner runner)
{
        return runner != JOB_FASTCGI || pool_free_workers(dispatcher_pool(jobs->desks.dispatcher)) > 0;
}

static void lane_turn(struct jobs *jobs, enum job_runner runner)
{
        struct lane *lane = &jobs->lanes[runner];
        unsigned waiting = 0;
        struct entry *e;
        struct job_id id;

        /* those that hold a reservation already, each at most once a turn */
        DL_COUNT(lane->waiting, e, waiting);
        while (waiting-- > 0 && lane->waiting && lane_may_go(jobs, runner)) {
                e = lane->waiting;
                DL_DELETE(lane->waiting, e);
                entry_start(e);
        }
        while (lane->window.count > 0 && lane_take(jobs, runner)) {
                window_take(&lane->window, &id);
                HASH_FIND(hh, jobs->entries, &id.seq, sizeof(id.seq), e);
                if (!e)
                        jobs_claim(jobs, runner, &id);
                else
                        lane_untake(jobs, runner); /* it is in motion already */
        }
        if (!jobs->draining && window_wants_more(&lane->window))
                window_load(jobs, runner);
}

void jobs_turn(struct jobs *jobs)
{
        if (!jobs->desks.dispatcher || jobs->turning)
                return;
        jobs->turning = true;
        for (int i = 0; i < JOB_RUNNERS; i++)
                lane_turn(jobs, (enum job_runner)i);
        jobs->turning = false;
}

void jobs_turn_again(uv_timer_t *timer)
{
        jobs_turn(timer->data);
}

void jobs_turn_soon(struct jobs *jobs)
{
        uv_timer_start(&jobs->again, jobs_turn_again, UNSAVED_RETRY_MS, 0);
}

/* ---- scheduled jobs ---- */

static void jobs_arm_due(struct jobs *jobs)
{
        int64_t now_ms = clock_real_ms(), wait = jobs->due_ms - now_ms;

        if (jobs->draining || jobs->dueing || !jobs->due_ms)
                return;
        if (wait > DUE_LOOK_MS)
                wait = DUE_LOOK_MS; /* the clock may be set meanwhile */
        uv_update_time(jobs->config.loop);
        uv_timer_start(&jobs->due, jobs_due, wait > 0 ? (uint64_t)wait : 0, 0);
}

void jobs_due_at(struct jobs *jobs, int64_t at_ms)
{
        if (jobs->due_ms && jobs->due_ms <= at_ms)
                return;
        jobs->due_ms = at_ms;
        jobs_arm_due(jobs);
}

static void due_done(struct store_op *op)
{
        struct jobs *jobs = op->arg;

        jobs->dueing = false;
        jobs->under_way--;
        for (uint32_t i = 0; op->status == 0 && i < op->due.count; i++) {
                jobs_count_move(jobs, JOB_SCHEDULED, JOB_READY, 0);
                jobs_queue(jobs, op->due.jobs[i].runner, &op->due.jobs[i].id, false);
        }
        free(op->due.jobs);
        if (op->status != 0)
                jobs->due_ms = clock_real_ms() + UNSAVED_RETRY_MS;
        else if (op->due.next_ms && (!jobs->due_ms || op->due.next_ms < jobs->due_ms))
                jobs->due_ms = op->due.next_ms;
        jobs_arm_due(jobs);
        jobs_turn(jobs);
        jobs_check_idle(jobs);
}

void jobs_due(uv_timer_t *timer)
{
        struct jobs *jobs = timer->data;
        int64_t now_ms = clock_real_ms();

        if (jobs->dueing || jobs->draining)
                return;
        if (jobs->due_ms > now_ms) {
                jobs_arm_due(jobs);
                return;
        }
        jobs->dueing = true;
        jobs->due_ms = 0;
        jobs->due_op =
                (struct store_op){ .kind = STORE_DUE, .now_ms = now_ms, .done = due_done, .arg = jobs };
        jobs->due_op.due.limit = DUE_STEP;
        jobs->under_way++;
        store_submit(jobs->config.store, &jobs->due_op);
}

/* ---- life ---- */

static void purged(struct store_op *op)
{
        struct jobs *jobs = op->arg;

        jobs->purging = false;
        jobs->under_way--;
        if (op->status == 0 && op->purge.removed > 0)
                log_say(LOG_INFO, "store", "finished jobs forgotten", "jobs=%u", op->purge.removed);
        if (op->status == 0 && op->purge.more && !jobs->draining)
                uv_timer_start(&jobs->purge, jobs_purge, 10, PURGE_EVERY_MS);
        jobs_check_idle(jobs);
}

void jobs_purge(uv_timer_t *timer)
{
        struct jobs *jobs = timer->data;

        if (jobs->purging || jobs->draining)
                return;
        jobs->purging = true;
        jobs->purge_op = (struct store_op){ .kind = STORE_PURGE, .done = purged, .arg = jobs };
        jobs->purge_op.purge.before_ms = clock_real_ms() - jobs->config.config->keep_finished_ms;
        jobs->under_way++;
        store_submit(jobs->config.store, &jobs->purge_op);
}

void jobs_check_idle(struct jobs *jobs)
{
        if (jobs->draining && jobs_are_idle(jobs) && jobs->config.idle)
                jobs->config.idle(jobs->config.arg);
}

bool jobs_are_idle(const struct jobs *jobs)
{
        return !jobs->entries && jobs->under_way == 0;
}

void jobs_drain(struct jobs *jobs)
{
        struct entry *e, *next;

        jobs->draining = true;
        dispatcher_stop_jobs(jobs->desks.dispatcher);
        for (int i = 0; i < JOB_RUNNERS; i++)
                DL_FOREACH_SAFE (jobs->lanes[i].waiting, e, next) {
                        DL_DELETE(jobs->lanes[i].waiting, e);
                        entry_start(e);
                }
        jobs_notify_all(jobs);
}
