/* FastCGI records: encoded, read back by a reader of the test's own, decoded however they are cut, and tried
 * on a real php-cgi. */
#include "net/fcgi.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bounds.h"

#define ID 0x1234

/* ---- a reader of the test's own ---- */

struct record {
        unsigned type;
        unsigned id;
        struct slice content;
};

static bool next_record(struct slice *rest, struct record *r)
{
        const unsigned char *h = (const unsigned char *)rest->ptr;
        size_t len;

        if (rest->len == 0)
                return false;
        assert_true(rest->len >= 8);
        assert_int_equal(h[0], 1);
        assert_int_equal(h[7], 0);
        len = (size_t)h[4] << 8 | h[5];
        assert_true(rest->len >= 8 + len + h[6]);
        *r = (struct record){ h[1], (unsigned)h[2] << 8 | h[3], { rest->ptr + 8, len } };
        *rest = slice_from(*rest, 8 + len + h[6]);
        return true;
}

static size_t take_length(struct slice *rest)
{
        const unsigned char *b = (const unsigned char *)rest->ptr;
        size_t len;

        assert_true(rest->len >= 1);
        if (b[0] < 128) {
                *rest = slice_from(*rest, 1);
                return b[0];
        }
        assert_true(rest->len >= 4);
        len = (size_t)(b[0] & 0x7f) << 24 | (size_t)b[1] << 16 | (size_t)b[2] << 8 | b[3];
        *rest = slice_from(*rest, 4);
        return len;
}

/* A pair must lie whole in its record: php-cgi reads them so. */
static bool next_pair(struct slice *rest, struct slice *name, struct slice *value)
{
        size_t name_len, value_len;

        if (rest->len == 0)
                return false;
        name_len = take_length(rest);
        value_len = take_length(rest);
        assert_true(rest->len >= name_len + value_len);
        *name = (struct slice){ rest->ptr, name_len };
        *value = (struct slice){ rest->ptr + name_len, value_len };
        *rest = slice_from(*rest, name_len + value_len);
        return true;
}

static struct slice filled(size_t len)
{
        char *bytes = malloc(len ? len : 1);

        assert_non_null(bytes);
        memset(bytes, 'v', len);
        return (struct slice){ bytes, len };
}

static void drop(struct slice s)
{
        free((void *)(uintptr_t)s.ptr);
}

/* ---- encoding ---- */

static void writes_the_fixed_records(void **state)
{
        struct buf out;
        char header[FCGI_HEADER_SIZE];

        buf_init(&out, 64);
        assert_int_equal(fcgi_begin(&out, ID, true), 0);
        assert_true(slice_eq(buf_slice(&out), SLICE("\1\1\x12\x34\0\x08\0\0\0\1\1\0\0\0\0\0")));
        buf_clear(&out);
        assert_int_equal(fcgi_begin(&out, 1, false), 0);
        assert_true(slice_eq(buf_slice(&out), SLICE("\1\1\0\1\0\x08\0\0\0\1\0\0\0\0\0\0")));
        buf_clear(&out);
        assert_int_equal(fcgi_get_values(&out), 0);
        assert_true(slice_eq(buf_slice(&out), SLICE("\1\x09\0\0\0\x11\0\0\x0f\0"
                                                    "FCGI_MPXS_CONNS")));
        fcgi_header(header, FCGI_STDIN, ID, 0xfedc);
        assert_memory_equal(header, "\1\5\x12\x34\xfe\xdc\0\0", 8);
        fcgi_header(header, FCGI_STDIN, 0xffff, 0);
        assert_memory_equal(header, "\1\5\xff\xff\0\0\0\0", 8);
        buf_fini(&out);
        buf_init(&out, 15);
        assert_int_equal(fcgi_begin(&out, 1, true), BUF_FULL);
        assert_int_equal(buf_len(&out), 0);
        buf_fini(&out);
}

