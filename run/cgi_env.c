/* CGI variables: see cgi_env.h. One row a variable where that is possible; header fields become HTTP_*, each
 * name once. */
#include "run/cgi_env.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "net/http1.h"

struct env {
        struct fcgi_params *params;
        struct cause *cause;
        int r;
};

static void put(struct env *env, const char *name, struct slice value)
{
        if (env->r != 0)
                return;
        env->r = fcgi_params_add(env->params, slice_of(name), value);
        if (env->r == FCGI_PAIR_TOO_LONG)
                cause_set(env->cause, 0, "%.100s has %zu bytes, a script's variable can have about %d", name,
                          value.len, FCGI_RECORD_MAX);
        else if (env->r == BUF_FULL)
                cause_set(env->cause, 0, "the script's variables have more than %d bytes together",
                          FCGI_PARAMS_MAX);
}

static void put_str(struct env *env, const char *name, const char *value)
{
        put(env, name, slice_of(value));
}

/* "host:port", "[v6]:port", "unix:" into host (without brackets) and port. */
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

/* The host of an authority without its port; an IPv6 address keeps its brackets, as SERVER_NAME wants (RFC
 * 3875, 4.1.14). */
static struct slice host_of(const char *authority)
{
        const char *end = strrchr(authority, ':');
        const char *bracket = strrchr(authority, ']');

        if (!end || (bracket && end < bracket))
                return slice_of(authority);
        return (struct slice){ authority, (size_t)(end - authority) };
}

static void put_addresses(struct env *env, const struct job_request *request)
{
        struct slice host, port, name = host_of(request->host);

        split_address(request->remote, &host, &port);
        put(env, "REMOTE_ADDR", host.len ? host : SLICE("127.0.0.1"));
        put(env, "REMOTE_PORT", port.len ? port : SLICE("0"));
        split_address(request->local, &host, &port);
        put(env, "SERVER_ADDR", host.len ? host : SLICE("127.0.0.1"));
        put(env, "SERVER_PORT", port.len ? port : SLICE("80"));
        put(env, "SERVER_NAME", name.len ? name : host.len ? host : SLICE("localhost"));
}

static void put_target(struct env *env, const struct job_request *request, const struct cgi_script *script)
{
        const char *mark = strchr(request->target, '?');
        char *translated;

        put_str(env, "REQUEST_URI", request->target);
        put_str(env, "QUERY_STRING", mark ? mark + 1 : "");
        put_str(env, "DOCUMENT_ROOT", script->document_root);
        put_str(env, "SCRIPT_FILENAME", script->script_filename);
        put_str(env, "SCRIPT_NAME", script->script_name);
        if (!script->path_info[0])
                return;
        translated = mem_printf("%s%s", script->document_root, script->path_info);
        put_str(env, "PATH_INFO", script->path_info);
        put_str(env, "PATH_TRANSLATED", translated);
        free(translated);
}

static void put_length(struct env *env, const struct job_request *request)
{
        char text[24];

        /* A request without a body has no CONTENT_LENGTH, as under Apache; a POST of nothing has "0". */
        if (request->body.len == 0 &&
            (strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0))
                return;
        snprintf(text, sizeof(text), "%llu", (unsigned long long)request->body.len);
        put_str(env, "CONTENT_LENGTH", text);
}

/* HTTP_X_FORWARDED_FOR of "X-Forwarded-For"; false for names that make no variable of their own. */
static bool variable_name(struct slice name, char *out, size_t size)
{
        if (name.len + 6 > size || slice_eq_nocase(name, SLICE("proxy")))
                return false;
        memcpy(out, "HTTP_", 5);
        for (size_t i = 0; i < name.len; i++) {
                char c = name.ptr[i];

                if (c == '_')
                        return false;
                out[5 + i] = c == '-' ? '_' : c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
        }
        out[5 + name.len] = '\0';
        return true;
}

/* All fields of one name as one value. Returns memory to free when they had to be joined. */
static char *joined(struct slice fields, struct slice name, struct slice *value)
{
        const char *glue = slice_eq_nocase(name, SLICE("cookie")) ? "; " : ", ";
        struct http1_header h;
        struct buf all;
        bool first = true;
        int r = 0;

        buf_init(&all, JOB_HEADERS_MAX);
        while (http1_block_next(&fields, &h) && r == 0) {
                if (!slice_eq_nocase(h.name, name))
                        continue;
                r = first ? 0 : buf_append_str(&all, glue);
                if (r == 0)
                        r = buf_append_slice(&all, h.value);
                first = false;
        }
        value->len = buf_len(&all);
        value->ptr = buf_take(&all);
        return (char *)(uintptr_t)value->ptr;
}

static bool came_before(struct slice fields, struct slice until, struct slice name)
{
        struct http1_header h;

        while (http1_block_next(&fields, &h) && h.name.ptr < until.ptr)
                if (slice_eq_nocase(h.name, name))
                        return true;
        return false;
}

static bool comes_again(struct slice rest, struct slice name)
{
        struct http1_header h;

        while (http1_block_next(&rest, &h))
                if (slice_eq_nocase(h.name, name))
                        return true;
        return false;
}

static void put_header(struct env *env, struct slice name, struct slice value)
{
        char variable[256];

        if (slice_eq_nocase(name, SLICE("content-type")))
                put(env, "CONTENT_TYPE", value);
        if (variable_name(name, variable, sizeof(variable)))
                put(env, variable, value);
}

static void put_headers(struct env *env, const struct job_request *request)
{
        struct slice all = slice_of(request->headers), rest = all;
        struct http1_header h;

        if (request->host[0])
                put_str(env, "HTTP_HOST", request->host);
        while (http1_block_next(&rest, &h)) {
                struct slice value = h.value;
                char *memory = NULL;

                if (comes_again(rest, h.name)) {
                        if (came_before(all, h.name, h.name))
                                continue;
                        memory = joined(all, h.name, &value);
                } else if (came_before(all, h.name, h.name)) {
                        continue;
                }
                put_header(env, h.name, value);
                free(memory);
        }
}

int cgi_env_build(struct fcgi_params *params, const struct job_request *request,
                  const struct cgi_script *script, const struct cgi_context *context, struct cause *cause)
{
        struct env env = { params, cause, 0 };
        char run[16];

        put_str(&env, "GATEWAY_INTERFACE", "CGI/1.1");
        put_str(&env, "SERVER_SOFTWARE", "sendoff/" SENDOFF_VERSION);
        put_str(&env, "SERVER_PROTOCOL", context->minor ? "HTTP/1.1" : "HTTP/1.0");
        put_str(&env, "REQUEST_METHOD", request->method);
        put_str(&env, "REQUEST_SCHEME", context->https ? "https" : "http");
        if (context->https)
                put_str(&env, "HTTPS", "on");
        put_str(&env, "REDIRECT_STATUS", "200");
        put_target(&env, request, script);
        put_addresses(&env, request);
        put_length(&env, request);
        if (context->job) {
                snprintf(run, sizeof(run), "%u", context->run);
                put_str(&env, "SENDOFF_JOB", context->job);
                put_str(&env, "SENDOFF_RUN", run);
        }
        put_headers(&env, request);
        return env.r != 0 ? env.r : fcgi_params_end(params);
}
