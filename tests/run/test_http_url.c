/* run/http_url.c: redirects: how many, where to, with which method, and what stays behind. */
#include "http_rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "run/http_url.h"

static void a_url_has_a_place_and_its_password_leaves_it(void **state)
{
        static const struct {
                const char *url, *host, *where;
                bool https;
        } cases[] = {
                { "http://example.com", "example.com", "example.com:80", false },
                { "HTTPS://u:p@example.com/x", "example.com", "example.com:443", true },
                { "https://example.com:8443/?x", "example.com", "example.com:8443", true },
                { "http://[::1]:8080/", "[::1]", "[::1]:8080", false },
                { "http://0x7f.1/", "127.0.0.1", "127.0.0.1:80", false },
                { "http://u@h/", "h", "h:80", false },
                { "http://:p@h/", "h", "h:80", false },
        };
        struct curl_library curl = { 0 };
        struct cause cause = { "" };
        CURL *easy;

        assert_int_equal(curl_library_load(&curl, &cause), 0);
        assert_int_equal(curl_library_load(&curl, &cause), 0);
        easy = curl.easy_init();
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct http_url u;
                char *text = NULL;

                assert_int_equal(http_url_init(&u, &curl, easy, cases[i].url, &cause), 0);
                assert_string_equal(u.host, cases[i].host);
                assert_string_equal(u.where, cases[i].where);
                assert_int_equal(u.https, cases[i].https);
                assert_int_equal(curl.url_get(u.handle, CURLUPART_URL, &text, 0), 0);
                assert_null(strchr(text, '@'));
                curl.free(text);
                http_url_fini(&u);
                http_url_fini(&u);
        }
        curl.easy_cleanup(easy);
}

static void a_redirect_leads_to_where_it_says(void **state)
{
        static const struct {
                const char *from, *location, *to;
                bool left;
        } cases[] = {
                { "http://a/b/c?d", "e", "http://a/b/e", false },
                { "http://a/b/c?d", "/e?f", "http://a/e?f", false },
                { "http://a/b/c?d", "?g", "http://a/b/c?g", false },
                { "http://a/b", "//c/d", "http://c/d", true },
                { "http://a/b", "http://a:80/c", "http://a:80/c", false },
                { "http://a/b", "http://A/c", "http://A/c", false },
                { "http://a/b", "https://a/c", "https://a/c", true },
                { "http://a/b", "http://a:81/c", "http://a:81/c", true },
                { "https://a/b", "http://a:443/c", "http://a:443/c", true },
                { "http://a/b", "http://a.evil/c", "http://a.evil/c", true },
                { "http://a/b", "http://a@evil/c", "http://evil/c", true },
                { "http://u:p@a/b", "/c", "http://a/c", false },
                { "http://a/b", "/c d", "http://a/c%20d", false },
        };
        struct curl_library curl = { 0 };
        struct cause cause = { "" };
        CURL *easy;

        assert_int_equal(curl_library_load(&curl, &cause), 0);
        easy = curl.easy_init();
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct http_url u;
                char *text = NULL;
                bool left = false;

                assert_int_equal(http_url_init(&u, &curl, easy, cases[i].from, &cause), 0);
                assert_int_equal(http_url_follow(&u, easy, slice_of(cases[i].location), &left, &cause), 0);
                assert_int_equal(curl.url_get(u.handle, CURLUPART_URL, &text, 0), 0);
                assert_string_equal(text, cases[i].to);
                assert_int_equal(left, cases[i].left);
                curl.free(text);
                http_url_fini(&u);
        }
        curl.easy_cleanup(easy);
}

static void what_is_no_url_is_told_without_telling_it(void **state)
{
        static const char *const urls[] = { "",
                                            "x",
                                            "/x",
                                            "http://",
                                            "ftp://u:secret@h/",
                                            "file:///etc/passwd",
                                            "http://u:secret@h:99999/",
                                            "http://u:secret%01@h/",
                                            "http://u:secret@h h/" };
        struct curl_library curl = { 0 };
        struct cause cause = { "" };
        char *longest = mem_alloc(400);
        struct http_url u;
        CURL *easy;

        assert_int_equal(curl_library_load(&curl, &cause), 0);
        easy = curl.easy_init();
        for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
                memset(&cause, 0, sizeof(cause));
                assert_int_equal(http_url_init(&u, &curl, easy, urls[i], &cause), -EINVAL);
                assert_true(cause.text[0]);
                assert_null(strstr(cause.text, "secret"));
                http_url_fini(&u);
        }
        memcpy(longest, "http://", 7);
        memset(longest + 7, 'a', 255);
        assert_int_equal(http_url_init(&u, &curl, easy, longest, &cause), 0);
        http_url_fini(&u);
        longest[7 + 255] = 'a';
        assert_int_equal(http_url_init(&u, &curl, easy, longest, &cause), -EINVAL);
        assert_string_equal(cause.text, "the name of its host is longer than 255 bytes");
        http_url_fini(&u);
        free(longest);
        curl.easy_cleanup(easy);
}

