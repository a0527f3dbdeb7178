/* sendoff list: jobs, newest first, as a table or one JSON record a line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/wrap.h"
#include "cmd/flags.h"
#include "cmd/talk.h"

#define PAGE          500
#define LIMIT_MAX     1000000
#define TARGET_COLUMN 72 /* where the last column begins */

struct list {
        struct talk talk;
        const char *server, *state;
        uint64_t limit, shown;
        bool all, as_json, colours;
        unsigned width; /* of the terminal; 0: none, nothing is cut */
};

/* "2026-11-21T08:00:00.123Z" to milliseconds; -1 when it is none. */
static int64_t parse_time(const char *text)
{
        struct tm tm = { 0 };
        int ms = 0;

        if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
                   &tm.tm_min, &tm.tm_sec, &ms) != 7)
                return -1;
        tm.tm_year -= 1900;
        tm.tm_mon -= 1;
        return (int64_t)timegm(&tm) * 1000 + ms;
}

static const char *span(int64_t ms, char *out, size_t size)
{
        if (ms < 0)
                snprintf(out, size, "-");
        else if (ms < 10000)
                snprintf(out, size, "%.1fs", (double)ms / 1000);
        else if (ms < 600000)
                snprintf(out, size, "%llds", (long long)ms / 1000);
        else if (ms < 36000000)
                snprintf(out, size, "%lldm", (long long)ms / 60000);
        else
                snprintf(out, size, "%lldh", (long long)ms / 3600000);
        return out;
}

static const char *colour_of(const char *state)
{
        if (strcmp(state, "succeeded") == 0)
                return "\033[32m";
        if (strcmp(state, "failed") == 0 || strcmp(state, "dead") == 0)
                return "\033[31m";
        return strcmp(state, "running") == 0 ? "\033[36m" : "\033[33m";
}

/* What it answered: an HTTP status, a program's exit code, the signal that ended it. */
static void code_of(const json_t *job, char *out, size_t size)
{
        const json_t *status = json_object_get(job, "status"), *code = json_object_get(job, "exit_code"),
                     *signal = json_object_get(job, "signal");

        if (json_is_integer(status))
                snprintf(out, size, "%lld", (long long)json_integer_value(status));
        else if (json_is_integer(code))
                snprintf(out, size, "exit %lld", (long long)json_integer_value(code));
        else if (json_is_integer(signal))
                snprintf(out, size, "sig %lld", (long long)json_integer_value(signal));
        else
                snprintf(out, size, "-");
}

static void print_cut(const struct list *l, const char *method, const char *target)
{
        size_t room = l->width > TARGET_COLUMN + 8 ? l->width - TARGET_COLUMN : SIZE_MAX,
               used = strlen(method) + 1;

        if (l->width == 0 || room == SIZE_MAX || used >= room || used + strlen(target) <= room)
                printf("%s%s%s\n", method, *method ? " " : "", target);
        else
                printf("%s%s%.*s…\n", method, *method ? " " : "", (int)(room - used - 1), target);
}

/* What is left of the line on a terminal. A program has no method; a line end within its words is shown as a
 * blank. */
static void print_target(const struct list *l, const char *method, const char *given)
{
        bool program = strncmp(given, "exec:", 5) == 0;
        char *target = mem_dup(given);

        for (char *c = target; *c; c++)
                if ((unsigned char)*c < 0x20 || *c == 0x7f)
                        *c = ' ';
        print_cut(l, program ? "" : method, target);
        free(target);
}

static void print_row(const struct list *l, const json_t *job)
{
        const json_t *runs = json_object_get(job, "runs"),
                     *last = json_array_get(runs, json_array_size(runs) - 1);
        int64_t now = clock_real_ms(), created = parse_time(json_text(job, "created_at"));
        int64_t began = last ? parse_time(json_text(last, "started_at")) : -1,
                ended = last ? parse_time(json_text(last, "ended_at")) : -1;
        char age[24], took[24], code[32];
        const char *state = json_text(job, "state");

        code_of(job, code, sizeof(code));
        printf("%-28s  %s%-9s%s  %3lld  %5s  %6s  %6s  ", json_text(job, "id"),
               l->colours ? colour_of(state) : "", state, l->colours ? "\033[0m" : "",
               (long long)json_integer_value(json_object_get(job, "run")),
               span(now - created, age, sizeof(age)),
               span(began < 0   ? -1
                    : ended < 0 ? now - began
                                : ended - began,
                    took, sizeof(took)),
               code);
        print_target(l, json_text(job, "method"), json_text(job, "target"));
}

