/* A foreground request: a caller waits for the script's reply, which streams through as it is printed. When
 * no worker is free it waits in the dispatcher's line. When the caller hangs up the script is treated as PHP
 * always treated it (policy `php`); a request that was still in the line is run all the same, never dropped.
 * When the reply is complete by its Content-Length the caller is let go and the script goes on. */
#ifndef SENDOFF_SERVER_FOREGROUND_H
#define SENDOFF_SERVER_FOREGROUND_H

#include "server/config.h"
#include "server/dispatcher.h"
#include "server/exchange.h"
#include "server/site.h"

struct foreground_desk {
        struct dispatcher *dispatcher;
        struct site *site;
        const struct config *config;
        unsigned active; /* requests in the line or under way, also those whose caller is gone */
};

/* Takes the exchange and the match over. */
void foreground_request(struct foreground_desk *desk, struct exchange *ex, struct site_match *match);

#endif
