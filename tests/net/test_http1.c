/* Request and reply heads. Every head is parsed in memory of exactly its size, so that the sanitizer sees a
 * step too far. */
#include "net/http1.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define H  "Host: a\r\n"
#define CR "\r\n"

/* One parse: the slices of req stay valid until the next one. */
struct parse {
        char *exact;
        struct http1_request req;
        struct http1_response rsp;
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

static struct slice keep(struct parse *p, struct slice head)
{
        free(p->exact);
        p->exact = malloc(head.len ? head.len : 1);
        assert_non_null(p->exact);
        memcpy(p->exact, head.ptr, head.len);
        return (struct slice){ p->exact, head.len };
}

static int request(struct parse *p, struct slice head)
{
        memset(&p->req, 0xa5, sizeof(p->req));
        p->cause.text[0] = '\0';
        return http1_request_parse(keep(p, head), &p->req, &p->cause);
}

static int response(struct parse *p, struct slice head)
{
        memset(&p->rsp, 0xa5, sizeof(p->rsp));
        p->cause.text[0] = '\0';
        return http1_response_parse(keep(p, head), &p->rsp, &p->cause);
}

#define REQUEST(p, text)  request(p, SLICE(text))
#define RESPONSE(p, text) response(p, SLICE(text))

static void assert_slice(struct slice got, const char *want)
{
        if (!slice_eq(got, slice_of(want)))
                fail_msg("\"%.*s\" is not \"%s\"", SLICE_ARG(got), want);
}

/* ---- the end of the head ---- */

static void finds_the_end_of_a_head(void **state)
{
        static const struct slice heads[] = {
                SLICE("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
                SLICE("GET / HTTP/1.1\r\n\r\n"),
                SLICE("\r\n\r\n"),
                SLICE("GET / HTTP/1.1\n\n"),              /* bare LF: found, so that it is refused */
                SLICE("GET / HTTP/1.1\r\nHost: a\n\r\n"), /* the same, mixed */
                SLICE("GET / HTTP/1.1\r\nHost: a\r\n\n"),
        };

        for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
                char bytes[128];
                size_t scanned;

                memcpy(bytes, heads[i].ptr, heads[i].len);
                memcpy(bytes + heads[i].len, "body\r\n\r\n", 8);
                for (size_t cut = 0; cut < heads[i].len; cut++) { /* in two pieces, cut everywhere */
                        scanned = 0;
                        assert_int_equal(http1_head_length((struct slice){ bytes, cut }, &scanned), 0);
                        assert_int_equal(
                                http1_head_length((struct slice){ bytes, heads[i].len + 8 }, &scanned),
                                heads[i].len);
                }
                scanned = 0;
                for (size_t n = 0; n < heads[i].len; n++) /* byte by byte */
                        assert_int_equal(http1_head_length((struct slice){ bytes, n }, &scanned), 0);
                assert_int_equal(http1_head_length((struct slice){ bytes, heads[i].len }, &scanned),
                                 heads[i].len);
        }
}

static void reads_a_slow_head_once(void **state)
{
        size_t scanned = 0;
        struct slice bytes = SLICE("GET /a-long-line-without-an-end");

        for (size_t n = 1; n <= bytes.len; n++) {
                assert_int_equal(http1_head_length((struct slice){ bytes.ptr, n }, &scanned), 0);
                assert_int_equal(scanned, n);
        }
}

static void refuses_what_begins_no_head_at_its_first_byte(void **state)
{
        struct slice firsts[] = {
                SLICE("\x16\x03\x01\x02"), SLICE(" GET / HTTP/1.1\r\n\r\n"), SLICE("{\"a\":"), { "\0", 1 }
        };
        struct http1_request req;
        struct cause cause;

        for (size_t i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++) {
                for (size_t n = 1; n <= firsts[i].len; n++) {
                        size_t scanned = 0;

                        assert_int_equal(http1_head_length((struct slice){ firsts[i].ptr, n }, &scanned), 1);
                }
                assert_int_equal(http1_request_parse((struct slice){ firsts[i].ptr, 1 }, &req, &cause), 400);
                assert_non_null(strstr(cause.text, "first byte"));
        }
}

static void skips_one_empty_line(void **state)
{
        assert_int_equal(http1_skip_empty(SLICE("\r\nGET")), 2);
        assert_int_equal(http1_skip_empty(SLICE("\r\n\r\nGET")), 2);
        assert_int_equal(http1_skip_empty(SLICE("\r\n")), 2);
        assert_int_equal(http1_skip_empty(SLICE("\r")), 0);
        assert_int_equal(http1_skip_empty(SLICE("\nGET")), 0);
        assert_int_equal(http1_skip_empty(SLICE("GET")), 0);
        assert_int_equal(http1_skip_empty(SLICE("")), 0);
}

/* ---- requests that are served ---- */

static void reads_a_request(void **state)
{
        struct parse *p = *state;

        assert_int_equal(REQUEST(p, "POST /mail.php?to=a&b HTTP/1.1\r\nHost: example.com:8080\r\n"
                                    "content-LENGTH:5\r\nX-Empty:\r\nX-Blank: \t a b \t\r\n\r\n"),
                         0);
        assert_slice(p->req.method, "POST");
        assert_slice(p->req.target, "/mail.php?to=a&b");
        assert_slice(p->req.path, "/mail.php");
        assert_slice(p->req.query, "to=a&b");
        assert_true(p->req.has_query);
        assert_slice(p->req.host, "example.com:8080");
        assert_int_equal(p->req.minor, 1);
        assert_int_equal(p->req.framing, HTTP1_LENGTH);
        assert_int_equal(p->req.content_length, 5);
        assert_true(p->req.keep_alive);
        assert_false(p->req.expect_continue);
        assert_int_equal(p->req.header_count, 4);
        assert_slice(p->req.headers[1].name, "content-LENGTH");
        assert_slice(p->req.headers[2].value, "");
        assert_slice(p->req.headers[3].value, "a b");
        assert_true(p->req.path.ptr > p->exact && p->req.path.ptr < p->exact + 10);
}

static void tells_no_query_from_an_empty_one(void **state)
{
        struct parse *p = *state;

        assert_int_equal(REQUEST(p, "GET /a HTTP/1.1\r\n" H CR), 0);
        assert_false(p->req.has_query);
        assert_slice(p->req.query, "");
        assert_int_equal(REQUEST(p, "GET /a? HTTP/1.1\r\n" H CR), 0);
        assert_true(p->req.has_query);
        assert_slice(p->req.query, "");
        assert_int_equal(REQUEST(p, "GET /a?b?c HTTP/1.1\r\n" H CR), 0);
        assert_slice(p->req.path, "/a");
        assert_slice(p->req.query, "b?c");
}

static void takes_the_host_of_an_absolute_target(void **state)
{
        struct parse *p = *state;

        assert_int_equal(REQUEST(p, "GET http://b:81/x?y HTTP/1.1\r\n" H CR), 0);
        assert_slice(p->req.host, "b:81");
        assert_slice(p->req.path, "/x");
        assert_slice(p->req.query, "y");
        assert_slice(p->req.target, "http://b:81/x?y");
        assert_int_equal(REQUEST(p, "GET HTTPS://B/ HTTP/1.1\r\n" H CR), 0);
        assert_slice(p->req.host, "B");
        assert_slice(p->req.path, "/");
        assert_int_equal(REQUEST(p, "GET http://b/ HTTP/1.1\r\n\r\n"),
                         400); /* Host is asked for all the same */
        assert_int_equal(REQUEST(p, "GET http://b/ HTTP/1.0\r\n\r\n"), 0);
        assert_slice(p->req.host, "b");
        assert_int_equal(REQUEST(p, "GET //c/d HTTP/1.1\r\n" H CR), 0); /* a path, no host */
        assert_slice(p->req.host, "a");
        assert_slice(p->req.path, "//c/d");
}

static void serves_the_asterisk_to_options(void **state)
{
        struct parse *p = *state;

        assert_int_equal(REQUEST(p, "OPTIONS * HTTP/1.1\r\n" H CR), 0);
        assert_slice(p->req.path, "*");
        assert_int_equal(REQUEST(p, "GET * HTTP/1.1\r\n" H CR), 400);
        assert_int_equal(REQUEST(p, "OPTIONS *a HTTP/1.1\r\n" H CR), 400);
}

static void tells_hosts_from_what_is_none(void **state)
{
        static const char *const good[] = { "a",     "a:80",      "a:",          "127.0.0.1:8080",
                                            "[::1]", "[::1]:80",  "a:9",         "a:0",
                                            "a_b-c", "%C3%A9.de", "a!$&'()*+;=", "xn--e1a.example." };
        static const char *const bad[] = { "a b",    "a/b",     "a@b",      "a,b",  "a:b",  "a:1:2",
                                           "a:+1",   "::1",     "[::1",     "[]",   "::1]", "[::1]a",
                                           "[g::1]", "[::1]:a", "[[::1]]",  "a\\b", ":80",  "",
                                           "a?",     "a#b",     "\xc3\xa9", "a\"b" };
        struct parse *p = *state;
        char head[128];

        for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
                snprintf(head, sizeof(head), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", good[i]);
                assert_int_equal(request(p, slice_of(head)), 0);
                assert_slice(p->req.host, good[i]);
                snprintf(head, sizeof(head), "GET http://%s/ HTTP/1.1\r\nHost: other\r\n\r\n", good[i]);
                assert_int_equal(request(p, slice_of(head)), 0);
                assert_slice(p->req.host, good[i]);
        }
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                snprintf(head, sizeof(head), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", bad[i]);
                if (request(p, slice_of(head)) != 400)
                        fail_msg("Host \"%s\" is accepted", bad[i]);
                if (strchr(bad[i], '/')) /* in a URL that is a host and a path */
                        continue;
                snprintf(head, sizeof(head), "GET http://%s/ HTTP/1.1\r\nHost: other\r\n\r\n", bad[i]);
                if (request(p, slice_of(head)) != 400)
                        fail_msg("http://%s/ is accepted", bad[i]);
        }
        assert_int_equal(REQUEST(p, "GET / HTTP/1.0\r\nHost:\r\n\r\n"), 0); /* empty in HTTP/1.0 only */
        assert_int_equal(p->req.host.len, 0);
        assert_int_equal(REQUEST(p, "GET / HTTP/1.0\r\n\r\n"), 0);
        assert_int_equal(p->req.host.len, 0);
}

static void counts_a_higher_minor_version_as_one(void **state)
{
        struct parse *p = *state;

        assert_int_equal(REQUEST(p, "GET / HTTP/1.9\r\n" H CR), 0);
        assert_int_equal(p->req.minor, 1);
        assert_true(p->req.keep_alive);
        assert_int_equal(REQUEST(p, "GET / HTTP/1.0\r\n" H CR), 0);
        assert_int_equal(p->req.minor, 0);
        assert_false(p->req.keep_alive);
}

static void knows_who_wants_to_keep_the_connection(void **state)
{
        static const struct {
                struct slice head;
                bool keep;
        } rows[] = {
                { SLICE("GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n"), false },
                { SLICE("GET / HTTP/1.1\r\n" H "Connection: Close\r\n\r\n"), false },
                { SLICE("GET / HTTP/1.1\r\n" H "Connection: keep-alive, close\r\n\r\n"), false },
                { SLICE("GET / HTTP/1.1\r\n" H "Connection: x\r\nConnection: ,close,\r\n\r\n"), false },
                { SLICE("GET / HTTP/1.1\r\n" H "Connection: closed\r\n\r\n"), true },
                { SLICE("GET / HTTP/1.1\r\n" H "Connection: upgrade\r\n\r\n"), true },
                { SLICE("GET / HTTP/1.1\r\n" H "Connection: \r\n\r\n"), true },
                { SLICE("GET / HTTP/1.0\r\n" H "Connection: Keep-Alive\r\n\r\n"), true },
                { SLICE("GET / HTTP/1.0\r\n" H "Connection: keep-alive, close\r\n\r\n"), false },
                { SLICE("GET / HTTP/1.0\r\n" H "Connection: upgrade\r\n\r\n"), false },
        };
        struct parse *p = *state;

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                assert_int_equal(request(p, rows[i].head), 0);
                if (p->req.keep_alive != rows[i].keep)
                        fail_msg("wrong about %.*s", SLICE_ARG(rows[i].head));
        }
}

