/* A line written to SENDOFF_CONTROL: "progress 40/100 mailing", "time-limit 0", "ignore-abort on", "detach".
 * Pure. */
#ifndef SENDOFF_JOB_CONTROL_LINE_H
#define SENDOFF_JOB_CONTROL_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bounds.h"
#include "base/cause.h"
#include "base/slice.h"

struct job_progress {
        bool any;            /* something was said */
        int64_t done, total; /* total 0: not known */
        char note[JOB_NOTE_SIZE];
};

enum control_what {
        CONTROL_PROGRESS,
        CONTROL_TIME_LIMIT,
        CONTROL_IGNORE_ABORT,
        CONTROL_DETACH,
};

struct control_line {
        enum control_what what;
        struct job_progress progress;
        int64_t time_limit_ms; /* counted from now, as set_time_limit() does; 0 none */
        bool on;               /* IGNORE_ABORT */
};

/* line: without its end. 0, or -EINVAL with the sentence. "progress DONE[/TOTAL] [NOTE]" and "progress N%
 * [NOTE]" (of 100): whole numbers, DONE may pass TOTAL; a note is cut at JOB_NOTE_SIZE - 1 bytes, control
 * bytes and what is no UTF-8 become '?'. "time-limit TIME": 30, 30s, 10m, 0. */
int control_line_parse(struct slice line, struct control_line *out, struct cause *cause)
        __attribute__((warn_unused_result));

#endif
