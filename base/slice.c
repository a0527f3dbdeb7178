/* Slices: see slice.h. Nothing here allocates but slice_dup. */
#include "base/slice.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"

struct slice slice_of(const char *str)
{
        return (struct slice){ str ? str : "", str ? strlen(str) : 0 };
}

bool slice_eq(struct slice a, struct slice b)
{
        return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool slice_eq_nocase(struct slice a, struct slice b)
{
        return a.len == b.len && (a.len == 0 || strncasecmp(a.ptr, b.ptr, a.len) == 0);
}

bool slice_starts(struct slice s, struct slice prefix)
{
        return s.len >= prefix.len && memcmp(s.ptr, prefix.ptr, prefix.len) == 0;
}

bool slice_ends(struct slice s, struct slice suffix)
{
        return s.len >= suffix.len && memcmp(s.ptr + s.len - suffix.len, suffix.ptr, suffix.len) == 0;
}

struct slice slice_trim(struct slice s)
{
        while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
                s.ptr++, s.len--;
        while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
                s.len--;
        return s;
}

struct slice slice_from(struct slice s, size_t start)
{
        if (start > s.len)
                start = s.len;
        return (struct slice){ s.ptr + start, s.len - start };
}

bool slice_cut(struct slice *rest, char sep, struct slice *piece)
{
        const char *at;

        if (!rest->ptr)
                return false;
        at = rest->len ? memchr(rest->ptr, sep, rest->len) : NULL;
        if (!at) {
                *piece = *rest;
                *rest = (struct slice){ NULL, 0 };
                return true;
        }
        *piece = (struct slice){ rest->ptr, (size_t)(at - rest->ptr) };
        *rest = slice_from(*rest, piece->len + 1);
        return true;
}

bool slice_to_u64(struct slice s, uint64_t max, uint64_t *out)
{
        uint64_t n = 0;

        if (s.len == 0)
                return false;
        for (size_t i = 0; i < s.len; i++) {
                unsigned digit = (unsigned char)s.ptr[i] - '0';

                if (digit > 9 || n > (UINT64_MAX - digit) / 10)
                        return false;
                n = n * 10 + digit;
        }
        if (n > max)
                return false;
        *out = n;
        return true;
}

char *slice_dup(struct slice s)
{
        char *copy = mem_alloc(s.len + 1);

        if (s.len)
                memcpy(copy, s.ptr, s.len);
        copy[s.len] = '\0';
        return copy;
}
