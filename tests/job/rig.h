/* Jobs in every state, for the tests of the pure core. Includes what cmocka wants before it. */
#ifndef SENDOFF_TESTS_JOB_RIG_H
#define SENDOFF_TESTS_JOB_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>

#include "job/job.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct job_run ended(enum run_outcome outcome, const char *reason);
void target_of(struct job *job, const char *target);
struct job *running_job(void); /* run 1 began at 1000 */
/* Without advice, and with no retries allowed. */
void end_run(struct job *job, enum run_outcome outcome, const char *reason, int64_t now_ms);
struct job *job_in(enum job_state state); /* through the events that lead there, the last of them at 2000 */

#endif