/* ---- over the wire ---- */

/* Two origins: the first leads, the second is led to. */
struct pair {
        struct bench bench;
        struct origin other;
        const char *status;
        char *location;
};

static void lead(struct visit *v)
{
        struct pair *pair = v->origin->bench->loop.data;
        char *text =
                mem_printf("HTTP/1.1 %s\r\nLocation: %s\r\nX-Redirect: 1\r\nContent-Length: 5\r\n\r\nmoved",
                           pair->status, pair->location);

        if (slice_eq(v->request.path, SLICE("/end")))
                visit_answer(v, v->head);
        else
                visit_say(v, text);
        free(text);
}

static void answer_head(struct visit *v)
{
        visit_answer(v, v->head);
}

static void pair_open(struct pair *pair, unsigned redirects_max, const char *status, const char *location)
{
        struct http_config config = bench_config();

        config.redirects_max = redirects_max;
        bench_open(&pair->bench, &config);
        origin_open(&pair->other, &pair->bench);
        pair->bench.origin.answer = lead;
        pair->other.answer = answer_head;
        pair->bench.loop.data = pair;
        pair->status = status;
        pair->location = location ? mem_dup(location) : origin_url(&pair->other, "/other");
}

static void pair_close(struct pair *pair)
{
        free(pair->location);
        origin_close(&pair->other);
        bench_close(&pair->bench);
}

static void a_redirect_is_the_answer_unless_they_are_followed(void **state)
{
        struct pair pair;
        struct call call;

        pair_open(&pair, 0, "302 Found", NULL);
        call_init(&call, &pair.bench, "GET", "/");
        call_run(&call);
        assert_answered(&call, 302);
        assert_string_equal(call_text(&call), "moved");
        assert_int_equal(pair.other.accepted, 0);
        call_fini(&call);
        pair_close(&pair);
}

static void only_the_last_head_is_the_answer(void **state)
{
        static const char *const statuses[] = { "301 Moved", "302 Found", "303 See Other", "307 T", "308 P" };

        for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
                struct pair pair;
                struct call call;

                pair_open(&pair, 1, statuses[i], NULL);
                call_init(&call, &pair.bench, "GET", "/");
                call_run(&call);
                assert_answered(&call, 200);
                assert_null(strstr(call.headers, "X-Redirect"));
                assert_memory_equal(call_text(&call), "GET /other HTTP/1.1\r\n", 21);
                call_fini(&call);
                pair_close(&pair);
        }
}

static void other_3xx_are_the_answer(void **state)
{
        static const char *const statuses[] = { "300 Multiple", "304 Not Modified", "305 Proxy", "306 X" };
        static const int numbers[] = { 300, 304, 305, 306 };

        for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
                struct pair pair;
                struct call call;

                pair_open(&pair, 5, statuses[i], NULL);
                call_init(&call, &pair.bench, "GET", "/");
                call_run(&call);
                assert_answered(&call, numbers[i]);
                call_fini(&call);
                pair_close(&pair);
        }
}

static void lead_nowhere(struct visit *v)
{
        visit_say(v, "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n");
}

static void a_redirect_that_does_not_say_where_is_the_answer(void **state)
{
        struct pair pair;
        struct call call;

        pair_open(&pair, 5, "", "");
        pair.bench.origin.answer = lead_nowhere;
        call_init(&call, &pair.bench, "GET", "/");
        call_run(&call);
        assert_answered(&call, 302);
        call_fini(&call);
        pair_close(&pair);
}

static void assert_followed(const char *status, const char *method, const char *as, bool with_body)
{
        struct pair pair;
        struct call call;
        char *first = mem_printf("%s /other HTTP/1.1\r\n", as);

        for (uint64_t len = 5; len <= 500000; len += 499995) { /* small ones are sent in another way */
                pair_open(&pair, 3, status, NULL);
                call_init(&call, &pair.bench, method, "/");
                call_field(&call, "Content-Type", "a/b");
                call_field(&call, "X-Kept", "1");
                call_body_pattern(&call, len);
                call_run(&call);
                assert_answered(&call, 200);
                assert_memory_equal(call_text(&call), first, strlen(first));
                assert_int_equal(pair.bench.origin.visits->body_sum, pattern_sum(len));
                assert_int_equal(pair.other.visits->body_len, with_body ? len : 0);
                assert_int_equal(pair.other.visits->body_sum, with_body ? pattern_sum(len) : 0);
                assert_int_equal(strstr(call_text(&call), "Content-Type: a/b") != NULL, with_body);
                assert_int_equal(strstr(call_text(&call), "Content-Length:") != NULL, with_body);
                assert_non_null(strstr(call_text(&call), "X-Kept: 1\r\n"));
                call_fini(&call);
                pair_close(&pair);
        }
        free(first);
}

