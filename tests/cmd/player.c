/* See player.h. The thread ends when the plays are over or player_stop closes its pipe. */
#include "player.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

#define REQUEST_MAX (64 << 20)

/* False when the test is over first. */
static bool wait_readable(const struct player *p, int fd)
{
        struct pollfd fds[2] = { { .fd = fd, .events = POLLIN }, { .fd = p->over[0], .events = POLLIN } };

        while (poll(fds, 2, -1) < 0 && errno == EINTR)
                ;
        return fds[0].revents != 0;
}

static struct slice head_of(const struct buf *request)
{
        struct slice all = buf_slice(request);
        const char *end = all.len ? memmem(all.ptr, all.len, "\r\n\r\n", 4) : NULL;

        return (struct slice){ all.ptr, end ? (size_t)(end - all.ptr) + 4 : 0 };
}

static struct slice header_of(struct slice head, const char *name)
{
        struct slice line;

        while (slice_cut(&head, '\n', &line)) {
                size_t len = strlen(name);

                if (line.len > len && line.ptr[len] == ':' &&
                    slice_eq_nocase((struct slice){ line.ptr, len }, slice_of(name))) {
                        line.len -= line.ptr[line.len - 1] == '\r';
                        return slice_trim(slice_from(line, len + 1));
                }
        }
        return (struct slice){ "", 0 };
}

static bool is_complete(const struct buf *request, bool early)
{
        struct slice head = head_of(request);
        uint64_t length = 0;

        if (head.len == 0)
                return false;
        slice_to_u64(header_of(head, "Content-Length"), REQUEST_MAX, &length);
        return early || buf_len(request) >= head.len + length;
}

/* True when a whole request came; false at the end of the connection or of the test. */
static bool take_request(struct player *p, int fd, struct buf *request, bool early)
{
        while (!is_complete(request, early)) {
                char *at = buf_reserve(request, 65536);
                ssize_t n;

                if (!wait_readable(p, fd))
                        return false;
                n = recv(fd, at, 65536, 0);
                if (n <= 0)
                        return false;
                buf_wrote(request, (size_t)n);
        }
        return true;
}

static void send_play(int fd, const struct play *play)
{
        size_t len = play->len ? play->len : strlen(play->bytes), step = play->drip ? 1 : len;

        for (size_t at = 0; at < len; at += step)
                if (send(fd, play->bytes + at, step < len - at ? step : len - at, MSG_NOSIGNAL) < 0)
                        return;
}

static void *play_all(void *arg)
{
        struct player *p = arg;
        char nothing;
        int fd = -1;

        while (p->played < p->count) {
                const struct play *play = &p->plays[p->played];

                if (fd < 0) {
                        if (!wait_readable(p, p->listener))
                                break;
                        fd = accept(p->listener, NULL, NULL);
                        p->connections++;
                }
                if (!take_request(p, fd, &p->requests[p->played], play->early)) {
                        buf_clear(&p->requests[p->played]);
                        close(fd);
                        fd = -1;
                        if (poll(&(struct pollfd){ .fd = p->over[0], .events = POLLIN }, 1, 0) > 0)
                                break;
                        continue;
                }
                send_play(fd, play);
                p->played++;
                if (play->hold && read(p->over[0], &nothing, 1) < 0)
                        break;
                if (play->close) {
                        close(fd);
                        fd = -1;
                }
        }
        if (fd >= 0)
                close(fd);
        close(p->listener);
        return NULL;
}

void player_start(struct player *p, const struct play *plays, size_t count)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        memset(p, 0, sizeof(*p));
        assert_true(count <= PLAYS_MAX);
        if (count > 0)
                memcpy(p->plays, plays, count * sizeof(*plays));
        p->count = count;
        for (size_t i = 0; i < PLAYS_MAX; i++)
                buf_init(&p->requests[i], REQUEST_MAX);
        strcpy(p->folder, "/tmp/sendoff-player-XXXXXX");
        assert_non_null(mkdtemp(p->folder));
        snprintf(p->path, sizeof(p->path), "%s/socket", p->folder);
        snprintf(p->address, sizeof(p->address), "unix:%s", p->path);
        strcpy(address.sun_path, p->path);
        p->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(p->listener, (struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(listen(p->listener, 16), 0);
        assert_int_equal(pipe(p->over), 0);
        assert_int_equal(pthread_create(&p->thread, NULL, play_all, p), 0);
}

void player_stop(struct player *p)
{
        close(p->over[1]);
        pthread_join(p->thread, NULL);
        close(p->over[0]);
        unlink(p->path);
        rmdir(p->folder);
}

void player_fini(struct player *p)
{
        for (size_t i = 0; i < PLAYS_MAX; i++)
                buf_fini(&p->requests[i]);
}

struct slice player_line(const struct player *p, size_t i)
{
        struct slice head = head_of(&p->requests[i]);
        const char *end = head.len ? memchr(head.ptr, '\r', head.len) : NULL;

        return (struct slice){ head.ptr, end ? (size_t)(end - head.ptr) : 0 };
}

struct slice player_header(const struct player *p, size_t i, const char *name)
{
        return header_of(head_of(&p->requests[i]), name);
}

struct slice player_body(const struct player *p, size_t i)
{
        return slice_from(buf_slice(&p->requests[i]), head_of(&p->requests[i]).len);
}
