/* An SQLite VFS in front of the real one that fails a chosen operation, and the same for the fdatasync of
 * body files. */
#ifndef SENDOFF_TESTS_SHIM_H
#define SENDOFF_TESTS_SHIM_H

enum shim_fault {
        SHIM_NONE,
        SHIM_EIO,  /* writes, syncs and truncations fail with an I/O error */
        SHIM_FULL, /* writes fail because the disk is full */
};

void shim_install(void); /* becomes the default VFS; once */
/* The n-th operation from now (1 = the next) of the kind fails, and with `on` all after it. */
void shim_fail(enum shim_fault fault, int n, int on);
void shim_heal(void);
int shim_hit(void);                  /* whether one has failed since shim_fail */
int shim_log_unsynced(void);         /* writes to the database's log since it was last synced */
int shim_body_syncs(void);           /* successful syncs of body files since shim_heal */
int shim_folder_syncs(void);         /* and of their folder */
void shim_fail_fdatasync(int error); /* 0: works again */

#endif
