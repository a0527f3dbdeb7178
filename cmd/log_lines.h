/* The lines of a job's log on their way to the terminal. A stream that broke begins anew with what was
 * printed already: each line is printed once. A line is "2026-11-21T08:00:00.123Z 1 stderr TEXT"; where a
 * long log has a hole it says "- 1 sendoff 17 lines are left out here". */
#ifndef SENDOFF_CMD_LOG_LINES_H
#define SENDOFF_CMD_LOG_LINES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"

struct log_lines {
        FILE *out;
        bool colours;        /* the time dim, stderr red, sendoff's own words blue */
        bool again;          /* what comes may have been printed: nothing new came since the stream broke */
        uint64_t run;        /* of the last line printed */
        char time[32];       /* the same */
        struct buf latest;   /* the lines printed with that run and time */
        struct buf expected; /* of those, what has not come again yet */
        struct buf hole;     /* a hole's line: printed when the line behind it is new */
};

void log_lines_init(struct log_lines *l, FILE *out, bool colours);
void log_lines_fini(struct log_lines *l);

void log_lines_again(struct log_lines *l); /* the stream broke; it begins anew */
void log_lines_take(struct log_lines *l, struct slice line);

#endif
