/* The Prefer field (RFC 7240), as far as sendoff honours it: respond-async and wait. Pure. */
#ifndef SENDOFF_NET_PREFER_H
#define SENDOFF_NET_PREFER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct prefer {
        bool respond_async;
        bool has_wait;
        uint32_t wait_s; /* seconds; a number too large is UINT32_MAX */
};

/* Zero the struct, then add every Prefer field of the request in order: several fields are one list. Names
 * compare without case, values may be quoted, parameters after ';' and unknown preferences are ignored, of a
 * preference that comes twice the first counts (RFC 7240, 2). A wait whose value is no delta-seconds is
 * ignored. Nothing is an error. */
void prefer_add(struct prefer *p, struct slice value);

#endif
