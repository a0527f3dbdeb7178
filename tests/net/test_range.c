/* The Range field. */
#include "net/range.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static enum range_result read_one(struct slice value, uint64_t size, uint64_t *first, uint64_t *last)
{
        char *exact = malloc(value.len ? value.len : 1);
        enum range_result r;

        assert_non_null(exact);
        memcpy(exact, value.ptr, value.len);
        r = range_parse((struct slice){ exact, value.len }, size, first, last);
        free(exact);
        return r;
}

static void cuts_a_range(void **state)
{
        static const struct {
                struct slice value;
                uint64_t size, first, last;
        } rows[] = {
                { SLICE("bytes=0-0"), 10, 0, 0 },
                { SLICE("bytes=0-9"), 10, 0, 9 },
                { SLICE("bytes=0-10"), 10, 0, 9 },
                { SLICE("bytes=9-9"), 10, 9, 9 },
                { SLICE("bytes=9-"), 10, 9, 9 },
                { SLICE("bytes=0-"), 1, 0, 0 },
                { SLICE("Bytes=2-4"), 10, 2, 4 },
                { SLICE("bytes= 2-4"), 10, 2, 4 },
                { SLICE("bytes=-1"), 10, 9, 9 },
                { SLICE("bytes=-10"), 10, 0, 9 },
                { SLICE("bytes=-11"), 10, 0, 9 },
                { SLICE("bytes=-18446744073709551615"), 10, 0, 9 },
                { SLICE("bytes=5-18446744073709551615"), 10, 5, 9 },
                { SLICE("bytes=0-18446744073709551615"), UINT64_MAX, 0, UINT64_MAX - 1 },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                uint64_t first = 77, last = 77;

                if (read_one(rows[i].value, rows[i].size, &first, &last) != RANGE_ONE ||
                    first != rows[i].first || last != rows[i].last)
                        fail_msg("wrong about %.*s", SLICE_ARG(rows[i].value));
        }
}

static void says_when_nothing_can_be_sent(void **state)
{
        static const struct {
                struct slice value;
                uint64_t size;
        } rows[] = {
                { SLICE("bytes=10-"), 10 },
                { SLICE("bytes=10-12"), 10 },
                { SLICE("bytes=18446744073709551615-"), 10 },
                { SLICE("bytes=-0"), 10 },
                { SLICE("bytes=0-"), 0 },
                { SLICE("bytes=0-0"), 0 },
                { SLICE("bytes=-1"), 0 },
        };
        uint64_t first, last;

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                if (read_one(rows[i].value, rows[i].size, &first, &last) != RANGE_UNSATISFIABLE)
                        fail_msg("wrong about %.*s", SLICE_ARG(rows[i].value));
}

static void sends_everything_when_it_does_not_understand(void **state)
{
        static const struct slice rows[] = {
                SLICE(""),
                SLICE("bytes"),
                SLICE("bytes="),
                SLICE("bytes=-"),
                SLICE("bytes=5"),
                SLICE("bytes=5-3"),
                SLICE("bytes=a-3"),
                SLICE("bytes=1-b"),
                SLICE("bytes=--1"),
                SLICE("bytes=1--2"),
                SLICE("bytes=+1-2"),
                SLICE("bytes=0-1,3-4"),
                SLICE("bytes=0-1,"),
                SLICE("items=0-1"),
                SLICE("bytes:0-1"),
                SLICE("bytes =0-1"),
                SLICE("0-1"),
                SLICE("bytes=0x1-2"),
                SLICE("bytes=1-2-3"),
                SLICE("bytes=1 2-3"),
                SLICE("bytes=18446744073709551616-"),
                SLICE("bytes=0-\0"),
        };
        uint64_t first, last;

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                if (read_one(rows[i], 10, &first, &last) != RANGE_NONE)
                        fail_msg("understood: %.*s", SLICE_ARG(rows[i]));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(cuts_a_range),
                cmocka_unit_test(says_when_nothing_can_be_sent),
                cmocka_unit_test(sends_everything_when_it_does_not_understand),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
