/* sendoff send: requests to be carried out by the server, with curl's flags. Each target becomes one request
 * to /v1/send/TARGET: method, headers and body are the request's own. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cmd/body.h"
#include "cmd/talk.h"
#include "cmd/verb.h"

struct send {
        struct talk talk;
        const char *server, *method, *user;
        struct buf headers;
        struct body body;
        struct buf query; /* -G: the data goes here */
        bool as_get, wait, as_json, quiet, has_type;
        int timeout_s;
        char **ids; /* accepted, in the order of the targets */
        int accepted;
};

static const char help[] =
        "usage: sendoff send TARGET... [options]\n\nHas scripts of the site run in the background: the "
        "request is safe on disk when this returns.\n"
        "TARGET is a path of the site, with its query: /report.php?month=11\n\n"
        "  -d, --data DATA             a form field, or @file; several are joined by &; makes it a POST\n"
        "      --data-urlencode DATA   the same, encoded: name=value, name@file\n"
        "      --data-binary DATA      as it is, or @file\n"
        "  -F, --form NAME=VALUE       multipart/form-data; NAME=@file uploads a file\n"
        "  -G, --get                   put the data into the query of a GET\n"
        "  -X, --request METHOD        another method\n"
        "  -H, --header 'NAME: VALUE'  one more header field\n"
        "  -b, --cookie 'NAME=VALUE'   a Cookie field\n"
        "  -u, --user USER:PASSWORD    basic authentication\n"
        "      --wait                  wait for the end, print what the script answered; exit code 1 when it "
        "failed\n"
        "      --timeout SECONDS       wait no longer than this (the job goes on)\n"
        "      --json                  one receipt a line: {\"id\", \"location\", \"state\"}\n"
        "      --server WHERE          unix:PATH or http://HOST:PORT; else SENDOFF_SERVER, else the default "
        "socket\n\n"
        "  sendoff send /report.php -d to=ada\n"
        "  sendoff send /import.php -F file=@people.csv --wait\n"
        "  sendoff /a.php /b.php /c.php --wait           all at once, as long as the slowest\n";

static int add_header(struct send *s, const char *name, size_t name_len, const char *value)
{
        int r = http1_block_add(&s->headers, (struct slice){ name, name_len }, slice_trim(slice_of(value)));

        if (name_len == 12 && strncasecmp(name, "content-type", 12) == 0)
                s->has_type = true;
        return r == 0 ? EXIT_OK
                      : usage_error("send", "the header '%.*s' is malformed or too long", (int)name_len,
                                    name);
}

static int header_flag(struct send *s, const char *text)
{
        const char *colon = strchr(text, ':');

        if (!colon)
                return usage_error("send", "-H takes 'Name: value', not '%s'", text);
        if (strncasecmp(text, "sendoff-", 8) == 0)
                return usage_error(
                        "send", "Sendoff-* headers are options of the server; none is known to this version");
        return add_header(s, text, (size_t)(colon - text), colon + 1);
}

static char *base64(const char *text)
{
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        size_t len = strlen(text), at = 0;
        char *out = mem_alloc((len + 2) / 3 * 4 + 1);

        for (size_t i = 0; i < len; i += 3) {
                unsigned n = (unsigned)(unsigned char)text[i] << 16 |
                             (i + 1 < len ? (unsigned)(unsigned char)text[i + 1] << 8 : 0) |
                             (i + 2 < len ? (unsigned char)text[i + 2] : 0);

                out[at++] = digits[n >> 18 & 63];
                out[at++] = digits[n >> 12 & 63];
                out[at++] = i + 1 < len ? digits[n >> 6 & 63] : '=';
                out[at++] = i + 2 < len ? digits[n & 63] : '=';
        }
        return out;
}

static int user_flag(struct send *s, const char *user)
{
        char *coded = base64(user), *value = mem_printf("Basic %s", coded);
        int r = add_header(s, "Authorization", 13, value);

        free(coded);
        free(value);
        return r;
}

static int data_flag(struct send *s, enum body_kind kind, const char *value)
{
        struct cause cause = { "" };

        return body_add(&s->body, kind, value, &cause) == 0 ? EXIT_OK : usage_error("send", "%s", cause.text);
}

enum {
        OPT_URLENCODE = 1000,
        OPT_BINARY,
        OPT_WAIT,
        OPT_TIMEOUT,
        OPT_JSON,
        OPT_SERVER,
};

