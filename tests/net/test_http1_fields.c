/* Tokens, field values, finding fields, stored header blocks, reason phrases. */
#include "net/http1.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FIELD(n, v)                                                                                          \
        {                                                                                                    \
                SLICE(n), SLICE(v)                                                                           \
        }

static const struct http1_header fields[] = {
        FIELD("Accept", "a"), FIELD("X-List", "one, TWO ,,three"),
        FIELD("accept", "b"), FIELD("x-list", "\tfour"),
        FIELD("Empty", ""),
};
#define COUNT (sizeof(fields) / sizeof(fields[0]))

static void knows_a_token(void **state)
{
        static const char separators[] = "\"(),/:;<=>?@[\\]{} \t\r\n\x7f";

        for (int c = 1; c < 256; c++) {
                char byte = (char)c;
                bool token = c > 0x20 && c < 0x7f && !strchr(separators, c);

                if (http1_is_token((struct slice){ &byte, 1 }) != token)
                        fail_msg("wrong about byte %d", c);
        }
        assert_false(http1_is_token(SLICE("")));
        assert_false(http1_is_token(SLICE("a\0b")));
        assert_true(http1_is_token(SLICE("X-Request-Id")));
        assert_false(http1_is_token(SLICE("X-Request-Id ")));
}

static void knows_a_field_value(void **state)
{
        for (int c = 0; c < 256; c++) {
                char bytes[3] = { 'a', (char)c, 'b' };

                if (http1_is_field_value((struct slice){ bytes, 3 }) !=
                    (c == '\t' || (c >= 0x20 && c != 0x7f)))
                        fail_msg("wrong about byte %d", c);
        }
        assert_true(http1_is_field_value(SLICE("")));
}

static void finds_the_first_field_of_a_name(void **state)
{
        assert_ptr_equal(http1_find(fields, COUNT, SLICE("ACCEPT")), &fields[0]);
        assert_ptr_equal(http1_find(fields, COUNT, SLICE("empty")), &fields[4]);
        assert_null(http1_find(fields, COUNT, SLICE("Accep")));
        assert_null(http1_find(fields, COUNT, SLICE("Accept-Encoding")));
        assert_null(http1_find(fields, 0, SLICE("Accept")));
}

static void finds_members_of_lists(void **state)
{
        assert_true(http1_has_token(fields, COUNT, SLICE("X-List"), SLICE("one")));
        assert_true(http1_has_token(fields, COUNT, SLICE("X-List"), SLICE("two")));
        assert_true(http1_has_token(fields, COUNT, SLICE("X-List"), SLICE("THREE")));
        assert_true(http1_has_token(fields, COUNT, SLICE("x-LIST"), SLICE("four")));
        assert_false(http1_has_token(fields, COUNT, SLICE("X-List"), SLICE("tw")));
        assert_false(http1_has_token(fields, COUNT, SLICE("X-List"), SLICE("one, TWO")));
        assert_false(http1_has_token(fields, COUNT, SLICE("Accept"), SLICE("one")));
        assert_false(http1_has_token(fields, COUNT, SLICE("Empty"), SLICE("one")));
}

static void walks_the_block_it_wrote(void **state)
{
        struct slice rest;
        struct http1_header h;
        struct buf block;

        buf_init(&block, 1 << 10);
        for (size_t i = 0; i < COUNT; i++)
                assert_int_equal(http1_block_add(&block, fields[i].name, slice_trim(fields[i].value)), 0);
        assert_int_equal(http1_block_add(&block, SLICE("X"), SLICE("a: b, \xff:")), 0);
        rest = buf_slice(&block);
        for (size_t i = 0; i < COUNT; i++) {
                assert_true(http1_block_next(&rest, &h));
                assert_true(slice_eq(h.name, fields[i].name));
                assert_true(slice_eq(h.value, slice_trim(fields[i].value)));
        }
        assert_true(http1_block_next(&rest, &h));
        assert_true(slice_eq(h.name, SLICE("X")));
        assert_true(slice_eq(h.value, SLICE("a: b, \xff:")));
        assert_false(http1_block_next(&rest, &h));
        assert_false(http1_block_next(&rest, &h));
        buf_fini(&block);
}

