/* The FIFO that SENDOFF_CONTROL names: whoever carries out a run writes lines there, from any language. */
#ifndef SENDOFF_RUN_CONTROL_H
#define SENDOFF_RUN_CONTROL_H

#include <uv.h>

#include "base/cause.h"
#include "base/slice.h"

struct control;

/* Makes the FIFO (0600) at path, where nothing is, and reads it. `line` is called from the loop for each
 * line, without its end ("\n" or "\r\n"); empty lines are left out, one longer than CONTROL_LINE_MAX is given
 * cut at that length + 1 bytes, so that it can be told. 0 or < 0 with cause. */
int control_open(struct control **out, uv_loop_t *loop, const char *path,
                 void (*line)(void *arg, struct slice line), void *arg, struct cause *cause)
        __attribute__((warn_unused_result));
const char *control_path(const struct control *c);
bool control_used(const struct control *c); /* anything was ever written */
/* Reads what is there now; the last line needs no end. Calls `line`. For the end of a run. */
void control_drain(struct control *c);
/* No more calls; removes the FIFO; the memory goes later. NULL is fine. */
void control_close(struct control *c);

#endif
