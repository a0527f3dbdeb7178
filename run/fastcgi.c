/* One request on a worker's kept connection: the fastcgi runner. The good path: BEGIN, PARAMS and the first
 * of the body leave in one write, the rest of the body follows as the worker takes it; the reply's head is
 * collected, the rest handed on as it comes; END_REQUEST ends the run.
 *
 * How it fails: the process dies or the connection ends. The run is over when the process is reaped and the
 * connection has ended, in either order. A connection that outlives the process (a program that the script
 * has left behind holds it) is waited for DRAIN_MS; a process that outlives its connection is killed after
 * DRAIN_MS and reaped. Killing (run.h) is SIGKILL to the worker's process group and waits for the same.
 *
 * A caller that hung up, and a reply of no use, close the connection while the script may go on: the worker
 * is GONE until it answers a probe, and only then the run is over. An outside pool's worker has no process of
 * ours: closing the connection is all that can be done, and ends the run.
 *
 * `end` is called exactly once, from the loop, after the worker's own state is settled. */
#include "run/fastcgi.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "run/runner.h"
#include "run/worker.h"

#define REQUEST_ID     1
#define DRAIN_MS       1000
#define CHUNK_BYTES    32768
#define CHUNKS_AT_ONCE 8          /* of a body, before others get a turn */
#define HELD_MAX       (64 << 10) /* one read of the connection */

struct request {
        struct run run;
        struct worker *worker;
        uv_timer_t later; /* for what must come from the loop, and for drains */

        const struct spool *body;
        uint64_t body_at;
        struct buf out; /* records on their way */
        uv_write_t write;
        bool writing;
        bool wrote;  /* anything has left */
        bool sent;   /* everything, with the end of STDIN, is handed to libuv */
        bool broken; /* a write failed: the end of the connection says the rest */

        struct fcgi_decoder decoder;
        struct buf head;
        size_t scanned;
        struct buf held; /* came while paused: reply body first, then bytes of the connection */
        size_t held_data;

        bool heard; /* anything came from the worker */
        bool head_done;
        bool discard; /* no more data */
        bool leaving; /* the connection is to be closed once the request is written */
        bool dropped; /* it was closed */
        bool deaf; /* killed while paused, or paused when killed: what is on the connection is not wanted */
        bool eof, cut;
        bool failed; /* it is RUN_FAILED, with status and reason */
        int status;
        uint32_t app_status;
        int64_t cpu_before_us;
        char reason[JOB_REASON_MAX];
};

static struct request *of(struct run *run)
{
        return (struct request *)run;
}

/* ---- the end ---- */

static void request_free(struct run *run)
{
        struct request *q = of(run);

        buf_fini(&q->out);
        buf_fini(&q->head);
        buf_fini(&q->held);
        free(q);
}

static void later_closed(uv_handle_t *handle)
{
        struct request *q = handle->data;

        run_unref(&q->run);
}

