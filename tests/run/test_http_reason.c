/* run/http_reason.c: no complete answer, at every stage: the sentence, and whether another try can help. */
#include "http_rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/mem.h"
#include "run/http_reason.h"

/* ---- pure ---- */

static const struct {
        struct http_failure f;
        const char *reason;
        bool may_pass;
} sentences[] = {
        { { .code = CURLE_COULDNT_RESOLVE_HOST }, "the name h.example cannot be resolved", true },
        { { .code = CURLE_COULDNT_CONNECT, .os_error = ECONNREFUSED },
          "connection to h.example:1 refused",
          true },
        { { .code = CURLE_COULDNT_CONNECT, .os_error = EHOSTUNREACH },
          "no connection to h.example:1: No route to host",
          true },
        { { .code = CURLE_COULDNT_CONNECT }, "no connection to h.example:1: words", true },
        { { .code = CURLE_OPERATION_TIMEDOUT },
          "the name h.example was not resolved within 1500ms (option http_connect_timeout)",
          true },
        { { .code = CURLE_OPERATION_TIMEDOUT, .resolved = true },
          "no connection to h.example:1 within 1500ms (option http_connect_timeout)",
          true },
        { { .code = CURLE_OPERATION_TIMEDOUT, .resolved = true, .https = true },
          "no TLS connection to h.example:1 within 1500ms (option http_connect_timeout)",
          true },
        { { .code = CURLE_PEER_FAILED_VERIFICATION },
          "the certificate of h.example:1 is not valid: words",
          false },
        { { .code = CURLE_SSL_CACERT_BADFILE },
          "the certificates to check h.example:1 with cannot be read (option http_ca_file): words",
          false },
        { { .code = CURLE_SSL_CONNECT_ERROR }, "no TLS with h.example:1: words", true },
        { { .code = CURLE_WEIRD_SERVER_REPLY }, "what h.example:1 answered is not HTTP: words", true },
        { { .code = CURLE_GOT_NOTHING }, "no answer from h.example:1: the connection was closed", true },
        { { .code = CURLE_RECV_ERROR, .os_error = ECONNRESET },
          "no answer from h.example:1: the connection was reset",
          true },
        { { .code = CURLE_RECV_ERROR, .os_error = ECONNRESET, .got = 512 },
          "no answer from h.example:1: the connection was reset after 512 bytes",
          true },
        { { .code = CURLE_RECV_ERROR, .os_error = ETIMEDOUT },
          "no answer from h.example:1: Connection timed out",
          true },
        { { .code = CURLE_RECV_ERROR }, "no answer from h.example:1: words", true },
        { { .code = CURLE_SEND_ERROR, .os_error = EPIPE, .sent = 10, .body = 20 },
          "no answer from h.example:1: the connection was reset after 10 of 20 bytes of the "
          "request's body",
          true },
        { { .code = CURLE_PARTIAL_FILE, .head_done = true, .got = 3, .length = 10 },
          "the reply of h.example:1 was cut short after 3 of 10 bytes: the connection was closed",
          true },
        { { .code = CURLE_RECV_ERROR, .os_error = ECONNRESET, .head_done = true, .length = -1 },
          "the reply of h.example:1 was cut short after 0 bytes: the connection was reset",
          true },
        { { .code = CURLE_HTTP2_STREAM }, "no answer from h.example:1: words", true },
};

static void every_failure_has_its_sentence(void **state)
{

        for (size_t i = 0; i < sizeof(sentences) / sizeof(sentences[0]); i++) {
                struct http_failure f = sentences[i].f;
                struct job_run how = { 0 };

                f.where = "h.example:1";
                f.host = "h.example";
                f.error = "words";
                f.connect_ms = 1500;
                http_reason(&f, &how);
                assert_string_equal(how.reason, sentences[i].reason);
                assert_int_equal(how.may_pass, sentences[i].may_pass);
        }
}

/* ---- over the wire ---- */

/* reason: with ":0" in place of the origin's port. */
static void assert_fails(struct call *call, const char *reason, bool may_pass)
{
        const char *port = strstr(reason, ":0");
        char *expected = port ? mem_printf("%.*s:%d%s", (int)(port - reason), reason,
                                           call->bench->origin.port, port + 2)
                              : mem_dup(reason);

        call_until_end(call);
        assert_int_equal(call->how.outcome, RUN_FAILED);
        assert_reason(call, expected);
        assert_int_equal(call->how.may_pass, may_pass);
        free(expected);
        call_fini(call);
}

