/* run/http_reply.c: heads from header lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "run/http_reply.h"

static int feed(struct http_reply *r, const char *text, struct cause *cause)
{
        struct slice rest = slice_of(text);
        int got = 0;

        while (rest.len && got == 0) {
                const char *end = memchr(rest.ptr, '\n', rest.len);
                size_t len = end ? (size_t)(end - rest.ptr) + 1 : rest.len;

                got = http_reply_line(r, (struct slice){ rest.ptr, len }, cause);
                rest = slice_from(rest, len);
        }
        return got;
}

/* The fields as "name: value\n" lines, or the sentence of the fault. To be freed. */
static char *read_head(const char *text, struct cgi_head *head)
{
        struct http_reply r;
        struct cause cause = { "" };
        struct buf out;
        int got;

        http_reply_init(&r);
        buf_init(&out, 1 << 20);
        got = feed(&r, text, &cause);
        if (got == HTTP_REPLY_HEAD)
                got = http_reply_head(&r, head, &cause);
        else
                assert_true(got < 0);
        if (got < 0)
                assert_int_equal(buf_append_str(&out, cause.text), 0);
        for (size_t i = 0; got == 0 && i < head->header_count; i++)
                assert_int_equal(buf_printf(&out, "%.*s: %.*s\n", SLICE_ARG(head->headers[i].name),
                                            SLICE_ARG(head->headers[i].value)),
                                 0);
        head->reason = SLICE(""); /* it is in r */
        http_reply_fini(&r);
        return buf_take(&out);
}

static void assert_head(const char *text, const char *expected)
{
        struct cgi_head head;
        char *fields = read_head(text, &head);

        assert_string_equal(fields, expected);
        free(fields);
}

static void a_head_has_its_status_and_fields(void **state)
{
        struct http_reply r;
        struct cgi_head head;
        struct cause cause = { "" };

        http_reply_init(&r);
        assert_int_equal(feed(&r,
                              "HTTP/1.1 404 Not Here\r\nContent-Type:  text/plain \r\nX-Empty:\r\n"
                              "Content-Length: 12\r\nConnection: close\r\n\r\n",
                              &cause),
                         HTTP_REPLY_HEAD);
        assert_int_equal(http_reply_head(&r, &head, &cause), 0);
        assert_int_equal(head.status, 404);
        assert_true(slice_eq(head.reason, SLICE("Not Here")));
        assert_true(head.has_length && head.has_type && head.close);
        assert_int_equal(head.content_length, 12);
        assert_int_equal(head.header_count, 3);
        assert_true(slice_eq(head.headers[0].value, SLICE("text/plain")));
        assert_true(slice_eq(head.headers[1].name, SLICE("X-Empty")));
        assert_int_equal(head.headers[1].value.len, 0);
        assert_int_equal(http_reply_line(&r, SLICE("X-Trailer: 1\r\n"), &cause), 0);
        assert_int_equal(http_reply_head(&r, &head, &cause), 0);
        assert_int_equal(head.header_count, 3);
        http_reply_fini(&r);
        http_reply_fini(&r);
}

static void a_status_line_needs_no_reason(void **state)
{
        static const char *const lines[] = { "HTTP/2 200 \r\n\r\n", "HTTP/2 200\r\n\r\n", "HTTP/1.1 200 \n\n",
                                             "HTTP/1.1 200 \x01\r\n\r\n" };

        for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
                struct http_reply r;
                struct cgi_head head;
                struct cause cause = { "" };

                http_reply_init(&r);
                assert_int_equal(feed(&r, lines[i], &cause), HTTP_REPLY_HEAD);
                assert_int_equal(http_reply_head(&r, &head, &cause), 0);
                assert_int_equal(head.status, 200);
                assert_int_equal(head.reason.len, 0);
                http_reply_fini(&r);
        }
}

static void a_long_reason_is_cut(void **state)
{
        char line[300] = "HTTP/1.1 200 ";
        struct http_reply r;
        struct cause cause = { "" };

        memset(line + 13, 'a', sizeof(line) - 14);
        http_reply_init(&r);
        assert_int_equal(http_reply_line(&r, slice_of(line), &cause), 0);
        assert_int_equal(strlen(r.reason), sizeof(r.reason) - 1);
        http_reply_fini(&r);
}

static void heads_of_1xx_are_skipped(void **state)
{
        assert_head("HTTP/1.1 100 Continue\r\nX-A: 1\r\n\r\nHTTP/1.1 103 Hints\r\n\r\n"
                    "HTTP/1.1 200 OK\r\nX-B: 2\r\n\r\n",
                    "X-B: 2\n");
}

static void fields_of_the_connection_are_left_out(void **state)
{
        assert_head("HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Private\r\nKeep-Alive: timeout=5\r\n"
                    "Transfer-Encoding: chunked\r\nTrailer: X\r\nUpgrade: h2c\r\nTE: x\r\n"
                    "Proxy-Authenticate: Basic\r\nX-PRIVATE: 1\r\nX-Kept: 1\r\n\r\n",
                    "X-Kept: 1\n");
}

/* It would be taken for the status of a script. */
static void a_field_named_status_is_but_a_field(void **state)
{
        struct cgi_head head;
        char *fields = read_head("HTTP/1.1 200 OK\r\nStatus: 404 Not Found\r\n\r\n", &head);

        assert_int_equal(head.status, 200);
        assert_string_equal(fields, "Status: 404 Not Found\n");
        free(fields);
}

