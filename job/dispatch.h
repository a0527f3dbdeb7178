/* Who gets the next free worker. Pure arithmetic over counts; the server keeps them.
 *
 * Foreground requests come first, and `reserve` workers are never given to jobs (when there is more than one
 * worker), so that a flood of jobs cannot make the site slow. */
#ifndef SENDOFF_JOB_DISPATCH_H
#define SENDOFF_JOB_DISPATCH_H

#include <stdbool.h>

struct dispatch {
        unsigned workers;            /* how many there are to be */
        unsigned reserve;            /* of them, never given to jobs; counted as workers - 1 at most */
        unsigned free;               /* alive and idle now */
        unsigned jobs;               /* held by jobs, including those whose commit is on its way */
        unsigned foreground_waiting; /* requests waiting for a worker */
};

bool dispatch_may_start_job(const struct dispatch *d);
bool dispatch_may_start_foreground(const struct dispatch *d);
unsigned dispatch_job_limit(const struct dispatch *d); /* how many jobs may run at once */

#endif
