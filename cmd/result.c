/* sendoff result: what a job's script answered. */
#include <stdio.h>

#include "cmd/flags.h"
#include "cmd/talk.h"

static int result(int argc, char **argv)
{
        static const struct option options[] = { { "headers", 0, NULL, 'i' },
                                                 { "output", 1, NULL, 'o' },
                                                 { "server", 1, NULL, 's' },
                                                 FLAG_HELP,
                                                 { 0 } };
        struct flags f = {
                .verb = &verb_result, .argc = argc, .argv = argv, .shorts = ":io:h", .longs = options
        };
        const char *server = NULL, *path = NULL;
        char id[TALK_ID_SIZE];
        bool headers = false;
        struct talk t;
        int c, r;

        while ((c = flags_next(&f)) > 0) {
                if (c == 'i')
                        headers = true;
                else if (c == 'o')
                        path = optarg;
                else
                        server = optarg;
        }
        if (f.code >= 0)
                return f.code;
        if (argc - optind != 1)
                return usage_error("result", "one job id is wanted");
        if (!talk_id(argv[optind], id))
                return usage_error("result", "'%s' is no job id", argv[optind]);
        r = talk_open(&t, server);
        if (r == EXIT_OK)
                r = talk_result(&t, id, headers, path);
        talk_close(&t);
        return r;
}

const struct verb verb_result = {
        .name = "result",
        .line = "print what a job's script or URL answered, or its program wrote",
        .help = "usage: sendoff result ID [-i] [-o FILE] [--server unix:PATH]\n\n"
                "Prints the reply of a script or a URL as it came, or what a program wrote to\n"
                "its stdout. ID is a job id or a status URL.\n\n"
                "  -i, --headers       the status line and header fields first\n"
                "  -o, --output FILE   into a file\n\n"
                "Exit code 0: there was a result, whatever its status; 3: there is none (yet),\nor no "
                "server.\n\n"
                "  sendoff result 000000018pjptgs4n38ajb8sxwn3 > report.txt\n"
                "  sendoff result -i /.sendoff/jobs/000000018pjptgs4n38ajb8sxwn3\n",
        .run = result,
};
