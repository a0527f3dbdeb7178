/* A target: what is to be carried out. A path of the site ("/report.php?x=1"), a program ("exec:convert 'a
 * b.png' out.gif": words, quoted as a shell would, but no shell is involved), or a URL
 * ("https://example.com/hook"). */
#ifndef SENDOFF_JOB_TARGET_H
#define SENDOFF_JOB_TARGET_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/cause.h"

enum job_runner { /* the numbers are on disk: never change one */
                  JOB_FASTCGI = 0,
                  JOB_EXEC = 1,
                  JOB_HTTP = 2,
                  JOB_RUNNERS = 3,
};

const char *job_runner_name(enum job_runner runner); /* "fastcgi", "exec", "http" */
enum job_runner job_target_runner(const char *target);

/* Whether it has the form of a target and is no longer than JOB_TARGET_MAX. 0 or -EINVAL with the sentence,
 * without the name of the field: "a path of the site, an http(s) URL or exec:PROGRAM is wanted". */
int job_target_check(const char *target, struct cause *cause) __attribute__((warn_unused_result));

/* Words of a command line: split at blanks, 'single', "double" quotes and backslash as in a shell, nothing
 * else of it. Array and words are the caller's (job_words_free); NULL with cause: none, too many
 * (JOB_WORDS_MAX), an open quote. */
char **job_words_split(const char *line, struct cause *cause);
void job_words_free(char **words); /* NULL is fine */
/* The other way, quoted where needed; appended. 0, BUF_FULL or -ENOMEM. */
int job_words_join(char *const *words, struct buf *out) __attribute__((warn_unused_result));

#endif
