/* A growing byte buffer that cannot be made without a maximum. Bytes leave at the front (buf_consume) and
 * arrive at the end; the content is contiguous at buf_data(). Embedded: buf_init/buf_fini, buf_fini twice is
 * harmless. */
#ifndef SENDOFF_BASE_BUF_H
#define SENDOFF_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

struct buf {
        char *mem;
        size_t start; /* first live byte */
        size_t end;   /* one past the last live byte */
        size_t cap;
        size_t max;
};

enum {
        BUF_FULL = 1, /* it would hold more than its maximum; nothing was added */
};

void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b);
void buf_clear(struct buf *b); /* empties and keeps the memory */

static inline size_t buf_len(const struct buf *b)
{
        return b->end - b->start;
}
static inline char *buf_data(struct buf *b)
{
        return b->mem ? b->mem + b->start : b->mem;
}
static inline struct slice buf_slice(const struct buf *b)
{
        return (struct slice){ b->mem ? b->mem + b->start : "", b->end - b->start };
}

/* Each: 0; BUF_FULL; -ENOMEM. On anything but 0 the buffer is as it was. */
int buf_append(struct buf *b, const void *bytes, size_t len) __attribute__((warn_unused_result));
int buf_append_slice(struct buf *b, struct slice s) __attribute__((warn_unused_result));
int buf_append_str(struct buf *b, const char *str) __attribute__((warn_unused_result));
int buf_printf(struct buf *b, const char *format, ...)
        __attribute__((format(printf, 2, 3), warn_unused_result));

/* Make room for `len` more bytes and return where to write them, NULL when that passes the maximum or memory
 * is short. Then say with buf_wrote how many were written. */
char *buf_reserve(struct buf *b, size_t len);
void buf_wrote(struct buf *b, size_t len);

void buf_consume(struct buf *b, size_t len); /* drop len bytes at the front; len <= buf_len */

/* Give the memory back when the buffer is empty, so that an idle connection costs nothing. */
void buf_shrink(struct buf *b);

/* The content as a NUL-terminated string that the caller frees; the buffer is empty afterwards. Never NULL.
 */
char *buf_take(struct buf *b);

#endif
