/* See http_request.h. */
#include "run/http_request.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "net/cgi.h"
#include "net/http1.h"

#define SMALL_BODY  (64 << 10) /* leaves with the head in one write; libcurl's own bound for that */
#define ADDED_NODES 8
#define ADDED_BYTES 512 /* their text, but for what the caller gives */

/* ---- fields ---- */

struct writer {
        struct http_fields *fields;
        struct curl_slist *next; /* node to be used */
        struct curl_slist **end; /* where it is to be linked */
        char *text;              /* where its text goes */
        char *text_end;
};

__attribute__((format(printf, 2, 3))) static void add(struct writer *w, const char *format, ...)
{
        va_list args;
        int len;

        va_start(args, format);
        len = vsnprintf(w->text, (size_t)(w->text_end - w->text), format, args);
        va_end(args);
        w->next->data = w->text;
        w->next->next = NULL;
        *w->end = w->next;
        w->end = &w->next->next;
        w->next++;
        w->text += len + 1;
}

static struct writer writer_for(struct http_fields *fields, size_t nodes, size_t bytes)
{
        struct curl_slist *first = mem_alloc(nodes * sizeof(*first) + bytes);
        char *text = (char *)(first + nodes);

        *fields = (struct http_fields){ .memory = first };
        return (struct writer){ fields, first, &fields->list, text, text + bytes };
}

/* Whether a stored field goes to the target; Connection may name further ones that do not. */
static bool is_sent(const struct job_request *request, struct slice name)
{
        static const struct slice connection = { "connection", 10 };
        struct slice rest = slice_of(request->headers);
        struct http1_header h;

        if (cgi_is_hop_by_hop(name) || slice_eq_nocase(name, SLICE("content-length")) ||
            slice_eq_nocase(name, SLICE("expect")) || slice_eq_nocase(name, SLICE("sendoff-run")))
                return false;
        while (http1_block_next(&rest, &h))
                if (slice_eq_nocase(h.name, connection) && http1_has_token(&h, 1, connection, name))
                        return false;
        return true;
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

static void add_stored(struct writer *w, const struct job_request *request)
{
        struct slice rest = slice_of(request->headers);
        struct http1_header h;

        while (http1_block_next(&rest, &h)) {
                if (!is_sent(request, h.name))
                        continue;
                if (h.value.len)
                        add(w, "%.*s: %.*s", SLICE_ARG(h.name), SLICE_ARG(h.value));
                else
                        add(w, "%.*s;", SLICE_ARG(h.name)); /* CURLOPT_HTTPHEADER's way of an empty value */
        }
}

void http_fields_init(struct http_fields *fields, const struct http_request *request)
{
        const struct job_request *stored = request->request;
        struct slice rest = slice_of(stored->headers);
        struct http1_header h;
        size_t count = 0;
        struct writer w;

        while (http1_block_next(&rest, &h))
                count++;
        w = writer_for(fields, count + ADDED_NODES,
                       strlen(stored->headers) + 4 * count + strlen(stored->host) + strlen(request->job_id) +
                               ADDED_BYTES);
        if (stored->host[0] && !has(stored, SLICE("host")))
                add(&w, "Host: %s", stored->host);
        add_stored(&w, stored);
        if (!has(stored, SLICE("user-agent")))
                add(&w, "User-Agent: sendoff/%s", SENDOFF_VERSION);
        if (!has(stored, SLICE("idempotency-key")))
                add(&w, "Idempotency-Key: %s", request->job_id);
        add(&w, "Sendoff-Run: %u", request->run);
        add(&w, "Expect:");
        if (!has(stored, SLICE("accept")))
                add(&w, "Accept:");
        if (!has(stored, SLICE("content-type")))
                add(&w, "Content-Type:");
}

void http_fields_fini(struct http_fields *fields)
{
        free(fields->memory);
        *fields = (struct http_fields){ 0 };
}

static void leave_out(struct http_fields *fields, bool (*is_meant)(struct slice name))
{
        struct curl_slist **at = &fields->list;

        while (*at) {
                size_t len = strcspn((*at)->data, ":;");

                if ((*at)->data[len + 1] && is_meant((struct slice){ (*at)->data, len }))
                        *at = (*at)->next;
                else
                        at = &(*at)->next;
        }
}

static bool is_for_origin(struct slice name)
{
        return slice_eq_nocase(name, SLICE("authorization")) || slice_eq_nocase(name, SLICE("cookie")) ||
               slice_eq_nocase(name, SLICE("host"));
}

static bool is_of_body(struct slice name)
{
        return name.len > 8 && slice_eq_nocase((struct slice){ name.ptr, 8 }, SLICE("content-"));
}

void http_fields_leave_origin(struct http_fields *fields)
{
        leave_out(fields, is_for_origin);
}

void http_fields_leave_body(struct http_fields *fields)
{
        leave_out(fields, is_of_body);
}

/* ---- method and body ---- */

bool http_is_redirect(int status)
{
        return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

const char *http_redirect_method(int status, const char *method)
{
        if (status == 303)
                return strcmp(method, "HEAD") == 0 ? method : "GET";
        if ((status == 301 || status == 302) && strcmp(method, "POST") == 0)
                return "GET";
        return method;
}

/* Methods that say their body's length even when there is none (RFC 9110, 8.6). */
static bool always_has_length(const char *method)
{
        return strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0;
}

static void set_body(const struct curl_library *curl, CURL *easy, const struct spool *body)
{
        bool small = !body || body->len == 0 || (body->fd < 0 && body->len <= SMALL_BODY);
        const char *bytes = body && body->len ? buf_slice(&body->mem).ptr : "";

        curl->easy_setopt(easy, CURLOPT_POST, 1L);
        curl->easy_setopt(easy, CURLOPT_POSTFIELDS, small ? bytes : NULL);
        curl->easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(body ? body->len : 0));
}

void http_request_set(const struct curl_library *curl, CURL *easy, const char *method,
                      const struct spool *body, const struct http_fields *fields)
{
        bool head = strcmp(method, "HEAD") == 0;

        curl->easy_setopt(easy, CURLOPT_HTTPGET, 1L); /* whatever it was before a redirect */
        curl->easy_setopt(easy, CURLOPT_HTTPHEADER, fields->list);
        curl->easy_setopt(easy, CURLOPT_CUSTOMREQUEST, head ? NULL : method);
        if (head) /* libcurl sends no body with it */
                curl->easy_setopt(easy, CURLOPT_NOBODY, 1L);
        else if ((body && body->len > 0) || always_has_length(method))
                set_body(curl, easy, body);
}
