/* Connections: see conn.h for the states. The good path: conn_read feeds bytes to conn_process, which makes
 * an exchange of each complete request and hands it to the door; replies are appended to `out` and leave in
 * conn_flush, which the door calls before the loop sleeps, so that small pieces go out in one write. A
 * refusal answers with problem+json and lingers. Every way to the end goes through conn_close; the memory
 * goes in libuv's close callback. */
#include "server/conn.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/chunked.h"
#include "server/address.h"

#define LINGER_MS 2000

enum conn_state {
        CONN_HEAD,
        CONN_BODY,
        CONN_BUSY,
};

struct conn {
        union {
                uv_handle_t handle;
                uv_stream_t stream;
                uv_tcp_t tcp;
                uv_pipe_t pipe;
        } h;
        struct door *door;
        struct conn *prev, *next; /* door->conns */
        struct conn *dirty_next;
        enum conn_state state;
        struct buf in; /* read, not yet used */
        size_t scanned;
        struct exchange *ex; /* BODY: being filled; BUSY: the handler's */
        struct chunked chunked;
        uint64_t body_left;
        struct buf out;
        struct buf sending; /* belongs to the write under way */
        uv_write_t write;
        uv_shutdown_t shutdown;
        int64_t deadline_ms; /* monotonic; 0 none */
        int64_t sent_ms;     /* last progress of a write under way */
        bool dirty, writing, reading, processing, head_begun, eof, finishing, shut, broken, closing;
        char remote[ADDRESS_SIZE], local[ADDRESS_SIZE];
};

static void conn_process_buffered(struct conn *c);

static void conn_dirty(struct conn *c)
{
        if (c->dirty)
                return;
        c->dirty = true;
        c->dirty_next = c->door->dirty;
        c->door->dirty = c;
}

struct conn *conn_next_dirty(struct conn *c)
{
        struct conn *next = c->dirty_next;

        c->dirty = false;
        c->dirty_next = NULL;
        return next;
}

struct conn *conn_next(const struct conn *c)
{
        return c->next;
}

struct door *conn_door(const struct conn *c)
{
        return c->door;
}

const char *conn_remote(const struct conn *c)
{
        return c->remote;
}

const char *conn_local(const struct conn *c)
{
        return c->local;
}

static void conn_deadline(struct conn *c, int64_t after_ms)
{
        c->deadline_ms = after_ms > 0 ? clock_mono_ms() + after_ms : 0;
}

/* ---- the end ---- */

static void conn_freed(uv_handle_t *handle)
{
        struct conn *c = handle->data;
        struct door *door = c->door;

        if (c->dirty) {
                struct conn **at = &door->dirty;

                while (*at != c)
                        at = &(*at)->dirty_next;
                *at = c->dirty_next;
        }
        DL_DELETE(door->conns, c);
        door->conn_count--;
        buf_fini(&c->in);
        buf_fini(&c->out);
        buf_fini(&c->sending);
        free(c);
        if (door->closed)
                door_close(door, door->closed, door->closed_arg);
}

void conn_close(struct conn *c)
{
        struct exchange *ex = c->ex;

        if (c->closing)
                return;
        c->closing = true;
        c->ex = NULL;
        if (ex && c->state == CONN_BUSY)
                exchange_gone(ex);
        else if (ex)
                exchange_free(ex);
        uv_close(&c->h.handle, conn_freed);
}

static void conn_shut(uv_shutdown_t *req, int status)
{
        struct conn *c = req->data;

        if (status < 0 && !c->closing)
                conn_close(c);
}

/* Everything is sent: shut our side, wait a moment for theirs. */
static void conn_linger(struct conn *c)
{
        c->shut = true;
        if (c->eof) {
                conn_close(c);
                return;
        }
        conn_deadline(c, LINGER_MS);
        c->shutdown.data = c;
        if (uv_shutdown(&c->shutdown, &c->h.stream, conn_shut) < 0)
                conn_close(c);
}

/* ---- output ---- */

