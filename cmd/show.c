/* sendoff show: the record of a job, for people or as JSON. */
#include <stdio.h>

#include "cmd/flags.h"
#include "cmd/talk.h"

static void line(const char *label, const char *value)
{
        if (value[0])
                printf("%-14s %s\n", label, value);
}

static void number(const json_t *object, const char *label, const char *key)
{
        const json_t *value = json_object_get(object, key);

        if (json_is_integer(value))
                printf("%-14s %lld\n", label, (long long)json_integer_value(value));
}

static void print_runs(const json_t *runs)
{
        for (size_t i = 0; i < json_array_size(runs); i++) {
                const json_t *run = json_array_get(runs, i);
                const json_t *status = json_object_get(run, "status");

                printf("run %-10lld %s  %s - %s",
                       (long long)json_integer_value(json_object_get(run, "number")),
                       json_text(run, "outcome"), json_text(run, "started_at"),
                       json_text(run, "ended_at")[0] ? json_text(run, "ended_at") : "…");
                if (json_is_integer(status))
                        printf("  status %lld", (long long)json_integer_value(status));
                printf("  connection status %lld\n",
                       (long long)json_integer_value(json_object_get(run, "connection_status")));
                if (json_text(run, "reason")[0])
                        printf("               %s\n", json_text(run, "reason"));
        }
}

static void print_job(const json_t *job)
{
        line("id", json_text(job, "id"));
        line("state", json_text(job, "state"));
        line("waiting for", json_text(job, "waiting_for"));
        printf("%-14s %s %s\n", "target", json_text(job, "method"), json_text(job, "target"));
        line("created", json_text(job, "created_at"));
        line("finished", json_text(job, "finished_at"));
        number(job, "status", "status");
        number(job, "crashes", "crashes");
        line("reason", json_text(job, "reason"));
        line("location", json_text(job, "location"));
        print_runs(json_object_get(job, "runs"));
}

static int show_one(struct talk *t, const char *id, bool as_json)
{
        json_t *job;
        int r = talk_job(t, id, 0, &job);

        if (r != EXIT_OK)
                return r;
        if (as_json)
                print_json(job);
        else
                print_job(job);
        json_decref(job);
        return EXIT_OK;
}

static int show(int argc, char **argv)
{
        static const struct option options[] = {
                { "json", 0, NULL, 'j' }, { "server", 1, NULL, 's' }, FLAG_HELP, { 0 }
        };
        struct flags f = { .verb = &verb_show, .argc = argc, .argv = argv, .shorts = ":h", .longs = options };
        const char *server = NULL;
        char id[TALK_ID_SIZE];
        bool as_json = false;
        struct talk t;
        int c, r;

        while ((c = flags_next(&f)) > 0) {
                if (c == 'j')
                        as_json = true;
                else
                        server = optarg;
        }
        if (f.code >= 0)
                return f.code;
        r = check_ids("show", argc, argv);
        if (r != EXIT_OK)
                return r;
        r = talk_open(&t, server);
        for (int i = optind; i < argc && r == EXIT_OK; i++) {
                if (i > optind && !as_json)
                        putchar('\n');
                r = show_one(&t, talk_id(argv[i], id), as_json);
        }
        talk_close(&t);
        return r;
}

const struct verb verb_show = {
        .name = "show",
        .line = "show a job: its state, and every run it had",
        .help = "usage: sendoff show ID... [--json] [--server unix:PATH]\n\n"
                "ID is a job id or a status URL. --json prints the whole record, a line each.\n\n"
                "Exit code 3: no such job, or no server.\n\n"
                "  sendoff show 000000018pjptgs4n38ajb8sxwn3\n"
                "  sendoff show --json 000000018pjptgs4n38ajb8sxwn3 | jq .runs\n",
        .run = show,
};
