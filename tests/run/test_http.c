/* run/http.c: the life of a run: answers, bodies of any size both ways, connections. */
#include "http_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/mem.h"

/* ---- answers ---- */

static void a_url_is_asked_and_answers(void **state)
{
        struct bench *bench = *state;
        struct call call;
        char *length;

        bench->origin.answer = origin_hello;
        call_init(&call, bench, "GET", "/x?y=%20z");
        call_run(&call);
        assert_answered(&call, 200);
        assert_string_equal(call_text(&call), "hello");
        assert_string_equal(call.words, "OK");
        length = call_header(&call, "Content-Length");
        assert_string_equal(length, "5");
        free(length);
        call_fini(&call);
}

static void answer_teapot(struct visit *v)
{
        visit_say(v, "HTTP/1.1 418 I'm a teapot\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 0\r\n\r\n");
}

static void a_status_of_any_kind_is_an_answer(void **state)
{
        struct bench *bench = *state;
        struct call call;

        bench->origin.answer = answer_teapot;
        call_init(&call, bench, "GET", "/");
        call_run(&call);
        assert_answered(&call, 418);
        assert_string_equal(call.words, "I'm a teapot");
        assert_string_equal(call.headers, "X-A: 1\nX-A: 2\nContent-Length: 0\n");
        call_fini(&call);
}

static void answer_after_hints(struct visit *v)
{
        visit_say(v, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
                     "HTTP/1.1 200 OK\r\nX-Last: yes\r\nContent-Length: 2\r\n\r\nok");
}

static void heads_before_the_reply_are_skipped(void **state)
{
        struct bench *bench = *state;
        struct call call;

        bench->origin.answer = answer_after_hints;
        call_init(&call, bench, "GET", "/");
        call_run(&call);
        assert_answered(&call, 200);
        assert_string_equal(call.headers, "X-Last: yes\nContent-Length: 2\n");
        call_fini(&call);
}

static void answer_nothing(struct visit *v)
{
        visit_say(v, "HTTP/1.1 204 No Content\r\n\r\n");
}

static void a_reply_without_a_body_has_a_head(void **state)
{
        struct bench *bench = *state;
        struct call call;

        bench->origin.answer = answer_nothing;
        call_init(&call, bench, "DELETE", "/");
        call_run(&call);
        assert_answered(&call, 204);
        assert_int_equal(call.data_len, 0);
        call_fini(&call);
}

