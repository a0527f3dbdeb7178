/* Lines written to SENDOFF_CONTROL: what is understood, what is refused, and notes that are fit to be shown.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job/control_line.h"

static struct control_line parsed(const char *text)
{
        struct cause cause = { "" };
        struct control_line line;

        memset(&line, 0x55, sizeof(line));
        if (control_line_parse(slice_of(text), &line, &cause) != 0)
                fail_msg("'%s': %s", text, cause.text);
        assert_string_equal(cause.text, "");
        return line;
}

static void progress_is_a_count_or_a_percentage_and_a_note(void **state)
{
        static const struct {
                const char *line;
                int64_t done, total;
                const char *note;
        } rows[] = {
                { "progress 40/100 mailing", 40, 100, "mailing" },
                { "progress 40/100", 40, 100, "" },
                { "progress 40", 40, 0, "" },
                { "progress 40 of many", 40, 0, "of many" },
                { "progress 40% half way", 40, 100, "half way" },
                { "progress 0%", 0, 100, "" },
                { "progress 250%", 250, 100, "" },
                { "progress 0/0", 0, 0, "" },
                { "progress 101/100 more than thought", 101, 100, "more than thought" },
                { "progress  7/8 \t two  blanks \t", 7, 8, "two  blanks" },
                { "progress\t7/8\tx", 7, 8, "x" },
                { "progress 1000000000000000/1000000000000000", INT64_C(1000000000000000),
                  INT64_C(1000000000000000), "" },
                { "progress 007/08", 7, 8, "" },
                { "progress 1/2 3/4", 1, 2, "3/4" },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct control_line line = parsed(rows[i].line);

                assert_int_equal(line.what, CONTROL_PROGRESS);
                assert_true(line.progress.any);
                assert_int_equal(line.progress.done, rows[i].done);
                assert_int_equal(line.progress.total, rows[i].total);
                assert_string_equal(line.progress.note, rows[i].note);
        }
}

static void the_other_words_are_understood(void **state)
{
        static const struct {
                const char *text;
                int64_t ms;
        } limits[] = {
                { "time-limit 0", 0 },
                { "time-limit 30", 30000 },
                { "time-limit 30s", 30000 },
                { "time-limit 10m", 600000 },
                { "time-limit 250ms", 250 },
                { "time-limit\t1h", 3600000 },
                { "time-limit 365d", INT64_C(365) * 86400000 },
        };
        struct control_line line;

        for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
                line = parsed(limits[i].text);
                assert_int_equal(line.what, CONTROL_TIME_LIMIT);
                assert_int_equal(line.time_limit_ms, limits[i].ms);
                assert_false(line.progress.any);
        }
        line = parsed("ignore-abort on");
        assert_int_equal(line.what, CONTROL_IGNORE_ABORT);
        assert_true(line.on);
        line = parsed("ignore-abort  off");
        assert_int_equal(line.what, CONTROL_IGNORE_ABORT);
        assert_false(line.on);
        assert_int_equal(parsed("detach").what, CONTROL_DETACH);
        assert_int_equal(parsed("detach  ").what, CONTROL_DETACH);
}

static void what_is_not_understood_is_refused_with_what_there_is(void **state)
{
        static const struct {
                struct slice line;
                const char *why;
        } rows[] = {
                { SLICE(""), "ignore-abort on|off" },
                { SLICE(" "), "not understood" },
                { SLICE("Progress 1/2"), "not understood" },
                { SLICE("progres 1/2"), "not understood" },
                { SLICE("progress1/2"), "not understood" },
                { SLICE("detach now"), "not understood" },
                { SLICE("detach\0"), "not understood" },
                { SLICE("progress\0 1/2"), "not understood" },
                { SLICE("progress"), "DONE/TOTAL" },
                { SLICE("progress "), "DONE/TOTAL" },
                { SLICE("progress x"), "DONE/TOTAL" },
                { SLICE("progress /"), "DONE/TOTAL" },
                { SLICE("progress 1/"), "DONE/TOTAL" },
                { SLICE("progress /2"), "DONE/TOTAL" },
                { SLICE("progress 1/2/3"), "DONE/TOTAL" },
                { SLICE("progress 1 /2x"), NULL }, /* DONE and a note */
                { SLICE("progress %"), "DONE/TOTAL" },
                { SLICE("progress 5%%"), "DONE/TOTAL" },
                { SLICE("progress 1/2%"), "DONE/TOTAL" },
                { SLICE("progress -1/2"), "DONE/TOTAL" },
                { SLICE("progress +1/2"), "DONE/TOTAL" },
                { SLICE("progress 1.5/2"), "DONE/TOTAL" },
                { SLICE("progress 1000000000000001"), "DONE/TOTAL" },
                { SLICE("progress 1/1000000000000001"), "DONE/TOTAL" },
                { SLICE("progress 99999999999999999999999"), "DONE/TOTAL" },
                { SLICE("progress 1\0/2"), "DONE/TOTAL" },
                { SLICE("time-limit"), "10m" },
                { SLICE("time-limit none"), "10m" },
                { SLICE("time-limit -1"), "10m" },
                { SLICE("time-limit 1.5"), "10m" },
                { SLICE("time-limit 30 s"), "10m" },
                { SLICE("time-limit 30\0"), "10m" },
                { SLICE("time-limit 366d"), "10m" },
                { SLICE("time-limit 0000000000000000000000000000000000000000000030"), "10m" },
                { SLICE("ignore-abort"), "on or off" },
                { SLICE("ignore-abort yes"), "on or off" },
                { SLICE("ignore-abort ON"), "on or off" },
                { SLICE("ignore-abort on off"), "on or off" },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct cause cause = { "" };
                struct control_line line;
                int r = control_line_parse(rows[i].line, &line, &cause);

                assert_int_equal(r, rows[i].why ? -EINVAL : 0);
                if (rows[i].why && !strstr(cause.text, rows[i].why))
                        fail_msg("'%.*s': %s", SLICE_ARG(rows[i].line), cause.text);
                assert_int_equal(control_line_parse(rows[i].line, &line, NULL), r);
        }
}

