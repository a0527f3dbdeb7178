/* One line on a terminal's stderr that says how a job goes, redrawn in place. */
#ifndef SENDOFF_CMD_PROGRESS_H
#define SENDOFF_CMD_PROGRESS_H

#include <stdint.h>

#include <jansson.h>

/* "running 12s [########......] 40/100 mailing" */
void progress_show(const json_t *job, int64_t waited_ms);
/* The same for many jobs: "retried 40 of 100 [####......]" */
void progress_count(const char *what, uint64_t done, uint64_t total);
void progress_clear(void);

#endif
