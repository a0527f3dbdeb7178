/* What the pool needs of fastcgi.c: putting a request on an idle worker. */
#ifndef SENDOFF_RUN_FASTCGI_H
#define SENDOFF_RUN_FASTCGI_H

#include "run/run.h"

struct worker;

int fastcgi_start(struct worker *w, struct fcgi_params *params, const struct spool *body,
                  const struct run_handlers *handlers, void *arg, struct run **out)
        __attribute__((warn_unused_result)); /* 0 or -ENOMEM; as pool_start */
void fastcgi_put_back(struct run *run);      /* shutdown: ends with RUN_PUT_BACK */

#endif
