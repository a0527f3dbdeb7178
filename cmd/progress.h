/* One line on a terminal's stderr that says how work goes, redrawn in place. Nothing when stderr is none. */
#ifndef SENDOFF_CMD_PROGRESS_H
#define SENDOFF_CMD_PROGRESS_H

#include <stdint.h>

#include "cmd/talk.h"

/* "running 12s  [########......] 40/100 mailing" */
void progress_show(const json_t *job, int64_t waited_ms);
/* The same for many jobs: "run again [####......] 40 of 100" */
void progress_count(const char *what, uint64_t done, uint64_t total);
void progress_clear(void); /* before anything else is printed */

/* talk_wait, with the line meanwhile. */
int progress_wait(struct talk *t, const char *id, int64_t timeout_ms, json_t **job);

#endif
