/* One request on a worker's kept connection. The good path: BEGIN, PARAMS and as much of the body as fits
 * leave in one write, the rest of the body follows as the worker takes it; the reply's head is collected, the
 * rest handed on as it comes; END_REQUEST ends the run. A run is also over when the process is reaped and the
 * connection has ended, in either order, or DRAIN_MS after the first of the two; when the caller hung up, as
 * soon as the connection is closed. `end` is called exactly once, from the loop. */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "run/fastcgi.h"
#include "run/pool.h"
#include "run/worker.h"

#define REQUEST_ID  1
#define DRAIN_MS    1000
#define CHUNK_BYTES 32768

struct run {
        struct worker *worker;
        struct run_handlers handlers;
        void *arg;
        const struct spool *body;
        uint64_t body_at;
        struct buf out; /* records on their way */
        uv_write_t write;
        bool writing, sent; /* sent: everything incl. the end of STDIN is handed to libuv */
        struct fcgi_decoder decoder;
        struct buf head;
        size_t scanned;
        bool head_done, discard, paused, gone, eof, over;
        enum run_outcome outcome; /* decided early: STOPPED, PUT_BACK, FAILED */
        int status;
        char reason[JOB_REASON_MAX];
        uint32_t app_status;
        uv_timer_t later; /* ends it from the loop when nothing else would */
        unsigned refs;    /* the timer's handle, and a write under way */
};

static void run_finish(struct run *run, bool connection_good);

/* ---- the end ---- */

static void run_unref(struct run *run)
{
        if (--run->refs > 0)
                return;
        buf_fini(&run->out);
        buf_fini(&run->head);
        free(run);
}

static void later_closed(uv_handle_t *handle)
{
        run_unref(handle->data);
}

static const char *signal_text(int signum)
{
        const char *text = strsignal(signum);

        return text ? text : "unknown";
}

static void crash_reason(const struct run *run, char *out, size_t size)
{
        const struct worker *w = run->worker;

        if (w->reaped && w->term_signal)
                snprintf(out, size,
                         "the worker (pid %d) was killed by signal %d (%s) before the reply was complete",
                         w->pid, w->term_signal, signal_text(w->term_signal));
        else if (w->reaped)
                snprintf(out, size, "the worker (pid %d) exited with code %d before the reply was complete",
                         w->pid, w->exit_code);
        else
                snprintf(out, size, "the worker (pid %d) closed the connection before the reply was complete",
                         w->pid);
}

/* Tells the caller; the worker's state is settled before, so that the caller may start another request at
 * once. */
static void run_report(struct run *run, const struct job_run *how)
{
        const struct run_handlers handlers = run->handlers;
        void *arg = run->arg;

        run->over = true;
        uv_close((uv_handle_t *)&run->later, later_closed);
        handlers.end(arg, how);
}

static void run_finish(struct run *run, bool connection_good)
{
        struct worker *w = run->worker;
        struct job_run how = { .exit_code = -1,
                               .cpu_ms = -1,
                               .peak_rss_kb = -1,
                               .outcome = run->outcome,
                               .status = run->status };
        struct pool *pool = w->pool;
        bool reaped = w->reaped;

        if (run->gone || run->outcome == RUN_STOPPED)
                how.connection_status = 1;
        if (run->app_status)
                how.exit_code = (int)run->app_status;
        if (how.outcome == RUN_NONE) {
                how.outcome = RUN_CRASHED;
                crash_reason(run, how.reason, sizeof(how.reason));
                if (reaped) {
                        how.signal = w->term_signal;
                        how.exit_code = w->term_signal ? -1 : w->exit_code;
                }
        } else {
                memcpy(how.reason, run->reason, sizeof(how.reason));
        }
        uv_timer_stop(&w->timer);
        if (reaped)
                w->run = NULL;
        else
                worker_run_over(w, connection_good);
        run_report(run, &how);
        if (reaped)
                pool_worker_down(pool, w);
}

void fastcgi_eof(struct run *run)
{
        run->eof = true;
        if (run->worker->reaped) {
                run_finish(run, false);
                return;
        }
        worker_spawn_later(run->worker, DRAIN_MS); /* calls fastcgi_drain_over */
}

void fastcgi_reaped(struct run *run)
{
        if (run->eof || !run->worker->link) {
                run_finish(run, false);
                return;
        }
        if (run->paused)
                run_resume(run);
        worker_spawn_later(run->worker, DRAIN_MS);
}

void fastcgi_drain_over(struct run *run)
{
        struct worker *w = run->worker;

        if (!w->reaped) {
                log_say(LOG_WARN, "run", "worker closed its connection but lives on; killed",
                        "worker=%d pid=%d", w->number, w->pid);
                w->run = NULL;
                worker_end(w, SIGKILL);
                w->run = run;
        }
        run_finish(run, false);
}

