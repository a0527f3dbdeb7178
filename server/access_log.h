/* The access log: one line a request in the combined format, then the duration in milliseconds, the worker
 * and the job id ("-" when there is none). Lines are gathered and written when the loop is about to sleep; a
 * reader that stalls never stalls the server: beyond ACCESS_LOG_MAX unwritten bytes lines are dropped and
 * counted, and the count is logged. */
#ifndef SENDOFF_SERVER_ACCESS_LOG_H
#define SENDOFF_SERVER_ACCESS_LOG_H

#include "base/cause.h"
#include "server/exchange.h"

struct access_log;

/* target: "-" stdout, "off", or a file that is appended to. *out is NULL for "off". 0 or < 0 with cause. */
int access_log_new(struct access_log **out, const char *target, struct cause *cause)
        __attribute__((warn_unused_result));
void access_log_free(struct access_log *log);   /* writes what is left as far as that does not block */
void access_log_reopen(struct access_log *log); /* SIGHUP, after the file was moved away. NULL is fine */
void access_log_add(struct access_log *log, const struct exchange *ex); /* NULL is fine */
void access_log_flush(struct access_log *log);

#endif
