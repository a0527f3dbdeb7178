/* One request on a worker's kept connection. The good path: BEGIN, PARAMS and the first of the body leave in
 * one write, the rest of the body follows as the worker takes it; the reply's head is collected, the rest
 * handed on as it comes; END_REQUEST ends the run.
 *
 * How it fails: the process dies or the connection ends. The run is over when the process is reaped and the
 * connection has ended, in either order. A connection that outlives the process (a program that the script
 * has left behind holds it) is waited for DRAIN_MS; a process that outlives its connection is killed after
 * DRAIN_MS and reaped. run_stop kills and waits for the same. A reply of no use, and a caller that hung up,
 * close the connection: the run ends, the worker is GONE until it answers again.
 *
 * `end` is called exactly once, from the loop, after the worker's own state is settled. */
#include "run/fastcgi.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "run/worker.h"

#define REQUEST_ID     1
#define DRAIN_MS       1000
#define CHUNK_BYTES    32768
#define CHUNKS_AT_ONCE 8          /* of a body, before others get a turn */
#define HELD_MAX       (64 << 10) /* one read of the connection */

struct run {
        struct worker *worker;
        struct run_handlers handlers;
        void *arg;
        uv_timer_t later; /* for what must come from the loop, and for drains */
        unsigned refs;    /* the timer's handle, and a write under way */

        const struct spool *body;
        uint64_t body_at;
        struct buf out; /* records on their way */
        uv_write_t write;
        bool writing;
        bool sent;   /* everything, with the end of STDIN, is handed to libuv */
        bool broken; /* a write failed: the end of the connection says the rest */

        struct fcgi_decoder decoder;
        struct buf head;
        size_t scanned;
        struct buf held; /* came while paused: reply body first, then bytes of the connection */
        size_t held_data;

        bool head_done, paused;
        bool discard; /* no more data */
        bool gone;    /* the caller hung up */
        bool dropped; /* so the connection was closed */
        bool deaf;    /* stopped while paused: what is on the connection is not wanted */
        bool eof, cut, over;
        enum run_outcome outcome; /* decided before the end: STOPPED, PUT_BACK, FAILED */
        int status;
        uint32_t app_status;
        char reason[JOB_REASON_MAX];
};

/* ---- the end ---- */

static void run_unref(struct run *run)
{
        if (--run->refs > 0)
                return;
        buf_fini(&run->out);
        buf_fini(&run->head);
        buf_fini(&run->held);
        free(run);
}

static void later_closed(uv_handle_t *handle)
{
        run_unref(handle->data);
}

static void crash_reason(const struct run *run, struct job_run *how)
{
        const struct worker *w = run->worker;
        const char *program = pool_setup(w->pool)->program, *signal_name = strsignal(w->term_signal);

        if (run->cut || !w->reaped) {
                snprintf(how->reason, sizeof(how->reason),
                         "the worker (%s, pid %d) closed the connection before the reply was complete",
                         program, w->pid);
        } else if (w->term_signal) {
                how->signal = w->term_signal;
                snprintf(how->reason, sizeof(how->reason),
                         "the worker (%s, pid %d) was killed by signal %d (%s) before the reply was complete",
                         program, w->pid, w->term_signal, signal_name ? signal_name : "unknown");
        } else {
                how->exit_code = w->exit_code;
                snprintf(how->reason, sizeof(how->reason),
                         "the worker (%s, pid %d) exited with code %d before the reply was complete", program,
                         w->pid, w->exit_code);
        }
}

/* The worker's state is settled first, so that the caller may start another request from its `end`. */
static void run_finish(struct run *run, bool connection_good)
{
        struct worker *w = run->worker;
        struct pool *pool = w->pool;
        struct job_run how = {
                .outcome = run->outcome,
                .status = run->status,
                .connection_status = run->gone || run->outcome == RUN_STOPPED,
                .exit_code = run->app_status ? (int)run->app_status : -1,
                .cpu_ms = -1,
                .peak_rss_kb = -1,
        };

        assert(!run->over);
        memcpy(how.reason, run->reason, sizeof(how.reason));
        if (how.outcome == RUN_NONE) {
                how.outcome = RUN_CRASHED;
                crash_reason(run, &how);
        }
        run->over = true;
        uv_close((uv_handle_t *)&run->later, later_closed);
        if (w->reaped) {
                w->run = NULL;
                pool_worker_down(pool, w);
        } else {
                worker_run_over(w, connection_good);
        }
        run->handlers.end(run->arg, &how);
        pool_announce(pool);
}

