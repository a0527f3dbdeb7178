/* A static file's reply: see file_reply.h. The method is looked at first, then the conditions, then the
 * range; the first that decides ends it. Malformed conditions count as RFC 9110 says: a bad date or range is
 * as if it were absent, a bad list of entity tags matches nothing. */
#include "server/file_reply.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "net/range.h"
#include "server/mime.h"

#define FILE_HEADERS_MAX 1024 /* all lines together: they hold nothing from outside */
#define ETAG_SIZE        64

/* The request and the file, as the conditions see them. */
struct conditions {
        const struct http1_header *headers;
        size_t count;
        char etag[ETAG_SIZE];
        int64_t modified_ms; /* whole seconds, as Last-Modified tells it */
};

/* The field when there is exactly one of it. */
static const struct http1_header *find_only(const struct conditions *c, struct slice name)
{
        const struct http1_header *found = NULL;

        for (size_t i = 0; i < c->count; i++) {
                if (!slice_eq_nocase(c->headers[i].name, name))
                        continue;
                if (found)
                        return NULL;
                found = &c->headers[i];
        }
        return found;
}

/* Cuts the next entity tag, with its W/, off a list. False at the end or where it is malformed. */
static bool etag_next(struct slice *list, struct slice *tag)
{
        size_t open, end;

        while (list->len > 0 && strchr(", \t", list->ptr[0]))
                *list = slice_from(*list, 1);
        open = slice_starts(*list, SLICE("W/")) ? 2 : 0;
        if (open >= list->len || list->ptr[open] != '"')
                return false;
        for (end = open + 1; end < list->len && list->ptr[end] != '"'; end++)
                ;
        if (end == list->len)
                return false;
        *tag = (struct slice){ list->ptr, end + 1 };
        *list = slice_from(*list, end + 1);
        return list->len == 0 || strchr(", \t", list->ptr[0]);
}

/* Whether a list field, all its lines together, names the file. Strong comparison never matches W/ tags
 * (8.8.3.2). */
static bool etags_match(const struct conditions *c, struct slice field, bool strong)
{
        for (size_t i = 0; i < c->count; i++) {
                struct slice list = c->headers[i].value, tag;

                if (!slice_eq_nocase(c->headers[i].name, field))
                        continue;
                if (slice_eq(list, SLICE("*")))
                        return true;
                while (etag_next(&list, &tag)) {
                        if (!strong && slice_starts(tag, SLICE("W/")))
                                tag = slice_from(tag, 2);
                        if (slice_eq(tag, slice_of(c->etag)))
                                return true;
                }
        }
        return false;
}

static bool has_field(const struct conditions *c, struct slice name)
{
        return http1_find(c->headers, c->count, name) != NULL;
}

/* Whether the file is newer than the date of the field; `absent` when there is no usable date. */
static bool modified_since(const struct conditions *c, struct slice field, bool absent)
{
        const struct http1_header *h = find_only(c, field);
        int64_t date_ms;

        if (!h || !clock_http_parse(h->value, &date_ms))
                return absent;
        return c->modified_ms > date_ms;
}

/* RFC 9110, 13.2.2, steps 1 to 4: the status that ends it, or 200. */
static int check_conditions(const struct conditions *c)
{
        if (has_field(c, SLICE("if-match"))) {
                if (!etags_match(c, SLICE("if-match"), true))
                        return 412;
        } else if (modified_since(c, SLICE("if-unmodified-since"), false)) {
                return 412;
        }
        if (has_field(c, SLICE("if-none-match")))
                return etags_match(c, SLICE("if-none-match"), false) ? 304 : 200;
        return modified_since(c, SLICE("if-modified-since"), true) ? 200 : 304;
}

/* Step 5: a range counts only for the very file its sender has the other parts of. */
static bool if_range_holds(const struct conditions *c)
{
        const struct http1_header *h = find_only(c, SLICE("if-range"));
        int64_t date_ms;

        if (!h)
                return !has_field(c, SLICE("if-range"));
        if (clock_http_parse(h->value, &date_ms))
                return date_ms == c->modified_ms;
        return slice_eq(h->value, slice_of(c->etag));
}

static void choose_range(struct file_reply *out, const struct conditions *c, uint64_t size)
{
        const struct http1_header *h = find_only(c, SLICE("range"));
        uint64_t first, last;

        if (!h || !if_range_holds(c))
                return;
        switch (range_parse(h->value, size, &first, &last)) {
        case RANGE_NONE:
                break;
        case RANGE_ONE:
                out->status = 206;
                out->first = first;
                out->length = last - first + 1;
                break;
        case RANGE_UNSATISFIABLE:
                out->status = 416;
                out->length = 0;
                break;
        }
}

/* The lines are made of numbers and constants, so they fit; should one not, it is left out whole. */
static void write_headers(struct file_reply *out, const struct conditions *c, uint64_t size, const char *name)
{
        char date[CLOCK_HTTP_SIZE];
        int r = 0;

        if (out->has_body)
                r |= buf_printf(&out->headers, "Content-Type: %s\r\n", mime_type(name));
        if (out->has_body || out->status == 304)
                r |= buf_printf(&out->headers, "Last-Modified: %s\r\nETag: %s\r\n",
                                clock_http(c->modified_ms, date), c->etag);
        if (out->has_body || out->status == 416)
                r |= buf_append_str(&out->headers, "Accept-Ranges: bytes\r\n");
        if (out->status == 206)
                r |= buf_printf(&out->headers, "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n",
                                out->first, out->first + out->length - 1, size);
        if (out->status == 416)
                r |= buf_printf(&out->headers, "Content-Range: bytes */%" PRIu64 "\r\n", size);
        (void)r;
}

void file_reply_decide(struct file_reply *out, struct slice method, const struct http1_header *headers,
                       size_t count, const struct stat *st, const char *name)
{
        struct conditions c = { .headers = headers,
                                .count = count,
                                .modified_ms = (int64_t)st->st_mtim.tv_sec * 1000 };
        uint64_t size = (uint64_t)st->st_size;
        bool get = slice_eq(method, SLICE("GET"));

        *out = (struct file_reply){ .status = 200 };
        buf_init(&out->headers, FILE_HEADERS_MAX);
        if (!get && !slice_eq(method, SLICE("HEAD"))) {
                out->status = slice_eq(method, SLICE("OPTIONS")) ? 204 : 405;
                if (buf_append_str(&out->headers, "Allow: GET, HEAD, OPTIONS\r\n") != 0)
                        buf_clear(&out->headers);
                return;
        }
        snprintf(c.etag, sizeof(c.etag), "\"%" PRIx64 "-%" PRIx64 "-%" PRIx64 "\"",
                 (uint64_t)st->st_mtim.tv_sec * 1000000000 + (uint64_t)st->st_mtim.tv_nsec, size,
                 (uint64_t)st->st_ino);
        out->status = check_conditions(&c);
        if (out->status == 200) {
                out->length = size;
                if (get)
                        choose_range(out, &c, size);
        }
        out->has_body = out->status == 200 || out->status == 206;
        write_headers(out, &c, size, name);
}

void file_reply_fini(struct file_reply *reply)
{
        buf_fini(&reply->headers);
}
