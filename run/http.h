/* The http runner: any http(s) URL, through libcurl on our own loop. TLS verified, HTTP/2 where the target
 * offers it, connections kept and reused, a reply of any length as it comes. libcurl is loaded when the first
 * run needs it (run/curl_library.h), so that a server without http jobs, and the command line, do without its
 * memory and its start-up time. */
#ifndef SENDOFF_RUN_HTTP_H
#define SENDOFF_RUN_HTTP_H

#include <stdint.h>
#include <uv.h>

#include "base/cause.h"
#include "run/run.h"

struct http_desk;

struct http_config {
        uv_loop_t *loop;
        int64_t connect_timeout_ms;
        unsigned redirects_max;   /* 0: a 3xx is the answer */
        unsigned connections_max; /* kept open */
        /* CIDR lists ("10.0.0.0/8", "fe80::/10"; NULL-terminated, NULL none): an address that `deny` holds
         * and `allow` does not is refused, whatever name it was resolved from, on the first connection and on
         * every redirect. */
        char *const *allow, *const *deny;
        const char *ca_file; /* PEM; NULL: the system's */
};

struct http_request {
        const char *job_id;                /* sent as Idempotency-Key unless the request has one */
        uint32_t run;                      /* Sendoff-Run */
        const struct job_request *request; /* target is the URL; borrowed until `end` */
};

/* 0, or < 0 with cause: a malformed CIDR. Copies what config points to. */
int http_new(struct http_desk **out, const struct http_config *config, struct cause *cause)
        __attribute__((warn_unused_result));
/* Puts back what runs; done from the loop. */
void http_stop(struct http_desk *desk, void (*done)(void *arg), void *arg);
void http_free(struct http_desk *desk); /* after done; NULL is fine */

/* Starts the transfer. 0 and *out; < 0 with cause: libcurl cannot be loaded, or the URL is none.
 * Ends: answered completely: RUN_SUCCEEDED with the status. Not answered: RUN_FAILED with a reason, and
 * may_pass set where another try can help (cannot resolve, connect or finish TLS in time, connection reset,
 * reply cut short or malformed); not set where it cannot (address refused by the guard, certificate not
 * valid, URL of another scheme, too many redirects). Refused addresses are named in the reason with the
 * option. */
int http_start(struct http_desk *desk, const struct http_request *request,
               const struct run_handlers *handlers, void *arg, struct run **out, struct cause *cause)
        __attribute__((warn_unused_result));

#endif
