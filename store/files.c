/* The data folder: see files.h. The lock is a flock, so that it is gone with the process however that ends;
 * the pid in the file is for the message only. */
#include "store/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

#define PID_SIZE        32
#define LOCK_WAIT_LOOKS 600 /* 10 ms each */

/* A folder that was just made survives a power cut once its parent is synced. */
static int sync_parent(const char *path)
{
        const char *slash = strrchr(path, '/');
        char *parent = slash == path
                               ? mem_dup("/")
                               : mem_printf("%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
        int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int r = fd < 0 || fsync(fd) < 0 ? -errno : 0;

        if (fd >= 0)
                close(fd);
        free(parent);
        return r;
}

static int make_folders(const char *folder, struct cause *cause)
{
        char *path = mem_dup(folder);
        int r = 0;

        for (char *slash = strchr(path + 1, '/'); r == 0; slash = strchr(slash + 1, '/')) {
                if (slash)
                        *slash = '\0';
                r = mkdir(path, 0700) < 0 ? -errno : sync_parent(path);
                if (r == -EEXIST)
                        r = 0;
                if (r < 0)
                        r = cause_set(cause, r, "cannot make the data folder %s: %s", path, strerror(-r));
                if (!slash)
                        break;
                *slash = '/';
        }
        free(path);
        return r;
}

static void read_pid(int fd, char pid[PID_SIZE])
{
        ssize_t n = pread(fd, pid, PID_SIZE - 1, 0);

        pid[n > 0 ? n : 0] = '\0';
}

/* Whether the process that wrote its number into the lock still has it open. It has not when it is dead (or
 * nearly: a zombie has nothing open), and when the number is another's by now. Nor do we count as it for
 * having opened it just now. */
static bool has_it_open(long pid, int lock_fd)
{
        char path[PID_SIZE + sizeof("/proc//fd")];
        struct stat lock, st;
        struct dirent *entry;
        bool found = false;
        DIR *dir;

        snprintf(path, sizeof(path), "/proc/%ld/fd", pid);
        dir = fstat(lock_fd, &lock) == 0 ? opendir(path) : NULL;
        if (!dir) /* no such process, or one of another user's, which could not have opened it */
                return false;
        while (!found && (entry = readdir(dir)))
                found = !(pid == getpid() && atol(entry->d_name) == lock_fd) &&
                        fstatat(dirfd(dir), entry->d_name, &st, 0) == 0 && st.st_dev == lock.st_dev &&
                        st.st_ino == lock.st_ino;
        closedir(dir);
        return found;
}

/* The server that made the lock is dead, but the lock is held: by the parents of its programs
 * (run/exec_main.c), which are ending them just now. True when the lock was taken. */
static bool wait_for_the_dead(int fd)
{
        static const struct timespec look = { .tv_nsec = 10 * 1000 * 1000 };
        char pid[PID_SIZE];

        for (int i = 0; i < LOCK_WAIT_LOOKS; i++) {
                if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
                        log_say(LOG_INFO, "store", "waited for what a dead server had left behind", "ms=%d",
                                i * 10);
                        return true;
                }
                read_pid(fd, pid); /* another server may have been quicker */
                if (atol(pid) <= 0 || has_it_open(atol(pid), fd))
                        return false;
                nanosleep(&look, NULL);
        }
        return false;
}

static int take_lock(struct files *f, int folder_fd, const char *folder, struct cause *cause)
{
        char pid[PID_SIZE];
        ssize_t n;

        f->lock_fd = openat(folder_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (f->lock_fd < 0)
                return cause_set(cause, -errno, "cannot open %s/lock: %s", folder, strerror(errno));
        if (flock(f->lock_fd, LOCK_EX | LOCK_NB) < 0 && !wait_for_the_dead(f->lock_fd)) {
                read_pid(f->lock_fd, pid);
                return cause_set(cause, FILES_LOCKED,
                                 "another sendoff (pid %.20s) uses the data folder %s; give this one its own "
                                 "with --data",
                                 pid[0] ? pid : "unknown", folder);
        }
        n = snprintf(pid, sizeof(pid), "%ld", (long)getpid());
        if (ftruncate(f->lock_fd, 0) < 0 || pwrite(f->lock_fd, pid, (size_t)n, 0) != n)
                return cause_set(cause, -errno, "cannot write %s/lock: %s", folder, strerror(errno));
        return 0;
}

int files_open(struct files *f, const char *folder, struct cause *cause)
{
        int folder_fd, r;

        *f = (struct files){ .lock_fd = -1, .dir_fd = -1 };
        r = make_folders(folder, cause);
        if (r < 0)
                return r;
        folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (folder_fd < 0)
                return cause_set(cause, -errno, "cannot open the data folder %s: %s", folder,
                                 strerror(errno));
        r = take_lock(f, folder_fd, folder, cause);
        if (r == 0 && mkdirat(folder_fd, "files", 0700) < 0 && errno != EEXIST)
                r = cause_set(cause, -errno, "cannot make %s/files: %s", folder, strerror(errno));
        if (r == 0) {
                f->dir_fd = openat(folder_fd, "files", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (f->dir_fd < 0 || fsync(folder_fd) < 0)
                        r = cause_set(cause, -errno, "cannot open %s/files: %s", folder, strerror(errno));
        }
        close(folder_fd);
        if (r != 0)
                files_close(f);
        return r;
}

void files_close(struct files *f)
{
        if (f->dir_fd >= 0)
                close(f->dir_fd);
        if (f->lock_fd >= 0)
                close(f->lock_fd);
        f->dir_fd = f->lock_fd = -1;
}

/* After a failed sync the kernel counts the pages as clean, and the next sync would succeed without writing
 * them. Written once more they are dirty again, so that whoever tries again is told the truth. */
static void write_again(const struct spool *s)
{
        char bytes[16384];
        uint64_t at = 0;
        ssize_t n;

        while ((n = pread(s->fd, bytes, sizeof(bytes), (off_t)at)) > 0) {
                if (pwrite(s->fd, bytes, (size_t)n, (off_t)at) != n)
                        return;
                at += (uint64_t)n;
        }
}

int files_sync_spool(const struct spool *s)
{
        int r = s->fd >= 0 && fdatasync(s->fd) < 0 ? -errno : 0;

        if (r < 0)
                write_again(s);
        return r;
}

int files_sync(const struct files *f)
{
        return fsync(f->dir_fd) < 0 ? -errno : 0;
}

void files_remove(const struct files *f, const char *name)
{
        unlinkat(f->dir_fd, name, 0);
}

int files_sweep(const struct files *f, bool (*keep)(void *arg, const char *name), void *arg,
                unsigned *removed)
{
        int fd = openat(f->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *entry;

        *removed = 0;
        if (!dir) {
                int r = -errno;

                if (fd >= 0)
                        close(fd);
                return r;
        }
        while ((entry = readdir(dir))) {
                if (entry->d_name[0] == '.' || keep(arg, entry->d_name))
                        continue;
                files_remove(f, entry->d_name);
                (*removed)++;
        }
        closedir(dir);
        return 0;
}