void conn_write(struct conn *c, const void *bytes, size_t len)
{
        if (!c->broken && buf_append(&c->out, bytes, len) != 0)
                c->broken = true; /* past every bound: conn_run closes it */
        conn_dirty(c);
}

void conn_printf(struct conn *c, const char *format, ...)
{
        char text[1024];
        va_list args;
        int n;

        va_start(args, format);
        n = vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        assert(n >= 0 && (size_t)n < sizeof(text));
        conn_write(c, text, (size_t)n);
}

static size_t conn_unsent(const struct conn *c)
{
        return buf_len(&c->out) + (c->writing ? c->h.stream.write_queue_size : 0);
}

bool conn_is_slow(const struct conn *c)
{
        return conn_unsent(c) > (c->door->pressed ? CONN_OUT_PRESSED : CONN_OUT_HIGH);
}

bool conn_is_busy(const struct conn *c)
{
        return !c->closing && (c->ex || conn_unsent(c) > 0);
}

size_t conn_memory(const struct conn *c)
{
        size_t bytes = sizeof(*c) + c->in.cap + c->out.cap + c->sending.cap;

        if (c->ex)
                bytes += sizeof(*c->ex) + c->ex->body.mem.cap;
        return bytes;
}

static void conn_drained(struct conn *c)
{
        struct exchange *ex = c->ex;

        if (ex && c->state == CONN_BUSY && ex->slow && conn_unsent(c) <= CONN_OUT_LOW) {
                ex->slow = false;
                if (ex->ops && ex->ops->drained)
                        ex->ops->drained(ex);
        }
}

static void conn_flush(struct conn *c);

static void conn_written(uv_write_t *req, int status)
{
        struct conn *c = req->data;

        c->writing = false;
        buf_fini(&c->sending);
        if (c->closing)
                return;
        if (status < 0) {
                conn_close(c);
                return;
        }
        conn_drained(c);
        if (!c->closing)
                conn_flush(c);
}

static void conn_flush(struct conn *c)
{
        uv_buf_t vec;
        int n;

        if (c->writing || c->closing)
                return;
        if (buf_len(&c->out) > 0) {
                vec = uv_buf_init(buf_data(&c->out), (unsigned)buf_len(&c->out));
                n = uv_try_write(&c->h.stream, &vec, 1);
                if (n == UV_EAGAIN)
                        n = 0;
                if (n < 0) {
                        conn_close(c);
                        return;
                }
                buf_consume(&c->out, (size_t)n);
        }
        if (buf_len(&c->out) > 0) {
                c->sending = c->out;
                buf_init(&c->out, CONN_OUT_MAX);
                vec = uv_buf_init(buf_data(&c->sending), (unsigned)buf_len(&c->sending));
                c->writing = true;
                c->write.data = c;
                c->sent_ms = clock_mono_ms();
                if (uv_write(&c->write, &c->h.stream, &vec, 1, conn_written) < 0) {
                        c->writing = false;
                        conn_close(c);
                }
                return;
        }
        buf_shrink(&c->out);
        conn_drained(c);
        if (c->finishing && !c->closing && !c->shut && buf_len(&c->out) == 0)
                conn_linger(c);
}

void conn_run(struct conn *c)
{
        if (c->closing)
                return;
        if (c->broken) {
                conn_close(c);
                return;
        }
        if (c->state == CONN_HEAD && !c->finishing && buf_len(&c->in) > 0 && !c->processing)
                conn_process_buffered(c);
        buf_shrink(&c->in);
        conn_flush(c);
}

/* ---- input ---- */

/* The exchange under way is answered with a problem and the connection does not go on: what follows cannot be
 * trusted. */
static void conn_refuse(struct conn *c, int status, const char *detail)
{
        struct exchange *ex = c->ex;

        c->state = CONN_BUSY;
        ex->close = true;
        exchange_problem(ex, status, 0, detail);
}

