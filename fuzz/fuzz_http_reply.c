/* Heads of http replies, line by line as libcurl gives them: within their bounds; every field of a head that
 * is taken can be written into another head, and none of the connection is among them. */
#include <assert.h>
#include <string.h>

#include "run/http_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct http_reply *r)
{
        struct cgi_head head;
        struct slice location;
        struct cause cause = { "" };
        bool found = false;

        assert(r->done && r->status >= 200 && r->status < 600 && r->count <= CGI_HEADERS_MAX);
        if (http_reply_head(r, &head, &cause) < 0) {
                assert(cause.text[0]);
                return;
        }
        assert(head.status == r->status && head.header_count <= r->count);
        for (size_t i = 0; i < head.header_count; i++) {
                assert(http1_is_token(head.headers[i].name) && http1_is_field_value(head.headers[i].value));
                assert(!cgi_is_hop_by_hop(head.headers[i].name));
                found = found || slice_eq_nocase(head.headers[i].name, SLICE("location"));
        }
        assert(http1_is_field_value(head.reason));
        if (found)
                assert(http_reply_location(r, &location));
        assert(!head.has_length || head.content_length <= INT64_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct slice rest = { (const char *)data, size };
        struct cause cause = { "" };
        struct http_reply r;
        int got = 0;

        http_reply_init(&r);
        while (rest.len && got >= 0) {
                const char *end = memchr(rest.ptr, '\n', rest.len);
                size_t len = end ? (size_t)(end - rest.ptr) + 1 : rest.len;
                bool done = r.done;

                got = http_reply_line(&r, (struct slice){ rest.ptr, len }, &cause);
                assert(!done || got == 0);
                assert(got >= 0 || cause.text[0]);
                if (got == HTTP_REPLY_HEAD)
                        check(&r);
                rest = slice_from(rest, len);
        }
        if (r.done)
                check(&r);
        http_reply_fini(&r);
        return 0;
}
