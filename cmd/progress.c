/* See progress.h. The line is cut at the terminal's width, so that it stays one line. */
#include "cmd/progress.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/wrap.h"
#include "cmd/talk.h"

#define BAR_WIDTH 24

static void bar(char *out, int64_t done, int64_t total)
{
        int64_t full = done >= total ? BAR_WIDTH : done * BAR_WIDTH / total;

        out[0] = '[';
        for (int i = 0; i < BAR_WIDTH; i++)
                out[1 + i] = i < full ? '#' : '.';
        strcpy(out + 1 + BAR_WIDTH, "]");
}

static void show(const char *text)
{
        fprintf(stderr, "\r%.*s\033[K", (int)wrap_width(STDERR_FILENO) - 1, text);
}

/* What it waits for, or how far it is. */
static int detail(char *out, size_t size, const json_t *job)
{
        const json_t *progress = json_object_get(job, "progress"),
                     *total = json_object_get(progress, "total");
        int64_t done = json_integer_value(json_object_get(progress, "done"));
        char bars[BAR_WIDTH + 3];

        if (json_text(job, "waiting_for")[0])
                return snprintf(out, size, "waits for %s", json_text(job, "waiting_for"));
        if (!json_is_object(progress))
                return snprintf(out, size, "%s", "");
        if (!json_is_integer(total) || json_integer_value(total) <= 0)
                return snprintf(out, size, "%lld %s", (long long)done, json_text(progress, "note"));
        bar(bars, done, json_integer_value(total));
        return snprintf(out, size, "%s %lld/%lld %s", bars, (long long)done,
                        (long long)json_integer_value(total), json_text(progress, "note"));
}

void progress_show(const json_t *job, int64_t waited_ms)
{
        char text[512], more[400];

        detail(more, sizeof(more), job);
        snprintf(text, sizeof(text), "%s %llds  %s", json_text(job, "state"), (long long)waited_ms / 1000,
                 more);
        show(text);
}

void progress_count(const char *what, uint64_t done, uint64_t total)
{
        char text[256], bars[BAR_WIDTH + 3];

        bar(bars, (int64_t)done, total ? (int64_t)total : 1);
        snprintf(text, sizeof(text), "%s %s %llu of %llu", what, bars, (unsigned long long)done,
                 (unsigned long long)total);
        show(text);
}

void progress_clear(void)
{
        fputs("\r\033[K", stderr);
}
