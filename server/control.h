/* The control door's routes: JSON for programs and the command line, on a unix socket.
 *
 *   POST /v1/jobs                 {"target", "method", "headers", "body" | "body_base64" | "form" | "json"} →
 * 202 and a receipt; ?wait=N → 200 and the job when it ends in time ANY  /v1/send/{target}        this very
 * request, sent off GET  /v1/jobs?state=&limit=&cursor= GET  /v1/jobs/{id}?wait=N     200 and the job GET
 * /v1/jobs/{id}/result     the script's own reply POST /v1/jobs/{id}/cancel     200 cancelled, 202 being
 * ended, 409 it had ended GET  /healthz                 200 or 503 */
#ifndef SENDOFF_SERVER_CONTROL_H
#define SENDOFF_SERVER_CONTROL_H

#include "server/door.h"
#include "server/job_pages.h"
#include "server/site.h"

struct control {
        struct job_pages pages;
        struct site *site;
        struct store *store;
        const char *front_address; /* HTTP_HOST and SERVER_PORT of jobs that name none */
        const struct config *config;
};

extern const struct door_ops control_ops; /* arg: struct control */

#endif
