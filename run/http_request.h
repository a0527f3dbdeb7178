/* What an http run asks for, as options of a libcurl handle. For http.c. */
#ifndef SENDOFF_RUN_HTTP_REQUEST_H
#define SENDOFF_RUN_HTTP_REQUEST_H

#include "run/curl_library.h"
#include "run/http.h"

/* The fields that are sent, in one piece of memory. */
struct http_fields {
        struct curl_slist *list;
        void *memory;
};

/* The stored fields without those of a connection (Content-Length, which libcurl writes, and Expect among
 * them), Host where one is stored, and User-Agent, Idempotency-Key (the job's id) unless they are stored, and
 * Sendoff-Run. What libcurl would add by itself (Accept, Content-Type, Expect) is suppressed. */
void http_fields_init(struct http_fields *fields, const struct http_request *request);
void http_fields_fini(struct http_fields *fields); /* twice is harmless */
/* For a redirect to another origin: without Authorization, Cookie and Host. */
void http_fields_leave_origin(struct http_fields *fields);
/* For a redirect that becomes a GET: without Content-*. */
void http_fields_leave_body(struct http_fields *fields);

/* The method a redirect with this status is followed with (RFC 9110, 15.4). */
const char *http_redirect_method(int status, const char *method);
bool http_is_redirect(int status); /* one that is followed when it has a Location */

/* Method, body and fields. body is borrowed, NULL: none; where it is not small, libcurl reads it with
 * CURLOPT_READFUNCTION. */
void http_request_set(const struct curl_library *curl, CURL *easy, const char *method,
                      const struct spool *body, const struct http_fields *fields);

#endif
