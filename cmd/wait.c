/* sendoff wait: until jobs have ended. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "cmd/talk.h"
#include "cmd/verb.h"

static int wait_one(struct talk *t, const char *word, int timeout_s, bool as_json)
{
        char id[TALK_ID_SIZE];
        json_t *job;
        int r;

        if (!talk_id(word, id))
                return usage_error("wait", "'%s' is no job id", word);
        r = talk_wait(t, id, timeout_s, &job);
        if (r != EXIT_OK)
                return r;
        if (as_json) {
                char *text = json_dumps(job, JSON_COMPACT);

                puts(text ? text : "{}");
                free(text);
        } else {
                printf("%s  %s%s%s\n", id, json_text(job, "state"), json_text(job, "reason")[0] ? ": " : "",
                       json_text(job, "reason"));
        }
        fflush(stdout);
        if (!job_is_final(job))
                fprintf(stderr, "sendoff wait: %s has not ended after %d s; it goes on\n", id, timeout_s);
        r = job_succeeded(job) ? EXIT_OK : EXIT_JOB;
        json_decref(job);
        return r;
}

static int wait_run(int argc, char **argv)
{
        static const struct option options[] = {
                { "json", 0, NULL, 'j' }, { "timeout", 1, NULL, 't' }, { "server", 1, NULL, 's' }, { 0 }
        };
        const char *server = NULL;
        bool as_json = false;
        int c, r, worst = EXIT_OK, timeout_s = 0;
        struct talk t;

        while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
                if (c == 'j')
                        as_json = true;
                else if (c == 's')
                        server = optarg;
                else if (c == 't')
                        timeout_s = atoi(optarg);
                else
                        return EXIT_USAGE;
        }
        if (timeout_s < 0 || timeout_s > 1000000)
                return usage_error("wait", "--timeout takes seconds, 0 (none) to 1000000");
        if (optind == argc)
                return usage_error("wait", "which job? An id is missing");
        r = talk_open(&t, server);
        if (r != EXIT_OK)
                worst = r;
        for (int i = optind; i < argc && worst < EXIT_USAGE; i++) {
                r = wait_one(&t, argv[i], timeout_s, as_json);
                worst = r > worst ? r : worst;
        }
        talk_close(&t);
        return worst;
}

const struct verb verb_wait = {
        .name = "wait",
        .line = "wait until jobs have ended",
        .help = "usage: sendoff wait ID... [--timeout SECONDS] [--json] [--server unix:PATH]\n\nExit code 0: "
                "all succeeded; 1: one did not, or the time was over (it goes on); 3: no server.\n\n"
                "  id=$(sendoff send --json /report.php | jq -r .id)\n  sendoff wait \"$id\" && sendoff "
                "result \"$id\"\n",
        .run = wait_run,
};
