/* The verbs of the command line: one file each, one row each in main.c. Exit codes are DESIGN section 3's. */
#ifndef SENDOFF_CMD_VERB_H
#define SENDOFF_CMD_VERB_H

enum {
        EXIT_OK = 0,
        EXIT_JOB = 1, /* a job did not succeed */
        EXIT_USAGE = 2,
        EXIT_SERVER = 3, /* no server, or it refused */
};

struct verb {
        const char *name;
        const char *line;                  /* for the list of verbs */
        const char *help;                  /* all of --help; NULL: the verb prints its own */
        void (*more_help)(void);           /* what follows it, made of a table; may be NULL */
        int (*run)(int argc, char **argv); /* argv[0] is the verb */
};

extern const struct verb verb_serve, verb_send, verb_list, verb_show, verb_wait, verb_result, verb_cancel,
        verb_retry, verb_log, verb_config;

/* "sendoff send: …" on stderr and a pointer to --help; returns EXIT_USAGE. */
int usage_error(const char *verb, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
