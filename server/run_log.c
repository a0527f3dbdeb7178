/* See run_log.h. */
#include "server/run_log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bounds.h"
#include "base/clock.h"

static const char *const stream_names[RUN_LOG_STREAMS] = { "stdout", "stderr", "sendoff" };

void run_log_init(struct run_log *log, uint32_t run, void (*line)(void *arg, struct slice line), void *arg)
{
        memset(log, 0, sizeof(*log));
        log->run = run;
        log->line = line;
        log->arg = arg;
        buf_init(&log->head, RUN_LOG_HEAD);
        buf_init(&log->tail, RUN_LOG_TAIL);
        for (int i = 0; i < RUN_LOG_STREAMS; i++)
                buf_init(&log->partial[i], RUN_LOG_LINE);
}

void run_log_fini(struct run_log *log)
{
        buf_fini(&log->head);
        buf_fini(&log->tail);
        for (int i = 0; i < RUN_LOG_STREAMS; i++)
                buf_fini(&log->partial[i]);
}

/* Makes room in the tail by leaving out its oldest lines. */
static void push_tail(struct run_log *log, struct slice line)
{
        while (buf_len(&log->tail) > 0 && buf_len(&log->tail) + line.len > RUN_LOG_TAIL) {
                const char *start = buf_data(&log->tail), *end = memchr(start, '\n', buf_len(&log->tail));

                buf_consume(&log->tail, end ? (size_t)(end - start) + 1 : buf_len(&log->tail));
                log->left_out++;
        }
        if (buf_append_slice(&log->tail, line) != 0)
                log->left_out++;
}

static void keep(struct run_log *log, struct slice line)
{
        bool in_head = buf_len(&log->tail) == 0 && log->left_out == 0;

        if (!in_head || buf_append_slice(&log->head, line) != 0)
                push_tail(log, line);
        if (log->line)
                log->line(log->arg, line);
}

static void add_line(struct run_log *log, enum run_log_stream stream, struct slice text, int64_t now_ms)
{
        char line[RUN_LOG_LINE + 80], time[CLOCK_RFC3339_SIZE];
        int n = snprintf(line, sizeof(line), "%s %u %s ", clock_rfc3339(now_ms, time), log->run,
                         stream_names[stream]);
        size_t at = (size_t)n;

        if (text.len && text.ptr[text.len - 1] == '\r')
                text.len--;
        for (size_t i = 0; i < text.len && at < sizeof(line) - 1; i++) {
                unsigned char c = (unsigned char)text.ptr[i];

                line[at++] = (c < 0x20 && c != '\t') || c == 0x7f ? '?' : (char)c;
        }
        line[at++] = '\n';
        keep(log, (struct slice){ line, at });
}

static void take_partial(struct run_log *log, enum run_log_stream stream, int64_t now_ms)
{
        add_line(log, stream, buf_slice(&log->partial[stream]), now_ms);
        buf_clear(&log->partial[stream]);
}

void run_log_bytes(struct run_log *log, enum run_log_stream stream, struct slice bytes, int64_t now_ms)
{
        struct buf *partial = &log->partial[stream];

        if (bytes.len > 0)
                log->worth_keeping = true;
        while (bytes.len > 0) {
                const char *end = memchr(bytes.ptr, '\n', bytes.len);
                size_t take = end ? (size_t)(end - bytes.ptr) : bytes.len, room;
                bool whole;

                if (take > 0 && buf_len(partial) == RUN_LOG_LINE)
                        take_partial(log, stream, now_ms);
                room = RUN_LOG_LINE - buf_len(partial);
                whole = end && take <= room;
                if (take > room)
                        take = room;
                if (buf_append(partial, bytes.ptr, take) != 0)
                        return;
                bytes = slice_from(bytes, take + whole);
                if (whole)
                        take_partial(log, stream, now_ms);
        }
}

void run_log_say(struct run_log *log, bool notable, int64_t now_ms, const char *format, ...)
{
        char text[RUN_LOG_LINE];
        va_list args;
        int n;

        va_start(args, format);
        n = vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        log->worth_keeping = log->worth_keeping || notable;
        add_line(log, RUN_LOG_SENDOFF,
                 (struct slice){ text, n < 0                   ? 0
                                       : n < (int)sizeof(text) ? (size_t)n
                                                               : sizeof(text) - 1 },
                 now_ms);
}

void run_log_flush(struct run_log *log, int64_t now_ms)
{
        for (int i = 0; i < RUN_LOG_STREAMS; i++)
                if (buf_len(&log->partial[i]) > 0)
                        take_partial(log, (enum run_log_stream)i, now_ms);
}

int run_log_text(const struct run_log *log, struct buf *out)
{
        int r = buf_append_slice(out, buf_slice(&log->head));

        if (r == 0 && log->left_out > 0)
                r = buf_printf(out, "- %u sendoff %llu lines are left out here\n", log->run,
                               (unsigned long long)log->left_out);
        return r ? r : buf_append_slice(out, buf_slice(&log->tail));
}
