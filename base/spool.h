/* A spool holds a body of any size: in memory up to a threshold, beyond that in a file of its own in one
 * folder. Request bodies and outputs live here while they arrive; the store keeps the file when a job names
 * it (store/store.h) and removes it otherwise.
 *
 * Embedded; used by one thread at a time. The file is created with a random name at the first byte past the
 * threshold and is removed by spool_fini unless spool_keep was called. A file left by a crash is swept by the
 * store at start. */
#ifndef SENDOFF_BASE_SPOOL_H
#define SENDOFF_BASE_SPOOL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/slice.h"

#define SPOOL_NAME_SIZE 40

struct spool {
        struct buf mem; /* all of it, while fd is -1 */
        int dir_fd;     /* borrowed */
        int fd;         /* -1 while in memory */
        bool keep;
        uint64_t len;
        uint64_t max;
        size_t memory_max;
        char name[SPOOL_NAME_SIZE]; /* "" while in memory */
};

enum {
        SPOOL_FULL = 1, /* it would pass max; nothing of this write was taken */
};

/* dir_fd is borrowed and must outlive the spool; -1 means memory only (then memory_max is the maximum too).
 */
void spool_init(struct spool *s, int dir_fd, size_t memory_max, uint64_t max);
void spool_fini(struct spool *s); /* twice is harmless */

/* 0; SPOOL_FULL; -errno (-ENOSPC, -EDQUOT, -ENOMEM, …) after which the spool is to be finished. */
int spool_write(struct spool *s, const void *bytes, size_t len) __attribute__((warn_unused_result));

/* Up to len bytes from offset `at`: the number read, 0 at the end, -errno. */
ssize_t spool_read(const struct spool *s, uint64_t at, void *out, size_t len);

/* Leave the file in the folder at spool_fini. Harmless while in memory. */
void spool_keep(struct spool *s);

/* Open a file that was kept, for reading: 0 or -errno. */
int spool_open(struct spool *s, int dir_fd, const char *name);

/* A spool of its own with the same bytes, `to` was not initialised: a file gets a second name (a hard link,
 * nothing is copied), bytes in memory are copied. For bodies that are not written any more. 0 or -errno, then
 * `to` is finished. */
int spool_copy(struct spool *to, const struct spool *from, int dir_fd, size_t memory_max)
        __attribute__((warn_unused_result));

/* Move everything from one spool to another that was not initialised; `from` is then as after spool_fini. */
void spool_move(struct spool *to, struct spool *from);

#endif
