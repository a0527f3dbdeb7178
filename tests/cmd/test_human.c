/* cmd/human.c: values of a record as people read them, also of a record that lacks them or has others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cmd/human.h"

static json_t *record(const char *text)
{
        json_t *json = json_loads(text, 0, NULL);

        assert_non_null(json);
        return json;
}

static void spans_have_one_unit(void **state)
{
        static const struct {
                int64_t ms;
                const char *text;
        } spans[] = { { -1, "-" },        { 0, "0.0s" },     { 9999, "10.0s" },    { 10000, "10s" },
                      { 599999, "599s" }, { 600000, "10m" }, { 35999999, "599m" }, { 36000000, "10h" } };
        char out[HUMAN_SIZE];

        (void)state;
        for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++)
                assert_string_equal(human_span(spans[i].ms, out), spans[i].text);
}

static void an_answer_is_a_status_a_code_or_a_signal(void **state)
{
        static const char *const answers[][2] = {
                { "{\"status\":404,\"exit_code\":null,\"signal\":null}", "404" },
                { "{\"status\":null,\"exit_code\":0,\"signal\":null}", "exit 0" },
                { "{\"status\":null,\"exit_code\":null,\"signal\":9}", "sig 9" },
                { "{\"status\":\"x\"}", "-" },
                { "{}", "-" },
        };
        char out[HUMAN_SIZE];

        (void)state;
        for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
                json_t *json = record(answers[i][0]);

                assert_string_equal(human_answer(json, out), answers[i][1]);
                json_decref(json);
        }
}

static void connection_status_is_words(void **state)
{
        static const char *const words[] = { "normal", "aborted", "timed out", "aborted and timed out" };

        (void)state;
        for (int i = 0; i < 4; i++) {
                json_t *json = json_pack("{s:i}", "connection_status", i);

                assert_string_equal(human_connection(json), words[i]);
                json_decref(json);
        }
        assert_string_equal(human_connection(NULL), "normal");
}

static void progress_is_a_bar_where_there_is_a_total(void **state)
{
        static const char *const cases[][3] = {
                { "{\"done\":40,\"total\":100,\"note\":\"mailing\"}",
                  "[#########...............] 40/100 mailing", "40%" },
                { "{\"done\":0,\"total\":3,\"note\":null}", "[........................] 0/3", "0%" },
                { "{\"done\":3,\"total\":3,\"note\":null}", "[########################] 3/3", "100%" },
                { "{\"done\":5,\"total\":3,\"note\":null}", "[########################] 5/3", "100%" },
                { "{\"done\":9223372036854775806,\"total\":9223372036854775807,\"note\":null}",
                  "[########################] 9223372036854775806/9223372036854775807", "100%" },
                { "{\"done\":7,\"total\":null,\"note\":\"rows\"}", "7 rows", "7" },
                { "{\"done\":-7,\"total\":-1,\"note\":7}", "0", "0" },
                { "null", "", "" },
        };

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                char out[200], little[8], brief[HUMAN_SIZE];
                json_t *job = json_pack("{s:o}", "progress", json_loads(cases[i][0], JSON_DECODE_ANY, NULL));

                assert_string_equal(human_progress(job, out, sizeof(out)), cases[i][1]);
                assert_string_equal(human_progress_short(job, brief), cases[i][2]);
                human_progress(job, little, sizeof(little));
                assert_int_equal(strncmp(little, cases[i][1], strlen(little)), 0);
                json_decref(job);
        }
}

static void a_terminal_gets_nothing_that_it_would_obey(void **state)
{
        char text[] = "a\033[31mb\nc\177 \303\274";

        (void)state;
        assert_string_equal(human_clean(text), "a [31mb c  \303\274");
}

static void times_are_those_of_the_record(void **state)
{
        json_t *json = record("{\"a\":\"2026-11-21T08:00:00.123Z\",\"b\":null,\"c\":\"soon\"}");

        (void)state;
        assert_int_equal(human_time(json, "a"), 1795248000123);
        assert_int_equal(human_time(json, "b"), -1);
        assert_int_equal(human_time(json, "c"), -1);
        assert_int_equal(human_time(NULL, "a"), -1);
        json_decref(json);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(spans_have_one_unit),
                cmocka_unit_test(an_answer_is_a_status_a_code_or_a_signal),
                cmocka_unit_test(connection_status_is_words),
                cmocka_unit_test(progress_is_a_bar_where_there_is_a_total),
                cmocka_unit_test(a_terminal_gets_nothing_that_it_would_obey),
                cmocka_unit_test(times_are_those_of_the_record),
        };

        return cmocka_run_group_tests_name("cmd/human", tests, NULL, NULL);
}