static void conn_request(struct conn *c)
{
        struct exchange *ex = c->ex;

        c->state = CONN_BUSY;
        c->deadline_ms = 0;
        c->door->c.ops->request(c->door->c.arg, ex);
        if (c->eof && c->ex == ex && c->state == CONN_BUSY && !c->closing) {
                c->ex = NULL;
                c->state = CONN_HEAD;
                exchange_gone(ex);
        }
}

static void conn_begin_body(struct conn *c, bool more_here)
{
        const struct config *config = c->door->c.config;
        const struct http1_request *req = &c->ex->req;
        char text[160];

        if (req->framing == HTTP1_LENGTH && req->content_length > config->body_max) {
                snprintf(text, sizeof(text),
                         "the body has %llu bytes, at most %llu are taken (option body_max)",
                         (unsigned long long)req->content_length, (unsigned long long)config->body_max);
                conn_refuse(c, 413, text);
                return;
        }
        spool_init(&c->ex->body, c->door->c.files_fd, c->door->pressed ? 0 : config->body_memory_max,
                   config->body_max);
        if (req->framing == HTTP1_NO_BODY || (req->framing == HTTP1_LENGTH && req->content_length == 0)) {
                conn_request(c);
                return;
        }
        c->state = CONN_BODY;
        c->body_left = req->content_length;
        chunked_init(&c->chunked);
        conn_deadline(c, config->body_timeout_ms);
        if (req->expect_continue && !more_here)
                conn_write(c, "HTTP/1.1 100 Continue\r\n\r\n", 25);
}

static void conn_head_too_large(struct conn *c, struct slice in)
{
        const struct config *config = c->door->c.config;
        bool uri = memchr(in.ptr, '\n', in.len) == NULL;
        char text[160];

        c->ex = exchange_new(c, SLICE(""));
        snprintf(text, sizeof(text), "the request %s is longer than %llu bytes (option %s)",
                 uri ? "line" : "head", (unsigned long long)config->head_max, uri ? "uri_max" : "head_max");
        conn_refuse(c, uri ? 414 : 431, text);
}

/* True when it made progress, false when more bytes are needed. */
static bool conn_take_head(struct conn *c, struct slice *in)
{
        const struct config *config = c->door->c.config;
        struct cause cause = { "" };
        size_t len;
        char text[160];
        int status;

        if (!c->head_begun)
                *in = slice_from(*in, http1_skip_empty(*in));
        if (in->len == 0)
                return false;
        if (!c->head_begun)
                conn_deadline(c, config->head_timeout_ms);
        c->head_begun = true;
        len = http1_head_length(*in, &c->scanned);
        if ((len ? len : in->len) > config->head_max) {
                conn_head_too_large(c, *in);
                *in = slice_from(*in, in->len);
                return true;
        }
        if (len == 0)
                return false;
        c->scanned = 0;
        c->ex = exchange_new(c, (struct slice){ in->ptr, len });
        *in = slice_from(*in, len);
        status = http1_request_parse((struct slice){ c->ex->head, len }, &c->ex->req, &cause);
        if (status) {
                conn_refuse(c, status, cause.text);
        } else if (c->ex->req.target.len > config->uri_max) {
                snprintf(text, sizeof(text),
                         "the request target has %zu bytes, at most %llu are taken (option uri_max)",
                         c->ex->req.target.len, (unsigned long long)config->uri_max);
                conn_refuse(c, 414, text);
        } else {
                conn_begin_body(c, in->len > 0);
        }
        return true;
}

static void conn_body_failed(struct conn *c, int r, const char *why)
{
        char text[200];

        if (r == SPOOL_FULL)
                snprintf(text, sizeof(text), "the body is longer than %llu bytes (option body_max)",
                         (unsigned long long)c->door->c.config->body_max);
        else
                snprintf(text, sizeof(text), "%.180s", why ? why : "the body could not be kept");
        if (r == SPOOL_FULL)
                conn_refuse(c, 413, text);
        else if (r == -ENOSPC || r == -EDQUOT)
                conn_refuse(c, 507, "the disk is full: the body could not be kept");
        else
                conn_refuse(c, r == -EPROTO ? 400 : 500, text);
}