static void writes_a_line_as_http_does(void **state)
{
        struct buf block;

        buf_init(&block, 64);
        assert_int_equal(http1_block_add(&block, SLICE("Name"), SLICE("value")), 0);
        assert_int_equal(http1_block_add(&block, SLICE("Empty"), SLICE("")), 0);
        assert_true(slice_eq(buf_slice(&block), SLICE("Name: value\r\nEmpty: \r\n")));
        buf_fini(&block);
}

static void never_writes_what_could_split_a_head(void **state)
{
        static const struct http1_header bad[] = {
                FIELD("", "a"),       FIELD("X Y", "a"),     FIELD("X:", "a"),   FIELD("X\r\nY", "a"),
                FIELD("X", "a\r\nY"), FIELD("X", "a\rb"),    FIELD("X", "a\nb"), FIELD("X", "a\0b"),
                FIELD("X\0", "a"),    FIELD("X", "a\x1b[m"), FIELD("X", "\x7f"),
        };
        struct buf block;

        buf_init(&block, 64);
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                assert_int_equal(http1_block_add(&block, bad[i].name, bad[i].value), -EINVAL);
        assert_int_equal(buf_len(&block), 0);
        buf_fini(&block);
}

static void fills_a_block_to_its_last_byte(void **state)
{
        struct buf block;

        buf_init(&block, 16);
        assert_int_equal(http1_block_add(&block, SLICE("Name"), SLICE("value678")), 0); /* 4 + 2 + 8 + 2 */
        assert_int_equal(buf_len(&block), 16);
        assert_int_equal(http1_block_add(&block, SLICE("A"), SLICE("")), BUF_FULL);
        buf_clear(&block);
        assert_int_equal(http1_block_add(&block, SLICE("Name"), SLICE("value6789")), BUF_FULL);
        assert_int_equal(buf_len(&block), 0);
        buf_fini(&block);
}

static void stops_at_a_line_that_is_none(void **state)
{
        struct http1_header h;
        struct slice rest = SLICE("A: b\r\nno colon\r\nC: d\r\n");

        assert_true(http1_block_next(&rest, &h));
        assert_false(http1_block_next(&rest, &h));
        rest = SLICE("A: b");
        assert_false(http1_block_next(&rest, &h));
        rest = SLICE("A: b\n");
        assert_true(http1_block_next(&rest, &h));
        assert_true(slice_eq(h.value, SLICE("b")));
        rest = SLICE("");
        assert_false(http1_block_next(&rest, &h));
}

static void has_a_phrase_for_every_status(void **state)
{
        assert_string_equal(http1_reason(200), "OK");
        assert_string_equal(http1_reason(202), "Accepted");
        assert_string_equal(http1_reason(431), "Request Header Fields Too Large");
        assert_string_equal(http1_reason(507), "Insufficient Storage");
        assert_string_equal(http1_reason(299), "Unknown");
        assert_string_equal(http1_reason(-1), "Unknown");
        for (int status = 100; status < 600; status++)
                assert_true(http1_is_field_value(slice_of(http1_reason(status))));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(knows_a_token),
                cmocka_unit_test(knows_a_field_value),
                cmocka_unit_test(finds_the_first_field_of_a_name),
                cmocka_unit_test(finds_members_of_lists),
                cmocka_unit_test(walks_the_block_it_wrote),
                cmocka_unit_test(writes_a_line_as_http_does),
                cmocka_unit_test(never_writes_what_could_split_a_head),
                cmocka_unit_test(fills_a_block_to_its_last_byte),
                cmocka_unit_test(stops_at_a_line_that_is_none),
                cmocka_unit_test(has_a_phrase_for_every_status),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
