/* Log lines as they reach standard error. */
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char caught[8192];

struct catch
{
        int pipe[2], stderr_fd;
};

static void catch_begin(struct catch *c)
{
        assert_int_equal(pipe2(c->pipe, O_CLOEXEC | O_NONBLOCK), 0);
        c->stderr_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
        assert_int_equal(dup2(c->pipe[1], STDERR_FILENO), STDERR_FILENO);
}

static const char *catch_end(struct catch *c)
{
        ssize_t n;

        assert_int_equal(dup2(c->stderr_fd, STDERR_FILENO), STDERR_FILENO);
        n = read(c->pipe[0], caught, sizeof(caught) - 1);
        caught[n > 0 ? n : 0] = '\0';
        close(c->stderr_fd);
        close(c->pipe[0]);
        close(c->pipe[1]);
        return caught;
}

/* The line without its time stamp, which must be one. */
static const char *after_stamp(const char *line)
{
        static const char form[] = "0000-00-00T00:00:00.000Z ";

        for (size_t i = 0; i < sizeof(form) - 1; i++)
                if (form[i] == '0' ? line[i] < '0' || line[i] > '9' : line[i] != form[i])
                        fail_msg("no time stamp: %s", line);
        return line + sizeof(form) - 1;
}

static void writes_one_line_of_logfmt(void **state)
{
        struct catch c;

        catch_begin(&c);
        log_say(LOG_INFO, "run", "worker started", "worker=%d pid=%d", 2, 4711);
        assert_string_equal(after_stamp(catch_end(&c)),
                            "level=info room=run msg=\"worker started\" worker=2 pid=4711\n");
}

static void needs_no_fields(void **state)
{
        struct catch c;

        catch_begin(&c);
        log_say(LOG_ERROR, "store", "gone", "%s", "");
        assert_string_equal(after_stamp(catch_end(&c)), "level=error room=store msg=\"gone\"\n");
}

static void leaves_out_what_is_below_its_level(void **state)
{
        struct catch c;

        catch_begin(&c);
        log_set_level(LOG_WARN);
        log_say(LOG_INFO, "run", "quiet", "%s", "");
        log_say(LOG_DEBUG, "run", "quiet", "%s", "");
        log_say(LOG_WARN, "run", "loud", "%s", "");
        log_set_level(LOG_DEBUG);
        log_say(LOG_DEBUG, "run", "now too", "%s", "");
        log_set_level(LOG_INFO);
        catch_end(&c);
        assert_null(strstr(caught, "quiet"));
        assert_non_null(strstr(caught, "level=warn room=run msg=\"loud\"\n"));
        assert_non_null(strstr(caught, "level=debug room=run msg=\"now too\"\n"));
}

static void stays_one_line_whatever_comes(void **state)
{
        char text[4000];
        struct catch c;
        size_t len;

        memset(text, 'x', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        catch_begin(&c);
        log_say(LOG_INFO, "run", "long", "text=%s", text);
        len = strlen(catch_end(&c));
        assert_in_range(len, 1000, 2048);
        assert_ptr_equal(strchr(caught, '\n'), caught + len - 1);

        catch_begin(&c);
        log_say(LOG_INFO, "run", "control", "text=%s", "a\nb\r\x1b[31m\x7f");
        assert_string_equal(after_stamp(catch_end(&c)),
                            "level=info room=run msg=\"control\" text=a?b??[31m?\n");
}

static void reads_the_names_of_levels(void **state)
{
        enum log_level level = LOG_DEBUG;

        assert_true(log_level_parse("error", &level) && level == LOG_ERROR);
        assert_true(log_level_parse("warn", &level) && level == LOG_WARN);
        assert_true(log_level_parse("info", &level) && level == LOG_INFO);
        assert_true(log_level_parse("debug", &level) && level == LOG_DEBUG);
        assert_false(log_level_parse("", &level));
        assert_false(log_level_parse("Info", &level));
        assert_false(log_level_parse("trace", &level));
        assert_int_equal(level, LOG_DEBUG);
}

static void quotes_outside_bytes(void **state)
{
        char out[64];

        assert_string_equal(log_quote(out, sizeof(out), "plain", 5), "\"plain\"");
        assert_string_equal(log_quote(out, sizeof(out), "", 0), "\"\"");
        assert_string_equal(log_quote(out, sizeof(out), "a\"b\\c", 5), "\"a\\\"b\\\\c\"");
        assert_string_equal(log_quote(out, sizeof(out), "a\nb\0c\x1b\xff\x7f", 8),
                            "\"a\\x0ab\\x00c\\x1b\\xff\\x7f\"");
}

static void cuts_a_quote_at_its_size(void **state)
{
        char text[100], out[100];

        memset(text, '\n', sizeof(text));
        for (size_t size = 0; size < sizeof(out); size++) {
                memset(out, 'z', sizeof(out));
                log_quote(out, size, text, sizeof(text));
                assert_int_equal(out[size], 'z');
                if (size == 0)
                        continue;
                assert_true(strlen(out) < size);
                if (size >= 8)
                        assert_true(out[0] == '"' && out[strlen(out) - 1] == '"');
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(writes_one_line_of_logfmt),
                cmocka_unit_test(needs_no_fields),
                cmocka_unit_test(leaves_out_what_is_below_its_level),
                cmocka_unit_test(stays_one_line_whatever_comes),
                cmocka_unit_test(reads_the_names_of_levels),
                cmocka_unit_test(quotes_outside_bytes),
                cmocka_unit_test(cuts_a_quote_at_its_size),
        };

        return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
