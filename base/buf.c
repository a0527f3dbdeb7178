/* The bounded buffer: see buf.h. Grows by doubling up to its maximum, slides its content to the front before
 * it grows. */
#include "base/buf.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define BUF_FIRST 512

void buf_init(struct buf *b, size_t max)
{
        *b = (struct buf){ .max = max };
}

void buf_fini(struct buf *b)
{
        free(b->mem);
        *b = (struct buf){ .max = b->max };
}

void buf_clear(struct buf *b)
{
        b->start = b->end = 0;
}

static int buf_grow(struct buf *b, size_t len)
{
        size_t live = buf_len(b), cap = b->cap ? b->cap : BUF_FIRST;
        char *mem;

        if (len > b->max - live)
                return BUF_FULL;
        if (b->cap - b->end >= len)
                return 0;
        if (b->start > 0 && b->cap - live >= len && b->start >= live) {
                memmove(b->mem, b->mem + b->start, live);
                b->start = 0;
                b->end = live;
                return 0;
        }
        while (cap < live + len)
                cap *= 2;
        mem = malloc(cap);
        if (!mem)
                return -ENOMEM;
        if (live)
                memcpy(mem, b->mem + b->start, live);
        free(b->mem);
        b->mem = mem;
        b->cap = cap;
        b->start = 0;
        b->end = live;
        return 0;
}

char *buf_reserve(struct buf *b, size_t len)
{
        return buf_grow(b, len) == 0 ? b->mem + b->end : NULL;
}

void buf_wrote(struct buf *b, size_t len)
{
        assert(len <= b->cap - b->end);
        b->end += len;
}

int buf_append(struct buf *b, const void *bytes, size_t len)
{
        int r;

        if (len == 0)
                return 0;
        r = buf_grow(b, len);
        if (r != 0)
                return r;
        memcpy(b->mem + b->end, bytes, len);
        b->end += len;
        return 0;
}

int buf_append_slice(struct buf *b, struct slice s)
{
        return buf_append(b, s.ptr, s.len);
}

int buf_append_str(struct buf *b, const char *str)
{
        return buf_append(b, str, strlen(str));
}

int buf_printf(struct buf *b, const char *format, ...)
{
        va_list args;
        int n, r;

        va_start(args, format);
        n = vsnprintf(NULL, 0, format, args);
        va_end(args);
        assert(n >= 0);
        if ((size_t)n > b->max - buf_len(b))
                return BUF_FULL;
        b->max++; /* vsnprintf's NUL is written, but never counted */
        r = buf_grow(b, (size_t)n + 1);
        b->max--;
        if (r != 0)
                return r;
        va_start(args, format);
        vsnprintf(b->mem + b->end, (size_t)n + 1, format, args);
        va_end(args);
        b->end += (size_t)n;
        return 0;
}

void buf_consume(struct buf *b, size_t len)
{
        assert(len <= buf_len(b));
        b->start += len;
        if (b->start == b->end)
                b->start = b->end = 0;
}

void buf_shrink(struct buf *b)
{
        if (buf_len(b) == 0)
                buf_fini(b);
}

char *buf_take(struct buf *b)
{
        char *text = slice_dup(buf_slice(b));

        buf_fini(b);
        return text;
}
