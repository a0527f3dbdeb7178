/* CGI variables: see cgi_env.h. The good path: the fixed variables one by one, then the header fields, sorted
 * by name so that those of one name stand together and become one HTTP_* variable. The first pair that cannot
 * be added ends it, with a cause; nothing is kept but what went into params. */
#include "run/cgi_env.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "net/http1.h"

struct env {
        const struct cgi_sink *sink;
        struct cause *cause;
        int r;
};

struct field {
        struct slice name, value;
        size_t order;
};

static void explain(const struct env *env, struct slice name, size_t len)
{
        if (env->r == FCGI_PAIR_TOO_LONG)
                cause_set(
                        env->cause, 0,
                        "the variable %.*s has %zu bytes; a script's variable and its name can have about %d",
                        name.len < 100 ? (int)name.len : 100, name.ptr, len, FCGI_RECORD_MAX);
        else if (env->r == BUF_FULL)
                cause_set(env->cause, 0, "the script's variables have more than %d bytes together",
                          FCGI_PARAMS_MAX);
        else if (env->r < 0)
                cause_set(env->cause, 0, "out of memory for the script's variables");
}

static void put(struct env *env, struct slice name, struct slice value)
{
        if (env->r != 0)
                return;
        env->r = env->sink->add(env->sink->arg, name, value);
        explain(env, name, value.len);
}

static void put_str(struct env *env, const char *name, const char *value)
{
        put(env, slice_of(name), slice_of(value));
}

static void put_slice(struct env *env, const char *name, struct slice value)
{
        put(env, slice_of(name), value);
}

/* ---- addresses ---- */

/* "host:port", "[v6]:port", "unix:" into host (without brackets) and port; both empty for "unix:". */
static void split_address(const char *address, struct slice *host, struct slice *port)
{
        const char *colon = strrchr(address, ':');

        *host = *port = SLICE("");
        if (!colon || strncmp(address, "unix:", 5) == 0)
                return;
        *host = (struct slice){ address, (size_t)(colon - address) };
        *port = slice_of(colon + 1);
        if (host->len >= 2 && host->ptr[0] == '[')
                *host = (struct slice){ host->ptr + 1, host->len - 2 };
}

/* The host of an authority without its port; an IPv6 address keeps its brackets (RFC 3875, 4.1.14). */
static struct slice host_of(const char *authority)
{
        const char *end = strrchr(authority, ':');
        const char *bracket = strrchr(authority, ']');

        if (!end || (bracket && end < bracket))
                return slice_of(authority);
        return (struct slice){ authority, (size_t)(end - authority) };
}

/* A unix socket has no addresses; scripts that parse them get the loopback one. */
static void put_addresses(struct env *env, const struct job_request *request, bool https)
{
        struct slice host, port, name = host_of(request->host);

        split_address(request->remote, &host, &port);
        put_slice(env, "REMOTE_ADDR", host.len ? host : SLICE("127.0.0.1"));
        put_slice(env, "REMOTE_PORT", port.len ? port : SLICE("0"));
        split_address(request->local, &host, &port);
        put_slice(env, "SERVER_ADDR", host.len ? host : SLICE("127.0.0.1"));
        put_slice(env, "SERVER_PORT", port.len ? port : https ? SLICE("443") : SLICE("80"));
        put_slice(env, "SERVER_NAME", name.len ? name : host.len ? host : SLICE("localhost"));
}

/* ---- the request line and the body ---- */

static void put_target(struct env *env, const struct job_request *request, const struct cgi_script *script)
{
        const char *mark = strchr(request->target, '?');
        char *path;

        put_str(env, "REQUEST_URI", request->target);
        put_str(env, "QUERY_STRING", mark ? mark + 1 : "");
        put_str(env, "DOCUMENT_ROOT", script->document_root);
        put_str(env, "SCRIPT_FILENAME", script->script_filename);
        put_str(env, "SCRIPT_NAME", script->script_name);
        path = mem_printf("%s%s", script->script_name, script->path_info);
        put_str(env, "DOCUMENT_URI", path);
        free(path);
        if (!script->path_info[0])
                return;
        path = mem_printf("%s%s", script->document_root, script->path_info);
        put_str(env, "PATH_INFO", script->path_info);
        put_str(env, "PATH_TRANSLATED", path);
        free(path);
}

/* A GET or HEAD without a body has no CONTENT_LENGTH, as under Apache; a POST of nothing has "0". */
static void put_length(struct env *env, const struct job_request *request)
{
        char text[24];

        if (request->body.len == 0 &&
            (strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0))
                return;
        snprintf(text, sizeof(text), "%llu", (unsigned long long)request->body.len);
        put_str(env, "CONTENT_LENGTH", text);
}

/* ---- header fields ---- */

