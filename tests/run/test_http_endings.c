/* run/http.c: back-pressure, endings from outside, the end of the desk. */
#include "http_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* ---- back-pressure ---- */

static void pause_here(struct call *call)
{
        call->paused = true;
        run_pause(call->run);
}

static void resume(struct call *call)
{
        call->paused = false;
        run_resume(call->run);
}

static void a_paused_run_reads_no_more(void **state)
{
        struct bench *bench = *state;
        struct call call;
        uint64_t before, left;

        bench->origin.answer = origin_big;
        call_init(&call, bench, "GET", "/");
        call.count_only = true;
        call.on_data = pause_here;
        call_start(&call);
        for (int i = 0; i < 20; i++) { /* each piece pauses it again */
                while (!call.paused)
                        bench_turns(bench, 1);
                before = call.data_len;
                bench_turns(bench, 30);
                left = bench->origin.visits->left;
                bench_turns(bench, 30);
                assert_int_equal(call.data_len, before);
                assert_int_equal(bench->origin.visits->left, left);
                assert_true(left > BIG / 2);
                resume(&call);
                assert_int_equal(call.data_len, before); /* not within the call */
        }
        call.on_data = NULL;
        if (call.paused)
                resume(&call);
        call_until_end(&call);
        assert_answered(&call, 200);
        assert_int_equal(call.data_len, BIG);
        assert_int_equal(call.data_sum, pattern_sum(BIG));
        call_fini(&call);
}

static void a_run_paused_from_outside_reads_no_more(void **state)
{
        struct bench *bench = *state;
        struct call call;

        bench->origin.answer = origin_big;
        call_init(&call, bench, "GET", "/");
        call.count_only = true;
        call_start(&call);
        while (call.data_len < 1 << 20)
                bench_turns(bench, 1);
        for (int i = 0; i < 12; i++) {
                pause_here(&call);
                bench_turns(bench, 5);
                assert_false(call.ended);
                resume(&call);
                if (i % 3 == 0) { /* before it took effect */
                        pause_here(&call);
                        resume(&call);
                }
                bench_turns(bench, 1);
        }
        call_until_end(&call);
        assert_answered(&call, 200);
        assert_int_equal(call.data_sum, pattern_sum(BIG));
        call_fini(&call);
}

static void a_run_may_be_paused_before_it_is_connected(void **state)
{
        struct bench *bench = *state;
        struct call call;

        bench->origin.answer = origin_hello;
        call_init(&call, bench, "GET", "/");
        call_start(&call);
        run_pause(call.run);
        bench_turns(bench, 50);
        assert_int_equal(call.data_len, 0);
        run_resume(call.run);
        call_until_end(&call);
        assert_answered(&call, 200);
        assert_string_equal(call_text(&call), "hello");
        call_fini(&call);
}

static void the_end_waits_for_a_pause(void **state, const char *reply)
{
        struct bench *bench = *state;
        struct call call;

        bench->origin.answer = origin_hello;
        call_init(&call, bench, "GET", "/");
        if (strcmp(reply, "head") == 0)
                call.on_head = pause_here;
        else
                call.on_data = pause_here;
        call_start(&call);
        while (!call.paused)
                bench_turns(bench, 1);
        bench_turns(bench, 50);
        assert_false(call.ended);
        resume(&call);
        assert_false(call.ended); /* only from the loop */
        call_until_end(&call);
        assert_answered(&call, 200);
        assert_string_equal(call_text(&call), "hello");
        call_fini(&call);
}

static void a_run_paused_at_its_last_byte_ends_when_resumed(void **state)
{
        the_end_waits_for_a_pause(state, "data");
}

static void a_run_paused_at_its_head_goes_on_when_resumed(void **state)
{
        the_end_waits_for_a_pause(state, "head");
}

