/* See flags.h. getopt_long keeps its place in variables of its own: one verb reads its flags once in a
 * process. */
#include "cmd/flags.h"

#include <stdio.h>
#include <string.h>

#include "base/nearest.h"
#include "base/option.h"

#define DURATION_MAX_MS (UINT64_C(30) * 86400000)

static int unknown_long(const struct flags *f, const char *word)
{
        size_t len = strcspn(word + 2, "=");
        struct nearest n;

        nearest_init(&n, (struct slice){ word + 2, len });
        for (const struct option *o = f->longs; o->name; o++)
                nearest_offer(&n, o->name);
        if (n.best)
                return usage_error(f->verb->name, "%.*s: there is no such option; did you mean --%s?",
                                   (int)len + 2, word, n.best);
        return usage_error(f->verb->name, "%.*s: there is no such option", (int)len + 2, word);
}

/* getopt_long has stopped at the word before optind. */
static int misused(const struct flags *f, bool incomplete)
{
        const char *word = f->argv[optind - 1];

        if (incomplete && strncmp(word, "--", 2) == 0)
                return usage_error(f->verb->name, "%s: a value is missing", word);
        if (incomplete)
                return usage_error(f->verb->name, "-%c: a value is missing", optopt);
        if (optopt == 0)
                return unknown_long(f, word);
        if (strncmp(word, "--", 2) == 0 && strchr(word, '='))
                return usage_error(f->verb->name, "%.*s takes no value", (int)strcspn(word, "="), word);
        return usage_error(f->verb->name, "-%c: there is no such option", optopt);
}

int flags_next(struct flags *f)
{
        int c = getopt_long(f->argc, f->argv, f->shorts, f->longs, NULL);

        switch (c) {
        case -1:
                f->code = -1;
                return 0;
        case 'h':
                fputs(f->verb->help, stdout);
                if (f->verb->more_help)
                        f->verb->more_help();
                f->code = EXIT_OK;
                return 0;
        case '?':
        case ':':
                f->code = misused(f, c == ':');
                return 0;
        default:
                return c;
        }
}

int flag_duration(const struct verb *verb, const char *flag, const char *text, int64_t *ms)
{
        uint64_t n;

        if (option_duration_parse(text, DURATION_MAX_MS, &n) != 0 || n == 0)
                return usage_error(verb->name, "%s: '%s' is not a time (1ms … 30d, seconds without a unit)",
                                   flag, text);
        *ms = (int64_t)n;
        return EXIT_OK;
}

int flag_number(const struct verb *verb, const char *flag, const char *text, uint64_t max, uint64_t *out)
{
        if (!slice_to_u64(slice_of(text), max, out) || *out == 0)
                return usage_error(verb->name, "%s: '%s' is not a number (1 … %llu)", flag, text,
                                   (unsigned long long)max);
        return EXIT_OK;
}
