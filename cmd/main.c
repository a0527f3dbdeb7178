/* sendoff: one program, a file each verb. The first word chooses the verb; `sendoff TARGET` is `sendoff send
 * TARGET`. A word that is neither is refused with the verb that looks most like it. What could not be written
 * to stdout is an error. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/nearest.h"
#include "cmd/verb.h"
#include "run/exec.h"
#include "run/pool.h"

static const struct verb *const verbs[] = {
        &verb_serve,  &verb_send, &verb_list,   &verb_show,  &verb_wait,
        &verb_result, &verb_log,  &verb_cancel, &verb_retry, &verb_config,
};
#define VERB_COUNT (sizeof(verbs) / sizeof(verbs[0]))

static void help(FILE *out)
{
        fputs("sendoff - send the request off, and carry on\n\nusage: sendoff VERB [options]\n       sendoff "
              "TARGET [options]       the same as sendoff send TARGET\n\n",
              out);
        for (size_t i = 0; i < VERB_COUNT; i++)
                fprintf(out, "  %-8s %s\n", verbs[i]->name, verbs[i]->line);
        fputs("\nA first try:\n  sendoff serve ./site                       serve a folder, PHP included\n"
              "  sendoff send /report.php -d to=ada         have a script run in the background\n"
              "  sendoff send -- make -C /srv/site          a program\n"
              "  sendoff send https://example.org/hook      a URL\n"
              "  sendoff list                               see how it goes\n\nMore: sendoff VERB --help, "
              "sendoff --version\n",
              out);
}

int usage_error(const char *verb, const char *format, ...)
{
        va_list args;

        fprintf(stderr, "sendoff %s: ", verb);
        va_start(args, format);
        vfprintf(stderr, format, args);
        va_end(args);
        fprintf(stderr, "\nSee `sendoff %s --help`.\n", verb);
        return EXIT_USAGE;
}

static bool is_target(const char *word)
{
        return word[0] == '/' || strncmp(word, "http://", 7) == 0 || strncmp(word, "https://", 8) == 0;
}

static int unknown_verb(const char *word)
{
        struct nearest nearest;

        nearest_init(&nearest, slice_of(word));
        for (size_t i = 0; i < VERB_COUNT; i++)
                nearest_offer(&nearest, verbs[i]->name);
        fprintf(stderr, "sendoff: there is no verb '%s'", word);
        if (nearest.best)
                fprintf(stderr, "; did you mean '%s'?", nearest.best);
        fputs("\nSee `sendoff --help`.\n", stderr);
        return EXIT_USAGE;
}

static int run(int argc, char **argv)
{
        if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
                help(stdout);
                return EXIT_OK;
        }
        if (strcmp(argv[1], "--version") == 0) {
                puts("sendoff " SENDOFF_VERSION);
                return EXIT_OK;
        }
        if (is_target(argv[1]))
                return verb_send.run(argc, argv);
        for (size_t i = 0; i < VERB_COUNT; i++)
                if (strcmp(argv[1], verbs[i]->name) == 0)
                        return verbs[i]->run(argc - 1, argv + 1);
        return unknown_verb(argv[1]);
}

int main(int argc, char **argv)
{
        int r;

        if (argc < 2) {
                help(stderr);
                return EXIT_USAGE;
        }
        if (strcmp(argv[1], "worker-exec") == 0)
                return worker_exec_main(argc - 2, argv + 2);
        if (strcmp(argv[1], "exec-run") == 0)
                return exec_main(argc - 2, argv + 2);
        r = run(argc, argv);
        if (fflush(stdout) == 0 && !ferror(stdout))
                return r;
        if (r == EXIT_OK)
                fputs("sendoff: not all could be written to stdout\n", stderr);
        return r == EXIT_OK ? EXIT_USAGE : r;
}
