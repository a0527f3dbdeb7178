/* How many jobs one address may have accepted a second: a token bucket each, in a table of at most
 * RATE_ADDRESSES_MAX. When the table is full the address not seen for longest is forgotten. Pure; time is
 * given. */
#ifndef SENDOFF_SERVER_RATE_H
#define SENDOFF_SERVER_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct rate;

struct rate *rate_new(void);
void rate_free(struct rate *rate);

/* One more for this address, at most per_second on average and burst at once. True when it may pass; else
 * *wait_ms says when the next one may. per_second 0: always true. */
bool rate_take(struct rate *rate, struct slice address, uint64_t per_second, uint64_t burst, int64_t mono_ms,
               int64_t *wait_ms);

#endif