static int one_flag(struct send *s, int c)
{
        switch (c) {
        case 'd':
                return data_flag(s, BODY_DATA, optarg);
        case OPT_URLENCODE:
                return data_flag(s, BODY_URLENCODE, optarg);
        case OPT_BINARY:
                return data_flag(s, BODY_BINARY, optarg);
        case 'F':
                return data_flag(s, BODY_FORM, optarg);
        case 'G':
                s->as_get = true;
                return EXIT_OK;
        case 'X':
                s->method = optarg;
                return http1_is_token(slice_of(optarg)) ? EXIT_OK
                                                        : usage_error("send", "'%s' is no method", optarg);
        case 'H':
                return header_flag(s, optarg);
        case 'b':
                return add_header(s, "Cookie", 6, optarg);
        case 'u':
                return user_flag(s, optarg);
        case OPT_WAIT:
                s->wait = true;
                return EXIT_OK;
        case OPT_TIMEOUT:
                s->timeout_s = atoi(optarg);
                return s->timeout_s > 0 ? EXIT_OK : usage_error("send", "--timeout takes seconds, 1 or more");
        case OPT_JSON:
                s->as_json = true;
                return EXIT_OK;
        case OPT_SERVER:
                s->server = optarg;
                return EXIT_OK;
        default:
                return usage_error("send", "an option cannot be understood");
        }
}

static int parse_flags(struct send *s, int argc, char **argv)
{
        static const struct option options[] = {
                { "data", 1, NULL, 'd' },
                { "data-urlencode", 1, NULL, OPT_URLENCODE },
                { "data-binary", 1, NULL, OPT_BINARY },
                { "form", 1, NULL, 'F' },
                { "get", 0, NULL, 'G' },
                { "request", 1, NULL, 'X' },
                { "header", 1, NULL, 'H' },
                { "cookie", 1, NULL, 'b' },
                { "user", 1, NULL, 'u' },
                { "wait", 0, NULL, OPT_WAIT },
                { "timeout", 1, NULL, OPT_TIMEOUT },
                { "json", 0, NULL, OPT_JSON },
                { "server", 1, NULL, OPT_SERVER },
                { 0 },
        };
        int c, r = EXIT_OK;

        while (r == EXIT_OK && (c = getopt_long(argc, argv, "d:F:GX:H:b:u:", options, NULL)) != -1)
                r = one_flag(s, c);
        return r;
}

/* -G moves the data into the query; otherwise the body gets its type. */
static int finish_body(struct send *s)
{
        struct cause cause = { "" };
        char *type;
        int r;

        if (body_end(&s->body, &cause) != 0)
                return usage_error("send", "%s", cause.text);
        if (s->as_get && s->body.form)
                return usage_error("send", "-G does not go together with -F");
        if (s->as_get) {
                char *at = buf_reserve(&s->query, (size_t)s->body.spool.len + 1);

                if (!at || spool_read(&s->body.spool, 0, at, (size_t)s->body.spool.len) !=
                                   (ssize_t)s->body.spool.len)
                        return usage_error("send", "the data is too long for a query");
                buf_wrote(&s->query, (size_t)s->body.spool.len);
                s->body.any = false;
        }
        if (!s->method)
                s->method = s->body.any ? "POST" : "GET";
        if (!s->body.any || s->has_type)
                return EXIT_OK;
        type = s->body.form ? mem_printf("multipart/form-data; boundary=%s", s->body.boundary)
                            : mem_dup("application/x-www-form-urlencoded");
        r = add_header(s, "Content-Type", 12, type);
        free(type);
        return r;
}

static int check_target(const char *target)
{
        if (strncmp(target, "http://", 7) == 0 || strncmp(target, "https://", 8) == 0)
                return usage_error(
                        "send",
                        "%s: URLs are not targets in this version, only paths of the site (/report.php)",
                        target);
        if (target[0] != '/')
                return usage_error("send", "'%s': a target is a path of the site and starts with '/'",
                                   target);
        for (const char *c = target; *c; c++)
                if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f || *c == '#')
                        return usage_error("send",
                                           "'%s': blanks, '#' and bytes above 0x7e must be percent-encoded",
                                           target);
        return EXIT_OK;
}

static int accepted(struct send *s, const struct client_reply *reply, int64_t took_ns)
{
        json_t *receipt = talk_json(reply);
        const char *id = json_text(receipt, "id");
        char *line;

        if (!receipt)
                return EXIT_SERVER;
        s->ids[s->accepted++] = mem_dup(id);
        if (s->as_json) {
                line = json_dumps(receipt, JSON_COMPACT);
                puts(line ? line : "{}");
                free(line);
        } else {
                fprintf(s->wait ? stderr : stdout, "accepted %s in %.1f ms\n", id, (double)took_ns / 1e6);
        }
        fflush(stdout);
        json_decref(receipt);
        return EXIT_OK;
}

