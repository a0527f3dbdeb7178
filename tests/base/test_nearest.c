/* base/nearest.h */
#include "base/nearest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char *nearest(const char *word)
{
        static const char *const words[] = { "serve",  "send",   "list",   "show",    "wait",
                                             "result", "cancel", "config", "body_max" };
        struct nearest n;

        nearest_init(&n, slice_of(word));
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
                nearest_offer(&n, words[i]);
        return n.best ? n.best : "none";
}

static void finds_a_letter_missing_added_changed_or_exchanged(void **state)
{
        (void)state;
        assert_string_equal(nearest("sed"), "send");
        assert_string_equal(nearest("serrve"), "serve");
        assert_string_equal(nearest("lost"), "list");
        assert_string_equal(nearest("wiat"), "wait");
        assert_string_equal(nearest("cnofig"), "config");
}

static void takes_dash_and_case_for_the_same(void **state)
{
        (void)state;
        assert_string_equal(nearest("BODY-MAX"), "body_max");
}

static void prefers_the_closest(void **state)
{
        struct nearest n;

        (void)state;
        nearest_init(&n, SLICE("results"));
        nearest_offer(&n, "resxltx");
        nearest_offer(&n, "result");
        nearest_offer(&n, "resxlts");
        assert_string_equal(n.best, "result");
}

static void finds_nothing_far_away(void **state)
{
        char word[200];

        (void)state;
        assert_string_equal(nearest("xyz"), "none");
        assert_string_equal(nearest(""), "none");
        assert_string_equal(nearest("q"), "none");
        memset(word, 'a', sizeof(word));
        word[sizeof(word) - 1] = '\0';
        assert_string_equal(nearest(word), "none");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(finds_a_letter_missing_added_changed_or_exchanged),
                cmocka_unit_test(takes_dash_and_case_for_the_same),
                cmocka_unit_test(prefers_the_closest),
                cmocka_unit_test(finds_nothing_far_away),
        };

        return cmocka_run_group_tests_name("base/nearest", tests, NULL, NULL);
}
