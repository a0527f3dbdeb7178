/* What may be asked for one job: every row of the table at its edges, by text, by number, and through the
 * store's form and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "job/options.h"

#define YEAR_MS (INT64_C(365) * 24 * 3600 * 1000)

static const struct job_option_row *row_of(const char *name)
{
        const struct job_option_row *row = job_option_find(slice_of(name));

        if (!row)
                fail_msg("no option %s", name);
        return row;
}

static void check_text(const struct job_options *o, const char *wanted)
{
        struct buf out;

        buf_init(&out, 1 << 20);
        assert_int_equal(job_options_text(o, &out), 0);
        assert_int_equal(buf_append(&out, "", 1), 0);
        assert_string_equal(buf_data(&out), wanted);
        buf_fini(&out);
}

static bool same(const struct job_options *a, const struct job_options *b)
{
        for (const struct job_option_row *row = job_option_rows; row->name; row++)
                if (job_option_is_set(a, row) != job_option_is_set(b, row) ||
                    job_option_number(a, row) != job_option_number(b, row))
                        return false;
        for (int i = 0; i < JOB_THENS; i++)
                if (a->then[i] && strcmp(a->then[i], b->then[i]) != 0)
                        return false;
        return true;
}

static void nothing_is_set_at_first(void **state)
{
        struct job_options o;

        memset(&o, 0x55, sizeof(o));
        job_options_init(&o);
        for (const struct job_option_row *row = job_option_rows; row->name; row++) {
                assert_false(job_option_is_set(&o, row));
                assert_int_equal(job_option_number(&o, row), -1);
        }
        assert_int_equal(o.time_limit_ms, -1);
        assert_int_equal(o.on_crash, -1);
        assert_null(o.then[JOB_THEN_ALWAYS]);
        check_text(&o, "");
        job_options_fini(&o);
        job_options_fini(&o);
}

/* Each field of the struct has one row, and a row says all that is needed. */
static void the_table_is_whole(void **state)
{
        size_t fields = sizeof(struct job_options) / sizeof(int64_t), count = 0;
        bool taken[sizeof(struct job_options) / sizeof(int64_t)] = { false };

        assert_int_equal(sizeof(char *), sizeof(int64_t));
        for (const struct job_option_row *row = job_option_rows; row->name; row++, count++) {
                assert_int_equal(row->offset % sizeof(int64_t), 0);
                assert_true(row->offset / sizeof(int64_t) < fields);
                assert_false(taken[row->offset / sizeof(int64_t)]);
                taken[row->offset / sizeof(int64_t)] = true;
                assert_non_null(row->field);
                assert_true(strlen(row->help) > 10 && row->help[strlen(row->help) - 1] == '.');
                assert_true(row->min <= row->max);
                assert_int_equal(row->kind == JOB_OPTION_CHOICE, row->words != NULL);
                for (int64_t i = 0; row->words && i <= row->max; i++)
                        assert_non_null(row->words[i]);
                if (row->words)
                        assert_null(row->words[row->max + 1]);
                for (const struct job_option_row *other = job_option_rows; other < row; other++)
                        assert_false(strcmp(row->name, other->name) == 0 ||
                                     (strcmp(row->field, other->field) == 0 &&
                                      strcmp(row->parent ? row->parent : "",
                                             other->parent ? other->parent : "") == 0));
        }
        assert_int_equal(count, fields);
}

static void a_name_is_found_however_it_is_written(void **state)
{
        assert_string_equal(row_of("time_limit")->name, "time_limit");
        assert_string_equal(row_of("Time-Limit")->name, "time_limit");
        assert_string_equal(row_of("BACKOFF-MAX")->name, "backoff_max");
        assert_string_equal(row_of("backoff")->name, "backoff");
        assert_string_equal(row_of("Then_Always")->name, "then_always");
        assert_null(job_option_find(SLICE("")));
        assert_null(job_option_find((struct slice){ NULL, 0 }));
        assert_null(job_option_find(SLICE("time_limi")));
        assert_null(job_option_find(SLICE("time_limit_")));
        assert_null(job_option_find(SLICE("time limit")));
        assert_null(job_option_find(SLICE("time_limit\0")));
        assert_null(job_option_find(SLICE("backoff_ma")));
        assert_null(job_option_find(SLICE("run_at")));
}

