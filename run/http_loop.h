/* libcurl's multi interface on a uv loop: sockets and timeouts. For http.c. */
#ifndef SENDOFF_RUN_HTTP_LOOP_H
#define SENDOFF_RUN_HTTP_LOOP_H

#include <stdbool.h>
#include <uv.h>

#include "run/curl_library.h"

struct http_loop {
        const struct curl_library *curl;
        CURLM *multi; /* NULL until http_loop_open */
        uv_loop_t *loop;
        uv_timer_t timer;
        uv_check_t check;
        bool active;                                         /* something may have ended */
        void (*ended)(void *arg, CURL *easy, CURLcode code); /* from the loop only; may remove handles */
        void *arg;
};

/* 0 or -ENOMEM. curl is borrowed and loaded. */
int http_loop_open(struct http_loop *l, uv_loop_t *loop, const struct curl_library *curl,
                   void (*ended)(void *arg, CURL *easy, CURLcode code), void *arg)
        __attribute__((warn_unused_result));
/* All handles are removed. Closes what it has on the loop; `closed` is called when that is done. */
void http_loop_close(struct http_loop *l, uv_close_cb closed);
void http_loop_poke(struct http_loop *l); /* a handle was added or unpaused: go on soon */

#endif
