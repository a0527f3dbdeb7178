/* man/sendoff.1 says what the option table says. MANUAL is its path. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "job/options.h"
#include "server/config.h"

static char *read_manual(void)
{
        FILE *f = fopen(getenv("MANUAL") ? getenv("MANUAL") : "man/sendoff.1", "r");
        char *text = mem_alloc(1 << 20);

        assert_non_null(f);
        assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
        fclose(f);
        return text;
}

/* One option's text, with blanks for line ends and without troff's escapes; NULL when the option is not
 * there. */
static char *entry(const char *manual, const char *section, const char *key)
{
        char *tag = mem_printf(".It Fl \\-%s Ar ", key), *out, *end;
        const char *at;

        for (char *c = tag + 8; *c; c++)
                if (*c == '_')
                        *c = '-';
        at = strstr(strstr(manual, section), tag);
        free(tag);
        if (!at)
                return NULL;
        at = strchr(at, '\n') + 1;
        out = end = mem_alloc(strlen(at) + 1);
        while (*at && strncmp(at, "\n.It", 4) != 0 && strncmp(at, "\n.El", 4) != 0) {
                if (strncmp(at, "\\&", 2) == 0) {
                        at += 2;
                } else if (strncmp(at, "\\(en", 4) == 0) {
                        end = stpcpy(end, "…");
                        at += 4;
                } else {
                        *end++ = *at == '\n' ? ' ' : *at;
                        at++;
                }
        }
        *end = '\0';
        return out;
}

static void expect(const char *text, const char *key, const char *wanted)
{
        if (!strstr(text, wanted))
                fail_msg("man/sendoff.1, %s: '%s' is not in '%s'", key, wanted, text);
}

static void names_every_option_with_its_sentence_default_and_range(void **state)
{
        char *manual = read_manual();

        (void)state;
        for (const struct option_row *row = config_rows(); row->key; row++) {
                const char *preset = option_default_shown(row);
                char *text = entry(manual, ".Sh OPTIONS OF SERVE", row->key), *wanted;
                struct buf range;

                if (!text)
                        fail_msg("man/sendoff.1 does not have %s", row->key);
                expect(text, row->key, row->help);
                wanted = mem_printf("Default: %s", strcmp(preset, ".") == 0 ? "the current folder"
                                                   : *preset                ? preset
                                                                            : "none");
                expect(text, row->key, wanted);
                free(wanted);
                buf_init(&range, 4096);
                assert_int_equal(option_range_text(row, &range), 0);
                wanted = buf_take(&range);
                if (strstr(wanted, ", e.g."))
                        *strstr(wanted, ", e.g.") = '\0';
                if (strcmp(wanted, "any text") != 0)
                        expect(text, row->key, wanted);
                free(wanted);
                assert_true((strstr(text, "Reread on SIGHUP.") != NULL) == row->reloadable);
                free(text);
        }
        free(manual);
}

static void names_everything_that_may_be_asked_for_a_job(void **state)
{
        char *manual = read_manual();

        (void)state;
        for (const struct job_option_row *row = job_option_rows; row->name; row++) {
                char *text = entry(manual, ".Sh OPTIONS OF SEND", row->name);

                if (!text)
                        fail_msg("man/sendoff.1 does not have %s", row->name);
                expect(text, row->name, row->help);
                free(text);
        }
        free(manual);
}

static void names_no_option_that_is_not_there(void **state)
{
        char *manual = read_manual(), *at = strstr(manual, ".Sh OPTIONS OF SERVE"),
             *end = strstr(at, ".Sh ENVIRONMENT");
        struct config config = { 0 };
        struct cause cause = { "" };
        unsigned count = 0;

        (void)state;
        assert_int_equal(config_load(&config, 0, NULL, &cause), 0);
        while ((at = strstr(at, ".It Fl \\-")) && at < end) {
                struct slice key = { at + 9, strcspn(at + 9, " \n") };

                if (!options_find(config_options(&config), key))
                        fail_msg("man/sendoff.1 has --%.*s", SLICE_ARG(key));
                at += 9;
                count++;
        }
        assert_true(count > 20);
        config_fini(&config);
        free(manual);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(names_every_option_with_its_sentence_default_and_range),
                cmocka_unit_test(names_everything_that_may_be_asked_for_a_job),
                cmocka_unit_test(names_no_option_that_is_not_there),
        };

        return cmocka_run_group_tests_name("cmd/manual", tests, NULL, NULL);
}
