/* A request out of curl's flags: see request.h. What a flag gives wins over what would be there by itself, as
 * with curl: a Content-Type, Cookie or Authorization of -H replaces the one made of -d, -b or -u. */
#include "cmd/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "job/target.h"
#include "net/http1.h"

#define HEADER_LINE_MAX (64 << 10)

int request_init(struct request *q, struct cause *cause)
{
        *q = (struct request){ .body.dir_fd = -1 };
        buf_init(&q->headers, JOB_HEADERS_MAX);
        buf_init(&q->removed, JOB_HEADERS_MAX);
        buf_init(&q->cookies, JOB_HEADERS_MAX);
        buf_init(&q->query, JOB_TARGET_MAX);
        return body_init(&q->body, cause);
}

void request_fini(struct request *q)
{
        body_fini(&q->body);
        buf_fini(&q->headers);
        buf_fini(&q->removed);
        buf_fini(&q->cookies);
        buf_fini(&q->query);
        free(q->method);
        free(q->user);
        q->method = q->user = NULL;
}

int request_method(struct request *q, const char *method, struct cause *cause)
{
        if (!http1_is_token(slice_of(method)) || strlen(method) > JOB_METHOD_MAX)
                return cause_set(cause, -EINVAL, "-X: '%s' is not a method of at most %d letters", method,
                                 JOB_METHOD_MAX);
        free(q->method);
        q->method = mem_dup(method);
        return 0;
}

/* ---- header fields ---- */

static bool block_has(const struct buf *block, const char *name)
{
        struct slice rest = buf_slice(block);
        struct http1_header h;

        while (http1_block_next(&rest, &h))
                if (slice_eq_nocase(h.name, slice_of(name)))
                        return true;
        return false;
}

static int add(struct buf *block, struct slice name, struct slice value, struct cause *cause)
{
        int r = http1_block_add(block, name, value);

        if (r == BUF_FULL)
                return cause_set(cause, -EMSGSIZE, "the header fields have more than %d bytes together",
                                 JOB_HEADERS_MAX);
        if (r != 0)
                return cause_set(cause, -EINVAL, "the header field '%.*s' is malformed", SLICE_ARG(name));
        return 0;
}

/* A field that is there by itself, unless -H gave or took it. */
static int add_own(struct request *q, const char *name, const char *value, struct cause *cause)
{
        if (block_has(&q->headers, name) || block_has(&q->removed, name))
                return 0;
        return add(&q->headers, slice_of(name), slice_of(value), cause);
}

static int check_name(const struct request *q, struct slice name, struct cause *cause)
{
        static const char *const framing[] = { "Content-Length", "Transfer-Encoding", "Connection" };

        for (size_t i = 0; i < 3; i++)
                if (slice_eq_nocase(name, slice_of(framing[i])))
                        return cause_set(cause, -EINVAL,
                                         "-H: %s is not for you to give, it follows from the body",
                                         framing[i]);
        if (name.len >= 8 && slice_eq_nocase((struct slice){ name.ptr, 8 }, SLICE("sendoff-")))
                return cause_set(
                        cause, -EINVAL,
                        "-H: Sendoff-* fields are options of the job: give them as flags (--retries 5)");
        if (slice_eq_nocase(name, SLICE("host")) && block_has(&q->headers, "host"))
                return cause_set(cause, -EINVAL, "-H: there is a Host already");
        return 0;
}

static int header_line(struct request *q, struct slice line, struct cause *cause)
{
        const char *colon = memchr(line.ptr, ':', line.len);
        struct slice name, value = { "", 0 };
        int r;

        if (colon) {
                name = (struct slice){ line.ptr, (size_t)(colon - line.ptr) };
                value = slice_trim(slice_from(line, name.len + 1));
        } else if (line.len > 1 && line.ptr[line.len - 1] == ';') {
                name = (struct slice){ line.ptr, line.len - 1 };
        } else {
                return cause_set(cause, -EINVAL, "-H takes 'Name: value', not '%.*s'", SLICE_ARG(line));
        }
        r = check_name(q, name, cause);
        if (r != 0)
                return r;
        return add(colon && value.len == 0 ? &q->removed : &q->headers, name, value, cause);
}

static int header_file(struct request *q, const char *path, struct cause *cause)
{
        FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
        char *line = NULL;
        size_t size = 0;
        ssize_t n;
        int r = 0;

        if (!f)
                return cause_set(cause, -errno, "cannot read %s: %s", path, strerror(errno));
        while (r == 0 && (n = getline(&line, &size, f)) >= 0) {
                while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
                        n--;
                if (n > HEADER_LINE_MAX)
                        r = cause_set(cause, -EMSGSIZE, "%s: a line is longer than %d bytes", path,
                                      HEADER_LINE_MAX);
                else if (n > 0)
                        r = header_line(q, (struct slice){ line, (size_t)n }, cause);
        }
        if (r == 0 && ferror(f))
                r = cause_set(cause, -EIO, "cannot read %s to its end", path);
        free(line);
        if (f != stdin)
                fclose(f);
        return r;
}

int request_header(struct request *q, const char *text, struct cause *cause)
{
        return text[0] == '@' ? header_file(q, text + 1, cause) : header_line(q, slice_of(text), cause);
}

int request_cookie(struct request *q, const char *text, struct cause *cause)
{
        int r;

        if (!strchr(text, '='))
                return cause_set(cause, -EINVAL, "-b takes NAME=VALUE, not '%s'; cookie files are not read",
                                 text);
        r = buf_len(&q->cookies) ? buf_append_str(&q->cookies, "; ") : 0;
        r = r ? r : buf_append_str(&q->cookies, text);
        return r == 0 ? 0
                      : cause_set(cause, -EMSGSIZE, "the cookies have more than %d bytes together",
                                  JOB_HEADERS_MAX);
}

