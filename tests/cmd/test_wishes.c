/* cmd/wishes.c: every row of the option table is a flag, checked before anything is sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cmd/wishes.h"

struct fixture {
        struct option longs[WISHES_FLAGS_MAX + 1];
        struct wishes wishes;
        struct cause cause;
};

static int setup(void **state)
{
        struct fixture *f = mem_alloc(sizeof(*f));

        setenv("TZ", "Europe/Berlin", 1);
        wishes_flags(f->longs, 0);
        wishes_init(&f->wishes);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        wishes_fini(&f->wishes);
        free(f);
        return 0;
}

static int take(struct fixture *f, const char *flag, const char *value)
{
        const struct option *o = f->longs;

        while (o->name && strcmp(o->name, flag) != 0)
                o++;
        if (!o->name)
                fail_msg("there is no flag --%s", flag);
        f->cause.text[0] = '\0';
        return wishes_take(&f->wishes, o->val, value, &f->cause);
}

static void expect(struct fixture *f, const char *headers)
{
        char *got = slice_dup(buf_slice(&f->wishes.headers));

        assert_string_equal(got, headers);
        free(got);
}

static char *dashed(const char *name)
{
        char *out = mem_dup(name);

        for (char *c = out; *c; c++)
                if (*c == '_')
                        *c = '-';
        return out;
}

/* A value that each kind takes. */
static const char *value_of(const struct job_option_row *row)
{
        switch (row->kind) {
        case JOB_OPTION_DURATION:
                return "90s";
        case JOB_OPTION_SIZE:
                return "512M";
        case JOB_OPTION_COUNT:
                return "7";
        case JOB_OPTION_CHOICE:
                return row->words[0];
        case JOB_OPTION_TARGET:
                break;
        }
        return "/done.php?a=b";
}

static void every_row_is_a_flag_with_help_and_becomes_its_field(void **state)
{
        struct fixture *f = *state;
        struct buf help;
        char *text;

        buf_init(&help, 1 << 16);
        assert_int_equal(wishes_help(&help, 80), 0);
        text = buf_take(&help);
        for (const struct job_option_row *row = job_option_rows; row->name; row++) {
                char *name = dashed(row->name), *tag = mem_printf("--%s ", name),
                     *header = mem_printf("Sendoff-%s: %s\r\n", name, value_of(row));

                buf_clear(&f->wishes.headers);
                assert_int_equal(take(f, name, value_of(row)), 0);
                assert_true(job_option_is_set(&f->wishes.asked, row));
                expect(f, header);
                assert_int_equal(take(f, name, value_of(row)), -22);
                assert_non_null(strstr(f->cause.text, "give it once"));
                if (!strstr(text, tag))
                        fail_msg("--help does not have %s", tag);
                free(name);
                free(tag);
                free(header);
        }
        free(text);
}

static void a_refusal_names_the_flag_its_range_and_the_value(void **state)
{
        static const struct {
                const char *flag, *value, *sentence;
        } bad[] = {
                { "retries", "901", "--retries: a whole number from 0 to 900 is wanted, not '901'" },
                { "retries", "-1", "--retries: a whole number from 0 to 900 is wanted, not '-1'" },
                { "retries", "", "--retries: a whole number from 0 to 900 is wanted, not ''" },
                { "time-limit", "soon", "--time-limit: a time from 0 to 365d is wanted" },
                { "time-limit", "366d", "not '366d'" },
                { "memory", "1X", "--memory: a size" },
                { "on-abort", "no", "--on-abort: " },
                { "on-abort", "no", "php, continue, stop" },
                { "on-crash", "end", "not 'end'" },
                { "then-success", "report.php", "--then-success: " },
                { "then", "report.php", "--then: " },
                { "delay", "-1", "--delay: a time up to 10 years is wanted" },
                { "delay", "3651d", "--delay: a time up to 10 years is wanted" },
                { "at", "tomorrow", "--at: a time is wanted" },
                { "at", "2026-02-30 08:00", "--at: a time is wanted" },
                { "at", "2026-12-01 08:00 and more", "--at: a time is wanted" },
                { "at", "2026-12-01", "--at: a time is wanted" },
                { "at", "1969-12-01 08:00", "--at: a time is wanted" },
                { "at", "", "--at: a time is wanted" },
        };
        struct fixture *f = *state;

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                assert_int_equal(take(f, bad[i].flag, bad[i].value), -22);
                if (!strstr(f->cause.text, bad[i].sentence))
                        assert_string_equal(f->cause.text, bad[i].sentence);
        }
        expect(f, "");
}

static void a_time_without_a_zone_is_the_one_on_the_wall(void **state)
{
        static const struct {
                const char *given, *sent;
        } times[] = {
                { "2026-12-01 08:00", "2026-12-01T07:00:00.000Z" },
                { "2026-07-01 08:00:30", "2026-07-01T06:00:30.000Z" },
                { "2026-12-01T08:00", "2026-12-01T07:00:00.000Z" },
                { "2026-12-01T08:00:00Z", "2026-12-01T08:00:00.000Z" },
                { "2026-12-01 08:00:00.5+05:30", "2026-12-01T02:30:00.500Z" },
                { "2024-02-29 08:00", "2024-02-29T07:00:00.000Z" },
        };

        for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
                struct fixture *f = *state;
                char *header = mem_printf("Sendoff-run-at: %s\r\n", times[i].sent);

                buf_clear(&f->wishes.headers);
                f->wishes.timed = false;
                assert_int_equal(take(f, "at", times[i].given), 0);
                expect(f, header);
                free(header);
        }
}

static void then_is_then_always_and_both_are_one(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(take(f, "then", "https://example.org/hook"), 0);
        expect(f, "Sendoff-then-always: https://example.org/hook\r\n");
        assert_int_equal(take(f, "then-always", "/other.php"), -22);
        assert_non_null(strstr(f->cause.text, "--then-always: give it once"));
}

static void there_is_one_time_to_run_at(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(take(f, "delay", "10m"), 0);
        assert_int_equal(take(f, "at", "2026-12-01 08:00"), -22);
        assert_string_equal(f->cause.text, "give --delay or --at, and once");
        assert_int_equal(take(f, "delay", "10m"), -22);
        expect(f, "Sendoff-delay: 10m\r\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(every_row_is_a_flag_with_help_and_becomes_its_field),
                TEST(a_refusal_names_the_flag_its_range_and_the_value),
                TEST(a_time_without_a_zone_is_the_one_on_the_wall),
                TEST(then_is_then_always_and_both_are_one),
                TEST(there_is_one_time_to_run_at),
        };

        return cmocka_run_group_tests_name("cmd/wishes", tests, NULL, NULL);
}
