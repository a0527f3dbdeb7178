/* Command lines into words, without a shell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "server/words.h"

static void check(const char *line, const char *joined)
{
        struct cause cause = { "" };
        char **words = words_split(line, &cause), got[256] = "";

        assert_non_null(words);
        for (char **w = words; *w; w++) {
                strcat(got, "[");
                strcat(got, *w);
                strcat(got, "]");
        }
        assert_string_equal(got, joined);
        words_free(words);
}

static void blanks_separate_and_quotes_keep(void **state)
{
        (void)state;
        check("php-cgi", "[php-cgi]");
        check("  php-cgi\t-d  a=b \n", "[php-cgi][-d][a=b]");
        check("a 'b c' \"d e\" f\\ g", "[a][b c][d e][f g]");
        check("a'b'\"c\"d", "[abcd]");
        check("'' a", "[][a]");
        check("'$HOME' \"\\\"\" 'a\\b' a\\\\b", "[$HOME][\"][a\\b][a\\b]");
        check("a;b|c&d>e*?$(x)", "[a;b|c&d>e*?$(x)]");
}

static void what_is_no_command_is_refused(void **state)
{
        struct cause cause;
        char many[3 * (WORKER_WORDS_MAX + 2)] = "";

        (void)state;
        assert_null(words_split("", &cause));
        assert_null(words_split("  \t", &cause));
        assert_null(words_split("a 'b", &cause));
        assert_non_null(strstr(cause.text, "quote"));
        assert_null(words_split("\"", &cause));
        for (int i = 0; i < WORKER_WORDS_MAX; i++)
                strcat(many, "a ");
        words_free(words_split(many, &cause));
        strcat(many, "a");
        assert_null(words_split(many, &cause));
        assert_non_null(strstr(cause.text, "64"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(blanks_separate_and_quotes_keep),
                cmocka_unit_test(what_is_no_command_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
