/* When a run that failed is tried again. Pure arithmetic. */
#ifndef SENDOFF_JOB_RETRY_H
#define SENDOFF_JOB_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* What the run itself said about being tried again. */
enum retry_wish {
        RETRY_UNSAID,
        RETRY_NO,    /* Sendoff-Retry: no */
        RETRY_ASKED, /* exit code 75, Sendoff-Retry: 30s, or Retry-After beside 429 and 503 */
};

struct retry_advice {
        enum retry_wish wish;
        bool has_after; /* not before after_ms from now */
        int64_t after_ms;
};

struct retry_policy {
        uint32_t max;       /* retries of one job */
        bool any_failure;   /* every failure that may pass is tried again, not only those that ask for it */
        int64_t backoff_ms; /* the first pause is at most this long, the next twice that, … */
        int64_t backoff_max_ms; /* never longer; also bounds what a Retry-After may ask */
};

/* The pause before retry number n (from 1): full jitter, that is anything from 0 to min(backoff_max, backoff
 * * 2^(n-1)), evenly, by `random` (any 32 random bits); with advice->has_after at least what was asked, at
 * most backoff_max. Never negative. */
int64_t retry_pause_ms(const struct retry_policy *policy, uint32_t n, const struct retry_advice *advice,
                       uint32_t random);

/* Whether an answer's status may pass: 408, 425, 429 and 5xx. */
bool retry_status(int status);

/* "no", or a pause ("30", "30s", "10m", "0"). False when it is neither: then it says nothing. */
bool retry_parse_wish(struct slice value, struct retry_advice *out);
/* Retry-After (RFC 9110, 10.2.3): seconds or a date, as a pause from now_ms. False when it is neither. */
bool retry_parse_after(struct slice value, int64_t now_ms, int64_t *after_ms);

#endif
