/* Jobs in motion: see jobs.h. What happens to a job is decided by job/job.c; here it is carried out. An entry
 * is a job that runs or is on its way to or from the store:
 *
 *   ADDING ──committed, a worker reserved──▶ (starting) ──▶ RUNNING ──end──▶ ENDING ──committed──▶ forgotten
 *      └── committed as ready ──▶ forgotten (window or disk)                    └── store refuses ──▶
 * UNSAVED, tried again STARTING (a queued job, its worker reserved) ──committed──▶ (starting)
 *
 * (starting): WAITING when the reserved worker fell out in between. The jobs_* calls about the store are in
 * job_calls.c. */
#include "server/jobs_internal.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "server/draft.h"
#include "server/script.h"

#define UNSAVED_RETRY_MS 500

static void entry_start(struct entry *e);
static void entry_save(struct entry *e);

static struct entry *entry_new(struct jobs *jobs, enum entry_phase phase)
{
        struct entry *e = mem_alloc(sizeof(*e));

        e->jobs = jobs;
        e->phase = phase;
        e->op.arg = e;
        return e;
}

static void entry_know(struct entry *e)
{
        e->seq = e->job->id.seq;
        HASH_ADD(hh, e->jobs->entries, seq, sizeof(e->seq), e);
}

static void entry_free(struct entry *e)
{
        struct jobs *jobs = e->jobs;

        HASH_DELETE(hh, jobs->entries, e);
        if (e->reserved)
                dispatcher_release_job(jobs->dispatcher, e->started);
        site_match_fini(&e->match);
        buf_fini(&e->log);
        job_free(e->job);
        free(e);
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

/* ---- a run ---- */

static void note_cut(struct entry *e, const char *why)
{
        if (e->job->reply.cut)
                return;
        e->job->reply.cut = true;
        log_say(LOG_WARN, "run", "output of a job is cut", "job=%s why=\"%s\"", e->job->id.text, why);
}

static void on_head(void *arg, const struct cgi_head *head)
{
        struct entry *e = arg;
        struct buf block;

        e->job->reply.status = head->status;
        buf_init(&block, CGI_HEAD_MAX + 128);
        if (draft_reply_block(&block, head->headers, head->header_count) != 0)
                note_cut(e, "the reply's head is too large");
        free(e->job->reply.headers);
        e->job->reply.headers = buf_take(&block);
}

static void on_data(void *arg, struct slice bytes)
{
        struct entry *e = arg;
        struct spool *body = &e->job->reply.body;
        char why[96];
        int r;

        if (e->job->reply.cut)
                return;
        if (bytes.len > body->max - body->len) {
                snprintf(why, sizeof(why), "more than %" PRIu64 " bytes (option output_max)", body->max);
                note_cut(e, why);
                bytes.len = (size_t)(body->max - body->len);
        }
        r = spool_write(body, bytes.ptr, bytes.len);
        if (r < 0)
                note_cut(e, strerror(-r));
}

static void on_log(void *arg, struct slice bytes)
{
        struct entry *e = arg;
        size_t room = RUN_LOG_MAX - buf_len(&e->log);

        if (bytes.len > room)
                bytes.len = room;
        if (buf_append_slice(&e->log, bytes) != 0)
                log_say(LOG_WARN, "run", "stderr of a job is cut", "job=%s max_bytes=%d", e->job->id.text,
                        RUN_LOG_MAX);
}

static void on_end(void *arg, const struct job_run *how)
{
        struct entry *e = arg;

        e->run = NULL;
        dispatcher_release_job(e->jobs->dispatcher, true);
        e->reserved = false;
        if (buf_len(&e->log) > 0)
                e->job->reply.log = buf_take(&e->log);
        job_run_ended(e->job, how, clock_real_ms());
        if (e->job->state != JOB_SUCCEEDED)
                log_say(LOG_INFO, "run", "run did not succeed",
                        "job=%s run=%u outcome=\"%s\" state=%s why=\"%s\"", e->job->id.text,
                        e->job->run.number, run_outcome_name(how->outcome), job_state_name(e->job->state),
                        e->job->run.reason);
        entry_save(e);
        jobs_turn(e->jobs);
}

static const struct run_handlers handlers = {
        .head = on_head, .data = on_data, .log = on_log, .end = on_end
};

/* A run that could not begin ends by its own answer. */
static void entry_answer(struct entry *e, enum run_outcome outcome, int status, const char *why)
{
        struct job_run how = {
                .outcome = outcome, .status = status, .exit_code = -1, .cpu_ms = -1, .peak_rss_kb = -1
        };

        snprintf(how.reason, sizeof(how.reason), "%s", why);
        if (outcome == RUN_STOPPED)
                how.connection_status = 1;
        dispatcher_release_job(e->jobs->dispatcher, false);
        e->reserved = false;
        job_run_ended(e->job, &how, clock_real_ms());
        entry_save(e);
}

static struct slice target_path(const char *target)
{
        return (struct slice){ target, strcspn(target, "?") };
}

static void entry_wait(struct entry *e)
{
        e->phase = ENTRY_WAITING;
        DL_APPEND(e->jobs->waiting, e);
}

static void entry_start(struct entry *e)
{
        struct jobs *jobs = e->jobs;
        const struct cgi_context context = { .job = e->job->id.text, .run = e->job->run.number, .minor = 1 };
        struct cause cause = { "" };
        int r;

        if (e->job->cancel_asked) {
                entry_answer(e, RUN_STOPPED, 0, "cancelled before it began");
                return;
        }
        if (jobs->draining) {
                entry_answer(e, RUN_PUT_BACK, 0, "the server shut down before it began");
                return;
        }
        if (e->match.kind != SITE_SCRIPT || !e->match.script_filename) {
                site_resolve(jobs->config.site, target_path(e->job->request.target), &e->match);
                if (e->match.kind == SITE_FAULT) { /* out of descriptors, say: that passes */
                        entry_wait(e);
                        uv_timer_start(&jobs->again, jobs_turn_again, UNSAVED_RETRY_MS, 0);
                        return;
                }
                if (e->match.kind != SITE_SCRIPT) {
                        entry_answer(e, RUN_FAILED, 404, "the site has no script at this target");
                        return;
                }
                spool_init(&e->job->reply.body, store_files_fd(jobs->config.store),
                           jobs->config.config->body_memory_max, jobs->config.config->output_max);
                buf_init(&e->log, RUN_LOG_MAX);
        }
        r = script_start(jobs->dispatcher, true, site_root(jobs->config.site), &e->match, &e->job->request,
                         &context, &handlers, e, &e->run, &cause);
        if (r == SCRIPT_BUSY) {
                entry_wait(e);
                return;
        }
        e->phase = ENTRY_RUNNING;
        if (r == 0)
                e->started = true;
        else
                entry_answer(e, RUN_FAILED, r == SCRIPT_TOO_LARGE ? 431 : 500,
                             r < 0 ? strerror(-r) : cause.text);
}

/* ---- the end of a run goes to the store ---- */

static void entry_saved(struct store_op *op)
{
        struct entry *e = op->arg;
        struct jobs *jobs = e->jobs;
        enum job_state state = e->job->state;
        uint64_t seq = e->seq;

        jobs->under_way--;
        if (op->status != 0 && op->status != STORE_CONFLICT && op->status != STORE_NOT_FOUND) {
                e->phase = ENTRY_UNSAVED;
                DL_APPEND(jobs->unsaved, e);
                if (!uv_is_active((uv_handle_t *)&jobs->retry)) {
                        log_say(LOG_ERROR, "store",
                                "the end of a run could not be stored; tried again until it can",
                                "job=%s why=\"%s\"", e->job->id.text, op->cause.text);
                        uv_timer_start(&jobs->retry, jobs_retry_unsaved, UNSAVED_RETRY_MS, 0);
                }
                return;
        }
        jobs_count_move(jobs, JOB_RUNNING, state, e->job->request.body.len);
        if (op->status == 0 && state == JOB_READY)
                window_return(&jobs->window, &e->job->id);
        entry_free(e);
        if (job_state_is_final(state))
                jobs_notify(jobs, seq);
        jobs_turn(jobs);
        jobs_check_idle(jobs);
}

static void entry_save(struct entry *e)
{
        e->phase = ENTRY_ENDING;
        e->op.kind = STORE_UPDATE;
        e->op.job = e->job;
        e->op.done = entry_saved;
        e->op.now_ms = clock_real_ms();
        e->jobs->under_way++;
        store_submit(e->jobs->config.store, &e->op);
}

void jobs_retry_unsaved(uv_timer_t *timer)
{
        struct jobs *jobs = timer->data;
        struct entry *e, *next;
        struct entry *list = jobs->unsaved;

        jobs->unsaved = NULL;
        DL_FOREACH_SAFE (list, e, next) {
                DL_DELETE(list, e);
                entry_save(e);
        }
}

/* ---- acceptance ---- */

static void entry_added(struct store_op *op)
{
        struct entry *e = op->arg;
        struct jobs *jobs = e->jobs;
        int status = op->status;

        jobs->under_way--;
        if (status != 0) {
                jobs_count_move(jobs, e->job->state, JOB_DRAFT, 0);
                jobs->bytes -= e->job->request.body.len;
                e->accepted(e->accepted_arg, status == STORE_NO_SPACE ? 507 : 503, NULL,
                            op->cause.text[0] ? op->cause.text : "the store cannot keep jobs now");
                entry_free(e);
                jobs_turn(jobs);
                jobs_check_idle(jobs);
                return;
        }
        e->accepted(e->accepted_arg, 202, e->job, NULL);
        if (e->job->state == JOB_RUNNING) {
                entry_start(e);
                return;
        }
        window_add(&jobs->window, &e->job->id);
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

void jobs_accept(struct jobs *jobs, struct job *draft, jobs_accepted *done, void *arg)
{
        struct entry *e = entry_new(jobs, ENTRY_ADDING);
        unsigned char random[13];
        bool now;

        if (random_bytes(random, sizeof(random)) < 0)
                abort();
        job_id_make(&draft->id, ++jobs->seq, random);
        now = jobs->window.count == 0 && !jobs->window.more && !jobs->waiting &&
              dispatcher_take_for_job(jobs->dispatcher);
        job_accept(draft, now, clock_real_ms());
        jobs_count_move(jobs, JOB_DRAFT, draft->state, draft->request.body.len);
        e->job = draft;
        e->reserved = now;
        e->accepted = done;
        e->accepted_arg = arg;
        entry_know(e);
        e->op.kind = STORE_ADD;
        e->op.job = draft;
        e->op.done = entry_added;
        jobs->under_way++;
        store_submit(jobs->config.store, &e->op);
}

/* ---- queued jobs ---- */

static void entry_claimed(struct store_op *op)
{
        struct entry *e = op->arg;
        struct jobs *jobs = e->jobs;
        struct job_id id = e->job->id;
        enum job_state state = e->job->state;
        int status = op->status;

        jobs->under_way--;
        if (status == 0) {
                jobs_count_move(jobs, JOB_READY, JOB_RUNNING, 0);
                if (e->cancel_asked)
                        (void)!job_cancel(e->job, clock_real_ms());
                entry_start(e);
                return;
        }
        if (status == STORE_CONFLICT && state == JOB_FAILED) /* the file of its body is gone */
                jobs_count_move(jobs, JOB_READY, JOB_FAILED, e->job->request.body.len);
        entry_free(e);
        if (status == STORE_CONFLICT && state == JOB_FAILED)
                jobs_notify(jobs, id.seq);
        if (status != STORE_CONFLICT && status != STORE_NOT_FOUND) {
                window_return(&jobs->window, &id);
                uv_timer_start(&jobs->again, jobs_turn_again, UNSAVED_RETRY_MS, 0);
        } else {
                jobs_turn(jobs);
        }
        jobs_check_idle(jobs);
}

static void jobs_claim(struct jobs *jobs, const struct job_id *id)
{
        struct entry *e = entry_new(jobs, ENTRY_STARTING);

        e->job = job_new();
        e->job->id = *id;
        e->reserved = true;
        entry_know(e);
        e->op.kind = STORE_START;
        e->op.job = e->job;
        e->op.now_ms = clock_real_ms();
        e->op.done = entry_claimed;
        jobs->under_way++;
        store_submit(jobs->config.store, &e->op);
}

static void window_loaded(struct store_op *op)
{
        struct jobs *jobs = op->arg;

        jobs->under_way--;
        window_filled(&jobs->window, op->ready.ids, op->status == 0 ? op->ready.count : 0,
                      op->status == 0 && op->ready.count < op->ready.limit);
        free(op->ready.ids);
        if (op->status < 0)
                uv_timer_start(&jobs->again, jobs_turn_again, UNSAVED_RETRY_MS, 0);
        else
                jobs_turn(jobs);
        free(op);
        jobs_check_idle(jobs);
}

static void window_load(struct jobs *jobs)
{
        struct store_op *op = mem_alloc(sizeof(*op));

        window_filling(&jobs->window);
        op->kind = STORE_READY;
        op->ready.after = jobs->window.cursor;
        op->ready.limit = window_room(&jobs->window);
        op->done = window_loaded;
        op->arg = jobs;
        jobs->under_way++;
        store_submit(jobs->config.store, op);
}

void jobs_turn(struct jobs *jobs)
{
        struct job_id id;
        unsigned waiting = 0;
        struct entry *e;

        if (!jobs->dispatcher || jobs->turning)
                return;
        jobs->turning = true;
        /* those that hold a reservation already, each at most once a turn */
        DL_COUNT(jobs->waiting, e, waiting);
        while (waiting-- > 0 && pool_free_workers(dispatcher_pool(jobs->dispatcher)) > 0) {
                e = jobs->waiting;
                DL_DELETE(jobs->waiting, e);
                entry_start(e);
        }
        while (jobs->window.count > 0 && !jobs->draining && dispatcher_take_for_job(jobs->dispatcher)) {
                window_take(&jobs->window, &id);
                jobs_claim(jobs, &id);
        }
        if (!jobs->draining && window_wants_more(&jobs->window))
                window_load(jobs);
        jobs->turning = false;
}

void jobs_turn_again(uv_timer_t *timer)
{
        jobs_turn(timer->data);
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
        dispatcher_stop_jobs(jobs->dispatcher);
        DL_FOREACH_SAFE (jobs->waiting, e, next) {
                DL_DELETE(jobs->waiting, e);
                entry_start(e);
        }
        jobs_notify_all(jobs);
}
