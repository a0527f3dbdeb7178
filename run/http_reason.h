/* Why a URL did not answer completely: one sentence with host and port, and whether another try can help.
 * Pure. */
#ifndef SENDOFF_RUN_HTTP_REASON_H
#define SENDOFF_RUN_HTTP_REASON_H

#include <stdint.h>

#include "job/job.h"
#include "run/curl_library.h"

struct http_failure {
        CURLcode code;
        const char *where; /* "example.com:443": no name and password of the URL */
        const char *host;  /* "example.com" */
        const char *error; /* libcurl's own words, may be "" */
        int os_error;      /* errno, 0 unknown */
        bool https, resolved;
        bool head_done;
        uint64_t got;        /* bytes that came: of the body once the head is done, else of the head */
        uint64_t sent, body; /* of the request's body */
        int64_t length;      /* of the reply's body as announced, -1 unknown */
        int64_t connect_ms;  /* connect_timeout */
};

/* Fills reason and may_pass. */
void http_reason(const struct http_failure *f, struct job_run *how);

#endif
