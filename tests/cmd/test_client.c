/* lib/client.h against a server that plays fixed bytes: every framing, every way to be cut short. */
#include "lib/client.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "player.h"

#define LENGTH(array) (sizeof(array) / sizeof(array[0]))
#define OK_HEAD       "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"

struct fixture {
        struct player player;
        struct client *client;
        struct client_reply reply;
        struct cause cause;
        bool playing;
};

static int setup(void **state)
{
        *state = mem_alloc(sizeof(struct fixture));
        return 0;
}

static void stop(struct fixture *f)
{
        if (f->playing)
                player_stop(&f->player);
        f->playing = false;
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        client_free(f->client);
        stop(f);
        player_fini(&f->player);
        client_reply_fini(&f->reply);
        free(f);
        return 0;
}

static void play(struct fixture *f, const struct play *plays, size_t count)
{
        client_free(f->client);
        f->client = NULL;
        stop(f);
        player_fini(&f->player);
        player_start(&f->player, plays, count);
        f->playing = true;
        assert_int_equal(client_new(&f->client, f->player.address, 20000, &f->cause), 0);
}

static int ask(struct fixture *f, const char *method, const char *headers, const struct spool *body,
               const struct client_sink *sink)
{
        const struct client_request request = {
                .method = method, .path = "/x?y=1", .headers = slice_of(headers), .body = body
        };

        client_reply_fini(&f->reply);
        f->cause.text[0] = '\0';
        return client_ask(f->client, &request, sink, &f->reply, &f->cause);
}

static void expect_body(struct fixture *f, const char *body)
{
        assert_true(slice_eq(buf_slice(&f->reply.body), slice_of(body)));
}

/* ---- whole replies ---- */

static void reads_every_framing_whole_or_byte_by_byte(void **state)
{
        static const char *const replies[] = {
                "HTTP/1.1 200 OK\r\nContent-Length: 11\r\nX-Note: a b\r\n\r\nhello world",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Note: a "
                "b\r\n\r\n5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: x\r\n\r\n",
                "HTTP/1.1 200 OK\r\nX-Note: a b\r\n\r\nhello world",
                "HTTP/1.0 200 OK\r\nX-Note: a b\r\n\r\nhello world",
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 "
                "OK\r\nContent-Length: 11\r\nX-Note: a b\r\n\r\nhello world",
        };
        struct fixture *f = *state;

        for (size_t i = 0; i < 2 * LENGTH(replies); i++) {
                const struct play one = { .bytes = replies[i / 2], .close = true, .drip = i % 2 };

                play(f, &one, 1);
                assert_int_equal(ask(f, "GET", "", NULL, NULL), 0);
                assert_int_equal(f->reply.status, 200);
                expect_body(f, "hello world");
                assert_true(slice_eq(client_reply_header(&f->reply, SLICE("x-NOTE")), SLICE("a b")));
                assert_null(client_reply_header(&f->reply, SLICE("link")).ptr);
        }
}

