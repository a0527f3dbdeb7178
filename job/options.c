/* The table and what works on it: see options.h. */
#include "job/options.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/mem.h"
#include "base/option.h"
#include "job/target.h"

#define AT(field) offsetof(struct job_options, field)
#define DAY_MS    (INT64_C(24) * 3600 * 1000)
#define YEAR_MS   (365 * DAY_MS)
#define TIB       (INT64_C(1) << 40)
#define UNSET     (-1)

static const char *const on_abort_words[] = { "php", "continue", "stop", NULL };
static const char *const on_crash_words[] = { "rerun", "hold", NULL };

const struct job_option_row job_option_rows[] = {
        { "time_limit", NULL, "time_limit", JOB_OPTION_DURATION, AT(time_limit_ms), 0, YEAR_MS, NULL,
          "A run is ended when it takes longer; 0 none." },
        { "idle_limit", NULL, "idle_limit", JOB_OPTION_DURATION, AT(idle_limit_ms), 0, YEAR_MS, NULL,
          "A run is ended when nothing is heard of it for so long; 0 none." },
        { "on_abort", NULL, "on_abort", JOB_OPTION_CHOICE, AT(on_abort), 0, 2, on_abort_words,
          "What cancelling means for its run: php (its output is closed, it notices when it next prints), "
          "continue "
          "(it never notices) or stop (ended now, politely first)." },
        { "on_crash", NULL, "on_crash", JOB_OPTION_CHOICE, AT(on_crash), 0, 1, on_crash_words,
          "After a run that was cut short: rerun, or hold until a person says retry." },
        { "retries", "retry", "max", JOB_OPTION_COUNT, AT(retries), 0, JOB_RETRIES_MAX, NULL,
          "How often it is tried again after a failure that may pass." },
        { "backoff", "retry", "backoff", JOB_OPTION_DURATION, AT(backoff_ms), 0, YEAR_MS, NULL,
          "The first pause before a retry is at most this long, the next twice that, and so on; the exact "
          "one is "
          "drawn by lot." },
        { "backoff_max", "retry", "backoff_max", JOB_OPTION_DURATION, AT(backoff_max_ms), 0, YEAR_MS, NULL,
          "No pause before a retry is longer." },
        { "memory", "limits", "memory", JOB_OPTION_SIZE, AT(memory), 0, 64 * TIB, NULL,
          "A program's address space; 0 no limit." },
        { "cpu", "limits", "cpu", JOB_OPTION_DURATION, AT(cpu_ms), 0, YEAR_MS, NULL,
          "A program's CPU time, in whole seconds; 0 no limit." },
        { "files", "limits", "files", JOB_OPTION_COUNT, AT(files), 0, 1000000, NULL,
          "A program's open files; 0 as the server's." },
        { "then_success", "then", "success", JOB_OPTION_TARGET, AT(then[JOB_THEN_SUCCESS]), 0, 0, NULL,
          "A target that is sent the outcome when the job has succeeded." },
        { "then_failure", "then", "failure", JOB_OPTION_TARGET, AT(then[JOB_THEN_FAILURE]), 0, 0, NULL,
          "A target that is sent the outcome when the job has failed, is dead or was cancelled." },
        { "then_always", "then", "always", JOB_OPTION_TARGET, AT(then[JOB_THEN_ALWAYS]), 0, 0, NULL,
          "A target that is sent the outcome however the job ended." },
        { NULL },
};

static int64_t *number_at(const struct job_options *o, const struct job_option_row *row)
{
        return (int64_t *)((uintptr_t)o + row->offset);
}

static char **text_at(const struct job_options *o, const struct job_option_row *row)
{
        return (char **)((uintptr_t)o + row->offset);
}

void job_options_init(struct job_options *o)
{
        memset(o, 0, sizeof(*o));
        for (const struct job_option_row *row = job_option_rows; row->name; row++)
                if (row->kind != JOB_OPTION_TARGET)
                        *number_at(o, row) = UNSET;
}

void job_options_fini(struct job_options *o)
{
        for (int i = 0; i < JOB_THENS; i++) {
                free(o->then[i]);
                o->then[i] = NULL;
        }
}

void job_options_copy(struct job_options *to, const struct job_options *from)
{
        *to = *from;
        for (int i = 0; i < JOB_THENS; i++)
                to->then[i] = from->then[i] ? mem_dup(from->then[i]) : NULL;
}

static char plain(char c)
{
        return c == '-' ? '_' : (char)tolower((unsigned char)c);
}

static bool is_name(const char *name, struct slice s)
{
        size_t i = 0;

        for (; i < s.len && name[i]; i++)
                if (plain(s.ptr[i]) != name[i])
                        return false;
        return i == s.len && !name[i];
}

const struct job_option_row *job_option_find(struct slice name)
{
        for (const struct job_option_row *row = job_option_rows; row->name; row++)
                if (is_name(row->name, name))
                        return row;
        return NULL;
}

