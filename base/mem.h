/* Small allocations that cannot fail: a program that cannot have a few hundred bytes ends at once with a
 * message, and the store brings its jobs back (promise 2). Whatever grows with outside input is a bounded
 * buffer (base/buf.h) instead, and that one reports its failure. Everything is freed with free(). */
#ifndef SENDOFF_BASE_MEM_H
#define SENDOFF_BASE_MEM_H

#include <stddef.h>

void *mem_alloc(size_t bytes) __attribute__((malloc, returns_nonnull)); /* zeroed */
char *mem_dup(const char *str) __attribute__((malloc));                 /* NULL gives NULL */
char *mem_printf(const char *format, ...) __attribute__((malloc, returns_nonnull, format(printf, 1, 2)));

#endif
