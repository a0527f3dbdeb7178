/* Text for a terminal: how wide it is, and sentences wrapped to it. A column is counted for each UTF-8
 * character. */
#ifndef SENDOFF_BASE_WRAP_H
#define SENDOFF_BASE_WRAP_H

#include <stdbool.h>

#include "base/buf.h"

unsigned wrap_width(int fd); /* of the terminal there, within 40 … 120; 80 when it is none */
unsigned wrap_columns(const char *text);

/* Appends text, broken at blanks so that no line passes `width`, lines after the first indented by `indent`;
 * the first starts at column `at`. Ends with a newline. A newline in text stays one. 0, BUF_FULL or -ENOMEM.
 */
int wrap_text(struct buf *out, const char *text, unsigned at, unsigned indent, unsigned width)
        __attribute__((warn_unused_result));

/* One entry of a help page: "  left" and text beside it, or below when left is too long. */
int wrap_entry(struct buf *out, const char *left, const char *text, unsigned width)
        __attribute__((warn_unused_result));

#endif
