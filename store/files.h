/* The data folder: made when missing, locked for one server, with `files/` for big bodies. */
#ifndef SENDOFF_STORE_FILES_H
#define SENDOFF_STORE_FILES_H

#include <stdbool.h>

#include "base/cause.h"
#include "base/spool.h"

struct files {
        int lock_fd; /* holds the lock */
        int dir_fd;  /* files/ */
};

enum { FILES_LOCKED = 1 };

/* Makes folder and files/ (0700, parents too) and takes the lock. 0; FILES_LOCKED with the other's pid in
 * cause; < 0. On anything but 0 nothing is held. */
int files_open(struct files *f, const char *folder, struct cause *cause) __attribute__((warn_unused_result));
void files_close(struct files *f); /* twice is harmless */

/* A spool's bytes reach the disk: 0 or -errno. Nothing to do for one in memory. The folder wants files_sync
 * once afterwards. */
int files_sync_spool(const struct spool *s) __attribute__((warn_unused_result));
int files_sync(const struct files *f) __attribute__((warn_unused_result));
void files_remove(const struct files *f, const char *name);

/* Removes every file for which keep says no. 0 or -errno. */
int files_sweep(const struct files *f, bool (*keep)(void *arg, const char *name), void *arg,
                unsigned *removed) __attribute__((warn_unused_result));

#endif
