/* What may be asked for a job on the command line: a flag for each row of job/options.h (--time-limit,
 * --retries, …), --then, --delay and --at. Checked here, before anything is sent, and sent as Sendoff-*
 * header fields. */
#ifndef SENDOFF_CMD_WISHES_H
#define SENDOFF_CMD_WISHES_H

#include <getopt.h>

#include "base/buf.h"
#include "base/cause.h"
#include "job/options.h"

#define WISHES_FLAG_FIRST 2000 /* their values in struct option */
#define WISHES_FLAGS_MAX  32

struct wishes {
        struct job_options asked; /* for checking */
        struct buf headers;       /* a block (net/http1.h) */
        bool timed;               /* --delay or --at was there */
};

void wishes_init(struct wishes *w);
void wishes_fini(struct wishes *w);

/* Writes the flags behind the `count` that are there; longs has room for WISHES_FLAGS_MAX more, and the
 * ending row. */
void wishes_flags(struct option *longs, size_t count);
/* One of them, its value in `text`. 0 or < 0 with the sentence, which names the flag and its range. */
int wishes_take(struct wishes *w, int flag, const char *text, struct cause *cause)
        __attribute__((warn_unused_result));
/* Their part of --help, appended: 0, BUF_FULL, -ENOMEM. */
int wishes_help(struct buf *out, unsigned width) __attribute__((warn_unused_result));

#endif
