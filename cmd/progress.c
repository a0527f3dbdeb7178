/* See progress.h. The line is cut at the terminal's width, so that it stays one line; it is redrawn once a
 * second, which is how often the server is asked. */
#include "cmd/progress.h"

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/wrap.h"
#include "cmd/human.h"
#include "cmd/verb.h"

#define REDRAW_MS 1000

static bool is_terminal(void)
{
        return isatty(STDERR_FILENO);
}

/* At most `columns` of it, no character cut in two. */
static int cut(const char *text, unsigned columns)
{
        int n = 0;

        for (unsigned used = 0; text[n]; n++) {
                used += ((unsigned char)text[n] & 0xc0) != 0x80;
                if (used > columns)
                        break;
        }
        return n;
}

static void show(const char *text)
{
        if (is_terminal())
                fprintf(stderr, "\r%.*s\033[K", cut(text, wrap_width(STDERR_FILENO) - 1), text);
}

void progress_show(const json_t *job, int64_t waited_ms)
{
        const char *waits = json_text(job, "waiting_for");
        char text[512], more[400];

        human_progress(job, more, sizeof(more));
        snprintf(text, sizeof(text), "%s %llds  %s%s%s%s", json_text(job, "state"),
                 (long long)waited_ms / 1000, more, *more && *waits ? "  " : "", *waits ? "waits for " : "",
                 waits);
        show(human_clean(text));
}

void progress_count(const char *what, uint64_t done, uint64_t total)
{
        char text[256], bar[HUMAN_BAR_SIZE];

        snprintf(text, sizeof(text), "%s %s %llu of %llu", what, human_bar(done, total ? total : 1, bar),
                 (unsigned long long)done, (unsigned long long)total);
        show(text);
}

void progress_clear(void)
{
        show("");
}

int progress_wait(struct talk *t, const char *id, int64_t timeout_ms, json_t **job)
{
        int64_t began = clock_mono_ms();
        int r;

        if (!is_terminal())
                return talk_wait(t, id, timeout_ms, job);
        for (;;) {
                int64_t left = timeout_ms ? began + timeout_ms - clock_mono_ms() : REDRAW_MS;

                r = talk_wait(t, id, left < 1 ? 1 : left < REDRAW_MS ? left : REDRAW_MS, job);
                if (r != EXIT_OK || job_is_final(*job) || left < 1)
                        break;
                progress_show(*job, clock_mono_ms() - began);
                json_decref(*job);
        }
        progress_clear();
        return r;
}