static int bad_value(const struct job_option_row *row, struct cause *cause)
{
        char low[OPTION_NUMBER_SIZE], high[OPTION_NUMBER_SIZE];

        switch (row->kind) {
        case JOB_OPTION_DURATION:
                return cause_set(cause, -EINVAL, "%s: a time from %s to %s is wanted, such as 30, 30s or 10m",
                                 row->name, option_duration_text((uint64_t)row->min, low),
                                 option_duration_text((uint64_t)row->max, high));
        case JOB_OPTION_SIZE:
                return cause_set(cause, -EINVAL, "%s: a size from %s to %s is wanted, such as 512M",
                                 row->name, option_size_text((uint64_t)row->min, low),
                                 option_size_text((uint64_t)row->max, high));
        case JOB_OPTION_COUNT:
                return cause_set(cause, -EINVAL,
                                 "%s: a whole number from %" PRId64 " to %" PRId64 " is wanted", row->name,
                                 row->min, row->max);
        case JOB_OPTION_CHOICE:
                return cause_set(cause, -EINVAL, "%s: one of %s, %s%s%s is wanted", row->name, row->words[0],
                                 row->words[1], row->words[2] ? ", " : "",
                                 row->words[2] ? row->words[2] : "");
        case JOB_OPTION_TARGET:
                break;
        }
        return cause_set(cause, -EINVAL, "%s: a target is wanted", row->name);
}

int job_option_set_number(struct job_options *o, const struct job_option_row *row, int64_t number,
                          struct cause *cause)
{
        if (row->kind == JOB_OPTION_CHOICE || row->kind == JOB_OPTION_TARGET || number < row->min ||
            number > row->max)
                return bad_value(row, cause);
        *number_at(o, row) = number;
        return 0;
}

static int set_choice(struct job_options *o, const struct job_option_row *row, const char *text,
                      struct cause *cause)
{
        for (int i = 0; row->words[i]; i++) {
                if (strcmp(text, row->words[i]) == 0) {
                        *number_at(o, row) = i;
                        return 0;
                }
        }
        return bad_value(row, cause);
}

static int set_target(struct job_options *o, const struct job_option_row *row, const char *text,
                      struct cause *cause)
{
        struct cause why;

        if (strchr(text, '\n'))
                return cause_set(cause, -EINVAL, "%s: a line end cannot be in it", row->name);
        if (job_target_check(text, &why) != 0)
                return cause_set(cause, -EINVAL, "%s: %s", row->name, why.text);
        free(*text_at(o, row));
        *text_at(o, row) = mem_dup(text);
        return 0;
}

int job_option_set(struct job_options *o, const struct job_option_row *row, const char *text,
                   struct cause *cause)
{
        uint64_t number = 0;
        bool good = false;

        switch (row->kind) {
        case JOB_OPTION_CHOICE:
                return set_choice(o, row, text, cause);
        case JOB_OPTION_TARGET:
                return set_target(o, row, text, cause);
        case JOB_OPTION_DURATION:
                good = option_duration_parse(text, (uint64_t)row->max, &number) == 0;
                break;
        case JOB_OPTION_SIZE:
                good = option_size_parse(text, (uint64_t)row->max, &number) == 0;
                break;
        case JOB_OPTION_COUNT:
                good = slice_to_u64(slice_of(text), (uint64_t)row->max, &number);
                break;
        }
        return good ? job_option_set_number(o, row, (int64_t)number, cause) : bad_value(row, cause);
}

bool job_option_is_set(const struct job_options *o, const struct job_option_row *row)
{
        return row->kind == JOB_OPTION_TARGET ? *text_at(o, row) != NULL : *number_at(o, row) != UNSET;
}

int64_t job_option_number(const struct job_options *o, const struct job_option_row *row)
{
        return row->kind == JOB_OPTION_TARGET ? UNSET : *number_at(o, row);
}

int job_options_text(const struct job_options *o, struct buf *out)
{
        int r = 0;

        for (const struct job_option_row *row = job_option_rows; row->name && r == 0; row++) {
                if (!job_option_is_set(o, row))
                        continue;
                if (row->kind == JOB_OPTION_TARGET)
                        r = buf_printf(out, "%s=%s\n", row->name, *text_at(o, row));
                else
                        r = buf_printf(out, "%s=%" PRId64 "\n", row->name, *number_at(o, row));
        }
        return r;
}

static void read_line(struct job_options *o, struct slice name, struct slice value)
{
        const struct job_option_row *row = job_option_find(name);
        struct cause ignored;
        uint64_t number;
        char *text;

        if (!row)
                return;
        if (row->kind == JOB_OPTION_TARGET) {
                text = slice_dup(value);
                (void)!set_target(o, row, text, &ignored);
                free(text);
        } else if (slice_to_u64(value, INT64_MAX, &number) && (int64_t)number >= row->min) {
                /* JOB_CRASH_END is one more than anybody may ask for */
                if ((int64_t)number <= row->max || (row->offset == AT(on_crash) && number == JOB_CRASH_END))
                        *number_at(o, row) = (int64_t)number;
        }
}

void job_options_read(struct job_options *o, struct slice text)
{
        struct slice line, name;

        while (slice_cut(&text, '\n', &line)) {
                struct slice value = line;

                slice_cut(&value, '=', &name);
                if (value.ptr)
                        read_line(o, name, value);
        }
}
