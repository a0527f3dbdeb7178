/* Values of a record as people read them: the same words in list, show and the line that says how a job goes.
 */
#ifndef SENDOFF_CMD_HUMAN_H
#define SENDOFF_CMD_HUMAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#define HUMAN_SIZE     32
#define HUMAN_BAR_SIZE 32 /* "[########................]" and its NUL fit */

/* stdout is a terminal, and NO_COLOR is not set. */
bool human_colours(void);
const char *human_state_colour(const char *state); /* what begins it; "\033[0m" ends it */

/* A time of the record as real milliseconds; -1 when there is none. */
int64_t human_time(const json_t *record, const char *key);
/* "0.3s", "12s", "90m"; "-" when it is negative. Returns out. */
const char *human_span(int64_t ms, char out[HUMAN_SIZE]);

/* In place: control bytes, which a terminal would obey, become blanks. Returns text. */
char *human_clean(char *text);

/* What a job or a run answered: "200", "exit 3", "sig 9"; "-" when it answered nothing. Returns out. */
const char *human_answer(const json_t *record, char out[HUMAN_SIZE]);
/* "normal", "aborted", "timed out", "aborted and timed out". */
const char *human_connection(const json_t *record);

const char *human_bar(uint64_t done, uint64_t total, char out[HUMAN_BAR_SIZE]); /* total > 0. Returns out */
/* "[######..................] 40/100 mailing", "40 mailing"; "" when the job has told nothing. Returns out.
 */
const char *human_progress(const json_t *job, char *out, size_t size);
/* The same in a few columns: "40%", "40"; "" when it has told nothing. Returns out. */
const char *human_progress_short(const json_t *job, char out[HUMAN_SIZE]);

#endif
