/* When a failed run is tried again: pauses, what statuses may pass, and what a run says about it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "job/retry.h"

#define YEAR_MS (INT64_C(365) * 24 * 3600 * 1000)
#define LOWEST  UINT32_C(0)
#define HIGHEST UINT32_MAX

static const struct retry_advice nothing_said = { .wish = RETRY_UNSAID };

static int64_t pause_of(int64_t backoff_ms, int64_t most_ms, uint32_t n, uint32_t random)
{
        struct retry_policy policy = { .max = 9, .backoff_ms = backoff_ms, .backoff_max_ms = most_ms };

        return retry_pause_ms(&policy, n, &nothing_said, random);
}

static void the_longest_pause_doubles_up_to_its_maximum(void **state)
{
        static const int64_t most[] = { 1000, 2000, 4000, 8000, 10000, 10000, 10000 };

        for (uint32_t n = 1; n <= 7; n++) {
                assert_int_equal(pause_of(1000, 10000, n, LOWEST), 0);
                assert_int_equal(pause_of(1000, 10000, n, HIGHEST), most[n - 1]);
                assert_in_range(pause_of(1000, 10000, n, UINT32_C(1) << 31), most[n - 1] / 2,
                                most[n - 1] / 2 + 1);
        }
        assert_int_equal(pause_of(1000, 8000, 4, HIGHEST), 8000);
        assert_int_equal(pause_of(1000, 8000, 5, HIGHEST), 8000);
        assert_int_equal(pause_of(20000, 10000, 1, HIGHEST), 10000);
}

static void pauses_of_nothing_and_of_a_year_are_pauses(void **state)
{
        assert_int_equal(pause_of(0, 10000, 1, HIGHEST), 0);
        assert_int_equal(pause_of(0, 10000, UINT32_MAX, HIGHEST), 0);
        assert_int_equal(pause_of(1000, 0, 3, HIGHEST), 0);
        /* 32 random bits do not tell every millisecond of a year */
        assert_in_range(pause_of(1, YEAR_MS, UINT32_MAX, HIGHEST), YEAR_MS - 8, YEAR_MS);
        assert_in_range(pause_of(YEAR_MS, YEAR_MS, 900, HIGHEST), YEAR_MS - 8, YEAR_MS);
        assert_int_equal(pause_of(1, 1, 1, LOWEST), 0);
        assert_int_equal(pause_of(1, 1, 1, HIGHEST), 1);
}

static void pauses_are_spread_evenly(void **state)
{
        unsigned in[10] = { 0 };

        for (uint32_t i = 0; i < 10000; i++)
                in[pause_of(9, 9, 1, i * (UINT32_MAX / 10000))]++;
        for (int i = 0; i < 10; i++)
                assert_in_range(in[i], 990, 1010);
}

static void what_was_asked_is_waited_for_within_the_maximum(void **state)
{
        struct retry_policy policy = { .max = 9, .backoff_ms = 1000, .backoff_max_ms = 60000 };
        struct retry_advice asked = { .wish = RETRY_ASKED, .has_after = true, .after_ms = 30000 };

        assert_int_equal(retry_pause_ms(&policy, 1, &asked, LOWEST), 30000);
        assert_int_equal(retry_pause_ms(&policy, 1, &asked, HIGHEST), 30000);
        assert_in_range(retry_pause_ms(&policy, 6, &asked, HIGHEST), 30001,
                        32000); /* the backoff is longer */
        asked.after_ms = 60000;
        assert_int_equal(retry_pause_ms(&policy, 1, &asked, LOWEST), 60000);
        asked.after_ms = 60001;
        assert_int_equal(retry_pause_ms(&policy, 1, &asked, HIGHEST), 60000);
        asked.after_ms = YEAR_MS;
        assert_int_equal(retry_pause_ms(&policy, 9, &asked, LOWEST), 60000);
        asked.after_ms = 0;
        assert_int_equal(retry_pause_ms(&policy, 1, &asked, LOWEST), 0);
        assert_int_equal(retry_pause_ms(&policy, 1, &asked, HIGHEST), 1000);
        asked.after_ms = -5;
        assert_int_equal(retry_pause_ms(&policy, 1, &asked, LOWEST), 0);
        asked.has_after = false; /* then the number says nothing */
        asked.after_ms = 30000;
        assert_int_equal(retry_pause_ms(&policy, 1, &asked, LOWEST), 0);
}

static void no_pause_is_negative_or_overflows_whatever_the_policy(void **state)
{
        static const int64_t odd[] = { INT64_MIN, -1, 0, 1, INT64_MAX / 2 + 2, INT64_MAX };

        for (size_t a = 0; a < 6; a++)
                for (size_t b = 0; b < 6; b++)
                        for (size_t c = 0; c < 6; c++)
                                for (uint32_t random = 0; random < 2; random++) {
                                        struct retry_policy policy = { .backoff_ms = odd[a],
                                                                       .backoff_max_ms = odd[b] };
                                        struct retry_advice asked = { RETRY_ASKED, true, odd[c] };
                                        int64_t pause =
                                                retry_pause_ms(&policy, UINT32_MAX, &asked, 0 - random);

                                        assert_true(pause >= 0 && (pause == 0 || pause <= odd[b]));
                                }
}

static void a_few_statuses_may_pass(void **state)
{
        for (int status = -1; status <= 1000; status++)
                assert_int_equal(retry_status(status), status == 408 || status == 425 || status == 429 ||
                                                               (status >= 500 && status <= 599));
}

