/* Time as everybody here speaks it: int64_t milliseconds. "real" is since 1970-01-01 UTC and goes into
 * records; "mono" never jumps and measures. */
#ifndef SENDOFF_BASE_CLOCK_H
#define SENDOFF_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define CLOCK_RFC3339_SIZE 32 /* "2026-11-21T08:00:00.123Z" and its NUL fit */
#define CLOCK_HTTP_SIZE    32 /* "Sat, 21 Nov 2026 08:00:00 GMT" */
#define CLOCK_CLF_SIZE     32 /* "21/Nov/2026:08:00:00 +0000" */

int64_t clock_real_ms(void);
int64_t clock_mono_ms(void);
int64_t clock_mono_ns(void);

char *clock_rfc3339(int64_t real_ms,
                    char out[CLOCK_RFC3339_SIZE]);            /* RFC 3339, UTC, milliseconds; returns out */
char *clock_http(int64_t real_ms, char out[CLOCK_HTTP_SIZE]); /* IMF-fixdate, RFC 9110, 5.6.7 */
char *clock_clf(int64_t real_ms, char out[CLOCK_CLF_SIZE]);   /* the access log's */

/* Any of the three HTTP date forms (RFC 9110, 5.6.7). False when it is none. */
bool clock_http_parse(struct slice s, int64_t *real_ms);

/* "2026-12-01T08:00:00Z", "2026-12-01 08:00:00.5+01:00" (RFC 3339, 5.6; seconds may be left out). False when
 * it is none, or before 1970. */
bool clock_rfc3339_parse(struct slice s, int64_t *real_ms);

#endif
