/* Paths, percent-encoding, queries, globs. */
#include "net/url.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bounds.h"

static int normalise(struct slice raw, struct buf *out)
{
        char *exact = malloc(raw.len ? raw.len : 1);
        int r;

        assert_non_null(exact);
        memcpy(exact, raw.ptr, raw.len);
        r = url_path_normalise((struct slice){ exact, raw.len }, out);
        free(exact);
        return r;
}

static void knows_the_one_path(void **state)
{
        static const struct {
                struct slice raw, path;
        } rows[] = {
                { SLICE("/"), SLICE("/") },
                { SLICE("/a"), SLICE("/a") },
                { SLICE("/a/"), SLICE("/a/") },
                { SLICE("/a/b.php/info"), SLICE("/a/b.php/info") },
                { SLICE("//"), SLICE("/") },
                { SLICE("//a///b//"), SLICE("/a/b/") },
                { SLICE("/."), SLICE("/") },
                { SLICE("/./a/./b/."), SLICE("/a/b/") },
                { SLICE("/.."), SLICE("/") },
                { SLICE("/../../a"), SLICE("/a") },
                { SLICE("/a/.."), SLICE("/") },
                { SLICE("/a/b/.."), SLICE("/a/") },
                { SLICE("/a/b/../c"), SLICE("/a/c") },
                { SLICE("/a/../../../etc/passwd"), SLICE("/etc/passwd") },
                { SLICE("/a//../b"), SLICE("/b") },
                { SLICE("/%2e%2E/a"), SLICE("/a") },
                { SLICE("/a/%2e%2e%2fb"), SLICE("/b") },
                { SLICE("/a%2fb"), SLICE("/a/b") },
                { SLICE("/a%2F..%2Fb"), SLICE("/b") },
                { SLICE("/%2f%2fa"), SLICE("/a") },
                { SLICE("/%252e%252e/a"), SLICE("/%2e%2e/a") }, /* decoded once */
                { SLICE("/a%5c..%5cb"), SLICE("/a\\..\\b") },
                { SLICE("/..a/b../..."), SLICE("/..a/b../...") },
                { SLICE("/a+b%20c%2B"), SLICE("/a+b c+") },
                { SLICE("/%C3%A9/%ff%01%aA"), SLICE("/\xc3\xa9/\xff\x01\xaa") },
                { SLICE("/a%3Fb%23c"), SLICE("/a?b#c") },
                { SLICE("/a?b"), SLICE("/a?b") },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct buf out;

                buf_init(&out, 64);
                assert_int_equal(buf_append_str(&out, "root"),
                                 0); /* it appends, and never climbs above its own start */
                if (normalise(rows[i].raw, &out) != 0 ||
                    !slice_eq(slice_from(buf_slice(&out), 4), rows[i].path))
                        fail_msg("%.*s became %.*s", SLICE_ARG(rows[i].raw), SLICE_ARG(buf_slice(&out)));
                assert_true(slice_starts(buf_slice(&out), SLICE("root")));
                buf_fini(&out);
        }
}

static void refuses_what_is_no_path(void **state)
{
        static const struct slice rows[] = {
                SLICE(""),        SLICE("a"),         SLICE("*"),     SLICE("%2fa"),
                SLICE("/%"),      SLICE("/%4"),       SLICE("/%4g"),  SLICE("/%g4"),
                SLICE("/a%"),     SLICE("/a%00.php"), SLICE("/a\0b"), SLICE("/%%41"),
                SLICE("/%u0041"), SLICE("/%+1"),      SLICE("/% 1"),  SLICE("../a"),
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct buf out;

                buf_init(&out, 64);
                assert_int_equal(buf_append_str(&out, "x"), 0);
                if (normalise(rows[i], &out) != -EINVAL)
                        fail_msg("accepted: %.*s", SLICE_ARG(rows[i]));
                assert_int_equal(buf_len(&out), 1);
                buf_fini(&out);
        }
}

static void takes_256_segments_and_refuses_one_more(void **state)
{
        struct buf raw, out;

        buf_init(&raw, 4096);
        buf_init(&out, 4096);
        for (int i = 0; i < PATH_SEGMENTS_MAX; i++)
                assert_int_equal(buf_append_str(&raw, "/a"), 0);
        assert_int_equal(normalise(buf_slice(&raw), &out), 0);
        assert_true(slice_eq(buf_slice(&raw), buf_slice(&out)));
        buf_clear(&out);
        assert_int_equal(buf_append_str(&raw, "/a"), 0);
        assert_int_equal(normalise(buf_slice(&raw), &out), -EINVAL);
        assert_int_equal(buf_len(&out), 0);
        buf_fini(&raw);
        buf_fini(&out);
}

static void says_when_a_path_does_not_fit(void **state)
{
        struct buf out;

        buf_init(&out, 4);
        assert_int_equal(normalise(SLICE("/abc"), &out), 0);
        buf_clear(&out);
        assert_int_equal(normalise(SLICE("/abcd"), &out), BUF_FULL);
        assert_int_equal(buf_len(&out), 0);
        assert_int_equal(normalise(SLICE("/abc/"), &out), BUF_FULL);
        assert_int_equal(buf_len(&out), 0);
        buf_fini(&out);
}

