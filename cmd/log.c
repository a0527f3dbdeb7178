/* sendoff log: what a job's runs wrote and what befell them, line by line; -f follows until the job has
 * ended, by server-sent events, also over a restart of the server. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cmd/flags.h"
#include "cmd/human.h"
#include "cmd/log_lines.h"
#include "cmd/talk.h"
#include "job/job.h"

#define SILENCE 60000 /* the server says something every 15 s */

struct log {
        struct talk talk;
        struct log_lines lines;
        struct buf pending; /* of the event stream */
        bool ended, event_end;
        bool gone; /* the server was seen to be gone, and that was said */
        char state[16];
        int status; /* of the reply */
};

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
                        log_lines_take(&l->lines, line);
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
                        log_lines_take(&l->lines, line);
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

static void say_gone(struct log *l, const char *why)
{
        if (!l->gone)
                fprintf(stderr, "sendoff log: %s; asking again until it answers\n", why);
        l->gone = true;
}

/* A server that comes and goes is waited for, once it has answered: it tells the rest after its restart. */
static int judge(struct log *l, const char *id, int r, bool first, const struct client_reply *reply,
                 const struct cause *cause)
{
        if (l->status == 200) {
                l->gone = false;
                return EXIT_OK;
        }
        if (r == 0 && (first || l->status < 500))
                return talk_refused(id, reply);
        if (first) {
                fprintf(stderr, "sendoff: %s\n", cause->text);
                return EXIT_SERVER;
        }
        say_gone(l, r == 0 ? "the server is not ready" : cause->text);
        return EXIT_OK;
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
        log_lines_again(&l->lines);
        l->event_end = l->ended = false;
        l->status = 0;
        client_set_timeout(l->talk.client, SILENCE);
        r = judge(l, id, client_ask(l->talk.client, &request, &sink, &reply, &cause), first, &reply, &cause);
        client_reply_fini(&reply);
        return r;
}

static bool has_ended(const struct log *l)
{
        enum job_state state;

        return l->ended && job_state_parse(slice_of(l->state), &state) && job_state_is_final(state);
}

/* Until the job has ended. A server that goes away is asked again, twice a second. */
static int follow(struct log *l, const char *id)
{
        static const struct timespec pause = { .tv_nsec = 500 * 1000 * 1000 };
        int r = follow_once(l, id, true);

        while (r == EXIT_OK && !has_ended(l)) {
                nanosleep(&pause, NULL);
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
        struct log l = { .ended = false };
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
        log_lines_init(&l.lines, stdout, human_colours());
        r = talk_open(&l.talk, server);
        if (r == EXIT_OK)
                r = follows ? follow(&l, talk_id(argv[optind], id))
                            : print_now(&l, talk_id(argv[optind], id));
        talk_close(&l.talk);
        log_lines_fini(&l.lines);
        buf_fini(&l.pending);
        return r;
}

const struct verb verb_log = {
        .name = "log",
        .line = "what a job's runs wrote to stderr, and what befell them",
        .help = "usage: sendoff log [-f] ID [--server unix:PATH]\n\n"
                "Prints a line each: time, number of the run, stream (stdout of programs, stderr,\n"
                "sendoff), text. The first and the last lines of a long log are kept.\n\n"
                "  -f, --follow   until the job has ended, also over a restart of the server\n\n"
                "Exit code with -f 0: it succeeded; 1: it did not. 3: no such job, or no server.\n\n"
                "  sendoff log 000000018pjptgs4n38ajb8sxwn3 | grep stderr\n"
                "  id=$(sendoff send --json -- make -C /srv/site | jq -r .id)\n"
                "  sendoff log -f \"$id\"\n",
        .run = log_run,
};
