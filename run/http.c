/* The http runner: see http.h. Not there yet: every start fails. */
#include "run/http.h"

#include <errno.h>

int http_new(struct http_desk **out, const struct http_config *config, struct cause *cause)
{
        (void)config, (void)cause;
        *out = NULL;
        return 0;
}

void http_stop(struct http_desk *desk, void (*done)(void *arg), void *arg)
{
        (void)desk;
        done(arg);
}

void http_free(struct http_desk *desk)
{
        (void)desk;
}

int http_start(struct http_desk *desk, const struct http_request *request,
               const struct run_handlers *handlers, void *arg, struct run **out, struct cause *cause)
{
        (void)desk, (void)request, (void)handlers, (void)arg, (void)out;
        return cause_set(cause, -ENOSYS, "there is no http runner yet");
}
