/* See http_reply.h. Lines are checked as they come and kept one after the other; http_reply_head cuts them
 * again. A field that goes on in a further line (obs-fold) is joined with blanks, as RFC 9112, 5.2 wants. */
#include "run/http_reply.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

void http_reply_init(struct http_reply *r)
{
        memset(r, 0, sizeof(*r));
        buf_init(&r->lines, CGI_HEAD_MAX);
}

void http_reply_fini(struct http_reply *r)
{
        buf_fini(&r->lines);
}

void http_reply_clear(struct http_reply *r)
{
        buf_clear(&r->lines);
        r->begun = r->done = false;
        r->count = 0;
}

static int malformed(struct cause *cause, const char *what)
{
        return cause_set(cause, -EPROTO, "its head is malformed (%s)", what);
}

/* "HTTP/1.1 200 OK", "HTTP/2 200" */
static int take_status(struct http_reply *r, struct slice line, struct cause *cause)
{
        struct slice rest = line, version, code;
        uint64_t status;

        http_reply_clear(r);
        if (!slice_cut(&rest, ' ', &version) || !slice_cut(&rest, ' ', &code) ||
            !slice_starts(version, SLICE("HTTP/")) || code.len != 3 || !slice_to_u64(code, 599, &status) ||
            status < 100)
                return malformed(cause, "the status line");
        r->begun = true;
        r->status = (int)status;
        rest = slice_trim(rest);
        if (http1_is_field_value(rest))
                snprintf(r->reason, sizeof(r->reason), "%.*s", SLICE_ARG(rest));
        else
                r->reason[0] = '\0';
        return 0;
}

static int too_long(struct cause *cause)
{
        return cause_set(cause, -EMSGSIZE, "its head is longer than %d bytes", CGI_HEAD_MAX);
}

static int append(struct http_reply *r, struct slice a, struct cause *cause)
{
        int room = buf_append_slice(&r->lines, a);

        if (room == 0)
                room = buf_append_str(&r->lines, "\n");
        if (room < 0)
                return cause_set(cause, room, "out of memory for its head");
        return room ? too_long(cause) : 0;
}

static int take_field(struct http_reply *r, struct slice line, struct cause *cause)
{
        if (line.ptr[0] == ' ' || line.ptr[0] == '\t') {
                if (r->count == 0)
                        return malformed(cause, "a blank before the first field");
                buf_data(&r->lines)[buf_len(&r->lines) - 1] = ' '; /* in place of the last line's end */
                return append(r, slice_trim(line), cause);
        }
        if (r->count == CGI_HEADERS_MAX)
                return cause_set(cause, -EMSGSIZE, "its head has more than %d fields", CGI_HEADERS_MAX);
        r->count++;
        return append(r, line, cause);
}

int http_reply_line(struct http_reply *r, struct slice line, struct cause *cause)
{
        while (line.len && (line.ptr[line.len - 1] == '\n' || line.ptr[line.len - 1] == '\r'))
                line.len--;
        if (r->done)
                return 0;
        if (!r->begun)
                return take_status(r, line, cause);
        if (line.len > 0)
                return take_field(r, line, cause);
        if (r->status < 200) {
                http_reply_clear(r);
                return 0;
        }
        r->done = true;
        return HTTP_REPLY_HEAD;
}

/* Cuts the next field off *rest; its name is empty where it is malformed. False: there was none. */
static bool next_field(struct slice *rest, struct http1_header *out)
{
        struct slice line;
        const char *colon;

        if (rest->len == 0 || !slice_cut(rest, '\n', &line))
                return false;
        colon = memchr(line.ptr, ':', line.len);
        out->name = (struct slice){ line.ptr, colon ? (size_t)(colon - line.ptr) : 0 };
        out->value = colon ? slice_trim(slice_from(line, out->name.len + 1)) : SLICE("");
        return true;
}

static int take_length(struct cgi_head *out, struct slice value, struct cause *cause)
{
        uint64_t length;

        if (!slice_to_u64(value, INT64_MAX, &length) || (out->has_length && length != out->content_length))
                return malformed(cause, "Content-Length");
        out->has_length = true;
        out->content_length = length;
        return 0;
}

/* Without the fields of the connection, those that Connection names, and a Content-Length that does not
 * count. */
static void drop_fields(struct cgi_head *out, const struct http1_header *connection, size_t connections,
                        bool coded)
{
        size_t kept = 0;

        for (size_t i = 0; i < out->header_count; i++) {
                struct http1_header h = out->headers[i];

                if (http1_has_token(connection, connections, SLICE("connection"), h.name) ||
                    (coded && slice_eq_nocase(h.name, SLICE("content-length"))))
                        continue;
                out->headers[kept++] = h;
        }
        out->header_count = kept;
        if (coded)
                out->has_length = false;
}

int http_reply_head(const struct http_reply *r, struct cgi_head *out, struct cause *cause)
{
        struct slice rest = buf_slice(&r->lines);
        struct http1_header h, connection[8];
        size_t connections = 0;
        bool coded = false;

        memset(out, 0, offsetof(struct cgi_head, headers));
        out->close = false;
        out->status = r->status;
        out->reason = slice_of(r->reason);
        while (next_field(&rest, &h)) {
                bool again = out->has_length;

                if (!http1_is_token(h.name) || !http1_is_field_value(h.value))
                        return malformed(cause, "a header field");
                if (slice_eq_nocase(h.name, SLICE("connection")) && connections < 8)
                        connection[connections++] = h;
                coded = coded || slice_eq_nocase(h.name, SLICE("transfer-encoding"));
                if (cgi_is_hop_by_hop(h.name))
                        continue;
                if (slice_eq_nocase(h.name, SLICE("content-length"))) {
                        if (take_length(out, h.value, cause) < 0)
                                return -EPROTO;
                        if (again)
                                continue;
                }
                out->has_type = out->has_type || slice_eq_nocase(h.name, SLICE("content-type"));
                out->headers[out->header_count++] = h;
        }
        drop_fields(out, connection, connections, coded);
        out->close = http1_has_token(connection, connections, SLICE("connection"), SLICE("close"));
        return 0;
}

bool http_reply_location(const struct http_reply *r, struct slice *value)
{
        struct slice rest = buf_slice(&r->lines);
        struct http1_header h;

        while (next_field(&rest, &h)) {
                *value = h.value;
                if (slice_eq_nocase(h.name, SLICE("location")))
                        return true;
        }
        return false;
}