static void run_decide(struct run *run, enum run_outcome outcome, int status, const char *reason)
{
        run->outcome = outcome;
        if (status)
                run->status = status;
        snprintf(run->reason, sizeof(run->reason), "%s", reason);
}

static void run_take(struct run *run, struct slice data, struct slice bytes);

/* What is left over this time is the rest of the same bytes: see run_hold. */
static void run_take_held(struct run *run)
{
        struct slice all = buf_slice(&run->held);
        size_t data = run->held_data;

        run_take(run, (struct slice){ all.ptr, data }, slice_from(all, data));
        if (run->over || run->paused || run->eof)
                return;
        buf_clear(&run->held);
        worker_set_reading(run->worker, true);
}

static void run_schedule(struct run *run);

static void run_turn(uv_timer_t *timer)
{
        struct run *run = timer->data;
        struct worker *w = run->worker;

        if (run->dropped) {
                run_finish(run, false);
        } else if (buf_len(&run->held) > 0 && !run->paused && !run->deaf) {
                run_take_held(run);
                run_schedule(run);
        } else if (w->reaped) {
                run_finish(run, false);
        } else if (run->eof) {
                log_say(LOG_WARN, "run", "worker closed its connection but lives on; killed",
                        "worker=%d pid=%d", w->number, w->pid);
                run->cut = true;
                worker_end(w, SIGKILL); /* the run ends when it is reaped */
        }
}

/* Sets the timer for what is to come next by itself. */
static void run_schedule(struct run *run)
{
        bool reaped = run->worker->reaped;

        if (run->over)
                return;
        uv_timer_stop(&run->later);
        if (run->dropped || (run->deaf && reaped) || (buf_len(&run->held) > 0 && !run->paused && !run->deaf))
                uv_timer_start(&run->later, run_turn, 0, 0);
        else if (!run->paused && !run->deaf && (run->eof || reaped))
                uv_timer_start(&run->later, run_turn, DRAIN_MS, 0);
}

void fastcgi_eof(struct run *run)
{
        run->eof = true;
        if (run->worker->reaped)
                run_finish(run, false);
        else
                run_schedule(run);
}

void fastcgi_reaped(struct run *run)
{
        if (run->eof || run->deaf || run->dropped)
                run_finish(run, false);
        else
                run_schedule(run);
}

/* ---- the reply ---- */

/* The reply cannot be used: the run ends here, the script goes on without a listener. */
static void run_bad_reply(struct run *run, const char *why)
{
        run->discard = true;
        if (run->outcome != RUN_NONE)
                return; /* on its way to another end */
        run_decide(run, RUN_FAILED, 502, why);
        worker_drop_link(run->worker);
        run_finish(run, false);
}

static void run_head_complete(struct run *run, struct slice bytes)
{
        struct cgi_head head;
        struct cause cause = { "" };

        if (cgi_head_parse(bytes, &head, &cause) < 0) {
                run_bad_reply(run, cause.text);
                return;
        }
        run->head_done = true;
        run->status = head.status;
        run->handlers.head(run->arg, &head);
}

/* Takes the head off *bytes; where it is whole in one record it is not copied. */
static void run_head(struct run *run, struct slice *bytes)
{
        size_t before = buf_len(&run->head), take = bytes->len, len;
        struct slice all = *bytes;
        char why[96];

        if (take > CGI_HEAD_MAX - before)
                take = CGI_HEAD_MAX - before;
        all.len = take;
        len = before ? 0 : cgi_head_length(all, &run->scanned);
        if (len == 0) {
                if (buf_append(&run->head, bytes->ptr, take) != 0) {
                        run_bad_reply(run, "out of memory for the reply's head");
                        return;
                }
                all = buf_slice(&run->head);
                len = cgi_head_length(all, &run->scanned);
        }
        if (len > 0) {
                *bytes = slice_from(*bytes, len - before);
                run_head_complete(run, (struct slice){ all.ptr, len });
                return;
        }
        *bytes = slice_from(*bytes, take);
        if (buf_len(&run->head) >= CGI_HEAD_MAX) {
                snprintf(why, sizeof(why), "the script's reply has no end of its head within %d bytes",
                         CGI_HEAD_MAX);
                run_bad_reply(run, why);
        }
}

