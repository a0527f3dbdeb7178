/* A command line split into words without a shell: blanks separate, '…' and "…" keep blanks, a backslash
 * takes the next character as it is (not inside '…'). Nothing is expanded. */
#ifndef SENDOFF_SERVER_WORDS_H
#define SENDOFF_SERVER_WORDS_H

#include "base/cause.h"

/* A NULL-terminated array, the caller's; NULL with cause when a quote is not closed, there is no word, or
 * there are more than WORKER_WORDS_MAX. */
char **words_split(const char *line, struct cause *cause);
void words_free(char **words); /* NULL is fine */

#endif