/* ---- the reply ---- */

/* The reply cannot be used: the caller gets 502, the script goes on without a listener. */
static void run_bad_reply(struct run *run, const char *why)
{
        run->outcome = RUN_FAILED;
        run->status = 502;
        snprintf(run->reason, sizeof(run->reason), "%s", why);
        run->discard = true;
}

static void run_head(struct run *run, struct slice *bytes)
{
        struct cgi_head head;
        struct cause cause = { "" };
        size_t before = buf_len(&run->head), take = bytes->len, len;
        char why[96];

        if (take > CGI_HEAD_MAX - before)
                take = CGI_HEAD_MAX - before;
        if (buf_append(&run->head, bytes->ptr, take) != 0) {
                run_bad_reply(run, "out of memory for the reply's head");
                return;
        }
        len = cgi_head_length(buf_slice(&run->head), &run->scanned);
        if (len == 0) {
                *bytes = slice_from(*bytes, take);
                if (buf_len(&run->head) >= CGI_HEAD_MAX) {
                        snprintf(why, sizeof(why), "the script's reply has no head within %d bytes",
                                 CGI_HEAD_MAX);
                        run_bad_reply(run, why);
                }
                return;
        }
        *bytes = slice_from(*bytes, len - before);
        if (cgi_head_parse((struct slice){ buf_data(&run->head), len }, &head, &cause) < 0) {
                run_bad_reply(run, cause.text);
                return;
        }
        run->head_done = true;
        run->status = head.status;
        run->handlers.head(run->arg, &head);
}

static void run_stdout(struct run *run, struct slice bytes)
{
        if (!run->head_done && !run->discard)
                run_head(run, &bytes);
        if (run->head_done && !run->discard && bytes.len > 0)
                run->handlers.data(run->arg, bytes);
}

static void run_answered(struct run *run, const struct fcgi_event *event)
{
        run->app_status = event->app_status;
        if (run->outcome != RUN_NONE)
                return;
        if (event->protocol_status != 0) {
                run->outcome = RUN_FAILED;
                run->status = 502;
                snprintf(run->reason, sizeof(run->reason),
                         "the worker refused the request (FastCGI protocol status %d)",
                         event->protocol_status);
        } else if (!run->head_done) {
                run->outcome = RUN_FAILED;
                run->status = 502;
                snprintf(run->reason, sizeof(run->reason), "the script ended without a reply head");
        } else if (job_status_succeeds(run->status)) {
                run->outcome = RUN_SUCCEEDED;
        } else {
                run->outcome = RUN_FAILED;
                snprintf(run->reason, sizeof(run->reason), "the script answered %d %s", run->status,
                         http1_reason(run->status));
        }
}

void fastcgi_read(struct run *run, struct slice bytes)
{
        struct link *link = run->worker->link;
        struct fcgi_event event;
        struct cause cause = { "" };
        int r = 0;

        /* a handler may end the connection under us (run_hang_up): then the rest is not ours any more */
        while (!run->over && run->worker->link == link &&
               (r = fcgi_decode(&run->decoder, REQUEST_ID, &bytes, &event, &cause)) == 0) {
                if (event.what == FCGI_SAW_STDOUT) {
                        run_stdout(run, event.data);
                } else if (event.what == FCGI_SAW_STDERR) {
                        run->handlers.log(run->arg, event.data);
                } else if (event.what == FCGI_SAW_END) {
                        run_answered(run, &event);
                        run_resume(run);
                        run_finish(run, bytes.len == 0 && run->sent && !run->writing);
                        return;
                }
        }
        if (r < 0) {
                run_bad_reply(run, cause.text);
                run_finish(run, false);
        }
}

/* ---- the request ---- */

static void run_send_more(struct run *run);

static void run_written(uv_write_t *write, int status)
{
        struct run *run = write->data;

        run->writing = false;
        if (!run->over &&
            status == 0) { /* else the end of the connection, or of the process, says the rest */
                buf_clear(&run->out);
                run_send_more(run);
        }
        run_unref(run);
}