static void a_failure_waits_for_a_pause(void **state)
{
        struct bench *bench = *state;
        struct call call;

        for (int i = 0; i < 2; i++) {
                call_init(&call, bench, "GET", "http://127.0.0.1:9/");
                call_start(&call);
                run_pause(call.run);
                bench_turns(bench, 50);
                assert_false(call.ended);
                if (i == 0)
                        run_resume(call.run);
                else
                        run_stop(call.run, CONNECTION_ABORTED, "cancelled");
                assert_false(call.ended); /* only from the loop */
                call_until_end(&call);
                assert_reason(&call, i == 0 ? "connection to 127.0.0.1:9 refused" : "cancelled");
                call_fini(&call);
        }
}

static void the_request_is_sent_while_the_reply_is_paused(void **state)
{
        struct bench *bench = *state;
        struct call call;

        bench->origin.answer = origin_sum;
        call_init(&call, bench, "POST", "/");
        call_body_pattern(&call, 30 << 20);
        call_start(&call);
        run_pause(call.run);
        while (bench->origin.requests == 0)
                bench_turns(bench, 1);
        run_resume(call.run);
        call_until_end(&call);
        assert_answered(&call, 200);
        call_fini(&call);
}

/* ---- endings from outside ---- */

static void assert_stopped(struct call *call, const char *reason, int bits)
{
        assert_false(call->ended); /* only from the loop */
        call_until_end(call);
        assert_int_equal(call->how.outcome, RUN_STOPPED);
        assert_int_equal(call->how.connection_status, bits);
        assert_string_equal(call->how.reason, reason);
}

static bool origin_has_no_visits(void *arg)
{
        return ((struct bench *)arg)->origin.open == 0;
}

/* The origin sees its connection end. */
static void stop_once(struct bench *bench, bool (*when)(void *arg), struct call *call)
{
        call_start(call);
        if (when)
                bench_until(bench, when, bench);
        run_stop(call->run, CONNECTION_ABORTED, "cancelled");
        run_stop(call->run, CONNECTION_ABORTED, "cancelled");
        assert_stopped(call, "cancelled", CONNECTION_ABORTED);
        bench_until(bench, origin_has_no_visits, bench);
        call_fini(call);
}

static void a_run_stopped_at_once_never_asks(void **state)
{
        struct bench *bench = *state;
        struct call call;

        bench->origin.answer = origin_hello;
        call_init(&call, bench, "GET", "/");
        stop_once(bench, NULL, &call);
        assert_int_equal(bench->origin.accepted, 0);
}

static bool was_asked(void *arg)
{
        return ((struct bench *)arg)->origin.requests > 0;
}

static void a_run_may_be_stopped_while_it_waits_for_its_answer(void **state)
{
        struct bench *bench = *state;
        struct call call;

        bench->origin.answer = origin_waits;
        call_init(&call, bench, "GET", "/");
        stop_once(bench, was_asked, &call);
}

static bool some_was_sent(void *arg)
{
        struct visit *v = ((struct bench *)arg)->origin.visits;

        return v && v->bytes > 1 << 20;
}

static void a_run_may_be_stopped_while_it_sends(void **state)
{
        struct bench *bench = *state;
        struct call call;

        bench->origin.answer = origin_waits;
        call_init(&call, bench, "POST", "/");
        call_body_pattern(&call, 50 << 20);
        stop_once(bench, some_was_sent, &call);
}

static void stop_here(struct call *call)
{
        run_stop(call->run, CONNECTION_ABORTED, "cancelled");
}

static void a_run_may_be_stopped_by_its_head_and_by_its_data(void **state)
{
        struct bench *bench = *state;
        struct call call;

        bench->origin.answer = origin_big;
        for (int i = 0; i < 2; i++) {
                call_init(&call, bench, "GET", "/");
                call.count_only = true;
                if (i == 0)
                        call.on_head = stop_here;
                else
                        call.on_data = stop_here;
                call_run(&call);
                assert_int_equal(call.how.outcome, RUN_STOPPED);
                assert_int_equal(call.how.status, 200);
                assert_reason(&call, "cancelled");
                bench_until(bench, origin_has_no_visits, bench);
                call_fini(&call);
        }
}

