/* The JSON of POST /v1/jobs to a draft. Everything unknown or malformed is an error that names the field;
 * nothing is ignored. */
#ifndef SENDOFF_SERVER_JOB_PARSE_H
#define SENDOFF_SERVER_JOB_PARSE_H

#include "base/cause.h"
#include "job/job.h"

/* draft: its body's spool is initialised and empty; body: the JSON text. 0; 400 malformed, 413 the JSON is
 * longer than JOB_JSON_MAX, 422 understood but impossible, 507 disk full; the sentence in cause. */
int job_parse(struct job *draft, const struct spool *json, struct cause *cause)
        __attribute__((warn_unused_result));

#endif
