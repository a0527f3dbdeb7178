/* list, show, retry and log against a server that plays fixed bytes. SENDOFF names the program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "program.h"

/* ---- retry ---- */

static void retry_of_a_state_turns_pages_and_leaves_out_what_was_run_again(void **state)
{
        struct play plays[] = {
                { .bytes = reply("200 OK",
                                 "{\"jobs\":[{\"id\":\"" OTHER "\",\"retried_as\":null},"
                                 "{\"id\":\"" THIRD "\",\"retried_as\":\"" ID "\"}],\"next\":\"c1\"}") },
                { .bytes = reply("200 OK", "{\"jobs\":[{\"id\":\"" ID "\"}],\"next\":null}") },
                { .bytes = reply("202 Accepted", "{\"id\":\"" THIRD "\",\"retry_of\":\"" ID "\"}") },
                { .bytes = reply("200 OK", "{\"id\":\"" OTHER "\",\"state\":\"ready\"}") },
        };
        struct fixture *f = *state;

        play(f, plays, 4);
        assert_int_equal(run(f, "retry", "--state", "dead,held", "--yes", NULL), 0);
        assert_string_equal(f->out, ID "  runs again as " THIRD "\n" OTHER "  goes on\n");
        assert_string_equal(f->err, "2 run again, 0 refused\n");
        free_plays(f, plays, 4);
        expect_request(f, 0, "GET /v1/jobs?limit=500&state=dead,held HTTP/1.1");
        expect_request(f, 1, "GET /v1/jobs?limit=500&state=dead,held&cursor=c1 HTTP/1.1");
        expect_request(f, 2, "POST /v1/jobs/" ID "/retry HTTP/1.1");
        expect_request(f, 3, "POST /v1/jobs/" OTHER "/retry HTTP/1.1");
}

static void what_cannot_be_run_again_keeps_no_other_back(void **state)
{
        struct play plays[] = {
                { .bytes = reply("200 OK", "{\"jobs\":[{\"id\":\"" ID "\"},{\"id\":\"" OTHER
                                           "\"},{\"id\":\"" THIRD "\"}],\"next\":null}") },
                { .bytes = problem("404 Not Found", "there is no such job") },
                { .bytes = problem("409 Conflict", "it was run again already") },
                { .bytes = reply("202 Accepted", "{\"id\":\"" OTHER "\",\"retry_of\":\"" ID "\"}") },
        };
        struct fixture *f = *state;

        play(f, plays, 4);
        assert_int_equal(run(f, "retry", "--state", "dead", "-y", "--json", NULL), 1);
        assert_string_equal(f->out, "{\"id\":\"" OTHER "\",\"retry_of\":\"" ID "\"}\n");
        expect_err(f, THIRD ": there is no such job");
        expect_err(f, OTHER ": it was run again already");
        free_plays(f, plays, 4);
        assert_int_equal(f->player.played, 4);
}

static void a_server_that_cannot_take_more_ends_the_retrying(void **state)
{
        struct play plays[] = {
                { .bytes = reply("200 OK",
                                 "{\"jobs\":[{\"id\":\"" ID "\"},{\"id\":\"" OTHER "\"}],\"next\":null}") },
                { .bytes = problem("503 Service Unavailable", "the queue is full (queue_max 5)") },
        };
        struct fixture *f = *state;

        play(f, plays, 2);
        assert_int_equal(run(f, "retry", "--state", "dead", "--yes", NULL), 3);
        expect_err(f, "queue_max 5");
        expect_err(f, "0 run again, 1 refused\n");
        free_plays(f, plays, 2);
        assert_int_equal(f->player.played, 2);
}

/* ---- log ---- */

#define STREAM "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
#define T      "2026-11-21T08:00:00."

static void following_a_log_begins_anew_where_it_broke(void **state)
{
        static const struct play plays[] = {
                { .bytes = STREAM "data: " T "001Z 1 stdout a\n\n: keep-alive\n\ndata: " T
                                  "001Z 1 stdout a\n\ndata: cut off",
                  .close = true },
                { .bytes = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}", .close = true },
                { .bytes = STREAM "data: " T "001Z 1 stdout a\n\ndata: " T "001Z 1 stdout a\n\ndata: " T
                                  "002Z 1 stderr b\n\nevent: end\ndata: failed\n\n",
                  .close = true,
                  .drip = true },
        };
        struct fixture *f = *state;

        play(f, plays, 3);
        assert_int_equal(run(f, "log", "-f", ID, NULL), 1);
        assert_string_equal(f->out, T "001Z 1 stdout a\n" T "001Z 1 stdout a\n" T "002Z 1 stderr b\n");
        assert_string_equal(f->err, "sendoff log: the server is not ready; asking again until it answers\n");
        stop(f);
        expect_request(f, 2, "GET /v1/jobs/" ID "/log?follow=1 HTTP/1.1");
}

static void a_job_that_is_gone_after_the_break_is_said(void **state)
{
        static const struct play plays[] = {
                { .bytes = STREAM "data: " T "001Z 1 stdout a\n\n", .close = true },
                { .bytes = "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}", .close = true },
        };
        struct fixture *f = *state;

        play(f, plays, 2);
        assert_int_equal(run(f, "log", "-f", ID, NULL), 3);
        assert_string_equal(f->out, T "001Z 1 stdout a\n");
        expect_err(f, ID ": refused (404 Not Found)");
}

