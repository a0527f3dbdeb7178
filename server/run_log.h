/* The log of one run, in memory: what it wrote to stderr (a program's stdout, too) and sendoff's own
 * sentences, line by line with the time. Bounded: the first RUN_LOG_HEAD and the last RUN_LOG_TAIL bytes are
 * kept, what was between is left out, and said so. A line is "2026-11-21T08:00:00.123Z 1 stderr TEXT": time,
 * number of the run, stream, text; control bytes of the text become '?'. */
#ifndef SENDOFF_SERVER_RUN_LOG_H
#define SENDOFF_SERVER_RUN_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum run_log_stream {
        RUN_LOG_STDOUT,
        RUN_LOG_STDERR,
        RUN_LOG_SENDOFF,
        RUN_LOG_STREAMS,
};

struct run_log {
        uint32_t run;
        struct buf head, tail;
        struct buf partial[RUN_LOG_STREAMS]; /* a line without its end, so far */
        uint64_t left_out;                   /* lines */
        bool worth_keeping;                  /* there is more than sendoff's word of the start and the end */
        /* each line as it is made, with its end; may be NULL */
        void (*line)(void *arg, struct slice line);
        void *arg;
};

void run_log_init(struct run_log *log, uint32_t run, void (*line)(void *arg, struct slice line), void *arg);
void run_log_fini(struct run_log *log); /* twice is harmless */

/* Bytes of a stream, cut anywhere. */
void run_log_bytes(struct run_log *log, enum run_log_stream stream, struct slice bytes, int64_t now_ms);
/* A sentence of sendoff's. notable: worth keeping the log for. */
void run_log_say(struct run_log *log, bool notable, int64_t now_ms, const char *format, ...)
        __attribute__((format(printf, 4, 5)));
void run_log_flush(struct run_log *log, int64_t now_ms); /* lines that have no end get one */

/* All of it, appended to out: 0, BUF_FULL, -ENOMEM. */
int run_log_text(const struct run_log *log, struct buf *out) __attribute__((warn_unused_result));

#endif
