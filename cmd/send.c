/* sendoff send: requests to be carried out by the server, with curl's flags. Each target becomes one request
 * to /v1/send/TARGET, whose method, header fields and body are the job's own; what is wished for rides as
 * Sendoff-* fields. All targets are sent before any is waited for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/wrap.h"
#include "cmd/flags.h"
#include "cmd/progress.h"
#include "cmd/request.h"
#include "cmd/talk.h"
#include "cmd/wishes.h"
#include "job/target.h"

struct send {
        struct talk talk;
        struct request request;
        struct wishes wishes;
        char *program; /* "exec:…" made of the words behind --; NULL: targets are URLs and paths */
        const char *server;
        bool wait, as_json;
        bool gone;          /* the server does not answer: no further target is tried */
        int64_t timeout_ms; /* 0 none */
        char **ids;         /* accepted, in the order of the targets */
        int accepted;
};

static const char help[] =
        "usage: sendoff send TARGET... [options]\n"
        "       sendoff send [options] -- PROGRAM [ARGUMENT...]\n\n"
        "Has work done in the background: the request is safe on disk when this returns.\n"
        "TARGET is a path of the site (/report.php?month=11) or a URL. A program is\n"
        "started by the server, without a shell, in the site's folder; the data is its\n"
        "stdin.\n\n"
        "  -d, --data DATA             a form field, or @file; several are joined by &;\n"
        "                              makes it a POST\n"
        "      --data-raw DATA         the same, but @ means nothing\n"
        "      --data-urlencode DATA   the same, encoded: name=value, name@file\n"
        "      --data-binary DATA      as it is, or @file\n"
        "  -F, --form NAME=VALUE       multipart/form-data; NAME=@file uploads a file,\n"
        "                              with ;type=… and ;filename=… behind it\n"
        "  -G, --get                   put the data into the query of a GET\n"
        "  -X, --request METHOD        another method\n"
        "  -H, --header 'NAME: VALUE'  one more header field, or @file\n"
        "  -b, --cookie 'NAME=VALUE'   a cookie; several go together\n"
        "  -u, --user USER:PASSWORD    basic authentication\n"
        "      --wait                  wait for the end, print what the script answered;\n"
        "                              exit code 1 when it failed\n"
        "      --timeout TIME          wait no longer than this: 90, 10m; the job\n"
        "                              goes on\n"
        "      --json                  one receipt a line: {\"id\", \"location\", \"state\"}\n"
        "      --server WHERE          unix:PATH or http://HOST:PORT; else\n"
        "                              SENDOFF_SERVER, else the default socket\n\n"
        "Exit code 0: accepted, with --wait all succeeded; 1: a job did not succeed;\n"
        "2: usage; 3: no server, or it refused.\n\n"
        "  sendoff send /report.php -d to=ada\n"
        "  sendoff send /import.php -F file=@people.csv --wait\n"
        "  sendoff /a.php /b.php /c.php --wait       all at once, as long as the slowest\n"
        "  sendoff send https://example.org/hook -d id=7 --retries 10 --backoff 1m\n"
        "  sendoff send --data-binary @film.mov --time-limit 2h -- ffmpeg -i - film.webm\n"
        "  sendoff send /bill.php --at '2026-12-01 08:00' --then-failure /alarm.php\n\n"
        "What may be asked for a job:\n";

/* ---- flags ---- */

enum {
        OPT_URLENCODE = 1000,
        OPT_BINARY,
        OPT_RAW,
        OPT_WAIT,
        OPT_TIMEOUT,
        OPT_JSON,
        OPT_SERVER,
};

#define OPTIONS_COUNT 16

static struct option options[OPTIONS_COUNT + WISHES_FLAGS_MAX] = {
        /* the wishes' follow */
        { "data", 1, NULL, 'd' },
        { "data-ascii", 1, NULL, 'd' },
        { "data-raw", 1, NULL, OPT_RAW },
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
        FLAG_HELP,
};

/* The flags that make the request. 0 or < 0 with the sentence. */
static int request_flag(struct request *q, int c, struct cause *cause)
{
        switch (c) {
        case 'd':
                return request_data(q, BODY_DATA, optarg, cause);
        case OPT_RAW:
                return request_data(q, BODY_RAW, optarg, cause);
        case OPT_URLENCODE:
                return request_data(q, BODY_URLENCODE, optarg, cause);
        case OPT_BINARY:
                return request_data(q, BODY_BINARY, optarg, cause);
        case 'F':
                return request_data(q, BODY_FORM, optarg, cause);
        case 'X':
                return request_method(q, optarg, cause);
        case 'H':
                return request_header(q, optarg, cause);
        case 'b':
                return request_cookie(q, optarg, cause);
        case 'u':
                return request_user(q, optarg, cause);
        default:
                q->as_get = true;
                return 0;
        }
}

