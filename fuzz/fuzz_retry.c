/* What a run says about being tried again (Sendoff-Retry, Retry-After), and the pause that comes of it. The
 * first bytes are the policy and the dice, the rest is the value. */
#include <assert.h>
#include <string.h>

#include "job/retry.h"

#define YEAR_MS (INT64_C(365) * 24 * 3600 * 1000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_pause(const struct retry_policy *policy, uint32_t n, const struct retry_advice *advice,
                        uint32_t random)
{
        int64_t pause = retry_pause_ms(policy, n, advice, random);
        int64_t cap = policy->backoff_max_ms < 0 ? 0 : policy->backoff_max_ms;
        int64_t asked = advice->has_after ? advice->after_ms : 0;

        assert(pause >= 0 && pause <= cap && pause <= YEAR_MS);
        if (asked <= YEAR_MS)
                assert(pause >= (asked < cap ? asked : cap));
        if (policy->backoff_ms <= 0)
                assert(pause <= (asked > 0 ? asked : 0));
        if (n <= 1 && policy->backoff_ms > 0)
                assert(pause <= (asked > policy->backoff_ms ? asked : policy->backoff_ms));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct {
                int64_t backoff_ms, backoff_max_ms, now_ms;
                uint32_t n, random;
        } dice = { 0 };
        struct retry_advice advice = { .wish = RETRY_UNSAID };
        struct retry_policy policy;
        struct slice value;
        int64_t after_ms;

        memcpy(&dice, data, size < sizeof(dice) ? size : sizeof(dice));
        value = size > sizeof(dice) ? (struct slice){ (const char *)data + sizeof(dice), size - sizeof(dice) }
                                    : SLICE("");
        policy = (struct retry_policy){ .max = 3,
                                        .backoff_ms = dice.backoff_ms,
                                        .backoff_max_ms = dice.backoff_max_ms };
        check_pause(&policy, dice.n, &advice, dice.random);
        if (retry_parse_wish(value, &advice)) {
                assert(advice.wish == RETRY_NO || advice.wish == RETRY_ASKED);
                assert(advice.has_after == (advice.wish == RETRY_ASKED));
                assert(advice.after_ms >= 0 && advice.after_ms <= YEAR_MS);
                check_pause(&policy, dice.n, &advice, dice.random);
        } else {
                assert(advice.wish == RETRY_UNSAID && !advice.has_after && advice.after_ms == 0);
        }
        if (retry_parse_after(value, dice.now_ms, &after_ms)) {
                assert(after_ms >= 0 && after_ms <= YEAR_MS);
                advice = (struct retry_advice){ RETRY_ASKED, true, after_ms };
                check_pause(&policy, dice.n, &advice, dice.random);
        }
        return 0;
}
