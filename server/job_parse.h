/* The JSON of POST /v1/jobs to a draft. Everything unknown or malformed is an error that names the field;
 * nothing is ignored. */
#ifndef SENDOFF_SERVER_JOB_PARSE_H
#define SENDOFF_SERVER_JOB_PARSE_H

#include "base/cause.h"
#include "job/job.h"
#include "net/http1.h"

/* draft: its body's spool is initialised and empty; body: the JSON text. 0; 400 malformed, 413 the JSON is
 * longer than JOB_JSON_MAX, 422 understood but impossible, 507 disk full; the sentence in cause. */
int job_parse(struct job *draft, const struct spool *json, int64_t now_ms, struct cause *cause)
        __attribute__((warn_unused_result));

/* A request's Sendoff-* header fields to the draft's options, and Sendoff-Delay or Sendoff-Run-At to its
 * time. 0 or 400 with the sentence; a field that starts with Sendoff- and is none of them is refused. */
int job_parse_headers(struct job *draft, const struct http1_header *headers, size_t count, int64_t now_ms,
                      struct cause *cause) __attribute__((warn_unused_result));

#endif
