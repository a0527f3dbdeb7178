/* sendoff retry: jobs are run again, one by one or all of a state. A held or scheduled job goes on by itself;
 * the work of one that has ended is done by a new job. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cmd/flags.h"
#include "cmd/progress.h"
#include "cmd/talk.h"

struct retry {
        struct talk talk;
        bool as_json;
        bool many; /* all of a state: with a progress line, and one that has gone since is passed over */
        uint64_t done, refused;
};

static void print_retried(struct retry *q, const char *id, const struct client_reply *reply)
{
        json_t *json = talk_json(reply);

        q->done++;
        if (q->many && isatty(STDOUT_FILENO))
                progress_clear();
        if (q->as_json)
                print_json(json);
        else if (reply->status == 202)
                printf("%s  runs again as %s\n", id, json_text(json, "id"));
        else
                printf("%s  goes on\n", id);
        json_decref(json);
}

static int retry_one(struct retry *q, const char *id)
{
        struct client_reply reply;
        char path[96];
        int r;

        snprintf(path, sizeof(path), "/v1/jobs/%s/retry", id);
        r = talk_ask(&q->talk, "POST", path, SLICE(""), NULL, &reply);
        if (r == EXIT_OK && (reply.status == 200 || reply.status == 202)) {
                print_retried(q, id, &reply);
        } else if (r == EXIT_OK) {
                if (q->many)
                        progress_clear();
                r = talk_refused(id, &reply);
                if (reply.status == 409 || (q->many && reply.status == 404))
                        r = EXIT_JOB;
                q->refused++;
        }
        client_reply_fini(&reply);
        return r;
}

/* ---- all of a state ---- */

struct found {
        char (*ids)[TALK_ID_SIZE];
        size_t count, room;
};

static void add_found(struct found *found, const json_t *job)
{
        if (json_text(job, "retried_as")[0])
                return;
        if (found->count == found->room) {
                size_t room = found->room ? 2 * found->room : TALK_PAGE_MAX;
                char(*more)[TALK_ID_SIZE] = mem_alloc(room * sizeof(*more));

                if (found->count)
                        memcpy(more, found->ids, found->count * sizeof(*more));
                free(found->ids);
                found->ids = more;
                found->room = room;
        }
        snprintf(found->ids[found->count++], TALK_ID_SIZE, "%s", json_text(job, "id"));
}

/* The ids are read first: what is run again is a job of its own, and must not be met again. */
static int find_all(struct retry *q, const char *state, struct found *found)
{
        char *cursor = NULL;
        int r;

        do {
                json_t *page, *job;
                size_t i;

                r = talk_page(&q->talk, state, TALK_PAGE_MAX, &cursor, &page);
                json_array_foreach(json_object_get(page, "jobs"), i, job) add_found(found, job);
                json_decref(page);
        } while (r == EXIT_OK && cursor);
        free(cursor);
        return r;
}

static bool agreed(const char *state, size_t count)
{
        char answer[16] = "";

        fprintf(stderr, "Run %zu %s job%s again? [y/N] ", count, state, count == 1 ? "" : "s");
        return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

/* In the order in which they were sent: the list begins with the newest. */
static int retry_found(struct retry *q, const char *state, const struct found *found, bool yes)
{
        int worst = EXIT_OK;

        if (found->count == 0) {
                fprintf(stderr, "sendoff retry: there are no %s jobs that were not run again yet\n", state);
                return EXIT_OK;
        }
        if (!yes && !agreed(state, found->count))
                return EXIT_JOB;
        for (size_t i = 0; i < found->count && worst < EXIT_USAGE; i++) {
                int r = retry_one(q, found->ids[found->count - 1 - i]);

                worst = r > worst ? r : worst;
                progress_count("run again", i + 1, found->count);
        }
        progress_clear();
        if (!q->as_json)
                fprintf(stderr, "%llu run again, %llu refused\n", (unsigned long long)q->done,
                        (unsigned long long)q->refused);
        return worst;
}

static int retry_state(struct retry *q, const char *state, bool yes)
{
        struct found found = { 0 };
        int r = find_all(q, state, &found);

        q->many = true;
        if (r == EXIT_OK)
                r = retry_found(q, state, &found, yes);
        free(found.ids);
        return r;
}

static int retry_ids(struct retry *q, int argc, char **argv)
{
        char id[TALK_ID_SIZE];
        int worst = EXIT_OK;

        for (int i = optind; i < argc && worst < EXIT_USAGE; i++) {
                int r = retry_one(q, talk_id(argv[i], id));

                worst = r > worst ? r : worst;
        }
        return worst;
}

static int retry(int argc, char **argv)
{
        static const struct option options[] = { { "state", 1, NULL, 'S' },
                                                 { "yes", 0, NULL, 'y' },
                                                 { "json", 0, NULL, 'j' },
                                                 { "server", 1, NULL, 's' },
                                                 FLAG_HELP,
                                                 { 0 } };
        struct flags f = {
                .verb = &verb_retry, .argc = argc, .argv = argv, .shorts = ":yh", .longs = options
        };
        const char *server = NULL, *state = NULL;
        struct retry q = { .as_json = false };
        bool yes = false;
        int c, r;

        while ((c = flags_next(&f)) > 0) {
                if (c == 'S')
                        state = optarg;
                else if (c == 'y')
                        yes = true;
                else if (c == 'j')
                        q.as_json = true;
                else
                        server = optarg;
        }
        if (f.code >= 0)
                return f.code;
        if (state && optind < argc)
                return usage_error("retry", "give ids or --state, not both");
        if (state && !yes && !isatty(STDIN_FILENO))
                return usage_error("retry",
                                   "--state runs many jobs again: say --yes where nobody can be asked");
        r = state ? check_states("retry", state) : check_ids("retry", argc, argv);
        if (r == EXIT_OK)
                r = talk_open(&q.talk, server);
        else
                return r;
        if (r == EXIT_OK)
                r = state ? retry_state(&q, state, yes) : retry_ids(&q, argc, argv);
        talk_close(&q.talk);
        return r;
}

const struct verb verb_retry = {
        .name = "retry",
        .line = "run jobs again: dead and failed ones, held ones, all of a state",
        .help = "usage: sendoff retry ID... [--json] [--server unix:PATH]\n"
                "       sendoff retry --state STATE,... [--yes] [--json]\n\n"
                "A held job goes on, a scheduled one runs now. What has ended stays as it is: its\n"
                "work is done again by a new job, once (`sendoff show` names it).\n\n"
                "      --state STATE,...   all jobs in these states that were not run again yet:\n"
                "                          dead, failed, cancelled, held, scheduled\n"
                "  -y, --yes               do not ask\n"
                "      --json              one receipt a line\n\n"
                "Exit code 0: done; 1: a job could not be run again; 3: no such job, or no\n"
                "server.\n\n"
                "  sendoff retry 000000018pjptgs4n38ajb8sxwn3\n"
                "  sendoff retry --state dead                     asks before\n"
                "  sendoff retry --state dead,failed --yes --json | jq -r .id\n",
        .run = retry,
};
