/* Random bytes: that they come, all of them, and differ. */
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void fills_every_byte(void **state)
{
        unsigned char bytes[1000], seen[1000] = { 0 };

        for (int round = 0; round < 8; round++) {
                assert_int_equal(random_bytes(bytes, sizeof(bytes)), 0);
                for (size_t i = 0; i < sizeof(bytes); i++)
                        seen[i] |= bytes[i];
        }
        for (size_t i = 0; i < sizeof(seen); i++)
                assert_int_not_equal(seen[i],
                                     0); /* eight zeroes in one place: once in 2^54 runs of this test */
}

static void touches_nothing_beyond(void **state)
{
        unsigned char bytes[4] = { 1, 2, 3, 4 };

        assert_int_equal(random_bytes(bytes, 0), 0);
        assert_memory_equal(bytes, "\1\2\3\4", 4);
        assert_int_equal(random_bytes(bytes, 3), 0);
        assert_int_equal(bytes[3], 4);
}

static void writes_lower_case_hex(void **state)
{
        char hex[66];

        for (size_t digits = 0; digits <= 64; digits += 2) {
                memset(hex, 'z', sizeof(hex));
                assert_int_equal(random_hex(hex, digits), 0);
                assert_int_equal(strlen(hex), digits);
                assert_int_equal(strspn(hex, "0123456789abcdef"), digits);
                assert_int_equal(hex[digits + 1], 'z');
        }
}

static void gives_every_digit_in_every_place(void **state)
{
        unsigned seen[32] = { 0 };
        char hex[33];

        for (int i = 0; i < 1000; i++) {
                assert_int_equal(random_hex(hex, 32), 0);
                for (int k = 0; k < 32; k++)
                        seen[k] |= 1u << (hex[k] <= '9' ? hex[k] - '0' : hex[k] - 'a' + 10);
        }
        for (int k = 0; k < 32; k++)
                assert_int_equal(__builtin_popcount(seen[k]), 16);
}

static void does_not_repeat_itself(void **state)
{
        char ids[64][25];

        for (int i = 0; i < 64; i++) {
                assert_int_equal(random_hex(ids[i], 24), 0);
                for (int k = 0; k < i; k++)
                        assert_string_not_equal(ids[i], ids[k]);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(fills_every_byte),       cmocka_unit_test(touches_nothing_beyond),
                cmocka_unit_test(writes_lower_case_hex),  cmocka_unit_test(gives_every_digit_in_every_place),
                cmocka_unit_test(does_not_repeat_itself),
        };

        return cmocka_run_group_tests_name("random", tests, NULL, NULL);
}