static void check_set(const char *name, const char *text, int64_t wanted)
{
        struct cause cause = { "" };
        struct job_options o;
        int r;

        job_options_init(&o);
        r = job_option_set(&o, row_of(name), text, &cause);
        if (r != (wanted < 0 ? -EINVAL : 0))
                fail_msg("%s '%s': %d %s", name, text, r, cause.text);
        assert_int_equal(job_option_number(&o, row_of(name)), wanted);
        assert_int_equal(job_option_is_set(&o, row_of(name)), wanted >= 0);
        if (wanted < 0 && (strncmp(cause.text, name, strlen(name)) != 0 || !strstr(cause.text, "is wanted")))
                fail_msg("%s '%s': '%s'", name, text, cause.text);
        job_options_fini(&o);
}

static void times_sizes_and_counts_are_taken_within_their_range(void **state)
{
        static const struct {
                const char *name, *text;
                int64_t wanted; /* -1: refused */
        } rows[] = {
                { "time_limit", "0", 0 },
                { "time_limit", "30", 30000 },
                { "time_limit", "250ms", 250 },
                { "time_limit", "10m", 600000 },
                { "time_limit", "365d", YEAR_MS },
                { "time_limit", "366d", -1 },
                { "time_limit", "31536001", -1 },
                { "time_limit", "", -1 },
                { "time_limit", "-1", -1 },
                { "time_limit", "1.5", -1 },
                { "time_limit", "never", -1 },
                { "time_limit", " 1", -1 },
                { "idle_limit", "1h", 3600000 },
                { "idle_limit", "1w", -1 },
                { "backoff", "1ms", 1 },
                { "backoff_max", "8760h", YEAR_MS },
                { "backoff_max", "8761h", -1 },
                { "cpu", "90", 90000 },
                { "cpu", "99999999999999999999", -1 },
                { "retries", "0", 0 },
                { "retries", "900", 900 },
                { "retries", "901", -1 },
                { "retries", "1k", -1 },
                { "retries", "+1", -1 },
                { "retries", "", -1 },
                { "files", "1000000", 1000000 },
                { "files", "1000001", -1 },
                { "memory", "0", 0 },
                { "memory", "512M", INT64_C(512) << 20 },
                { "memory", "1", 1 },
                { "memory", "64T", INT64_C(64) << 40 },
                { "memory", "65T", -1 },
                { "memory", "70368744177665", -1 },
                { "memory", "512MB", -1 },
                { "memory", "18446744073709551616", -1 },
                { "on_abort", "php", 0 },
                { "on_abort", "continue", 1 },
                { "on_abort", "stop", 2 },
                { "on_abort", "0", -1 },
                { "on_abort", "PHP", -1 },
                { "on_abort", "", -1 },
                { "on_abort", "stopp", -1 },
                { "on_crash", "rerun", 0 },
                { "on_crash", "hold", 1 },
                { "on_crash", "end", -1 },
                { "on_crash", "2", -1 },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                check_set(rows[i].name, rows[i].text, rows[i].wanted);
}

static void a_refusal_says_what_is_wanted(void **state)
{
        static const struct {
                const char *name, *sentence;
        } rows[] = {
                { "time_limit", "time_limit: a time from 0 to 365d is wanted, such as 30, 30s or 10m" },
                { "memory", "memory: a size from 0 to 64T is wanted, such as 512M" },
                { "retries", "retries: a whole number from 0 to 900 is wanted" },
                { "on_abort", "on_abort: one of php, continue, stop is wanted" },
                { "on_crash", "on_crash: one of rerun, hold is wanted" },
                { "then_failure", "then_failure: a path of the site" },
        };
        struct job_options o;

        job_options_init(&o);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct cause cause = { "" };

                assert_int_equal(job_option_set(&o, row_of(rows[i].name), "?", &cause), -EINVAL);
                if (strncmp(cause.text, rows[i].sentence, strlen(rows[i].sentence)) != 0)
                        fail_msg("'%s'", cause.text);
                assert_int_equal(job_option_set(&o, row_of(rows[i].name), "?", NULL), -EINVAL);
        }
        check_text(&o, "");
        job_options_fini(&o);
}

