/* Pages about jobs: see job_pages.h. A visit is one answer being prepared: it asks the store, perhaps waits
 * for the job's end or a deadline, asks again, and answers. Its memory goes when nothing refers to it any
 * more: no question under way, no timer open, the exchange over. */
#include "server/job_pages.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "net/url.h"
#include "server/job_json.h"

enum visit_kind {
        VISIT_STATUS,
        VISIT_RESULT,
        VISIT_CANCEL,
        VISIT_RETRY,
        VISIT_ACCEPT,
};

struct visit {
        struct job_pages *pages;
        struct exchange *ex; /* NULL once answered or gone */
        enum visit_kind kind;
        struct job_page_accept accept;
        struct job_id id;
        struct jobs_watch watch;
        uv_timer_t timer;
        bool timer_open, asking, ended; /* ended: the job's end, or the deadline, was seen */
};

static void visit_found(void *arg, int status, struct job *job, const char *why);

static void visit_release(struct visit *v)
{
        if (!v->ex && !v->asking && !v->timer_open)
                free(v);
}

static void visit_timer_closed(uv_handle_t *handle)
{
        struct visit *v = handle->data;

        v->timer_open = false;
        visit_release(v);
}

/* Nothing more will be answered. The caller must not touch the visit afterwards. */
static void visit_over(struct visit *v)
{
        v->ex = NULL;
        jobs_unwatch(v->pages->jobs, &v->watch);
        if (v->timer_open && !uv_is_closing((uv_handle_t *)&v->timer))
                uv_close((uv_handle_t *)&v->timer, visit_timer_closed);
        else
                visit_release(v);
}

static void visit_gone(struct exchange *ex)
{
        visit_over(ex->arg);
}

static const struct exchange_ops visit_ops = { .gone = visit_gone };

static struct visit *visit_new(struct job_pages *pages, struct exchange *ex, enum visit_kind kind)
{
        struct visit *v = mem_alloc(sizeof(*v));

        v->pages = pages;
        v->ex = ex;
        v->kind = kind;
        ex->ops = &visit_ops;
        ex->arg = v;
        return v;
}

static struct exchange *visit_take_exchange(struct visit *v)
{
        struct exchange *ex = v->ex;

        ex->ops = NULL;
        visit_over(v);
        return ex;
}

static void visit_problem(struct visit *v, int status, const char *why)
{
        exchange_problem(visit_take_exchange(v), status, 0, why);
}

/* ---- waiting ---- */

static void visit_ask(struct visit *v, bool want_reply)
{
        v->asking = true;
        jobs_get(v->pages->jobs, &v->id, want_reply, visit_found, v);
}

static bool visit_wants_reply(const struct visit *v)
{
        return v->kind == VISIT_RESULT || (v->kind == VISIT_ACCEPT && v->accept.reply == JOB_PAGE_REPLY);
}

static void visit_wake(struct visit *v)
{
        v->ended = true;
        if (!v->asking && v->ex)
                visit_ask(v, visit_wants_reply(v));
}

static void visit_ended(struct jobs_watch *watch)
{
        visit_wake((struct visit *)((char *)watch - offsetof(struct visit, watch)));
}

static void visit_expired(uv_timer_t *timer)
{
        visit_wake(timer->data);
}

static void visit_wait(struct visit *v, int64_t wait_ms)
{
        v->watch.seq = v->id.seq;
        v->watch.ended = visit_ended;
        jobs_watch(v->pages->jobs, &v->watch);
        uv_timer_init(v->pages->loop, &v->timer);
        v->timer.data = v;
        v->timer_open = true;
        uv_timer_start(&v->timer, visit_expired, (uint64_t)wait_ms, 0);
}

/* ---- answers ---- */

static void answer_json(struct exchange *ex, int status, const char *extra, json_t *json)
{
        char *text = job_json_text(json);

        exchange_reply(ex, status, "application/json", slice_of(extra), slice_of(text ? text : "{}\n"));
        free(text);
}

/* X-Progress: 40/100 mailing. The note's bytes are printable or UTF-8 already (job/control_line.h). */
static int add_progress(char *extra, size_t size, const struct job_progress *progress)
{
        if (!progress->any)
                return 0;
        if (progress->total)
                return snprintf(extra, size, "X-Progress: %" PRId64 "/%" PRId64 "%s%s\r\n", progress->done,
                                progress->total, progress->note[0] ? " " : "", progress->note);
        return snprintf(extra, size, "X-Progress: %" PRId64 "%s%s\r\n", progress->done,
                        progress->note[0] ? " " : "", progress->note);
}