/* Appends STDIN records for the next piece of the body, and the empty one after the last. */
static int run_add_stdin(struct run *run)
{
        char header[FCGI_HEADER_SIZE], *at;
        uint64_t left = run->body->len - run->body_at;
        size_t want = left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
        ssize_t n = 0;

        if (want > 0) {
                at = buf_reserve(&run->out, FCGI_HEADER_SIZE + want);
                n = at ? spool_read(run->body, run->body_at, at + FCGI_HEADER_SIZE, want) : -ENOMEM;
                if (n <= 0)
                        return n < 0 ? (int)n : -EIO;
                fcgi_header(at, FCGI_STDIN, REQUEST_ID, (size_t)n);
                buf_wrote(&run->out, FCGI_HEADER_SIZE + (size_t)n);
                run->body_at += (uint64_t)n;
        }
        if (run->body_at < run->body->len)
                return 0;
        run->sent = true;
        fcgi_header(header, FCGI_STDIN, REQUEST_ID, 0);
        return buf_append(&run->out, header, sizeof(header));
}

static void run_caller_gone(uv_timer_t *timer)
{
        struct run *run = timer->data;

        run->outcome = RUN_STOPPED;
        snprintf(run->reason, sizeof(run->reason), "the caller hung up");
        run_finish(run, false);
}

static void run_close_when_gone(struct run *run)
{
        if (run->gone && run->sent && !run->writing && run->worker->link) {
                worker_drop_link(run->worker);
                uv_timer_start(&run->later, run_caller_gone, 0, 0);
        }
}

static void run_flush(struct run *run)
{
        uv_stream_t *stream = (uv_stream_t *)&run->worker->link->pipe;
        uv_buf_t vec = uv_buf_init(buf_data(&run->out), (unsigned)buf_len(&run->out));
        int n = uv_try_write(stream, &vec, 1);

        if (n > 0)
                buf_consume(&run->out, (size_t)n);
        if (buf_len(&run->out) == 0)
                return;
        vec = uv_buf_init(buf_data(&run->out), (unsigned)buf_len(&run->out));
        run->write.data = run;
        run->writing = uv_write(&run->write, stream, &vec, 1, run_written) == 0;
        run->refs += run->writing;
}

static void run_send_more(struct run *run)
{
        while (!run->writing && !run->sent && run->worker->link) {
                if (run_add_stdin(run) < 0) {
                        run->outcome = RUN_FAILED;
                        run->status = 500;
                        snprintf(run->reason, sizeof(run->reason), "the request's body could not be read");
                        worker_end(run->worker, SIGKILL);
                        return;
                }
                run_flush(run);
        }
        run_close_when_gone(run);
}

/* ---- what the runner offers ---- */

int fastcgi_start(struct worker *w, struct fcgi_params *params, const struct spool *body,
                  const struct run_handlers *handlers, void *arg, struct run **out)
{
        struct run *run = mem_alloc(sizeof(*run));
        int r;

        run->refs = 1;
        run->worker = w;
        run->handlers = *handlers;
        run->arg = arg;
        run->body = body;
        fcgi_decoder_init(&run->decoder);
        buf_init(&run->head, CGI_HEAD_MAX);
        buf_init(&run->out, FCGI_PARAMS_MAX + 2 * CHUNK_BYTES);
        r = fcgi_begin(&run->out, REQUEST_ID, true);
        if (r == 0)
                r = buf_append_slice(&run->out, buf_slice(&params->out));
        if (r != 0) {
                run_unref(run);
                return -ENOMEM;
        }
        fcgi_params_fini(params);
        uv_timer_init(pool_setup(w->pool)->loop, &run->later);
        run->later.data = run;
        w->run = run;
        worker_move(w, WORKER_BUSY);
        *out = run;
        run_send_more(run);
        return 0;
}

void run_pause(struct run *run)
{
        if (run->paused || run->over || !run->worker->link)
                return;
        run->paused = true;
        worker_set_reading(run->worker, false);
}

void run_resume(struct run *run)
{
        if (!run->paused || run->over)
                return;
        run->paused = false;
        worker_set_reading(run->worker, true);
}

void run_hang_up(struct run *run)
{
        if (run->over || run->gone)
                return;
        run->gone = true;
        run->discard = true;
        run_resume(run);
        run_close_when_gone(run);
}

void run_stop(struct run *run, const char *reason)
{
        if (run->over || run->outcome != RUN_NONE)
                return;
        run->outcome = RUN_STOPPED;
        snprintf(run->reason, sizeof(run->reason), "%s", reason);
        run->worker->blameless = true;
        worker_end(run->worker, SIGKILL);
}

void fastcgi_put_back(struct run *run)
{
        if (run->outcome == RUN_NONE) {
                run->outcome = RUN_PUT_BACK;
                snprintf(run->reason, sizeof(run->reason), "the server is shutting down");
        }
        run->worker->blameless = true;
        worker_end(run->worker, SIGKILL);
}

int run_worker(const struct run *run)
{
        return run->worker->number;
}

int run_pid(const struct run *run)
{
        return run->worker->pid;
}