static void a_refused_connection_is_told(void **state)
{
        struct bench *bench = *state;
        struct call call;

        call_init(&call, bench, "GET", "/");
        uv_close((uv_handle_t *)&bench->origin.listener, NULL);
        bench_turns(bench, 2);
        call_start(&call);
        assert_fails(&call, "connection to 127.0.0.1:0 refused", true);
}

static void a_name_that_is_none_is_told(void **state)
{
        struct bench *bench = *state;
        struct call call;

        call_init(&call, bench, "GET", "http://user:secret@no-such-name.invalid/");
        call_start(&call);
        assert_fails(&call, "the name no-such-name.invalid cannot be resolved", true);
}

/* The listener's queue is full: nobody answers a SYN. */
static void a_connection_that_takes_too_long_is_told(void **state)
{
        struct http_config config = bench_config();
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t len = sizeof(address);
        int listener, fillers[4];
        struct bench bench;
        struct call call;
        char *url, *reason;

        config.connect_timeout_ms = 100;
        bench_open(&bench, &config);
        listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
        assert_int_equal(listen(listener, 0), 0);
        assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
        for (int i = 0; i < 4; i++) {
                fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
                (void)!connect(fillers[i], (struct sockaddr *)&address, len);
        }
        url = mem_printf("http://127.0.0.1:%d/", ntohs(address.sin_port));
        reason = mem_printf("no connection to 127.0.0.1:%d within 100ms (option http_connect_timeout)",
                            ntohs(address.sin_port));
        call_init(&call, &bench, "GET", url);
        call_run(&call);
        assert_reason(&call, reason);
        assert_true(call.how.may_pass);
        call_fini(&call);
        free(url);
        free(reason);
        for (int i = 0; i < 4; i++)
                close(fillers[i]);
        close(listener);
        bench_close(&bench);
}

static void no_socket_is_told(void **state)
{
        struct bench *bench = *state;
        struct rlimit before, none;
        struct call call;

        bench->origin.answer = origin_hello;
        call_init(&call, bench, "GET", "/"); /* so that libcurl is loaded */
        call_run(&call);
        assert_answered(&call, 200);
        call_fini(&call);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        none = before;
        none.rlim_cur = 3;
        call_init(&call, bench, "GET", "http://127.0.0.1:9/");
        call_start(&call);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        call_until_end(&call);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_int_equal(call.how.outcome, RUN_FAILED);
        assert_reason(&call, "no connection to 127.0.0.1:9: Too many open files");
        assert_true(call.how.may_pass);
        call_fini(&call);
}

static void say_and_reset(struct visit *v, const char *text)
{
        visit_say(v, text);
        v->drained = visit_reset;
}

static void reset_at_once(struct visit *v)
{
        visit_reset(v);
}

static void reset_in_status_line(struct visit *v)
{
        say_and_reset(v, "HTTP/1.1 20");
}

