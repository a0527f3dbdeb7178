/* sendoff log: what a job's runs wrote and what befell them, line by line; -f follows until the job has
 * ended, by server-sent events, also over a restart of the server. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/bounds.h"
#include "cmd/flags.h"
#include "cmd/talk.h"

#define STAMP_LEN 24    /* 2026-11-21T08:00:00.123Z */
#define SILENCE   60000 /* the server says something every 15 s */

struct log {
        struct talk talk;
        bool colours;
        char last[RUN_LOG_LINE + 128]; /* the last line that was printed */
        struct buf pending;            /* of the event stream */
        bool ended, event_end;
        char state[16];
        int status; /* of the reply */
};

/* Lines come in the order of their times: what was printed before the stream broke is known by that. */
static bool is_new(const struct log *l, struct slice line)
{
        size_t n = line.len < STAMP_LEN ? line.len : STAMP_LEN;
        int order = l->last[0] ? strncmp(line.ptr, l->last, n) : 1;

        return order > 0 || (order == 0 && !slice_eq(line, slice_of(l->last)));
}

/* "TIME RUN STREAM TEXT": the time dim, stderr red, sendoff's own words blue. */
static void print_line(struct log *l, struct slice line)
{
        struct slice rest = line, time, run, stream;
        const char *colour;

        if (!is_new(l, line))
                return;
        snprintf(l->last, sizeof(l->last), "%.*s", SLICE_ARG(line));
        if (!l->colours || !slice_cut(&rest, ' ', &time) || !slice_cut(&rest, ' ', &run) ||
            !slice_cut(&rest, ' ', &stream)) {
                printf("%.*s\n", SLICE_ARG(line));
                return;
        }
        colour = slice_eq(stream, SLICE("stderr"))    ? "\033[31m"
                 : slice_eq(stream, SLICE("sendoff")) ? "\033[34m"
                                                      : "";
        printf("\033[2m%.*s\033[0m %.*s %s%.*s%s %.*s\n", SLICE_ARG(time), SLICE_ARG(run), colour,
               SLICE_ARG(stream), *colour ? "\033[0m" : "", SLICE_ARG(rest));
}

static int print_now(struct log *l, const char *id)
{
        struct client_reply reply;
        struct slice text, line;
        char path[96];
        int r;

        snprintf(path, sizeof(path), "/v1/jobs/%s/log", id);
        r = talk_ask(&l->talk, "GET", path, SLICE(""), NULL, &reply);
        if (r == EXIT_OK && reply.status != 200)
                r = talk_refused(id, &reply);
        text = buf_slice(&reply.body);
        while (r == EXIT_OK && text.len > 0 && slice_cut(&text, '\n', &line))
                if (line.len > 0)
                        print_line(l, line);
        client_reply_fini(&reply);
        return r;
}

/* ---- following ---- */

static void take_field(struct log *l, struct slice line)
{
        if (line.len == 0) {
                l->event_end = false;
        } else if (slice_eq(line, SLICE("event: end"))) {
                l->event_end = true;
        } else if (slice_starts(line, SLICE("data: "))) {
                line = slice_from(line, 6);
                if (l->event_end) {
                        snprintf(l->state, sizeof(l->state), "%.*s", SLICE_ARG(line));
                        l->ended = true;
                } else {
                        print_line(l, line);
                }
        }
}

static int take_events(void *arg, struct slice bytes)
{
        struct log *l = arg;
        const char *end;

        if (buf_append_slice(&l->pending, bytes) != 0)
                return -EMSGSIZE;
        while ((end = memchr(buf_data(&l->pending), '\n', buf_len(&l->pending)))) {
                size_t len = (size_t)(end - buf_data(&l->pending));

                take_field(l, (struct slice){ buf_data(&l->pending), len });
                buf_consume(&l->pending, len + 1);
        }
        fflush(stdout);
        return 0;
}