static void run_stdout(struct run *run, struct slice *bytes)
{
        struct slice all = *bytes;

        if (!run->discard && !run->head_done) {
                run_head(run, bytes);
                return;
        }
        *bytes = SLICE("");
        if (!run->discard)
                run->handlers.data(run->arg, all);
}

static void run_answered(struct run *run, const struct fcgi_event *event)
{
        char why[96];

        run->app_status = event->app_status;
        if (run->outcome != RUN_NONE)
                return;
        if (run->gone) {
                run_decide(run, RUN_STOPPED, 0, "the caller hung up");
        } else if (event->protocol_status != 0) {
                snprintf(why, sizeof(why), "the worker refused the request (FastCGI protocol status %d)",
                         event->protocol_status);
                run_decide(run, RUN_FAILED, 502, why);
        } else if (!run->head_done) {
                run_decide(run, RUN_FAILED, 502,
                           buf_len(&run->head) ? "the script ended within the head of its reply"
                                               : "the script ended without a reply");
        } else if (job_status_succeeds(run->status)) {
                run_decide(run, RUN_SUCCEEDED, 0, "");
        } else {
                snprintf(why, sizeof(why), "the script answered %d %s", run->status,
                         http1_reason(run->status));
                run_decide(run, RUN_FAILED, 0, why);
        }
}

static void run_saw_end(struct run *run, const struct fcgi_event *event, bool connection_good)
{
        struct worker *w = run->worker;

        if (w->state == WORKER_ENDING && !w->reaped) { /* killed just now: first reap, then say so */
                run->app_status = event->app_status;
                run->eof = true;
                worker_set_reading(w, false);
                return;
        }
        run_answered(run, event);
        run_finish(run, connection_good);
}

/* Keeps what a pause has left over: at most one read of the connection, or the rest of what was held before.
 */
static void run_hold(struct run *run, struct slice data, struct slice bytes)
{
        size_t before = buf_len(&run->held), left = data.len + bytes.len;

        run->held_data = data.len;
        if (before > 0)
                buf_consume(&run->held, before - left);
        else if (buf_append_slice(&run->held, data) != 0 || buf_append_slice(&run->held, bytes) != 0)
                run_bad_reply(run, "out of memory for the reply");
}

/* data: reply body; bytes: what followed it on the connection. A handler may pause, stop or hang up the run:
 * after each the flags say whether to go on. */
static void run_take(struct run *run, struct slice data, struct slice bytes)
{
        struct fcgi_event event;
        struct cause cause = { "" };
        int r = 0;

        while (r == 0 && !run->over && !run->dropped && !run->deaf && !run->paused) {
                if (data.len > 0) {
                        run_stdout(run, &data);
                        continue;
                }
                r = fcgi_decode(&run->decoder, REQUEST_ID, &bytes, &event, &cause);
                if (r != 0)
                        break;
                if (event.what == FCGI_SAW_STDOUT) {
                        data = event.data;
                } else if (event.what == FCGI_SAW_STDERR) {
                        run->handlers.log(run->arg, event.data);
                } else if (event.what == FCGI_SAW_END) {
                        run_saw_end(run, &event, bytes.len == 0 && run->sent && !run->writing);
                        return;
                }
        }
        if (r < 0)
                run_bad_reply(run, cause.text);
        else if (!run->over && !run->dropped && !run->deaf &&
                 (data.len + bytes.len > 0 || buf_len(&run->held) > 0))
                run_hold(run, data, bytes);
}

void fastcgi_read(struct run *run, struct slice bytes)
{
        run_take(run, SLICE(""), bytes);
}

/* ---- the request ---- */

/* Closes the connection of a caller that hung up, once the script has its whole request. */
static void run_close_when_gone(struct run *run)
{
        if (!run->gone || run->outcome != RUN_NONE || run->writing)
                return;
        assert(run->sent || run->broken);
        run_decide(run, RUN_STOPPED, 0, "the caller hung up");
        run->dropped = true;
        worker_drop_link(run->worker);
        run_schedule(run);
}

static void run_send_more(struct run *run);

static void run_written(uv_write_t *write, int status)
{
        struct run *run = write->data;

        run->writing = false;
        buf_clear(&run->out);
        if (status < 0)
                run->broken = true;
        if (!run->over && !run->dropped)
                run_send_more(run);
        run_unref(run);
}

