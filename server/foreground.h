/* A foreground request: a caller waits for the script's reply, which streams through as it is printed. When
 * no worker is free it waits in the dispatcher's line. When the caller hangs up, the policy on_abort says
 * what that means for the script; a request that was still in the line is run all the same, never dropped.
 * When the reply is complete by its Content-Length, or the script says `detach` (SENDOFF_CONTROL), the caller
 * is let go and the script goes on.
 *
 * A run that goes on without a caller for LET_GO_MS becomes a job (jobs_adopt), so that it can be seen,
 * waited for and cancelled, and its end is recorded. */
#ifndef SENDOFF_SERVER_FOREGROUND_H
#define SENDOFF_SERVER_FOREGROUND_H

#include "server/config.h"
#include "server/dispatcher.h"
#include "server/exchange.h"
#include "server/jobs.h"
#include "server/site.h"

struct foreground;

struct foreground_desk {
        struct dispatcher *dispatcher;
        struct site *site;
        struct jobs *jobs;
        const struct config *config;
        uv_loop_t *loop;
        unsigned active; /* requests in the line or under way, also those whose caller is gone; not those that
                            became jobs */
        struct foreground *alone;     /* their caller is gone or was let go; not jobs yet */
        struct foreground *detaching; /* they said `detach` just now */
        uv_timer_t look;              /* for both */
        bool stopping;                /* no worker will come any more */
};

void foreground_desk_init(struct foreground_desk *desk); /* the fields but active and alone are set */
void foreground_desk_close(struct foreground_desk *desk);

/* Takes the exchange and the match over. */
void foreground_request(struct foreground_desk *desk, struct exchange *ex, struct site_match *match);

#endif
