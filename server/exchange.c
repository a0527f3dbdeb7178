/* The reply side of an exchange: framing (Content-Length, chunked, until close), small whole replies,
 * problems, and bodies from a spool. The reading side is conn.c. See exchange.h for the lifetime. */
#include "server/exchange.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/chunked.h"
#include "server/access_log.h"
#include "server/conn.h"

#define RETRY_AFTER_S 5

struct exchange *exchange_new(struct conn *conn, struct slice head)
{
        struct exchange *ex = mem_alloc(sizeof(*ex));

        ex->conn = conn;
        ex->head = slice_dup(head);
        ex->began_ns = clock_mono_ns();
        ex->req.method = ex->req.target = ex->req.path = SLICE("-");
        ex->req.minor = 1;
        spool_init(&ex->body, -1, 0, 0);
        return ex;
}

void exchange_free(struct exchange *ex)
{
        spool_fini(&ex->body);
        free(ex->head);
        free(ex);
}

void exchange_gone(struct exchange *ex)
{
        if (!ex->status)
                ex->status = 499; /* as nginx logs it: the caller did not wait */
        if (ex->ops && ex->ops->gone)
                ex->ops->gone(ex);
        access_log_add(conn_door(ex->conn)->c.access_log, ex);
        exchange_free(ex);
}

static bool status_has_body(int status)
{
        return status >= 200 && status != 204 && status != 304;
}

void exchange_head(struct exchange *ex, int status, struct slice block, int64_t length)
{
        struct conn *c = ex->conn;
        bool head = slice_eq(ex->req.method, SLICE("HEAD"));

        ex->status = status;
        ex->no_body = head || !status_has_body(status);
        ex->close = ex->close || !ex->req.keep_alive || conn_door(c)->draining;
        conn_printf(c, "HTTP/1.1 %d %s\r\nDate: %s\r\nServer: sendoff\r\n", status, http1_reason(status),
                    door_date(conn_door(c)));
        conn_write(c, block.ptr, block.len);
        if (length >= 0 && status_has_body(status)) {
                ex->has_length = true;
                ex->left = ex->no_body ? 0 : (uint64_t)length;
                conn_printf(c, "Content-Length: %" PRId64 "\r\n", length);
        } else if (!ex->no_body && ex->req.minor == 0) {
                ex->close = true;
        } else if (!ex->no_body) {
                ex->chunked = true;
                conn_write(c, "Transfer-Encoding: chunked\r\n", 28);
        }
        if (ex->close)
                conn_write(c, "Connection: close\r\n", 19);
        else if (ex->req.minor == 0)
                conn_write(c, "Connection: keep-alive\r\n", 24);
        conn_write(c, "\r\n", 2);
}

int exchange_data(struct exchange *ex, struct slice bytes)
{
        char line[CHUNKED_LINE_SIZE];

        if (ex->has_length && bytes.len > ex->left)
                bytes.len = (size_t)ex->left;
        if (ex->no_body || bytes.len == 0)
                return 0;
        if (ex->has_length)
                ex->left -= bytes.len;
        if (ex->chunked)
                conn_write(ex->conn, line, chunked_line(line, bytes.len));
        conn_write(ex->conn, bytes.ptr, bytes.len);
        if (ex->chunked)
                conn_write(ex->conn, "\r\n", 2);
        ex->sent += bytes.len;
        if (!conn_is_slow(ex->conn))
                return 0;
        ex->slow = true;
        return EXCHANGE_SLOW;
}

bool exchange_complete(const struct exchange *ex)
{
        return ex->no_body || (ex->has_length && ex->left == 0);
}

static void exchange_finish(struct exchange *ex, bool close)
{
        struct conn *c = ex->conn;

        access_log_add(conn_door(c)->c.access_log, ex);
        exchange_free(ex);
        conn_exchange_ended(c, close);
}

void exchange_end(struct exchange *ex)
{
        if (ex->has_length && ex->left > 0) {
                exchange_abort(ex);
                return;
        }
        if (ex->chunked)
                conn_write(ex->conn, CHUNKED_END, sizeof(CHUNKED_END) - 1);
        exchange_finish(ex, ex->close);
}

