/* Request heads: whatever comes, the parser stays inside the bytes, and what it accepts says the same when
 * read again by hand. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "net/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool inside(struct slice s, const char *head, size_t len)
{
        return s.len == 0 || (s.ptr >= head && s.ptr + s.len <= head + len);
}

static void check(const struct http1_request *req, const char *head, size_t len)
{
        unsigned lengths = 0, codings = 0, hosts = 0;

        assert(http1_is_token(req->method) && inside(req->method, head, len));
        assert(inside(req->target, head, len) && inside(req->path, head, len) &&
               inside(req->query, head, len) && inside(req->host, head, len));
        assert(req->path.len > 0 && (req->path.ptr[0] == '/' || slice_eq(req->path, SLICE("*"))));
        assert(req->header_count <= HTTP_HEADERS_MAX);
        for (size_t i = 0; i < req->header_count; i++) {
                assert(http1_is_token(req->headers[i].name) && http1_is_field_value(req->headers[i].value));
                assert(inside(req->headers[i].name, head, len) && inside(req->headers[i].value, head, len));
                lengths += slice_eq_nocase(req->headers[i].name, SLICE("content-length"));
                codings += slice_eq_nocase(req->headers[i].name, SLICE("transfer-encoding"));
                hosts += slice_eq_nocase(req->headers[i].name, SLICE("host"));
        }
        assert(lengths + codings <= 1 && hosts <= 1);
        assert((req->framing == HTTP1_LENGTH) == (lengths == 1) &&
               (req->framing == HTTP1_CHUNKED) == (codings == 1));
        assert(req->minor == 0 || (hosts == 1 && req->host.len > 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct http1_request *req = calloc(1, sizeof(*req));
        struct cause cause;
        size_t scanned = 0, length = 0, again = 0;
        char *head = malloc(size ? size : 1);

        assert(req && head);
        memcpy(head, data, size);
        /* found byte by byte and at once, the end of the head is the same */
        for (size_t n = 1; n <= size && !length; n++)
                length = http1_head_length((struct slice){ head, n }, &scanned);
        assert(length == http1_head_length((struct slice){ head, size }, &again));
        if (length) {
                char *exact = malloc(length); /* so that the sanitizer sees a step too far */

                assert(exact);
                memcpy(exact, head, length);
                if (http1_request_parse((struct slice){ exact, length }, req, &cause) == 0)
                        check(req, exact, length);
                free(exact);
        }
        free(head);
        free(req);
        return 0;
}
