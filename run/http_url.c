/* See http_url.h. The URL is parsed by libcurl, which will also connect to it: no second reading of it. */
#include "run/http_url.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int take_place(struct http_url *u, const char *scheme, const char *host, const char *port,
                      struct cause *cause)
{
        u->https = strcmp(scheme, "https") == 0;
        if (!u->https && strcmp(scheme, "http") != 0)
                return cause_set(cause, -EINVAL, "%.20s: is neither http: nor https:", scheme);
        if (strlen(host) >= sizeof(u->host))
                return cause_set(cause, -EINVAL, "the name of its host is longer than %zu bytes",
                                 sizeof(u->host) - 1);
        snprintf(u->host, sizeof(u->host), "%s", host);
        snprintf(u->where, sizeof(u->where), "%s:%.5s", host, port);
        return 0;
}

static char *part(const struct http_url *u, CURLUPart what, unsigned flags)
{
        char *text = NULL;

        u->curl->url_get(u->handle, what, &text, flags);
        return text;
}

static int read_place(struct http_url *u, struct cause *cause)
{
        char *scheme = part(u, CURLUPART_SCHEME, 0), *host = part(u, CURLUPART_HOST, 0);
        char *port = part(u, CURLUPART_PORT, CURLU_DEFAULT_PORT);
        int r;

        if (scheme && host && port)
                r = take_place(u, scheme, host, port, cause);
        else
                r = cause_set(cause, -EINVAL, "it has no host");
        u->curl->free(scheme);
        u->curl->free(host);
        u->curl->free(port);
        return r;
}

/* They leave the URL, so that what it leads to does not inherit them. */
static int take_credentials(struct http_url *u, CURL *easy, struct cause *cause)
{
        char *raw = part(u, CURLUPART_USER, 0), *user = part(u, CURLUPART_USER, CURLU_URLDECODE);
        char *raw_password = part(u, CURLUPART_PASSWORD, 0);
        char *password = part(u, CURLUPART_PASSWORD, CURLU_URLDECODE);
        int r = 0;

        if ((raw && !user) || (raw_password && !password)) {
                r = cause_set(cause, -EINVAL, "its user or password holds control bytes");
        } else if (user || password) {
                u->curl->easy_setopt(easy, CURLOPT_USERNAME, user ? user : "");
                u->curl->easy_setopt(easy, CURLOPT_PASSWORD, password ? password : "");
        }
        u->curl->free(raw);
        u->curl->free(user);
        u->curl->free(raw_password);
        u->curl->free(password);
        u->curl->url_set(u->handle, CURLUPART_USER, NULL, 0);
        u->curl->url_set(u->handle, CURLUPART_PASSWORD, NULL, 0);
        return r;
}

static int take_url(struct http_url *u, CURL *easy, const char *text, unsigned flags, struct cause *cause)
{
        CURLUcode code = u->curl->url_set(u->handle, CURLUPART_URL, text, CURLU_PATH_AS_IS | flags);

        if (code != CURLUE_OK)
                return cause_set(cause, -EINVAL, "%s", u->curl->url_strerror(code));
        return read_place(u, cause);
}

int http_url_init(struct http_url *u, const struct curl_library *curl, CURL *easy, const char *text,
                  struct cause *cause)
{
        int r;

        *u = (struct http_url){ .curl = curl, .handle = curl->url() };
        if (!u->handle)
                return cause_set(cause, -ENOMEM, "out of memory for a URL");
        r = take_url(u, easy, text, 0, cause);
        if (r == 0)
                r = take_credentials(u, easy, cause);
        if (r == 0)
                curl->easy_setopt(easy, CURLOPT_CURLU, u->handle);
        return r;
}

int http_url_follow(struct http_url *u, CURL *easy, struct slice location, bool *left, struct cause *cause)
{
        struct http_url before = *u;
        char *text = slice_dup(location);
        int r = take_url(u, easy, text, CURLU_URLENCODE | CURLU_ALLOW_SPACE, cause);

        free(text);
        if (r < 0)
                return r;
        *left = u->https != before.https || strcasecmp(u->where, before.where) != 0;
        if (*left) {
                u->curl->easy_setopt(easy, CURLOPT_USERNAME, NULL);
                u->curl->easy_setopt(easy, CURLOPT_PASSWORD, NULL);
        }
        r = take_credentials(u, easy, cause);
        u->curl->easy_setopt(easy, CURLOPT_CURLU, u->handle);
        return r;
}

void http_url_fini(struct http_url *u)
{
        if (u->handle)
                u->curl->url_cleanup(u->handle);
        u->handle = NULL;
}
