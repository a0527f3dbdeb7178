/* sendoff show: the record of a job, as a page for people or as JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/option.h"
#include "cmd/flags.h"
#include "cmd/human.h"
#include "cmd/talk.h"
#include "job/options.h"

static void line(const char *label, const char *value)
{
        char *text = human_clean(mem_dup(value));

        if (*text)
                printf("%-14s %s\n", label, text);
        free(text);
}

static void number(const char *label, const json_t *value)
{
        if (json_is_integer(value))
                printf("%-14s %lld\n", label, (long long)json_integer_value(value));
}

/* ---- what was asked ---- */

static char *option_text(const struct job_option_row *row, const json_t *value)
{
        char text[OPTION_NUMBER_SIZE];

        if (json_is_string(value))
                return mem_dup(json_string_value(value));
        if (row->kind == JOB_OPTION_DURATION)
                return mem_dup(option_duration_text((uint64_t)(json_number_value(value) * 1000 + 0.5), text));
        if (row->kind == JOB_OPTION_SIZE)
                return mem_dup(option_size_text((uint64_t)json_integer_value(value), text));
        return mem_printf("%lld", (long long)json_integer_value(value));
}

/* A line each, named as the flag that asks for it. */
static void print_options(const json_t *options)
{
        const char *label = "asked";

        for (const struct job_option_row *row = job_option_rows; row->name; row++) {
                const json_t *parent = row->parent ? json_object_get(options, row->parent) : options,
                             *value = json_object_get(parent, row->field);
                char *text, *both;

                if (!value || json_is_null(value))
                        continue;
                text = option_text(row, value);
                both = mem_printf("--%s %s", row->name, text);
                for (char *c = both; *c != ' '; c++)
                        if (*c == '_')
                                *c = '-';
                line(label, both);
                label = "";
                free(both);
                free(text);
        }
}

/* ---- runs ---- */

static const char *cpu_text(const json_t *run, char out[HUMAN_SIZE])
{
        const json_t *ms = json_object_get(run, "cpu_ms");

        if (json_is_integer(ms))
                snprintf(out, HUMAN_SIZE, "%.2fs", (double)json_integer_value(ms) / 1000);
        else
                snprintf(out, HUMAN_SIZE, "-");
        return out;
}

static const char *memory_text(const json_t *run, char out[HUMAN_SIZE])
{
        const json_t *kb = json_object_get(run, "peak_rss_kb");

        if (json_is_integer(kb))
                snprintf(out, HUMAN_SIZE, "%.1fM", (double)json_integer_value(kb) / 1024);
        else
                snprintf(out, HUMAN_SIZE, "-");
        return out;
}

static void print_run(const json_t *run)
{
        int64_t began = human_time(run, "started_at"), ended = human_time(run, "ended_at");
        char took[HUMAN_SIZE], answer[HUMAN_SIZE], cpu[HUMAN_SIZE], memory[HUMAN_SIZE];
        char *reason = human_clean(mem_dup(json_text(run, "reason")));

        printf("%3lld  %-24s  %6s  %-9s  %-8s  %8s  %8s  %s\n",
               (long long)json_integer_value(json_object_get(run, "number")), json_text(run, "started_at"),
               human_span(ended < 0 ? -1 : ended - began, took), json_text(run, "outcome"),
               human_answer(run, answer), cpu_text(run, cpu), memory_text(run, memory),
               human_connection(run));
        if (*reason)
                printf("     %s\n", reason);
        free(reason);
}

static void print_runs(const json_t *runs)
{
        if (json_array_size(runs) > 0)
                printf("\n%3s  %-24s  %6s  %-9s  %-8s  %8s  %8s  %s\n", "RUN", "STARTED", "TOOK", "OUTCOME",
                       "ANSWER", "CPU", "MEMORY", "CONNECTION");
        for (size_t i = 0; i < json_array_size(runs); i++)
                print_run(json_array_get(runs, i));
}

/* ---- the page ---- */

static void print_state(const json_t *job)
{
        const char *state = json_text(job, "state");
        bool colours = human_colours();

        printf("%-14s %s%s%s\n", "state", colours ? human_state_colour(state) : "", state,
               colours ? "\033[0m" : "");
}

static void print_target(const json_t *job)
{
        const char *method = json_text(job, "method"), *target = json_text(job, "target");
        bool program = strcmp(json_text(job, "runner"), "exec") == 0;
        char *text = mem_printf("%s%s%s", program ? "" : method, program || !*method ? "" : " ", target);

        line("target", text);
        free(text);
}

/* What its last run answered, in words. */
static void print_answer(const json_t *job)
{
        const json_t *signal = json_object_get(job, "signal");
        const char *name = json_is_integer(signal) ? strsignal((int)json_integer_value(signal)) : NULL;

        number("status", json_object_get(job, "status"));
        number("exit code", json_object_get(job, "exit_code"));
        if (name)
                printf("%-14s %lld (%s)\n", "signal", (long long)json_integer_value(signal), name);
        if (json_integer_value(json_object_get(job, "connection_status")) != 0)
                line("connection", human_connection(job));
        line("reason", json_text(job, "reason"));
}

static void print_job(const json_t *job)
{
        char progress[512];

        line("id", json_text(job, "id"));
        print_state(job);
        line("progress", human_progress(job, progress, sizeof(progress)));
        line("waiting for", json_text(job, "waiting_for"));
        print_target(job);
        line("created", json_text(job, "created_at"));
        if (strcmp(json_text(job, "state"), "scheduled") == 0)
                line("runs at", json_text(job, "run_at"));
        line("finished", json_text(job, "finished_at"));
        print_answer(job);
        if (!job_is_final(job))
                number("retries left", json_object_get(job, "retries_left"));
        if (json_integer_value(json_object_get(job, "crashes")) > 0)
                number("crashes", json_object_get(job, "crashes"));
        print_options(json_object_get(job, "options"));
        line("retry of", json_text(job, "retry_of"));
        line("retried as", json_text(job, "retried_as"));
        line("then of", json_text(job, "then_of"));
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
                "How far it is, why it waits, what was asked for it, and a table of its runs:\n"
                "what each answered, the CPU time and memory it took, and whether its caller had\n"
                "gone (aborted) or its time was up (timed out). ID is a job id or a status URL.\n"
                "--json prints the whole record, a line each.\n\n"
                "Exit code 3: no such job, or no server.\n\n"
                "  sendoff show 000000018pjptgs4n38ajb8sxwn3\n"
                "  sendoff show --json 000000018pjptgs4n38ajb8sxwn3 | jq .runs\n",
        .run = show,
};