static void answer_record(struct visit *v, const struct job *job, int status)
{
        struct job_pages *pages = v->pages;
        struct exchange *ex = visit_take_exchange(v);
        bool final = job_state_is_final(job->state);
        char waiting[128], extra[256 + JOB_NOTE_SIZE];
        int n = snprintf(extra, sizeof(extra), "Cache-Control: no-store\r\n");

        if (!final)
                n += snprintf(extra + n, sizeof(extra) - (size_t)n, "Retry-After: 1\r\n");
        else if (job->run.status)
                n += snprintf(extra + n, sizeof(extra) - (size_t)n, "AsyncResult: %d\r\n", job->run.status);
        add_progress(extra + n, sizeof(extra) - (size_t)n, &job->progress);
        answer_json(ex, status, extra,
                    job_json(job, jobs_waiting_for(pages->jobs, job, waiting, sizeof(waiting)),
                             jobs_retries_max(pages->jobs, job), pages->full));
}

static int record_status(const struct visit *v, const struct job *job)
{
        return v->pages->full || job_state_is_final(job->state) ? 200 : 202;
}

static void answer_receipt(struct visit *v, const struct job *job)
{
        bool preference = v->accept.preference, full = v->pages->full;
        struct exchange *ex = visit_take_exchange(v);
        char location[JOB_LOCATION_SIZE], extra[320];

        job_location(&job->id, location);
        snprintf(extra, sizeof(extra),
                 "Location: %s\r\nContent-Location: %s\r\nRetry-After: 1\r\nCache-Control: no-store\r\n%s%s",
                 location, location, preference ? "Preference-Applied: respond-async\r\n" : "",
                 full ? "" : "Vary: Prefer\r\n");
        answer_json(ex, 202, extra, job_json_receipt(job));
}

/* The script's own reply, as it was kept. */
static void answer_result(struct visit *v, struct job *job)
{
        bool vary = v->kind == VISIT_ACCEPT, program = job->runner == JOB_EXEC;
        struct exchange *ex = visit_take_exchange(v);
        struct buf block;

        buf_init(&block, CGI_HEAD_MAX + 1024);
        if ((job->reply.headers && buf_append_str(&block, job->reply.headers) != 0) ||
            (program && buf_printf(&block,
                                   "Content-Type: application/octet-stream\r\n"
                                   "X-Content-Type-Options: nosniff\r\nSendoff-Exit-Code: %d\r\n",
                                   job->run.exit_code) != 0) ||
            buf_printf(&block, "Sendoff-Job: %s\r\n", job->id.text) != 0) {
                buf_fini(&block);
                exchange_problem(ex, 500, 0, "the stored reply's head is too large");
                return;
        }
        if (vary && buf_append_str(&block, "Vary: Prefer\r\n") != 0)
                buf_clear(&block);
        exchange_send_spool(ex, program ? 200 : job->reply.status, buf_slice(&block), &job->reply.body, 0,
                            job->reply.body.len);
        buf_fini(&block);
}

static void answer_result_or_why(struct visit *v, struct job *job)
{
        char why[JOB_REASON_MAX + 96];

        if (!job_state_is_final(job->state)) {
                snprintf(why, sizeof(why), "there is no result yet: the job is %s",
                         job_state_name(job->state));
                visit_problem(v, 409, why);
        } else if (!job->reply.kept) {
                snprintf(why, sizeof(why), "the job is %s and has no result%s%s", job_state_name(job->state),
                         job->run.reason[0] ? ": " : "", job->run.reason);
                visit_problem(v, 404, why);
        } else {
                answer_result(v, job);
        }
}

static void visit_answer(struct visit *v, struct job *job)
{
        bool final = job_state_is_final(job->state);

        switch (v->kind) {
        case VISIT_RESULT:
                answer_result_or_why(v, job);
                break;
        case VISIT_ACCEPT:
                if (final && v->accept.reply == JOB_PAGE_REPLY && job->reply.kept)
                        answer_result(v, job);
                else if (final && v->accept.reply == JOB_PAGE_RECORD)
                        answer_record(v, job, record_status(v, job));
                else
                        answer_receipt(v, job);
                break;
        case VISIT_STATUS:
        case VISIT_CANCEL:
        case VISIT_RETRY:
                answer_record(v, job, record_status(v, job));
                break;
        }
}

