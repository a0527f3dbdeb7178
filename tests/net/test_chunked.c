/* The chunked coding. Input lies in memory of exactly its size, so that the sanitizer sees a step too far. */
#include "net/chunked.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bounds.h"
#include "base/buf.h"

/* Feeds a piece; content goes to out, what is left of the piece to *left. */
static int feed(struct chunked *c, struct slice piece, struct buf *out, size_t *left)
{
        char *exact = malloc(piece.len ? piece.len : 1);
        struct cause cause = { .text = "" };
        struct slice in, data;
        int r;

        assert_non_null(exact);
        memcpy(exact, piece.ptr, piece.len);
        in = (struct slice){ exact, piece.len };
        while ((r = chunked_read(c, &in, &data, &cause)) == 0) {
                assert_true(data.len > 0);
                assert_true(data.ptr >= exact && data.ptr + data.len <= exact + piece.len);
                assert_int_equal(buf_append_slice(out, data), 0);
        }
        assert_int_equal(data.len, 0);
        assert_true(r != CHUNKED_MORE || in.len == 0);
        assert_true(r >= 0 || cause.text[0]);
        *left = in.len;
        free(exact);
        return r;
}

static int decode(struct slice bytes, struct buf *out, size_t *left)
{
        struct chunked c;

        chunked_init(&c);
        return feed(&c, bytes, out, left);
}

static int verdict(struct slice bytes)
{
        struct buf out;
        size_t left;
        int r;

        buf_init(&out, 1 << 20);
        r = decode(bytes, &out, &left);
        buf_fini(&out);
        return r;
}

static const struct {
        struct slice bytes;
        struct slice content;
        size_t left;
} bodies[] = {
        { SLICE("0\r\n\r\n"), SLICE(""), 0 },
        { SLICE("5\r\nhello\r\n0\r\n\r\n"), SLICE("hello"), 0 },
        { SLICE("5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\nGET / HTTP/1.1"), SLICE("hello world"), 14 },
        { SLICE("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n"), SLICE("01234567890123456789"), 0 },
        { SLICE("000000000000003\r\n\r\n\r\r\n0\r\n\r\n"), SLICE("\r\n\r"),
          0 }, /* 15 digits, content of CR and LF */
        { SLICE("2;a\r\nab\r\n1;b=\"c;d\"\t;e\r\n\0\r\n00;x\r\n\r\n"), SLICE("ab\0"), 0 },
        { SLICE("1\r\na\r\n000000000000002; x = y \r\nbc\r\n000000000000000\r\n\r\n"), SLICE("abc"), 0 },
        { SLICE("f\r\n0123456789abcde\r\nF\r\n0123456789abcde\r\n0\r\n\r\n"),
          SLICE("0123456789abcde0123456789abcde"), 0 },
        { SLICE("0\r\nX: y\r\nZ:\t\xff\r\n\r\n\r\n"), SLICE(""), 2 },
        { SLICE("1\r\n0\r\n0\r\nContent-Length: 5\r\n\r\nhello"), SLICE("0"), 5 },
};

static void reads_bodies(void **state)
{
        for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
                struct buf out;
                size_t left;

                buf_init(&out, 1 << 10);
                assert_int_equal(decode(bodies[i].bytes, &out, &left), CHUNKED_DONE);
                assert_true(slice_eq(buf_slice(&out), bodies[i].content));
                assert_int_equal(left, bodies[i].left);
                buf_fini(&out);
        }
}

static void reads_the_same_wherever_it_is_cut(void **state)
{
        for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
                struct slice all = bodies[i].bytes;

                for (size_t cut = 0; cut <= all.len; cut++) {
                        struct chunked c;
                        struct buf out;
                        size_t left;
                        int r;

                        chunked_init(&c);
                        buf_init(&out, 1 << 10);
                        r = feed(&c, (struct slice){ all.ptr, cut }, &out, &left);
                        if (r == CHUNKED_MORE)
                                r = feed(&c, slice_from(all, cut), &out, &left);
                        else
                                left += all.len - cut;
                        assert_int_equal(r, CHUNKED_DONE);
                        assert_true(slice_eq(buf_slice(&out), bodies[i].content));
                        assert_int_equal(left, bodies[i].left);
                        buf_fini(&out);
                }
        }
}

static void reads_the_same_byte_by_byte(void **state)
{
        for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
                struct slice all = bodies[i].bytes;
                int r = CHUNKED_MORE;
                struct chunked c;
                struct buf out;
                size_t at, left;

                chunked_init(&c);
                buf_init(&out, 1 << 10);
                for (at = 0; r == CHUNKED_MORE; at++) {
                        assert_true(at < all.len);
                        r = feed(&c, (struct slice){ all.ptr + at, 1 }, &out, &left);
                }
                assert_int_equal(r, CHUNKED_DONE);
                assert_int_equal(all.len - at, bodies[i].left);
                assert_true(slice_eq(buf_slice(&out), bodies[i].content));
                buf_fini(&out);
        }
}