static void writes_lengths_of_one_byte_and_of_four(void **state)
{
        static const size_t lengths[] = { 0, 1, 127, 128, 129, 255, 256, 1000 };

        for (size_t i = 0; i < 8; i++) {
                for (size_t j = 0; j < 8; j++) {
                        struct slice name = filled(lengths[i]), value = filled(lengths[j]), n, v, rest;
                        struct fcgi_params p;
                        struct record r;

                        fcgi_params_init(&p, ID);
                        assert_int_equal(fcgi_params_add(&p, name, value), 0);
                        assert_int_equal(fcgi_params_end(&p), 0);
                        rest = buf_slice(&p.out);
                        assert_true(next_record(&rest, &r));
                        assert_int_equal(r.content.len,
                                         lengths[i] + lengths[j] + (i < 3 ? 1 : 4) + (j < 3 ? 1 : 4));
                        assert_true(next_pair(&r.content, &n, &v));
                        assert_true(slice_eq(n, name) && slice_eq(v, value));
                        assert_false(next_pair(&r.content, &n, &v));
                        assert_true(next_record(&rest, &r));
                        assert_int_equal(r.content.len, 0);
                        assert_false(next_record(&rest, &r));
                        fcgi_params_fini(&p);
                        drop(name);
                        drop(value);
                }
        }
}

static void ends_no_parameters_with_one_empty_record(void **state)
{
        struct fcgi_params p;

        fcgi_params_init(&p, ID);
        assert_int_equal(fcgi_params_end(&p), 0);
        assert_true(slice_eq(buf_slice(&p.out), SLICE("\1\4\x12\x34\0\0\0\0")));
        fcgi_params_fini(&p);
        fcgi_params_fini(&p);
}

/* 180 kB of pairs of every size from 1 to about 6000 bytes, named by their number. */
static void add_many(struct fcgi_params *p, size_t total)
{
        char name[32];

        for (size_t i = 0, sum = 0; sum < total; i++) {
                struct slice value = filled(i * 7919 % 6000);

                snprintf(name, sizeof(name), "NAME_%zu", i);
                assert_int_equal(fcgi_params_add(p, slice_of(name), value), 0);
                sum += value.len + strlen(name);
                drop(value);
        }
}

static void ends_records_at_pair_boundaries(void **state)
{
        struct slice rest, name, value;
        size_t records = 0, i = 0;
        struct fcgi_params p;
        char want[32];
        struct record r;
        bool ended = false;

        fcgi_params_init(&p, ID);
        add_many(&p, 180 << 10);
        assert_int_equal(fcgi_params_end(&p), 0);
        for (rest = buf_slice(&p.out); next_record(&rest, &r); records++) {
                assert_false(ended);
                assert_int_equal(r.type, FCGI_PARAMS);
                assert_int_equal(r.id, ID);
                ended = r.content.len == 0;
                while (next_pair(&r.content, &name, &value)) {
                        snprintf(want, sizeof(want), "NAME_%zu", i);
                        assert_true(slice_eq(name, slice_of(want)));
                        assert_int_equal(value.len, i++ * 7919 % 6000);
                }
        }
        assert_true(ended);
        assert_in_range(records, 4, 5); /* three of nearly 64 kB at least, and the end */
        fcgi_params_fini(&p);
}

static void takes_a_pair_that_fills_a_record_and_not_one_byte_more(void **state)
{
        /* 1 + 4 bytes of lengths, 1 of name */
        struct slice exact = filled(FCGI_RECORD_MAX - 6), more = filled(FCGI_RECORD_MAX - 5), rest, n, v;
        struct fcgi_params p;
        struct record r;
        size_t before;

        fcgi_params_init(&p, ID);
        assert_int_equal(fcgi_params_add(&p, SLICE("A"), SLICE("1")), 0);
        before = buf_len(&p.out);
        assert_int_equal(fcgi_params_add(&p, SLICE("N"), more), FCGI_PAIR_TOO_LONG);
        assert_int_equal(buf_len(&p.out), before);
        assert_int_equal(fcgi_params_add(&p, SLICE("N"), exact), 0);
        assert_int_equal(fcgi_params_add(&p, SLICE("B"), SLICE("2")), 0);
        assert_int_equal(fcgi_params_end(&p), 0);
        rest = buf_slice(&p.out);
        assert_true(next_record(&rest, &r) && r.content.len == 4);
        assert_true(next_record(&rest, &r) && r.content.len == FCGI_RECORD_MAX);
        assert_true(next_pair(&r.content, &n, &v) && slice_eq(v, exact));
        assert_true(next_record(&rest, &r) && r.content.len == 4);
        assert_true(next_record(&rest, &r) && r.content.len == 0);
        assert_false(next_record(&rest, &r));
        fcgi_params_fini(&p);
        drop(exact);
        drop(more);
}