int request_user(struct request *q, const char *text, struct cause *cause)
{
        if (!strchr(text, ':'))
                return cause_set(cause, -EINVAL, "-u takes USER:PASSWORD; no password is asked for");
        free(q->user);
        q->user = mem_dup(text);
        return 0;
}

static char *base64(const char *text)
{
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        size_t len = strlen(text), at = 0;
        char *out = mem_alloc((len + 2) / 3 * 4 + 1);

        for (size_t i = 0; i < len; i += 3) {
                unsigned n = (unsigned)(unsigned char)text[i] << 16;

                n |= i + 1 < len ? (unsigned)(unsigned char)text[i + 1] << 8 : 0;
                n |= i + 2 < len ? (unsigned char)text[i + 2] : 0;
                out[at++] = digits[n >> 18 & 63];
                out[at++] = digits[n >> 12 & 63];
                out[at++] = i + 1 < len ? digits[n >> 6 & 63] : '=';
                out[at++] = i + 2 < len ? digits[n & 63] : '=';
        }
        return out;
}

static int add_user(struct request *q, struct cause *cause)
{
        char *coded, *value;
        int r;

        if (!q->user)
                return 0;
        coded = base64(q->user);
        value = mem_printf("Basic %s", coded);
        r = add_own(q, "Authorization", value, cause);
        free(coded);
        free(value);
        return r;
}

static int add_cookies(struct request *q, struct cause *cause)
{
        char *value;
        int r;

        if (buf_len(&q->cookies) == 0)
                return 0;
        value = buf_take(&q->cookies);
        r = add_own(q, "Cookie", value, cause);
        free(value);
        return r;
}

static int add_type(struct request *q, struct cause *cause)
{
        char *type;
        int r;

        if (!q->body.any)
                return 0;
        type = q->body.form ? mem_printf("multipart/form-data; boundary=%s", q->body.boundary)
                            : mem_dup("application/x-www-form-urlencoded");
        r = add_own(q, "Content-Type", type, cause);
        free(type);
        return r;
}

/* ---- data ---- */

int request_data(struct request *q, enum body_kind kind, const char *value, struct cause *cause)
{
        return body_add(&q->body, kind, value, cause);
}

/* Bytes that may stand in a request line. */
static const char *bad_byte(struct slice text)
{
        for (size_t i = 0; i < text.len; i++)
                if ((unsigned char)text.ptr[i] <= 0x20 || (unsigned char)text.ptr[i] >= 0x7f ||
                    text.ptr[i] == '#')
                        return &text.ptr[i];
        return NULL;
}

static int data_to_query(struct request *q, struct cause *cause)
{
        size_t len = (size_t)q->body.spool.len;
        char *at;

        if (q->body.form)
                return cause_set(cause, -EINVAL, "-G does not go together with -F");
        at = q->body.spool.len <= JOB_TARGET_MAX ? buf_reserve(&q->query, len + 1) : NULL;
        if (!at)
                return cause_set(cause, -EMSGSIZE, "-G: the data has %llu bytes, a query has at most %d",
                                 (unsigned long long)q->body.spool.len, JOB_TARGET_MAX);
        if (spool_read(&q->body.spool, 0, at, len) != (ssize_t)len)
                return cause_set(cause, -EIO, "-G: the data cannot be read back");
        buf_wrote(&q->query, len);
        if (bad_byte(buf_slice(&q->query)))
                return cause_set(
                        cause, -EINVAL,
                        "-G: blanks, '#', control bytes and bytes above 0x7e cannot stand in a query; "
                        "--data-urlencode encodes them");
        q->body.any = false;
        return 0;
}

int request_finish(struct request *q, struct cause *cause)
{
        int r = body_end(&q->body, cause);

        if (r == 0 && q->as_get)
                r = data_to_query(q, cause);
        if (!q->method)
                q->method = mem_dup(q->body.any ? "POST" : "GET");
        r = r ? r : add_user(q, cause);
        r = r ? r : add_cookies(q, cause);
        return r ? r : add_type(q, cause);
}

int request_check_target(const char *target, struct cause *cause)
{
        struct cause why = { "" };

        if (job_target_runner(target) == JOB_EXEC)
                return cause_set(cause, -EINVAL,
                                 "'%s': a program stands behind --: sendoff send -- PROGRAM ARGUMENT...",
                                 target);
        if (job_target_check(target, &why) != 0)
                return cause_set(cause, -EINVAL, "'%.200s': %s", target, why.text);
        return 0;
}

/* A URL wants its own slash, and so does a path that would be taken for a URL or for a program
 * (server/control.c). */
static bool looks_otherwise(const char *target)
{
        return target[0] != '/' || target[1] == '/' || strncmp(target, "/http:", 6) == 0 ||
               strncmp(target, "/https:", 7) == 0 ||
               (strncmp(target, "/exec", 5) == 0 && strchr("?", target[5]));
}

char *request_path(const struct request *q, const char *target)
{
        const char *mark = strchr(target, '?');
        const char *joint = buf_len(&q->query) == 0 || (mark && !mark[1]) ? "" : mark ? "&" : "?";

        return mem_printf("/v1/send%s%s%s%.*s", looks_otherwise(target) ? "/" : "", target, joint,
                          SLICE_ARG(buf_slice(&q->query)));
}