static void visit_found(void *arg, int status, struct job *job, const char *why)
{
        struct visit *v = arg;

        v->asking = false;
        if (!v->ex) {
                visit_release(v);
        } else if (status != 0) {
                visit_problem(v, status == STORE_NOT_FOUND ? 404 : 503,
                              status == STORE_NOT_FOUND ? "there is no such job" : why);
        } else if (v->ended || !v->timer_open || job_state_is_final(job->state)) {
                visit_answer(v, job);
        }
        job_free(job);
}

/* ---- the calls ---- */

static void visit_accepted(void *arg, int status, const struct job *job, const char *why)
{
        struct visit *v = arg;

        v->asking = false;
        if (!v->ex) {
                visit_release(v);
        } else if (!job) {
                visit_problem(v, status, why);
        } else if (v->accept.wait_ms > 0) {
                v->id = job->id;
                memcpy(v->ex->job, job->id.text, sizeof(v->ex->job));
                visit_wait(v, v->accept.wait_ms);
        } else {
                memcpy(v->ex->job, job->id.text, sizeof(v->ex->job));
                answer_receipt(v, job);
        }
}

void job_page_accept(struct job_pages *pages, struct exchange *ex, const struct job_page_accept *accept)
{
        struct cause cause = { "" };
        struct visit *v;
        int status = jobs_may_accept(pages->jobs, accept->draft->request.body.len, &cause);

        if (status) {
                job_free(accept->draft);
                exchange_problem(ex, status, 5, cause.text);
                return;
        }
        v = visit_new(pages, ex, VISIT_ACCEPT);
        v->accept = *accept;
        v->asking = true;
        jobs_accept(pages->jobs, accept->draft, visit_accepted, v);
}

void job_page_status(struct job_pages *pages, struct exchange *ex, const struct job_id *id, int64_t wait_ms)
{
        struct visit *v = visit_new(pages, ex, VISIT_STATUS);

        v->id = *id;
        if (wait_ms > 0)
                visit_wait(v, wait_ms);
        visit_ask(v, false);
}

void job_page_result(struct job_pages *pages, struct exchange *ex, const struct job_id *id)
{
        struct visit *v = visit_new(pages, ex, VISIT_RESULT);

        v->id = *id;
        visit_ask(v, true);
}

/* What came of a wish. The job is the callee's. */
static void visit_wished(void *arg, int status, struct job *job, const char *why)
{
        struct visit *v = arg;

        v->asking = false;
        if (!v->ex) {
                visit_release(v);
        } else if (status == 409 || !job) {
                visit_problem(v, status, status == 404 ? "there is no such job" : why);
        } else if (v->kind == VISIT_RETRY && status == 202) {
                answer_receipt(v, job);
        } else if (status == 204 && !v->pages->full) {
                exchange_reply(visit_take_exchange(v), 204, NULL, SLICE(""), SLICE(""));
        } else {
                answer_record(v, job, status == 204 ? 200 : status);
        }
        job_free(job);
}

void job_page_retry(struct job_pages *pages, struct exchange *ex, const struct job_id *id)
{
        struct visit *v = visit_new(pages, ex, VISIT_RETRY);

        v->id = *id;
        v->asking = true;
        jobs_retry(pages->jobs, id, visit_wished, v);
}

void job_page_cancel(struct job_pages *pages, struct exchange *ex, const struct job_id *id)
{
        struct visit *v = visit_new(pages, ex, VISIT_CANCEL);

        v->id = *id;
        v->asking = true;
        jobs_cancel(pages->jobs, id, visit_wished, v);
}

bool job_page_wait(struct job_pages *pages, struct exchange *ex, int64_t *wait_ms)
{
        struct slice value;
        uint64_t seconds;

        *wait_ms = 0;
        if (!url_query_get(ex->req.query, SLICE("wait"), &value))
                return true;
        if (!slice_to_u64(value, UINT32_MAX, &seconds)) {
                exchange_problem(ex, 400, 0, "wait: not a number of seconds");
                return false;
        }
        *wait_ms = (int64_t)seconds * 1000;
        if (*wait_ms > pages->config->wait_max_ms)
                *wait_ms = pages->config->wait_max_ms;
        return true;
}
