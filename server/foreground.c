/* See foreground.h. One struct follows a request from the door to the end of its run; `ex` is NULL once the
 * caller is gone or has been let go. The request is that of a job draft from the start, so that it can become
 * one. */
#include "server/foreground.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/draft.h"
#include "server/script.h"

#define LET_GO_MS      100 /* a script that ends sooner is not worth a record */
#define DETACH_LOOK_MS 1   /* so that what was printed before `detach` is read first */

struct foreground {
        struct foreground_desk *desk;
        struct exchange *ex;
        struct job *draft; /* NULL once it is a job's */
        struct site_match match;
        struct dispatch_turn turn;
        struct run *run;
        struct entry *entry; /* it has become a job */
        char *headers;       /* the reply's, for the record */
        int status;
        int minor;
        int64_t started_ms; /* real time */
        int64_t alone_ms;   /* loop time since when nobody waits; 0 somebody does */
        bool head_sent;
        bool gone;                      /* the caller hung up */
        bool detach;                    /* in desk->detaching */
        bool ignore_abort;              /* said on SENDOFF_CONTROL */
        struct foreground *prev, *next; /* in desk->alone */
        struct foreground *detach_prev, *detach_next;
};

static void foreground_free(struct foreground *f)
{
        if (!f->entry)
                f->desk->active--;
        if (f->alone_ms && !f->entry)
                DL_DELETE(f->desk->alone, f);
        if (f->detach)
                DL_DELETE2(f->desk->detaching, f, detach_prev, detach_next);
        site_match_fini(&f->match);
        job_free(f->draft);
        free(f->headers);
        free(f);
}

/* ---- going on alone ---- */

static void desk_look(uv_timer_t *timer);

static void desk_arm(struct foreground_desk *desk)
{
        int64_t now = (int64_t)uv_now(desk->loop), wait = DETACH_LOOK_MS;

        if ((!desk->alone && !desk->detaching) || uv_is_closing((uv_handle_t *)&desk->look))
                return;
        if (!desk->detaching)
                wait = desk->alone->alone_ms + LET_GO_MS - now;
        uv_timer_start(&desk->look, desk_look, wait > 0 ? (uint64_t)wait : 0, 0);
}

/* From now on nobody waits for it. */
static void foreground_alone(struct foreground *f)
{
        if (f->alone_ms || f->entry)
                return;
        f->alone_ms = (int64_t)uv_now(f->desk->loop);
        DL_APPEND(f->desk->alone, f);
        if (!uv_is_active((uv_handle_t *)&f->desk->look))
                desk_arm(f->desk);
}

static int64_t policy_of(const struct foreground *f)
{
        const char *word = f->desk->config->on_abort;

        return strcmp(word, "stop") == 0       ? JOB_ABORT_STOP
               : strcmp(word, "continue") == 0 ? JOB_ABORT_CONTINUE
                                               : JOB_ABORT_PHP;
}

static void foreground_adopt(struct foreground *f)
{
        struct job *draft = f->draft;
        struct run_limits limits;

        DL_DELETE(f->desk->alone, f);
        f->desk->active--;
        f->draft = NULL;
        draft->options.on_abort = policy_of(f);
        draft->cancel_asked = f->gone; /* stored with it: the record of a crash knows, too */
        draft->reply.status = f->status;
        draft->reply.kept = f->head_sent;
        draft->reply.headers = f->headers;
        f->headers = NULL;
        f->entry = jobs_adopt(f->desk->jobs, draft, f->run, f->started_ms);
        limits = jobs_limits(f->desk->jobs, draft);
        if (f->ignore_abort)
                jobs_adopted()->control(f->entry, SLICE("ignore-abort on"));
        if (!f->gone) /* let go: from now on it is a job like any other */
                run_set_time_limit(f->run, limits.time_limit_ms);
}

void foreground_desk_init(struct foreground_desk *desk)
{
        uv_timer_init(desk->loop, &desk->look);
        desk->look.data = desk;
}

void foreground_desk_close(struct foreground_desk *desk)
{
        if (!uv_is_closing((uv_handle_t *)&desk->look))
                uv_close((uv_handle_t *)&desk->look, NULL);
}

/* The caller has all it will get. */
static void foreground_let_go(struct foreground *f)
{
        struct exchange *ex = f->ex;

        f->ex = NULL;
        exchange_end(ex);
        foreground_alone(f);
}

/* ---- what the run delivers ---- */