static void reset_in_head(struct visit *v)
{
        say_and_reset(v, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n");
}

static void reset_after_head(struct visit *v)
{
        say_and_reset(v, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
}

static void reset_in_body(struct visit *v)
{
        say_and_reset(v, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123");
}

static void reset_in_chunk(struct visit *v)
{
        say_and_reset(v, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123");
}

static void reset_without_length(struct visit *v)
{
        say_and_reset(v, "HTTP/1.0 200 OK\r\n\r\n0123");
}

static void close_at_once(struct visit *v)
{
        visit_end(v);
}

static void close_in_head(struct visit *v)
{
        visit_say(v, "HTTP/1.1 200 OK\r\nX-A: 1\r\n");
        visit_end(v);
}

static void close_in_body(struct visit *v)
{
        visit_say(v, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123");
        visit_end(v);
}

static void close_in_chunk(struct visit *v)
{
        visit_say(v, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123");
        visit_end(v);
}

static void connections_that_end_too_early_are_told(void **state)
{
        static const struct {
                void (*answer)(struct visit *v);
                const char *reason;
        } cases[] = {
                { reset_at_once, "no answer from 127.0.0.1:0: the connection was reset" },
                { reset_in_status_line, "no answer from 127.0.0.1:0: the connection was reset" },
                { reset_in_head, "no answer from 127.0.0.1:0: the connection was reset after 37 bytes" },
                { reset_after_head,
                  "the reply of 127.0.0.1:0 was cut short after 0 of 10 bytes: the connection was reset" },
                { reset_in_body,
                  "the reply of 127.0.0.1:0 was cut short after 4 of 10 bytes: the connection was reset" },
                { reset_in_chunk,
                  "the reply of 127.0.0.1:0 was cut short after 4 bytes: the connection was reset" },
                { reset_without_length,
                  "the reply of 127.0.0.1:0 was cut short after 4 bytes: the connection was reset" },
                { close_at_once, "no answer from 127.0.0.1:0: the connection was closed" },
                { close_in_head, "no answer from 127.0.0.1:0: the connection was closed after 25 bytes" },
                { close_in_body,
                  "the reply of 127.0.0.1:0 was cut short after 4 of 10 bytes: the connection was closed" },
                { close_in_chunk,
                  "the reply of 127.0.0.1:0 was cut short after 4 bytes: the connection was closed" },
        };
        struct bench *bench = *state;

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct call call;

                bench->origin.answer = cases[i].answer;
                call_init(&call, bench, "GET", "/");
                call_start(&call);
                assert_fails(&call, cases[i].reason, true);
        }
        assert_int_equal(bench->origin.requests, sizeof(cases) / sizeof(cases[0])); /* none was asked twice */
}

static void what_came_before_a_reset_is_delivered(void **state)
{
        struct bench *bench = *state;
        struct call call;

        bench->origin.answer = reset_in_body;
        call_init(&call, bench, "GET", "/");
        call_run(&call);
        assert_int_equal(call.how.outcome, RUN_FAILED);
        assert_int_equal(call.how.status, 200);
        assert_string_equal(call_text(&call), "0123");
        call_fini(&call);
}

static void reset_while_reading(struct visit *v)
{
        if (v->bytes > 1 << 20)
                visit_reset(v);
}

static void a_connection_that_is_reset_while_it_is_sent_to_is_told(void **state)
{
        struct bench *bench = *state;
        struct call call;
        uint64_t sent = 0, of = 0;
        char *start;

        bench->origin.heard = reset_while_reading;
        bench->origin.answer = reset_at_once;
        call_init(&call, bench, "POST", "/");
        call_body_pattern(&call, 50 << 20);
        call_run(&call);
        assert_int_equal(call.how.outcome, RUN_FAILED);
        assert_true(call.how.may_pass);
        start = mem_printf("no answer from 127.0.0.1:%d: the connection was reset after ",
                           bench->origin.port);
        assert_memory_equal(call.how.reason, start, strlen(start));
        assert_int_equal(
                sscanf(call.how.reason + strlen(start), "%ju of %ju bytes of the request's body", &sent, &of),
                2);
        assert_true(sent >= 1 << 20 && sent < 50 << 20);
        assert_int_equal(of, 50 << 20);
        free(start);
        call_fini(&call);
}

static void say_garbage(struct visit *v)
{
        visit_say(v, "\x16\x03\x01 what is this\r\n\r\n");
        visit_end(v);
}

static void say_another_protocol(struct visit *v)
{
        visit_say(v, "SSH-2.0-OpenSSH_9.2p1 Debian\r\n");
        visit_end(v);
}

static void say_no_status(struct visit *v)
{
        visit_say(v, "HTTP/1.1 abc OK\r\n\r\n");
        visit_end(v);
}

static void what_is_no_http_is_told(void **state)
{
        static void (*const answers[])(struct visit * v) = { say_garbage, say_another_protocol,
                                                             say_no_status };
        struct bench *bench = *state;
        char *start = mem_printf("what 127.0.0.1:%d answered is not HTTP: ", bench->origin.port);

        for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
                struct call call;

                bench->origin.answer = answers[i];
                call_init(&call, bench, "GET", "/");
                call_run(&call);
                assert_int_equal(call.how.outcome, RUN_FAILED);
                assert_true(call.how.may_pass);
                assert_false(call.headed);
                assert_memory_equal(call.how.reason, start, strlen(start));
                call_fini(&call);
        }
        free(start);
}

static void say_odd_field(struct visit *v)
{
        visit_say(v, "HTTP/1.1 200 OK\r\nX Y: 1\r\nContent-Length: 0\r\n\r\n");
}

static void a_malformed_head_is_told(void **state)
{
        struct bench *bench = *state;
        struct call call;

        bench->origin.answer = say_odd_field;
        call_init(&call, bench, "GET", "/");
        call_start(&call);
        assert_fails(&call, "the reply of 127.0.0.1:0 cannot be used: its head is malformed (a header field)",
                     true);
}

static void say_many_fields(struct visit *v)
{
        visit_say(v, "HTTP/1.1 200 OK\r\n");
        for (int i = 0; i < CGI_HEADERS_MAX + 1; i++)
                visit_say(v, "X-A: 1\r\n");
        visit_say(v, "Content-Length: 0\r\n\r\n");
}

static void say_long_head(struct visit *v)
{
        char line[1100];

        snprintf(line, sizeof(line), "X-A: %01024d\r\n", 0);
        visit_say(v, "HTTP/1.1 200 OK\r\n");
        for (int i = 0; i < 70; i++)
                visit_say(v, line);
        visit_say(v, "Content-Length: 0\r\n\r\n");
}

static void say_endless_line(struct visit *v)
{
        char piece[8192];

        memset(piece, 'a', sizeof(piece));
        if (v->left++ == 0)
                visit_say(v, "HTTP/1.1 200 OK\r\nX-A: ");
        v->drained = say_endless_line;
        visit_write(v, piece, sizeof(piece));
}

static void a_head_without_measure_is_told(void **state)
{
        struct bench *bench = *state;
        struct call call;

        bench->origin.answer = say_many_fields;
        call_init(&call, bench, "GET", "/");
        call_start(&call);
        assert_fails(&call, "the reply of 127.0.0.1:0 cannot be used: its head has more than 256 fields",
                     false);
        bench->origin.answer = say_long_head;
        call_init(&call, bench, "GET", "/");
        call_start(&call);
        assert_fails(&call, "the reply of 127.0.0.1:0 cannot be used: its head is longer than 65536 bytes",
                     false);
        bench->origin.answer = say_endless_line;
        call_init(&call, bench, "GET", "/");
        call_run(&call);
        assert_int_equal(call.how.outcome, RUN_FAILED);
        assert_false(call.headed);
        assert_true(call.how.reason[0]);
        call_fini(&call);
}

static void switch_protocols(struct visit *v)
{
        visit_say(v, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nhello");
        visit_end(v);
}

static void a_switch_of_protocols_is_no_answer(void **state)
{
        struct bench *bench = *state;
        struct call call;

        bench->origin.answer = switch_protocols;
        call_init(&call, bench, "GET", "/");
        call_start(&call);
        assert_fails(&call, "what 127.0.0.1:0 answered is no reply", true);
}

/* The file of the body is cut while it is sent. */
static void cut_the_body(struct visit *v)
{
        struct call *call = v->origin->bench->loop.data;

        if (v->bytes > 1 << 20)
                assert_int_equal(ftruncate(call->request.body.fd, 10), 0);
}

static void a_body_that_cannot_be_read_is_told(void **state)
{
        struct bench *bench = *state;
        struct call call;

        bench->loop.data = &call;
        bench->origin.heard = cut_the_body;
        bench->origin.answer = origin_hello;
        call_init(&call, bench, "POST", "/");
        call_body_pattern(&call, 50 << 20);
        call_run(&call);
        assert_int_equal(call.how.outcome, RUN_FAILED);
        assert_reason(&call, "the request's body cannot be read: it is shorter than it was");
        call_fini(&call);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_failure_has_its_sentence),
                TEST(a_refused_connection_is_told),
                TEST(a_name_that_is_none_is_told),
                cmocka_unit_test(a_connection_that_takes_too_long_is_told),
                TEST(no_socket_is_told),
                TEST(connections_that_end_too_early_are_told),
                TEST(what_came_before_a_reset_is_delivered),
                TEST(a_connection_that_is_reset_while_it_is_sent_to_is_told),
                TEST(what_is_no_http_is_told),
                TEST(a_malformed_head_is_told),
                TEST(a_head_without_measure_is_told),
                TEST(a_switch_of_protocols_is_no_answer),
                TEST(a_body_that_cannot_be_read_is_told),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
