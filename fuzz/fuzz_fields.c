/* Prefer and Range values, dates. */
#include <assert.h>

#include "base/clock.h"
#include "net/prefer.h"
#include "net/range.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct slice value = { (const char *)data, size };
        struct prefer prefer = { 0 };
        uint64_t first = 0, last = 0;
        int64_t ms;

        prefer_add(&prefer, value);
        assert(prefer.has_wait || prefer.wait_s == 0);
        for (uint64_t length = 0; length < 300; length += 37)
                if (range_parse(value, length, &first, &last) == RANGE_ONE)
                        assert(first <= last && last < length);
        clock_http_parse(value, &ms);
        return 0;
}
