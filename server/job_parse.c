/* See job_parse.h. One row a field; jansson parses, bounds the depth and refuses repeated keys. */
#include "server/job_parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/mem.h"
#include "net/http1.h"
#include "net/url.h"

struct parse {
        struct job *draft;
        struct cause *cause;
        struct buf headers;
        const char *body_field; /* the one of body, body_base64, form, json that was given */
        const char *type;       /* the Content-Type that goes with it */
        bool has_type;          /* headers name one */
        bool has_method;
};

static int bad(struct parse *p, const char *field, const char *what)
{
        return cause_set(p->cause, 400, "%s: %s", field, what);
}

static void take(char **at, const char *value)
{
        free(*at);
        *at = mem_dup(value);
}

static int parse_target(struct parse *p, const json_t *value)
{
        const char *target = json_string_value(value);

        if (!target)
                return bad(p, "target", "a string is wanted");
        if (strncmp(target, "http://", 7) == 0 || strncmp(target, "https://", 8) == 0 ||
            strncmp(target, "exec:", 5) == 0)
                return cause_set(p->cause, 422,
                                 "target: this version runs scripts of the site only (\"/report.php\")");
        if (target[0] != '/')
                return bad(p, "target", "a path of the site is wanted; it starts with '/'");
        for (const char *c = target; *c; c++)
                if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f || *c == '#')
                        return bad(p, "target",
                                   "blanks, control bytes, '#' and bytes above 0x7e must be percent-encoded");
        take(&p->draft->request.target, target);
        return 0;
}

static int parse_method(struct parse *p, const json_t *value)
{
        const char *method = json_string_value(value);

        if (!method || !http1_is_token(slice_of(method)) || strlen(method) > JOB_METHOD_MAX)
                return bad(p, "method", "a method name such as \"POST\" is wanted, at most 32 characters");
        take(&p->draft->request.method, method);
        p->has_method = true;
        return 0;
}

static int parse_header(struct parse *p, const char *name, const json_t *value)
{
        const char *text = json_string_value(value);
        int r;

        if (!text || strlen(text) != json_string_length(value))
                return bad(p, "headers", "values are strings without NUL, or lists of them");
        if (strcasecmp(name, "host") == 0) {
                if (!http1_is_field_value(slice_of(text)))
                        return bad(p, "headers", "Host is malformed");
                take(&p->draft->request.host, text);
                return 0;
        }
        if (strcasecmp(name, "content-length") == 0 || strcasecmp(name, "transfer-encoding") == 0 ||
            strcasecmp(name, "connection") == 0)
                return cause_set(p->cause, 400, "headers: %s is not the sender's to set", name);
        if (strcasecmp(name, "content-type") == 0)
                p->has_type = true;
        r = http1_block_add(&p->headers, slice_of(name), slice_of(text));
        if (r == BUF_FULL)
                return cause_set(p->cause, 422, "headers: more than %d bytes together", JOB_HEADERS_MAX);
        if (r < 0)
                return bad(p, "headers", "a name is no token, or a value holds control bytes");
        return 0;
}

static int parse_headers(struct parse *p, json_t *value)
{
        const char *name;
        json_t *item;

        if (!json_is_object(value))
                return bad(p, "headers", "an object is wanted: {\"Name\": \"value\"}");
        json_object_foreach(value, name, item)
        {
                int r = 0;

                if (!json_is_array(item))
                        r = parse_header(p, name, item);
                for (size_t i = 0; json_is_array(item) && i < json_array_size(item) && r == 0; i++)
                        r = parse_header(p, name, json_array_get(item, i));
                if (r)
                        return r;
        }
        return 0;
}

static int body_write(struct parse *p, const void *bytes, size_t len)
{
        int r = spool_write(&p->draft->request.body, bytes, len);

        if (r == SPOOL_FULL)
                return cause_set(p->cause, 413, "%s: the body is longer than %llu bytes (option body_max)",
                                 p->body_field, (unsigned long long)p->draft->request.body.max);
        if (r < 0)
                return cause_set(p->cause, r == -ENOSPC || r == -EDQUOT ? 507 : 500,
                                 "the body could not be kept: %s", strerror(-r));
        return 0;
}

static int parse_text(struct parse *p, const json_t *value)
{
        if (!json_is_string(value))
                return bad(p, "body", "a string is wanted");
        return body_write(p, json_string_value(value), json_string_length(value));
}

