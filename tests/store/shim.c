/* See shim.h. */
#include "shim.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

struct shim_file {
        sqlite3_file base;
        sqlite3_file *real; /* behind this struct */
        int is_log;
};

static sqlite3_vfs *real_vfs;
static sqlite3_vfs shim_vfs;
static atomic_int fault, countdown, keep_on, hit, sync_error;
static atomic_int log_unsynced, body_syncs, folder_syncs;

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_fsync(int fd);
int __wrap_fsync(int fd);

int __wrap_fdatasync(int fd)
{
        int error = atomic_load(&sync_error);

        if (error) {
                errno = error;
                return -1;
        }
        atomic_fetch_add(&body_syncs, 1);
        return __real_fdatasync(fd);
}

int __wrap_fsync(int fd)
{
        atomic_fetch_add(&folder_syncs, 1);
        return __real_fsync(fd);
}

void shim_fail_fdatasync(int error)
{
        atomic_store(&sync_error, error);
}

void shim_fail(enum shim_fault what, int n, int on)
{
        atomic_store(&fault, what);
        atomic_store(&countdown, n);
        atomic_store(&keep_on, on);
        atomic_store(&hit, 0);
}

void shim_heal(void)
{
        shim_fail(SHIM_NONE, 0, 0);
        atomic_store(&body_syncs, 0);
        atomic_store(&folder_syncs, 0);
}

int shim_hit(void)
{
        return atomic_load(&hit);
}

int shim_log_unsynced(void)
{
        return atomic_load(&log_unsynced);
}

int shim_body_syncs(void)
{
        return atomic_load(&body_syncs);
}

int shim_folder_syncs(void)
{
        return atomic_load(&folder_syncs);
}

static int strikes(int is_write)
{
        int what = atomic_load(&fault);
        int left;

        if (what == SHIM_NONE || (what == SHIM_FULL && !is_write))
                return 0;
        left = atomic_fetch_sub(&countdown, 1);
        if (left == 1 || (left < 1 && atomic_load(&keep_on))) {
                atomic_store(&hit, 1);
                return what;
        }
        return 0;
}

static sqlite3_file *real_of(sqlite3_file *f)
{
        return ((struct shim_file *)f)->real;
}

static int shim_close(sqlite3_file *f)
{
        return real_of(f)->pMethods->xClose(real_of(f));
}

static int shim_read(sqlite3_file *f, void *out, int n, sqlite3_int64 at)
{
        return real_of(f)->pMethods->xRead(real_of(f), out, n, at);
}

static int shim_write(sqlite3_file *f, const void *bytes, int n, sqlite3_int64 at)
{
        int what = strikes(1);

        if (what)
                return what == SHIM_FULL ? SQLITE_FULL : SQLITE_IOERR_WRITE;
        if (((struct shim_file *)f)->is_log)
                atomic_fetch_add(&log_unsynced, 1);
        return real_of(f)->pMethods->xWrite(real_of(f), bytes, n, at);
}

static int shim_truncate(sqlite3_file *f, sqlite3_int64 size)
{
        return strikes(0) ? SQLITE_IOERR_TRUNCATE : real_of(f)->pMethods->xTruncate(real_of(f), size);
}

static int shim_sync(sqlite3_file *f, int flags)
{
        if (strikes(0))
                return SQLITE_IOERR_FSYNC;
        if (((struct shim_file *)f)->is_log)
                atomic_store(&log_unsynced, 0);
        return real_of(f)->pMethods->xSync(real_of(f), flags);
}

static int shim_size(sqlite3_file *f, sqlite3_int64 *size)
{
        return real_of(f)->pMethods->xFileSize(real_of(f), size);
}

static int shim_lock(sqlite3_file *f, int level)
{
        return real_of(f)->pMethods->xLock(real_of(f), level);
}

static int shim_unlock(sqlite3_file *f, int level)
{
        return real_of(f)->pMethods->xUnlock(real_of(f), level);
}

static int shim_reserved(sqlite3_file *f, int *out)
{
        return real_of(f)->pMethods->xCheckReservedLock(real_of(f), out);
}

static int shim_control(sqlite3_file *f, int op, void *arg)
{
        return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}

static int shim_sector(sqlite3_file *f)
{
        return real_of(f)->pMethods->xSectorSize(real_of(f));
}

static int shim_device(sqlite3_file *f)
{
        return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}

static int shim_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
        return real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, out);
}

static int shim_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
        return real_of(f)->pMethods->xShmLock(real_of(f), offset, n, flags);
}

static void shim_shm_barrier(sqlite3_file *f)
{
        real_of(f)->pMethods->xShmBarrier(real_of(f));
}

static int shim_shm_unmap(sqlite3_file *f, int remove)
{
        return real_of(f)->pMethods->xShmUnmap(real_of(f), remove);
}

static const sqlite3_io_methods methods = {
        .iVersion = 2,
        .xClose = shim_close,
        .xRead = shim_read,
        .xWrite = shim_write,
        .xTruncate = shim_truncate,
        .xSync = shim_sync,
        .xFileSize = shim_size,
        .xLock = shim_lock,
        .xUnlock = shim_unlock,
        .xCheckReservedLock = shim_reserved,
        .xFileControl = shim_control,
        .xSectorSize = shim_sector,
        .xDeviceCharacteristics = shim_device,
        .xShmMap = shim_shm_map,
        .xShmLock = shim_shm_lock,
        .xShmBarrier = shim_shm_barrier,
        .xShmUnmap = shim_shm_unmap,
};

static int shim_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
        struct shim_file *f = (struct shim_file *)file;
        int r;

        f->real = (sqlite3_file *)(f + 1);
        f->is_log = (flags & SQLITE_OPEN_WAL) != 0;
        r = real_vfs->xOpen(real_vfs, name, f->real, flags, out);
        f->base.pMethods = f->real->pMethods ? &methods : NULL;
        return r;
}

void shim_install(void)
{
        if (real_vfs)
                return;
        real_vfs = sqlite3_vfs_find(NULL);
        shim_vfs = *real_vfs;
        shim_vfs.zName = "shim";
        shim_vfs.szOsFile = (int)sizeof(struct shim_file) + real_vfs->szOsFile;
        shim_vfs.xOpen = shim_open;
        sqlite3_vfs_register(&shim_vfs, 1);
        shim_heal();
}