static void opens_a_record_when_the_last_one_is_just_full(void **state)
{
        struct slice most = filled(FCGI_RECORD_MAX - 6 - 4), rest; /* leaves room for a pair of four bytes */
        struct record r;

        for (size_t extra = 1; extra <= 2; extra++) {
                struct fcgi_params p;

                fcgi_params_init(&p, ID);
                assert_int_equal(fcgi_params_add(&p, SLICE("N"), most), 0);
                assert_int_equal(fcgi_params_add(&p, SLICE("B"), (struct slice){ "23", extra }), 0);
                assert_int_equal(fcgi_params_end(&p), 0);
                rest = buf_slice(&p.out);
                assert_true(next_record(&rest, &r));
                assert_int_equal(r.content.len, extra == 1 ? FCGI_RECORD_MAX : FCGI_RECORD_MAX - 4);
                assert_true(next_record(&rest, &r));
                assert_int_equal(r.content.len, extra == 1 ? 0 : 5);
                fcgi_params_fini(&p);
        }
        drop(most);
}

static void stops_at_its_bound_with_nothing_half_added(void **state)
{
        struct slice value = filled(60000), small = filled(100);
        struct fcgi_params p;
        size_t before;
        int r;

        fcgi_params_init(&p, ID);
        do {
                before = buf_len(&p.out);
                r = fcgi_params_add(&p, SLICE("N"), value);
        } while (r == 0);
        assert_int_equal(r, BUF_FULL);
        assert_int_equal(buf_len(&p.out), before);
        do {
                before = buf_len(&p.out);
                r = fcgi_params_add(&p, SLICE("N"), small);
        } while (r == 0);
        assert_int_equal(r, BUF_FULL);
        assert_int_equal(buf_len(&p.out), before);
        assert_true(buf_len(&p.out) <= FCGI_PARAMS_MAX && buf_len(&p.out) > FCGI_PARAMS_MAX - 120);
        fcgi_params_fini(&p);
        drop(value);
        drop(small);
}

/* ---- decoding ---- */

/* What was seen, in a form that does not depend on where the input was cut: runs of one stream are joined. */
struct seen {
        struct buf text;
        int last;
};

static void note(struct seen *s, const struct fcgi_event *e)
{
        if (e->what == FCGI_SAW_STDOUT || e->what == FCGI_SAW_STDERR) {
                assert_true(e->data.len > 0);
                if (s->last != (int)e->what)
                        assert_int_equal(
                                buf_append_str(&s->text, e->what == FCGI_SAW_STDOUT ? "|out:" : "|err:"), 0);
                assert_int_equal(buf_append_slice(&s->text, e->data), 0);
        } else if (e->what == FCGI_SAW_END) {
                assert_int_equal(buf_printf(&s->text, "|end %u %d", e->app_status, e->protocol_status), 0);
        } else {
                assert_int_equal(buf_append_str(&s->text, e->what == FCGI_SAW_VALUES ? "|values" : "|other"),
                                 0);
        }
        s->last = (int)e->what;
}

static int feed(struct fcgi_decoder *d, struct slice piece, struct seen *s)
{
        char *exact = malloc(piece.len ? piece.len : 1);
        struct cause cause = { .text = "" };
        struct fcgi_event event;
        struct slice in;
        int r;

        assert_non_null(exact);
        memcpy(exact, piece.ptr, piece.len);
        in = (struct slice){ exact, piece.len };
        while ((r = fcgi_decode(d, ID, &in, &event, &cause)) == 0)
                note(s, &event);
        assert_true(r < 0 || in.len == 0);
        assert_true(r >= 0 || cause.text[0]);
        free(exact);
        return r;
}

#define OURS "\x12\x34"

