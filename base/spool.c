/* Memory first, one file beyond the threshold. See spool.h. Writes go to the page cache: they are quick, and
 * the sync belongs to the store thread. */
#include "base/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/random.h"

void spool_init(struct spool *s, int dir_fd, size_t memory_max, uint64_t max)
{
        *s = (struct spool){ .dir_fd = dir_fd, .fd = -1, .max = max, .memory_max = memory_max };
        buf_init(&s->mem, memory_max);
}

void spool_fini(struct spool *s)
{
        buf_fini(&s->mem);
        if (s->fd >= 0) {
                close(s->fd);
                if (!s->keep && s->name[0])
                        unlinkat(s->dir_fd, s->name, 0);
        }
        s->fd = -1;
        s->name[0] = '\0';
        s->len = 0;
        s->keep = false;
}

static int write_all(int fd, const char *bytes, size_t len)
{
        while (len > 0) {
                ssize_t n = write(fd, bytes, len);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                bytes += n;
                len -= (size_t)n;
        }
        return 0;
}

static int spool_to_file(struct spool *s)
{
        int r;

        r = random_hex(s->name, 32);
        if (r < 0)
                return r;
        s->fd = openat(s->dir_fd, s->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (s->fd < 0) {
                r = -errno;
                s->name[0] = '\0';
                return r;
        }
        r = write_all(s->fd, buf_data(&s->mem), buf_len(&s->mem));
        if (r == 0)
                buf_fini(&s->mem);
        return r;
}

int spool_write(struct spool *s, const void *bytes, size_t len)
{
        int r;

        if (len > s->max - s->len)
                return SPOOL_FULL;
        if (s->fd < 0 && s->len + len > s->memory_max) {
                if (s->dir_fd < 0)
                        return SPOOL_FULL;
                r = spool_to_file(s);
                if (r < 0)
                        return r;
        }
        r = s->fd < 0 ? buf_append(&s->mem, bytes, len) : write_all(s->fd, bytes, len);
        if (r == 0)
                s->len += len;
        return r;
}

ssize_t spool_read(const struct spool *s, uint64_t at, void *out, size_t len)
{
        ssize_t n;

        if (at >= s->len)
                return 0;
        if (len > s->len - at)
                len = (size_t)(s->len - at);
        if (s->fd < 0) {
                memcpy(out, buf_slice(&s->mem).ptr + at, len);
                return (ssize_t)len;
        }
        do
                n = pread(s->fd, out, len, (off_t)at);
        while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : n;
}

void spool_keep(struct spool *s)
{
        s->keep = true;
}

int spool_open(struct spool *s, int dir_fd, const char *name)
{
        struct stat st;

        spool_init(s, dir_fd, 0, 0);
        if (strlen(name) >= sizeof(s->name))
                return -ENAMETOOLONG;
        s->fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
        if (s->fd < 0)
                return -errno;
        if (fstat(s->fd, &st) < 0) {
                int r = -errno;

                close(s->fd);
                s->fd = -1;
                return r;
        }
        s->len = s->max = (uint64_t)st.st_size;
        s->keep = true;
        strcpy(s->name, name);
        return 0;
}

int spool_copy(struct spool *to, const struct spool *from, int dir_fd, size_t memory_max)
{
        char name[SPOOL_NAME_SIZE];
        int r;

        if (from->fd < 0) {
                spool_init(to, dir_fd, from->len > memory_max ? from->len : memory_max, from->len);
                r = spool_write(to, buf_slice(&from->mem).ptr, from->len);
                return r > 0 ? -EFBIG : r;
        }
        spool_init(to, dir_fd, 0, 0);
        r = random_hex(name, 32);
        if (r == 0 && linkat(from->dir_fd, from->name, dir_fd, name, 0) < 0)
                r = -errno;
        if (r == 0)
                r = spool_open(to, dir_fd, name);
        if (r == 0)
                to->keep = false;
        return r;
}

void spool_move(struct spool *to, struct spool *from)
{
        *to = *from;
        buf_init(&from->mem, from->memory_max);
        from->fd = -1;
        from->name[0] = '\0';
        from->len = 0;
        from->keep = false;
}
