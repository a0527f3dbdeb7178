/* What an http run asks for, as options of a libcurl handle. For http.c. */
#ifndef SENDOFF_RUN_HTTP_REQUEST_H
#define SENDOFF_RUN_HTTP_REQUEST_H

#include "run/curl_library.h"
#include "run/http.h"

/* The stored header fields as libcurl wants them: what is hop-by-hop left out, libcurl's own defaults
 * (Accept, Content-Type, Expect) suppressed, Idempotency-Key, Sendoff-Run and User-Agent added unless they
 * are there. The caller's (slist_free_all); NULL when memory is short. */
struct curl_slist *http_request_fields(const struct curl_library *curl, const struct http_request *request);

/* Method, URL, body and fields. */
void http_request_set(const struct curl_library *curl, CURL *easy, const struct http_request *request,
                      struct curl_slist *fields);

#endif
