/* The program against a server that plays fixed bytes: what a real server does rarely or never. SENDOFF names
 * the program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "program.h"

/* ---- send ---- */

static void a_refused_target_does_not_keep_the_others_back(void **state)
{
        struct play plays[] = { { .bytes = receipt(ID) },
                                { .bytes = problem("422 Unprocessable Content", "there is no script") },
                                { .bytes = receipt(OTHER) } };
        struct fixture *f = *state;

        play(f, plays, 3);
        assert_int_equal(run(f, "send", "/a.php", "/b.php", "/c.php", NULL), 3);
        assert_true(strncmp(f->out, "accepted " ID " in ", 9 + 28 + 4) == 0);
        assert_non_null(strstr(f->out, "accepted " OTHER " in "));
        expect_err(f, "sendoff: /b.php: there is no script (422 Unprocessable Content)\n");
        free_plays(f, plays, 3);
        assert_int_equal(f->player.connections, 1);
        expect_request(f, 2, "GET /v1/send/c.php HTTP/1.1");
}

static void a_server_that_goes_away_ends_the_sending(void **state)
{
        struct play plays[] = { { .bytes = receipt(ID), .close = true } };
        struct fixture *f = *state;

        play(f, plays, 1);
        assert_int_equal(run(f, "send", "-X", "POST", "/a.php", "/b.php", "/c.php", NULL), 3);
        assert_non_null(strstr(f->out, ID));
        assert_null(strstr(strstr(f->err, "sendoff:") + 1, "sendoff:"));
        free_plays(f, plays, 1);
}

static void a_head_job_gets_its_receipt_from_the_location(void **state)
{
        struct play plays[] = {
                { .bytes = mem_dup("HTTP/1.1 202 Accepted\r\nLocation: /.sendoff/jobs/" ID
                                   "\r\nContent-Length: 99\r\n\r\n") },
                { .bytes = record(ID, "running", "null") },
                { .bytes = mem_dup("HTTP/1.1 202 Accepted\r\nContent-Length: 99\r\n\r\n") },
        };
        struct fixture *f = *state;

        play(f, plays, 3);
        assert_int_equal(run(f, "send", "-X", "HEAD", "--json", "/a.php", NULL), 0);
        assert_string_equal(f->out, "{\"id\":\"" ID "\",\"location\":\"/.sendoff/jobs/" ID
                                    "\",\"state\":\"running\"}\n");
        assert_int_equal(run(f, "send", "-X", "HEAD", "/a.php", NULL), 3);
        expect_err(f, "has no receipt");
        assert_string_equal(f->out, "");
        free_plays(f, plays, 3);
        expect_request(f, 0, "HEAD /v1/send/a.php HTTP/1.1");
}

