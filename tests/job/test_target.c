/* What is a target and which runner carries it out; command lines into words, without a shell, and back. */
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

#include "job/target.h"

/* ---- targets ---- */

static void the_target_says_who_carries_it_out(void **state)
{
        static const struct {
                const char *target;
                enum job_runner runner;
        } rows[] = {
                { "/", JOB_FASTCGI },
                { "/a.php?u=http://x", JOB_FASTCGI },
                { "/exec:a", JOB_FASTCGI },
                { "//host/a", JOB_FASTCGI },
                { "exec:convert a b", JOB_EXEC },
                { "exec:", JOB_EXEC },
                { "exec:http://x", JOB_EXEC },
                { "http://h", JOB_HTTP },
                { "https://h/", JOB_HTTP },
                { "HTTP://h", JOB_HTTP },
                { "hTtPs://h", JOB_HTTP },
                { "http:/h", JOB_FASTCGI }, /* nothing that job_target_check would take */
                { "Exec:a", JOB_FASTCGI },
                { "exec", JOB_FASTCGI },
                { "", JOB_FASTCGI },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                assert_int_equal(job_target_runner(rows[i].target), rows[i].runner);
        assert_string_equal(job_runner_name(JOB_FASTCGI), "fastcgi");
        assert_string_equal(job_runner_name(JOB_EXEC), "exec");
        assert_string_equal(job_runner_name(JOB_HTTP), "http");
        assert_string_equal(job_runner_name(JOB_RUNNERS), "unknown");
        assert_string_equal(job_runner_name((enum job_runner) - 1), "unknown");
}

static void paths_programs_and_urls_are_targets(void **state)
{
        static const char *const good[] = {
                "/",
                "/a.php",
                "/a.php?x=1&y=%20~!$'()*,;:@[]{}|\\^`\"<>",
                "//a",
                "http://h",
                "http://h/",
                "http://h?x",
                "https://h:8443/a?b=c",
                "HTTPS://[::1]:8080/",
                "exec:a",
                "exec: a ",
                "exec:/bin/sh -c 'echo \"$HOME\" # no comment'",
                "exec:a '\xc3\xa9\n\t#'",
        };

        for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
                assert_int_equal(job_target_check(good[i], NULL), 0);
}

static void what_is_no_target_is_refused_with_a_sentence(void **state)
{
        static const struct {
                const char *target, *why;
        } rows[] = {
                { "", "a path of the site" },
                { "a.php", "exec:PROGRAM" },
                { "http:/h", "http(s) URL" },
                { "ftp://h/a", "http(s) URL" },
                { "file:///etc/passwd", "http(s) URL" },
                { "javascript:alert(1)", "http(s) URL" },
                { " /a", "a path of the site" },
                { "/a b", "percent-encoded" },
                { "/a\tb", "percent-encoded" },
                { "/a\r\nHost: x", "percent-encoded" },
                { "/a\x01", "percent-encoded" },
                { "/a\x7f", "percent-encoded" },
                { "/\xc3\xa9", "percent-encoded" },
                { "/a#b", "'#'" },
                { "http://h/a b", "percent-encoded" },
                { "http://h/#", "'#'" },
                { "http://h\n", "percent-encoded" },
                { "http://", "no host" },
                { "https://", "no host" },
                { "http:///a", "no host" },
                { "https://?a", "no host" },
                { "exec:", "no program" },
                { "exec:   ", "no program" },
                { "exec:''", "no program" },
                { "exec:'' a", "no program" },
                { "exec:a 'b", "quote" },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct cause cause = { "" };

                assert_int_equal(job_target_check(rows[i].target, &cause), -EINVAL);
                if (!strstr(cause.text, rows[i].why))
                        fail_msg("'%s': '%s'", rows[i].target, cause.text);
        }
}

static void the_longest_target_is_taken_and_one_byte_more_is_not(void **state)
{
        static const char *const starts[] = { "/", "http://", "exec:" };
        char *target = malloc(JOB_TARGET_MAX + 2);

        assert_non_null(target);
        for (size_t i = 0; i < 3; i++) {
                struct cause cause = { "" };

                memset(target, 'a', JOB_TARGET_MAX + 1);
                memcpy(target, starts[i], strlen(starts[i]));
                target[JOB_TARGET_MAX + 1] = '\0';
                assert_int_equal(job_target_check(target, &cause), -EINVAL);
                assert_non_null(strstr(cause.text, "16384"));
                target[JOB_TARGET_MAX] = '\0';
                assert_int_equal(job_target_check(target, &cause), 0);
        }
        free(target);
}

/* ---- words ---- */

static void check(const char *line, const char *joined)
{
        struct cause cause = { "" };
        char **words = job_words_split(line, &cause), got[256] = "";

        assert_non_null(words);
        for (char **w = words; *w; w++) {
                strcat(got, "[");
                strcat(got, *w);
                strcat(got, "]");
        }
        assert_string_equal(got, joined);
        job_words_free(words);
}

static void blanks_separate_and_quotes_keep(void **state)
{
        check("php-cgi", "[php-cgi]");
        check("  php-cgi\t-d  a=b \n", "[php-cgi][-d][a=b]");
        check("a\nb", "[a][b]");
        check("a 'b c' \"d e\" f\\ g", "[a][b c][d e][f g]");
        check("a'b'\"c\"d", "[abcd]");
        check("a '' b \"\"", "[a][][b][]");
        check("'$HOME' \"\\\"\" 'a\\b' a\\\\b", "[$HOME][\"][a\\b][a\\b]");
        check("a;b|c&d>e*?$(x)", "[a;b|c&d>e*?$(x)]");
        check("a '\"' \"'\" \\' \\\"", "[a][\"][']['][\"]");
        check("a 'b\nc' d\\\ne", "[a][b\nc][d\ne]");
        check("a \\", "[a][\\]");
        check("a 'it'\\''s'", "[a][it's]");
        check("a #b ~ $c", "[a][#b][~][$c]");
        check("a\rb\vc", "[a\rb\vc]");
}

static void what_is_no_command_is_refused(void **state)
{
        static const char *const none[] = { "", "  \t\n", "''", "\"\" a" };
        static const char *const open[] = { "a 'b", "\"", "'", "a b'", "a \"\\\"", "a 'b\\'c'" };
        struct cause cause;

        for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
                cause.text[0] = '\0';
                assert_null(job_words_split(none[i], &cause));
                assert_non_null(strstr(cause.text, "no program"));
        }
        for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++) {
                cause.text[0] = '\0';
                assert_null(job_words_split(open[i], &cause));
                assert_non_null(strstr(cause.text, "quote"));
        }
        assert_null(job_words_split("", NULL));
        job_words_free(NULL);
}

