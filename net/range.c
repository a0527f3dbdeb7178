/* The Range field: see range.h. What is not understood is no fault: everything is sent. */
#include "net/range.h"

#include <string.h>

enum range_result range_parse(struct slice value, uint64_t size, uint64_t *first, uint64_t *last)
{
        struct slice from, to;
        const char *dash;
        uint64_t a, b;

        if (value.len < 6 || !slice_eq_nocase((struct slice){ value.ptr, 6 }, SLICE("bytes=")))
                return RANGE_NONE;
        value = slice_trim(slice_from(value, 6));
        dash = value.len ? memchr(value.ptr, '-', value.len) : NULL;
        if (!dash || memchr(value.ptr, ',', value.len))
                return RANGE_NONE;
        from = slice_trim((struct slice){ value.ptr, (size_t)(dash - value.ptr) });
        to = slice_trim(slice_from(value, (size_t)(dash - value.ptr) + 1));
        if (from.len == 0) { /* the last b bytes */
                if (!slice_to_u64(to, UINT64_MAX, &b))
                        return RANGE_NONE;
                if (b == 0 || size == 0)
                        return RANGE_UNSATISFIABLE;
                *first = b < size ? size - b : 0;
                *last = size - 1;
                return RANGE_ONE;
        }
        if (!slice_to_u64(from, UINT64_MAX, &a))
                return RANGE_NONE;
        if (to.len == 0)
                b = UINT64_MAX;
        else if (!slice_to_u64(to, UINT64_MAX, &b) || b < a)
                return RANGE_NONE;
        if (a >= size)
                return RANGE_UNSATISFIABLE;
        *first = a;
        *last = b < size ? b : size - 1;
        return RANGE_ONE;
}