static const struct slice reply =
        SLICE("\1\6" OURS "\0\5\3\0helloPPP"       /* STDOUT with padding */
              "\1\7" OURS "\0\4\0\0oops"           /* STDERR */
              "\1\6" OURS "\0\0\0\0"               /* empty: the end of the stream, not reported */
              "\1\6" OURS "\0\0\2\0PP"             /* the same with padding */
              "\1\6\0\7\0\3\1\0abcP"               /* another request's STDOUT */
              "\1\3\0\7\0\x08\0\0\0\0\0\1\0\0\0\0" /* another request's end */
              "\1\x0a\0\0\0\x12\6\0\x0f\1"
              "FCGI_MPXS_CONNS0PPPPPP"                      /* GET_VALUES_RESULT */
              "\1\x0b\0\0\0\x08\0\0\x63\0\0\0\0\0\0\0"      /* UNKNOWN_TYPE */
              "\1\x63\0\0\0\1\0\0x"                         /* a type nobody knows */
              "\1\5" OURS "\0\1\0\0x"                       /* STDIN, which an application must not send */
              "\1\6" OURS "\0\5\0\0again"                   /* STDOUT */
              "\1\3" OURS "\0\x08\0\0\1\2\3\4\2\0\0\0"      /* END_REQUEST */
              "\1\6" OURS "\0\2\0\0hi"                      /* the next request's */
              "\1\3" OURS "\0\x0a\1\0\0\0\0\0\0\0\0\0xxP"); /* a longer END_REQUEST */
static const char reply_seen[] = "|out:hello|err:oops|other|other|values|values|other|other|out:again"
                                 "|end 16909060 2|out:hi|end 0 0";

static void sees_every_record(void **state)
{
        struct fcgi_decoder d;
        struct seen s = { .last = -1 };

        buf_init(&s.text, 1 << 12);
        fcgi_decoder_init(&d);
        assert_int_equal(feed(&d, reply, &s), FCGI_MORE);
        if (!slice_eq(buf_slice(&s.text), slice_of(reply_seen)))
                fail_msg("saw %.*s", SLICE_ARG(buf_slice(&s.text)));
        buf_fini(&s.text);
}

static void sees_the_same_wherever_it_is_cut(void **state)
{
        for (size_t cut = 0; cut <= reply.len; cut++) {
                struct fcgi_decoder d;
                struct seen s = { .last = -1 };

                buf_init(&s.text, 1 << 12);
                fcgi_decoder_init(&d);
                assert_int_equal(feed(&d, (struct slice){ reply.ptr, cut }, &s), FCGI_MORE);
                assert_int_equal(feed(&d, slice_from(reply, cut), &s), FCGI_MORE);
                if (!slice_eq(buf_slice(&s.text), slice_of(reply_seen)))
                        fail_msg("cut at %zu, saw %.*s", cut, SLICE_ARG(buf_slice(&s.text)));
                buf_fini(&s.text);
        }
}

static void sees_the_same_byte_by_byte(void **state)
{
        struct fcgi_decoder d;
        struct seen s = { .last = -1 };

        buf_init(&s.text, 1 << 12);
        fcgi_decoder_init(&d);
        for (size_t i = 0; i < reply.len; i++)
                assert_int_equal(feed(&d, (struct slice){ reply.ptr + i, 1 }, &s), FCGI_MORE);
        assert_true(slice_eq(buf_slice(&s.text), slice_of(reply_seen)));
        buf_fini(&s.text);
}

static void reports_the_end_with_its_last_byte(void **state)
{
        struct slice end = SLICE("\1\3" OURS "\0\x08\2\0\0\0\0\0\0\0\0\0PP");

        for (size_t n = 0; n <= end.len; n++) {
                struct fcgi_decoder d;
                struct seen s = { .last = -1 };

                buf_init(&s.text, 64);
                fcgi_decoder_init(&d);
                feed(&d, (struct slice){ end.ptr, n }, &s);
                assert_int_equal(s.last, n == end.len ? FCGI_SAW_END : -1);
                buf_fini(&s.text);
        }
}

static void takes_the_largest_record(void **state)
{
        struct slice content = filled(FCGI_RECORD_MAX);
        char header[FCGI_HEADER_SIZE];
        struct fcgi_decoder d;
        struct seen s = { .last = -1 };

        buf_init(&s.text, 1 << 17);
        fcgi_decoder_init(&d);
        fcgi_header(header, FCGI_STDOUT, ID, FCGI_RECORD_MAX);
        header[6] = (char)255;
        assert_int_equal(feed(&d, (struct slice){ header, 8 }, &s), FCGI_MORE);
        assert_int_equal(feed(&d, content, &s), FCGI_MORE);
        assert_int_equal(feed(&d, (struct slice){ content.ptr, 255 }, &s), FCGI_MORE);
        assert_int_equal(buf_len(&s.text), FCGI_RECORD_MAX + 5);
        assert_int_equal(feed(&d, SLICE("\1\3" OURS "\0\x08\0\0\0\0\0\0\0\0\0\0"), &s), FCGI_MORE);
        assert_int_equal(s.last, FCGI_SAW_END);
        buf_fini(&s.text);
        drop(content);
}