static void a_reply_without_a_body_is_not_waited_for(void **state)
{
        static const struct play plays[] = {
                { .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" },
                { .bytes = "HTTP/1.1 204 No Content\r\n\r\n" },
                { .bytes = "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n" },
                { .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" },
        };
        static const char *const methods[] = { "HEAD", "GET", "GET", "GET" };
        struct fixture *f = *state;

        play(f, plays, LENGTH(plays));
        for (size_t i = 0; i < LENGTH(plays); i++) {
                assert_int_equal(ask(f, methods[i], "", NULL, NULL), 0);
                expect_body(f, "");
        }
        stop(f);
        assert_int_equal(f->player.connections, 1);
}

static void keeps_the_connection_until_the_server_wants_it_closed(void **state)
{
        static const struct play plays[] = {
                { .bytes = OK_HEAD "first" },
                { .bytes = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 6\r\n\r\nsecond",
                  .close = true },
                { .bytes = OK_HEAD "third" },
        };
        struct fixture *f = *state;

        play(f, plays, LENGTH(plays));
        assert_int_equal(ask(f, "POST", "", NULL, NULL), 0);
        expect_body(f, "first");
        assert_int_equal(ask(f, "POST", "", NULL, NULL), 0);
        expect_body(f, "second");
        assert_int_equal(ask(f, "POST", "", NULL, NULL), 0);
        expect_body(f, "third");
        stop(f);
        assert_int_equal(f->player.connections, 2);
}

/* ---- requests ---- */

static void sends_exactly_what_was_asked_for(void **state)
{
        static const struct play plays[] = { { .bytes = OK_HEAD "hello" },
                                             { .bytes = OK_HEAD "hello" },
                                             { .bytes = OK_HEAD "hello" } };
        struct fixture *f = *state;
        struct spool body;

        spool_init(&body, -1, 100, 100);
        assert_int_equal(spool_write(&body, "a=1&b=2", 7), 0);
        play(f, plays, LENGTH(plays));
        assert_int_equal(ask(f, "PUT", "X-One: 1\r\nX-Two: 2\r\n", &body, NULL), 0);
        assert_int_equal(ask(f, "GET", "host: example.org:81\r\n", NULL, NULL), 0);
        spool_fini(&body);
        spool_init(&body, -1, 100, 100);
        assert_int_equal(ask(f, "POST", "", &body, NULL), 0);
        spool_fini(&body);
        stop(f);
        assert_true(slice_eq(buf_slice(&f->player.requests[0]),
                             SLICE("PUT /x?y=1 HTTP/1.1\r\nHost: localhost\r\nX-One: 1\r\nX-Two: "
                                   "2\r\nContent-Length: 7\r\n\r\na=1&b=2")));
        assert_true(slice_eq(buf_slice(&f->player.requests[1]),
                             SLICE("GET /x?y=1 HTTP/1.1\r\nhost: example.org:81\r\n\r\n")));
        assert_true(slice_eq(buf_slice(&f->player.requests[2]),
                             SLICE("POST /x?y=1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")));
}

static void sends_a_large_body_from_its_file(void **state)
{
        static const struct play plays[] = { { .bytes = OK_HEAD "hello" } };
        size_t size = (3 << 20) + 17;
        struct fixture *f = *state;
        char *bytes = mem_alloc(size);
        int dir = open("/tmp", O_RDONLY | O_DIRECTORY);
        struct spool body;
        struct slice got;

        for (size_t i = 0; i < size; i++)
                bytes[i] = (char)(i * 7 + i / 251);
        spool_init(&body, dir, 1024, size);
        assert_int_equal(spool_write(&body, bytes, size), 0);
        play(f, plays, 1);
        assert_int_equal(ask(f, "POST", "", &body, NULL), 0);
        spool_fini(&body);
        close(dir);
        stop(f);
        got = player_body(&f->player, 0);
        assert_int_equal(got.len, size);
        assert_memory_equal(got.ptr, bytes, size);
        free(bytes);
}

static void hears_a_refusal_that_comes_before_the_body_was_sent(void **state)
{
        static const struct play plays[] = {
                { .bytes = "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: "
                           "5\r\n\r\nlarge",
                  .early = true,
                  .hold = true,
                  .close = true },
        };
        size_t size = 100000;
        struct fixture *f = *state;
        char *bytes = mem_alloc(size);
        struct spool body;

        spool_init(&body, -1, size, size);
        assert_int_equal(spool_write(&body, bytes, size), 0);
        play(f, plays, 1);
        assert_int_equal(ask(f, "POST", "", &body, NULL), 0);
        assert_int_equal(f->reply.status, 413);
        expect_body(f, "large");
        spool_fini(&body);
        free(bytes);
}

static void refuses_a_head_that_passes_its_bound(void **state)
{
        static const struct play plays[] = { { .bytes = OK_HEAD "hello" } };
        size_t size = JOB_HEADERS_MAX + (256 << 10);
        char *headers = mem_alloc(size + 1);
        struct fixture *f = *state;

        memset(headers, 'x', size);
        play(f, plays, 1);
        assert_int_equal(ask(f, "GET", headers, NULL, NULL), -EMSGSIZE);
        assert_string_equal(f->cause.text, "the request's head is too large");
        free(headers);
}

/* ---- what goes wrong ---- */

static void a_reply_that_is_cut_short_is_an_error_never_a_short_body(void **state)
{
        static const char *const cut[] = {
                "",
                "HTTP/1.1 200 OK\r\nContent-Le",
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\nhello",
                "HTTP/1.1 100 Continue\r\n\r\n",
        };
        struct fixture *f = *state;

        for (size_t i = 0; i < LENGTH(cut); i++) {
                const struct play one = { .bytes = cut[i], .close = true };
                char wanted[200];

                play(f, &one, 1);
                assert_int_equal(ask(f, "GET", "", NULL, NULL), -ECONNRESET);
                snprintf(wanted, sizeof(wanted), "%s closed the connection before its reply was complete",
                         f->player.address);
                assert_string_equal(f->cause.text, wanted);
        }
}

static void a_malformed_reply_is_named(void **state)
{
        static const char *const bad[] = {
                "SSH-2.0-OpenSSH_9\r\n\r\n",
                "HTTP/1.1 OK\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n",
        };
        struct fixture *f = *state;

        for (size_t i = 0; i < LENGTH(bad); i++) {
                const struct play one = { .bytes = bad[i], .close = true };

                play(f, &one, 1);
                assert_int_equal(ask(f, "GET", "", NULL, NULL), -EPROTO);
                assert_true(f->cause.text[0] != '\0');
        }
}

static void a_head_without_end_is_given_up(void **state)
{
        size_t size = 200 << 10;
        struct fixture *f = *state;
        char *bytes = mem_alloc(size + 1);
        struct play one = { .bytes = bytes, .hold = true };

        memset(bytes, 'x', size);
        memcpy(bytes, "HTTP/1.1 200 OK\r\nX: ", 20);
        play(f, &one, 1);
        assert_int_equal(ask(f, "GET", "", NULL, NULL), -EPROTO);
        assert_non_null(strstr(f->cause.text, "longer than 65536 bytes"));
        client_free(f->client);
        f->client = NULL;
        stop(f);
        free(bytes);
}

static void silence_longer_than_the_timeout_ends_it(void **state)
{
        static const char *const begun[] = { "", "HTTP/1.1 200 OK\r\nConte", OK_HEAD "hel" };
        struct fixture *f = *state;

        for (size_t i = 0; i < LENGTH(begun); i++) {
                const struct play one = { .bytes = begun[i], .hold = true };

                play(f, &one, 1);
                client_set_timeout(f->client, 50);
                assert_int_equal(ask(f, "GET", "", NULL, NULL), -ETIMEDOUT);
                assert_non_null(strstr(f->cause.text, "timed out"));
                assert_non_null(strstr(f->cause.text, f->player.address));
        }
}

static void nobody_listening_is_a_condition_of_its_own(void **state)
{
        static const char *const nowhere[] = { "unix:/tmp/no/such/socket", "http://127.0.0.1:1",
                                               "http://no-such-host.invalid:80" };
        struct fixture *f = *state;
        char *longest = mem_printf("unix:/%0200d", 0);

        for (size_t i = 0; i <= LENGTH(nowhere); i++) {
                const char *server = i < LENGTH(nowhere) ? nowhere[i] : longest;

                assert_int_equal(client_new(&f->client, server, 20000, &f->cause), 0);
                assert_int_equal(ask(f, "GET", "", NULL, NULL), CLIENT_NO_SERVER);
                assert_non_null(strstr(f->cause.text, server));
                client_free(f->client);
                f->client = NULL;
        }
        free(longest);
}

static void a_server_is_unix_path_or_host_and_port(void **state)
{
        static const char *const good[] = { "unix:/a", "http://127.0.0.1:80", "http://[::1]:80/",
                                            "localhost:80", "unix:relative" };
        static const char *const bad[] = { "",
                                           "unix:",
                                           "http://127.0.0.1",
                                           "http://:80",
                                           "http://host:",
                                           "https://host:443/x",
                                           "http://host:80/path",
                                           "/run/socket" };
        struct fixture *f = *state;

        for (size_t i = 0; i < LENGTH(good); i++) {
                assert_int_equal(client_new(&f->client, good[i], 0, &f->cause), 0);
                client_free(f->client);
                f->client = NULL;
        }
        for (size_t i = 0; i < LENGTH(bad); i++) {
                assert_int_equal(client_new(&f->client, bad[i], 0, &f->cause), -EINVAL);
                assert_non_null(strstr(f->cause.text, "unix:PATH or http://HOST:PORT is wanted"));
                assert_null(f->client);
        }
}

static void a_get_is_sent_again_when_the_kept_connection_was_closed(void **state)
{
        static const struct play plays[] = { { .bytes = OK_HEAD "first", .close = true },
                                             { .bytes = OK_HEAD "again" } };
        struct fixture *f = *state;

        play(f, plays, 2);
        assert_int_equal(ask(f, "GET", "", NULL, NULL), 0);
        assert_int_equal(ask(f, "GET", "", NULL, NULL), 0);
        expect_body(f, "again");
        stop(f);
        assert_int_equal(f->player.connections, 2);
}

static void a_post_is_never_sent_again(void **state)
{
        static const struct play plays[] = { { .bytes = OK_HEAD "first" },
                                             { .bytes = "", .close = true },
                                             { .bytes = OK_HEAD "third" } };
        struct fixture *f = *state;
        int r;

        play(f, plays, 3);
        assert_int_equal(ask(f, "POST", "", NULL, NULL), 0);
        r = ask(f, "POST", "", NULL, NULL);
        assert_true(r == -ECONNRESET || r == -EPIPE);
        stop(f);
        assert_int_equal(f->player.played, 2);
        assert_int_equal(f->player.connections, 1);
}

static void a_get_that_began_to_be_answered_is_not_sent_again(void **state)
{
        static const struct play plays[] = { { .bytes = OK_HEAD "first" },
                                             { .bytes = OK_HEAD "sec", .close = true },
                                             { .bytes = OK_HEAD "third" } };
        struct fixture *f = *state;

        play(f, plays, 3);
        assert_int_equal(ask(f, "GET", "", NULL, NULL), 0);
        assert_int_equal(ask(f, "GET", "", NULL, NULL), -ECONNRESET);
        stop(f);
        assert_int_equal(f->player.played, 2);
}

/* ---- streaming ---- */

struct sunk {
        struct buf bytes;
        bool want;
        int answer;
        size_t calls;
};

static bool sunk_wanted(void *arg, const struct client_reply *head)
{
        struct sunk *s = arg;

        assert_int_equal(head->status, 200);
        return s->want;
}

static int sunk_take(void *arg, struct slice bytes)
{
        struct sunk *s = arg;

        s->calls++;
        return s->answer ? s->answer : buf_append_slice(&s->bytes, bytes);
}

static void a_sink_gets_the_body_only_when_it_wants_it(void **state)
{
        static const struct play plays[] = {
                { .bytes = OK_HEAD "hello" },
                { .bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n "
                           "world\r\n0\r\n\r\n" },
                { .bytes = OK_HEAD "other" },
                { .bytes = OK_HEAD "fault" },
        };
        struct sunk s = { .want = true };
        const struct client_sink sink = { .wanted = sunk_wanted, .take = sunk_take, .arg = &s };
        struct fixture *f = *state;

        buf_init(&s.bytes, 1000);
        play(f, plays, LENGTH(plays));
        assert_int_equal(ask(f, "GET", "", NULL, &sink), 0);
        assert_true(slice_eq(buf_slice(&s.bytes), SLICE("hello")));
        expect_body(f, "");
        buf_clear(&s.bytes);
        assert_int_equal(ask(f, "GET", "", NULL, &sink), 0);
        assert_true(slice_eq(buf_slice(&s.bytes), SLICE("hello world")));
        buf_clear(&s.bytes);
        s.want = false;
        assert_int_equal(ask(f, "GET", "", NULL, &sink), 0);
        expect_body(f, "other");
        assert_int_equal(buf_len(&s.bytes), 0);
        s.want = true;
        s.answer = -EIO;
        s.calls = 0;
        assert_int_equal(ask(f, "GET", "", NULL, &sink), -EIO);
        assert_int_equal(s.calls, 1);
        buf_fini(&s.bytes);
}

static void a_body_that_is_not_streamed_is_bounded(void **state)
{
        size_t size = (size_t)CLIENT_BODY_MAX + 1;
        struct fixture *f = *state;
        char *bytes = mem_alloc(size + 100);
        int head = sprintf(bytes, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", size);
        struct play one = { .bytes = bytes, .len = size + (size_t)head };

        play(f, &one, 1);
        assert_int_equal(ask(f, "GET", "", NULL, NULL), -EMSGSIZE);
        assert_string_equal(f->cause.text, "the reply is longer than 67108864 bytes");
        stop(f);
        free(bytes);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(reads_every_framing_whole_or_byte_by_byte),
                TEST(a_reply_without_a_body_is_not_waited_for),
                TEST(keeps_the_connection_until_the_server_wants_it_closed),
                TEST(sends_exactly_what_was_asked_for),
                TEST(sends_a_large_body_from_its_file),
                TEST(hears_a_refusal_that_comes_before_the_body_was_sent),
                TEST(refuses_a_head_that_passes_its_bound),
                TEST(a_reply_that_is_cut_short_is_an_error_never_a_short_body),
                TEST(a_malformed_reply_is_named),
                TEST(a_head_without_end_is_given_up),
                TEST(silence_longer_than_the_timeout_ends_it),
                TEST(nobody_listening_is_a_condition_of_its_own),
                TEST(a_server_is_unix_path_or_host_and_port),
                TEST(a_get_is_sent_again_when_the_kept_connection_was_closed),
                TEST(a_post_is_never_sent_again),
                TEST(a_get_that_began_to_be_answered_is_not_sent_again),
                TEST(a_sink_gets_the_body_only_when_it_wants_it),
                TEST(a_body_that_is_not_streamed_is_bounded),
        };

        return cmocka_run_group_tests_name("cmd/client", tests, NULL, NULL);
}