static void hears_an_expectation_in_1_1_only(void **state)
{
        struct parse *p = *state;

        assert_int_equal(
                REQUEST(p, "PUT / HTTP/1.1\r\n" H "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\n"), 0);
        assert_true(p->req.expect_continue);
        assert_int_equal(
                REQUEST(p, "PUT / HTTP/1.0\r\n" H "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n"), 0);
        assert_false(p->req.expect_continue);
        assert_int_equal(REQUEST(p, "PUT / HTTP/1.1\r\n" H "Expect: 100-continued\r\n\r\n"), 0);
        assert_false(p->req.expect_continue);
}

static void frames_what_it_accepts(void **state)
{
        struct parse *p = *state;

        assert_int_equal(REQUEST(p, "POST / HTTP/1.1\r\n" H CR), 0);
        assert_int_equal(p->req.framing, HTTP1_NO_BODY);
        assert_int_equal(p->req.content_length, 0);
        assert_int_equal(REQUEST(p, "POST / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n"), 0);
        assert_int_equal(p->req.framing, HTTP1_LENGTH);
        assert_int_equal(p->req.content_length, 0);
        assert_int_equal(REQUEST(p, "POST / HTTP/1.0\r\nContent-Length: 9223372036854775807\r\n\r\n"), 0);
        assert_true(p->req.content_length == INT64_MAX);
        assert_int_equal(REQUEST(p, "GET / HTTP/1.1\r\n" H "Transfer-Encoding:\tChunked \r\n\r\n"), 0);
        assert_int_equal(p->req.framing, HTTP1_CHUNKED);
}