static void methods_change_as_they_should(void **state)
{
        assert_followed("301 Moved", "POST", "GET", false);
        assert_followed("302 Found", "POST", "GET", false);
        assert_followed("303 See Other", "POST", "GET", false);
        assert_followed("303 See Other", "PUT", "GET", false);
        assert_followed("301 Moved", "PUT", "PUT", true);
        assert_followed("302 Found", "DELETE", "DELETE", true);
        assert_followed("307 Temporary", "POST", "POST", true);
        assert_followed("308 Permanent", "PATCH", "PATCH", true);
}

static void a_redirect_of_head_is_asked_with_head(void **state)
{
        struct pair pair;
        struct call call;

        pair_open(&pair, 3, "303 See Other", NULL);
        call_init(&call, &pair.bench, "HEAD", "/");
        pair.bench.origin.answer = lead_nowhere;
        pair.bench.origin.answer = lead;
        call_run(&call);
        call_fini(&call);
        assert_true(slice_eq(pair.other.visits->request.method, SLICE("HEAD")));
        pair_close(&pair);
}

static void credentials_stay_at_their_origin(void **state)
{
        struct pair pair;
        struct call call;
        char *url;

        for (int i = 0; i < 2; i++) {
                pair_open(&pair, 3, "307 T", NULL);
                url = mem_printf("http://%s127.0.0.1:%d/", i ? "user:secret@" : "", pair.bench.origin.port);
                call_init(&call, &pair.bench, "POST", url);
                call_body(&call, "body", 4);
                call_field(&call, "Cookie", "a=b");
                call_field(&call, "Host", "shop.example");
                call_field(&call, "X-Api-Version", "1");
                if (i == 0)
                        call_field(&call, "authorization", "Bearer x");
                call_run(&call);
                assert_answered(&call, 200);
                assert_true(visit_has(pair.bench.origin.visits, "Authorization"));
                assert_true(visit_has(pair.bench.origin.visits, "Cookie"));
                assert_false(visit_has(pair.other.visits, "Authorization"));
                assert_false(visit_has(pair.other.visits, "Cookie"));
                assert_true(visit_has(pair.other.visits, "X-Api-Version"));
                assert_true(visit_has(pair.other.visits, "Idempotency-Key"));
                free(url);
                url = visit_field(pair.other.visits, "Host");
                assert_null(strstr(url, "shop"));
                free(url);
                call_fini(&call);
                pair_close(&pair);
        }
}

static void credentials_go_along_within_their_origin(void **state)
{
        struct pair pair;
        struct call call;
        char *url, *field;

        for (int i = 0; i < 2; i++) {
                pair_open(&pair, 3, "302 Found", "/end");
                if (i == 1) {
                        free(pair.location);
                        pair.location = origin_url(&pair.bench.origin, "/end");
                }
                url = mem_printf("http://user:secret@127.0.0.1:%d/", pair.bench.origin.port);
                call_init(&call, &pair.bench, "GET", url);
                call_field(&call, "Cookie", "a=b");
                call_field(&call, "Host", "shop.example");
                call_run(&call);
                assert_answered(&call, 200);
                field = visit_field(pair.bench.origin.visits, "Authorization");
                assert_string_equal(field, "Basic dXNlcjpzZWNyZXQ=");
                free(field);
                assert_true(visit_has(pair.bench.origin.visits, "Cookie"));
                field = visit_field(pair.bench.origin.visits, "Host");
                assert_string_equal(field, "shop.example");
                free(field);
                assert_int_equal(pair.bench.origin.accepted, 1);
                call_fini(&call);
                free(url);
                pair_close(&pair);
        }
}

/* Away and back again. */
static void lead_back(struct visit *v)
{
        char *text = mem_printf("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%d/end\r\n"
                                "Content-Length: 0\r\n\r\n",
                                v->origin->bench->origin.port);

        visit_say(v, text);
        free(text);
}

static void credentials_do_not_come_back(void **state)
{
        struct pair pair;
        struct call call;

        pair_open(&pair, 3, "302 Found", NULL);
        pair.other.answer = lead_back;
        call_init(&call, &pair.bench, "GET", "/");
        call_field(&call, "Authorization", "Bearer x");
        call_run(&call);
        assert_answered(&call, 200);
        assert_null(strstr(call_text(&call), "Authorization"));
        call_fini(&call);
        pair_close(&pair);
}

