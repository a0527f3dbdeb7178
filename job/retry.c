/* See retry.h. */
#include "job/retry.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/option.h"

#define PAUSE_MAX_MS (INT64_C(365) * 24 * 3600 * 1000)

static int64_t within(int64_t ms, int64_t most_ms)
{
        return ms < 0 ? 0 : ms < most_ms ? ms : most_ms;
}

int64_t retry_pause_ms(const struct retry_policy *policy, uint32_t n, const struct retry_advice *advice,
                       uint32_t random)
{
        int64_t cap = within(policy->backoff_max_ms, PAUSE_MAX_MS), most = within(policy->backoff_ms, cap),
                pause;

        for (uint32_t i = 1; i < n && most > 0 && most < cap; i++)
                most = within(most * 2, cap);
        pause = (int64_t)((double)(most + 1) * (random / 4294967296.0));
        if (advice->has_after && pause < advice->after_ms)
                pause = within(advice->after_ms, cap);
        return pause;
}

bool retry_status(int status)
{
        return status == 408 || status == 425 || status == 429 || (status >= 500 && status <= 599);
}

bool retry_parse_wish(struct slice value, struct retry_advice *out)
{
        char text[32];
        uint64_t ms;

        if (value.len == 0 || value.len >= sizeof(text))
                return false;
        memcpy(text, value.ptr, value.len);
        text[value.len] = '\0';
        if (slice_eq_nocase(value, SLICE("no"))) {
                *out = (struct retry_advice){ .wish = RETRY_NO };
                return true;
        }
        if (strlen(text) != value.len || option_duration_parse(text, PAUSE_MAX_MS, &ms) != 0)
                return false;
        *out = (struct retry_advice){ .wish = RETRY_ASKED, .has_after = true, .after_ms = (int64_t)ms };
        return true;
}

static bool all_digits(struct slice s)
{
        for (size_t i = 0; i < s.len; i++)
                if (s.ptr[i] < '0' || s.ptr[i] > '9')
                        return false;
        return s.len > 0;
}

bool retry_parse_after(struct slice value, int64_t now_ms, int64_t *after_ms)
{
        uint64_t seconds;
        int64_t at;

        if (all_digits(value)) {
                bool fits = slice_to_u64(value, PAUSE_MAX_MS / 1000, &seconds);

                *after_ms = fits ? (int64_t)seconds * 1000 : PAUSE_MAX_MS;
                return true;
        }
        if (!clock_http_parse(value, &at))
                return false;
        *after_ms = now_ms >= at ? 0 : now_ms < at - PAUSE_MAX_MS ? PAUSE_MAX_MS : at - now_ms;
        return true;
}
