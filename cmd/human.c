/* See human.h. Nothing here fails: what a record lacks, or has in a form that is not known, is shown as "-"
 * or not at all. */
#include "cmd/human.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cmd/record.h"

#define BAR_WIDTH 24

bool human_colours(void)
{
        const char *no_colour = getenv("NO_COLOR");

        return isatty(STDOUT_FILENO) && (!no_colour || !*no_colour);
}

const char *human_state_colour(const char *state)
{
        if (strcmp(state, "succeeded") == 0)
                return "\033[32m";
        if (strcmp(state, "failed") == 0 || strcmp(state, "dead") == 0)
                return "\033[31m";
        return strcmp(state, "running") == 0 ? "\033[36m" : "\033[33m";
}

int64_t human_time(const json_t *record, const char *key)
{
        int64_t ms;

        return clock_rfc3339_parse(slice_of(json_text(record, key)), &ms) ? ms : -1;
}

const char *human_span(int64_t ms, char out[HUMAN_SIZE])
{
        if (ms < 0)
                snprintf(out, HUMAN_SIZE, "-");
        else if (ms < 10000)
                snprintf(out, HUMAN_SIZE, "%.1fs", (double)ms / 1000);
        else if (ms < 600000)
                snprintf(out, HUMAN_SIZE, "%llds", (long long)ms / 1000);
        else if (ms < 36000000)
                snprintf(out, HUMAN_SIZE, "%lldm", (long long)ms / 60000);
        else
                snprintf(out, HUMAN_SIZE, "%lldh", (long long)ms / 3600000);
        return out;
}

char *human_clean(char *text)
{
        for (char *c = text; *c; c++)
                if ((unsigned char)*c < 0x20 || *c == 0x7f)
                        *c = ' ';
        return text;
}

const char *human_answer(const json_t *record, char out[HUMAN_SIZE])
{
        const json_t *status = json_object_get(record, "status"),
                     *code = json_object_get(record, "exit_code"),
                     *signal = json_object_get(record, "signal");

        if (json_is_integer(status))
                snprintf(out, HUMAN_SIZE, "%lld", (long long)json_integer_value(status));
        else if (json_is_integer(code))
                snprintf(out, HUMAN_SIZE, "exit %lld", (long long)json_integer_value(code));
        else if (json_is_integer(signal))
                snprintf(out, HUMAN_SIZE, "sig %lld", (long long)json_integer_value(signal));
        else
                snprintf(out, HUMAN_SIZE, "-");
        return out;
}

const char *human_connection(const json_t *record)
{
        static const char *const words[] = { "normal", "aborted", "timed out", "aborted and timed out" };

        return words[json_integer_value(json_object_get(record, "connection_status")) & 3];
}

const char *human_bar(uint64_t done, uint64_t total, char out[HUMAN_BAR_SIZE])
{
        int full = done >= total ? BAR_WIDTH : (int)((double)done / (double)total * BAR_WIDTH);

        out[0] = '[';
        for (int i = 0; i < BAR_WIDTH; i++)
                out[1 + i] = i < full ? '#' : '.';
        strcpy(out + 1 + BAR_WIDTH, "]");
        return out;
}

/* done, and total or 0. False when nothing was told. */
static bool progress_of(const json_t *job, uint64_t *done, uint64_t *total)
{
        const json_t *progress = json_object_get(job, "progress");
        json_int_t n = json_integer_value(json_object_get(progress, "done")),
                   of = json_integer_value(json_object_get(progress, "total"));

        *done = n > 0 ? (uint64_t)n : 0;
        *total = of > 0 ? (uint64_t)of : 0;
        return json_is_object(progress);
}

const char *human_progress(const json_t *job, char *out, size_t size)
{
        const char *note = json_text(json_object_get(job, "progress"), "note");
        char bar[HUMAN_BAR_SIZE];
        uint64_t done, total;

        if (!progress_of(job, &done, &total))
                snprintf(out, size, "%s", "");
        else if (total == 0)
                snprintf(out, size, "%llu%s%s", (unsigned long long)done, *note ? " " : "", note);
        else
                snprintf(out, size, "%s %llu/%llu%s%s", human_bar(done, total, bar), (unsigned long long)done,
                         (unsigned long long)total, *note ? " " : "", note);
        return out;
}

const char *human_progress_short(const json_t *job, char out[HUMAN_SIZE])
{
        uint64_t done, total;

        if (!progress_of(job, &done, &total))
                snprintf(out, HUMAN_SIZE, "%s", "");
        else if (total == 0)
                snprintf(out, HUMAN_SIZE, "%llu", (unsigned long long)done);
        else
                snprintf(out, HUMAN_SIZE, "%d%%",
                         done >= total ? 100 : (int)((double)done / (double)total * 100));
        return out;
}
