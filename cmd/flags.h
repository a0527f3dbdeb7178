/* The flags of a verb, read with getopt_long; --help, unknown and incomplete flags are dealt with here, in
 * the same words everywhere. */
#ifndef SENDOFF_CMD_FLAGS_H
#define SENDOFF_CMD_FLAGS_H

#include <getopt.h>
#include <stdint.h>

#include "cmd/verb.h"

struct flags {
        const struct verb *verb;
        int argc;
        char **argv;
        const char *shorts;         /* begins with ':', knows 'h' */
        const struct option *longs; /* ends with zeros, knows FLAG_HELP */
        int code; /* set by flags_next when it returns 0: -1 go on with argv[optind…], else the exit code */
};

#define FLAG_HELP                                                                                            \
        {                                                                                                    \
                "help", 0, NULL, 'h'                                                                         \
        }

/* The next flag's letter or number, its value in optarg. 0: no more, or nothing more to do: see code. */
int flags_next(struct flags *f);

/* A flag's value as milliseconds ("90", "10m") or as a number, both 1 … max. EXIT_OK or EXIT_USAGE, said. */
int flag_duration(const struct verb *verb, const char *flag, const char *text, int64_t *ms);
int flag_number(const struct verb *verb, const char *flag, const char *text, uint64_t max, uint64_t *out);

#endif
