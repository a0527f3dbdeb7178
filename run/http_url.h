/* The URL of an http run, and where redirects lead it. For http.c. */
#ifndef SENDOFF_RUN_HTTP_URL_H
#define SENDOFF_RUN_HTTP_URL_H

#include <stdbool.h>

#include "base/cause.h"
#include "base/slice.h"
#include "run/curl_library.h"

#define HTTP_HOST_SIZE 256

struct http_url {
        const struct curl_library *curl;
        CURLU *handle; /* without user and password */
        bool https;
        char host[HTTP_HOST_SIZE];       /* of an IPv6 address with its brackets */
        char where[HTTP_HOST_SIZE + 16]; /* "example.com:443" */
};

/* Each sets URL, user and password of easy, which borrows the URL from then on. 0, or -EINVAL with cause: no
 * http(s) URL; it never tells the URL, which may hold a password. After a fault only http_url_fini is
 * allowed. curl is borrowed. */
int http_url_init(struct http_url *u, const struct curl_library *curl, CURL *easy, const char *text,
                  struct cause *cause) __attribute__((warn_unused_result));
/* *left: it leads to another origin (scheme, host, port), and the user and password stay behind. */
int http_url_follow(struct http_url *u, CURL *easy, struct slice location, bool *left, struct cause *cause)
        __attribute__((warn_unused_result));
void http_url_fini(struct http_url *u); /* twice is harmless */

#endif