static void crash_reason(const struct request *q, struct job_run *how)
{
        const struct worker *w = q->worker;
        const char *program = pool_setup(w->pool)->program, *signal_name = strsignal(w->term_signal);

        if (q->cut || !w->reaped) {
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

/* What is left of a killed worker's group goes with it: programs that the script was waiting for. */
static void kill_group(const struct worker *w)
{
        if (w->pid > 0 && w->reaped)
                kill(-w->pid, SIGKILL);
}

static void request_result(struct request *q, struct job_run *how, enum run_outcome outcome)
{
        int64_t now_us = worker_cpu_us(q->worker);

        *how = run_result(q->failed ? RUN_FAILED : outcome);
        how->untouched = outcome == RUN_PUT_BACK; /* an outside pool that cannot be reached */
        how->status = q->status;
        how->exit_code = q->app_status ? (int)q->app_status : -1;
        if (now_us >= 0 && q->cpu_before_us >= 0 && now_us >= q->cpu_before_us)
                how->cpu_ms = (now_us - q->cpu_before_us) / 1000;
        memcpy(how->reason, q->reason, sizeof(how->reason));
        if (how->outcome == RUN_CRASHED && !how->reason[0])
                crash_reason(q, how);
}

/* The worker's state is settled first, so that the caller may start another request from its `end`. */
static void request_finish(struct request *q, enum run_outcome outcome, bool connection_good)
{
        struct worker *w = q->worker;
        struct pool *pool = w->pool;
        struct job_run how;

        run_settle(&q->run);
        worker_drain_control(w);
        request_result(q, &how, outcome);
        uv_close((uv_handle_t *)&q->later, later_closed);
        if (w->reaped) {
                kill_group(w);
                w->request = NULL;
                pool_worker_down(pool, w);
        } else {
                worker_request_over(w, connection_good);
        }
        run_over(&q->run, &how);
        pool_announce(pool);
}

static void request_fail(struct request *q, int status, const char *reason)
{
        q->failed = true;
        if (status)
                q->status = status;
        snprintf(q->reason, sizeof(q->reason), "%s", reason);
}

static void request_schedule(struct request *q);
static void request_lost(struct request *q);

static void request_drop(struct request *q)
{
        q->dropped = true;
        worker_leave(q->worker);
        request_schedule(q);
}

/* Nothing more is wanted from the connection: it is closed, once the script has its whole request. */
static void request_leave(struct request *q)
{
        q->discard = true;
        q->leaving = true;
        if (!q->writing && !q->dropped)
                request_drop(q);
}

static void request_take(struct request *q, struct slice data, struct slice bytes);

/* What is left over this time is the rest of the same bytes: see request_hold. */
static void request_take_held(struct request *q)
{
        struct slice all = buf_slice(&q->held);
        size_t data = q->held_data;

        request_take(q, (struct slice){ all.ptr, data }, slice_from(all, data));
        if (q->run.over || q->run.paused || q->eof || q->dropped)
                return;
        buf_clear(&q->held);
        worker_set_reading(q->worker, true);
}

static bool has_held(const struct request *q)
{
        return buf_len(&q->held) > 0 && !q->run.paused && !q->deaf && !q->dropped;
}

static void request_turn(uv_timer_t *timer)
{
        struct request *q = timer->data;
        struct worker *w = q->worker;

        if (q->dropped && worker_is_outside(w)) {
                request_finish(q, RUN_CRASHED, false);
        } else if (has_held(q)) {
                request_take_held(q);
                request_schedule(q);
        } else if (w->reaped) {
                request_finish(q, RUN_CRASHED, false);
        } else if (q->eof && worker_is_outside(w)) {
                request_lost(q);
        } else if (q->eof) {
                log_say(LOG_WARN, "run", "worker closed its connection but lives on; killed",
                        "worker=%d pid=%d", w->number, w->pid);
                q->cut = true;
                worker_end(w, SIGKILL); /* the run ends when it is reaped */
        }
}

/* Sets the timer for what is to come next by itself. */
static void request_schedule(struct request *q)
{
        bool reaped = q->worker->reaped, outside = worker_is_outside(q->worker);

        if (q->run.over)
                return;
        uv_timer_stop(&q->later);
        if ((q->dropped && (outside || reaped)) || (q->deaf && reaped) || has_held(q))
                uv_timer_start(&q->later, request_turn, 0, 0);
        else if (!q->run.paused && !q->deaf && !q->dropped && (q->eof || reaped))
                uv_timer_start(&q->later, request_turn, outside ? 0 : DRAIN_MS, 0);
}

/* An outside pool has ended the connection: where nothing could be written, it has never begun with the
 * request. */
static void request_lost(struct request *q)
{
        const char *where = pool_setup(q->worker->pool)->outside;

        if (!q->wrote) {
                snprintf(q->reason, sizeof(q->reason), "the FastCGI pool at %s cannot be reached", where);
                q->worker->unreachable = true;
                request_finish(q, RUN_PUT_BACK, false);
                return;
        }
        q->cut = true;
        snprintf(q->reason, sizeof(q->reason),
                 "the FastCGI pool at %s closed the connection before the reply was complete", where);
        request_finish(q, RUN_CRASHED, false);
}

void fastcgi_eof(struct request *q)
{
        q->eof = true;
        if (q->worker->reaped)
                request_finish(q, RUN_CRASHED, false);
        else
                request_schedule(q);
}

void fastcgi_reaped(struct request *q)
{
        if (q->eof || q->deaf || q->dropped)
                request_finish(q, RUN_CRASHED, false);
        else
                request_schedule(q);
}

void fastcgi_script_ended(struct request *q)
{
        request_finish(q, RUN_STOPPED, false);
}

/* ---- the reply ---- */

/* The reply cannot be used: the script is asked to end, and the run is over when it has. */
static void request_bad_reply(struct request *q, const char *why)
{
        if (q->failed || q->discard)
                return;
        request_fail(q, 502, why);
        request_leave(q);
        run_give_up(&q->run);
}

static void request_head_complete(struct request *q, struct slice bytes)
{
        struct cgi_head head;
        struct cause cause = { "" };

        if (cgi_head_parse(bytes, &head, &cause) < 0) {
                request_bad_reply(q, cause.text);
                return;
        }
        q->head_done = true;
        q->status = head.status;
        q->run.handlers.head(q->run.arg, &head);
}

/* Takes the head off *bytes; where it is whole in one record it is not copied. */
static void request_head(struct request *q, struct slice *bytes)
{
        size_t before = buf_len(&q->head), take = bytes->len, len;
        struct slice all = *bytes;
        char why[96];

        if (take > CGI_HEAD_MAX - before)
                take = CGI_HEAD_MAX - before;
        all.len = take;
        len = before ? 0 : cgi_head_length(all, &q->scanned);
        if (len == 0) {
                if (buf_append(&q->head, bytes->ptr, take) != 0) {
                        request_bad_reply(q, "out of memory for the reply's head");
                        return;
                }
                all = buf_slice(&q->head);
                len = cgi_head_length(all, &q->scanned);
        }
        if (len > 0) {
                *bytes = slice_from(*bytes, len - before);
                request_head_complete(q, (struct slice){ all.ptr, len });
                return;
        }
        *bytes = slice_from(*bytes, take);
        if (buf_len(&q->head) >= CGI_HEAD_MAX) {
                snprintf(why, sizeof(why), "the script's reply has no end of its head within %d bytes",
                         CGI_HEAD_MAX);
                request_bad_reply(q, why);
        }
}

static void request_stdout(struct request *q, struct slice *bytes)
{
        struct slice all = *bytes;

        if (!q->discard && !q->head_done) {
                request_head(q, bytes);
                return;
        }
        *bytes = SLICE("");
        if (!q->discard)
                q->run.handlers.data(q->run.arg, all);
}

static enum run_outcome request_answered(struct request *q, const struct fcgi_event *event)
{
        q->app_status = event->app_status;
        if (q->failed)
                return RUN_FAILED;
        if (event->protocol_status != 0) {
                snprintf(q->reason, sizeof(q->reason),
                         "the worker refused the request (FastCGI protocol status %d)",
                         event->protocol_status);
                q->status = 502;
        } else if (!q->head_done) {
                snprintf(q->reason, sizeof(q->reason), "%s",
                         buf_len(&q->head) ? "the script ended within the head of its reply"
                                           : "the script ended without a reply");
                q->status = 502;
        } else if (job_status_succeeds(q->status)) {
                return RUN_SUCCEEDED;
        } else {
                snprintf(q->reason, sizeof(q->reason), "the script answered %d %s", q->status,
                         http1_reason(q->status));
        }
        return RUN_FAILED;
}

static void request_saw_end(struct request *q, const struct fcgi_event *event, bool connection_good)
{
        struct worker *w = q->worker;

        if (w->state == WORKER_ENDING && !w->reaped) { /* killed just now: first reap, then say so */
                q->app_status = event->app_status;
                q->eof = true;
                worker_set_reading(w, false);
                return;
        }
        request_finish(q, request_answered(q, event), connection_good);
}

/* Keeps what a pause has left over: at most one read of the connection, or the rest of what was held before.
 */
static void request_hold(struct request *q, struct slice data, struct slice bytes)
{
        size_t before = buf_len(&q->held), left = data.len + bytes.len;

        q->held_data = data.len;
        if (before > 0)
                buf_consume(&q->held, before - left);
        else if (buf_append_slice(&q->held, data) != 0 || buf_append_slice(&q->held, bytes) != 0)
                request_bad_reply(q, "out of memory for the reply");
}

static bool wants_more(const struct request *q)
{
        return !q->run.over && !q->dropped && !q->deaf && !q->run.paused;
}

/* data: reply body; bytes: what followed it on the connection. A handler may pause, stop or hang up the run:
 * after each the flags say whether to go on. */
static void request_take(struct request *q, struct slice data, struct slice bytes)
{
        struct fcgi_event event;
        struct cause cause = { "" };
        int r = 0;

        while (r == 0 && wants_more(q)) {
                if (data.len > 0) {
                        request_stdout(q, &data);
                        continue;
                }
                r = fcgi_decode(&q->decoder, REQUEST_ID, &bytes, &event, &cause);
                if (r != 0)
                        break;
                if (event.what == FCGI_SAW_STDOUT) {
                        data = event.data;
                } else if (event.what == FCGI_SAW_STDERR) {
                        q->run.handlers.log(q->run.arg, event.data);
                } else if (event.what == FCGI_SAW_END) {
                        request_saw_end(q, &event,
                                        bytes.len == 0 && q->sent && !q->writing &&
                                                !worker_is_outside(q->worker));
                        return;
                }
        }
        if (r < 0)
                request_bad_reply(q, cause.text);
        else if (!q->run.over && !q->dropped && !q->deaf &&
                 (data.len + bytes.len > 0 || buf_len(&q->held) > 0))
                request_hold(q, data, bytes);
}

void fastcgi_read(struct request *q, struct slice bytes)
{
        q->heard = true;
        run_heard(&q->run);
        request_take(q, SLICE(""), bytes);
}

/* ---- the request ---- */

static void request_send_more(struct request *q);

static void request_written(uv_write_t *write, int status)
{
        struct request *q = write->data;

        q->writing = false;
        buf_clear(&q->out);
        if (status < 0) {
                q->broken = true;
        } else {
                q->wrote = true;
                run_heard(&q->run);
        }
        if (!q->run.over && !q->dropped)
                request_send_more(q);
        run_unref(&q->run);
}

/* Appends a STDIN record with the next piece of the body, and the empty one after the last. 0 or -errno. */
static int request_add_stdin(struct request *q)
{
        char header[FCGI_HEADER_SIZE], *at;
        uint64_t left = q->body->len - q->body_at;
        size_t want = left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
        ssize_t n;

        if (want > 0) {
                at = buf_reserve(&q->out, FCGI_HEADER_SIZE + want);
                n = at ? spool_read(q->body, q->body_at, at + FCGI_HEADER_SIZE, want) : -ENOMEM;
                if (n <= 0)
                        return n < 0 ? (int)n : -EIO;
                fcgi_header(at, FCGI_STDIN, REQUEST_ID, (size_t)n);
                buf_wrote(&q->out, FCGI_HEADER_SIZE + (size_t)n);
                q->body_at += (uint64_t)n;
        }
        if (q->body_at < q->body->len)
                return 0;
        q->sent = true;
        fcgi_header(header, FCGI_STDIN, REQUEST_ID, 0);
        return buf_append(&q->out, header, sizeof(header)) == 0 ? 0 : -ENOMEM;
}

/* at_once: what the socket takes now goes without a turn of the loop. */
static void request_flush(struct request *q, bool at_once)
{
        uv_stream_t *stream = (uv_stream_t *)&q->worker->link->pipe;
        uv_buf_t vec = uv_buf_init(buf_data(&q->out), (unsigned)buf_len(&q->out));
        int n = at_once ? uv_try_write(stream, &vec, 1) : 0;

        if (n > 0) {
                q->wrote = true;
                buf_consume(&q->out, (size_t)n);
        }
        if (buf_len(&q->out) == 0)
                return;
        vec = uv_buf_init(buf_data(&q->out), (unsigned)buf_len(&q->out));
        q->write.data = q;
        q->writing = uv_write(&q->write, stream, &vec, 1, request_written) == 0;
        q->broken = !q->writing;
        if (q->writing)
                run_ref(&q->run);
}

static void request_send_more(struct request *q)
{
        for (unsigned i = 0; !q->writing && !q->sent && !q->broken && !q->failed && !q->run.killed; i++) {
                int r = request_add_stdin(q);

                if (r < 0) {
                        char why[96];

                        snprintf(why, sizeof(why), "the request's body could not be read: %s", strerror(-r));
                        request_fail(q, 500, why);
                        q->worker->blameless = true;
                        worker_end(q->worker, SIGKILL);
                        return;
                }
                request_flush(q, i < CHUNKS_AT_ONCE);
        }
        if (q->leaving)
                request_leave(q);
}

/* ---- what the runner offers ---- */

/* Killed, it ends whether it is resumed or not. */
static void fastcgi_pause(struct run *run)
{
        struct request *q = of(run);

        if (q->dropped || q->discard)
                return;
        if (run->killed)
                q->deaf = true;
        else
                worker_set_reading(q->worker, false);
        request_schedule(q);
}

static void fastcgi_resume(struct run *run)
{
        struct request *q = of(run);

        if (q->deaf)
                return;
        if (buf_len(&q->held) == 0 && !q->eof)
                worker_set_reading(q->worker, true);
        request_schedule(q);
}

static void fastcgi_hang_up(struct run *run)
{
        struct request *q = of(run);

        q->discard = true;
        fastcgi_resume(run); /* what it still prints before the connection can be closed must not block it */
        request_leave(q);
}

static void fastcgi_ask(struct run *run)
{
        struct request *q = of(run);

        if (worker_is_outside(q->worker))
                request_leave(q);
        else
                worker_ask(q->worker);
}

static void fastcgi_kill(struct run *run)
{
        struct request *q = of(run);

        if (worker_is_outside(q->worker)) {
                q->discard = true;
                if (!q->dropped)
                        request_drop(q);
                return;
        }
        q->deaf = q->deaf || run->paused || buf_len(&q->held) > 0;
        q->worker->blameless = true;
        worker_end(q->worker, SIGKILL);
        request_schedule(q);
}

static int fastcgi_worker(const struct run *run)
{
        return ((const struct request *)run)->worker->number;
}

static int fastcgi_pid(const struct run *run)
{
        return ((const struct request *)run)->worker->pid;
}

static const struct runner fastcgi_runner = {
        .name = "fastcgi",
        .pause = fastcgi_pause,
        .resume = fastcgi_resume,
        .hang_up = fastcgi_hang_up,
        .ask = fastcgi_ask,
        .kill = fastcgi_kill,
        .worker = fastcgi_worker,
        .pid = fastcgi_pid,
        .free = request_free,
};

void fastcgi_control(struct request *q, struct slice line)
{
        run_heard(&q->run);
        if (!q->run.over && q->run.handlers.control)
                q->run.handlers.control(q->run.arg, line);
}

void fastcgi_put_back(struct request *q)
{
        run_put_back(&q->run, "the server is shutting down");
}

static struct request *request_new(struct worker *w, const struct spool *body,
                                   const struct run_handlers *handlers, void *arg)
{
        struct request *q = mem_alloc(sizeof(*q));
        uv_loop_t *loop = pool_setup(w->pool)->loop;

        run_init(&q->run, &fastcgi_runner, loop, handlers, arg);
        q->worker = w;
        q->body = body;
        fcgi_decoder_init(&q->decoder);
        buf_init(&q->head, CGI_HEAD_MAX);
        buf_init(&q->held, HELD_MAX);
        buf_init(&q->out, FCGI_PARAMS_MAX + 2 * CHUNK_BYTES);
        uv_timer_init(loop, &q->later);
        q->later.data = q;
        run_ref(&q->run);
        return q;
}

static int add_parameters(struct request *q, struct fcgi_params *params, bool own_control)
{
        const char *control = worker_control(q->worker, own_control);
        int r = control ? fcgi_params_add(params, SLICE("SENDOFF_CONTROL"), slice_of(control)) : 0;

        r = r ? r : fcgi_params_end(params);
        r = r ? r : fcgi_begin(&q->out, REQUEST_ID, !worker_is_outside(q->worker));
        return r ? r : buf_append_slice(&q->out, buf_slice(&params->out));
}

int fastcgi_start(struct worker *w, const struct pool_request *request, const struct run_handlers *handlers,
                  void *arg, struct run **out)
{
        struct request *q;
        int r = worker_open(w);
        bool lost = r < 0; /* an outside pool: the run ends as it does when the connection fails later */

        if (lost && !worker_is_outside(w)) {
                worker_unreachable(w);
                return FASTCGI_NO_CONNECTION;
        }
        q = request_new(w, request->body, handlers, arg);
        r = add_parameters(q, request->params, request->own_control);
        if (r != 0) {
                run_abandon(&q->run);
                uv_close((uv_handle_t *)&q->later, later_closed);
                return -ENOMEM;
        }
        fcgi_params_fini(request->params);
        q->cpu_before_us = worker_cpu_us(w);
        w->begun_ms = clock_mono_ms();
        w->request = q;
        worker_move(w, WORKER_BUSY);
        *out = &q->run;
        if (lost)
                fastcgi_eof(q);
        else
                request_send_more(q);
        return 0;
}
