/* The token buckets, under a clock of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>

#include <stdio.h>

#include "base/bounds.h"
#include "server/rate.h"

static void a_burst_passes_and_then_the_rate(void **state)
{
        struct rate *rate = rate_new();
        int64_t wait;

        (void)state;
        for (int i = 0; i < 5; i++)
                assert_true(rate_take(rate, SLICE("a"), 10, 5, 1000, &wait));
        assert_false(rate_take(rate, SLICE("a"), 10, 5, 1000, &wait));
        assert_in_range(wait, 100, 101);
        assert_false(rate_take(rate, SLICE("a"), 10, 5, 1099, &wait));
        assert_true(rate_take(rate, SLICE("a"), 10, 5, 1101, &wait));
        assert_false(rate_take(rate, SLICE("a"), 10, 5, 1101, &wait));
        assert_true(rate_take(rate, SLICE("b"), 10, 5, 1101, &wait));
        rate_free(rate);
}

static void a_long_rest_earns_no_more_than_the_burst(void **state)
{
        struct rate *rate = rate_new();
        int passed = 0;
        int64_t wait;

        (void)state;
        assert_true(rate_take(rate, SLICE("a"), 10, 5, 0, &wait));
        while (rate_take(rate, SLICE("a"), 10, 5, 1000000, &wait))
                passed++;
        assert_int_equal(passed, 5);
        rate_free(rate);
}

static void zero_is_no_limit(void **state)
{
        struct rate *rate = rate_new();
        int64_t wait = 7;

        (void)state;
        for (int i = 0; i < 1000; i++)
                assert_true(rate_take(rate, SLICE("a"), 0, 1, 0, &wait));
        assert_int_equal(wait, 0);
        rate_free(rate);
}

static void a_full_table_forgets_the_address_not_seen_for_longest(void **state)
{
        struct rate *rate = rate_new();
        char name[32];
        int64_t wait;

        (void)state;
        assert_true(rate_take(rate, SLICE("first"), 1, 1, 0, &wait));
        assert_true(rate_take(rate, SLICE("second"), 1, 1, 0, &wait));
        assert_false(
                rate_take(rate, SLICE("first"), 1, 1, 0, &wait)); /* seen again: now "second" is the oldest */
        for (int i = 0; i < RATE_ADDRESSES_MAX - 1; i++) {
                snprintf(name, sizeof(name), "n%d", i);
                assert_true(rate_take(rate, slice_of(name), 1, 1, 0, &wait));
        }
        assert_false(rate_take(rate, SLICE("first"), 1, 1, 0, &wait));
        assert_true(rate_take(rate, SLICE("second"), 1, 1, 0, &wait));
        rate_free(rate);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_burst_passes_and_then_the_rate),
                cmocka_unit_test(a_long_rest_earns_no_more_than_the_burst),
                cmocka_unit_test(zero_is_no_limit),
                cmocka_unit_test(a_full_table_forgets_the_address_not_seen_for_longest),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
