/* The head of a CGI reply: see cgi.h. Lines end in LF or CRLF here, as scripts print them. A malformed head
 * is the script's fault: -EPROTO, and whoever runs the script answers 502 in its place. */
#include "net/cgi.h"

#include <errno.h>
#include <string.h>

size_t cgi_head_length(struct slice bytes, size_t *scanned)
{
        size_t at = *scanned;

        while (at < bytes.len) {
                const char *lf = memchr(bytes.ptr + at, '\n', bytes.len - at);
                size_t i;

                if (!lf) {
                        at = bytes.len;
                        break;
                }
                i = (size_t)(lf - bytes.ptr);
                if (i == 0 || bytes.ptr[i - 1] == '\n')
                        return i + 1;
                if (bytes.ptr[i - 1] == '\r' && (i == 1 || bytes.ptr[i - 2] == '\n'))
                        return i + 1;
                at = i + 1;
        }
        *scanned = at;
        return 0;
}

bool cgi_is_hop_by_hop(struct slice name)
{
        static const struct slice names[] = {
                { "connection", 10 }, { "keep-alive", 10 }, { "transfer-encoding", 17 },
                { "upgrade", 7 },     { "trailer", 7 },     { "te", 2 }
        };

        if (name.len > 6 && slice_eq_nocase((struct slice){ name.ptr, 6 }, SLICE("proxy-")))
                return true;
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                if (slice_eq_nocase(name, names[i]))
                        return true;
        return false;
}

static int take_status(struct cgi_head *out, struct slice value, struct cause *cause)
{
        uint64_t status;

        if (value.len < 3 || !slice_to_u64((struct slice){ value.ptr, 3 }, 599, &status) || status < 200 ||
            (value.len > 3 && value.ptr[3] != ' '))
                return cause_set(cause, -EPROTO, "the script's Status is not a number from 200 to 599");
        out->status = (int)status;
        out->reason = slice_from(value, 4);
        return 0;
}

static int take_length(struct cgi_head *out, struct slice value, struct cause *cause)
{
        uint64_t length;

        if (!slice_to_u64(value, INT64_MAX, &length) || (out->has_length && length != out->content_length))
                return cause_set(cause, -EPROTO,
                                 "the script's Content-Length is malformed, or there are two that differ");
        out->has_length = true;
        out->content_length = length;
        return 0;
}

static int take_field(struct cgi_head *out, struct http1_header h, struct cause *cause)
{
        if (slice_eq_nocase(h.name, SLICE("status")))
                return take_status(out, h.value, cause);
        if (slice_eq_nocase(h.name, SLICE("connection"))) {
                out->close = out->close || http1_has_token(&h, 1, h.name, SLICE("close"));
                return 0;
        }
        if (cgi_is_hop_by_hop(h.name))
                return 0;
        if (slice_eq_nocase(h.name, SLICE("content-length"))) {
                bool again = out->has_length;
                int r = take_length(out, h.value, cause);

                if (r < 0 || again)
                        return r;
        }
        if (slice_eq_nocase(h.name, SLICE("content-type")))
                out->has_type = true;
        if (out->header_count == CGI_HEADERS_MAX)
                return cause_set(cause, -EPROTO, "the script's reply has more than %d header fields",
                                 CGI_HEADERS_MAX);
        out->headers[out->header_count++] = h;
        return 0;
}

int cgi_head_parse(struct slice head, struct cgi_head *out, struct cause *cause)
{
        bool location = false;
        struct slice line;

        memset(out, 0, offsetof(struct cgi_head, headers));
        out->close = false;
        out->reason = SLICE("");
        while (slice_cut(&head, '\n', &line)) {
                struct http1_header h;
                const char *colon;
                int r;

                if (line.len && line.ptr[line.len - 1] == '\r')
                        line.len--;
                if (line.len == 0)
                        break;
                colon = memchr(line.ptr, ':', line.len);
                h.name = (struct slice){ line.ptr, colon ? (size_t)(colon - line.ptr) : 0 };
                h.value = colon ? slice_trim(slice_from(line, h.name.len + 1)) : SLICE("");
                if (!http1_is_token(h.name) || !http1_is_field_value(h.value))
                        return cause_set(cause, -EPROTO, "the script's reply has a malformed header line");
                r = take_field(out, h, cause);
                if (r < 0)
                        return r;
                location = location || slice_eq_nocase(h.name, SLICE("location"));
        }
        if (out->status == 0)
                out->status = location ? 302 : 200;
        return 0;
}