static bool is_stream(void *arg, const struct client_reply *head)
{
        struct log *l = arg;

        l->status = head->status;
        return head->status == 200;
}

/* EXIT_OK: the stream ended, or broke; EXIT_SERVER: refused, or there is no server at the first try. */
static int follow_once(struct log *l, const char *id, bool first)
{
        const struct client_sink sink = { .wanted = is_stream, .take = take_events, .arg = l };
        struct client_request request = { .method = "GET" };
        struct cause cause = { "" };
        struct client_reply reply;
        char path[96];
        int r;

        snprintf(path, sizeof(path), "/v1/jobs/%s/log?follow=1", id);
        request.path = path;
        buf_clear(&l->pending);
        l->event_end = false;
        l->status = 0;
        client_set_timeout(l->talk.client, SILENCE);
        r = client_ask(l->talk.client, &request, &sink, &reply, &cause);
        if (r != 0 && first && l->status != 200) {
                fprintf(stderr, "sendoff: %s\n", cause.text);
                r = EXIT_SERVER;
        } else {
                r = l->status == 200 || l->status == 0 ? EXIT_OK : talk_refused(id, &reply);
        }
        client_reply_fini(&reply);
        return r;
}

static bool is_unfinished(const char *state)
{
        return strcmp(state, "running") == 0 || strcmp(state, "ready") == 0 ||
               strcmp(state, "scheduled") == 0 || strcmp(state, "held") == 0;
}

/* Until the job has ended. A server that goes away is asked again, twice a second. */
static int follow(struct log *l, const char *id)
{
        static const struct timespec pause = { .tv_nsec = 500 * 1000 * 1000 };
        int r = follow_once(l, id, true);

        while (r == EXIT_OK && (!l->ended || is_unfinished(l->state))) {
                nanosleep(&pause, NULL);
                l->ended = false;
                r = follow_once(l, id, false);
        }
        return r != EXIT_OK ? r : strcmp(l->state, "succeeded") == 0 ? EXIT_OK : EXIT_JOB;
}

static int log_run(int argc, char **argv)
{
        static const struct option options[] = {
                { "follow", 0, NULL, 'f' }, { "server", 1, NULL, 's' }, FLAG_HELP, { 0 }
        };
        struct flags f = { .verb = &verb_log, .argc = argc, .argv = argv, .shorts = ":fh", .longs = options };
        struct log l = { .colours = isatty(STDOUT_FILENO) };
        const char *server = NULL;
        char id[TALK_ID_SIZE];
        bool follows = false;
        int c, r;

        while ((c = flags_next(&f)) > 0) {
                if (c == 'f')
                        follows = true;
                else
                        server = optarg;
        }
        if (f.code >= 0)
                return f.code;
        r = check_ids("log", argc, argv);
        if (r == EXIT_OK && optind + 1 < argc)
                r = usage_error("log", "one job at a time");
        if (r != EXIT_OK)
                return r;
        buf_init(&l.pending, 1 << 20);
        r = talk_open(&l.talk, server);
        if (r == EXIT_OK)
                r = follows ? follow(&l, talk_id(argv[optind], id))
                            : print_now(&l, talk_id(argv[optind], id));
        talk_close(&l.talk);
        buf_fini(&l.pending);
        return r;
}

const struct verb verb_log = {
        .name = "log",
        .line = "what a job's runs wrote to stderr, and what befell them",
        .help = "usage: sendoff log [-f] ID [--server unix:PATH]\n\n"
                "Prints a line each: time, number of the run, stream (stdout of programs, stderr,\n"
                "sendoff), text. The first and the last lines of a long log are kept.\n\n"
                "  -f, --follow   go on until the job has ended\n\n"
                "Exit code with -f 0: it succeeded; 1: it did not. 3: no such job, or no server.\n\n"
                "  sendoff log -f 000000018pjptgs4n38ajb8sxwn3\n",
        .run = log_run,
};
