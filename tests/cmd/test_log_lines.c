/* cmd/log_lines.c: what is printed of a log whose stream breaks and begins anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cmd/log_lines.h"

#define T1   "2026-11-21T08:00:00.001Z"
#define T2   "2026-11-21T08:00:00.002Z"
#define T3   "2026-11-21T08:00:00.003Z"
#define HOLE "- 1 sendoff 17 lines are left out here"

struct fixture {
        struct log_lines lines;
        char *text;
        size_t len;
};

static int setup(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));
        FILE *out = open_memstream(&f->text, &f->len);

        log_lines_init(&f->lines, out, false);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        fclose(f->lines.out);
        log_lines_fini(&f->lines);
        free(f->text);
        free(f);
        return 0;
}

/* The lines of a stream, up to NULL. */
static void take(struct fixture *f, ...)
{
        const char *line;
        va_list args;

        va_start(args, f);
        while ((line = va_arg(args, const char *)))
                log_lines_take(&f->lines, slice_of(line));
        va_end(args);
}

static void expect(struct fixture *f, const char *text)
{
        fflush(f->lines.out);
        assert_string_equal(f->text, text);
}

static void every_line_of_a_stream_is_printed_whatever_its_time(void **state)
{
        struct fixture *f = *state;

        take(f, T2 " 1 stdout x", T2 " 1 stdout x", T1 " 1 stdout the clock was set back", HOLE, "nonsense",
             NULL);
        expect(f, T2 " 1 stdout x\n" T2 " 1 stdout x\n" T1 " 1 stdout the clock was set back\n" HOLE
                     "\nnonsense\n");
}

static void a_stream_that_begins_anew_tells_only_what_is_new(void **state)
{
        struct fixture *f = *state;

        take(f, T1 " 1 sendoff run 1 has begun", T2 " 1 stdout a", NULL);
        log_lines_again(&f->lines);
        take(f, T1 " 1 sendoff run 1 has begun", T2 " 1 stdout a", T3 " 1 stdout b", NULL);
        log_lines_again(&f->lines);
        take(f, T1 " 1 sendoff run 1 has begun", T2 " 1 stdout a", T3 " 1 stdout b", NULL);
        expect(f, T1 " 1 sendoff run 1 has begun\n" T2 " 1 stdout a\n" T3 " 1 stdout b\n");
}

static void lines_of_one_millisecond_are_counted(void **state)
{
        struct fixture *f = *state;

        take(f, T1 " 1 stdout x", T1 " 1 stdout x", T1 " 1 stdout y", NULL);
        log_lines_again(&f->lines);
        take(f, T1 " 1 stdout x", T1 " 1 stdout x", T1 " 1 stdout y", T1 " 1 stdout x", T1 " 1 stdout y",
             NULL);
        expect(f, T1 " 1 stdout x\n" T1 " 1 stdout x\n" T1 " 1 stdout y\n" T1 " 1 stdout x\n" T1
                     " 1 stdout y\n");
}

static void a_line_that_begins_like_another_is_another(void **state)
{
        struct fixture *f = *state;

        take(f, T1 " 1 stdout xy", NULL);
        log_lines_again(&f->lines);
        take(f, T1 " 1 stdout x", NULL);
        expect(f, T1 " 1 stdout xy\n" T1 " 1 stdout x\n");
}

static void what_a_killed_server_forgot_does_not_hide_what_follows(void **state)
{
        struct fixture *f = *state;

        take(f, T1 " 1 sendoff run 1 has begun", T3 " 1 stdout a", NULL);
        log_lines_again(&f->lines);
        take(f, T1 " 2 sendoff run 2 has begun", T1 " 2 stdout a", NULL);
        expect(f, T1 " 1 sendoff run 1 has begun\n" T3 " 1 stdout a\n" T1 " 2 sendoff run 2 has begun\n" T1
                     " 2 stdout a\n");
}

static void a_later_run_counts_by_its_number_not_by_its_digits(void **state)
{
        struct fixture *f = *state;

        take(f, T1 " 9 stdout a", NULL);
        log_lines_again(&f->lines);
        take(f, T3 " 8 stdout old", T1 " 9 stdout a", T1 " 10 stdout b", NULL);
        expect(f, T1 " 9 stdout a\n" T1 " 10 stdout b\n");
}

static void a_hole_is_told_when_what_is_behind_it_is_new(void **state)
{
        struct fixture *f = *state;

        take(f, T1 " 1 stdout a", NULL);
        log_lines_again(&f->lines);
        take(f, T1 " 1 stdout a", HOLE, T3 " 1 stdout c", T3 " 1 stdout d", NULL);
        log_lines_again(&f->lines);
        take(f, T1 " 1 stdout a", HOLE, T3 " 1 stdout c", T3 " 1 stdout d", T3 " 1 stdout e", NULL);
        expect(f, T1 " 1 stdout a\n" HOLE "\n" T3 " 1 stdout c\n" T3 " 1 stdout d\n" T3 " 1 stdout e\n");
}

static void a_break_before_the_first_line_changes_nothing(void **state)
{
        struct fixture *f = *state;

        log_lines_again(&f->lines);
        take(f, HOLE, T1 " 1 stdout a", NULL);
        expect(f, HOLE "\n" T1 " 1 stdout a\n");
}

static void colours_are_for_time_and_stream(void **state)
{
        struct fixture *f = *state;

        f->lines.colours = true;
        take(f, T1 " 1 stdout a b", T1 " 1 stderr c", T1 " 1 sendoff d", T1 " 1 stdout", HOLE, "nonsense",
             NULL);
        expect(f,
               "\033[2m" T1 "\033[0m 1 stdout a b\n\033[2m" T1 "\033[0m 1 \033[31mstderr\033[0m c\n\033[2m" T1
               "\033[0m 1 \033[34msendoff\033[0m d\n\033[2m" T1
               "\033[0m 1 stdout \n\033[2m-\033[0m 1 \033[34msendoff\033[0m 17 lines are left out "
               "here\nnonsense\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(every_line_of_a_stream_is_printed_whatever_its_time),
                TEST(a_stream_that_begins_anew_tells_only_what_is_new),
                TEST(lines_of_one_millisecond_are_counted),
                TEST(a_line_that_begins_like_another_is_another),
                TEST(what_a_killed_server_forgot_does_not_hide_what_follows),
                TEST(a_later_run_counts_by_its_number_not_by_its_digits),
                TEST(a_hole_is_told_when_what_is_behind_it_is_new),
                TEST(a_break_before_the_first_line_changes_nothing),
                TEST(colours_are_for_time_and_stream),
        };

        return cmocka_run_group_tests_name("cmd/log_lines", tests, NULL, NULL);
}