static void numbers_are_taken_in_the_unit_of_the_field(void **state)
{
        struct job_options o;

        job_options_init(&o);
        for (const struct job_option_row *row = job_option_rows; row->name; row++) {
                struct cause cause = { "" };

                if (row->kind == JOB_OPTION_CHOICE || row->kind == JOB_OPTION_TARGET) {
                        assert_int_equal(job_option_set_number(&o, row, 0, &cause), -EINVAL);
                        assert_non_null(strstr(cause.text, row->name));
                        assert_false(job_option_is_set(&o, row));
                        continue;
                }
                assert_int_equal(job_option_set_number(&o, row, row->max, &cause), 0);
                assert_int_equal(job_option_number(&o, row), row->max);
                assert_int_equal(job_option_set_number(&o, row, row->min, &cause), 0);
                assert_int_equal(job_option_number(&o, row), row->min);
                assert_int_equal(job_option_set_number(&o, row, row->max + 1, &cause), -EINVAL);
                assert_int_equal(job_option_set_number(&o, row, row->min - 1, &cause), -EINVAL);
                assert_int_equal(job_option_set_number(&o, row, INT64_MIN, NULL), -EINVAL);
                assert_int_equal(job_option_set_number(&o, row, INT64_MAX, NULL), -EINVAL);
                assert_int_equal(job_option_number(&o, row), row->min); /* what was refused changed nothing */
        }
        job_options_fini(&o);
}

static void a_target_is_checked_copied_and_replaced(void **state)
{
        char text[] = "/first";
        struct cause cause = { "" };
        struct job_options o;

        job_options_init(&o);
        assert_int_equal(job_option_set(&o, row_of("then_success"), text, &cause), 0);
        text[1] = 'X';
        assert_string_equal(o.then[JOB_THEN_SUCCESS], "/first");
        assert_int_equal(job_option_set(&o, row_of("then_success"), "exec:say 'it is done'", &cause), 0);
        assert_string_equal(o.then[JOB_THEN_SUCCESS], "exec:say 'it is done'");
        assert_int_equal(job_option_set(&o, row_of("then_success"), "exec:say 'it", &cause), -EINVAL);
        assert_string_equal(o.then[JOB_THEN_SUCCESS], "exec:say 'it is done'");
        assert_non_null(strstr(cause.text, "then_success: a quote"));
        assert_int_equal(job_option_set(&o, row_of("then_failure"), "http://h/failed", &cause), 0);
        assert_int_equal(job_option_set(&o, row_of("then_always"), "/always", &cause), 0);
        assert_string_equal(o.then[JOB_THEN_FAILURE], "http://h/failed");
        assert_string_equal(o.then[JOB_THEN_ALWAYS], "/always");
        assert_true(job_option_is_set(&o, row_of("then_always")));
        assert_int_equal(job_option_number(&o, row_of("then_always")), -1);
        job_options_fini(&o);
        assert_null(o.then[JOB_THEN_SUCCESS]);
}

/* Everything set, each field to a number of its own. */
static void fill(struct job_options *o)
{
        int64_t n = 1;

        job_options_init(o);
        for (const struct job_option_row *row = job_option_rows; row->name; row++, n++) {
                if (row->kind == JOB_OPTION_CHOICE)
                        assert_int_equal(job_option_set(o, row, row->words[row->max], NULL), 0);
                else if (row->kind == JOB_OPTION_TARGET)
                        assert_int_equal(job_option_set(o, row, "/then", NULL), 0);
                else
                        assert_int_equal(job_option_set_number(o, row, n, NULL), 0);
        }
}

static void a_copy_holds_the_same_and_owns_its_targets(void **state)
{
        struct job_options o, copy;

        fill(&o);
        memset(&copy, 0x55, sizeof(copy));
        job_options_copy(&copy, &o);
        assert_true(same(&o, &copy));
        for (int i = 0; i < JOB_THENS; i++)
                assert_ptr_not_equal(o.then[i], copy.then[i]);
        job_options_fini(&o);
        assert_string_equal(copy.then[JOB_THEN_ALWAYS], "/then");
        job_options_fini(&copy);
        job_options_init(&o);
        job_options_copy(&copy, &o);
        assert_true(same(&o, &copy));
        job_options_fini(&copy);
        job_options_fini(&o);
}

static void the_stores_form_is_lines_in_the_order_of_the_table(void **state)
{
        struct job_options o;

        fill(&o);
        check_text(&o,
                   "time_limit=1\nidle_limit=2\non_abort=2\non_crash=1\nretries=5\nbackoff=6\nbackoff_max=7\n"
                   "memory=8\ncpu=9\nfiles=10\nthen_success=/then\nthen_failure=/then\nthen_always=/then\n");
        job_options_fini(&o);
        job_options_init(&o);
        o.on_crash = JOB_CRASH_END;
        o.retries = 0;
        check_text(&o, "on_crash=2\nretries=0\n");
        job_options_fini(&o);
}