static void print_page(struct list *l, const json_t *jobs)
{
        for (size_t i = 0; i < json_array_size(jobs); i++, l->shown++) {
                const json_t *job = json_array_get(jobs, i);

                if (l->as_json) {
                        print_json(job);
                        continue;
                }
                if (l->shown == 0)
                        printf("%-28s  %-9s  %3s  %5s  %6s  %6s  %s\n", "ID", "STATE", "RUN", "AGE", "TOOK",
                               "STATUS", "TARGET");
                print_row(l, job);
        }
}

/* One page; *cursor is replaced by the next one's, NULL after the last. */
static int list_page(struct list *l, char **cursor)
{
        uint64_t want = l->all || l->limit - l->shown > PAGE ? PAGE : l->limit - l->shown;
        char *path =
                mem_printf("/v1/jobs?limit=%llu%s%s%s%s", (unsigned long long)want, l->state ? "&state=" : "",
                           l->state ? l->state : "", *cursor ? "&cursor=" : "", *cursor ? *cursor : "");
        struct client_reply reply;
        json_t *page = NULL;
        int r = talk_ask(&l->talk, "GET", path, SLICE(""), NULL, &reply);

        free(path);
        free(*cursor);
        *cursor = NULL;
        if (r == EXIT_OK && reply.status != 200)
                r = talk_refused("list", &reply) == EXIT_SERVER && reply.status == 400 ? EXIT_USAGE
                                                                                       : EXIT_SERVER;
        else if (r == EXIT_OK)
                r = (page = talk_json(&reply)) ? EXIT_OK : EXIT_SERVER;
        if (page) {
                print_page(l, json_object_get(page, "jobs"));
                *cursor = mem_dup(json_string_value(json_object_get(page, "next")));
                json_decref(page);
        }
        client_reply_fini(&reply);
        return r;
}

static int list_all(struct list *l)
{
        char *cursor = NULL;
        int r = talk_open(&l->talk, l->server);

        if (r == EXIT_OK) {
                do
                        r = list_page(l, &cursor);
                while (r == EXIT_OK && cursor && (l->all || l->shown < l->limit));
        }
        if (r == EXIT_OK && !l->as_json && cursor)
                printf("… and older ones (--all, --limit)\n");
        if (r == EXIT_OK && !l->as_json && l->shown == 0)
                printf("no jobs\n");
        free(cursor);
        talk_close(&l->talk);
        return r;
}

static int list_flag(struct list *l, int c)
{
        switch (c) {
        case 'S':
                l->state = optarg;
                return check_states("list", optarg);
        case 'l':
                return flag_number(&verb_list, "--limit", optarg, LIMIT_MAX, &l->limit);
        case 'a':
                l->all = true;
                return EXIT_OK;
        case 'j':
                l->as_json = true;
                return EXIT_OK;
        default:
                l->server = optarg;
                return EXIT_OK;
        }
}

static int list_run(int argc, char **argv)
{
        static const struct option options[] = { { "state", 1, NULL, 'S' },
                                                 { "limit", 1, NULL, 'l' },
                                                 { "all", 0, NULL, 'a' },
                                                 { "json", 0, NULL, 'j' },
                                                 { "server", 1, NULL, 's' },
                                                 FLAG_HELP,
                                                 { 0 } };
        struct flags f = { .verb = &verb_list, .argc = argc, .argv = argv, .shorts = ":h", .longs = options };
        const char *no_colour = getenv("NO_COLOR");
        struct list l = { .limit = 50 };
        int c;

        while ((c = flags_next(&f)) > 0)
                if (list_flag(&l, c) != EXIT_OK)
                        return EXIT_USAGE;
        if (f.code >= 0)
                return f.code;
        if (optind < argc)
                return usage_error("list", "'%s': not expected here", argv[optind]);
        if (isatty(STDOUT_FILENO)) {
                l.colours = !no_colour || !*no_colour;
                l.width = wrap_width(STDOUT_FILENO);
        }
        return list_all(&l);
}

const struct verb verb_list = {
        .name = "list",
        .line = "list jobs, newest first",
        .help = "usage: sendoff list [--state STATE,...] [--limit N | --all] [--json]\n"
                "                    [--server unix:PATH]\n\n"
                "Jobs, newest first: 50 of them unless --limit or --all say otherwise. --json\n"
                "prints the whole record of each, a line each.\n"
                "States: scheduled, ready, running, succeeded, failed, dead, cancelled, held.\n\n"
                "  sendoff list\n"
                "  sendoff list --state ready,running\n"
                "  sendoff list --all --json | jq -r 'select(.status == 500).id'\n",
        .run = list_run,
};