static void a_paused_run_may_be_stopped(void **state)
{
        struct bench *bench = *state;
        struct call call;

        bench->origin.answer = origin_big;
        call_init(&call, bench, "GET", "/");
        call.count_only = true;
        call.on_data = pause_here;
        call_start(&call);
        while (!call.paused)
                bench_turns(bench, 1);
        run_stop(call.run, CONNECTION_TIMED_OUT, "its time was up");
        assert_stopped(&call, "its time was up", CONNECTION_TIMED_OUT);
        bench_until(bench, origin_has_no_visits, bench);
        call_fini(&call);
}

/* Nobody answers a SYN there: the queue of the listener is full. */
static void a_run_may_be_stopped_while_it_connects(void **state)
{
        struct bench *bench = *state;
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t len = sizeof(address);
        int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fillers[4];
        struct call call;
        char *url;

        assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
        assert_int_equal(listen(listener, 0), 0);
        assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
        for (int i = 0; i < 4; i++) {
                fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
                (void)!connect(fillers[i], (struct sockaddr *)&address, len);
        }
        url = mem_printf("http://127.0.0.1:%d/", ntohs(address.sin_port));
        call_init(&call, bench, "GET", url);
        call_start(&call);
        bench_turns(bench, 50);
        assert_false(call.ended);
        run_stop(call.run, CONNECTION_ABORTED, "cancelled");
        assert_stopped(&call, "cancelled", CONNECTION_ABORTED);
        call_fini(&call);
        free(url);
        for (int i = 0; i < 4; i++)
                close(fillers[i]);
        close(listener);
}

static void a_run_hung_up_delivers_nothing_more(void **state)
{
        struct bench *bench = *state;
        struct call call;
        uint64_t before;

        bench->origin.answer = origin_big;
        call_init(&call, bench, "GET", "/");
        call.count_only = true;
        call_start(&call);
        while (call.data_len < 1 << 20)
                bench_turns(bench, 1);
        before = call.data_len;
        run_hang_up(call.run, "the caller hung up");
        assert_stopped(&call, "the caller hung up", CONNECTION_ABORTED);
        assert_int_equal(call.data_len, before);
        bench_until(bench, origin_has_no_visits, bench);
        call_fini(&call);
}

static void a_time_limit_ends_a_run(void **state)
{
        struct bench *bench = *state;
        struct call call;

        bench->origin.answer = origin_waits;
        call_init(&call, bench, "GET", "/");
        call_start(&call);
        run_set_limits(call.run, &(struct run_limits){ .time_limit_ms = 50, .grace_ms = 5000 });
        call_until_end(&call);
        assert_int_equal(call.how.outcome, RUN_STOPPED);
        assert_int_equal(call.how.connection_status, CONNECTION_TIMED_OUT);
        assert_reason(&call, "it ran longer than its time limit of 50ms (time_limit)");
        call_fini(&call);
}

/* Sends a byte every 20 ms, ten times; then nothing. */
struct dripping {
        uv_timer_t timer;
        struct visit *visit;
        int left;
};

static struct dripping dripping_of_this_test(void)
{
        return (struct dripping){ .left = 10 };
}

static void drip(uv_timer_t *timer)
{
        struct dripping *d = timer->data;

        if (d->left-- > 0)
                visit_say(d->visit, "x");
        else
                uv_timer_stop(timer);
}

static void answer_head_of_many(struct visit *v)
{
        struct dripping *d = v->origin->bench->loop.data;

        visit_say(v, "HTTP/1.1 200 OK\r\n\r\n");
        d->visit = v;
        uv_timer_init(&v->origin->bench->loop, &d->timer);
        d->timer.data = d;
        uv_timer_start(&d->timer, drip, 20, 20);
}

