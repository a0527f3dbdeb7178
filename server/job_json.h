/* A job as JSON: the one shape of DESIGN section 3, for status URLs, the control door and the command line.
 */
#ifndef SENDOFF_SERVER_JOB_JSON_H
#define SENDOFF_SERVER_JOB_JSON_H

#include <jansson.h>

#include "job/job.h"

/* Never NULL; the caller's. waiting_for: NULL for null. retries_max: its retry
 * policy's. full: false for the front door, which shows the
 * target only of jobs that came in there. */
json_t *job_json(const struct job *job, const char *waiting_for, unsigned retries_max, bool full);
/* What a `then` target is sent: the record, "result" (where it is; null when there is none) and "duration_ms"
 * from acceptance to end. */
json_t *job_json_outcome(const struct job *job, unsigned retries_max);
/* {"id", "location", "state"}, and "retry_of" where there is one: what an accepting call answers. */
json_t *job_json_receipt(const struct job *job);
/* Compact text with a newline, to be freed; NULL only when memory is short. Consumes the reference. */
char *job_json_text(json_t *json);
/* "/.sendoff/jobs/{id}" */
#define JOB_LOCATION_SIZE (16 + JOB_ID_SIZE)
char *job_location(const struct job_id *id, char out[JOB_LOCATION_SIZE]);

#endif
