/* run/http_request.c: what is sent, as an origin sees it. */
#include "http_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* The head that the origin has seen goes back as the answer. */
static void answer_head(struct visit *v)
{
        if (slice_eq(v->request.method, SLICE("HEAD"))) {
                free(v->origin->bench->loop.data);
                v->origin->bench->loop.data = mem_dup(v->head);
                visit_say(v, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        } else {
                visit_answer(v, v->head);
        }
}

static void assert_sent(struct call *call, const char *first, const char *rest)
{
        char *expected;

        call->bench->origin.answer = answer_head;
        call_run(call);
        assert_answered(call, 200);
        expected = mem_printf("%s HTTP/1.1\r\n%s\r\n", first, rest);
        assert_string_equal(call_text(call), expected);
        free(expected);
        call_fini(call);
}

static char *with_host(const struct bench *bench, const char *rest)
{
        return mem_printf("Host: 127.0.0.1:%d\r\n%s", bench->origin.port, rest);
}

#define OURS                                                                                                 \
        "User-Agent: sendoff/" SENDOFF_VERSION "\r\nIdempotency-Key: 0123456789abcdefghjkmnpqrs\r\n"         \
        "Sendoff-Run: 3\r\n"

static void nothing_is_sent_but_what_was_stored_and_our_own(void **state)
{
        struct bench *bench = *state;
        char *rest = with_host(bench, OURS);
        struct call call;

        call_init(&call, bench, "GET", "/a/../b?c=%41&d");
        assert_sent(&call, "GET /a/../b?c=%41&d", rest);
        free(rest);
}

static void a_url_without_a_path_asks_for_the_root(void **state)
{
        struct bench *bench = *state;
        char *rest = with_host(bench, OURS), *url = origin_url(&bench->origin, "?x");
        struct call call;

        call_init(&call, bench, "GET", url);
        assert_sent(&call, "GET /?x", rest);
        free(rest);
        free(url);
}

static void stored_fields_are_sent_as_they_are(void **state)
{
        struct bench *bench = *state;
        char *rest = with_host(bench, "Accept: text/html;q=0.5\r\nX-Twice: 1\r\nx-twice: 2\r\nX-Empty:\r\n"
                                      "Content-Type: a/b\r\nCookie: a=b; c=d\r\nX-Odd: \"a:b\", ;\r\n"
                                      "Range: bytes=0-1\r\nAccept-Encoding: gzip\r\n" OURS);
        struct call call;

        call_init(&call, bench, "GET", "/");
        call_field(&call, "Accept", "text/html;q=0.5");
        call_field(&call, "X-Twice", "1");
        call_field(&call, "x-twice", "2");
        call_field(&call, "X-Empty", "");
        call_field(&call, "Content-Type", "a/b");
        call_field(&call, "Cookie", "a=b; c=d");
        call_field(&call, "X-Odd", "\"a:b\", ;");
        call_field(&call, "Range", "bytes=0-1");
        call_field(&call, "Accept-Encoding", "gzip");
        assert_sent(&call, "GET /", rest);
        free(rest);
}

static void stored_fields_come_before_our_own(void **state)
{
        struct bench *bench = *state;
        struct call call;

        call_init(&call, bench, "GET", "/");
        call_field(&call, "user-agent", "mine/1");
        call_field(&call, "IDEMPOTENCY-KEY", "\"key\"");
        call_field(&call, "host", "example.com");
        call_field(&call, "Sendoff-Run", "77");
        assert_sent(
                &call, "GET /",
                "Host: example.com\r\nuser-agent: mine/1\r\nIDEMPOTENCY-KEY: \"key\"\r\nSendoff-Run: 3\r\n");
}

static void the_stored_host_wins(void **state)
{
        struct bench *bench = *state;
        struct call call;

        call_init(&call, bench, "GET", "/");
        free(call.request.host);
        call.request.host = mem_dup("shop.example:8080");
        assert_sent(&call, "GET /", "Host: shop.example:8080\r\n" OURS);
}

static void fields_of_a_connection_stay_behind(void **state)
{
        struct bench *bench = *state;
        char *rest = with_host(bench, "X-Kept: 1\r\n" OURS);
        struct call call;

        call_init(&call, bench, "GET", "/");
        call_field(&call, "Connection", "close, X-Dropped");
        call_field(&call, "X-Dropped", "1");
        call_field(&call, "Keep-Alive", "1");
        call_field(&call, "Proxy-Authorization", "Basic x");
        call_field(&call, "TE", "trailers");
        call_field(&call, "Trailer", "X");
        call_field(&call, "Transfer-Encoding", "chunked");
        call_field(&call, "Upgrade", "h2c");
        call_field(&call, "Expect", "100-continue");
        call_field(&call, "Content-Length", "77");
        call_field(&call, "X-Kept", "1");
        assert_sent(&call, "GET /", rest);
        free(rest);
}

static void a_body_has_its_length_and_no_invented_type(void **state)
{
        static const char *const methods[] = { "POST", "PUT", "PATCH", "DELETE", "GET", "PROPFIND", "get" };
        struct bench *bench = *state;
        char *rest = with_host(bench, OURS "Content-Length: 5\r\n");

        for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
                char *first = mem_printf("%s /x", methods[i]);
                struct call call;

                call_init(&call, bench, methods[i], "/x");
                call_body(&call, "a\0b\r\n", 5);
                assert_sent(&call, first, rest);
                free(first);
                assert_memory_equal(bench->origin.visits->body, "a\0b\r\n", 5);
                assert_int_equal(bench->origin.visits->body_len, 5);
        }
        free(rest);
}