static void a_line_of_the_full_length_is_taken_and_a_longer_one_is_told(void **state)
{
        char text[CONTROL_LINE_MAX + 1];
        struct cause cause = { "" };
        struct control_line line;

        memset(text, 'x', sizeof(text));
        memcpy(text, "progress 1 ", 11);
        assert_int_equal(control_line_parse((struct slice){ text, CONTROL_LINE_MAX }, &line, &cause), 0);
        assert_int_equal(strlen(line.progress.note), JOB_NOTE_SIZE - 1);
        assert_int_equal(control_line_parse((struct slice){ text, CONTROL_LINE_MAX + 1 }, &line, &cause),
                         -EINVAL);
        assert_non_null(strstr(cause.text, "1024"));
}

static void check_note(const char *written, const char *kept)
{
        char text[CONTROL_LINE_MAX];
        struct control_line line;

        snprintf(text, sizeof(text), "progress 1/2 %s", written);
        line = parsed(text);
        assert_string_equal(line.progress.note, kept);
}

static void a_note_is_utf8_without_control_bytes(void **state)
{
        check_note("a\tb\x01"
                   "c\x1b[1m\x7f",
                   "a?b?c?[1m?");
        check_note("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
        check_note("\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf \xf0\x90\x80\x80 "
                   "\xf4\x8f\xbf\xbf",
                   "\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf \xf0\x90\x80\x80 "
                   "\xf4\x8f\xbf\xbf");
        check_note("\x80 \xbf \xc0\x80 \xc1\xbf", "? ? ?? ??");  /* alone, and longer than needed */
        check_note("\xe0\x9f\xbf \xf0\x8f\xbf\xbf", "??? ????"); /* longer than needed */
        check_note("\xed\xa0\x80 \xf4\x90\x80\x80 \xf5\x80\x80\x80 \xff",
                   "??? ???? ???? ?"); /* no characters */
        check_note("\xc3", "?");
        check_note("\xe2\x82", "??");
        check_note("\xf0\x9f\x98", "???");
        check_note("\xe2(\xa1 \xc3(", "?(? ?(");
}

static void a_note_is_cut_between_characters(void **state)
{
        char written[JOB_NOTE_SIZE + 8], kept[JOB_NOTE_SIZE];

        for (size_t before = JOB_NOTE_SIZE - 6; before < JOB_NOTE_SIZE + 2; before++) {
                memset(written, 'x', before);
                strcpy(written + before, "\xf0\x9f\x98\x80!");
                memset(kept, 'x', sizeof(kept));
                kept[before < JOB_NOTE_SIZE ? before : JOB_NOTE_SIZE - 1] = '\0';
                if (before + 4 < JOB_NOTE_SIZE)
                        strcat(kept, "\xf0\x9f\x98\x80");
                if (before + 5 < JOB_NOTE_SIZE)
                        strcat(kept, "!");
                check_note(written, kept);
        }
}

static void a_nul_in_a_note_does_not_end_it(void **state)
{
        struct control_line line;

        assert_int_equal(control_line_parse(SLICE("progress 1 a\0b"), &line, NULL), 0);
        assert_string_equal(line.progress.note, "a?b");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(progress_is_a_count_or_a_percentage_and_a_note),
                cmocka_unit_test(the_other_words_are_understood),
                cmocka_unit_test(what_is_not_understood_is_refused_with_what_there_is),
                cmocka_unit_test(a_line_of_the_full_length_is_taken_and_a_longer_one_is_told),
                cmocka_unit_test(a_note_is_utf8_without_control_bytes),
                cmocka_unit_test(a_note_is_cut_between_characters),
                cmocka_unit_test(a_nul_in_a_note_does_not_end_it),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