static int one_flag(struct send *s, int c)
{
        struct cause cause = { "" };

        switch (c) {
        case OPT_WAIT:
                s->wait = true;
                return EXIT_OK;
        case OPT_TIMEOUT:
                return flag_duration(&verb_send, "--timeout", optarg, &s->timeout_ms);
        case OPT_JSON:
                s->as_json = true;
                return EXIT_OK;
        case OPT_SERVER:
                s->server = optarg;
                return EXIT_OK;
        default:
                return (c >= WISHES_FLAG_FIRST ? wishes_take(&s->wishes, c, optarg, &cause)
                                               : request_flag(&s->request, c, &cause)) == 0
                               ? EXIT_OK
                               : usage_error("send", "%s", cause.text);
        }
}

static int take_program(struct send *s, char **words)
{
        struct cause cause = { "" };
        struct buf line;
        int r;

        buf_init(&line, JOB_TARGET_MAX);
        r = buf_append_str(&line, "exec:");
        r = r ? r : job_words_join(words, &line);
        s->program = buf_take(&line);
        buf_fini(&line);
        if (r != 0)
                return usage_error("send", "the program and its arguments have more than %d bytes",
                                   JOB_TARGET_MAX);
        if (job_target_check(s->program, &cause) != 0)
                return usage_error("send", "%s", cause.text);
        if (s->request.as_get)
                return usage_error("send", "-G: a program has no query");
        r = http1_block_add(&s->wishes.headers, SLICE("Sendoff-Argv"), slice_of(s->program + 5));
        return r == 0 ? EXIT_OK
                      : usage_error("send", "line ends and control bytes cannot be in an argument here; "
                                            "POST /v1/jobs with argv takes them");
}

/* -1 to go on, else the exit code. */
static int parse_flags(struct send *s, int argc, char **argv)
{
        struct flags f = {
                .verb = &verb_send, .argc = argc, .argv = argv, .shorts = ":d:F:GX:H:b:u:h", .longs = options
        };
        struct cause cause = { "" };
        int c, r;

        while ((c = flags_next(&f)) > 0) {
                r = one_flag(s, c);
                if (r != EXIT_OK)
                        return r;
        }
        if (f.code >= 0)
                return f.code;
        if (optind == argc)
                return usage_error(
                        "send", "a target is missing: a path of the site such as /report.php, a URL, or -- "
                                "and a program");
        if (strcmp(argv[optind - 1], "--") == 0) {
                r = take_program(s, argv + optind);
                if (r != EXIT_OK)
                        return r;
        }
        for (int i = optind; i < argc && !s->program; i++)
                if (request_check_target(argv[i], &cause) != 0)
                        return usage_error("send", "%s", cause.text);
        return request_finish(&s->request, &cause) == 0 ? -1 : usage_error("send", "%s", cause.text);
}

/* ---- sending ---- */

/* The receipt; a HEAD request's has no body, then the job is asked for. NULL when there is none, said. */
static json_t *receipt_of(struct send *s, const struct client_reply *reply)
{
        char where[128], id[TALK_ID_SIZE];
        json_t *job, *receipt;

        if (buf_len(&reply->body) > 0)
                return talk_json(reply);
        snprintf(where, sizeof(where), "%.*s", SLICE_ARG(client_reply_header(reply, SLICE("location"))));
        if (!talk_id(where, id)) {
                fprintf(stderr, "sendoff: the server's answer has no receipt\n");
                return NULL;
        }
        if (talk_job(&s->talk, id, 0, &job) != EXIT_OK)
                return NULL;
        receipt = json_pack("{s:s, s:s, s:s}", "id", id, "location", where, "state", json_text(job, "state"));
        json_decref(job);
        return receipt;
}

static int accepted(struct send *s, const struct client_reply *reply, int64_t took_ns)
{
        FILE *out = s->wait ? stderr : stdout;
        json_t *receipt = receipt_of(s, reply);
        const char *id = json_text(receipt, "id");

        if (!receipt)
                return EXIT_SERVER;
        s->ids[s->accepted++] = mem_dup(id);
        if (s->as_json) {
                print_json(receipt);
        } else {
                fprintf(out, "accepted %s in %.1f ms", id, (double)took_ns / 1e6);
                if (!s->wait && isatty(STDOUT_FILENO))
                        fprintf(out, "   (sendoff wait ID · sendoff result ID)");
                fputc('\n', out);
        }
        fflush(out);
        json_decref(receipt);
        return EXIT_OK;
}

