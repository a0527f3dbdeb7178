/* Carrying out a stored or foreground request for a site's script: CGI variables, then a worker. */
#ifndef SENDOFF_SERVER_SCRIPT_H
#define SENDOFF_SERVER_SCRIPT_H

#include "run/cgi_env.h"
#include "server/dispatcher.h"
#include "server/site.h"

enum {
        SCRIPT_BUSY = 1,      /* no worker is free after all */
        SCRIPT_TOO_LARGE = 2, /* the parameters cannot be sent (431); cause says which limit */
};

/* match is a SITE_SCRIPT of the site whose root is given. request must stay until the run has ended. 0 and
 * *out; SCRIPT_BUSY; SCRIPT_TOO_LARGE; < 0. */
int script_start(struct dispatcher *d, bool for_job, const char *root, const struct site_match *match,
                 const struct job_request *request, const struct cgi_context *context,
                 const struct run_handlers *handlers, void *arg, struct run **out, struct cause *cause)
        __attribute__((warn_unused_result));

#endif
