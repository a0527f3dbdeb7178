/* Heads of CGI replies, as scripts print them. */
#include "net/cgi.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct parse {
        char *exact;
        struct cgi_head head;
        struct cause cause;
};

static int setup(void **state)
{
        *state = calloc(1, sizeof(struct parse));
        return *state ? 0 : -1;
}

static int teardown(void **state)
{
        struct parse *p = *state;

        free(p->exact);
        free(p);
        return 0;
}

static int parse(struct parse *p, struct slice head)
{
        free(p->exact);
        p->exact = malloc(head.len ? head.len : 1);
        assert_non_null(p->exact);
        memcpy(p->exact, head.ptr, head.len);
        memset(&p->head, 0xa5, sizeof(p->head));
        p->cause.text[0] = '\0';
        return cgi_head_parse((struct slice){ p->exact, head.len }, &p->head, &p->cause);
}

#define PARSE(p, text) parse(p, SLICE(text))

static void assert_slice(struct slice got, const char *want)
{
        if (!slice_eq(got, slice_of(want)))
                fail_msg("\"%.*s\" is not \"%s\"", SLICE_ARG(got), want);
}

static void finds_the_end_of_a_head(void **state)
{
        static const struct slice heads[] = {
                SLICE("\r\n"),       SLICE("\n"),         SLICE("A: b\r\n\r\n"),     SLICE("A: b\n\n"),
                SLICE("A: b\n\r\n"), SLICE("A: b\r\n\n"), SLICE("A: b\r\nC: d\n\n"),
        };

        for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
                char bytes[64];
                size_t scanned;

                memcpy(bytes, heads[i].ptr, heads[i].len);
                memcpy(bytes + heads[i].len, "x\n\nx", 4);
                for (size_t cut = 0; cut < heads[i].len; cut++) {
                        scanned = 0;
                        assert_int_equal(cgi_head_length((struct slice){ bytes, cut }, &scanned), 0);
                        assert_int_equal(scanned, cut);
                        assert_int_equal(cgi_head_length((struct slice){ bytes, heads[i].len + 4 }, &scanned),
                                         heads[i].len);
                }
                scanned = 0;
                for (size_t n = 0; n < heads[i].len; n++)
                        assert_int_equal(cgi_head_length((struct slice){ bytes, n }, &scanned), 0);
                assert_int_equal(cgi_head_length((struct slice){ bytes, heads[i].len }, &scanned),
                                 heads[i].len);
        }
}

static void reads_what_php_prints(void **state)
{
        struct parse *p = *state;

        assert_int_equal(PARSE(p, "Status: 404 Not Found\r\nX-Powered-By: PHP/8.2\r\n"
                                  "Content-type: text/html; charset=UTF-8\r\n\r\n"),
                         0);
        assert_int_equal(p->head.status, 404);
        assert_slice(p->head.reason, "Not Found");
        assert_false(p->head.has_length);
        assert_true(p->head.has_type);
        assert_false(p->head.close);
        assert_int_equal(p->head.header_count, 2);
        assert_slice(p->head.headers[0].name, "X-Powered-By");
        assert_slice(p->head.headers[1].value, "text/html; charset=UTF-8");
}

static void reads_lines_that_end_in_lf(void **state)
{
        struct parse *p = *state;

        assert_int_equal(PARSE(p, "Content-Type:text/plain\nSet-Cookie: a\nset-cookie: b\n\n"), 0);
        assert_int_equal(p->head.status, 200);
        assert_slice(p->head.reason, "");
        assert_int_equal(p->head.header_count, 3);
        assert_slice(p->head.headers[0].value, "text/plain");
        assert_slice(p->head.headers[2].value, "b");
}

static void accepts_a_head_without_fields(void **state)
{
        struct parse *p = *state;

        assert_int_equal(PARSE(p, "\r\n"), 0);
        assert_int_equal(p->head.status, 200);
        assert_int_equal(p->head.header_count, 0);
        assert_false(p->head.has_type);
        assert_int_equal(PARSE(p, "\n"), 0);
        assert_int_equal(p->head.status, 200);
}

static void redirects_with_a_location(void **state)
{
        struct parse *p = *state;

        assert_int_equal(PARSE(p, "Location: /a\r\n\r\n"), 0);
        assert_int_equal(p->head.status, 302);
        assert_int_equal(p->head.header_count, 1);
        assert_int_equal(PARSE(p, "location: /a\r\nStatus: 201\r\n\r\n"), 0);
        assert_int_equal(p->head.status, 201);
        assert_slice(p->head.reason, "");
        assert_int_equal(PARSE(p, "Status: 301 Moved\r\nLocation: /a\r\n\r\n"), 0);
        assert_int_equal(p->head.status, 301);
}

