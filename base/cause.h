/* The sentence for people that travels beside an error code. Whoever finds the fault writes it, the room that
 * answers logs or sends it. It names the thing and the limit: "body_max is 1 MiB (option body_max)". */
#ifndef SENDOFF_BASE_CAUSE_H
#define SENDOFF_BASE_CAUSE_H

#include "base/bounds.h"

struct cause {
        char text[CAUSE_MAX];
};

/* Fills cause (when not NULL; a text too long is cut) and returns `code`, so that `return cause_set(cause,
 * -EIO, …)` reads well. */
int cause_set(struct cause *cause, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
