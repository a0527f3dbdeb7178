/* sendoff list: jobs, newest first, as a table or one JSON record a line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/wrap.h"
#include "cmd/flags.h"
#include "cmd/human.h"
#include "cmd/talk.h"

#define LIMIT_MAX     1000000
#define TARGET_COLUMN 72 /* where the last column begins */

struct list {
        struct talk talk;
        const char *server, *state;
        uint64_t limit, shown;
        bool all, as_json, colours;
        unsigned width; /* of the terminal; 0: none, nothing is cut */
};

static void print_cut(const struct list *l, const char *method, const char *target)
{
        size_t room = l->width > TARGET_COLUMN + 8 ? l->width - TARGET_COLUMN : SIZE_MAX,
               used = strlen(method) + 1;

        if (l->width == 0 || room == SIZE_MAX || used >= room || used + strlen(target) <= room)
                printf("%s%s%s\n", method, *method ? " " : "", target);
        else
                printf("%s%s%.*s…\n", method, *method ? " " : "", (int)(room - used - 1), target);
}

/* What is left of the line on a terminal. A program has no method. */
static void print_target(const struct list *l, const char *method, const char *given)
{
        bool program = strncmp(given, "exec:", 5) == 0;
        char *target = human_clean(mem_dup(given));

        print_cut(l, program ? "" : method, target);
        free(target);
}

/* What it answered, or how far it is while it runs. */
static const char *status_of(const json_t *job, char out[HUMAN_SIZE])
{
        const char *progress =
                strcmp(json_text(job, "state"), "running") == 0 ? human_progress_short(job, out) : "";

        return *progress ? progress : human_answer(job, out);
}

static void print_row(const struct list *l, const json_t *job)
{
        const json_t *runs = json_object_get(job, "runs"),
                     *last = json_array_get(runs, json_array_size(runs) - 1);
        int64_t now = clock_real_ms(), began = human_time(last, "started_at"),
                ended = human_time(last, "ended_at");
        int64_t took = began < 0 ? -1 : ended < 0 ? now - began : ended - began;
        char age[HUMAN_SIZE], time[HUMAN_SIZE], status[HUMAN_SIZE];
        const char *state = json_text(job, "state");

        printf("%-28s  %s%-9s%s  %3lld  %5s  %6s  %6s  ", json_text(job, "id"),
               l->colours ? human_state_colour(state) : "", state, l->colours ? "\033[0m" : "",
               (long long)json_integer_value(json_object_get(job, "run")),
               human_span(now - human_time(job, "created_at"), age), human_span(took, time),
               status_of(job, status));
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

static int list_all(struct list *l)
{
        char *cursor = NULL;
        int r = talk_open(&l->talk, l->server);

        if (r == EXIT_OK) {
                do {
                        uint64_t left = l->limit - l->shown;
                        json_t *page;

                        r = talk_page(&l->talk, l->state,
                                      l->all || left > TALK_PAGE_MAX ? TALK_PAGE_MAX : left, &cursor, &page);
                        print_page(l, json_object_get(page, "jobs"));
                        json_decref(page);
                } while (r == EXIT_OK && cursor && (l->all || l->shown < l->limit));
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
        struct list l = { .limit = 50 };
        int c;

        while ((c = flags_next(&f)) > 0)
                if (list_flag(&l, c) != EXIT_OK)
                        return EXIT_USAGE;
        if (f.code >= 0)
                return f.code;
        if (optind < argc)
                return usage_error("list", "'%s': not expected here", argv[optind]);
        l.colours = human_colours();
        if (isatty(STDOUT_FILENO))
                l.width = wrap_width(STDOUT_FILENO);
        return list_all(&l);
}

const struct verb verb_list = {
        .name = "list",
        .line = "list jobs, newest first",
        .help = "usage: sendoff list [--state STATE,...] [--limit N | --all] [--json]\n"
                "                    [--server unix:PATH]\n\n"
                "Jobs, newest first: 50 of them unless --limit or --all say otherwise. --json\n"
                "prints the whole record of each, a line each. STATUS is what the job answered\n"
                "(an HTTP status, a program's exit code, a signal), or how far it is.\n"
                "States: scheduled, ready, running, succeeded, failed, dead, cancelled, held.\n\n"
                "  sendoff list\n"
                "  sendoff list --state ready,running\n"
                "  sendoff list --all --json | jq -r 'select(.status == 500).id'\n",
        .run = list_run,
};