static void refuses_other_versions(void **state)
{
        static const struct slice rows[] = { SLICE("\0\6" OURS "\0\1\0\0x"), SLICE("\2\6" OURS "\0\1\0\0x"),
                                             SLICE("HTTP/1.1 400 Bad Request\r\n") };

        for (size_t i = 0; i < 3; i++) {
                struct fcgi_decoder d;
                struct seen s = { .last = -1 };

                buf_init(&s.text, 64);
                fcgi_decoder_init(&d);
                assert_int_equal(feed(&d, rows[i], &s), -EPROTO);
                assert_int_equal(s.last, -1);
                buf_fini(&s.text);
        }
}

static void refuses_an_end_that_is_too_short(void **state)
{
        struct slice all = SLICE("\1\3" OURS "\0\7\0\0\0\0\0\0\0\0\0");

        for (unsigned char len = 0; len < 8; len++) {
                char bytes[15];
                struct fcgi_decoder d;
                struct seen s = { .last = -1 };

                memcpy(bytes, all.ptr, 15);
                bytes[5] = (char)len;
                buf_init(&s.text, 64);
                fcgi_decoder_init(&d);
                assert_int_equal(feed(&d, (struct slice){ bytes, 8 + (size_t)len }, &s), -EPROTO);
                buf_fini(&s.text);
        }
}

/* ---- a real php-cgi ---- */

struct php {
        char folder[32], script[64];
        struct sockaddr_un at;
        pid_t pid;
        int fd;
};

static bool php_start(struct php *php)
{
        int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        FILE *f;

        strcpy(php->folder, "/tmp/sendoff-fcgi-XXXXXX");
        assert_non_null(mkdtemp(php->folder));
        snprintf(php->script, sizeof(php->script), "%s/count.php", php->folder);
        f = fopen(php->script, "w");
        assert_non_null(f);
        fputs("<?php $n = 0; $bytes = 0; foreach ($_SERVER as $k => $v) if (str_starts_with($k, 'NAME_')) { "
              "$n++; "
              "$bytes += strlen($k) + strlen($v); } error_log('counted'); echo \"$n $bytes \", "
              "strlen($_SERVER['N'] ?? ''), ' ', file_get_contents('php://input');",
              f);
        fclose(f);
        php->at.sun_family = AF_UNIX;
        snprintf(php->at.sun_path, sizeof(php->at.sun_path), "%s/sock", php->folder);
        assert_int_equal(bind(listener, (struct sockaddr *)&php->at, sizeof(php->at)), 0);
        assert_int_equal(listen(listener, 4), 0);
        php->pid = fork();
        assert_true(php->pid >= 0);
        if (php->pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                dup2(listener, 0);
                setenv("PHP_FCGI_MAX_REQUESTS", "0", 1);
                execlp("php-cgi", "php-cgi", "-d", "opcache.enable=0", (char *)NULL);
                _exit(127);
        }
        close(listener);
        php->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        return connect(php->fd, (struct sockaddr *)&php->at, sizeof(php->at)) == 0;
}

static void php_stop(struct php *php)
{
        close(php->fd);
        kill(php->pid, SIGKILL);
        waitpid(php->pid, NULL, 0);
        unlink(php->script);
        unlink(php->at.sun_path);
        rmdir(php->folder);
}

static void put(int fd, struct slice bytes)
{
        while (bytes.len > 0) {
                ssize_t n = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);

                assert_true(n > 0);
                bytes = slice_from(bytes, (size_t)n);
        }
}

/* Reads until the event `until`; false when the worker closes instead. */
static bool answer(struct php *php, enum fcgi_what until, struct seen *s)
{
        struct fcgi_decoder d;
        char bytes[4096];
        ssize_t n;

        fcgi_decoder_init(&d);
        while (s->last != (int)until) {
                n = read(php->fd, bytes, sizeof(bytes));
                if (n <= 0)
                        return false;
                assert_int_equal(feed(&d, (struct slice){ bytes, (size_t)n }, s), FCGI_MORE);
        }
        return true;
}

