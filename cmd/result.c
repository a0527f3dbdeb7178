/* sendoff result: what a job's script answered. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cmd/talk.h"
#include "cmd/verb.h"

static int result(int argc, char **argv)
{
        static const struct option options[] = {
                { "headers", 0, NULL, 'i' }, { "output", 1, NULL, 'o' }, { "server", 1, NULL, 's' }, { 0 }
        };
        const char *server = NULL, *path = NULL;
        char id[TALK_ID_SIZE];
        bool headers = false;
        FILE *out = stdout;
        struct talk t;
        int c, r;

        while ((c = getopt_long(argc, argv, "io:", options, NULL)) != -1) {
                if (c == 'i')
                        headers = true;
                else if (c == 'o')
                        path = optarg;
                else if (c == 's')
                        server = optarg;
                else
                        return EXIT_USAGE;
        }
        if (argc - optind != 1 || !talk_id(argv[optind], id))
                return usage_error("result",
                                   argc - optind == 1 ? "'%s' is no job id" : "one job id is wanted",
                                   argv[optind]);
        r = talk_open(&t, server);
        if (r == EXIT_OK && path && !(out = fopen(path, "we"))) {
                fprintf(stderr, "sendoff result: cannot write %s: %s\n", path, strerror(errno));
                r = EXIT_USAGE;
        }
        if (r == EXIT_OK)
                r = talk_result(&t, id, headers, out);
        if (out && out != stdout && fclose(out) != 0)
                r = EXIT_SERVER;
        talk_close(&t);
        return r;
}

const struct verb verb_result = {
        .name = "result",
        .line = "print what a job's script answered",
        .help = "usage: sendoff result ID [-i] [-o FILE] [--server unix:PATH]\n\n  -i, --headers       the "
                "status line and headers first\n  -o, --output FILE   into a file\n\n"
                "  sendoff result 000000018pjptgs4n38ajb8sxwn3 > report.txt\n",
        .run = result,
};
