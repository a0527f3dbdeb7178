/* The front door's routes: the site, `Prefer: respond-async`, and each job's own URLs below /.sendoff/. */
#ifndef SENDOFF_SERVER_FRONT_H
#define SENDOFF_SERVER_FRONT_H

#include "server/door.h"
#include "server/foreground.h"
#include "server/job_pages.h"
#include "server/rate.h"

struct front {
        struct foreground_desk desk;
        struct job_pages pages;
        struct rate *rate;
        const struct config *config;
};

extern const struct door_ops front_ops; /* arg: struct front */

#endif
