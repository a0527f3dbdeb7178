/* The bounded log of a run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "server/run_log.h"

#define NOV_21 1795248000000 /* 2026-11-21T08:00:00Z */

struct told {
        unsigned lines;
        char last[256];
};

static void on_line(void *arg, struct slice line)
{
        struct told *told = arg;

        told->lines++;
        snprintf(told->last, sizeof(told->last), "%.*s", SLICE_ARG(line));
}

static char *text_of(const struct run_log *log)
{
        struct buf out;

        buf_init(&out, 1 << 20);
        assert_int_equal(run_log_text(log, &out), 0);
        return buf_take(&out);
}

static void lines_are_cut_out_of_bytes_that_come_in_any_pieces(void **state)
{
        static const char bytes[] = "one\r\ntwo\n\nthree";
        struct told told = { 0 };
        struct run_log log;
        char *text;

        run_log_init(&log, 3, on_line, &told);
        for (size_t i = 0; i < sizeof(bytes) - 1; i++)
                run_log_bytes(&log, RUN_LOG_STDERR, (struct slice){ bytes + i, 1 }, NOV_21 + (int64_t)i);
        assert_int_equal(told.lines, 3);
        run_log_flush(&log, NOV_21 + 100);
        assert_int_equal(told.lines, 4);
        text = text_of(&log);
        assert_string_equal(text, "2026-11-21T08:00:00.004Z 3 stderr one\n"
                                  "2026-11-21T08:00:00.008Z 3 stderr two\n"
                                  "2026-11-21T08:00:00.009Z 3 stderr \n"
                                  "2026-11-21T08:00:00.100Z 3 stderr three\n");
        free(text);
        run_log_fini(&log);
        run_log_fini(&log);
}

static void streams_do_not_cut_into_each_other(void **state)
{
        struct run_log log;
        char *text;

        run_log_init(&log, 1, NULL, NULL);
        run_log_bytes(&log, RUN_LOG_STDOUT, SLICE("out "), NOV_21);
        run_log_bytes(&log, RUN_LOG_STDERR, SLICE("err\n"), NOV_21);
        run_log_bytes(&log, RUN_LOG_STDOUT, SLICE("goes on\n"), NOV_21);
        text = text_of(&log);
        assert_string_equal(text, "2026-11-21T08:00:00.000Z 1 stderr err\n"
                                  "2026-11-21T08:00:00.000Z 1 stdout out goes on\n");
        free(text);
        run_log_fini(&log);
}

static void control_bytes_cannot_reach_a_terminal(void **state)
{
        struct run_log log;
        char *text;

        run_log_init(&log, 1, NULL, NULL);
        run_log_bytes(&log, RUN_LOG_STDERR, (struct slice){ "a\033[2J\0b\tc\x7f\xc3\xa9\n", 14 }, NOV_21);
        text = text_of(&log);
        assert_string_equal(text, "2026-11-21T08:00:00.000Z 1 stderr a?[2J?b\tc?\xc3\xa9\n");
        free(text);
        run_log_fini(&log);
}

static void only_what_says_more_than_start_and_end_is_worth_keeping(void **state)
{
        struct run_log log;

        run_log_init(&log, 1, NULL, NULL);
        run_log_say(&log, false, NOV_21, "run %u has begun", 1U);
        assert_false(log.worth_keeping);
        run_log_say(&log, true, NOV_21, "cancelled");
        assert_true(log.worth_keeping);
        run_log_fini(&log);
        run_log_init(&log, 1, NULL, NULL);
        run_log_bytes(&log, RUN_LOG_STDERR, SLICE("x"), NOV_21);
        assert_true(log.worth_keeping);
        run_log_fini(&log);
}

static void a_line_too_long_is_cut_in_pieces(void **state)
{
        struct told told = { 0 };
        struct run_log log;
        char *line = malloc(RUN_LOG_LINE + 2);

        memset(line, 'x', RUN_LOG_LINE + 1);
        line[RUN_LOG_LINE + 1] = '\n';
        run_log_init(&log, 1, on_line, &told);
        run_log_bytes(&log, RUN_LOG_STDERR, (struct slice){ line, RUN_LOG_LINE + 2 }, NOV_21);
        assert_int_equal(told.lines, 2);
        assert_string_equal(told.last, "2026-11-21T08:00:00.000Z 1 stderr x\n");
        run_log_bytes(&log, RUN_LOG_STDERR, (struct slice){ line + 1, RUN_LOG_LINE + 1 }, NOV_21);
        assert_int_equal(told.lines, 3); /* exactly full is one line */
        free(line);
        run_log_fini(&log);
}

static void the_first_and_the_last_lines_stay_and_the_gap_is_counted(void **state)
{
        unsigned long long total = 20000, out, seen = 0;
        const char *gap, *last_of_head, *first_of_tail;
        struct run_log log;
        char line[64], *text;

        run_log_init(&log, 1, NULL, NULL);
        for (unsigned long long i = 0; i < total; i++) {
                int n = snprintf(line, sizeof(line), "line %llu\n", i);

                run_log_bytes(&log, RUN_LOG_STDERR, (struct slice){ line, (size_t)n }, NOV_21);
        }
        text = text_of(&log);
        assert_true(strlen(text) <= RUN_LOG_HEAD + RUN_LOG_TAIL + 64);
        assert_true(strlen(text) > RUN_LOG_HEAD + RUN_LOG_TAIL - 128);
        gap = strstr(text, "- 1 sendoff ");
        assert_non_null(gap);
        assert_int_equal(sscanf(gap, "- 1 sendoff %llu lines are left out here", &out), 1);
        for (const char *p = text; (p = strstr(p, "stderr line ")); p++)
                seen++;
        assert_int_equal(seen + out, total);
        assert_non_null(strstr(text, "stderr line 0\n"));
        assert_non_null(strstr(text, "stderr line 19999\n"));
        last_of_head = gap;
        while (strncmp(last_of_head, "line ", 5) != 0)
                last_of_head--;
        first_of_tail = strstr(gap, "stderr line ");
        assert_int_equal(strtoull(last_of_head + 5, NULL, 10) + out + 1,
                         strtoull(first_of_tail + 12, NULL, 10));
        free(text);
        run_log_fini(&log);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(lines_are_cut_out_of_bytes_that_come_in_any_pieces),
                cmocka_unit_test(streams_do_not_cut_into_each_other),
                cmocka_unit_test(control_bytes_cannot_reach_a_terminal),
                cmocka_unit_test(only_what_says_more_than_start_and_end_is_worth_keeping),
                cmocka_unit_test(a_line_too_long_is_cut_in_pieces),
                cmocka_unit_test(the_first_and_the_last_lines_stay_and_the_gap_is_counted),
        };

        return cmocka_run_group_tests_name("run_log", tests, NULL, NULL);
}