static void request(struct php *php, struct fcgi_params *p)
{
        char header[FCGI_HEADER_SIZE];
        struct buf begin;

        buf_init(&begin, 64);
        assert_int_equal(fcgi_begin(&begin, ID, true), 0);
        put(php->fd, buf_slice(&begin));
        buf_fini(&begin);
        assert_int_equal(fcgi_params_add(p, SLICE("SCRIPT_FILENAME"), slice_of(php->script)), 0);
        assert_int_equal(fcgi_params_add(p, SLICE("REQUEST_METHOD"), SLICE("POST")), 0);
        assert_int_equal(fcgi_params_add(p, SLICE("CONTENT_LENGTH"), SLICE("5")), 0);
        assert_int_equal(fcgi_params_end(p), 0);
        put(php->fd, buf_slice(&p->out));
        fcgi_header(header, FCGI_STDIN, ID, 5);
        put(php->fd, (struct slice){ header, 8 });
        put(php->fd, SLICE("hello"));
        fcgi_header(header, FCGI_STDIN, ID, 0);
        put(php->fd, (struct slice){ header, 8 });
}

static void php_reads_what_is_encoded(void **state)
{
        struct slice longest = filled(65000);
        struct seen s = { .last = -1 };
        size_t count = 0, bytes = 0;
        struct fcgi_params p;
        struct php php = { 0 };
        char want[64];

        if (access("/usr/bin/php-cgi", X_OK) != 0)
                skip();
        assert_true(php_start(&php));
        buf_init(&s.text, 1 << 16);
        for (int i = 0; i < 2; i++) { /* twice on the one connection */
                buf_clear(&s.text);
                s.last = -1;
                count = bytes = 0;
                fcgi_params_init(&p, ID);
                add_many(&p, 180 << 10);
                assert_int_equal(fcgi_params_add(&p, SLICE("N"), longest), 0);
                for (size_t sum = 0; sum < 180 << 10; count++) {
                        snprintf(want, sizeof(want), "NAME_%zu", count);
                        sum += strlen(want) + count * 7919 % 6000;
                        bytes = sum;
                }
                request(&php, &p);
                assert_true(answer(&php, FCGI_SAW_END, &s));
                snprintf(want, sizeof(want), "\r\n\r\n%zu %zu 65000 hello|end 0 0", count, bytes);
                if (!slice_ends(buf_slice(&s.text), slice_of(want)))
                        fail_msg("php-cgi said %.*s", SLICE_ARG(buf_slice(&s.text)));
                assert_non_null(memmem(buf_data(&s.text), buf_len(&s.text), "counted", 7)); /* STDERR */
                fcgi_params_fini(&p);
        }
        php_stop(&php);
        buf_fini(&s.text);
        drop(longest);
}

static void php_answers_get_values(void **state)
{
        struct seen s = { .last = -1 };
        struct php php = { 0 };
        struct buf ask;

        if (access("/usr/bin/php-cgi", X_OK) != 0)
                skip();
        assert_true(php_start(&php));
        buf_init(&s.text, 1 << 10);
        buf_init(&ask, 64);
        assert_int_equal(fcgi_get_values(&ask), 0);
        put(php.fd, buf_slice(&ask));
        assert_true(answer(&php, FCGI_SAW_VALUES, &s));
        assert_true(slice_eq(buf_slice(&s.text), SLICE("|values")));
        buf_fini(&ask);
        buf_fini(&s.text);
        php_stop(&php);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(writes_the_fixed_records),
                cmocka_unit_test(writes_lengths_of_one_byte_and_of_four),
                cmocka_unit_test(ends_no_parameters_with_one_empty_record),
                cmocka_unit_test(ends_records_at_pair_boundaries),
                cmocka_unit_test(takes_a_pair_that_fills_a_record_and_not_one_byte_more),
                cmocka_unit_test(opens_a_record_when_the_last_one_is_just_full),
                cmocka_unit_test(stops_at_its_bound_with_nothing_half_added),
                cmocka_unit_test(sees_every_record),
                cmocka_unit_test(sees_the_same_wherever_it_is_cut),
                cmocka_unit_test(sees_the_same_byte_by_byte),
                cmocka_unit_test(reports_the_end_with_its_last_byte),
                cmocka_unit_test(takes_the_largest_record),
                cmocka_unit_test(refuses_other_versions),
                cmocka_unit_test(refuses_an_end_that_is_too_short),
                cmocka_unit_test(php_reads_what_is_encoded),
                cmocka_unit_test(php_answers_get_values),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
