/* What may be asked for one job, each a row of one table: the JSON of POST /v1/jobs, the Sendoff-* headers,
 * the flags of `sendoff send`, the store's column and the documentation all come out of it. What was not
 * asked is unset (-1, NULL) and is decided by the server's options when the job runs. Pure. */
#ifndef SENDOFF_JOB_OPTIONS_H
#define SENDOFF_JOB_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cause.h"
#include "base/slice.h"

/* What an abort means for a run: its caller hung up, or somebody cancelled it. The numbers are on disk. */
enum job_on_abort {
        JOB_ABORT_PHP =
                0, /* what PHP itself does: its output is closed, and it notices when it next prints */
        JOB_ABORT_CONTINUE = 1, /* the run never notices */
        JOB_ABORT_STOP = 2,     /* ended now: politely first */
};

/* What becomes of a job whose run was cut short. The numbers are on disk. */
enum job_on_crash {
        JOB_CRASH_RERUN = 0,
        JOB_CRASH_HOLD = 1, /* held: a person decides */
        JOB_CRASH_END = 2,  /* dead at once: a foreground run that was let go; nobody can ask for it */
};

enum job_then {
        JOB_THEN_SUCCESS, /* it succeeded */
        JOB_THEN_FAILURE, /* it failed, is dead, or was cancelled */
        JOB_THEN_ALWAYS,
        JOB_THENS,
};

struct job_options {
        int64_t time_limit_ms; /* wall clock of one run; 0 none */
        int64_t idle_limit_ms; /* without a byte from it; 0 none */
        int64_t on_abort;      /* enum job_on_abort */
        int64_t on_crash;      /* enum job_on_crash */
        int64_t retries;       /* how many more runs after failures that may pass */
        int64_t backoff_ms;    /* the first pause is at most this long, then twice that, and so on */
        int64_t backoff_max_ms;
        int64_t memory; /* a program's address space, bytes (RLIMIT_AS); 0 none */
        int64_t cpu_ms; /* a program's CPU time, whole seconds (RLIMIT_CPU); 0 none */
        int64_t files;  /* a program's open files (RLIMIT_NOFILE); 0 none */
        char *then[JOB_THENS];
};

enum job_option_kind {
        JOB_OPTION_DURATION, /* milliseconds; text as 30, 30s, 10m; a JSON number is seconds */
        JOB_OPTION_SIZE,     /* bytes; text as 512M; a JSON number is bytes */
        JOB_OPTION_COUNT,
        JOB_OPTION_CHOICE, /* one of `words` */
        JOB_OPTION_TARGET, /* char *, owned: a target as job/target.h has them */
};

struct job_option_row {
        const char *name;   /* "time_limit": in the store, and Sendoff-Time-Limit, --time-limit */
        const char *parent; /* the JSON object it stands in: "retry"; NULL at the top */
        const char *field;  /* and its name there: "max" */
        enum job_option_kind kind;
        size_t offset;
        int64_t min, max;         /* both included, in the unit of the field */
        const char *const *words; /* of a choice, in the order of their numbers; NULL-terminated */
        const char *help;         /* one sentence */
};

extern const struct job_option_row job_option_rows[]; /* ends with a NULL name */

void job_options_init(struct job_options *o);                                  /* everything unset */
void job_options_fini(struct job_options *o);                                  /* twice is harmless */
void job_options_copy(struct job_options *to, const struct job_options *from); /* `to` is not initialised */

/* By name; dashes and underscores are the same, letters compare without case. NULL when there is none. */
const struct job_option_row *job_option_find(struct slice name);

/* 0, or -EINVAL with a cause that names the option, what it takes and its range. Replaces what was set. */
int job_option_set(struct job_options *o, const struct job_option_row *row, const char *text,
                   struct cause *cause) __attribute__((warn_unused_result));
/* The same from a number in the field's unit: milliseconds, bytes, count. Not for choices and targets. */
int job_option_set_number(struct job_options *o, const struct job_option_row *row, int64_t number,
                          struct cause *cause) __attribute__((warn_unused_result));

bool job_option_is_set(const struct job_options *o, const struct job_option_row *row);
int64_t job_option_number(const struct job_options *o, const struct job_option_row *row); /* -1 unset */

/* The store's form: "time_limit=2000\n" lines of what is set, in the order of the table; "" when nothing is.
 * The reader skips names it does not know (a later version's) and values out of range. out is appended to: 0,
 * BUF_FULL or -ENOMEM. */
int job_options_text(const struct job_options *o, struct buf *out) __attribute__((warn_unused_result));
void job_options_read(struct job_options *o, struct slice text); /* o is initialised */

#endif
