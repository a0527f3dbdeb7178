/* sendoff wait: until jobs have ended, one after the other. */
#include <stdio.h>

#include "cmd/flags.h"
#include "cmd/progress.h"
#include "cmd/talk.h"

static int wait_one(struct talk *t, const char *id, int64_t timeout_ms, bool as_json)
{
        json_t *job;
        int r = progress_wait(t, id, timeout_ms, &job);

        if (r != EXIT_OK)
                return r;
        if (as_json)
                print_json(job);
        else
                printf("%s  %s%s%s\n", id, json_text(job, "state"), json_text(job, "reason")[0] ? ": " : "",
                       json_text(job, "reason"));
        fflush(stdout);
        if (!job_is_final(job))
                fprintf(stderr, "sendoff wait: %s has not ended in time; it goes on\n", id);
        r = job_succeeded(job) ? EXIT_OK : EXIT_JOB;
        json_decref(job);
        return r;
}

static int wait_run(int argc, char **argv)
{
        static const struct option options[] = { { "json", 0, NULL, 'j' },
                                                 { "timeout", 1, NULL, 't' },
                                                 { "server", 1, NULL, 's' },
                                                 FLAG_HELP,
                                                 { 0 } };
        struct flags f = { .verb = &verb_wait, .argc = argc, .argv = argv, .shorts = ":h", .longs = options };
        const char *server = NULL;
        char id[TALK_ID_SIZE];
        bool as_json = false;
        int64_t timeout_ms = 0;
        struct talk t;
        int c, worst;

        while ((c = flags_next(&f)) > 0) {
                if (c == 'j')
                        as_json = true;
                else if (c == 's')
                        server = optarg;
                else if (flag_duration(&verb_wait, "--timeout", optarg, &timeout_ms) != EXIT_OK)
                        return EXIT_USAGE;
        }
        if (f.code >= 0)
                return f.code;
        worst = check_ids("wait", argc, argv);
        if (worst != EXIT_OK)
                return worst;
        worst = talk_open(&t, server);
        for (int i = optind; i < argc && worst < EXIT_USAGE; i++) {
                int r = wait_one(&t, talk_id(argv[i], id), timeout_ms, as_json);

                worst = r > worst ? r : worst;
        }
        talk_close(&t);
        return worst;
}

const struct verb verb_wait = {
        .name = "wait",
        .line = "wait until jobs have ended",
        .help = "usage: sendoff wait ID... [--timeout TIME] [--json] [--server unix:PATH]\n\n"
                "ID is a job id or a status URL. TIME is for each job: 90, 10m; none without it.\n\n"
                "Exit code 0: all succeeded; 1: one did not, or the time was over (it goes on);\n3: no such "
                "job, or no server.\n\n"
                "  id=$(sendoff send --json /report.php | jq -r .id)\n"
                "  sendoff wait \"$id\" && sendoff result \"$id\"\n",
        .run = wait_run,
};