static bool conn_take_chunked(struct conn *c, struct slice *in)
{
        struct cause cause = { "" };

        for (;;) {
                struct slice data = { NULL, 0 };
                int r = chunked_read(&c->chunked, in, &data, &cause);

                if (r == CHUNKED_MORE)
                        return false;
                if (r == CHUNKED_DONE) {
                        conn_request(c);
                        return true;
                }
                if (r == 0 && data.len > 0)
                        r = spool_write(&c->ex->body, data.ptr, data.len);
                if (r != 0) {
                        conn_body_failed(c, r, cause.text);
                        return true;
                }
        }
}

static bool conn_take_body(struct conn *c, struct slice *in)
{
        size_t n;
        int r;

        if (in->len == 0)
                return false;
        conn_deadline(c, c->door->c.config->body_timeout_ms);
        if (c->ex->req.framing == HTTP1_CHUNKED)
                return conn_take_chunked(c, in);
        n = in->len < c->body_left ? in->len : (size_t)c->body_left;
        r = spool_write(&c->ex->body, in->ptr, n);
        if (r != 0) {
                conn_body_failed(c, r, r < 0 ? strerror(-r) : NULL);
                return true;
        }
        *in = slice_from(*in, n);
        c->body_left -= n;
        if (c->body_left > 0)
                return false;
        conn_request(c);
        return true;
}

/* Takes from *in what it can; what is left must be kept by the caller. */
static void conn_process(struct conn *c, struct slice *in)
{
        bool more = true;

        c->processing = true;
        while (more && !c->closing) {
                if (c->finishing) {
                        *in = slice_from(*in, in->len);
                        more = false;
                } else if (c->state == CONN_HEAD) {
                        more = conn_take_head(c, in);
                } else if (c->state == CONN_BODY) {
                        more = conn_take_body(c, in);
                } else {
                        more = false;
                }
        }
        c->processing = false;
}

static void conn_process_buffered(struct conn *c)
{
        size_t before = buf_len(&c->in);
        struct slice rest = buf_slice(&c->in);

        conn_process(c, &rest);
        buf_consume(&c->in, before - rest.len);
}

static void conn_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

static void conn_alloc(uv_handle_t *handle, size_t size, uv_buf_t *out)
{
        struct conn *c = handle->data;

        *out = uv_buf_init(c->door->read_buffer, sizeof(c->door->read_buffer));
}

static void conn_set_reading(struct conn *c, bool on)
{
        if (c->reading == on || c->closing || c->eof)
                return;
        c->reading = on;
        if (on)
                uv_read_start(&c->h.stream, conn_alloc, conn_read);
        else
                uv_read_stop(&c->h.stream);
}

static void conn_hung_up(struct conn *c)
{
        struct exchange *ex = c->ex;

        c->eof = true;
        c->reading = false;
        uv_read_stop(&c->h.stream);
        if (c->state == CONN_BUSY && ex) {
                c->ex = NULL;
                c->state = CONN_HEAD;
                exchange_gone(ex);
                if (c->closing)
                        return;
        }
        if (c->state == CONN_BODY) {
                conn_close(c); /* a body that never came whole starts nothing */
                return;
        }
        c->finishing = c->finishing || buf_len(&c->in) == 0;
        conn_run(c);
        if (c->closing)
                return;
        c->finishing = true;
        conn_dirty(c);
        if (c->shut || conn_unsent(c) == 0)
                conn_close(c);
}

static void conn_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
        struct conn *c = stream->data;
        struct slice fresh;

        if (n == 0 || c->closing)
                return;
        if (n < 0) {
                conn_hung_up(c);
                return;
        }
        fresh = (struct slice){ buf->base, (size_t)n };
        if (buf_len(&c->in) == 0) {
                conn_process(c, &fresh);
        } else if (buf_append_slice(&c->in, fresh) == 0) {
                conn_process_buffered(c);
                fresh.len = 0;
        }
        if (c->closing)
                return;
        if (fresh.len > 0 && buf_append_slice(&c->in, fresh) != 0) {
                conn_close(c);
                return;
        }
        if (c->state == CONN_BUSY && buf_len(&c->in) > HTTP_PIPELINE_MAX)
                conn_set_reading(c, false);
}

