/* See rate.h. The hash keeps insertion order; an address that is seen again moves to the end, so that the
 * first is the one not seen for longest. */
#include "server/rate.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/bounds.h"
#include "base/mem.h"

#define ADDRESS_MAX 64

struct bucket {
        char address[ADDRESS_MAX];
        double tokens;
        int64_t at_ms;
        UT_hash_handle hh;
};

struct rate {
        struct bucket *buckets;
};

struct rate *rate_new(void)
{
        return mem_alloc(sizeof(struct rate));
}

void rate_free(struct rate *rate)
{
        struct bucket *b, *next;

        if (!rate)
                return;
        HASH_ITER (hh, rate->buckets, b, next) {
                HASH_DELETE(hh, rate->buckets, b);
                free(b);
        }
        free(rate);
}

static struct bucket *rate_bucket(struct rate *rate, struct slice address, uint64_t burst, int64_t now)
{
        struct bucket *b;

        if (address.len >= ADDRESS_MAX)
                address.len = ADDRESS_MAX - 1;
        HASH_FIND(hh, rate->buckets, address.ptr, address.len, b);
        if (b) {
                HASH_DELETE(hh, rate->buckets, b);
        } else if (HASH_COUNT(rate->buckets) >= RATE_ADDRESSES_MAX) {
                b = rate->buckets;
                HASH_DELETE(hh, rate->buckets, b);
                free(b);
                b = NULL;
        }
        if (!b) {
                b = mem_alloc(sizeof(*b));
                memcpy(b->address, address.ptr, address.len);
                b->tokens = (double)burst;
                b->at_ms = now;
        }
        HASH_ADD_KEYPTR(hh, rate->buckets, b->address, address.len, b);
        return b;
}

bool rate_take(struct rate *rate, struct slice address, uint64_t per_second, uint64_t burst, int64_t mono_ms,
               int64_t *wait_ms)
{
        struct bucket *b;

        *wait_ms = 0;
        if (per_second == 0)
                return true;
        if (burst == 0)
                burst = 1;
        b = rate_bucket(rate, address, burst, mono_ms);
        b->tokens += (double)(mono_ms - b->at_ms) * (double)per_second / 1000.0;
        b->at_ms = mono_ms;
        if (b->tokens > (double)burst)
                b->tokens = (double)burst;
        if (b->tokens < 1.0) {
                *wait_ms = (int64_t)((1.0 - b->tokens) * 1000.0 / (double)per_second) + 1;
                return false;
        }
        b->tokens -= 1.0;
        return true;
}