static void an_answer_that_makes_no_sense_is_exit_code_3(void **state)
{
        static const struct {
                const char *reply, *sentence;
        } bad[] = {
                { "HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\n\r\nhello", "no JSON" },
                { "HTTP/1.1 202 Accepted\r\nContent-Length: 50\r\n\r\nhello",
                  "closed the connection before its reply was complete" },
                { "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 5\r\n\r\nhello",
                  "/a.php: refused (500 Internal Server Error)" },
                { "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "/a.php: refused (200 OK)" },
                { "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 48\r\n\r\n{\"detail\":\"the disk is "
                  "full (option data)\"     }",
                  "/a.php: the disk is full (option data) (503 Service Unavailable)" },
                { "220 smtp.example.org ESMTP\r\n\r\n", "sendoff: " },
        };
        struct fixture *f = *state;

        for (size_t i = 0; i < LENGTH(bad); i++) {
                const struct play one = { .bytes = bad[i].reply, .close = true };

                play(f, &one, 1);
                assert_int_equal(run(f, "/a.php", NULL), 3);
                expect_err(f, bad[i].sentence);
                assert_string_equal(f->out, "");
        }
}

static void the_request_carries_what_the_flags_say(void **state)
{
        struct play plays[] = { { .bytes = receipt(ID) } };
        struct fixture *f = *state;
        struct slice request;

        play(f, plays, 1);
        assert_int_equal(run(f, "/a.php?x=1", "-d", "a=1", "-H", "Host: example.org", "-H", "X-One: 1",
                             "--data-raw", "@b", NULL),
                         0);
        free_plays(f, plays, 1);
        request = buf_slice(&f->player.requests[0]);
        assert_true(slice_eq(
                request,
                SLICE("POST /v1/send/a.php?x=1 HTTP/1.1\r\nHost: example.org\r\nX-One: 1\r\n"
                      "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 6\r\n\r\na=1&@b")));
}

/* ---- wait ---- */

static void wait_asks_again_until_the_job_has_ended(void **state)
{
        struct play plays[] = { { .bytes = record(ID, "ready", "null") },
                                { .bytes = record(ID, "running", "null") },
                                { .bytes = record(ID, "succeeded", "200") } };
        struct fixture *f = *state;

        play(f, plays, 3);
        assert_int_equal(run(f, "wait", "/.sendoff/jobs/" ID, NULL), 0);
        assert_string_equal(f->out, ID "  succeeded\n");
        free_plays(f, plays, 3);
        assert_int_equal(f->player.played, 3);
        expect_request(f, 2, "GET /v1/jobs/" ID "?wait=20 HTTP/1.1");
}

static void wait_gives_up_at_its_timeout(void **state)
{
        struct play plays[] = { { .bytes = record(ID, "running", "null") },
                                { .bytes = record(ID, "running", "null") },
                                { .bytes = record(ID, "running", "null") } };
        struct fixture *f = *state;

        play(f, plays, 3);
        assert_int_equal(run(f, "wait", "--timeout", "300ms", ID, NULL), 1);
        assert_string_equal(f->out, ID "  running\n");
        expect_err(f, ID " has not ended in time; it goes on");
        free_plays(f, plays, 3);
        expect_request(f, 0, "GET /v1/jobs/" ID "?wait=1 HTTP/1.1");
}

static void the_worst_job_decides_the_exit_code(void **state)
{
        static const struct {
                const char *first, *second;
                int code;
        } cases[] = { { "succeeded", "succeeded", 0 },
                      { "failed", "succeeded", 1 },
                      { "succeeded", "dead", 1 },
                      { "cancelled", "failed", 1 } };
        struct fixture *f = *state;

        for (size_t i = 0; i < LENGTH(cases); i++) {
                struct play plays[] = { { .bytes = record(ID, cases[i].first, "200") },
                                        { .bytes = record(OTHER, cases[i].second, "200") } };

                play(f, plays, 2);
                assert_int_equal(run(f, "wait", ID, OTHER, NULL), cases[i].code);
                free_plays(f, plays, 2);
                assert_int_equal(f->player.played, 2);
        }
}

static void send_with_wait_prints_the_outputs_in_the_order_of_the_targets(void **state)
{
        struct play plays[] = {
                { .bytes = receipt(ID) },
                { .bytes = receipt(OTHER) },
                { .bytes = record(ID, "succeeded", "200") },
                { .bytes = reply("200 OK\r\nSendoff-Job: " ID, "first\n") },
                { .bytes = record(OTHER, "failed", "500") },
                { .bytes = reply("500 Internal Server Error\r\nSendoff-Job: " OTHER, "second\n") },
        };
        struct fixture *f = *state;

        play(f, plays, 6);
        assert_int_equal(run(f, "send", "--wait", "/a.php", "/b.php", NULL), 1);
        assert_string_equal(f->out, "first\nsecond\n");
        expect_err(f, "sendoff send: " OTHER " failed\n");
        free_plays(f, plays, 6);
        expect_request(f, 1, "GET /v1/send/b.php HTTP/1.1");
        expect_request(f, 3, "GET /v1/jobs/" ID "/result HTTP/1.1");
}

/* ---- result ---- */

static void a_result_that_is_not_there_touches_no_file(void **state)
{
        struct play plays[] = { { .bytes = problem("409 Conflict", "there is no result yet") },
                                { .bytes = problem("404 Not Found", "there is no such job") } };
        struct fixture *f = *state;
        char *path = path_in(f, "result");

        play(f, plays, 2);
        assert_int_equal(run(f, "result", ID, "-o", path, NULL), 3);
        expect_err(f, ID ": there is no result yet (409 Conflict)");
        assert_int_equal(access(path, F_OK), -1);
        assert_int_equal(run(f, "result", "-i", ID, NULL), 3);
        expect_err(f, "there is no such job");
        assert_string_equal(f->out, "");
        free_plays(f, plays, 2);
        free(path);
}

static void the_script_s_own_404_is_a_result(void **state)
{
        struct play plays[] = { { .bytes = reply("404 Not Found\r\nSendoff-Job: " ID, "nothing here\n") },
                                { .bytes = reply("404 Not Found\r\nSendoff-Job: " ID, "nothing here\n") } };
        struct fixture *f = *state;
        char *path = path_in(f, "result"), *text;

        play(f, plays, 2);
        assert_int_equal(run(f, "result", "--headers", ID, NULL), 0);
        assert_string_equal(f->out, "HTTP/1.1 404 Not Found\r\nSendoff-Job: " ID
                                    "\r\nContent-Length: 13\r\n\r\nnothing here\n");
        assert_int_equal(run(f, "result", "-o", path, ID, NULL), 0);
        text = read_file(path);
        assert_string_equal(text, "nothing here\n");
        assert_string_equal(f->out, "");
        free(text);
        free_plays(f, plays, 2);
        free(path);
}

static void a_result_that_is_cut_or_cannot_be_written_is_an_error(void **state)
{
        static const struct play cut = { .bytes = "HTTP/1.1 200 OK\r\nSendoff-Job: " ID
                                                  "\r\nContent-Length: 10\r\n\r\nhello",
                                         .close = true };
        struct play plays[] = { { .bytes = reply("200 OK\r\nSendoff-Job: " ID, "hello") },
                                { .bytes = reply("200 OK\r\nSendoff-Job: " ID, "hello") } };
        struct fixture *f = *state;

        play(f, &cut, 1);
        assert_int_equal(run(f, "result", ID, NULL), 3);
        expect_err(f, "closed the connection before its reply was complete");
        play(f, plays, 2);
        assert_int_equal(run(f, "result", ID, "-o", "/no/such/folder/x", NULL), 2);
        expect_err(f, "sendoff: cannot write /no/such/folder/x: No such file or directory\n");
        assert_int_equal(run(f, "result", ID, "-o", "/dev/full", NULL), 2);
        expect_err(f, "sendoff: cannot write /dev/full: No space left on device\n");
        free_plays(f, plays, 2);
}

/* ---- list and cancel ---- */

static char *page(unsigned count, const char *next)
{
        struct buf body;
        char *text, *all;

        buf_init(&body, 1 << 20);
        assert_int_equal(buf_append_str(&body, "{\"jobs\":["), 0);
        for (unsigned i = 0; i < count; i++)
                assert_int_equal(buf_printf(&body,
                                            "%s{\"id\":\"%s\",\"state\":\"ready\",\"method\":\"GET\","
                                            "\"target\":\"/a\",\"run\":0,\"runs\":[]}",
                                            i ? "," : "", ID),
                                 0);
        assert_int_equal(buf_printf(&body, "],\"next\":%s%s%s}", next ? "\"" : "", next ? next : "null",
                                    next ? "\"" : ""),
                         0);
        text = buf_take(&body);
        all = reply("200 OK", text);
        free(text);
        return all;
}

static unsigned lines(const char *text)
{
        unsigned n = 0;

        for (; *text; text++)
                n += *text == '\n';
        return n;
}

static void list_turns_pages_until_the_limit_or_the_end(void **state)
{
        struct play plays[] = {
                { .bytes = page(500, "c1") }, { .bytes = page(100, "c2") }, { .bytes = page(500, "c3") },
                { .bytes = page(7, NULL) },   { .bytes = page(0, NULL) },   { .bytes = page(2, "c4") },
        };
        struct fixture *f = *state;

        play(f, plays, 6);
        assert_int_equal(run(f, "list", "--json", "--limit", "600", "--state", "ready,held", NULL), 0);
        assert_int_equal(lines(f->out), 600);
        assert_int_equal(run(f, "list", "--all", NULL), 0);
        assert_int_equal(lines(f->out), 508);
        assert_true(strncmp(f->out, "ID ", 3) == 0);
        assert_int_equal(run(f, "list", NULL), 0);
        assert_string_equal(f->out, "no jobs\n");
        assert_int_equal(run(f, "list", "--limit", "2", NULL), 0);
        assert_int_equal(lines(f->out), 4);
        assert_non_null(strstr(f->out, "older ones"));
        free_plays(f, plays, 6);
        expect_request(f, 0, "GET /v1/jobs?limit=500&state=ready,held HTTP/1.1");
        expect_request(f, 1, "GET /v1/jobs?limit=100&state=ready,held&cursor=c1 HTTP/1.1");
        expect_request(f, 3, "GET /v1/jobs?limit=500&cursor=c3 HTTP/1.1");
        expect_request(f, 5, "GET /v1/jobs?limit=2 HTTP/1.1");
}

static void cancel_tells_done_from_under_way_from_too_late(void **state)
{
        struct play plays[] = { { .bytes = record(ID, "cancelled", "null") },
                                { .bytes = reply("202 Accepted", "{}") },
                                { .bytes = problem("409 Conflict", "the job has ended already") },
                                { .bytes = problem("404 Not Found", "there is no such job") } };
        struct fixture *f = *state;

        play(f, plays, 4);
        assert_int_equal(run(f, "cancel", ID, OTHER, NULL), 0);
        assert_string_equal(f->out, ID "  cancelled\n" OTHER "  is being ended\n");
        assert_int_equal(run(f, "cancel", ID, NULL), 1);
        expect_err(f, "the job has ended already");
        assert_int_equal(run(f, "cancel", ID, NULL), 3);
        assert_string_equal(f->out, "");
        free_plays(f, plays, 4);
        expect_request(f, 0, "POST /v1/jobs/" ID "/cancel HTTP/1.1");
}

/* ---- usage ---- */

static void a_mistake_in_the_flags_is_named_and_nothing_is_asked(void **state)
{
        static const struct {
                const char *words[5], *sentence;
        } bad[] = {
                { { "send", "/a", "--wiat" },
                  "sendoff send: --wiat: there is no such option; did you mean --wait?\nSee `sendoff send "
                  "--help`.\n" },
                { { "send", "/a", "--utterly-unknown=1" },
                  "sendoff send: --utterly-unknown: there is no such option\n" },
                { { "send", "/a", "--json=1" }, "sendoff send: --json takes no value\n" },
                { { "send", "/a", "--timeout" }, "sendoff send: --timeout: a value is missing\n" },
                { { "send", "/a", "-d" }, "sendoff send: -d: a value is missing\n" },
                { { "send", "/a", "-Z" }, "sendoff send: -Z: there is no such option\n" },
                { { "send", "/a", "--timeout", "5x" },
                  "sendoff send: --timeout: '5x' is not a time (1ms … 30d, seconds without a unit)\n" },
                { { "send", "/a", "--timeout", "0" }, "sendoff send: --timeout: '0' is not a time" },
                { { "send", "/a", "--timeout", "31d" }, "sendoff send: --timeout: '31d' is not a time" },
                { { "/a", "--wiat" }, "sendoff send: --wiat: there is no such option; did you mean --wait?" },
                { { "send", "--" }, "a target is missing" },
                { { "send", "-G", "--", "ls" }, "-G: a program has no query" },
                { { "send", "/a", "--retries", "901" },
                  "sendoff send: --retries: a whole number from 0 to 900 is wanted, not '901'\n" },
                { { "send", "/a", "--retrise", "5" },
                  "sendoff send: --retrise: there is no such option; did you mean --retries?" },
                { { "retry", "--state", "dead&x=1", "--yes" }, "sendoff retry: --state takes names" },
                { { "retry", "--state", "dead" }, "say --yes" },
                { { "send", "/a", "--at", "2026-02-30 08:00" }, "--at: a time is wanted" },
                { { "send", "/a", "--delay=1m", "--at=2026-12-01 08:00" }, "give --delay or --at" },
                { { "log", ID, ID }, "one job at a time" },
                { { "send" }, "a target is missing" },
                { { "list", "--limit", "x" }, "sendoff list: --limit: 'x' is not a number (1 … 1000000)" },
                { { "list", "--limit", "0" }, "sendoff list: --limit: '0' is not a number" },
                { { "list", "--limit", "1000001" }, "sendoff list: --limit: '1000001' is not a number" },
                { { "list", "--state", "" }, "sendoff list: --state takes names" },
                { { "list", "--state", "ready&limit=9" }, "sendoff list: --state takes names" },
                { { "list", "extra" }, "sendoff list: 'extra': not expected here" },
                { { "wait" }, "sendoff wait: which job? An id is missing" },
                { { "wait", ID, "0" }, "sendoff wait: '0' is no job id" },
                { { "show", ID "x" }, "is no job id" },
                { { "cancel", "x" ID }, "is no job id" },
                { { "cancel", ID, "--force" }, "sendoff cancel: --force: there is no such option" },
                { { "result", ID, ID }, "one job id is wanted" },
                { { "result", "--server", "nonsense", ID }, "unix:PATH or http://HOST:PORT is wanted" },
                { { "config", "--wrokers", "3" },
                  "sendoff config: --wrokers: there is no such option; did you mean --workers?" },
                { { "serve", "--body-max", "64X" },
                  "sendoff serve: --body-max: '64X' is not a size (0 … 1T, e.g. 256M)" },
        };
        struct fixture *f = *state;

        play(f, NULL, 0);
        for (size_t i = 0; i < LENGTH(bad); i++) {
                const char *const *w = bad[i].words;

                assert_int_equal(run(f, w[0], w[1], w[2], w[3], w[4], NULL), 2);
                expect_err(f, bad[i].sentence);
                assert_string_equal(f->out, "");
        }
        stop(f);
        assert_int_equal(f->player.connections, 0);
}

static void help_goes_to_stdout_whatever_else_is_there(void **state)
{
        static const char *const words[][3] = {
                { "send", "--help" },  { "send", "-h" },       { "/a.php", "--help" },
                { "list", "-h" },      { "show", "--help" },   { "wait", "--help" },
                { "result", "-h" },    { "cancel", "--help" }, { "log", "-h" },
                { "retry", "--help" }, { "config", "-h" },     { "config", "--help" },
                { "serve", "-h" },     { "--help" },           { "help" },
        };
        struct fixture *f = *state;

        for (size_t i = 0; i < LENGTH(words); i++) {
                assert_int_equal(run(f, words[i][0], words[i][1], NULL), 0);
                assert_non_null(strstr(f->out, "usage: sendoff"));
                assert_string_equal(f->err, "");
        }
        assert_int_equal(run(f, "--version", NULL), 0);
        assert_string_equal(f->out, "sendoff " SENDOFF_VERSION "\n");
}

static void help_keeps_to_eighty_columns(void **state)
{
        static const char *const verbs[] = { "serve",  "send",   "list",  "show", "wait",
                                             "result", "cancel", "retry", "log",  "config" };
        struct fixture *f = *state;

        for (size_t i = 0; i < LENGTH(verbs); i++) {
                char *line, *rest;

                assert_int_equal(run(f, verbs[i], "--help", NULL), 0);
                for (line = strtok_r(f->out, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
                        size_t wide = 0;

                        for (const char *c = line; *c; c++)
                                wide += ((unsigned char)*c & 0xc0) != 0x80;
                        if (wide > 80)
                                assert_string_equal(line, "at most 80 columns");
                }
        }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, program_setup, program_teardown)
        const struct CMUnitTest tests[] = {
                TEST(a_refused_target_does_not_keep_the_others_back),
                TEST(a_server_that_goes_away_ends_the_sending),
                TEST(a_head_job_gets_its_receipt_from_the_location),
                TEST(an_answer_that_makes_no_sense_is_exit_code_3),
                TEST(the_request_carries_what_the_flags_say),
                TEST(wait_asks_again_until_the_job_has_ended),
                TEST(wait_gives_up_at_its_timeout),
                TEST(the_worst_job_decides_the_exit_code),
                TEST(send_with_wait_prints_the_outputs_in_the_order_of_the_targets),
                TEST(a_result_that_is_not_there_touches_no_file),
                TEST(the_script_s_own_404_is_a_result),
                TEST(a_result_that_is_cut_or_cannot_be_written_is_an_error),
                TEST(list_turns_pages_until_the_limit_or_the_end),
                TEST(cancel_tells_done_from_under_way_from_too_late),
                TEST(a_mistake_in_the_flags_is_named_and_nothing_is_asked),
                TEST(help_goes_to_stdout_whatever_else_is_there),
                TEST(help_keeps_to_eighty_columns),
        };

        return cmocka_run_group_tests_name("cmd/verbs", tests, NULL, NULL);
}