static void hears_the_length(void **state)
{
        struct parse *p = *state;

        assert_int_equal(PARSE(p, "Content-Length: 9223372036854775807\r\n\r\n"), 0);
        assert_true(p->head.has_length);
        assert_true(p->head.content_length == INT64_MAX);
        assert_int_equal(p->head.header_count, 1);
        assert_int_equal(PARSE(p, "Content-Length: 5\r\ncontent-length: 5\r\n\r\n"), 0);
        assert_int_equal(p->head.content_length, 5);
        assert_int_equal(p->head.header_count, 1); /* passed on once */
        assert_int_equal(PARSE(p, "Content-Length: 5\r\ncontent-length: 6\r\n\r\n"), -EPROTO);
}

static void leaves_out_what_belongs_to_the_connection(void **state)
{
        struct parse *p = *state;

        assert_int_equal(
                PARSE(p, "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nTransfer-Encoding: chunked\r\n"
                         "Upgrade: x\r\nTrailer: y\r\nTE: trailers\r\nProxy-Connection: "
                         "z\r\nproxy-authenticate: q\r\n"
                         "Transfer-Encodings: a\r\n\r\n"),
                0);
        assert_int_equal(p->head.header_count, 1);
        assert_slice(p->head.headers[0].name, "Transfer-Encodings");
        assert_false(p->head.close);
        assert_int_equal(PARSE(p, "Connection: x, Close\r\nConnection: keep-alive\r\n\r\n"), 0);
        assert_true(p->head.close);
        assert_int_equal(p->head.header_count, 0);
}

static void refuses_malformed_heads(void **state)
{
        static const struct slice heads[] = {
                SLICE("no colon\r\n\r\n"),
                SLICE("Warning: <b>text</b>\r\nand more\r\n\r\n"),
                SLICE(": x\r\n\r\n"),
                SLICE("A b: x\r\n\r\n"),
                SLICE("A : x\r\n\r\n"),
                SLICE(" A: x\r\n\r\n"),
                SLICE("A: x\r\n folded\r\n\r\n"),
                SLICE("A: x\ry\r\n\r\n"),
                SLICE("A: x\r\r\n\r\n"),
                SLICE("A: x\0\r\n\r\n"),
                SLICE("A: \x1b\r\n\r\n"),
                SLICE("A\0: x\r\n\r\n"),
                SLICE("Status: 100 Continue\r\n\r\n"),
                SLICE("Status: 199\r\n\r\n"),
                SLICE("Status: 600\r\n\r\n"),
                SLICE("Status: 99\r\n\r\n"),
                SLICE("Status: 2000\r\n\r\n"),
                SLICE("Status: 200OK\r\n\r\n"),
                SLICE("Status: OK\r\n\r\n"),
                SLICE("Status: -20\r\n\r\n"),
                SLICE("Status:\r\n\r\n"),
                SLICE("Status: HTTP/1.1 200 OK\r\n\r\n"),
                SLICE("Content-Length: -1\r\n\r\n"),
                SLICE("Content-Length: 5, 5\r\n\r\n"),
                SLICE("Content-Length:\r\n\r\n"),
                SLICE("Content-Length: 9223372036854775808\r\n\r\n"),
        };
        struct parse *p = *state;

        for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
                if (parse(p, heads[i]) != -EPROTO)
                        fail_msg("accepted: %.*s", SLICE_ARG(heads[i]));
                assert_true(p->cause.text[0]);
        }
}

static void takes_256_fields_and_refuses_one_more(void **state)
{
        struct parse *p = *state;
        struct buf head;

        for (int count = CGI_HEADERS_MAX; count <= CGI_HEADERS_MAX + 1; count++) {
                buf_init(&head, 1 << 16);
                assert_int_equal(buf_append_str(&head, "Status: 200\r\nConnection: close\r\n"),
                                 0); /* not counted */
                for (int i = 0; i < count; i++)
                        assert_int_equal(buf_printf(&head, "X%d: y\r\n", i), 0);
                assert_int_equal(buf_append_str(&head, "\r\n"), 0);
                assert_int_equal(parse(p, buf_slice(&head)), count > CGI_HEADERS_MAX ? -EPROTO : 0);
                buf_fini(&head);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(finds_the_end_of_a_head),
                cmocka_unit_test(reads_what_php_prints),
                cmocka_unit_test(reads_lines_that_end_in_lf),
                cmocka_unit_test(accepts_a_head_without_fields),
                cmocka_unit_test(redirects_with_a_location),
                cmocka_unit_test(hears_the_length),
                cmocka_unit_test(leaves_out_what_belongs_to_the_connection),
                cmocka_unit_test(refuses_malformed_heads),
                cmocka_unit_test(takes_256_fields_and_refuses_one_more),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