static void on_head(void *arg, const struct cgi_head *head)
{
        struct foreground *f = arg;
        struct buf block;

        if (f->entry) {
                jobs_adopted()->head(f->entry, head);
                return;
        }
        if (!f->ex)
                return;
        f->head_sent = true;
        f->status = head->status;
        f->ex->worker = run_worker(f->run);
        if (head->close)
                f->ex->close = true;
        buf_init(&block, CGI_HEAD_MAX + 128);
        if (draft_reply_block(&block, head->headers, head->header_count) != 0)
                log_say(LOG_ERROR, "server", "reply head cut", "script=\"%s\"", f->match.script_name);
        exchange_head(f->ex, head->status, buf_slice(&block),
                      head->has_length ? (int64_t)head->content_length : -1);
        f->headers = buf_take(&block);
        if (exchange_complete(f->ex))
                foreground_let_go(f);
}

static void on_data(void *arg, struct slice bytes)
{
        struct foreground *f = arg;

        if (f->entry) {
                jobs_adopted()->data(f->entry, bytes);
                return;
        }
        if (!f->ex)
                return;
        if (exchange_data(f->ex, bytes) == EXCHANGE_SLOW)
                run_pause(f->run);
        if (exchange_complete(f->ex)) {
                run_resume(f->run);
                foreground_let_go(f);
        }
}

static void on_log(void *arg, struct slice bytes)
{
        struct foreground *f = arg;
        char text[1024], script[256];

        if (f->entry) {
                jobs_adopted()->log(f->entry, bytes);
                return;
        }
        log_say(LOG_WARN, "run", "script wrote to stderr", "script=%s text=%s",
                log_quote(script, sizeof(script), f->match.script_name, strlen(f->match.script_name)),
                log_quote(text, sizeof(text), bytes.ptr, bytes.len));
}

/* What was printed before it has been read meanwhile: the reply ends with that. */
static void foreground_detach(struct foreground *f)
{
        struct exchange *ex = f->ex;

        DL_DELETE2(f->desk->detaching, f, detach_prev, detach_next);
        f->detach = false;
        if (!ex)
                return;
        run_resume(f->run);
        if (!f->head_sent) { /* it said nothing yet, and nothing more is wanted */
                f->head_sent = true;
                f->status = 204;
                exchange_head(ex, 204, SLICE(""), 0);
        }
        foreground_let_go(f);
}

/* Those that have been alone for long enough become jobs, in the order in which they were left. */
static void desk_look(uv_timer_t *timer)
{
        struct foreground_desk *desk = timer->data;
        int64_t now = (int64_t)uv_now(desk->loop);

        while (desk->detaching)
                foreground_detach(desk->detaching);
        while (desk->alone && desk->alone->alone_ms + LET_GO_MS <= now)
                foreground_adopt(desk->alone);
        desk_arm(desk);
}

static void on_control(void *arg, struct slice text)
{
        struct foreground *f = arg;
        struct control_line line;
        struct cause cause;
        char quoted[256];

        if (f->entry) {
                jobs_adopted()->control(f->entry, text);
                return;
        }
        if (control_line_parse(text, &line, &cause) != 0) {
                log_say(LOG_WARN, "run", "SENDOFF_CONTROL not understood", "line=%s why=\"%s\"",
                        log_quote(quoted, sizeof(quoted), text.ptr, text.len), cause.text);
                return;
        }
        switch (line.what) {
        case CONTROL_PROGRESS:
                f->draft->progress = line.progress;
                break;
        case CONTROL_TIME_LIMIT:
                run_set_time_limit(f->run, line.time_limit_ms);
                break;
        case CONTROL_IGNORE_ABORT:
                f->ignore_abort = line.on;
                break;
        case CONTROL_DETACH:
                if (f->ex && !f->detach) {
                        f->detach = true;
                        DL_APPEND2(f->desk->detaching, f, detach_prev, detach_next);
                        desk_arm(f->desk);
                }
                break;
        }
}

static void answer_end(struct foreground *f, struct exchange *ex, const struct job_run *how)
{
        bool timed_out = how->connection_status & CONNECTION_TIMED_OUT;

        if (!f->head_sent)
                exchange_problem(ex,
                                 how->outcome == RUN_PUT_BACK ? 503
                                 : timed_out                  ? 504
                                                              : 502,
                                 how->outcome == RUN_PUT_BACK ? 5 : 0, how->reason);
        else if (how->outcome == RUN_SUCCEEDED || how->outcome == RUN_FAILED || (timed_out && !how->signal))
                exchange_end(ex);
        else
                exchange_abort(ex);
}

