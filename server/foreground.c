/* See foreground.h. One struct follows a request from the door to the end of its run; `ex` is NULL once the
 * caller is gone or has been let go. */
#include "server/foreground.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "server/draft.h"
#include "server/script.h"

struct foreground {
        struct foreground_desk *desk;
        struct exchange *ex;
        struct job_request request;
        struct site_match match;
        struct dispatch_turn turn;
        struct run *run;
        int minor;
        bool head_sent;
        bool gone;
};

static void foreground_free(struct foreground *f)
{
        f->desk->active--;
        site_match_fini(&f->match);
        job_request_fini(&f->request);
        free(f);
}

static void foreground_let_go(struct foreground *f)
{
        struct exchange *ex = f->ex;

        f->ex = NULL;
        exchange_end(ex);
}

static void on_head(void *arg, const struct cgi_head *head)
{
        struct foreground *f = arg;
        struct buf block;

        if (!f->ex)
                return;
        f->head_sent = true;
        f->ex->worker = run_worker(f->run);
        if (head->close)
                f->ex->close = true;
        buf_init(&block, CGI_HEAD_MAX + 128);
        if (draft_reply_block(&block, head->headers, head->header_count) != 0)
                log_say(LOG_ERROR, "server", "reply head cut", "script=\"%s\"", f->match.script_name);
        exchange_head(f->ex, head->status, buf_slice(&block),
                      head->has_length ? (int64_t)head->content_length : -1);
        buf_fini(&block);
        if (exchange_complete(f->ex))
                foreground_let_go(f);
}

static void on_data(void *arg, struct slice bytes)
{
        struct foreground *f = arg;

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

        log_say(LOG_WARN, "run", "script wrote to stderr", "script=%s text=%s",
                log_quote(script, sizeof(script), f->match.script_name, strlen(f->match.script_name)),
                log_quote(text, sizeof(text), bytes.ptr, bytes.len));
}

static void on_end(void *arg, const struct job_run *how)
{
        struct foreground *f = arg;
        struct exchange *ex = f->ex;
        char why[JOB_REASON_MAX + 8], script[256];

        f->run = NULL;
        f->ex = NULL;
        if (how->outcome == RUN_CRASHED || (how->outcome == RUN_FAILED && !f->head_sent))
                log_say(LOG_WARN, "run", "foreground run did not end well", "script=%s outcome=\"%s\" why=%s",
                        log_quote(script, sizeof(script), f->match.script_name, strlen(f->match.script_name)),
                        run_outcome_name(how->outcome),
                        log_quote(why, sizeof(why), how->reason, strlen(how->reason)));
        if (ex && !f->head_sent)
                exchange_problem(ex, how->outcome == RUN_PUT_BACK ? 503 : 502,
                                 how->outcome == RUN_PUT_BACK ? 5 : 0, how->reason);
        else if (ex && (how->outcome == RUN_SUCCEEDED || how->outcome == RUN_FAILED))
                exchange_end(ex);
        else if (ex)
                exchange_abort(ex);
        foreground_free(f);
}

static const struct run_handlers handlers = {
        .head = on_head, .data = on_data, .log = on_log, .end = on_end
};

static void on_gone(struct exchange *ex)
{
        struct foreground *f = ex->arg;

        f->ex = NULL;
        f->gone = true;
        if (f->run)
                run_hang_up(f->run);
}

static void on_drained(struct exchange *ex)
{
        struct foreground *f = ex->arg;

        run_resume(f->run);
}

static const struct exchange_ops ops = { .gone = on_gone, .drained = on_drained };

static void foreground_start(struct foreground *f)
{
        const struct cgi_context context = { .minor = f->minor };
        struct cause cause = { "" };
        struct exchange *ex = f->ex;
        int r;

        r = script_start(f->desk->dispatcher, false, site_root(f->desk->site), &f->match, &f->request,
                         &context, &handlers, f, &f->run, &cause);
        if (r == SCRIPT_BUSY) {
                dispatcher_wait(f->desk->dispatcher, &f->turn);
                return;
        }
        if (r == 0) {
                if (f->gone)
                        run_hang_up(f->run);
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
        spool_init(&f->request.body, -1, 0, 0);
        if (draft_from_exchange(&f->request, ex, exchange_target(ex), SLICE("")) != 0) {
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