static int send_one(struct send *s, const char *target)
{
        const struct request *q = &s->request;
        struct client_reply reply;
        struct buf headers;
        int64_t began = clock_mono_ns();
        char *path = s->program ? mem_dup("/v1/send/exec") : request_path(q, target);
        int r;

        buf_init(&headers, 2 * JOB_HEADERS_MAX);
        if (buf_append_slice(&headers, buf_slice(&q->headers)) != 0 ||
            buf_append_slice(&headers, buf_slice(&s->wishes.headers)) != 0)
                abort(); /* each has its maximum */
        r = talk_ask(&s->talk, q->method, path, buf_slice(&headers), q->body.any ? &q->body.spool : NULL,
                     &reply);
        s->gone = r != EXIT_OK;
        if (r == EXIT_OK)
                r = reply.status == 202 ? accepted(s, &reply, clock_mono_ns() - began)
                                        : talk_refused(target, &reply);
        client_reply_fini(&reply);
        buf_fini(&headers);
        free(path);
        return r;
}

/* ---- waiting ---- */

static int print_end(struct send *s, const char *id, const json_t *job)
{
        int r = EXIT_OK;

        if (s->as_json)
                print_json(job);
        else if (json_is_integer(json_object_get(job, "status")) ||
                 json_is_integer(json_object_get(job, "exit_code")))
                r = talk_result(&s->talk, id, false, NULL);
        if (r == EXIT_OK && !job_succeeded(job)) {
                const char *reason = json_text(job, "reason");

                fprintf(stderr, "sendoff send: %s %s%s%s\n", id, json_text(job, "state"), *reason ? ": " : "",
                        reason);
                r = EXIT_JOB;
        }
        return r;
}

static int wait_for(struct send *s, const char *id)
{
        json_t *job = NULL;
        int r = progress_wait(&s->talk, id, s->timeout_ms, &job);

        if (r == EXIT_OK && !job_is_final(job)) {
                fprintf(stderr, "sendoff send: %s has not ended in time; it goes on\n", id);
                r = EXIT_JOB;
        } else if (r == EXIT_OK) {
                r = print_end(s, id, job);
        }
        json_decref(job);
        return r;
}

static int send_all(struct send *s, int argc, char **argv)
{
        int worst = EXIT_OK;

        if (s->program)
                worst = send_one(s, s->program);
        for (int i = optind; i < argc && !s->gone && !s->program; i++) {
                int r = send_one(s, argv[i]);

                worst = r > worst ? r : worst;
        }
        for (int i = 0; s->wait && i < s->accepted; i++) {
                int r = wait_for(s, s->ids[i]);

                worst = r > worst ? r : worst;
                if (r == EXIT_SERVER)
                        break;
        }
        return worst;
}

static int send_run(int argc, char **argv)
{
        struct send s = { .server = NULL };
        struct cause cause = { "" };
        int r = request_init(&s.request, &cause) == 0 ? -1 : usage_error("send", "%s", cause.text);

        wishes_init(&s.wishes);
        wishes_flags(options, OPTIONS_COUNT);
        if (r < 0)
                r = parse_flags(&s, argc, argv);
        if (r < 0) {
                r = talk_open(&s.talk, s.server);
                s.ids = mem_alloc((size_t)argc * sizeof(*s.ids));
                if (r == EXIT_OK)
                        r = send_all(&s, argc, argv);
                talk_close(&s.talk);
        }
        for (int i = 0; i < s.accepted; i++)
                free(s.ids[i]);
        free(s.ids);
        free(s.program);
        wishes_fini(&s.wishes);
        request_fini(&s.request);
        return r;
}

static void more_help(void)
{
        struct buf text;

        buf_init(&text, 1 << 16);
        if (wishes_help(&text, wrap_width(STDOUT_FILENO)) == 0)
                fwrite(buf_data(&text), 1, buf_len(&text), stdout);
        buf_fini(&text);
}

const struct verb verb_send = {
        .name = "send",
        .line = "have a script, a program or a URL done in the background",
        .help = help,
        .more_help = more_help,
        .run = send_run,
};