/* Appends a STDIN record with the next piece of the body, and the empty one after the last. 0 or -errno. */
static int run_add_stdin(struct run *run)
{
        char header[FCGI_HEADER_SIZE], *at;
        uint64_t left = run->body->len - run->body_at;
        size_t want = left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
        ssize_t n;

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
        return buf_append(&run->out, header, sizeof(header)) == 0 ? 0 : -ENOMEM;
}

/* at_once: what the socket takes now goes without a turn of the loop. */
static void run_flush(struct run *run, bool at_once)
{
        uv_stream_t *stream = (uv_stream_t *)&run->worker->link->pipe;
        uv_buf_t vec = uv_buf_init(buf_data(&run->out), (unsigned)buf_len(&run->out));
        int n = at_once ? uv_try_write(stream, &vec, 1) : 0;

        if (n > 0)
                buf_consume(&run->out, (size_t)n);
        if (buf_len(&run->out) == 0)
                return;
        vec = uv_buf_init(buf_data(&run->out), (unsigned)buf_len(&run->out));
        run->write.data = run;
        run->writing = uv_write(&run->write, stream, &vec, 1, run_written) == 0;
        run->broken = !run->writing;
        run->refs += run->writing;
}

static void run_send_more(struct run *run)
{
        for (unsigned i = 0; !run->writing && !run->sent && !run->broken && run->outcome == RUN_NONE; i++) {
                int r = run_add_stdin(run);

                if (r < 0) {
                        char why[96];

                        snprintf(why, sizeof(why), "the request's body could not be read: %s", strerror(-r));
                        run_decide(run, RUN_FAILED, 500, why);
                        run->worker->blameless = true;
                        worker_end(run->worker, SIGKILL);
                        return;
                }
                run_flush(run, i < CHUNKS_AT_ONCE);
        }
        run_close_when_gone(run);
}

int fastcgi_start(struct worker *w, struct fcgi_params *params, const struct spool *body,
                  const struct run_handlers *handlers, void *arg, struct run **out)
{
        struct run *run;
        int r = worker_open(w);

        if (r < 0) {
                log_say(LOG_WARN, "run", "worker cannot be reached; killed", "worker=%d pid=%d why=\"%s\"",
                        w->number, w->pid, strerror(-r));
                worker_end(w, SIGKILL);
                return FASTCGI_NO_CONNECTION;
        }
        run = mem_alloc(sizeof(*run));
        run->refs = 1;
        run->worker = w;
        run->handlers = *handlers;
        run->arg = arg;
        run->body = body;
        fcgi_decoder_init(&run->decoder);
        buf_init(&run->head, CGI_HEAD_MAX);
        buf_init(&run->held, HELD_MAX);
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

/* ---- what the runner offers ---- */

void run_pause(struct run *run)
{
        if (run->paused || run->over || run->dropped || run->discard)
                return;
        run->paused = true;
        worker_set_reading(run->worker, false);
        run_schedule(run);
}

void run_resume(struct run *run)
{
        if (!run->paused || run->over || run->deaf)
                return;
        run->paused = false;
        if (buf_len(&run->held) == 0 && !run->eof)
                worker_set_reading(run->worker, true);
        run_schedule(run);
}

void run_hang_up(struct run *run)
{
        if (run->over || run->gone)
                return;
        run->gone = true;
        run->discard = true;
        run_resume(run); /* what it still prints before the connection can be closed must not block it */
        run_close_when_gone(run);
}

static void run_kill(struct run *run, enum run_outcome outcome, const char *reason)
{
        if (run->over)
                return;
        if (run->outcome == RUN_NONE)
                run_decide(run, outcome, 0, reason);
        run->deaf = run->deaf || run->paused || buf_len(&run->held) > 0;
        run->worker->blameless = true;
        worker_end(run->worker, SIGKILL);
        run_schedule(run);
}

void run_stop(struct run *run, const char *reason)
{
        if (!run->dropped)
                run_kill(run, RUN_STOPPED, reason);
}

void fastcgi_put_back(struct run *run)
{
        run_kill(run, RUN_PUT_BACK, "the server is shutting down");
}

int run_worker(const struct run *run)
{
        return run->worker->number;
}

int run_pid(const struct run *run)
{
        return run->worker->pid;
}