static void a_log_is_printed_as_it_is(void **state)
{
        struct play plays[] = { { .bytes = reply("200 OK", T
                                                 "002Z 1 stdout a\n- 1 sendoff 9 lines are left out here\n" T
                                                 "001Z 1 stdout b\n") },
                                { .bytes = reply("200 OK", "") } };
        struct fixture *f = *state;

        play(f, plays, 2);
        assert_int_equal(run(f, "log", ID, NULL), 0);
        assert_string_equal(f->out, T "002Z 1 stdout a\n- 1 sendoff 9 lines are left out here\n" T
                                      "001Z 1 stdout b\n");
        assert_int_equal(run(f, "log", ID, NULL), 0);
        assert_string_equal(f->out, "");
        free_plays(f, plays, 2);
        expect_request(f, 0, "GET /v1/jobs/" ID "/log HTTP/1.1");
}

/* ---- list and show ---- */

static void a_running_job_is_listed_with_how_far_it_is(void **state)
{
        struct play plays[] = {
                { .bytes = reply("200 OK",
                                 "{\"jobs\":["
                                 "{\"id\":\"" ID "\",\"state\":\"running\",\"method\":\"POST\","
                                 "\"target\":\"exec:a 'b\\nc'\",\"progress\":{\"done\":1,\"total\":4}},"
                                 "{\"id\":\"" OTHER "\",\"state\":\"dead\",\"method\":\"PUT\","
                                 "\"target\":\"https://x/?y\",\"status\":503,\"progress\":{\"done\":1,"
                                 "\"total\":4}}],\"next\":null}") }
        };
        struct fixture *f = *state;

        play(f, plays, 1);
        assert_int_equal(run(f, "list", NULL), 0);
        assert_non_null(strstr(f->out, "25%  exec:a 'b c'\n"));
        assert_non_null(strstr(f->out, "503  PUT https://x/?y\n"));
        free_plays(f, plays, 1);
}

static void show_is_a_page_for_every_record(void **state)
{
        struct play plays[] = {
                { .bytes =
                          reply("200 OK",
                                "{\"id\":\"" ID
                                "\",\"state\":\"dead\",\"runner\":\"exec\",\"target\":\"exec:a 'b\\u001bc'\","
                                "\"method\":\"POST\",\"created_at\":\"" T "000Z\",\"finished_at\":\"" T
                                "900Z\",\"progress\":{\"done\":1,\"total\":2,\"note\":\"x\"},\"connection_"
                                "status\":3,"
                                "\"status\":null,\"exit_code\":null,\"signal\":9,\"reason\":\"why\","
                                "\"retries_left\":0,\"crashes\":3,"
                                "\"options\":{\"time_limit\":0.5,\"retry\":{\"max\":0},\"limits\":{"
                                "\"memory\":1048576},"
                                "\"on_abort\":\"stop\",\"unheard_of\":1},\"retry_of\":\"" OTHER
                                "\",\"retried_as\":null,\"runs\":[{\"number\":1,\"started_at\":\"" T
                                "000Z\",\"ended_at\":\"" T "900Z\",\"outcome\":\"crashed\",\"connection_"
                                "status\":3,\"signal\":9,\"reason\":\"because\","
                                "\"cpu_ms\":120,\"peak_rss_kb\":1536},{\"number\":2,\"started_at\":\"" T
                                "000Z\"}]}") },
                { .bytes = reply("200 OK", "{\"id\":\"" ID "\"}") },
        };
        struct fixture *f = *state;

        play(f, plays, 2);
        assert_int_equal(run(f, "show", ID, NULL), 0);
        assert_string_equal(
                f->out,
                "id             " ID
                "\nstate          dead\nprogress       [############............] 1/2 x\n"
                "target         exec:a 'b c'\ncreated        " T "000Z\nfinished       " T
                "900Z\nsignal         9 (Killed)\nconnection     aborted and timed out\nreason         why\n"
                "crashes        3\nasked          --time-limit 500ms\n               --on-abort stop\n"
                "               --retries 0\n               --memory 1M\nretry of       " OTHER
                "\n\nRUN  STARTED                     TOOK  OUTCOME    ANSWER         CPU    MEMORY  "
                "CONNECTION\n"
                "  1  " T "000Z    0.9s  crashed    sig 9        0.12s      1.5M  aborted and timed out\n"
                "     because\n"
                "  2  " T "000Z       -             -                -         -  normal\n");
        assert_int_equal(run(f, "show", ID, NULL), 0);
        assert_string_equal(f->out, "id             " ID "\nstate          \n");
        free_plays(f, plays, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, program_setup, program_teardown)
        const struct CMUnitTest tests[] = {
                TEST(retry_of_a_state_turns_pages_and_leaves_out_what_was_run_again),
                TEST(what_cannot_be_run_again_keeps_no_other_back),
                TEST(a_server_that_cannot_take_more_ends_the_retrying),
                TEST(following_a_log_begins_anew_where_it_broke),
                TEST(a_job_that_is_gone_after_the_break_is_said),
                TEST(a_log_is_printed_as_it_is),
                TEST(a_running_job_is_listed_with_how_far_it_is),
                TEST(show_is_a_page_for_every_record),
        };

        return cmocka_run_group_tests_name("cmd/verbs_again", tests, NULL, NULL);
}
