/* See exec_body.h. A file is opened again through /proc, as it may have lost its name; memory is copied into
 * a memfd, which is sealed, so that a program cannot change what it was given. */
#include "run/exec_body.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int body_in_memory(const struct spool *body)
{
        const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
        struct slice rest = buf_slice(&body->mem);
        int fd = memfd_create("sendoff-body", MFD_CLOEXEC | MFD_ALLOW_SEALING), r = 0;

        if (fd < 0)
                return -errno;
        while (r == 0 && rest.len > 0) {
                ssize_t n = write(fd, rest.ptr, rest.len);

                if (n < 0 && errno != EINTR)
                        r = -errno;
                else if (n > 0)
                        rest = slice_from(rest, (size_t)n);
        }
        if (r == 0 && (lseek(fd, 0, SEEK_SET) < 0 || fcntl(fd, F_ADD_SEALS, seals) < 0))
                r = -errno;
        if (r == 0)
                return fd;
        close(fd);
        return r;
}

int exec_body_open(const struct spool *body)
{
        char path[64] = "/dev/null";
        int fd;

        if (body->fd < 0 && body->len > 0)
                return body_in_memory(body);
        if (body->fd >= 0)
                snprintf(path, sizeof(path), "/proc/self/fd/%d", body->fd);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}