static void a_loop_has_an_end(void **state)
{
        for (unsigned max = 1; max <= 5; max += 4) {
                struct pair pair;
                struct call call;
                char *reason;

                pair_open(&pair, max, "302 Found", "/again");
                call_init(&call, &pair.bench, "GET", "/");
                call_run(&call);
                assert_int_equal(call.how.outcome, RUN_FAILED);
                assert_false(call.how.may_pass);
                assert_false(call.headed);
                assert_int_equal(pair.bench.origin.requests, max + 1);
                assert_int_equal(pair.bench.origin.accepted, 1);
                reason = mem_printf(
                        "the reply of 127.0.0.1:%d cannot be used: it is one more redirect after %u "
                        "(option http_redirects)",
                        pair.bench.origin.port, max);
                assert_reason(&call, reason);
                free(reason);
                call_fini(&call);
                pair_close(&pair);
        }
}

static void a_redirect_out_of_the_web_is_refused(void **state)
{
        static const char *const locations[] = { "file:///etc/passwd",  "ftp://127.0.0.1/",
                                                 "gopher://127.0.0.1/", "http://",
                                                 "http://h:99999/",     "dict://h/",
                                                 "javascript:x" };

        for (size_t i = 0; i < sizeof(locations) / sizeof(locations[0]); i++) {
                struct pair pair;
                struct call call;
                char *start;

                pair_open(&pair, 3, "302 Found", locations[i]);
                call_init(&call, &pair.bench, "GET", "/");
                call_run(&call);
                start = mem_printf("the redirect of 127.0.0.1:%d leads to no URL: ", pair.bench.origin.port);
                if (strcmp(locations[i], "javascript:x") != 0) { /* that may be a path */
                        assert_int_equal(call.how.outcome, RUN_FAILED);
                        assert_false(call.how.may_pass);
                        assert_memory_equal(call.how.reason, start, strlen(start));
                }
                free(start);
                call_fini(&call);
                pair_close(&pair);
        }
}

static void never_end_moving(struct visit *v)
{
        char piece[8192] = "";

        v->drained = never_end_moving;
        visit_write(v, piece, sizeof(piece));
}

static void lead_with_a_story(struct visit *v)
{
        struct pair *pair = v->origin->bench->loop.data;
        char *text = mem_printf("HTTP/1.1 302 Found\r\nLocation: %s\r\n\r\n", pair->location);

        visit_say(v, text);
        free(text);
        never_end_moving(v);
}

static void the_body_of_a_redirect_is_not_waited_for(void **state)
{
        struct pair pair;
        struct call call;

        pair_open(&pair, 3, "", NULL);
        pair.bench.origin.answer = lead_with_a_story;
        call_init(&call, &pair.bench, "GET", "/");
        call_run(&call);
        assert_answered(&call, 200);
        call_fini(&call);
        pair_close(&pair);
}

static void a_run_may_be_stopped_between_redirects(void **state)
{
        struct pair pair;
        struct call call;

        pair_open(&pair, 50, "302 Found", "/again");
        for (unsigned turns = 1; turns < 60; turns++) {
                call_init(&call, &pair.bench, "GET", "/");
                call_start(&call);
                bench_turns(&pair.bench, turns);
                if (!call.ended) {
                        run_stop(call.run, CONNECTION_ABORTED, "cancelled");
                        call_until_end(&call);
                        assert_int_equal(call.how.outcome, RUN_STOPPED);
                        assert_reason(&call, "cancelled");
                }
                call_fini(&call);
        }
        pair_close(&pair);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_url_has_a_place_and_its_password_leaves_it),
                cmocka_unit_test(a_redirect_leads_to_where_it_says),
                cmocka_unit_test(what_is_no_url_is_told_without_telling_it),
                cmocka_unit_test(a_redirect_is_the_answer_unless_they_are_followed),
                cmocka_unit_test(only_the_last_head_is_the_answer),
                cmocka_unit_test(other_3xx_are_the_answer),
                cmocka_unit_test(a_redirect_that_does_not_say_where_is_the_answer),
                cmocka_unit_test(methods_change_as_they_should),
                cmocka_unit_test(a_redirect_of_head_is_asked_with_head),
                cmocka_unit_test(credentials_stay_at_their_origin),
                cmocka_unit_test(credentials_go_along_within_their_origin),
                cmocka_unit_test(credentials_do_not_come_back),
                cmocka_unit_test(a_loop_has_an_end),
                cmocka_unit_test(a_redirect_out_of_the_web_is_refused),
                cmocka_unit_test(the_body_of_a_redirect_is_not_waited_for),
                cmocka_unit_test(a_run_may_be_stopped_between_redirects),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