static void a_redirect_without_a_status_of_its_own_is_not_made_up(void **state)
{
        struct cgi_head head;

        free(read_head("HTTP/1.1 201 Created\r\nLocation: /x\r\n\r\n", &head));
        assert_int_equal(head.status, 201);
}

static void folded_fields_are_joined(void **state)
{
        assert_head("HTTP/1.1 200 OK\r\nX-A: one\r\n  two\r\n\tthree  \r\nX-B: 1\r\n\r\n",
                    "X-A: one two three\nX-B: 1\n");
}

static void lengths_must_agree(void **state)
{
        struct cgi_head head;
        char *fields = read_head("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", &head);

        assert_string_equal(fields, "Content-Length: 5\n");
        assert_true(head.has_length);
        free(fields);
        assert_head("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
                    "its head is malformed (Content-Length)");
        assert_head("HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
                    "its head is malformed (Content-Length)");
        assert_head("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
                    "its head is malformed (Content-Length)");
        assert_head("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
                    "its head is malformed (Content-Length)");
}

static void a_coded_reply_has_no_length(void **state)
{
        struct cgi_head head;
        char *fields = read_head("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
                                 &head);

        assert_string_equal(fields, "");
        assert_false(head.has_length);
        free(fields);
}

static void malformed_heads_are_refused(void **state)
{
        static const char *const lines[] = { "\r\n",
                                             "ICY 200 OK\r\n",
                                             "HTTP/1.1\r\n",
                                             "HTTP/1.1 20 OK\r\n",
                                             "HTTP/1.1 2000 OK\r\n",
                                             "HTTP/1.1 099 OK\r\n",
                                             "HTTP/1.1 600 OK\r\n",
                                             "HTTP/1.1 2x0 OK\r\n",
                                             "X-A: 1\r\n" };
        static const char *const fields[] = { "no colon\r\n", ": 1\r\n", "X A: 1\r\n", "X-A : 1\r\n",
                                              "X-A: \x01\r\n" };

        for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
                assert_head(lines[i], "its head is malformed (the status line)");
        assert_head("HTTP/1.1 200 OK\r\n X-A: 1\r\n\r\n",
                    "its head is malformed (a blank before the first field)");
        for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
                char *text = mem_printf("HTTP/1.1 200 OK\r\nX: 1\r\n%s\r\n", fields[i]);

                assert_head(text, "its head is malformed (a header field)");
                free(text);
        }
}

static void a_head_has_a_longest_length_and_most_fields(void **state)
{
        struct http_reply r;
        struct cause cause = { "" };
        char line[1025];
        int got = 0;
        unsigned count = 0;

        http_reply_init(&r);
        assert_int_equal(http_reply_line(&r, SLICE("HTTP/1.1 200 OK"), &cause), 0);
        while (got == 0 && count <= CGI_HEADERS_MAX) {
                got = http_reply_line(&r, SLICE("X-A: 1\r\n"), &cause);
                count += got == 0;
        }
        assert_int_equal(count, CGI_HEADERS_MAX);
        assert_int_equal(got, -EMSGSIZE);
        assert_string_equal(cause.text, "its head has more than 256 fields");
        http_reply_clear(&r);
        assert_int_equal(http_reply_line(&r, SLICE("HTTP/1.1 200 OK"), &cause), 0);
        snprintf(line, sizeof(line), "X: %01020d", 0);
        for (count = 0; (got = http_reply_line(&r, slice_of(line), &cause)) == 0; count++)
                assert_true(count <= 64);
        assert_int_equal(count, 64); /* each takes 1024 with its end */
        assert_int_equal(got, -EMSGSIZE);
        assert_string_equal(cause.text, "its head is longer than 65536 bytes");
        http_reply_fini(&r);
}

static void the_location_is_found(void **state)
{
        struct http_reply r;
        struct cause cause = { "" };
        struct slice value;

        http_reply_init(&r);
        assert_int_equal(feed(&r, "HTTP/1.1 302 Found\r\nX: 1\r\n\r\n", &cause), HTTP_REPLY_HEAD);
        assert_false(http_reply_location(&r, &value));
        http_reply_clear(&r);
        assert_int_equal(
                feed(&r, "HTTP/1.1 302 Found\r\nX: 1\r\nlocation: /a b\r\nLocation: /c\r\n\r\n", &cause),
                HTTP_REPLY_HEAD);
        assert_true(http_reply_location(&r, &value));
        assert_true(slice_eq(value, SLICE("/a b")));
        http_reply_fini(&r);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_head_has_its_status_and_fields),
                cmocka_unit_test(a_status_line_needs_no_reason),
                cmocka_unit_test(a_long_reason_is_cut),
                cmocka_unit_test(heads_of_1xx_are_skipped),
                cmocka_unit_test(fields_of_the_connection_are_left_out),
                cmocka_unit_test(a_field_named_status_is_but_a_field),
                cmocka_unit_test(a_redirect_without_a_status_of_its_own_is_not_made_up),
                cmocka_unit_test(folded_fields_are_joined),
                cmocka_unit_test(lengths_must_agree),
                cmocka_unit_test(a_coded_reply_has_no_length),
                cmocka_unit_test(malformed_heads_are_refused),
                cmocka_unit_test(a_head_has_a_longest_length_and_most_fields),
                cmocka_unit_test(the_location_is_found),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
