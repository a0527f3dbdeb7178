/* The Range field (RFC 9110, 14) for a body of known size. Single byte ranges only; what asks for several
 * gets the whole. Pure. */
#ifndef SENDOFF_NET_RANGE_H
#define SENDOFF_NET_RANGE_H

#include <stdint.h>

#include "base/slice.h"

enum range_result {
        RANGE_NONE,          /* no range, not bytes, several, or malformed: send everything (200) */
        RANGE_ONE,           /* *first … *last inclusive (206) */
        RANGE_UNSATISFIABLE, /* 416 */
};

enum range_result range_parse(struct slice value, uint64_t size, uint64_t *first, uint64_t *last);

#endif
