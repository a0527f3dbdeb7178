/* See dispatch.h. */
#include "job/dispatch.h"

unsigned dispatch_job_limit(const struct dispatch *d)
{
        unsigned reserve = d->reserve;

        if (d->workers == 0)
                return 0;
        if (reserve > d->workers - 1)
                reserve = d->workers - 1;
        return d->workers - reserve;
}

bool dispatch_may_start_job(const struct dispatch *d)
{
        return d->free > d->foreground_waiting && d->jobs < dispatch_job_limit(d);
}

bool dispatch_may_start_foreground(const struct dispatch *d)
{
        return d->free > 0;
}