static char upper(char c)
{
        return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static bool is_plain(char c)
{
        return (upper(c) >= 'A' && upper(c) <= 'Z') || (c >= '0' && c <= '9') || c == '-';
}

/* Fields that become a variable of their own. Not: Proxy (HTTP_PROXY would steer the script's own requests),
 * those said elsewhere, and names with any other byte than letters, digits and '-': '_' would shadow the
 * dashed name, and so would '.', which PHP turns into '_'. */
static bool is_variable(const struct job_request *request, struct slice name)
{
        if (slice_eq_nocase(name, SLICE("proxy")) || slice_eq_nocase(name, SLICE("content-length")) ||
            (request->host[0] && slice_eq_nocase(name, SLICE("host"))))
                return false;
        for (size_t i = 0; i < name.len; i++)
                if (!is_plain(name.ptr[i]))
                        return false;
        return name.len > 0;
}

static void put_field(struct env *env, struct slice name, struct slice value)
{
        char small[128], *variable = small;

        if (slice_eq_nocase(name, SLICE("content-type"))) {
                put_slice(env, "CONTENT_TYPE", value);
                return;
        }
        if (name.len + 5 > sizeof(small))
                variable = mem_alloc(name.len + 5);
        memcpy(variable, "HTTP_", 5);
        for (size_t i = 0; i < name.len; i++)
                variable[5 + i] = name.ptr[i] == '-' ? '_' : upper(name.ptr[i]);
        put(env, (struct slice){ variable, name.len + 5 }, value);
        if (variable != small)
                free(variable);
}

/* Several fields of one name are one list (RFC 9110, 5.3); cookies have their own separator (RFC 6265, 5.4).
 */
static void put_joined(struct env *env, const struct field *fields, size_t count)
{
        struct slice glue = slice_eq_nocase(fields[0].name, SLICE("cookie")) ? SLICE("; ") : SLICE(", ");
        struct buf all;
        int r = 0;

        buf_init(&all, 2 * JOB_HEADERS_MAX);
        for (size_t i = 0; i < count && r == 0; i++) {
                if (i > 0)
                        r = buf_append_slice(&all, glue);
                if (r == 0)
                        r = buf_append_slice(&all, fields[i].value);
        }
        if (r == 0)
                put_field(env, fields[0].name, buf_slice(&all));
        else if (env->r == 0)
                env->r = cause_set(env->cause, r, "the %.*s fields are too large together",
                                   fields[0].name.len < 100 ? (int)fields[0].name.len : 100,
                                   fields[0].name.ptr);
        buf_fini(&all);
}

static int compare_fields(const void *left, const void *right)
{
        const struct field *a = left, *b = right;
        size_t len = a->name.len < b->name.len ? a->name.len : b->name.len;

        for (size_t i = 0; i < len; i++)
                if (upper(a->name.ptr[i]) != upper(b->name.ptr[i]))
                        return upper(a->name.ptr[i]) < upper(b->name.ptr[i]) ? -1 : 1;
        if (a->name.len != b->name.len)
                return a->name.len < b->name.len ? -1 : 1;
        return a->order < b->order ? -1 : 1;
}

static void put_headers(struct env *env, const struct job_request *request)
{
        struct slice block = slice_of(request->headers), rest = block;
        size_t lines = 0, count = 0, same;
        struct http1_header h;
        struct field *fields;

        while (http1_block_next(&rest, &h))
                lines++;
        fields = mem_alloc((lines + 1) * sizeof(*fields));
        for (rest = block; http1_block_next(&rest, &h);)
                if (is_variable(request, h.name)) {
                        fields[count] = (struct field){ h.name, h.value, count };
                        count++;
                }
        qsort(fields, count, sizeof(*fields), compare_fields);
        for (size_t i = 0; i < count; i += same) {
                for (same = 1; i + same < count; same++)
                        if (!slice_eq_nocase(fields[i].name, fields[i + same].name))
                                break;
                if (same == 1)
                        put_field(env, fields[i].name, fields[i].value);
                else
                        put_joined(env, fields + i, same);
        }
        free(fields);
}

static int add_param(void *arg, struct slice name, struct slice value)
{
        return fcgi_params_add(arg, name, value);
}

struct cgi_sink cgi_sink_params(struct fcgi_params *params)
{
        return (struct cgi_sink){ add_param, params };
}

int cgi_env_build(const struct cgi_sink *sink, const struct job_request *request,
                  const struct cgi_script *script, const struct cgi_context *context, struct cause *cause)
{
        struct env env = { sink, cause, 0 };
        char run[16];

        put_str(&env, "GATEWAY_INTERFACE", "CGI/1.1");
        put_str(&env, "SERVER_SOFTWARE", "sendoff/" SENDOFF_VERSION);
        put_str(&env, "SERVER_PROTOCOL", context->minor ? "HTTP/1.1" : "HTTP/1.0");
        put_str(&env, "REQUEST_METHOD", request->method);
        put_str(&env, "REQUEST_SCHEME", context->https ? "https" : "http");
        if (context->https)
                put_str(&env, "HTTPS", "on");
        put_str(&env, "REDIRECT_STATUS", "200"); /* php-cgi refuses to run without it */
        if (script)
                put_target(&env, request, script);
        put_addresses(&env, request, context->https);
        put_length(&env, request);
        if (context->job) {
                snprintf(run, sizeof(run), "%u", context->run);
                put_str(&env, "SENDOFF_JOB", context->job);
                put_str(&env, "SENDOFF_RUN", run);
        }
        if (request->host[0])
                put_str(&env, "HTTP_HOST", request->host);
        put_headers(&env, request);
        return env.r;
}