static void stays_done(void **state)
{
        struct slice in = SLICE("0\r\n\r\nrest"), data;
        struct chunked c;

        chunked_init(&c);
        for (int i = 0; i < 2; i++) {
                assert_int_equal(chunked_read(&c, &in, &data, NULL), CHUNKED_DONE);
                assert_true(slice_eq(in, SLICE("rest")));
        }
}

static void asks_for_more_until_the_last_byte(void **state)
{
        struct slice all = SLICE("3;x\r\nabc\r\n0\r\nX: y\r\n\r\n");

        for (size_t n = 0; n < all.len; n++)
                assert_int_equal(verdict((struct slice){ all.ptr, n }), CHUNKED_MORE);
        assert_int_equal(verdict(all), CHUNKED_DONE);
}

static void refuses_what_two_parsers_could_read_differently(void **state)
{
        static const struct {
                const char *what;
                struct slice bytes;
        } rows[] = {
                { "a blank in the size", SLICE("5 6\r\nhello\r\n0\r\n\r\n") },
                { "a blank after the size", SLICE("5 \r\nhello\r\n0\r\n\r\n") },
                { "a blank before an extension", SLICE("5 ;a\r\nhello\r\n0\r\n\r\n") },
                { "a blank before the size", SLICE(" 5\r\nhello\r\n0\r\n\r\n") },
                { "a tab after the size", SLICE("5\t\r\nhello\r\n0\r\n\r\n") },
                { "a prefix", SLICE("0x5\r\nhello\r\n0\r\n\r\n") },
                { "a sign", SLICE("+5\r\nhello\r\n0\r\n\r\n") },
                { "a minus", SLICE("-5\r\nhello\r\n0\r\n\r\n") },
                { "an underscore", SLICE("1_0\r\nhello\r\n0\r\n\r\n") },
                { "no size", SLICE("\r\nhello\r\n0\r\n\r\n") },
                { "only an extension", SLICE(";a\r\n\r\n") },
                { "no digit", SLICE("g\r\n") },
                { "a comma", SLICE("5,5\r\nhello\r\n") },
                { "16 digits", SLICE("0000000000000005\r\nhello\r\n0\r\n\r\n") },
                { "17 digits", SLICE("10000000000000005\r\nhello\r\n0\r\n\r\n") },
                { "all bits", SLICE("ffffffffffffffff\r\n") },
                { "a bare LF after the size", SLICE("5\nhello\r\n0\r\n\r\n") },
                { "a bare CR after the size", SLICE("5\rhello\r\n0\r\n\r\n") },
                { "two CRs after the size", SLICE("5\r\r\nhello\r\n0\r\n\r\n") },
                { "a bare LF after an extension", SLICE("5;a\nhello\r\n0\r\n\r\n") },
                { "a bare CR in an extension", SLICE("5;a\rb\r\nhello\r\n0\r\n\r\n") },
                { "a NUL in an extension", SLICE("5;a\0\r\nhello\r\n0\r\n\r\n") },
                { "nothing after the content", SLICE("5\r\nhello0\r\n\r\n") },
                { "a bare LF after the content", SLICE("5\r\nhello\n0\r\n\r\n") },
                { "a bare CR after the content", SLICE("5\r\nhello\r0\r\n\r\n") },
                { "more content than said", SLICE("4\r\nhello\r\n0\r\n\r\n") },
                { "a bare LF at the end", SLICE("0\r\n\n") },
                { "a bare CR at the end", SLICE("0\r\n\rX") },
                { "a bare LF in a trailer", SLICE("0\r\nX: y\n\r\n") },
                { "a bare CR in a trailer", SLICE("0\r\nX: y\rZ\r\n\r\n") },
                { "a NUL in a trailer", SLICE("0\r\nX: \0\r\n\r\n") },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                if (verdict(rows[i].bytes) != -EPROTO)
                        fail_msg("%s is accepted", rows[i].what);
}

static void takes_the_largest_size(void **state)
{
        struct slice in = SLICE("fffffffffffffff\r\nabc"), data;
        struct chunked c;

        chunked_init(&c);
        assert_int_equal(chunked_read(&c, &in, &data, NULL), 0);
        assert_true(slice_eq(data, SLICE("abc")));
        assert_true(c.left == (UINT64_C(1) << 60) - 1 - 3);
        assert_int_equal(chunked_read(&c, &in, &data, NULL), CHUNKED_MORE);
}

/* head, then count bytes of 'x', then tail */
static int padded(const char *head, size_t count, const char *tail)
{
        struct buf bytes;
        int r;

        buf_init(&bytes, 1 << 20);
        assert_int_equal(buf_append_str(&bytes, head), 0);
        for (size_t i = 0; i < count; i++)
                assert_int_equal(buf_append_str(&bytes, "x"), 0);
        assert_int_equal(buf_append_str(&bytes, tail), 0);
        r = verdict(buf_slice(&bytes));
        buf_fini(&bytes);
        return r;
}

static void bounds_the_chunk_line_to_the_byte(void **state)
{
        assert_int_equal(padded("1;", HTTP_CHUNK_LINE_MAX - 2, "\r\na\r\n0\r\n\r\n"), CHUNKED_DONE);
        assert_int_equal(padded("1;", HTTP_CHUNK_LINE_MAX - 1, "\r\na\r\n0\r\n\r\n"), -EPROTO);
        assert_int_equal(padded("1;", 1 << 16, ""), -EPROTO);
        /* each line by itself */
        assert_int_equal(
                padded("1;aaaaaaaaaaaaaaaa\r\na\r\n1;", HTTP_CHUNK_LINE_MAX - 2, "\r\na\r\n0\r\n\r\n"),
                CHUNKED_DONE);
}

static void bounds_the_trailer_to_the_byte(void **state)
{
        assert_int_equal(padded("0\r\nX: ", HTTP_TRAILER_MAX - 5, "\r\n\r\n"), CHUNKED_DONE);
        assert_int_equal(padded("0\r\nX: ", HTTP_TRAILER_MAX - 4, "\r\n\r\n"), -EPROTO);
        /* all its lines together, however short */
        assert_int_equal(padded("0\r\nX:\r\nX: ", HTTP_TRAILER_MAX - 9, "\r\n\r\n"), CHUNKED_DONE);
        assert_int_equal(padded("0\r\nX:\r\nX: ", HTTP_TRAILER_MAX - 8, "\r\n\r\n"), -EPROTO);
        /* the last chunk's own line does not count */
        assert_int_equal(padded("0;aaaaaaaa\r\nX: ", HTTP_TRAILER_MAX - 5, "\r\n\r\n"), CHUNKED_DONE);
}

static void reads_what_the_encoder_writes(void **state)
{
        static const size_t lengths[] = { 1, 9, 10, 15, 16, 255, 4096, 65535, 65536 };
        struct buf wire, content, out;
        char line[CHUNKED_LINE_SIZE];
        size_t left;

        buf_init(&wire, 1 << 20);
        buf_init(&content, 1 << 20);
        buf_init(&out, 1 << 20);
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
                char *bytes = malloc(lengths[i]);

                assert_non_null(bytes);
                memset(bytes, 'a' + (int)i, lengths[i]);
                assert_int_equal(buf_append(&wire, line, chunked_line(line, lengths[i])), 0);
                assert_int_equal(buf_append(&wire, bytes, lengths[i]), 0);
                assert_int_equal(buf_append_str(&wire, "\r\n"), 0);
                assert_int_equal(buf_append(&content, bytes, lengths[i]), 0);
                free(bytes);
        }
        assert_int_equal(buf_append_str(&wire, CHUNKED_END), 0);
        assert_int_equal(decode(buf_slice(&wire), &out, &left), CHUNKED_DONE);
        assert_int_equal(left, 0);
        assert_true(slice_eq(buf_slice(&out), buf_slice(&content)));
        buf_fini(&wire);
        buf_fini(&content);
        buf_fini(&out);
}

static void writes_size_lines(void **state)
{
        char line[CHUNKED_LINE_SIZE];

        assert_int_equal(chunked_line(line, 26), 4);
        assert_memory_equal(line, "1a\r\n", 4);
        assert_int_equal(chunked_line(line, SIZE_MAX), 18);
        assert_memory_equal(line, "ffffffffffffffff\r\n", 18);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(reads_bodies),
                cmocka_unit_test(reads_the_same_wherever_it_is_cut),
                cmocka_unit_test(reads_the_same_byte_by_byte),
                cmocka_unit_test(stays_done),
                cmocka_unit_test(asks_for_more_until_the_last_byte),
                cmocka_unit_test(refuses_what_two_parsers_could_read_differently),
                cmocka_unit_test(takes_the_largest_size),
                cmocka_unit_test(bounds_the_chunk_line_to_the_byte),
                cmocka_unit_test(bounds_the_trailer_to_the_byte),
                cmocka_unit_test(reads_what_the_encoder_writes),
                cmocka_unit_test(writes_size_lines),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