void conn_exchange_ended(struct conn *c, bool close)
{
        c->ex = NULL;
        c->state = CONN_HEAD;
        c->scanned = 0;
        c->head_begun = false;
        if (close || c->door->draining)
                c->finishing = true;
        conn_deadline(c, c->door->c.config->idle_timeout_ms);
        conn_set_reading(c, true);
        conn_dirty(c);
}

/* ---- time ---- */

static void conn_timed_out(struct conn *c)
{
        c->deadline_ms = 0;
        if (c->state == CONN_HEAD && c->head_begun && !c->finishing) {
                c->ex = exchange_new(c, SLICE(""));
                conn_refuse(c, 408, "the request head did not come whole in time (option head_timeout)");
        } else if (c->state == CONN_BODY) {
                conn_refuse(c, 408, "the body stopped coming (option body_timeout)");
        } else {
                conn_close(c);
        }
}

void conn_tick(struct conn *c)
{
        int64_t now = c->door->now_ms;

        if (c->closing)
                return;
        if (c->writing && now - c->sent_ms > c->door->c.config->send_timeout_ms) {
                log_say(LOG_INFO, "server", "connection closed: the client takes nothing",
                        "remote=%s send_timeout_ms=%lld", c->remote,
                        (long long)c->door->c.config->send_timeout_ms);
                conn_close(c);
        } else if (!c->writing && c->deadline_ms && now >= c->deadline_ms) {
                conn_timed_out(c);
        }
}

void conn_drain(struct conn *c)
{
        if (c->state == CONN_HEAD && !c->head_begun) {
                c->finishing = true;
                conn_dirty(c);
        }
}

/* ---- the beginning ---- */

static void conn_addresses(struct conn *c)
{
        struct sockaddr_storage ss;
        int len;

        strcpy(c->remote, "unix:");
        strcpy(c->local, "unix:");
        if (c->door->is_unix)
                return;
        len = sizeof(ss);
        if (uv_tcp_getpeername(&c->h.tcp, (struct sockaddr *)&ss, &len) == 0)
                address_format(c->remote, &ss);
        len = sizeof(ss);
        if (uv_tcp_getsockname(&c->h.tcp, (struct sockaddr *)&ss, &len) == 0)
                address_format(c->local, &ss);
}

void conn_accept(struct door *door)
{
        struct conn *c = mem_alloc(sizeof(*c));
        int r;

        c->door = door;
        if (door->is_unix)
                r = uv_pipe_init(door->c.loop, &c->h.pipe, 0);
        else
                r = uv_tcp_init(door->c.loop, &c->h.tcp);
        if (r < 0) {
                free(c);
                return;
        }
        c->h.handle.data = c;
        buf_init(&c->in, door->c.config->head_max + CONN_READ_SIZE + HTTP_PIPELINE_MAX);
        buf_init(&c->out, CONN_OUT_MAX);
        buf_init(&c->sending, CONN_OUT_MAX);
        DL_APPEND(door->conns, c);
        door->conn_count++;
        if (uv_accept(&door->listener.stream, &c->h.stream) < 0) {
                conn_close(c);
                return;
        }
        if (!door->is_unix)
                uv_tcp_nodelay(&c->h.tcp, 1);
        conn_addresses(c);
        if (door->conn_count > door->c.config->connections_max || door->pressed) {
                c->ex = exchange_new(c, SLICE(""));
                conn_refuse(c, 503,
                            door->pressed ? "the connections hold too much memory (option memory_max)"
                                          : "too many connections (option connections_max)");
        }
        conn_deadline(c, door->c.config->idle_timeout_ms);
        conn_set_reading(c, true);
}