void exchange_abort(struct exchange *ex)
{
        exchange_finish(ex, true);
}

void exchange_reply(struct exchange *ex, int status, const char *type, struct slice extra, struct slice body)
{
        struct buf block;

        buf_init(&block, CGI_HEAD_MAX);
        if ((type && buf_printf(&block, "Content-Type: %s\r\n", type) != 0) ||
            buf_append_slice(&block, extra) != 0)
                log_say(LOG_ERROR, "server", "reply head too long", "status=%d max_bytes=%d", status,
                        CGI_HEAD_MAX);
        exchange_head(ex, status, buf_slice(&block), (int64_t)body.len);
        buf_fini(&block);
        exchange_data(ex, body);
        exchange_end(ex);
}

void exchange_problem(struct exchange *ex, int status, int retry_s, const char *detail)
{
        char extra[64] = "", safe[CAUSE_MAX];
        json_t *problem;
        char *text;
        size_t at = 0;

        /* a detail may quote the request: jansson wants UTF-8, and a terminal wants no control bytes */
        for (const char *p = detail ? detail : ""; *p && at < sizeof(safe) - 1; p++)
                safe[at++] = (unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f ? '?' : *p;
        safe[at] = '\0';
        problem = json_pack("{s:s, s:s, s:i, s:s}", "type", "about:blank", "title", http1_reason(status),
                            "status", status, "detail", safe);
        text = problem ? json_dumps(problem, JSON_COMPACT) : NULL;
        json_decref(problem);
        if (retry_s == 0 && (status == 503 || status == 507))
                retry_s = RETRY_AFTER_S;
        if (retry_s > 0)
                snprintf(extra, sizeof(extra), "Retry-After: %d\r\n", retry_s);
        exchange_reply(ex, status, "application/problem+json", slice_of(extra), slice_of(text ? text : "{}"));
        free(text);
}

/* ---- a body from a spool ---- */

struct sending {
        struct spool body;
        uint64_t at, end;
};

static void sending_free(struct sending *s)
{
        spool_fini(&s->body);
        free(s);
}

static void sending_gone(struct exchange *ex)
{
        sending_free(ex->arg);
}

static void sending_go(struct exchange *ex)
{
        struct sending *s = ex->arg;
        char *chunk = conn_door(ex->conn)->send_buffer;
        int r = 0;

        while (r == 0 && s->at < s->end && !ex->no_body) {
                size_t want = s->end - s->at < CONN_READ_SIZE ? (size_t)(s->end - s->at) : CONN_READ_SIZE;
                ssize_t n = spool_read(&s->body, s->at, chunk, want);

                if (n <= 0) {
                        log_say(LOG_ERROR, "server", "a body could not be read to its end", "why=\"%s\"",
                                n < 0 ? strerror((int)-n) : "it is shorter than it was");
                        sending_free(s);
                        exchange_abort(ex);
                        return;
                }
                s->at += (uint64_t)n;
                r = exchange_data(ex, (struct slice){ chunk, (size_t)n });
        }
        if (r == EXCHANGE_SLOW)
                return;
        sending_free(s);
        exchange_end(ex);
}

static const struct exchange_ops sending_ops = { .gone = sending_gone, .drained = sending_go };

void exchange_send_spool(struct exchange *ex, int status, struct slice block, struct spool *body,
                         uint64_t from, uint64_t length)
{
        struct sending *s = mem_alloc(sizeof(*s));

        spool_move(&s->body, body);
        s->at = from;
        s->end = from + length;
        ex->ops = &sending_ops;
        ex->arg = s;
        exchange_head(ex, status, block, (int64_t)length);
        sending_go(ex);
}

const char *exchange_remote(const struct exchange *ex)
{
        return conn_remote(ex->conn);
}

const char *exchange_local(const struct exchange *ex)
{
        return conn_local(ex->conn);
}

const struct http1_header *exchange_header(const struct exchange *ex, struct slice name)
{
        return http1_find(ex->req.headers, ex->req.header_count, name);
}

struct slice exchange_target(const struct exchange *ex)
{
        struct slice target = ex->req.path;

        if (ex->req.has_query)
                target.len = (size_t)(ex->req.query.ptr + ex->req.query.len - target.ptr);
        return target;
}
