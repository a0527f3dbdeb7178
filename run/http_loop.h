/* libcurl's multi interface on a uv loop: sockets and timeouts. For http.c. */
#ifndef SENDOFF_RUN_HTTP_LOOP_H
#define SENDOFF_RUN_HTTP_LOOP_H

#include <stdbool.h>
#include <uv.h>

#include "run/curl_library.h"

struct http_loop {
        const struct curl_library *curl;
        CURLM *multi; /* NULL while there is nothing to do */
        uv_loop_t *loop;
        uv_timer_t timer;
        unsigned connections_max;
        void (*ended)(void *arg, CURL *easy, CURLcode code);
        void *arg;
};

/* curl is borrowed and loaded. `ended` comes from the loop only, outside of libcurl's own callbacks: it may
 * add and remove handles. */
void http_loop_init(struct http_loop *l, uv_loop_t *loop, const struct curl_library *curl,
                    unsigned connections_max, void (*ended)(void *arg, CURL *easy, CURLcode code), void *arg);
int http_loop_add(struct http_loop *l, CURL *easy) __attribute__((warn_unused_result)); /* 0 or < 0 */
void http_loop_remove(struct http_loop *l, CURL *easy); /* not from a callback of libcurl */
/* All handles are removed. Closes the connections that were kept; http_loop_add begins anew. */
void http_loop_rest(struct http_loop *l);
void http_loop_close(struct http_loop *l, uv_close_cb closed); /* handle->data is l */

#endif
