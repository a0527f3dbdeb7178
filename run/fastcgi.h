/* What the pool needs of fastcgi.c: putting a request on an idle worker, and taking it off at shutdown. */
#ifndef SENDOFF_RUN_FASTCGI_H
#define SENDOFF_RUN_FASTCGI_H

#include "run/pool.h"

struct request;
struct worker;

enum { FASTCGI_NO_CONNECTION = 1 }; /* the worker cannot be reached, and is being ended: try another one */

/* As pool_start: 0 (params are taken over), FASTCGI_NO_CONNECTION or -ENOMEM. */
int fastcgi_start(struct worker *w, const struct pool_request *request, const struct run_handlers *handlers,
                  void *arg, struct run **out) __attribute__((warn_unused_result));
void fastcgi_put_back(struct request *q); /* SIGKILL; the run ends with RUN_PUT_BACK */

#endif