static void a_wish_is_no_or_a_time(void **state)
{
        static const struct {
                const char *text;
                int64_t after_ms; /* -1: no */
        } rows[] = {
                { "no", -1 },
                { "NO", -1 },
                { "No", -1 },
                { "0", 0 },
                { "30", 30000 },
                { "30s", 30000 },
                { "10m", 600000 },
                { "250ms", 250 },
                { "1h", 3600000 },
                { "365d", YEAR_MS },
                { "31536000", YEAR_MS },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct retry_advice got = { .wish = RETRY_UNSAID, .has_after = true, .after_ms = 77 };

                assert_true(retry_parse_wish(slice_of(rows[i].text), &got));
                assert_int_equal(got.wish, rows[i].after_ms < 0 ? RETRY_NO : RETRY_ASKED);
                assert_int_equal(got.has_after, rows[i].after_ms >= 0);
                if (got.has_after)
                        assert_int_equal(got.after_ms, rows[i].after_ms);
        }
}

static void what_is_neither_says_nothing(void **state)
{
        static const struct slice rows[] = {
                { NULL, 0 },
                SLICE(""),
                SLICE(" "),
                SLICE("yes"),
                SLICE("non"),
                SLICE("n"),
                SLICE("-1"),
                SLICE("+1"),
                SLICE("1.5"),
                SLICE("1 s"),
                SLICE("30x"),
                SLICE("s"),
                SLICE("30s "),
                SLICE("no\0"),
                SLICE("30\0"),
                SLICE("366d"),
                SLICE("31536001"),
                SLICE("0x10"),
                SLICE("99999999999999999999999"),
                SLICE("00000000000000000000000000000030"),
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct retry_advice got = { .wish = RETRY_UNSAID, .after_ms = 77 };

                assert_false(retry_parse_wish(rows[i], &got));
                assert_int_equal(got.wish, RETRY_UNSAID);
                assert_false(got.has_after);
                assert_int_equal(got.after_ms, 77);
        }
}

static void retry_after_is_seconds_or_a_date(void **state)
{
        const int64_t now_ms = INT64_C(784111777000); /* Sun, 06 Nov 1994 08:49:37 GMT */
        static const struct {
                const char *text;
                int64_t after_ms;
        } rows[] = {
                { "0", 0 },
                { "120", 120000 },
                { "31536000", YEAR_MS },
                { "31536001", YEAR_MS }, /* seconds all the same: as long as any pause may be */
                { "18446744073709551615", YEAR_MS },
                { "99999999999999999999999999", YEAR_MS },
                { "Sun, 06 Nov 1994 08:50:37 GMT", 60000 },
                { "Sunday, 06-Nov-94 08:50:37 GMT", 60000 },
                { "Sun Nov  6 08:50:37 1994", 60000 },
                { "Sun, 06 Nov 1994 08:49:37 GMT", 0 },
                { "Sun, 06 Nov 1994 08:49:36 GMT", 0 },
                { "Thu, 01 Jan 1970 00:00:00 GMT", 0 },
                { "Fri, 31 Dec 9999 23:59:59 GMT", YEAR_MS },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                int64_t got = -7;

                if (!retry_parse_after(slice_of(rows[i].text), now_ms, &got))
                        fail_msg("'%s'", rows[i].text);
                assert_int_equal(got, rows[i].after_ms);
        }
}

static void a_date_is_a_pause_whatever_the_clock_says(void **state)
{
        static const struct {
                int64_t now_ms, after_ms;
        } rows[] = {
                { INT64_MIN, YEAR_MS },
                { INT64_MAX, 0 },
                { INT64_C(784111777000) - YEAR_MS - 1, YEAR_MS },
                { INT64_C(784111777000) - YEAR_MS, YEAR_MS },
                { INT64_C(784111777000) - YEAR_MS + 1, YEAR_MS - 1 },
                { INT64_C(784111777000) - 1, 1 },
                { INT64_C(784111777000), 0 },
                { INT64_C(784111777000) + 1, 0 },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                int64_t got = -7;

                assert_true(retry_parse_after(SLICE("Sun, 06 Nov 1994 08:49:37 GMT"), rows[i].now_ms, &got));
                assert_int_equal(got, rows[i].after_ms);
        }
}

static void a_retry_after_that_is_neither_says_nothing(void **state)
{
        static const char *const rows[] = {
                "",     " ",    "-1",  "+1",    "1.5", "1s",
                "soon", "120 ", "0x1", "12 34", "1e3", "Sun, 06 Nov 1994 08:49:37"
        };
        int64_t got = 77;

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                assert_false(retry_parse_after(slice_of(rows[i]), 0, &got));
                assert_int_equal(got, 77);
        }
        assert_false(retry_parse_after((struct slice){ NULL, 0 }, 0, &got));
        assert_false(retry_parse_after(SLICE("1\0"), 0, &got));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_longest_pause_doubles_up_to_its_maximum),
                cmocka_unit_test(pauses_of_nothing_and_of_a_year_are_pauses),
                cmocka_unit_test(pauses_are_spread_evenly),
                cmocka_unit_test(what_was_asked_is_waited_for_within_the_maximum),
                cmocka_unit_test(no_pause_is_negative_or_overflows_whatever_the_policy),
                cmocka_unit_test(a_few_statuses_may_pass),
                cmocka_unit_test(a_wish_is_no_or_a_time),
                cmocka_unit_test(what_is_neither_says_nothing),
                cmocka_unit_test(retry_after_is_seconds_or_a_date),
                cmocka_unit_test(a_date_is_a_pause_whatever_the_clock_says),
                cmocka_unit_test(a_retry_after_that_is_neither_says_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
