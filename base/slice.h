/* A {pointer, length} value that owns nothing: a view into somebody else's bytes, never NUL-terminated by
 * contract. It is valid as long as what it points into. Pass it by value. */
#ifndef SENDOFF_BASE_SLICE_H
#define SENDOFF_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slice {
        const char *ptr;
        size_t len;
};

#define SLICE(literal) ((struct slice){ (literal), sizeof(literal) - 1 })
/* For printf: "%.*s", SLICE_ARG(s) */
#define SLICE_ARG(s) (int)(s).len, (s).ptr

struct slice slice_of(const char *str); /* of a NUL-terminated string; NULL gives the empty slice */
bool slice_eq(struct slice a, struct slice b);
bool slice_eq_nocase(struct slice a, struct slice b); /* ASCII case only */
bool slice_starts(struct slice s, struct slice prefix);
bool slice_ends(struct slice s, struct slice suffix);
struct slice slice_trim(struct slice s); /* without SP and HTAB at both ends (OWS of RFC 9110, 5.6.3) */
struct slice slice_from(struct slice s,
                        size_t start); /* s without its first bytes; empty when start >= s.len */

/* Cut the next piece up to `sep` off *rest. False when nothing is left. "a,,b" gives "a", "", "b". */
bool slice_cut(struct slice *rest, char sep, struct slice *piece);

/* Digits only, no sign, no blank. False when empty, not all digits, or above max. */
bool slice_to_u64(struct slice s, uint64_t max, uint64_t *out);

/* A NUL-terminated copy to be freed with free(). Never NULL. */
char *slice_dup(struct slice s);

#endif