/* ---- requests that are refused ---- */

struct refusal {
        const char *what;
        struct slice head;
        int status;
};

static const struct refusal smuggling[] = {
        { "both lengths",
          SLICE("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"), 400 },
        { "both, turned round",
          SLICE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"), 400 },
        { "both, length 0",
          SLICE("POST / HTTP/1.1\r\n" H "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400 },
        { "a coding in 1.0", SLICE("POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n"), 400 },
        { "chunked twice", SLICE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, chunked\r\n\r\n"),
          501 },
        { "chunked in two fields",
          SLICE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
          400 },
        { "identity before chunked",
          SLICE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n"),
          400 },
        { "xchunked", SLICE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n"), 501 },
        { "quoted", SLICE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: \"chunked\"\r\n\r\n"), 501 },
        { "a parameter", SLICE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked;a=b\r\n\r\n"), 501 },
        { "an empty member", SLICE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: ,chunked\r\n\r\n"), 501 },
        { "an empty coding", SLICE("POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n\r\n"), 501 },
        { "gzip, chunked", SLICE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n"), 501 },
        { "identity", SLICE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n"), 501 },
        { "a vertical tab", SLICE("POST / HTTP/1.1\r\n" H "Transfer-Encoding: \vchunked\r\n\r\n"), 400 },
        { "a folded coding", SLICE("POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n chunked\r\n\r\n"), 400 },
        { "a folded line", SLICE("GET / HTTP/1.1\r\n" H "X: a\r\n\tb\r\n\r\n"), 400 },
        { "white space before the first field", SLICE("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), 400 },
        { "a blank before the colon", SLICE("POST / HTTP/1.1\r\n" H "Content-Length : 5\r\n\r\n"), 400 },
        { "a tab before the colon", SLICE("POST / HTTP/1.1\r\n" H "Transfer-Encoding\t: chunked\r\n\r\n"),
          400 },
        { "no name", SLICE("GET / HTTP/1.1\r\n" H ": 5\r\n\r\n"), 400 },
        { "no colon", SLICE("GET / HTTP/1.1\r\n" H "Content-Length 5\r\n\r\n"), 400 },
        { "a name with a bracket", SLICE("GET / HTTP/1.1\r\n" H "X[a]: 5\r\n\r\n"), 400 },
        { "a name with a high byte", SLICE("GET / HTTP/1.1\r\n" H "X\xe9: 5\r\n\r\n"), 400 },
        { "a bare LF after a field", SLICE("GET / HTTP/1.1\r\n" H "X: a\nY: b\r\n\r\n"), 400 },
        { "a bare LF after the request line", SLICE("GET / HTTP/1.1\nHost: a\r\n\r\n"), 400 },
        { "a bare LF at the end", SLICE("GET / HTTP/1.1\r\nHost: a\r\n\n"), 400 },
        { "a bare CR in a value", SLICE("GET / HTTP/1.1\r\n" H "X: a\rY: b\r\n\r\n"), 400 },
        { "a bare CR in a name", SLICE("GET / HTTP/1.1\r\n" H "X\r: a\r\n\r\n"), 400 },
        { "a bare CR in the request line", SLICE("GET /\r HTTP/1.1\r\n" H CR), 400 },
        { "two CRs", SLICE("GET / HTTP/1.1\r\n" H "X: a\r\r\n\r\n"), 400 },
        { "a NUL in a value", SLICE("GET / HTTP/1.1\r\n" H "X: a\0b\r\n\r\n"), 400 },
        { "a NUL in a name", SLICE("GET / HTTP/1.1\r\n" H "X\0: a\r\n\r\n"), 400 },
        { "a NUL in the target", SLICE("GET /a\0b HTTP/1.1\r\n" H CR), 400 },
        { "a DEL in a value", SLICE("GET / HTTP/1.1\r\n" H "X: a\x7f\r\n\r\n"), 400 },
        { "an escape in a value", SLICE("GET / HTTP/1.1\r\n" H "X: \x1b[0m\r\n\r\n"), 400 },
        { "a signed length", SLICE("POST / HTTP/1.1\r\n" H "Content-Length: +5\r\n\r\n"), 400 },
        { "a negative length", SLICE("POST / HTTP/1.1\r\n" H "Content-Length: -5\r\n\r\n"), 400 },
        { "a list of lengths", SLICE("POST / HTTP/1.1\r\n" H "Content-Length: 5, 5\r\n\r\n"), 400 },
        { "two lengths", SLICE("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 6\r\n\r\n"),
          400 },
        { "the same length twice",
          SLICE("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\ncontent-length: 5\r\n\r\n"), 400 },
        { "a hexadecimal length", SLICE("POST / HTTP/1.1\r\n" H "Content-Length: 0x5\r\n\r\n"), 400 },
        { "a blank in the length", SLICE("POST / HTTP/1.1\r\n" H "Content-Length: 5 6\r\n\r\n"), 400 },
        { "a fraction", SLICE("POST / HTTP/1.1\r\n" H "Content-Length: 5.0\r\n\r\n"), 400 },
        { "no length", SLICE("POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n"), 400 },
        { "a length above 63 bits",
          SLICE("POST / HTTP/1.1\r\n" H "Content-Length: 9223372036854775808\r\n\r\n"), 400 },
        { "a length above 64 bits",
          SLICE("POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551621\r\n\r\n"), 400 },
        { "a length of 40 digits",
          SLICE("POST / HTTP/1.1\r\n" H "Content-Length: 9999999999999999999999999999999999999999\r\n\r\n"),
          400 },
        { "no Host", SLICE("GET / HTTP/1.1\r\n\r\n"), 400 },
        { "two Hosts", SLICE("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"), 400 },
        { "two Hosts in 1.0", SLICE("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"), 400 },
        { "two Hosts and an absolute target", SLICE("GET http://c/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
          400 },
        { "a malformed Host and an absolute target", SLICE("GET http://c/ HTTP/1.1\r\nHost: a/b\r\n\r\n"),
          400 },
};

static const struct refusal lines[] = {
        { "nothing", SLICE(""), 400 },
        { "an empty line", SLICE("\r\n\r\n"), 400 },
        { "only a method", SLICE("GET\r\n\r\n"), 400 },
        { "HTTP/0.9", SLICE("GET /\r\n\r\n"), 400 },
        { "two blanks", SLICE("GET  / HTTP/1.1\r\n" H CR), 400 },
        { "two blanks later", SLICE("GET /  HTTP/1.1\r\n" H CR), 400 },
        { "a blank in front", SLICE(" GET / HTTP/1.1\r\n" H CR), 400 },
        { "a blank at the end", SLICE("GET / HTTP/1.1 \r\n" H CR), 400 },
        { "a tab", SLICE("GET\t/ HTTP/1.1\r\n" H CR), 400 },
        { "a blank in the target", SLICE("GET /a b HTTP/1.1\r\n" H CR), 400 },
        { "no token", SLICE("G@T / HTTP/1.1\r\n" H CR), 400 },
        { "lower case version", SLICE("GET / http/1.1\r\n" H CR), 400 },
        { "version of three digits", SLICE("GET / HTTP/1.11\r\n" H CR), 400 },
        { "version of one digit", SLICE("GET / HTTP/1\r\n" H CR), 400 },
        { "version without a number", SLICE("GET / HTTP/x.1\r\n" H CR), 400 },
        { "version with a letter", SLICE("GET / HTTP/1.x\r\n" H CR), 400 },
        { "HTTP/9.0", SLICE("GET / HTTP/9.0\r\n" H CR), 505 },
        { "HTTP/2.0", SLICE("PRI * HTTP/2.0\r\n\r\n"), 505 },
        { "HTTP/0.9, said", SLICE("GET / HTTP/0.9\r\n" H CR), 505 },
        { "a fragment", SLICE("GET /a#b HTTP/1.1\r\n" H CR), 400 },
        { "a fragment in a URL", SLICE("GET http://a/b#c HTTP/1.1\r\n" H CR), 400 },
        { "a high byte in the target", SLICE("GET /\xc3\xa9 HTTP/1.1\r\n" H CR), 400 },
        { "a DEL in the target", SLICE("GET /\x7f HTTP/1.1\r\n" H CR), 400 },
        { "no slash", SLICE("GET index.php HTTP/1.1\r\n" H CR), 400 },
        { "only a query", SLICE("GET ?a HTTP/1.1\r\n" H CR), 400 },
        { "another scheme", SLICE("GET ftp://a/ HTTP/1.1\r\n" H CR), 400 },
        { "a scheme alone", SLICE("GET http:// HTTP/1.1\r\n" H CR), 400 },
        { "a URL without a host", SLICE("GET http:///a HTTP/1.1\r\n" H CR), 400 },
        { "a URL with a user", SLICE("GET http://u@a/ HTTP/1.1\r\n" H CR), 400 },
        { "a URL without a path", SLICE("GET http://a HTTP/1.1\r\n" H CR), 400 },
        { "authority-form", SLICE("GET a:80 HTTP/1.1\r\n" H CR), 400 },
        { "CONNECT", SLICE("CONNECT a:80 HTTP/1.1\r\n" H CR), 501 },
        { "no end", SLICE("GET / HTTP/1.1\r\nHost: a\r\n"), 400 },
        { "bytes after the end", SLICE("GET / HTTP/1.1\r\nHost: a\r\n\r\nx"), 400 },
};

static void refuse_all(struct parse *p, const struct refusal *rows, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                int status = request(p, rows[i].head);

                if (status != rows[i].status)
                        fail_msg("%s: %d instead of %d", rows[i].what, status, rows[i].status);
                if (!p->cause.text[0])
                        fail_msg("%s: refused without a reason", rows[i].what);
        }
}

static void refuses_what_two_parsers_could_read_differently(void **state)
{
        refuse_all(*state, smuggling, sizeof(smuggling) / sizeof(smuggling[0]));
}

static void refuses_malformed_request_lines(void **state)
{
        refuse_all(*state, lines, sizeof(lines) / sizeof(lines[0]));
}

static void needs_no_cause(void **state)
{
        struct http1_request *req = calloc(1, sizeof(*req));

        assert_non_null(req);
        assert_int_equal(http1_request_parse(SLICE("GET /\r\n\r\n"), req, NULL), 400);
        free(req);
}

static void names_long_methods_not_implemented(void **state)
{
        struct parse *p = *state;
        char head[128];

        memset(head, 'M', JOB_METHOD_MAX + 1);
        strcpy(head + JOB_METHOD_MAX, " / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_int_equal(request(p, slice_of(head)), 0);
        assert_int_equal(p->req.method.len, JOB_METHOD_MAX);
        head[JOB_METHOD_MAX] = 'M';
        strcpy(head + JOB_METHOD_MAX + 1, " / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_int_equal(request(p, slice_of(head)), 501);
}

static void takes_256_fields_and_refuses_one_more(void **state)
{
        struct parse *p = *state;
        struct buf head;

        for (int count = HTTP_HEADERS_MAX; count <= HTTP_HEADERS_MAX + 1; count++) {
                buf_init(&head, 1 << 16);
                assert_int_equal(buf_append_str(&head, "GET / HTTP/1.1\r\nHost: a\r\n"), 0);
                for (int i = 1; i < count; i++)
                        assert_int_equal(buf_printf(&head, "X%d: %d\r\n", i, i), 0);
                assert_int_equal(buf_append_str(&head, "\r\n"), 0);
                assert_int_equal(request(p, buf_slice(&head)), count > HTTP_HEADERS_MAX ? 431 : 0);
                if (count == HTTP_HEADERS_MAX) {
                        assert_int_equal(p->req.header_count, HTTP_HEADERS_MAX);
                        assert_slice(p->req.headers[HTTP_HEADERS_MAX - 1].value, "255");
                }
                buf_fini(&head);
        }
}

static void refuses_every_cut_of_a_good_head(void **state)
{
        struct parse *p = *state;
        struct slice head = SLICE("POST /a?b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");

        for (size_t n = 0; n < head.len; n++)
                assert_int_equal(request(p, (struct slice){ head.ptr, n }), 400);
        assert_int_equal(request(p, head), 0);
}

/* ---- replies ---- */

static void reads_a_reply(void **state)
{
        struct parse *p = *state;

        assert_int_equal(RESPONSE(p, "HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\n"), 0);
        assert_int_equal(p->rsp.status, 404);
        assert_slice(p->rsp.reason, "Not Found");
        assert_int_equal(p->rsp.framing, HTTP1_LENGTH);
        assert_int_equal(p->rsp.content_length, 3);
        assert_true(p->rsp.keep_alive);
        assert_int_equal(p->rsp.header_count, 1);
        assert_int_equal(RESPONSE(p, "HTTP/1.0 200\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"),
                         0);
        assert_slice(p->rsp.reason, "");
        assert_int_equal(p->rsp.minor, 0);
        assert_true(p->rsp.keep_alive);
        assert_int_equal(RESPONSE(p, "HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n"), 0);
        assert_slice(p->rsp.reason, "");
        assert_int_equal(p->rsp.framing, HTTP1_CHUNKED);
}

static void reads_until_the_end_when_no_length_is_said(void **state)
{
        struct parse *p = *state;

        assert_int_equal(RESPONSE(p, "HTTP/1.1 200 OK\r\n\r\n"), 0);
        assert_int_equal(p->rsp.framing, HTTP1_UNTIL_CLOSE);
        assert_false(p->rsp.keep_alive);
}

static void knows_the_replies_without_a_body(void **state)
{
        static const char *const bodyless[] = { "100", "103", "204", "304" };
        struct parse *p = *state;
        char head[128];

        for (size_t i = 0; i < 4; i++) {
                snprintf(head, sizeof(head), "HTTP/1.1 %s X\r\nContent-Length: 7\r\n\r\n", bodyless[i]);
                assert_int_equal(response(p, slice_of(head)), 0);
                assert_int_equal(p->rsp.framing, HTTP1_NO_BODY);
                assert_true(p->rsp.keep_alive);
        }
}

static void refuses_malformed_replies(void **state)
{
        static const struct slice heads[] = {
                SLICE(""),
                SLICE("\r\n\r\n"),
                SLICE("HTTP/1.1\r\n\r\n"),
                SLICE("HTTP/1.1 20\r\n\r\n"),
                SLICE("HTTP/1.1 2000 OK\r\n\r\n"),
                SLICE("HTTP/1.1 200OK\r\n\r\n"),
                SLICE("HTTP/1.1 200X\r\n\r\n"),
                SLICE("HTTP/1.1  200 OK\r\n\r\n"),
                SLICE("HTTP/1.1 099 OK\r\n\r\n"),
                SLICE("HTTP/1.1 600 OK\r\n\r\n"),
                SLICE("HTTP/1.1 -10 OK\r\n\r\n"),
                SLICE("HTTP/2.0 200 OK\r\n\r\n"),
                SLICE("HTTP/1.1 200 O\0K\r\n\r\n"),
                SLICE("HTTP/1.1 200 O\x1bK\r\n\r\n"),
                SLICE("HTTP/1.1 200 OK\n\n"),
                SLICE("HTTP/1.1 200 OK\r\nX\r\n\r\n"),
                SLICE("HTTP/1.1 200 OK\r\nX : a\r\n\r\n"),
                SLICE("HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n"),
                SLICE("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n"),
                SLICE("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"),
                SLICE("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
                SLICE("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"),
                SLICE("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
                SLICE("HTTP/1.1 200 OK\r\n\r\nx"),
                SLICE("HTTP/1.1 200 OK\r\n"),
        };
        struct parse *p = *state;

        for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
                if (response(p, heads[i]) != -EPROTO)
                        fail_msg("accepted: %.*s", SLICE_ARG(heads[i]));
                assert_true(p->cause.text[0]);
        }
}

static void refuses_a_reply_of_257_fields(void **state)
{
        struct parse *p = *state;
        struct buf head;

        buf_init(&head, 1 << 16);
        assert_int_equal(buf_append_str(&head, "HTTP/1.1 204 No Content\r\n"), 0);
        for (int i = 0; i < HTTP_HEADERS_MAX + 1; i++)
                assert_int_equal(buf_append_str(&head, "X: y\r\n"), 0);
        assert_int_equal(buf_append_str(&head, "\r\n"), 0);
        assert_int_equal(response(p, buf_slice(&head)), -EPROTO);
        buf_fini(&head);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(finds_the_end_of_a_head),
                cmocka_unit_test(reads_a_slow_head_once),
                cmocka_unit_test(refuses_what_begins_no_head_at_its_first_byte),
                cmocka_unit_test(skips_one_empty_line),
                cmocka_unit_test(reads_a_request),
                cmocka_unit_test(tells_no_query_from_an_empty_one),
                cmocka_unit_test(takes_the_host_of_an_absolute_target),
                cmocka_unit_test(serves_the_asterisk_to_options),
                cmocka_unit_test(tells_hosts_from_what_is_none),
                cmocka_unit_test(counts_a_higher_minor_version_as_one),
                cmocka_unit_test(knows_who_wants_to_keep_the_connection),
                cmocka_unit_test(hears_an_expectation_in_1_1_only),
                cmocka_unit_test(frames_what_it_accepts),
                cmocka_unit_test(refuses_what_two_parsers_could_read_differently),
                cmocka_unit_test(refuses_malformed_request_lines),
                cmocka_unit_test(needs_no_cause),
                cmocka_unit_test(names_long_methods_not_implemented),
                cmocka_unit_test(takes_256_fields_and_refuses_one_more),
                cmocka_unit_test(refuses_every_cut_of_a_good_head),
                cmocka_unit_test(reads_a_reply),
                cmocka_unit_test(reads_until_the_end_when_no_length_is_said),
                cmocka_unit_test(knows_the_replies_without_a_body),
                cmocka_unit_test(refuses_malformed_replies),
                cmocka_unit_test(refuses_a_reply_of_257_fields),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
