/* base/wrap.h */
#include "base/wrap.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

static void expect_wrapped(const char *text, unsigned at, unsigned indent, unsigned width, const char *wanted)
{
        struct buf out;
        char *got;

        buf_init(&out, 4096);
        assert_int_equal(wrap_text(&out, text, at, indent, width), 0);
        got = buf_take(&out);
        assert_string_equal(got, wanted);
        free(got);
}

static void breaks_at_blanks_before_the_width_is_passed(void **state)
{
        (void)state;
        expect_wrapped("aaa bbb ccc", 0, 0, 7, "aaa bbb\nccc\n");
        expect_wrapped("aaa bbb ccc", 0, 2, 6, "aaa\n  bbb\n  ccc\n");
        expect_wrapped("aaa bbb ccc", 4, 4, 11, "aaa bbb\n    ccc\n");
}

static void leaves_a_word_that_is_too_long_alone_on_its_line(void **state)
{
        (void)state;
        expect_wrapped("a bbbbbbbbbb c", 0, 0, 5, "a\nbbbbbbbbbb\nc\n");
}

static void keeps_newlines_and_drops_double_blanks(void **state)
{
        (void)state;
        expect_wrapped("a  b\nc", 0, 1, 20, "a b\n c\n");
        expect_wrapped("a\n", 0, 0, 20, "a\n");
        expect_wrapped("", 0, 0, 20, "\n");
}

static void counts_characters_not_bytes(void **state)
{
        (void)state;
        assert_int_equal(wrap_columns("1 … 3"), 5);
        expect_wrapped("ééé ééé", 0, 0, 7, "ééé ééé\n");
        expect_wrapped("ééé ééé", 0, 0, 6, "ééé\nééé\n");
}

static void says_when_the_buffer_is_full(void **state)
{
        struct buf out;

        (void)state;
        buf_init(&out, 4);
        assert_int_equal(wrap_text(&out, "aaa bbb ccc", 0, 0, 7), BUF_FULL);
        buf_fini(&out);
}

static void puts_a_long_left_side_on_a_line_of_its_own(void **state)
{
        struct buf out;
        char *got;

        (void)state;
        buf_init(&out, 4096);
        assert_int_equal(wrap_entry(&out, "--short", "what it does", 80), 0);
        assert_int_equal(wrap_entry(&out, "--quite-a-long-option SOMETHING", "what", 80), 0);
        got = buf_take(&out);
        assert_string_equal(got, "  --short                       what it does\n"
                                 "  --quite-a-long-option SOMETHING\n                                what\n");
        free(got);
}

static void takes_the_width_of_a_terminal_within_bounds(void **state)
{
        static const struct {
                unsigned short columns;
                unsigned wanted;
        } cases[] = { { 100, 100 }, { 20, 40 }, { 500, 120 }, { 0, 80 } };
        int master = posix_openpt(O_RDWR | O_NOCTTY), plain = open("/dev/null", O_RDONLY);

        (void)state;
        assert_int_equal(wrap_width(plain), 80);
        close(plain);
        if (master < 0)
                skip();
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct winsize size = { .ws_row = 24, .ws_col = cases[i].columns };

                assert_int_equal(ioctl(master, TIOCSWINSZ, &size), 0);
                assert_int_equal(wrap_width(master), cases[i].wanted);
        }
        close(master);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(breaks_at_blanks_before_the_width_is_passed),
                cmocka_unit_test(leaves_a_word_that_is_too_long_alone_on_its_line),
                cmocka_unit_test(keeps_newlines_and_drops_double_blanks),
                cmocka_unit_test(counts_characters_not_bytes),
                cmocka_unit_test(says_when_the_buffer_is_full),
                cmocka_unit_test(puts_a_long_left_side_on_a_line_of_its_own),
                cmocka_unit_test(takes_the_width_of_a_terminal_within_bounds),
        };

        return cmocka_run_group_tests_name("base/wrap", tests, NULL, NULL);
}