static void each_byte_counts_against_the_idle_limit(void **state)
{
        struct bench *bench = *state;
        struct dripping d = dripping_of_this_test();
        struct call call;

        bench->loop.data = &d;
        bench->origin.answer = answer_head_of_many;
        call_init(&call, bench, "GET", "/");
        call_start(&call);
        run_set_limits(call.run, &(struct run_limits){ .idle_limit_ms = 120, .grace_ms = 5000 });
        call_until_end(&call);
        assert_int_equal(call.how.connection_status, CONNECTION_TIMED_OUT);
        assert_reason(&call, "nothing was heard of it for 120ms (idle_limit)");
        assert_int_equal(call.data_len, 10);
        call_fini(&call);
        uv_close((uv_handle_t *)&d.timer, NULL);
        bench_turns(bench, 2);
}

static void runs_are_put_back_at_the_end_of_the_desk(void **state)
{
        struct bench *bench = *state;
        struct call calls[3];

        bench->origin.answer = origin_waits;
        for (int i = 0; i < 3; i++) {
                call_init(&calls[i], bench, "GET", "/");
                if (i < 2)
                        call_start(&calls[i]);
        }
        bench_until(bench, was_asked, bench);
        call_start(&calls[2]); /* not yet in libcurl's hands */
        bench_stop(bench);
        for (int i = 0; i < 3; i++) {
                assert_int_equal(calls[i].how.outcome, RUN_PUT_BACK);
                assert_int_equal(calls[i].how.connection_status, 0);
                assert_reason(&calls[i], "the server is shutting down");
                assert_int_equal(calls[i].how.untouched, i == 2);
                call_fini(&calls[i]);
        }
}

static void a_desk_that_was_never_used_stops(void **state)
{
        bench_stop(*state);
}

static void what_is_no_url_is_not_started(void **state)
{
        static const char *const urls[] = { "http://",
                                            "http://:80/",
                                            "http://a:123456/",
                                            "ftp://127.0.0.1/",
                                            "file:///etc/passwd",
                                            "http://u%0a:p@h/",
                                            "gopher://h/",
                                            "x" };
        struct bench *bench = *state;

        for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
                struct call call;
                struct cause cause = { "" };
                struct run_handlers handlers = { 0 };
                struct http_request request = { .job_id = "id", .run = 1 };

                call_init(&call, bench, "GET", urls[i]);
                call.request.headers = mem_dup("");
                request.request = &call.request;
                assert_true(http_start(bench->desk, &request, &handlers, NULL, &call.run, &cause) < 0);
                assert_memory_equal(cause.text, "this is no URL: ", 16);
                assert_null(strstr(cause.text, "%0a"));
                call_fini(&call);
        }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_paused_run_reads_no_more),
                TEST(a_run_paused_from_outside_reads_no_more),
                TEST(a_run_may_be_paused_before_it_is_connected),
                TEST(a_run_paused_at_its_last_byte_ends_when_resumed),
                TEST(a_run_paused_at_its_head_goes_on_when_resumed),
                TEST(a_failure_waits_for_a_pause),
                TEST(the_request_is_sent_while_the_reply_is_paused),
                TEST(a_run_stopped_at_once_never_asks),
                TEST(a_run_may_be_stopped_while_it_waits_for_its_answer),
                TEST(a_run_may_be_stopped_while_it_sends),
                TEST(a_run_may_be_stopped_by_its_head_and_by_its_data),
                TEST(a_paused_run_may_be_stopped),
                TEST(a_run_may_be_stopped_while_it_connects),
                TEST(a_run_hung_up_delivers_nothing_more),
                TEST(a_time_limit_ends_a_run),
                TEST(each_byte_counts_against_the_idle_limit),
                TEST(runs_are_put_back_at_the_end_of_the_desk),
                TEST(a_desk_that_was_never_used_stops),
                TEST(what_is_no_url_is_not_started),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