static void answer_as_to_head(struct visit *v)
{
        visit_say(v, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
}

static void a_reply_to_head_is_complete_without_its_body(void **state)
{
        struct bench *bench = *state;
        struct call call;

        bench->origin.answer = answer_as_to_head;
        for (int i = 0; i < 2; i++) { /* twice on one connection */
                call_init(&call, bench, "HEAD", "/");
                call_run(&call);
                assert_answered(&call, 200);
                assert_string_equal(call.headers, "Content-Length: 1000\n");
                assert_int_equal(call.data_len, 0);
                call_fini(&call);
        }
        assert_int_equal(bench->origin.accepted, 1);
}

static void answer_in_chunks(struct visit *v)
{
        visit_say(v, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                     "5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\nX-Sum: 12\r\n\r\n");
}

static void chunks_are_joined_and_trailers_left_out(void **state)
{
        struct bench *bench = *state;
        struct call call;

        bench->origin.answer = answer_in_chunks;
        for (int i = 0; i < 2; i++) {
                call_init(&call, bench, "GET", "/");
                call_run(&call);
                assert_answered(&call, 200);
                assert_string_equal(call_text(&call), "hello, world");
                assert_string_equal(call.headers, "");
                call_fini(&call);
        }
        assert_int_equal(bench->origin.accepted, 1);
}

static void answer_until_close(struct visit *v)
{
        visit_say(v, "HTTP/1.0 200 OK\r\n\r\nall of it");
        visit_end(v);
}

static void a_reply_may_end_with_its_connection(void **state)
{
        struct bench *bench = *state;
        struct call call;

        bench->origin.answer = answer_until_close;
        call_init(&call, bench, "GET", "/");
        call_run(&call);
        assert_answered(&call, 200);
        assert_string_equal(call_text(&call), "all of it");
        call_fini(&call);
}

/* A byte at a time, one each time around the loop. */
static void pace(struct visit *v)
{
        static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow";

        if (v->left == sizeof(text) - 1)
                return;
        v->drained = pace;
        visit_write(v, text + v->left++, 1);
}

static void a_reply_may_come_byte_by_byte(void **state)
{
        struct bench *bench = *state;
        struct call call;

        bench->origin.answer = pace;
        call_init(&call, bench, "GET", "/");
        call_run(&call);
        assert_answered(&call, 200);
        assert_string_equal(call_text(&call), "slow");
        call_fini(&call);
}

/* ---- bodies ---- */

static void a_hundred_megabytes_come_back(void **state)
{
        struct bench *bench = *state;
        struct call call;

        bench->origin.answer = origin_big;
        call_init(&call, bench, "GET", "/");
        call.count_only = true;
        call_run(&call);
        assert_answered(&call, 200);
        assert_int_equal(call.data_len, BIG);
        assert_int_equal(call.data_sum, pattern_sum(BIG));
        call_fini(&call);
}

static void body_arrives(struct bench *bench, uint64_t len)
{
        struct call call;
        char *expected = mem_printf(" %llu %u", (unsigned long long)len, pattern_sum(len));

        bench->origin.answer = origin_sum;
        call_init(&call, bench, "POST", "/");
        call_body_pattern(&call, len);
        call_run(&call);
        assert_answered(&call, 200);
        assert_string_equal(call_text(&call), expected);
        call_fini(&call);
        free(expected);
}

static void bodies_of_all_sizes_arrive(void **state)
{
        static const uint64_t sizes[] = { 0,     1,     16383,       16384,           65535,   65536,
                                          65537, 70000, (256 << 10), (256 << 10) + 1, 1000000, BIG };

        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
                body_arrives(*state, sizes[i]);
        assert_int_equal(((struct bench *)*state)->origin.accepted, 1);
}

/* Answers before it has read the request, then takes all of it. */
static void answer_early(struct visit *v)
{
        if (v->left++ == 0)
                visit_say(v, "HTTP/1.1 413 No\r\nContent-Length: 4\r\nConnection: close\r\n\r\nmuch");
}

static void ignore(struct visit *v)
{
}

static void an_answer_before_the_body_was_read_counts(void **state)
{
        struct bench *bench = *state;
        struct call call;

        bench->origin.heard = answer_early;
        bench->origin.answer = ignore;
        call_init(&call, bench, "POST", "/");
        call_body_pattern(&call, 20 << 20);
        call_run(&call);
        assert_answered(&call, 413);
        assert_string_equal(call_text(&call), "much");
        call_fini(&call);
}

/* ---- connections ---- */

static void a_connection_is_used_again(void **state)
{
        struct bench *bench = *state;

        bench->origin.answer = origin_hello;
        for (int i = 0; i < 20; i++) {
                struct call call;

                call_init(&call, bench, i % 2 ? "POST" : "GET", "/");
                call_run(&call);
                assert_answered(&call, 200);
                call_fini(&call);
        }
        assert_int_equal(bench->origin.accepted, 1);
        assert_int_equal(bench->origin.requests, 20);
}

static void answer_and_close(struct visit *v)
{
        visit_answer(v, "bye");
        visit_end(v);
}

static bool nobody_is_connected(void *arg)
{
        return ((struct bench *)arg)->origin.open == 0;
}

/* Says nothing of closing, and closes. */
static void a_kept_connection_that_was_closed_is_replaced(void **state)
{
        struct bench *bench = *state;

        bench->origin.answer = answer_and_close;
        for (int i = 0; i < 5; i++) {
                struct call call;

                call_init(&call, bench, "POST", "/");
                call_body(&call, "body", 4);
                call_run(&call);
                assert_answered(&call, 200);
                call_fini(&call);
                bench_until(bench, nobody_is_connected, bench);
        }
        assert_int_equal(bench->origin.requests, 5);
}

/* Takes the second request on a connection, and closes it. */
static void answer_the_first(struct visit *v)
{
        if (v->requests == 1)
                origin_sum(v);
        else
                visit_reset(v);
}

static void a_kept_connection_that_dies_is_replaced(void **state)
{
        struct bench *bench = *state;

        body_arrives(bench, 10);
        bench->origin.answer = answer_the_first;
        for (int i = 0; i < 3; i++) {
                struct call call;
                uint64_t len = i == 0 ? 10 : 300 << 10;
                char *expected = mem_printf(" %llu %u", (unsigned long long)len, pattern_sum(len));

                call_init(&call, bench, "POST", "/");
                call_body_pattern(&call, len);
                call_run(&call);
                assert_answered(&call, 200);
                assert_string_equal(call_text(&call), expected);
                call_fini(&call);
                free(expected);
        }
        assert_int_equal(bench->origin.accepted, 4);
}

#define MANY 64

static void answer_all_at_64(struct visit *v)
{
        struct visit *other;

        if (v->origin->requests % MANY != 0)
                return;
        DL_FOREACH (v->origin->visits, other)
                if (other->requests && !other->headed)
                        visit_answer(other, "all");
}

static bool none_runs(void *arg)
{
        return *(unsigned *)arg == 0;
}

static void many_are_asked_at_once(void **state)
{
        struct bench *bench = *state;
        struct call *calls = mem_alloc(MANY * sizeof(*calls));
        unsigned running = MANY;

        bench->origin.answer = answer_all_at_64; /* nobody is answered before all have asked */
        for (int i = 0; i < MANY; i++) {
                call_init(&calls[i], bench, "GET", "/");
                calls[i].running = &running;
                call_start(&calls[i]);
        }
        bench_until(bench, none_runs, &running);
        for (int i = 0; i < MANY; i++) {
                assert_answered(&calls[i], 200);
                assert_string_equal(call_text(&calls[i]), "all");
                call_fini(&calls[i]);
        }
        assert_int_equal(bench->origin.accepted, MANY);
        free(calls);
}

static bool few_are_kept(void *arg)
{
        return ((struct bench *)arg)->origin.open <= 16;
}

static void no_more_connections_are_kept_than_wanted(void **state)
{
        many_are_asked_at_once(state);
        bench_until(*state, few_are_kept, *state);
}

static void start_another(struct call *call)
{
        struct call *next = call + 1;

        call_start(next);
}

static void a_run_may_be_started_from_the_end_of_another(void **state)
{
        struct bench *bench = *state;
        struct call calls[2];

        bench->origin.answer = origin_hello;
        call_init(&calls[0], bench, "GET", "/");
        call_init(&calls[1], bench, "GET", "/");
        calls[0].on_end = start_another;
        call_run(&calls[0]);
        call_until_end(&calls[1]);
        assert_answered(&calls[1], 200);
        call_fini(&calls[0]);
        call_fini(&calls[1]);
        assert_int_equal(bench->origin.accepted, 1);
}

static void a_run_may_be_started_from_the_head_of_another(void **state)
{
        struct bench *bench = *state;
        struct call calls[2];

        bench->origin.answer = origin_hello;
        call_init(&calls[0], bench, "GET", "/");
        call_init(&calls[1], bench, "GET", "/");
        calls[0].on_head = start_another;
        call_run(&calls[0]);
        call_until_end(&calls[1]);
        assert_answered(&calls[0], 200);
        assert_answered(&calls[1], 200);
        call_fini(&calls[0]);
        call_fini(&calls[1]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_url_is_asked_and_answers),
                TEST(a_status_of_any_kind_is_an_answer),
                TEST(heads_before_the_reply_are_skipped),
                TEST(a_reply_without_a_body_has_a_head),
                TEST(a_reply_to_head_is_complete_without_its_body),
                TEST(chunks_are_joined_and_trailers_left_out),
                TEST(a_reply_may_end_with_its_connection),
                TEST(a_reply_may_come_byte_by_byte),
                TEST(a_hundred_megabytes_come_back),
                TEST(bodies_of_all_sizes_arrive),
                TEST(an_answer_before_the_body_was_read_counts),
                TEST(a_connection_is_used_again),
                TEST(a_kept_connection_that_was_closed_is_replaced),
                TEST(a_kept_connection_that_dies_is_replaced),
                TEST(many_are_asked_at_once),
                TEST(no_more_connections_are_kept_than_wanted),
                TEST(a_run_may_be_started_from_the_end_of_another),
                TEST(a_run_may_be_started_from_the_head_of_another),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
