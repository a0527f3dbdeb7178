/* sendoff list: jobs, newest first, as a table or one JSON record a line. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/wrap.h"
#include "cmd/talk.h"
#include "cmd/verb.h"
#include "net/url.h"

struct list {
        struct talk talk;
        const char *server, *state;
        long limit;
        bool all, as_json, colours;
        long shown;
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

static void print_row(const struct list *l, const json_t *job)
{
        const json_t *runs = json_object_get(job, "runs"),
                     *last = json_array_get(runs, json_array_size(runs) - 1);
        int64_t now = clock_real_ms(), created = parse_time(json_text(job, "created_at"));
        int64_t began = last ? parse_time(json_text(last, "started_at")) : -1,
                ended = last ? parse_time(json_text(last, "ended_at")) : -1;
        const json_t *status = json_object_get(job, "status");
        char age[24], took[24], code[16] = "-";
        const char *state = json_text(job, "state");

        if (json_is_integer(status))
                snprintf(code, sizeof(code), "%lld", (long long)json_integer_value(status));
        printf("%-28s  %s%-9s%s  %3lld  %5s  %6s  %6s  %s %s\n", json_text(job, "id"),
               l->colours ? colour_of(state) : "", state, l->colours ? "\033[0m" : "",
               (long long)json_integer_value(json_object_get(job, "run")),
               span(now - created, age, sizeof(age)),
               span(began < 0   ? -1
                    : ended < 0 ? now - began
                                : ended - began,
                    took, sizeof(took)),
               code, json_text(job, "method"), json_text(job, "target"));
}

static void print_page(struct list *l, const json_t *jobs)
{
        for (size_t i = 0; i < json_array_size(jobs); i++, l->shown++) {
                const json_t *job = json_array_get(jobs, i);

                if (l->as_json) {
                        char *line = json_dumps(job, JSON_COMPACT);

                        puts(line ? line : "{}");
                        free(line);
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
        char *path =
                mem_printf("/v1/jobs?limit=%ld%s%s%s%s", l->all ? 500 : l->limit, l->state ? "&state=" : "",
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

static bool is_plain(const char *text)
{
        return text[strspn(text, "abcdefghijklmnopqrstuvwxyz,")] == '\0';
}

static int list_run(int argc, char **argv)
{
        static const struct option options[] = { { "state", 1, NULL, 'S' },  { "limit", 1, NULL, 'l' },
                                                 { "all", 0, NULL, 'a' },    { "json", 0, NULL, 'j' },
                                                 { "server", 1, NULL, 's' }, { 0 } };
        struct list l = { .limit = 50 };
        char *cursor = NULL;
        int c, r;

        while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
                if (c == 'S')
                        l.state = optarg;
                else if (c == 'l')
                        l.limit = atol(optarg);
                else if (c == 'a')
                        l.all = true;
                else if (c == 'j')
                        l.as_json = true;
                else if (c == 's')
                        l.server = optarg;
                else
                        return EXIT_USAGE;
        }
        if (optind < argc)
                return usage_error("list", "'%s' is not an option", argv[optind]);
        if (l.limit < 1 || l.limit > 1000 || (l.state && !is_plain(l.state)))
                return usage_error("list", l.state && !is_plain(l.state)
                                                   ? "--state takes names of states with commas between"
                                                   : "--limit takes 1 to 1000");
        l.colours = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
        r = talk_open(&l.talk, l.server);
        if (r == EXIT_OK) {
                do
                        r = list_page(&l, &cursor);
                while (r == EXIT_OK && l.all && cursor);
                if (r == EXIT_OK && cursor && !l.as_json)
                        printf("… and older ones (--all, --limit)\n");
                if (r == EXIT_OK && l.shown == 0 && !l.as_json)
                        printf("no jobs\n");
        }
        free(cursor);
        talk_close(&l.talk);
        return r;
}

const struct verb verb_list = {
        .name = "list",
        .line = "list jobs, newest first",
        .help = "usage: sendoff list [--state STATE,...] [--limit N | --all] [--json] [--server "
                "unix:PATH]\n\n"
                "States: scheduled, ready, running, succeeded, failed, dead, cancelled, held.\n\n"
                "  sendoff list\n  sendoff list --state ready,running\n  sendoff list --all --json | jq -r "
                "'select(.status == 500).id'\n",
        .run = list_run,
};