static void words_are_counted_to_their_maximum(void **state)
{
        char many[2 * (JOB_WORDS_MAX + 1) + 1] = "";
        struct cause cause = { "" };
        char **words;

        for (int i = 0; i < JOB_WORDS_MAX; i++)
                memcpy(many + 2 * i, "a ", 3);
        words = job_words_split(many, &cause);
        assert_non_null(words);
        assert_string_equal(words[JOB_WORDS_MAX - 1], "a");
        assert_null(words[JOB_WORDS_MAX]);
        job_words_free(words);
        strcat(many, "a");
        assert_null(job_words_split(many, &cause));
        assert_non_null(strstr(cause.text, "1024"));
}

static void a_word_beyond_all_measure_is_refused(void **state)
{
        const size_t most = 64 << 10;
        char *line = malloc(most + 2);
        struct cause cause = { "" };
        char **words;

        assert_non_null(line);
        memset(line, 'x', most + 1);
        line[most + 1] = '\0';
        assert_null(job_words_split(line, &cause));
        assert_non_null(strstr(cause.text, "too long"));
        line[most] = '\0';
        words = job_words_split(line, &cause);
        assert_non_null(words);
        assert_int_equal(strlen(words[0]), most);
        job_words_free(words);
        free(line);
}

static void check_join(char *const *words, const char *line)
{
        struct buf joined;
        char **again;

        buf_init(&joined, 4096);
        assert_int_equal(job_words_join(words, &joined), 0);
        assert_int_equal(buf_append(&joined, "", 1), 0);
        assert_string_equal(buf_data(&joined), line);
        again = job_words_split(buf_data(&joined), NULL);
        assert_non_null(again);
        for (size_t i = 0; words[i] || again[i]; i++) {
                assert_non_null(words[i]);
                assert_non_null(again[i]);
                assert_string_equal(words[i], again[i]);
        }
        job_words_free(again);
        buf_fini(&joined);
}

static void joined_words_are_quoted_where_a_shell_would_ask_for_it(void **state)
{
        check_join((char *[]){ "convert", "a.png", "-x=1,2", "@+%:_", NULL }, "convert a.png -x=1,2 @+%:_");
        check_join((char *[]){ "a", "", "b c", NULL }, "a '' 'b c'");
        check_join((char *[]){ "it's", "'", "\"", "\\", NULL }, "'it'\\''s' ''\\''' '\"' '\\'");
        check_join((char *[]){ "a", "$HOME", "~", "*", "a;b", "`x`", "#", NULL },
                   "a '$HOME' '~' '*' 'a;b' '`x`' '#'");
        check_join((char *[]){ "a", "\n\t\x01\xc3\xa9", NULL }, "a '\n\t\x01\xc3\xa9'");
}

static void join_appends_and_says_when_there_is_no_room(void **state)
{
        char *const words[] = { "abc", "d e", NULL };
        struct buf out;

        buf_init(&out, 14);
        assert_int_equal(buf_append_str(&out, "exec:"), 0);
        assert_int_equal(job_words_join(words, &out), 0);
        assert_true(slice_eq(buf_slice(&out), SLICE("exec:abc 'd e'")));
        buf_fini(&out);
        for (size_t room = 0; room < 9; room++) {
                buf_init(&out, room);
                assert_int_equal(job_words_join(words, &out), BUF_FULL);
                buf_fini(&out);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_target_says_who_carries_it_out),
                cmocka_unit_test(paths_programs_and_urls_are_targets),
                cmocka_unit_test(what_is_no_target_is_refused_with_a_sentence),
                cmocka_unit_test(the_longest_target_is_taken_and_one_byte_more_is_not),
                cmocka_unit_test(blanks_separate_and_quotes_keep),
                cmocka_unit_test(what_is_no_command_is_refused),
                cmocka_unit_test(words_are_counted_to_their_maximum),
                cmocka_unit_test(a_word_beyond_all_measure_is_refused),
                cmocka_unit_test(joined_words_are_quoted_where_a_shell_would_ask_for_it),
                cmocka_unit_test(join_appends_and_says_when_there_is_no_room),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