static void decodes(void **state)
{
        struct buf out;

        buf_init(&out, 64);
        assert_int_equal(url_decode(SLICE("a%20b+c%00%fF%2B"), false, &out), 0);
        assert_true(slice_eq(buf_slice(&out), SLICE("a b+c\0\xff+")));
        buf_clear(&out);
        assert_int_equal(url_decode(SLICE("a%20b+c%2B"), true, &out), 0);
        assert_true(slice_eq(buf_slice(&out), SLICE("a b c+")));
        buf_clear(&out);
        assert_int_equal(url_decode(SLICE(""), false, &out), 0);
        assert_int_equal(buf_len(&out), 0);
        assert_int_equal(url_decode(SLICE("%4"), false, &out), -EINVAL);
        assert_int_equal(url_decode(SLICE("%"), false, &out), -EINVAL);
        assert_int_equal(url_decode(SLICE("%zz"), false, &out), -EINVAL);
        buf_fini(&out);
}

static void encodes_and_decodes_every_byte(void **state)
{
        char bytes[256];
        struct buf coded, out;

        for (int i = 0; i < 256; i++)
                bytes[i] = (char)i;
        buf_init(&coded, 1024);
        buf_init(&out, 1024);
        for (int keep_slash = 0; keep_slash < 2; keep_slash++) {
                buf_clear(&coded);
                buf_clear(&out);
                assert_int_equal(url_encode((struct slice){ bytes, 256 }, keep_slash, &coded), 0);
                assert_int_equal(buf_len(&coded), 66 + keep_slash + 3 * (256 - 66 - keep_slash));
                assert_int_equal(url_decode(buf_slice(&coded), true, &out), 0);
                assert_int_equal(buf_len(&out), 256);
                assert_memory_equal(buf_data(&out), bytes, 256);
        }
        buf_clear(&coded);
        assert_int_equal(url_encode(SLICE("/a b~\xc3"), true, &coded), 0);
        assert_true(slice_eq(buf_slice(&coded), SLICE("/a%20b~%C3")));
        buf_clear(&coded);
        assert_int_equal(url_encode(SLICE("/"), false, &coded), 0);
        assert_true(slice_eq(buf_slice(&coded), SLICE("%2F")));
        buf_fini(&coded);
        buf_fini(&out);
}

static void finds_fields_of_a_query(void **state)
{
        struct slice v;

        assert_true(url_query_get(SLICE("wait=5&x=1"), SLICE("wait"), &v));
        assert_true(slice_eq(v, SLICE("5")));
        assert_true(url_query_get(SLICE("a&x=1=2&x=3"), SLICE("x"), &v));
        assert_true(slice_eq(v, SLICE("1=2")));
        assert_true(url_query_get(SLICE("a&b"), SLICE("b"), &v));
        assert_int_equal(v.len, 0);
        assert_true(url_query_get(SLICE("b=&a"), SLICE("b"), &v));
        assert_int_equal(v.len, 0);
        assert_true(url_query_get(SLICE("a=%20+"), SLICE("a"), &v));
        assert_true(slice_eq(v, SLICE("%20+"))); /* undecoded */
        assert_false(url_query_get(SLICE("waits=5&wai=1&WAIT=2&x=wait"), SLICE("wait"), &v));
        assert_false(url_query_get(SLICE(""), SLICE("wait"), &v));
        assert_false(url_query_get(SLICE("&&"), SLICE("wait"), &v));
}

static void matches_globs(void **state)
{
        static const struct {
                const char *glob;
                struct slice text;
                bool match;
        } rows[] = {
                { "", SLICE(""), true },
                { "", SLICE("a"), false },
                { "*", SLICE(""), true },
                { "*", SLICE("/a/b"), true },
                { "**", SLICE("a"), true },
                { "?", SLICE(""), false },
                { "?", SLICE("/"), true },
                { "?", SLICE("ab"), false },
                { "/mail/*.php", SLICE("/mail/a/b.php"), true },
                { "/mail/*.php", SLICE("/mail/.php"), true },
                { "/mail/*.php", SLICE("/mail/a.php/x"), false },
                { "/mail/*.php", SLICE("/Mail/a.php"), false },
                { "*.php", SLICE("a.php.php"), true },
                { "*a*b*", SLICE("xxaxxbxx"), true },
                { "*a*b*", SLICE("xxbxxaxx"), false },
                { "a?c*", SLICE("abc"), true },
                { "a*", SLICE("a\0b"), true },
                { "a", SLICE("a\0"), false },
                { "[ab]", SLICE("a"), false },
                { "[ab]", SLICE("[ab]"), true },
                { "\\*", SLICE("\\x"), true },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                if (url_glob(rows[i].glob, rows[i].text) != rows[i].match)
                        fail_msg("wrong about %s and %.*s", rows[i].glob, SLICE_ARG(rows[i].text));
}

static void does_not_lose_itself_in_stars(void **state)
{
        char text[4096];

        memset(text, 'a', sizeof(text)); /* 2^4096 steps for a matcher that goes back to every star */
        assert_false(url_glob("a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", (struct slice){ text, sizeof(text) }));
        assert_true(url_glob("a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a", (struct slice){ text, sizeof(text) }));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(knows_the_one_path),
                cmocka_unit_test(refuses_what_is_no_path),
                cmocka_unit_test(takes_256_segments_and_refuses_one_more),
                cmocka_unit_test(says_when_a_path_does_not_fit),
                cmocka_unit_test(decodes),
                cmocka_unit_test(encodes_and_decodes_every_byte),
                cmocka_unit_test(finds_fields_of_a_query),
                cmocka_unit_test(matches_globs),
                cmocka_unit_test(does_not_lose_itself_in_stars),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
