/* sendoff show: the record of a job, for people or as JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static const char *connection_words(const json_t *run)
{
        static const char *const words[] = { "", "aborted", "timed out", "aborted and timed out" };
        json_int_t status = json_integer_value(json_object_get(run, "connection_status"));

        return words[status & 3];
}

static void part(const json_t *run, const char *key, const char *format)
{
        const json_t *value = json_object_get(run, key);
        char text[64];

        if (!json_is_integer(value))
                return;
        snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(value));
        printf(", %s %s", format, text);
}

static void print_run(const json_t *run)
{
        const json_t *rss = json_object_get(run, "peak_rss_kb"), *cpu = json_object_get(run, "cpu_ms");

        printf("run %-10lld %s to %s\n", (long long)json_integer_value(json_object_get(run, "number")),
               json_text(run, "started_at"),
               json_text(run, "ended_at")[0] ? json_text(run, "ended_at") : "now");
        printf("%-14s %s", "", json_text(run, "outcome"));
        if (connection_words(run)[0])
                printf(", %s", connection_words(run));
        part(run, "status", "status");
        part(run, "exit_code", "exit code");
        part(run, "signal", "signal");
        if (json_is_integer(cpu))
                printf(", %.3f s CPU", (double)json_integer_value(cpu) / 1000);
        if (json_is_integer(rss))
                printf(", %.1f MB at most", (double)json_integer_value(rss) / 1024);
        putchar('\n');
        line("", json_text(run, "reason"));
}

static void print_progress(const json_t *progress)
{
        const json_t *total = json_object_get(progress, "total");

        if (!json_is_object(progress))
                return;
        printf("%-14s %lld", "progress", (long long)json_integer_value(json_object_get(progress, "done")));
        if (json_is_integer(total))
                printf("/%lld", (long long)json_integer_value(total));
        printf(" %s\n", json_text(progress, "note"));
}

static void print_options(const json_t *options)
{
        char *text = json_object_size(options) ? json_dumps(options, JSON_COMPACT | JSON_REAL_PRECISION(15))
                                               : NULL;

        line("asked", text ? text : "");
        free(text);
}

static void print_job(const json_t *job)
{
        const json_t *runs = json_object_get(job, "runs");
        bool program = strcmp(json_text(job, "runner"), "exec") == 0;

        line("id", json_text(job, "id"));
        line("state", json_text(job, "state"));
        line("waiting for", json_text(job, "waiting_for"));
        printf("%-14s %s%s%s\n", "target", program ? "" : json_text(job, "method"), program ? "" : " ",
               json_text(job, "target"));
        line("created", json_text(job, "created_at"));
        line("finished", json_text(job, "finished_at"));
        print_progress(json_object_get(job, "progress"));
        number(job, "status", "status");
        number(job, "exit code", "exit_code");
        number(job, "retries left", "retries_left");
        number(job, "crashes", "crashes");
        line("reason", json_text(job, "reason"));
        print_options(json_object_get(job, "options"));
        line("retry of", json_text(job, "retry_of"));
        line("retried as", json_text(job, "retried_as"));
        line("then of", json_text(job, "then_of"));
        line("location", json_text(job, "location"));
        for (size_t i = 0; i < json_array_size(runs); i++)
                print_run(json_array_get(runs, i));
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
