/* sendoff cancel: queued jobs are cancelled, running ones are ended. */
#include <getopt.h>
#include <stdio.h>

#include "cmd/talk.h"
#include "cmd/verb.h"

static int cancel_one(struct talk *t, const char *word)
{
        struct client_reply reply;
        char id[TALK_ID_SIZE], path[96];
        int r;

        if (!talk_id(word, id))
                return usage_error("cancel", "'%s' is no job id", word);
        snprintf(path, sizeof(path), "/v1/jobs/%s/cancel", id);
        r = talk_ask(t, "POST", path, SLICE(""), NULL, &reply);
        if (r == EXIT_OK && reply.status == 409)
                r = (talk_refused(id, &reply), EXIT_JOB);
        else if (r == EXIT_OK && reply.status != 200 && reply.status != 202)
                r = talk_refused(id, &reply);
        else if (r == EXIT_OK)
                printf("%s  %s\n", id, reply.status == 200 ? "cancelled" : "is being ended");
        client_reply_fini(&reply);
        return r;
}

static int cancel(int argc, char **argv)
{
        static const struct option options[] = { { "server", 1, NULL, 's' }, { 0 } };
        const char *server = NULL;
        int c, r, worst = EXIT_OK;
        struct talk t;

        while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
                if (c != 's')
                        return EXIT_USAGE;
                server = optarg;
        }
        if (optind == argc)
                return usage_error("cancel", "which job? An id is missing");
        r = talk_open(&t, server);
        if (r != EXIT_OK)
                worst = r;
        for (int i = optind; i < argc && worst < EXIT_USAGE; i++) {
                r = cancel_one(&t, argv[i]);
                worst = r > worst ? r : worst;
        }
        talk_close(&t);
        return worst;
}

const struct verb verb_cancel = {
        .name = "cancel",
        .line = "cancel jobs: queued ones at once, running ones are ended",
        .help = "usage: sendoff cancel ID... [--server unix:PATH]\n\nExit code 1: a job had ended "
                "already.\n\n  sendoff cancel 000000018pjptgs4n38ajb8sxwn3\n",
        .run = cancel,
};
