/* See wishes.h. */
#include "cmd/wishes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/option.h"
#include "base/wrap.h"
#include "net/http1.h"

#define DELAY_MAX_MS (UINT64_C(3650) * 24 * 3600 * 1000)
#define NAME_SIZE    40

enum {
        FLAG_THEN = WISHES_FLAG_FIRST,
        FLAG_DELAY,
        FLAG_AT,
        FLAG_ROWS, /* the table's */
};

static char flag_names[WISHES_FLAGS_MAX][NAME_SIZE]; /* getopt keeps pointers to them */

void wishes_init(struct wishes *w)
{
        job_options_init(&w->asked);
        buf_init(&w->headers, JOB_HEADERS_MAX);
        w->timed = false;
}

void wishes_fini(struct wishes *w)
{
        job_options_fini(&w->asked);
        buf_fini(&w->headers);
}

/* "time_limit" as "time-limit". */
static char *dashed(const char *name, char out[NAME_SIZE])
{
        snprintf(out, NAME_SIZE, "%s", name);
        for (char *c = out; *c; c++)
                if (*c == '_')
                        *c = '-';
        return out;
}

void wishes_flags(struct option *longs, size_t count)
{
        longs[count++] = (struct option){ "then", 1, NULL, FLAG_THEN };
        longs[count++] = (struct option){ "delay", 1, NULL, FLAG_DELAY };
        longs[count++] = (struct option){ "at", 1, NULL, FLAG_AT };
        for (int i = 0; job_option_rows[i].name && i < WISHES_FLAGS_MAX - 4; i++)
                longs[count++] = (struct option){ dashed(job_option_rows[i].name, flag_names[i]), 1, NULL,
                                                  FLAG_ROWS + i };
        longs[count] = (struct option){ 0 };
}

static int add_header(struct wishes *w, const char *name, const char *value, struct cause *cause)
{
        char field[NAME_SIZE + 8], dashes[NAME_SIZE];

        snprintf(field, sizeof(field), "Sendoff-%s", dashed(name, dashes));
        if (http1_block_add(&w->headers, slice_of(field), slice_of(value)) != 0)
                return cause_set(cause, -EINVAL, "--%s: a value that cannot be sent in a header field",
                                 dashes);
        return 0;
}

static int take_row(struct wishes *w, const struct job_option_row *row, const char *flag, const char *text,
                    struct cause *cause)
{
        struct cause why;
        const char *sentence;

        if (job_option_is_set(&w->asked, row))
                return cause_set(cause, -EINVAL, "%s: give it once", flag);
        if (job_option_set(&w->asked, row, text, &why) == 0)
                return add_header(w, row->name, text, cause);
        sentence = strchr(why.text, ':');
        return cause_set(cause, -EINVAL, "%s%s, not '%.100s'", flag, sentence ? sentence : "", text);
}

static int add_time(struct wishes *w, const char *name, const char *value, struct cause *cause)
{
        if (w->timed)
                return cause_set(cause, -EINVAL, "give --delay or --at, and once");
        w->timed = true;
        return add_header(w, name, value, cause);
}

static int take_delay(struct wishes *w, const char *text, struct cause *cause)
{
        uint64_t ms;

        if (option_duration_parse(text, DELAY_MAX_MS, &ms) != 0)
                return cause_set(cause, -EINVAL,
                                 "--delay: a time up to 10 years is wanted, such as 90 or 10m, not '%.100s'",
                                 text);
        return add_time(w, "delay", text, cause);
}

/* "2026-12-01 08:00" here, where the clock on the wall says so. */
static bool local_time(const char *text, int64_t *ms)
{
        static const char *const forms[] = { "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S",
                                             "%Y-%m-%dT%H:%M" };

        for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
                struct tm tm = { .tm_isdst = -1 };
                const char *end = strptime(text, forms[i], &tm);

                tm.tm_isdst = -1;
                if (end && !*end) {
                        int day = tm.tm_mday;

                        *ms = (int64_t)mktime(&tm) * 1000;
                        return *ms > 0 && tm.tm_mday == day; /* there is no 30 February */
                }
        }
        return false;
}

static int take_at(struct wishes *w, const char *text, struct cause *cause)
{
        char time[CLOCK_RFC3339_SIZE];
        int64_t ms;

        if (!clock_rfc3339_parse(slice_of(text), &ms) && !local_time(text, &ms))
                return cause_set(
                        cause, -EINVAL,
                        "--at: a time is wanted, such as '2026-12-01 08:00' or 2026-12-01T08:00:00Z, not "
                        "'%.100s'",
                        text);
        return add_time(w, "run_at", clock_rfc3339(ms, time), cause);
}

int wishes_take(struct wishes *w, int flag, const char *text, struct cause *cause)
{
        const struct job_option_row *row = &job_option_rows[flag >= FLAG_ROWS ? flag - FLAG_ROWS : 0];
        char name[NAME_SIZE + 2] = "--", dashes[NAME_SIZE];

        if (flag == FLAG_DELAY)
                return take_delay(w, text, cause);
        if (flag == FLAG_AT)
                return take_at(w, text, cause);
        if (flag == FLAG_THEN)
                return take_row(w, job_option_find(SLICE("then_always")), "--then", text, cause);
        snprintf(name + 2, sizeof(name) - 2, "%s", dashed(row->name, dashes));
        return take_row(w, row, name, text, cause);
}

/* ---- help ---- */

static const char *metavar(const struct job_option_row *row)
{
        switch (row->kind) {
        case JOB_OPTION_DURATION:
                return "TIME";
        case JOB_OPTION_SIZE:
                return "SIZE";
        case JOB_OPTION_COUNT:
                return "N";
        case JOB_OPTION_CHOICE:
                return "WORD";
        case JOB_OPTION_TARGET:
                break;
        }
        return "TARGET";
}

static int help_line(struct buf *out, unsigned width, const char *flag, const char *value, const char *text)
{
        char left[64];

        snprintf(left, sizeof(left), "    --%s %s", flag, value);
        return wrap_entry(out, left, text, width);
}

int wishes_help(struct buf *out, unsigned width)
{
        char dashes[NAME_SIZE];
        int r = help_line(out, width, "delay", "TIME", "Run it after this time.");

        r = r ? r : help_line(out, width, "at", "WHEN", "Run it then: '2026-12-01 08:00', or RFC 3339.");
        r = r ? r : help_line(out, width, "then", "TARGET", "The same as --then-always.");
        for (const struct job_option_row *row = job_option_rows; row->name && r == 0; row++)
                r = help_line(out, width, dashed(row->name, dashes), metavar(row), row->help);
        return r;
}
