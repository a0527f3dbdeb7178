/* sendoff cancel: queued jobs are cancelled, running ones are ended. */
#include <stdio.h>

#include "cmd/flags.h"
#include "cmd/talk.h"

static int cancel_one(struct talk *t, const char *id)
{
        struct client_reply reply;
        char path[96];
        int r;

        snprintf(path, sizeof(path), "/v1/jobs/%s/cancel", id);
        r = talk_ask(t, "POST", path, SLICE(""), NULL, &reply);
        if (r == EXIT_OK && reply.status == 409) {
                talk_refused(id, &reply);
                r = EXIT_JOB;
        } else if (r == EXIT_OK && reply.status != 200 && reply.status != 202) {
                r = talk_refused(id, &reply);
        } else if (r == EXIT_OK) {
                printf("%s  %s\n", id, reply.status == 200 ? "cancelled" : "is being ended");
        }
        client_reply_fini(&reply);
        return r;
}

static int cancel(int argc, char **argv)
{
        static const struct option options[] = { { "server", 1, NULL, 's' }, FLAG_HELP, { 0 } };
        struct flags f = {
                .verb = &verb_cancel, .argc = argc, .argv = argv, .shorts = ":h", .longs = options
        };
        const char *server = NULL;
        char id[TALK_ID_SIZE];
        int worst;
        struct talk t;

        while (flags_next(&f) > 0)
                server = optarg;
        if (f.code >= 0)
                return f.code;
        worst = check_ids("cancel", argc, argv);
        if (worst != EXIT_OK)
                return worst;
        worst = talk_open(&t, server);
        for (int i = optind; i < argc && worst < EXIT_USAGE; i++) {
                int r = cancel_one(&t, talk_id(argv[i], id));

                worst = r > worst ? r : worst;
        }
        talk_close(&t);
        return worst;
}

const struct verb verb_cancel = {
        .name = "cancel",
        .line = "cancel jobs: queued ones at once, running ones are ended",
        .help = "usage: sendoff cancel ID... [--server unix:PATH]\n\n"
                "A queued job is cancelled, a running one is ended. ID is a job id or a status\nURL.\n\n"
                "Exit code 0: done or under way; 1: a job had ended already; 3: no such job, or\nno "
                "server.\n\n"
                "  sendoff cancel 000000018pjptgs4n38ajb8sxwn3\n"
                "  sendoff list --state ready --all --json | jq -r .id | xargs sendoff cancel\n",
        .run = cancel,
};