static void check_round_trip(const struct job_options *o)
{
        struct job_options again;
        struct buf out;

        buf_init(&out, 1 << 20);
        assert_int_equal(job_options_text(o, &out), 0);
        job_options_init(&again);
        job_options_read(&again, buf_slice(&out));
        assert_true(same(o, &again));
        job_options_fini(&again);
        buf_fini(&out);
}

static void what_is_stored_is_read_back(void **state)
{
        struct job_options o;

        fill(&o);
        check_round_trip(&o);
        o.on_crash = JOB_CRASH_END; /* nobody can ask for it, but the server stores it */
        check_round_trip(&o);
        job_options_fini(&o);
        job_options_init(&o);
        check_round_trip(&o);
        for (const struct job_option_row *row = job_option_rows; row->name; row++) {
                if (row->kind == JOB_OPTION_CHOICE || row->kind == JOB_OPTION_TARGET)
                        continue;
                assert_int_equal(job_option_set_number(&o, row, row->max, NULL), 0);
                check_round_trip(&o);
                assert_int_equal(job_option_set_number(&o, row, row->min, NULL), 0);
                check_round_trip(&o);
        }
        job_options_fini(&o);
}

static void a_target_that_would_begin_another_line_is_refused(void **state)
{
        struct cause cause = { "" };
        struct job_options o;

        job_options_init(&o);
        assert_int_equal(job_option_set(&o, row_of("then_failure"), "exec:say '\ntime_limit=0'", &cause),
                         -EINVAL);
        assert_non_null(strstr(cause.text, "then_failure: a line end"));
        assert_int_equal(job_option_set(&o, row_of("then_failure"), "exec:say a\n", &cause), -EINVAL);
        check_text(&o, "");
        assert_int_equal(job_option_set(&o, row_of("then_failure"), "exec:say '\\n' a=b '\r\t'", &cause), 0);
        check_round_trip(&o);
        job_options_fini(&o);
}

static void the_reader_passes_over_what_it_does_not_know(void **state)
{
        struct job_options o;

        job_options_init(&o);
        job_options_read(&o,
                         SLICE("priority=3\ntime_limit=-1\nidle_limit=31536000001\nidle_limit=\nretries=901\n"
                               "on_abort=3\non_abort=stop\non_crash=3\nthen_success=nowhere\nthen_always\n"
                               "memory=1x\n=5\n\n\ncpu=99999999999999999999\nfiles 3\nbackoff==3\n"));
        check_text(&o, "");
        job_options_read(&o, SLICE("later=1\nretries=4\nretries=5\ntime_limit=7"));
        check_text(&o, "time_limit=7\nretries=5\n");
        job_options_read(&o, SLICE(""));
        job_options_read(&o, (struct slice){ NULL, 0 });
        check_text(&o, "time_limit=7\nretries=5\n");
        job_options_fini(&o);
}

static void the_writer_appends_and_says_when_there_is_no_room(void **state)
{
        struct job_options o;
        struct buf out;
        size_t whole;

        fill(&o);
        buf_init(&out, 4096);
        assert_int_equal(buf_append_str(&out, "x"), 0);
        assert_int_equal(job_options_text(&o, &out), 0);
        assert_true(slice_starts(buf_slice(&out), SLICE("xtime_limit=1\n")));
        whole = buf_len(&out) - 1;
        buf_fini(&out);
        for (size_t room = 0; room <= whole; room++) {
                buf_init(&out, room);
                assert_int_equal(job_options_text(&o, &out), room < whole ? BUF_FULL : 0);
                buf_fini(&out);
        }
        job_options_fini(&o);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(nothing_is_set_at_first),
                cmocka_unit_test(the_table_is_whole),
                cmocka_unit_test(a_name_is_found_however_it_is_written),
                cmocka_unit_test(times_sizes_and_counts_are_taken_within_their_range),
                cmocka_unit_test(a_refusal_says_what_is_wanted),
                cmocka_unit_test(numbers_are_taken_in_the_unit_of_the_field),
                cmocka_unit_test(a_target_is_checked_copied_and_replaced),
                cmocka_unit_test(a_copy_holds_the_same_and_owns_its_targets),
                cmocka_unit_test(the_stores_form_is_lines_in_the_order_of_the_table),
                cmocka_unit_test(what_is_stored_is_read_back),
                cmocka_unit_test(a_target_that_would_begin_another_line_is_refused),
                cmocka_unit_test(the_reader_passes_over_what_it_does_not_know),
                cmocka_unit_test(the_writer_appends_and_says_when_there_is_no_room),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
