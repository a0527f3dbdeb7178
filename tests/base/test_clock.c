/* Dates as sendoff writes and reads them. */
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define NOV_21 1795248000000 /* 2026-11-21T08:00:00Z */

static void writes_rfc_3339_with_milliseconds(void **state)
{
        char out[CLOCK_RFC3339_SIZE];

        assert_string_equal(clock_rfc3339(NOV_21 + 123, out), "2026-11-21T08:00:00.123Z");
        assert_string_equal(clock_rfc3339(0, out), "1970-01-01T00:00:00.000Z");
        assert_string_equal(clock_rfc3339(-1, out), "1969-12-31T23:59:59.999Z");
        assert_string_equal(clock_rfc3339(-1000, out), "1969-12-31T23:59:59.000Z");
        assert_string_equal(clock_rfc3339(951782400000 + 7, out), "2000-02-29T00:00:00.007Z");
        assert_string_equal(clock_rfc3339(253402300799999, out), "9999-12-31T23:59:59.999Z");
}

static void writes_http_dates(void **state)
{
        char out[CLOCK_HTTP_SIZE];

        assert_string_equal(clock_http(784111777000, out), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_string_equal(clock_http(784111777999, out), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_string_equal(clock_http(NOV_21, out), "Sat, 21 Nov 2026 08:00:00 GMT");
}

static void writes_access_log_dates(void **state)
{
        char out[CLOCK_CLF_SIZE];

        assert_string_equal(clock_clf(NOV_21 + 999, out), "21/Nov/2026:08:00:00 +0000");
}

static void writes_utc_in_any_time_zone(void **state)
{
        char out[CLOCK_HTTP_SIZE];
        int64_t ms;

        assert_int_equal(setenv("TZ", "Asia/Tokyo", 1), 0);
        tzset();
        assert_string_equal(clock_http(784111777000, out), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_true(clock_http_parse(SLICE("Sun, 06 Nov 1994 08:49:37 GMT"), &ms));
        assert_int_equal(ms, 784111777000);
        assert_int_equal(unsetenv("TZ"), 0);
        tzset();
}

static void stays_within_its_size_at_any_time(void **state)
{
        static const int64_t odd[] = { INT64_MIN, INT64_MIN + 1, -62135596800001, 253402300800000,
                                       INT64_MAX };
        char out[CLOCK_RFC3339_SIZE];

        for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
                clock_rfc3339(odd[i], out);
                clock_http(odd[i], out);
                clock_clf(odd[i], out);
        }
}

static void reads_all_three_forms(void **state)
{
        static const char *const forms[] = { "Sun, 06 Nov 1994 08:49:37 GMT",
                                             "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994" };

        for (size_t i = 0; i < 3; i++) {
                int64_t ms = 0;

                assert_true(clock_http_parse(slice_of(forms[i]), &ms));
                assert_int_equal(ms, 784111777000);
        }
}

static void reads_nothing_else(void **state)
{
        static const char *const others[] = {
                "",
                "yesterday",
                "Sun, 06 Nov 1994 08:49:37",
                "Sun, 06 Nov 1994 08:49:37 GMT ",
                "Sun, 06 Nov 1994 08:49:37 CET",
                "Sun, 06 Nov 1994 25:49:37 GMT",
                "Sun, 32 Nov 1994 08:49:37 GMT",
                "Sun, 06 Foo 1994 08:49:37 GMT",
                "784111777",
                "2026-11-21T08:00:00Z",
                "Sun, 06 Nov 1994 08:49:37 GMT and more than a date could be long",
        };
        int64_t ms = 42;

        for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
                if (clock_http_parse(slice_of(others[i]), &ms))
                        fail_msg("\"%s\" was read as a date", others[i]);
        assert_false(clock_http_parse(SLICE("Sun, 06 Nov 1994 08:49:37 GMT\0"), &ms));
        assert_int_equal(ms, 42);
}

static void reads_what_it_writes(void **state)
{
        char out[CLOCK_HTTP_SIZE];
        int64_t ms;

        for (int64_t t = 0; t < 4102444800000; t += 86400000 * 13 + 3661000) {
                assert_true(clock_http_parse(slice_of(clock_http(t, out)), &ms));
                assert_int_equal(ms, t);
        }
}

static void never_runs_backwards(void **state)
{
        int64_t last_ns = clock_mono_ns(), last_ms = clock_mono_ms();

        for (int i = 0; i < 100000; i++) {
                int64_t ns = clock_mono_ns(), ms = clock_mono_ms();

                assert_true(ns >= last_ns && ms >= last_ms);
                last_ns = ns;
                last_ms = ms;
        }
        assert_in_range(clock_real_ms() / 1000 - time(NULL) + 5, 0, 10);
}

static void reads_rfc_3339(void **state)
{
        static const struct {
                const char *text;
                int64_t ms;
        } good[] = {
                { "2026-11-21T08:00:00Z", NOV_21 },
                { "2026-11-21T08:00:00.123Z", NOV_21 + 123 },
                { "2026-11-21T08:00:00.1239999Z", NOV_21 + 123 },
                { "2026-11-21t08:00:00z", NOV_21 },
                { "2026-11-21 08:00Z", NOV_21 },
                { "2026-11-21T09:30:00+01:30", NOV_21 },
                { "2026-11-21T05:00:00-0300", NOV_21 },
                { "2000-02-29T00:00:00Z", 951782400000 },
                { "1970-01-01T00:00:00Z", 0 },
                { "2016-12-31T23:59:60Z", 1483228800000 },
        };
        int64_t ms;

        for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
                assert_true(clock_rfc3339_parse(slice_of(good[i].text), &ms));
                assert_int_equal(ms, good[i].ms);
        }
}

static void reads_nothing_that_is_not_rfc_3339(void **state)
{
        static const char *const bad[] = {
                "",
                "2026-11-21",
                "2026-11-21T08:00:00",
                "2026-11-21T24:00:00Z",
                "2026-13-21T08:00:00Z",
                "2026-00-21T08:00:00Z",
                "2026-11-00T08:00:00Z",
                "2026-11-32T08:00:00Z",
                "2026-11-21T08:60:00Z",
                "2026-11-21T08:00:61Z",
                "2026-11-21T08:00:00.Z",
                "2026-11-21T08:00:00+1",
                "2026-11-21T08:00:00Zz",
                "2026-11-21T08:00:00+24:00",
                "1969-12-31T23:59:59Z",
                "26-11-21T08:00:00Z",
                " 2026-11-21T08:00:00Z",
                "2026-11-21T08:00:00.123456789012345678901234567890Z",
                "tomorrow",
        };
        int64_t ms;

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                assert_false(clock_rfc3339_parse(slice_of(bad[i]), &ms));
        assert_false(clock_rfc3339_parse((struct slice){ "2026-11-21T08:00:00Z\0", 21 }, &ms));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(writes_rfc_3339_with_milliseconds),
                cmocka_unit_test(writes_http_dates),
                cmocka_unit_test(writes_access_log_dates),
                cmocka_unit_test(writes_utc_in_any_time_zone),
                cmocka_unit_test(stays_within_its_size_at_any_time),
                cmocka_unit_test(reads_all_three_forms),
                cmocka_unit_test(reads_nothing_else),
                cmocka_unit_test(reads_what_it_writes),
                cmocka_unit_test(reads_rfc_3339),
                cmocka_unit_test(reads_nothing_that_is_not_rfc_3339),
                cmocka_unit_test(never_runs_backwards),
        };

        return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
