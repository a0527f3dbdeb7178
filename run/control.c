/* See control.h. The FIFO is opened for reading and writing, so that it never comes to an end when a writer
 * closes it. Lines are cut out of a buffer; what passes CONTROL_LINE_MAX without an end is handed over cut,
 * and the rest of that line is dropped. */
#include "run/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bounds.h"
#include "base/mem.h"

struct control {
        uv_poll_t poll;
        int fd;
        char *path;
        void (*line)(void *arg, struct slice line);
        void *arg;
        char text[CONTROL_LINE_MAX + 1];
        size_t len;
        bool dropping; /* the rest of a line that is too long */
        bool used, closed;
};

static void control_line(struct control *c, size_t len)
{
        if (!c->dropping) {
                struct slice line = { c->text, len };

                if (line.len && line.ptr[line.len - 1] == '\r')
                        line.len--;
                if (line.len && !c->closed)
                        c->line(c->arg, line);
        }
}

/* Takes the lines out of what has been read. A handler may close the control. */
static void control_take(struct control *c)
{
        char *end;

        while ((end = memchr(c->text, '\n', c->len))) {
                size_t len = (size_t)(end - c->text);

                control_line(c, len);
                c->dropping = false;
                c->len -= len + 1;
                memmove(c->text, end + 1, c->len);
        }
        if (c->len == sizeof(c->text)) {
                control_line(c, c->len);
                c->dropping = true;
                c->len = 0;
        }
}

/* How many bytes were read; 0 when there is nothing. */
static size_t control_read(struct control *c)
{
        ssize_t n;

        do
                n = read(c->fd, c->text + c->len, sizeof(c->text) - c->len);
        while (n < 0 && errno == EINTR);
        if (n <= 0)
                return 0;
        c->used = true;
        c->len += (size_t)n;
        control_take(c);
        return (size_t)n;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
        struct control *c = poll->data;

        (void)events;
        if (status == 0)
                control_read(c);
}

int control_open(struct control **out, uv_loop_t *loop, const char *path,
                 void (*line)(void *arg, struct slice line), void *arg, struct cause *cause)
{
        struct control *c;
        int fd, r;

        *out = NULL;
        if (mkfifo(path, 0600) < 0)
                return cause_set(cause, -errno, "cannot make the FIFO %s: %s", path, strerror(errno));
        fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0) {
                r = -errno;
                unlink(path);
                return cause_set(cause, r, "cannot open the FIFO %s: %s", path, strerror(-r));
        }
        c = mem_alloc(sizeof(*c));
        c->fd = fd;
        c->path = mem_dup(path);
        c->line = line;
        c->arg = arg;
        c->poll.data = c;
        r = uv_poll_init(loop, &c->poll, fd);
        if (r < 0) {
                cause_set(cause, r, "cannot watch the FIFO %s: %s", path, uv_strerror(r));
                unlink(path);
                close(fd);
                free(c->path);
                free(c);
                return r;
        }
        uv_poll_start(&c->poll, UV_READABLE, on_readable);
        *out = c;
        return 0;
}

const char *control_path(const struct control *c)
{
        return c->path;
}

bool control_used(const struct control *c)
{
        return c->used;
}

/* No more than lay there at first: somebody who is left over and writes without end does not hold the loop.
 */
void control_drain(struct control *c)
{
        int there = 0;
        size_t left, n;

        left = ioctl(c->fd, FIONREAD, &there) == 0 && there > 0 ? (size_t)there : 0;
        while (!c->closed && left > 0 && (n = control_read(c)) > 0)
                left -= n < left ? n : left;
        if (!c->closed && c->len > 0)
                control_line(c, c->len);
        c->dropping = false;
        c->len = 0;
}

static void control_closed(uv_handle_t *handle)
{
        struct control *c = handle->data;

        close(c->fd);
        free(c->path);
        free(c);
}

void control_close(struct control *c)
{
        if (!c || c->closed)
                return;
        c->closed = true;
        unlink(c->path);
        uv_poll_stop(&c->poll);
        uv_close((uv_handle_t *)&c->poll, control_closed);
}