static int send_one(struct send *s, const char *target)
{
        bool has_query = strchr(target, '?') != NULL;
        struct client_reply reply;
        int64_t began = clock_mono_ns();
        char *path;
        int r = check_target(target);

        if (r != EXIT_OK)
                return r;
        path = mem_printf("/v1/send%s%s%.*s", target,
                          buf_len(&s->query) == 0 ? ""
                          : has_query             ? "&"
                                                  : "?",
                          SLICE_ARG(buf_slice(&s->query)));
        r = talk_ask(&s->talk, s->method, path, buf_slice(&s->headers), s->body.any ? &s->body.spool : NULL,
                     &reply);
        if (r == EXIT_OK)
                r = reply.status == 202 ? accepted(s, &reply, clock_mono_ns() - began)
                                        : talk_refused(target, &reply);
        client_reply_fini(&reply);
        free(path);
        return r;
}

/* While it runs, a line on a terminal says how long already. */
static int wait_with_clock(struct send *s, const char *id, json_t **job)
{
        bool terminal = isatty(STDERR_FILENO);
        int64_t began = clock_mono_ms();
        int r = EXIT_OK;

        if (!terminal)
                return talk_wait(&s->talk, id, s->timeout_s, job);
        *job = NULL;
        do {
                int64_t seconds = (clock_mono_ms() - began) / 1000;

                json_decref(*job);
                r = talk_job(&s->talk, id, 1, job);
                if (r == EXIT_OK && !job_is_final(*job))
                        fprintf(stderr, "\r%s %llds ", json_text(*job, "state"), (long long)seconds + 1);
        } while (r == EXIT_OK && !job_is_final(*job) &&
                 !(s->timeout_s && clock_mono_ms() - began >= s->timeout_s * 1000));
        fprintf(stderr, "\r\033[K");
        return r;
}

static int wait_for(struct send *s, const char *id)
{
        json_t *job = NULL;
        int r = wait_with_clock(s, id, &job);

        if (r == EXIT_OK && !job_is_final(job)) {
                fprintf(stderr, "sendoff send: %s has not ended after %d s; it goes on\n", id, s->timeout_s);
                r = EXIT_JOB;
        } else if (r == EXIT_OK) {
                if (s->as_json) {
                        char *line = json_dumps(job, JSON_COMPACT);

                        puts(line ? line : "{}");
                        free(line);
                } else if (json_is_integer(json_object_get(job, "status"))) {
                        r = talk_result(&s->talk, id, false, stdout);
                }
                if (r == EXIT_OK && !job_succeeded(job)) {
                        fprintf(stderr, "sendoff send: %s %s: %s\n", id, json_text(job, "state"),
                                json_text(job, "reason"));
                        r = EXIT_JOB;
                }
        }
        json_decref(job);
        return r;
}

static int send_all(struct send *s, int argc, char **argv)
{
        int worst = EXIT_OK, r;

        for (int i = optind; i < argc && worst == EXIT_OK; i++)
                worst = check_target(argv[i]);
        for (int i = optind; i < argc && worst == EXIT_OK; i++)
                worst = send_one(s, argv[i]);
        for (int i = 0; s->wait && i < s->accepted && worst < EXIT_USAGE; i++) {
                r = wait_for(s, s->ids[i]);
                worst = r > worst ? r : worst;
        }
        return worst;
}

static int send_run(int argc, char **argv)
{
        struct send s = { .body.dir_fd = -1 };
        struct cause cause = { "" };
        int r, first = argc;

        buf_init(&s.headers, JOB_HEADERS_MAX);
        buf_init(&s.query, JOB_TARGET_MAX);
        for (int i = 1; i < argc && first == argc; i++)
                if (strcmp(argv[i], "--") == 0)
                        first = i;
        if (body_init(&s.body, &cause) < 0)
                return usage_error("send", "%s", cause.text);
        if (argc > 1 && first < argc)
                r = usage_error("send", "programs (-- program args...) are not targets in this version, only "
                                        "paths of the site (/report.php)");
        else
                r = parse_flags(&s, argc, argv);
        if (r == EXIT_OK && optind == argc)
                r = usage_error("send", "a target is missing: a path of the site such as /report.php");
        if (r == EXIT_OK)
                r = finish_body(&s);
        if (r == EXIT_OK)
                r = talk_open(&s.talk, s.server);
        s.ids = mem_alloc((size_t)argc * sizeof(*s.ids));
        if (r == EXIT_OK)
                r = send_all(&s, argc, argv);
        for (int i = 0; i < s.accepted; i++)
                free(s.ids[i]);
        free(s.ids);
        talk_close(&s.talk);
        body_fini(&s.body);
        buf_fini(&s.headers);
        buf_fini(&s.query);
        return r;
}

const struct verb verb_send = {
        .name = "send",
        .line = "have a script run in the background",
        .help = help,
        .run = send_run,
};
