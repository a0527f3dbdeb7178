/* Options as rows of a table: one row says all there is to know of an option, and command line, environment,
 * ini file,
 * --help, `sendoff config` and the manual come out of it.
 *
 * Sources may be read in any order: a value stays unless the new one comes from the same or a stronger source
 * (default < file < environment < command line). A value is checked even when it does not win: nothing wrong
 * is passed over in silence. Sizes take k, M, G, T (of 1024), times ms, s, m, h, d (seconds without a unit).
 */
#ifndef SENDOFF_BASE_OPTION_H
#define SENDOFF_BASE_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cause.h"
#include "base/slice.h"

enum option_kind {
        OPTION_STRING,   /* char *, owned; min and max are lengths */
        OPTION_CHOICE,   /* char *, owned; one of the words in `accepts` */
        OPTION_BOOL,     /* bool */
        OPTION_UNSIGNED, /* uint64_t */
        OPTION_SIZE,     /* uint64_t bytes */
        OPTION_DURATION, /* int64_t milliseconds */
        OPTION_LIST, /* char **, NULL-terminated, owned, NULL when empty; max counts entries; commas separate
                      */
};

enum option_source { /* from weak to strong */
                     OPTION_DEFAULT,
                     OPTION_FILE,
                     OPTION_ENVIRONMENT,
                     OPTION_ARGUMENT,
};

struct option_row {
        const char *key; /* "body_max": --body-max, SENDOFF_BODY_MAX, body_max = */
        enum option_kind kind;
        size_t offset;             /* of its field in the struct that struct options points to */
        uint64_t min, max;         /* both included */
        const char *default_text;  /* as one would write it; NULL: unset, or made by the program */
        const char *default_shown; /* what help says instead of default_text; NULL: default_text itself */
        bool reloadable;
        bool not_in_file;        /* --config cannot be given in the file it names */
        bool not_in_environment; /* PREFIX_KEY means something else there */
        const char *metavar;     /* "SIZE" */
        const char *group;       /* heading in --help; rows of a group stand together */
        const char *accepts;     /* choice: "error|warn|info"; string: what `check` wants, in words */
        bool (*check)(const char *value); /* string, choice and each entry of a list; may be NULL */
        const char *help;                 /* one sentence */
};

struct options {
        const struct option_row *rows; /* ends with a NULL key */
        size_t count;
        void *base; /* the struct that the offsets count from; borrowed, zeroed before options_init */
        enum option_source *sources; /* one a row */
};

enum {
        OPTION_HELP = 1,  /* --help or -h was there */
        OPTION_USAGE = 2, /* something cannot be understood; the cause names option, value, range and place */
};

/* Sets the defaults. A default that its own row refuses is a fault of the program (assert). */
void options_init(struct options *o, const struct option_row *rows, void *base);
void options_fini(struct options *o); /* frees strings and lists in base too; twice is harmless */

/* NULL when there is none. Dashes and underscores are the same. */
const struct option_row *options_find(const struct options *o, struct slice key);
enum option_source options_source(const struct options *o, const struct option_row *row);

/* One value. `where` begins the sentence of a refusal: "sendoff.ini line 12: body_max". 0 or OPTION_USAGE. A
 * list gets the entries added when it has some from the same source, and is replaced by a stronger one. */
int options_set(struct options *o, const struct option_row *row, const char *value, enum option_source source,
                const char *where, struct cause *cause) __attribute__((warn_unused_result));

/* --key VALUE, --key=VALUE, --key and --no-key for a bool; `--` ends them. One word that is no option goes to
 * the row positional_key (NULL: refused). 0; OPTION_HELP; OPTION_USAGE. */
int options_from_argv(struct options *o, int argc, char *const *argv, const char *positional_key,
                      struct cause *cause) __attribute__((warn_unused_result));

/* Every row's PREFIX_KEY that is set and not empty. 0 or OPTION_USAGE. */
int options_from_environment(struct options *o, const char *prefix, struct cause *cause)
        __attribute__((warn_unused_result));

/* "key = value" lines; ';' and '#' begin a comment; no sections. A key that stands there twice is refused
 * unless it is a list. 0; OPTION_USAGE also when the file cannot be read. */
int options_from_file(struct options *o, const char *path, struct cause *cause)
        __attribute__((warn_unused_result));

/* Whether two structs made by the same rows hold the same value; and exchange it, with its source. */
bool options_same(const struct options *a, const struct options *b, const struct option_row *row);
void options_swap(struct options *a, struct options *b, const struct option_row *row);

/* For people and for `sendoff config`; appended to out. 0, BUF_FULL or -ENOMEM. */
int option_value_text(const struct options *o, const struct option_row *row, struct buf *out)
        __attribute__((warn_unused_result));
int option_range_text(const struct option_row *row, struct buf *out) __attribute__((warn_unused_result));
const char *option_default_shown(const struct option_row *row); /* never NULL */
const char *
option_source_name(enum option_source source);       /* "default", "file", "environment", "command line" */
const char *option_kind_name(enum option_kind kind); /* "size" */
/* The rows for --help, grouped, wrapped at `width` columns. */
int option_help(const struct option_row *rows, unsigned width, struct buf *out)
        __attribute__((warn_unused_result));

/* The number written the shortest exact way: "64k", "10s". Returns out. */
#define OPTION_NUMBER_SIZE 32
char *option_size_text(uint64_t bytes, char out[OPTION_NUMBER_SIZE]);
char *option_duration_text(uint64_t ms, char out[OPTION_NUMBER_SIZE]);

/* "64M" and "10m" for other callers. 0; OPTION_USAGE: not of that form, or above max. */
int option_size_parse(const char *text, uint64_t max, uint64_t *out) __attribute__((warn_unused_result));
int option_duration_parse(const char *text, uint64_t max, uint64_t *ms) __attribute__((warn_unused_result));

#endif