static void methods_that_want_a_body_say_that_there_is_none(void **state)
{
        static const struct {
                const char *method;
                const char *length;
        } cases[] = { { "POST", "Content-Length: 0\r\n" },
                      { "PUT", "Content-Length: 0\r\n" },
                      { "PATCH", "Content-Length: 0\r\n" },
                      { "GET", "" },
                      { "DELETE", "" },
                      { "OPTIONS", "" },
                      { "REPORT", "" } };
        struct bench *bench = *state;

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                char *ours = mem_printf("%s%s", OURS, cases[i].length), *rest = with_host(bench, ours);
                char *first = mem_printf("%s /", cases[i].method);
                struct call call;

                call_init(&call, bench, cases[i].method, "/");
                assert_sent(&call, first, rest);
                free(ours);
                free(rest);
                free(first);
        }
}

static void head_is_sent_without_a_body(void **state)
{
        struct bench *bench = *state;
        char *rest = with_host(bench, OURS), *expected = mem_printf("HEAD / HTTP/1.1\r\n%s\r\n", rest);
        struct call call;

        bench->origin.answer = answer_head;
        call_init(&call, bench, "HEAD", "/");
        call_body(&call, "body", 4);
        call_run(&call);
        assert_answered(&call, 200);
        assert_string_equal(bench->loop.data, expected);
        free(bench->loop.data);
        call_fini(&call);
        free(rest);
        free(expected);
}

static void a_large_body_has_the_same_head(void **state)
{
        struct bench *bench = *state;
        char *rest = with_host(bench, "Content-Type: x/y\r\n" OURS "Content-Length: 1000000\r\n");
        struct call call;

        call_init(&call, bench, "POST", "/");
        call_field(&call, "Content-Type", "x/y");
        call_body_pattern(&call, 1000000);
        assert_sent(&call, "POST /", rest);
        assert_int_equal(bench->origin.visits->body_sum, pattern_sum(1000000));
        free(rest);
}

static void user_and_password_of_the_url_are_basic_auth(void **state)
{
        struct bench *bench = *state;
        char *rest = with_host(bench, "Authorization: Basic dSBzZXI6cEBzcw==\r\n" OURS);
        char *url = mem_printf("http://u%%20ser:p%%40ss@127.0.0.1:%d/", bench->origin.port);
        struct call call;

        call_init(&call, bench, "GET", url);
        assert_sent(&call, "GET /", rest);
        free(rest);
        free(url);
}

static void stored_authorization_comes_before_the_urls(void **state)
{
        struct bench *bench = *state;
        char *rest = with_host(bench, "Authorization: Bearer x\r\n" OURS);
        char *url = mem_printf("http://user:pass@127.0.0.1:%d/", bench->origin.port);
        struct call call;

        call_init(&call, bench, "GET", url);
        call_field(&call, "Authorization", "Bearer x");
        assert_sent(&call, "GET /", rest);
        free(rest);
        free(url);
}

static void the_environment_sets_no_proxy(void **state)
{
        struct bench *bench = *state;
        char *rest = with_host(bench, OURS);
        struct call call;

        setenv("http_proxy", "http://127.0.0.1:1/", 1);
        setenv("ALL_PROXY", "http://127.0.0.1:1/", 1);
        call_init(&call, bench, "GET", "/");
        assert_sent(&call, "GET /", rest);
        unsetenv("http_proxy");
        unsetenv("ALL_PROXY");
        free(rest);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(nothing_is_sent_but_what_was_stored_and_our_own),
                TEST(a_url_without_a_path_asks_for_the_root),
                TEST(stored_fields_are_sent_as_they_are),
                TEST(stored_fields_come_before_our_own),
                TEST(the_stored_host_wins),
                TEST(fields_of_a_connection_stay_behind),
                TEST(a_body_has_its_length_and_no_invented_type),
                TEST(methods_that_want_a_body_say_that_there_is_none),
                TEST(head_is_sent_without_a_body),
                TEST(a_large_body_has_the_same_head),
                TEST(user_and_password_of_the_url_are_basic_auth),
                TEST(stored_authorization_comes_before_the_urls),
                TEST(the_environment_sets_no_proxy),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
