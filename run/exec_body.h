/* A stored body as a program's stdin. */
#ifndef SENDOFF_RUN_EXEC_BODY_H
#define SENDOFF_RUN_EXEC_BODY_H

#include "base/spool.h"

/* A descriptor that reads the body from its beginning, with an offset of its own; the caller closes it. Or
 * -errno. */
int exec_body_open(const struct spool *body) __attribute__((warn_unused_result));

#endif
