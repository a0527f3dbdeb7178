/* Bytes from the kernel's generator (getrandom). Any thread. */
#ifndef SENDOFF_BASE_RANDOM_H
#define SENDOFF_BASE_RANDOM_H

#include <stddef.h>

int random_bytes(void *out, size_t len) __attribute__((warn_unused_result)); /* 0 or -errno */
int random_hex(char *out, size_t digits)
        __attribute__((warn_unused_result)); /* digits even, ≤ 64; out gets a NUL too */

#endif