static int base64_value(char c)
{
        if (c >= 'A' && c <= 'Z')
                return c - 'A';
        if (c >= 'a' && c <= 'z')
                return c - 'a' + 26;
        if (c >= '0' && c <= '9')
                return c - '0' + 52;
        return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static int parse_base64(struct parse *p, const json_t *value)
{
        const char *text = json_string_value(value);
        size_t len = json_string_length(value), pad = 0;

        if (!text || len % 4 != 0)
                return bad(p, "body_base64", "standard base 64 with its padding is wanted (RFC 4648, 4)");
        while (pad < 2 && pad < len && text[len - 1 - pad] == '=')
                pad++;
        for (size_t i = 0; i < len; i += 4) {
                size_t n = i + 4 == len ? 3 - pad : 3;
                unsigned acc = 0;
                unsigned char out[3];
                int r;

                for (size_t k = 0; k < 4; k++) {
                        int v = i + k >= len - pad ? 0 : base64_value(text[i + k]);

                        if (v < 0)
                                return bad(p, "body_base64", "there is a character that is not base 64");
                        acc = acc << 6 | (unsigned)v;
                }
                out[0] = (unsigned char)(acc >> 16);
                out[1] = (unsigned char)(acc >> 8);
                out[2] = (unsigned char)acc;
                r = body_write(p, out, n);
                if (r)
                        return r;
        }
        return 0;
}

static int form_add(struct parse *p, struct buf *form, const char *name, const json_t *value)
{
        char number[64];
        struct slice text;
        int r = 0;

        if (json_is_string(value))
                text = (struct slice){ json_string_value(value), json_string_length(value) };
        else if (json_is_integer(value))
                text = (struct slice){ number, (size_t)snprintf(number, sizeof(number), "%lld",
                                                                (long long)json_integer_value(value)) };
        else if (json_is_boolean(value))
                text = json_is_true(value) ? SLICE("1") : SLICE("0");
        else
                return bad(p, "form", "values are strings, integers, booleans, or lists of them");
        if (buf_len(form))
                r = buf_append_str(form, "&");
        r = r ? r : url_encode(slice_of(name), false, form);
        r = r ? r : buf_append_str(form, "=");
        r = r ? r : url_encode(text, false, form);
        return r == 0 ? 0 : cause_set(p->cause, 413, "form: longer than %d bytes encoded", JOB_JSON_MAX);
}

static int parse_form(struct parse *p, json_t *value)
{
        const char *name;
        struct buf form;
        json_t *item;
        int r = 0;

        if (!json_is_object(value))
                return bad(p, "form", "an object is wanted: {\"name\": \"value\"}");
        buf_init(&form, JOB_JSON_MAX);
        json_object_foreach(value, name, item)
        {
                if (!json_is_array(item))
                        r = form_add(p, &form, name, item);
                for (size_t i = 0; json_is_array(item) && i < json_array_size(item) && r == 0; i++)
                        r = form_add(p, &form, name, json_array_get(item, i));
                if (r)
                        break;
        }
        if (r == 0)
                r = body_write(p, buf_slice(&form).ptr, buf_len(&form));
        buf_fini(&form);
        return r;
}

static int parse_json_body(struct parse *p, const json_t *value)
{
        char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        int r;

        if (!text)
                return bad(p, "json", "it cannot be written out");
        r = body_write(p, text, strlen(text));
        free(text);
        return r;
}

static int parse_body(struct parse *p, const char *field, json_t *value)
{
        if (p->body_field)
                return cause_set(p->cause, 400,
                                 "%s: there is %s already; give one of body, body_base64, form and json",
                                 field, p->body_field);
        p->body_field = field;
        if (strcmp(field, "body") == 0)
                return parse_text(p, value);
        if (strcmp(field, "body_base64") == 0)
                return parse_base64(p, value);
        p->type = strcmp(field, "form") == 0 ? "application/x-www-form-urlencoded" : "application/json";
        return strcmp(field, "form") == 0 ? parse_form(p, value) : parse_json_body(p, value);
}

static int parse_field(struct parse *p, const char *field, json_t *value)
{
        if (strcmp(field, "target") == 0)
                return parse_target(p, value);
        if (strcmp(field, "method") == 0)
                return parse_method(p, value);
        if (strcmp(field, "headers") == 0)
                return parse_headers(p, value);
        if (strcmp(field, "body") == 0 || strcmp(field, "body_base64") == 0 || strcmp(field, "form") == 0 ||
            strcmp(field, "json") == 0)
                return parse_body(p, field, value);
        return cause_set(
                p->cause, 400,
                "%.64s: no such field; there are target, method, headers, body, body_base64, form and json",
                field);
}

static int parse_object(struct parse *p, json_t *root)
{
        const char *field;
        json_t *value;
        int r;

        if (!json_is_object(root))
                return cause_set(p->cause, 400, "a JSON object is wanted: {\"target\": \"/report.php\"}");
        json_object_foreach(root, field, value)
        {
                r = parse_field(p, field, value);
                if (r)
                        return r;
        }
        if (!p->draft->request.target[0])
                return bad(p, "target", "it is missing");
        if (!p->has_method)
                take(&p->draft->request.method, p->body_field ? "POST" : "GET");
        if (p->type && !p->has_type &&
            http1_block_add(&p->headers, SLICE("Content-Type"), slice_of(p->type)) != 0)
                return cause_set(p->cause, 422, "headers: more than %d bytes together", JOB_HEADERS_MAX);
        free(p->draft->request.headers);
        p->draft->request.headers = buf_take(&p->headers);
        return 0;
}

int job_parse(struct job *draft, const struct spool *json, struct cause *cause)
{
        struct parse p = { .draft = draft, .cause = cause };
        json_error_t error;
        json_t *root;
        char *text;
        ssize_t n;
        int r;

        if (json->len > JOB_JSON_MAX)
                return cause_set(
                        cause, 413,
                        "the JSON has %llu bytes, at most %d are taken; a large body goes through /v1/send/",
                        (unsigned long long)json->len, JOB_JSON_MAX);
        text = mem_alloc(json->len + 1);
        n = spool_read(json, 0, text, json->len);
        if (n < 0 || (uint64_t)n != json->len) {
                free(text);
                return cause_set(cause, 500, "the request could not be read back");
        }
        root = json_loadb(text, json->len, JSON_REJECT_DUPLICATES, &error);
        free(text);
        if (!root)
                return cause_set(cause, 400, "not JSON: %s at line %d, column %d", error.text, error.line,
                                 error.column);
        buf_init(&p.headers, JOB_HEADERS_MAX);
        r = parse_object(&p, root);
        buf_fini(&p.headers);
        json_decref(root);
        return r;
}
