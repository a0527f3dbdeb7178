/* Slices. */
#include "base/slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct slice nothing = { NULL, 0 };

static void views_a_string(void **state)
{
        assert_int_equal(slice_of("abc").len, 3);
        assert_int_equal(slice_of("").len, 0);
        assert_int_equal(slice_of(NULL).len, 0);
        assert_non_null(slice_of(NULL).ptr);
        assert_int_equal(SLICE("a\0b").len, 3);
}

static void compares_bytes(void **state)
{
        assert_true(slice_eq(SLICE("a\0b"), SLICE("a\0b")));
        assert_false(slice_eq(SLICE("a\0b"), SLICE("a\0c")));
        assert_false(slice_eq(SLICE("ab"), SLICE("abc")));
        assert_false(slice_eq(SLICE("ab"), SLICE("Ab")));
        assert_true(slice_eq(nothing, SLICE("")));
        assert_true(slice_eq(nothing, nothing));
}

static void compares_without_case(void **state)
{
        assert_true(slice_eq_nocase(SLICE("Content-Type"), SLICE("cONTENT-tYPE")));
        assert_false(slice_eq_nocase(SLICE("a"), SLICE("b")));
        assert_false(slice_eq_nocase(SLICE("a"), SLICE("ab")));
        assert_false(slice_eq_nocase(SLICE("@"), SLICE("`"))); /* differ in the case bit, are no letters */
        assert_true(slice_eq_nocase(nothing, SLICE("")));
}

static void knows_its_ends(void **state)
{
        assert_true(slice_starts(SLICE("abc"), SLICE("ab")));
        assert_true(slice_starts(SLICE("abc"), SLICE("abc")));
        assert_true(slice_starts(SLICE("abc"), SLICE("")));
        assert_false(slice_starts(SLICE("abc"), SLICE("abcd")));
        assert_false(slice_starts(SLICE("abc"), SLICE("b")));
        assert_true(slice_ends(SLICE("abc"), SLICE("bc")));
        assert_true(slice_ends(SLICE("abc"), SLICE("abc")));
        assert_true(slice_ends(SLICE("abc"), SLICE("")));
        assert_false(slice_ends(SLICE("abc"), SLICE("zabc")));
        assert_false(slice_ends(SLICE("abc"), SLICE("b")));
        assert_true(slice_starts(SLICE(""), SLICE("")));
        assert_false(slice_ends(SLICE(""), SLICE("a")));
}

static void trims_blanks_and_tabs_only(void **state)
{
        assert_true(slice_eq(slice_trim(SLICE(" \t a b\t ")), SLICE("a b")));
        assert_true(slice_eq(slice_trim(SLICE("\r\na\n")), SLICE("\r\na\n")));
        assert_int_equal(slice_trim(SLICE(" \t ")).len, 0);
        assert_int_equal(slice_trim(nothing).len, 0);
}

static void leaves_its_first_bytes_out(void **state)
{
        assert_true(slice_eq(slice_from(SLICE("abc"), 0), SLICE("abc")));
        assert_true(slice_eq(slice_from(SLICE("abc"), 2), SLICE("c")));
        assert_int_equal(slice_from(SLICE("abc"), 3).len, 0);
        assert_int_equal(slice_from(SLICE("abc"), 4).len, 0);
        assert_int_equal(slice_from(SLICE("abc"), SIZE_MAX).len, 0);
}

static void cuts_every_piece_also_the_empty_ones(void **state)
{
        static const struct {
                const char *text, *joined;
        } cases[] = { { "a,,b", "[a][][b]" }, { "a", "[a]" },    { "", "[]" },
                      { ",", "[][]" },        { "a,", "[a][]" }, { ",a", "[][a]" } };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct slice rest = slice_of(cases[i].text), piece;
                char joined[64] = "";

                while (slice_cut(&rest, ',', &piece)) {
                        strcat(joined, "[");
                        strncat(joined, piece.ptr, piece.len);
                        strcat(joined, "]");
                }
                assert_string_equal(joined, cases[i].joined);
                assert_false(slice_cut(&rest, ',', &piece));
        }
}

static void reads_numbers_and_nothing_like_them(void **state)
{
        static const char *const no[] = { "",
                                          "-1",
                                          "+1",
                                          " 1",
                                          "1 ",
                                          "0x1",
                                          "1a",
                                          "a",
                                          "/",
                                          ":",
                                          "18446744073709551616",
                                          "99999999999999999999999" };
        uint64_t n = 5;

        for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
                if (slice_to_u64(slice_of(no[i]), UINT64_MAX, &n))
                        fail_msg("\"%s\" was read as %ju", no[i], (uintmax_t)n);
        assert_int_equal(n, 5);
        assert_true(slice_to_u64(SLICE("0"), 10, &n) && n == 0);
        assert_true(slice_to_u64(SLICE("0010"), 10, &n) && n == 10);
        assert_false(slice_to_u64(SLICE("11"), 10, &n));
        assert_true(slice_to_u64(SLICE("18446744073709551615"), UINT64_MAX, &n) && n == UINT64_MAX);
        assert_true(slice_to_u64((struct slice){ "123", 2 }, 99, &n) && n == 12);
}

static void copies_into_a_string(void **state)
{
        char *copy = slice_dup((struct slice){ "abcdef", 3 });

        assert_string_equal(copy, "abc");
        free(copy);
        copy = slice_dup(nothing);
        assert_string_equal(copy, "");
        free(copy);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(views_a_string),
                cmocka_unit_test(compares_bytes),
                cmocka_unit_test(compares_without_case),
                cmocka_unit_test(knows_its_ends),
                cmocka_unit_test(trims_blanks_and_tabs_only),
                cmocka_unit_test(leaves_its_first_bytes_out),
                cmocka_unit_test(cuts_every_piece_also_the_empty_ones),
                cmocka_unit_test(reads_numbers_and_nothing_like_them),
                cmocka_unit_test(copies_into_a_string),
        };

        return cmocka_run_group_tests_name("slice", tests, NULL, NULL);
}
