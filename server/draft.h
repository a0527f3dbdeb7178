/* From a request that came in to the request that is carried out: a foreground run's or a job's. */
#ifndef SENDOFF_SERVER_DRAFT_H
#define SENDOFF_SERVER_DRAFT_H

#include "job/job.h"
#include "server/exchange.h"

/* Fills request from the exchange and moves its body out. target: origin-form. Left out of the headers:
 * hop-by-hop fields (RFC 9110, 7.6.1) and whatever Connection names, Content-Length (the body knows), Expect,
 * and names that start with `skip` (without case; empty: none). Whatever request held is freed. 0, or 431
 * when the headers pass JOB_HEADERS_MAX. */
int draft_from_exchange(struct job_request *request, struct exchange *ex, struct slice target,
                        struct slice skip) __attribute__((warn_unused_result));

/* A reply head as a header block for exchange_head or for the store: without the length, Date and Server. 0
 * or < 0. */
int draft_reply_block(struct buf *block, const struct http1_header *headers, size_t count)
        __attribute__((warn_unused_result));

#endif
