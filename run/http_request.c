/* See http_request.h. */
#include "run/http_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "net/http1.h"

static const struct slice not_sent[] = {
        { "connection", 10 },
        { "keep-alive", 10 },
        { "proxy-connection", 16 },
        { "proxy-authorization", 19 },
        { "te", 2 },
        { "trailer", 7 },
        { "transfer-encoding", 17 },
        { "upgrade", 7 },
        { "content-length", 14 },
        { "expect", 6 },
};

static bool is_sent(struct slice name)
{
        for (size_t i = 0; i < sizeof(not_sent) / sizeof(not_sent[0]); i++)
                if (slice_eq_nocase(name, not_sent[i]))
                        return false;
        return true;
}

struct fields {
        const struct curl_library *curl;
        struct curl_slist *list;
        bool failed;
};

static void add(struct fields *f, char *line)
{
        struct curl_slist *longer = f->failed ? NULL : f->curl->slist_append(f->list, line);

        if (longer)
                f->list = longer;
        else
                f->failed = true;
        free(line);
}

static bool has(const struct job_request *request, struct slice name)
{
        struct slice rest = slice_of(request->headers);
        struct http1_header h;

        while (http1_block_next(&rest, &h))
                if (slice_eq_nocase(h.name, name))
                        return true;
        return false;
}

struct curl_slist *http_request_fields(const struct curl_library *curl, const struct http_request *request)
{
        static const char *const defaults[] = { "Accept", "Content-Type" };
        struct fields f = { curl, NULL, false };
        struct slice rest = slice_of(request->request->headers);
        struct http1_header h;

        /* an empty value is said with ';' (CURLOPT_HTTPHEADER) */
        while (http1_block_next(&rest, &h))
                if (is_sent(h.name))
                        add(&f, h.value.len ? mem_printf("%.*s: %.*s", SLICE_ARG(h.name), SLICE_ARG(h.value))
                                            : mem_printf("%.*s;", SLICE_ARG(h.name)));
        for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
                if (!has(request->request, slice_of(defaults[i])))
                        add(&f, mem_printf("%s:", defaults[i]));
        add(&f, mem_dup("Expect:"));
        if (request->request->host[0])
                add(&f, mem_printf("Host: %s", request->request->host));
        if (!has(request->request, SLICE("user-agent")))
                add(&f, mem_dup("User-Agent: sendoff/" SENDOFF_VERSION));
        if (!has(request->request, SLICE("idempotency-key")))
                add(&f, mem_printf("Idempotency-Key: %s", request->job_id));
        add(&f, mem_printf("Sendoff-Run: %u", request->run));
        if (!f.failed)
                return f.list;
        curl->slist_free_all(f.list);
        return NULL;
}

/* GET and POST are said in libcurl's own way, so that it does with them what RFC 9110 says about redirects.
 */
void http_request_set(const struct curl_library *curl, CURL *easy, const struct http_request *request,
                      struct curl_slist *fields)
{
        const struct job_request *r = request->request;
        bool post = strcmp(r->method, "POST") == 0, get = strcmp(r->method, "GET") == 0;

        curl->easy_setopt(easy, CURLOPT_URL, r->target);
        curl->easy_setopt(easy, CURLOPT_HTTPHEADER, fields);
        if (r->body.len > 0 || post || strcmp(r->method, "PUT") == 0) {
                curl->easy_setopt(easy, CURLOPT_POST, 1L);
                curl->easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.len);
        }
        if (strcmp(r->method, "HEAD") == 0)
                curl->easy_setopt(easy, CURLOPT_NOBODY, 1L);
        else if (!post && !(get && r->body.len == 0))
                curl->easy_setopt(easy, CURLOPT_CUSTOMREQUEST, r->method);
}
