/* See job_parse.h. One row a field; jansson parses, bounds the depth and refuses repeated keys. */
#include "server/job_parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/option.h"
#include "net/http1.h"
#include "net/url.h"

#define DELAY_MAX_MS (INT64_C(3650) * 24 * 3600 * 1000)

struct parse {
        struct job *draft;
        struct cause *cause;
        struct buf headers;
        const char *body_field; /* the one of body, body_base64, form, json that was given */
        const char *type;       /* the Content-Type that goes with it */
        bool has_type;          /* headers name one */
        bool has_method;
        int64_t now_ms;
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
        struct cause why;

        if (!target || strlen(target) != json_string_length(value))
                return bad(p, "target", "a string without NUL is wanted");
        if (p->draft->request.target[0])
                return bad(p, "target", "give it or argv, not both");
        if (job_target_check(target, &why) != 0)
                return bad(p, "target", why.text);
        take(&p->draft->request.target, target);
        return 0;
}

/* ["convert", "a b.png"]: a program, as target exec:convert 'a b.png'. */
static int parse_argv(struct parse *p, const json_t *value)
{
        size_t count = json_array_size(value);
        char **words;
        struct buf line;
        int r;

        if (count < 1 || count > JOB_WORDS_MAX)
                return bad(p, "argv", "a list of strings is wanted: the program and its arguments");
        if (p->draft->request.target[0])
                return bad(p, "argv", "give it or target, not both");
        words = mem_alloc((count + 1) * sizeof(*words));
        for (size_t i = 0; i < count; i++) {
                const json_t *item = json_array_get(value, i);
                const char *word = json_string_value(item);

                if (!word || strlen(word) != json_string_length(item) || (i == 0 && !*word)) {
                        job_words_free(words);
                        return bad(p, "argv", "strings without NUL are wanted, the first one not empty");
                }
                words[i] = mem_dup(word);
        }
        buf_init(&line, JOB_TARGET_MAX);
        r = buf_append_str(&line, "exec:");
        r = r ? r : job_words_join(words, &line);
        job_words_free(words);
        if (r == 0) {
                free(p->draft->request.target);
                p->draft->request.target = buf_take(&line);
        }
        buf_fini(&line);
        return r == 0 ? 0 : cause_set(p->cause, 422, "argv: longer than %d bytes together", JOB_TARGET_MAX);
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

/* ---- options ---- */

/* The sentence begins with the option's name: here it has a path. */
static int name_path(struct parse *p, const struct job_option_row *row)
{
        struct cause why = *p->cause;
        const char *sentence = strchr(why.text, ':');

        if (row->parent && sentence)
                return cause_set(p->cause, 400, "%s.%s%s", row->parent, row->field, sentence);
        return 400;
}

/* A number of seconds, bytes or things, or the same as text. */
static int parse_option(struct parse *p, const struct job_option_row *row, const json_t *value)
{
        struct job_options *o = &p->draft->options;
        double scale = row->kind == JOB_OPTION_DURATION ? 1000 : 1, number;
        int r;

        if (json_is_string(value) && strlen(json_string_value(value)) == json_string_length(value)) {
                r = job_option_set(o, row, json_string_value(value), p->cause);
        } else if (json_is_number(value)) {
                number = json_number_value(value) * scale;
                if (number < 0 || number > 9e15 || (row->kind == JOB_OPTION_COUNT && !json_is_integer(value)))
                        number = -1;
                r = job_option_set_number(o, row, (int64_t)(number < 0 ? -1 : number + 0.5), p->cause);
        } else {
                r = cause_set(p->cause, -EINVAL, "%s: a number or a string is wanted", row->name);
        }
        return r < 0 ? name_path(p, row) : 0;
}

static const struct job_option_row *find_row(const char *parent, const char *field)
{
        for (const struct job_option_row *row = job_option_rows; row->name; row++)
                if (strcmp(row->field, field) == 0 &&
                    (parent ? row->parent && strcmp(row->parent, parent) == 0 : !row->parent))
                        return row;
        return NULL;
}

static bool is_parent(const char *field)
{
        for (const struct job_option_row *row = job_option_rows; row->name; row++)
                if (row->parent && strcmp(row->parent, field) == 0)
                        return true;
        return false;
}

static int parse_group(struct parse *p, const char *parent, json_t *value)
{
        const struct job_option_row *row;
        const char *field;
        json_t *item;
        int r;

        if (!json_is_object(value))
                return bad(p, parent, "an object is wanted");
        json_object_foreach(value, field, item)
        {
                row = find_row(parent, field);
                if (!row)
                        return cause_set(p->cause, 400, "%s.%.64s: no such field", parent, field);
                r = parse_option(p, row, item);
                if (r)
                        return r;
        }
        return 0;
}

static int set_delay(struct job *draft, uint64_t ms, int64_t now_ms)
{
        draft->run_at_ms = now_ms + (int64_t)ms;
        return 0;
}

static int parse_delay(struct parse *p, const json_t *value)
{
        uint64_t ms = 0;
        bool good = json_is_number(value) && json_number_value(value) >= 0 &&
                    json_number_value(value) * 1000 <= DELAY_MAX_MS;

        if (good)
                ms = (uint64_t)(json_number_value(value) * 1000 + 0.5);
        if (json_is_string(value))
                good = option_duration_parse(json_string_value(value), DELAY_MAX_MS, &ms) == 0;
        if (!good)
                return bad(p, "delay",
                           "a number of seconds or a time such as \"10m\" is wanted, at most 10 years");
        return set_delay(p->draft, ms, p->now_ms);
}

static int parse_run_at(struct parse *p, const json_t *value)
{
        const char *text = json_string_value(value);

        if (!text || !clock_rfc3339_parse(slice_of(text), &p->draft->run_at_ms) ||
            p->draft->run_at_ms > p->now_ms + DELAY_MAX_MS)
                return bad(p, "run_at",
                           "a time such as \"2026-12-01T08:00:00Z\" is wanted (RFC 3339), at most 10 years "
                           "ahead");
        return 0;
}

static int parse_field(struct parse *p, const char *field, json_t *value)
{
        static const struct {
                const char *name;
                int (*parse)(struct parse *p, const json_t *value);
        } own[] = { { "target", parse_target },
                    { "argv", parse_argv },
                    { "method", parse_method },
                    { "delay", parse_delay },
                    { "run_at", parse_run_at } };
        static const char *const bodies[] = { "body", "body_base64", "form", "json" };
        const struct job_option_row *row = find_row(NULL, field);

        for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
                if (strcmp(field, own[i].name) == 0)
                        return own[i].parse(p, value);
        for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
                if (strcmp(field, bodies[i]) == 0)
                        return parse_body(p, field, value);
        if (strcmp(field, "headers") == 0)
                return parse_headers(p, value);
        if (row)
                return parse_option(p, row, value);
        if (is_parent(field))
                return parse_group(p, field, value);
        return cause_set(
                p->cause, 400,
                "%.64s: no such field; there are target, argv, method, headers, body, body_base64, form, "
                "json, delay, run_at, time_limit, idle_limit, on_abort, on_crash, retry, limits and then",
                field);
}

int job_parse_headers(struct job *draft, const struct http1_header *headers, size_t count, int64_t now_ms,
                      struct cause *cause)
{
        for (size_t i = 0; i < count; i++) {
                struct slice name = headers[i].name;
                const struct job_option_row *row;
                struct cause why = { "" };
                uint64_t ms;
                char *value;
                int r = 0;

                if (name.len < 8 || !slice_eq_nocase((struct slice){ name.ptr, 8 }, SLICE("sendoff-")))
                        continue;
                name = slice_from(name, 8);
                row = job_option_find(name);
                value = slice_dup(headers[i].value);
                if (row)
                        r = job_option_set(&draft->options, row, value, &why);
                else if (slice_eq_nocase(name, SLICE("delay")))
                        r = option_duration_parse(value, DELAY_MAX_MS, &ms) == 0
                                    ? set_delay(draft, ms, now_ms)
                                    : cause_set(&why, -EINVAL,
                                                "a time such as 10m is wanted, at most 10 years");
                else if (slice_eq_nocase(name, SLICE("run-at")))
                        r = clock_rfc3339_parse(headers[i].value, &draft->run_at_ms) &&
                                            draft->run_at_ms <= now_ms + DELAY_MAX_MS
                                    ? 0
                                    : cause_set(&why, -EINVAL,
                                                "a time such as 2026-12-01T08:00:00Z is wanted");
                else if (!slice_eq_nocase(name, SLICE("argv")))
                        r = cause_set(&why, -EINVAL, "no such option");
                free(value);
                if (r < 0)
                        return cause_set(cause, 400, "Sendoff-%.*s: %s", name.len > 64 ? 64 : (int)name.len,
                                         name.ptr, why.text);
        }
        return 0;
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

int job_parse(struct job *draft, const struct spool *json, int64_t now_ms, struct cause *cause)
{
        struct parse p = { .draft = draft, .cause = cause, .now_ms = now_ms };
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