static void on_end(void *arg, const struct job_run *how)
{
        struct foreground *f = arg;
        struct exchange *ex = f->ex;
        char why[JOB_REASON_MAX + 8], script[256];

        if (f->entry) {
                jobs_adopted()->end(f->entry, how);
                foreground_free(f);
                return;
        }
        f->run = NULL;
        f->ex = NULL;
        if (how->outcome == RUN_CRASHED || (how->outcome == RUN_FAILED && !f->head_sent) ||
            (how->connection_status & CONNECTION_TIMED_OUT))
                log_say(LOG_WARN, "run", "foreground run did not end well", "script=%s outcome=\"%s\" why=%s",
                        log_quote(script, sizeof(script), f->match.script_name, strlen(f->match.script_name)),
                        run_outcome_name(how->outcome),
                        log_quote(why, sizeof(why), how->reason, strlen(how->reason)));
        if (ex)
                answer_end(f, ex, how);
        foreground_free(f);
}

static const struct run_handlers handlers = {
        .head = on_head, .data = on_data, .log = on_log, .control = on_control, .end = on_end
};

/* ---- the caller ---- */

static void foreground_abort(struct foreground *f)
{
        int64_t policy = policy_of(f);

        if (f->ignore_abort || policy == JOB_ABORT_CONTINUE)
                run_note_abort(f->run);
        else if (policy == JOB_ABORT_STOP)
                run_stop(f->run, CONNECTION_ABORTED, "the caller hung up");
        else
                run_hang_up(f->run, "the caller hung up");
        run_resume(f->run);
}

static void on_gone(struct exchange *ex)
{
        struct foreground *f = ex->arg;

        f->ex = NULL;
        f->gone = true;
        if (!f->run)
                return;
        foreground_abort(f);
        foreground_alone(f);
}

static void on_drained(struct exchange *ex)
{
        struct foreground *f = ex->arg;

        run_resume(f->run);
}

static const struct exchange_ops ops = { .gone = on_gone, .drained = on_drained };

/* ---- starting ---- */

static void foreground_started(struct foreground *f)
{
        const struct config *config = f->desk->config;
        const struct run_limits limits = { .time_limit_ms = config->foreground_time_limit_ms,
                                           .time_option = "foreground_time_limit",
                                           .grace_ms = config->grace_ms };

        f->started_ms = clock_real_ms();
        run_set_limits(f->run, &limits);
        if (f->gone) {
                foreground_abort(f);
                foreground_alone(f);
        }
}

static void foreground_start(struct foreground *f)
{
        const struct cgi_context context = { .minor = f->minor };
        struct cause cause = { "" };
        struct exchange *ex = f->ex;
        int r;

        r = script_start(f->desk->dispatcher, false, site_root(f->desk->site), &f->match, &f->draft->request,
                         &context, &handlers, f, &f->run, &cause);
        if (r == SCRIPT_BUSY) {
                dispatcher_wait(f->desk->dispatcher, &f->turn);
                return;
        }
        if (r == 0) {
                foreground_started(f);
                return;
        }
        f->ex = NULL;
        if (ex)
                exchange_problem(ex, r == SCRIPT_TOO_LARGE ? 431 : 500, 0, r < 0 ? strerror(-r) : cause.text);
        foreground_free(f);
}

static void on_turn(struct dispatch_turn *turn)
{
        struct foreground *f = (struct foreground *)((char *)turn - offsetof(struct foreground, turn));

        foreground_start(f);
}

static void on_never(struct dispatch_turn *turn)
{
        struct foreground *f = (struct foreground *)((char *)turn - offsetof(struct foreground, turn));
        struct exchange *ex = f->ex;

        f->ex = NULL;
        if (ex)
                exchange_problem(ex, 503, 5, "the server is shutting down");
        foreground_free(f);
}

void foreground_request(struct foreground_desk *desk, struct exchange *ex, struct site_match *match)
{
        struct foreground *f;
        char why[160];

        if (desk->stopping) {
                site_match_fini(match);
                exchange_problem(ex, 503, 5, "the server is shutting down");
                return;
        }
        if (dispatcher_waiting(desk->dispatcher) >= desk->config->foreground_queue_max) {
                snprintf(why, sizeof(why),
                         "%llu requests already wait for a worker (option foreground_queue_max)",
                         (unsigned long long)desk->config->foreground_queue_max);
                site_match_fini(match);
                exchange_problem(ex, 503, 1, why);
                return;
        }
        f = mem_alloc(sizeof(*f));
        f->desk = desk;
        desk->active++;
        f->ex = ex;
        f->match = *match;
        f->minor = ex->req.minor;
        f->turn.go = on_turn;
        f->turn.never = on_never;
        f->draft = job_new();
        if (draft_from_exchange(&f->draft->request, ex, exchange_target(ex), SLICE("")) != 0) {
                exchange_problem(ex, 431, 0, "the request's header fields are too large together");
                foreground_free(f);
                return;
        }
        ex->ops = &ops;
        ex->arg = f;
        if (dispatcher_free_now(desk->dispatcher))
                foreground_start(f);
        else
                dispatcher_wait(desk->dispatcher, &f->turn);
}
