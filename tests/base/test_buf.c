/* The bounded buffer: its maximum, its two ends, and that a failed call changes nothing. */
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_holds(const struct buf *b, const char *text)
{
        assert_true(slice_eq(buf_slice(b), slice_of(text)));
}

static void is_empty_at_first(void **state)
{
        struct buf b;

        buf_init(&b, 10);
        assert_int_equal(buf_len(&b), 0);
        assert_null(buf_data(&b));
        assert_holds(&b, "");
        buf_fini(&b);
        buf_fini(&b);
}

static void takes_up_to_its_maximum_and_no_more(void **state)
{
        struct buf b;

        buf_init(&b, 5);
        assert_int_equal(buf_append(&b, "abc", 3), 0);
        assert_int_equal(buf_append(&b, "def", 3), BUF_FULL);
        assert_holds(&b, "abc");
        assert_int_equal(buf_append(&b, "de", 2), 0);
        assert_holds(&b, "abcde");
        assert_int_equal(buf_append(&b, "f", 1), BUF_FULL);
        assert_int_equal(buf_append(&b, "f", 0), 0);
        assert_int_equal(buf_append_str(&b, "f"), BUF_FULL);
        assert_int_equal(buf_append_slice(&b, SLICE("f")), BUF_FULL);
        assert_int_equal(buf_printf(&b, "%d", 1), BUF_FULL);
        assert_null(buf_reserve(&b, 1));
        assert_null(buf_reserve(&b, SIZE_MAX));
        assert_holds(&b, "abcde");
        buf_fini(&b);
}

static void counts_only_what_it_holds_against_the_maximum(void **state)
{
        struct buf b;

        buf_init(&b, 5);
        for (int i = 0; i < 1000; i++) {
                assert_int_equal(buf_append(&b, "abcde", 5), 0);
                buf_consume(&b, 3);
                assert_int_equal(buf_append(&b, "xyz", 3), 0);
                assert_holds(&b, "dexyz");
                buf_consume(&b, 5);
        }
        buf_fini(&b);
}

static void takes_nothing_when_its_maximum_is_nothing(void **state)
{
        struct buf b;

        buf_init(&b, 0);
        assert_int_equal(buf_append(&b, "", 0), 0);
        assert_int_equal(buf_append(&b, "a", 1), BUF_FULL);
        buf_fini(&b);
}

static void drops_at_the_front(void **state)
{
        struct buf b;

        buf_init(&b, 100);
        assert_int_equal(buf_append_str(&b, "abcdef"), 0);
        buf_consume(&b, 0);
        buf_consume(&b, 2);
        assert_holds(&b, "cdef");
        assert_int_equal(buf_append_str(&b, "gh"), 0);
        assert_holds(&b, "cdefgh");
        buf_consume(&b, 6);
        assert_holds(&b, "");
        assert_int_equal(buf_append_str(&b, "i"), 0);
        assert_holds(&b, "i");
        buf_clear(&b);
        assert_holds(&b, "");
        buf_fini(&b);
}

static void keeps_every_byte_while_it_grows_and_slides(void **state)
{
        unsigned seed = 7, in = 0, out = 0;
        struct buf b;

        buf_init(&b, 5000);
        for (int i = 0; i < 20000; i++) {
                char bytes[700];
                size_t n = (size_t)rand_r(&seed) % sizeof(bytes);

                for (size_t k = 0; k < n; k++)
                        bytes[k] = (char)(in + k);
                if (buf_append(&b, bytes, n) == 0)
                        in += (unsigned)n;
                n = buf_len(&b) ? (size_t)rand_r(&seed) % (buf_len(&b) + 1) : 0;
                for (size_t k = 0; k < n; k++)
                        if (buf_data(&b)[k] != (char)(out + k))
                                fail_msg("byte %zu of step %d", k, i);
                buf_consume(&b, n);
                out += (unsigned)n;
                assert_int_equal(in - out, buf_len(&b));
                assert_true(b.cap <= 2 * 5000);
        }
        buf_fini(&b);
}

static void prints_at_its_end(void **state)
{
        char text[3000];
        struct buf b;

        memset(text, 'x', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        buf_init(&b, 3010);
        assert_int_equal(buf_printf(&b, "%s-%d;", "a", 5), 0);
        assert_holds(&b, "a-5;");
        assert_int_equal(buf_printf(&b, "%s", text), 0);
        assert_int_equal(buf_len(&b), 4 + strlen(text));
        assert_memory_equal(buf_data(&b) + 4, text, strlen(text));
        assert_int_equal(buf_printf(&b, "%s", "12345678"), BUF_FULL);
        assert_int_equal(buf_printf(&b, "%s", ""), 0);
        assert_int_equal(buf_printf(&b, "%s", "1234567"), 0);
        assert_int_equal(buf_len(&b), 3010);
        assert_memory_equal(buf_data(&b) + 3003, "1234567", 7);
        buf_fini(&b);
}

static void lends_room_to_write_into(void **state)
{
        struct buf b;
        char *room;

        buf_init(&b, 1000);
        assert_int_equal(buf_append_str(&b, "ab"), 0);
        room = buf_reserve(&b, 998);
        assert_non_null(room);
        assert_holds(&b, "ab");
        memcpy(room, "cd", 2);
        buf_wrote(&b, 2);
        assert_holds(&b, "abcd");
        assert_null(buf_reserve(&b, 997));
        assert_non_null(buf_reserve(&b, 996));
        buf_fini(&b);
}

static void gives_its_memory_back_when_empty(void **state)
{
        struct buf b;

        buf_init(&b, 100);
        assert_int_equal(buf_append_str(&b, "ab"), 0);
        buf_shrink(&b);
        assert_holds(&b, "ab");
        buf_consume(&b, 2);
        buf_shrink(&b);
        assert_null(buf_data(&b));
        assert_int_equal(buf_append_str(&b, "cd"), 0);
        assert_holds(&b, "cd");
        buf_fini(&b);
}

static void hands_its_content_over_as_a_string(void **state)
{
        struct buf b;
        char *text;

        buf_init(&b, 100);
        text = buf_take(&b);
        assert_string_equal(text, "");
        free(text);
        assert_int_equal(buf_append_str(&b, "xab"), 0);
        buf_consume(&b, 1);
        text = buf_take(&b);
        assert_string_equal(text, "ab");
        free(text);
        assert_holds(&b, "");
        assert_int_equal(buf_append_str(&b, "cd"), 0);
        buf_fini(&b);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(is_empty_at_first),
                cmocka_unit_test(takes_up_to_its_maximum_and_no_more),
                cmocka_unit_test(counts_only_what_it_holds_against_the_maximum),
                cmocka_unit_test(takes_nothing_when_its_maximum_is_nothing),
                cmocka_unit_test(drops_at_the_front),
                cmocka_unit_test(keeps_every_byte_while_it_grows_and_slides),
                cmocka_unit_test(prints_at_its_end),
                cmocka_unit_test(lends_room_to_write_into),
                cmocka_unit_test(gives_its_memory_back_when_empty),
                cmocka_unit_test(hands_its_content_over_as_a_string),
        };

        return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
