/* Doors: listening, the list of connections, the flush before the loop sleeps, the tick for deadlines. The
 * good path: door_new binds and listens, door_drain stops accepting, door_close ends all. A door that cannot
 * listen says why in one sentence. See door.h. */
#include "server/door.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/access_log.h"
#include "server/address.h"
#include "server/conn.h"

#define BACKLOG 1024
#define TICK_MS 250

static void door_connection(uv_stream_t *stream, int status)
{
        struct door *door = stream->data;

        if (status < 0) {
                log_say(LOG_ERROR, "server", "a connection could not be accepted", "door=%s why=\"%s\"",
                        door->address, uv_strerror(status));
                return;
        }
        conn_accept(door);
}

static void door_flush(uv_prepare_t *handle)
{
        struct door *door = handle->data;

        while (door->dirty) {
                struct conn *c = door->dirty;

                door->dirty = conn_next_dirty(c);
                conn_run(c);
        }
        access_log_flush(door->c.access_log);
}

static void door_tick(uv_timer_t *handle)
{
        struct door *door = handle->data;
        struct conn *next;
        uint64_t memory = 0;
        bool pressed;

        door->now_ms = clock_mono_ms();
        for (struct conn *c = door->conns; c; c = next) {
                next = conn_next(c);
                memory += conn_memory(c);
                conn_tick(c);
        }
        pressed = memory > door->c.config->memory_max;
        if (pressed != door->pressed)
                log_say(LOG_WARN, "server",
                        pressed ? "the connections hold more memory than they may (option memory_max)"
                                : "the connections hold less memory than they may again",
                        "door=%s connections=%u bytes=%llu memory_max=%llu", door->address, door->conn_count,
                        (unsigned long long)memory, (unsigned long long)door->c.config->memory_max);
        door->pressed = pressed;
}

/* Whether somebody answers at a socket path: then it is not ours to replace. */
static bool socket_is_live(const struct sockaddr_un *address)
{
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool live;

        if (fd < 0)
                return false;
        live = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0;
        close(fd);
        return live;
}

static int listen_unix(struct door *door, const char *path, struct cause *cause)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        struct stat st;
        mode_t before;
        int fd, r;

        if (strlen(path) >= sizeof(address.sun_path))
                return cause_set(cause, -ENAMETOOLONG, "the socket path %s has %zu bytes, at most %zu fit",
                                 path, strlen(path), sizeof(address.sun_path) - 1);
        strcpy(address.sun_path, path);
        if (lstat(path, &st) == 0) {
                if (!S_ISSOCK(st.st_mode))
                        return cause_set(cause, -EEXIST, "%s is in the way: it is no socket", path);
                if (socket_is_live(&address))
                        return cause_set(cause, -EADDRINUSE, "a server already answers at unix:%s", path);
                unlink(path);
        }
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return cause_set(cause, -errno, "no socket: %s", strerror(errno));
        before = umask(0117);
        r = bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
        umask(before);
        if (r == 0)
                r = uv_pipe_open(&door->listener.pipe, fd);
        if (r < 0) {
                close(fd);
                return cause_set(cause, r, "cannot listen on unix:%s: %s", path, strerror(-r));
        }
        door->address = mem_printf("unix:%s", path);
        return 0;
}

static int parse_address(const char *address, struct addrinfo **out, struct cause *cause)
{
        struct addrinfo hints = { .ai_family = AF_UNSPEC,
                                  .ai_socktype = SOCK_STREAM,
                                  .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
        const char *colon = strrchr(address, ':');
        char host[256];
        size_t len;
        int r;

        if (!colon)
                return cause_set(cause, -EINVAL, "'%s' is no ADDR:PORT", address);
        len = (size_t)(colon - address);
        if (len >= 2 && address[0] == '[' && address[len - 1] == ']') {
                address++;
                len -= 2;
        }
        if (len >= sizeof(host))
                return cause_set(cause, -EINVAL, "'%s' is no ADDR:PORT", address);
        memcpy(host, address, len);
        host[len] = '\0';
        r = getaddrinfo(len ? host : NULL, colon + 1, &hints, out);
        if (r != 0)
                return cause_set(cause, -EINVAL, "'%s' is no ADDR:PORT to listen on: %s", address,
                                 gai_strerror(r));
        return 0;
}

static int listen_tcp(struct door *door, const char *address, struct cause *cause)
{
        struct sockaddr_storage ss;
        struct addrinfo *found;
        int len = sizeof(ss), r;
        char name[ADDRESS_SIZE];

        r = parse_address(address, &found, cause);
        if (r < 0)
                return r;
        r = uv_tcp_bind(&door->listener.tcp, found->ai_addr, 0);
        freeaddrinfo(found);
        if (r < 0)
                return cause_set(cause, r, "cannot listen on %s: %s", address, uv_strerror(r));
        r = uv_tcp_getsockname(&door->listener.tcp, (struct sockaddr *)&ss, &len);
        if (r < 0)
                return cause_set(cause, r, "cannot listen on %s: %s", address, uv_strerror(r));
        address_format(name, &ss);
        door->address = mem_dup(name);
        return 0;
}

static void door_handle_closed(uv_handle_t *handle)
{
        struct door *door = handle->data;

        door->handles--;
        if (door->closed)
                door_close(door, door->closed, door->closed_arg);
}

int door_new(struct door **out, const struct door_config *config, const char *address, struct cause *cause)
{
        struct door *door = mem_alloc(sizeof(*door));
        int r;

        *out = door; /* also on error: it has handles to close, see door_close */
        door->c = *config;
        door->is_unix = strncmp(address, "unix:", 5) == 0;
        if (door->is_unix)
                r = uv_pipe_init(config->loop, &door->listener.pipe, 0);
        else
                r = uv_tcp_init(config->loop, &door->listener.tcp);
        if (r < 0)
                return cause_set(cause, r, "no listener: %s", uv_strerror(r));
        uv_prepare_init(config->loop, &door->flush);
        uv_timer_init(config->loop, &door->tick);
        door->handles = 3;
        door->listener.handle.data = door->flush.data = door->tick.data = door;
        r = door->is_unix ? listen_unix(door, address + 5, cause) : listen_tcp(door, address, cause);
        if (r < 0)
                return r;
        r = uv_listen(&door->listener.stream, BACKLOG, door_connection);
        if (r < 0)
                return cause_set(cause, r, "cannot listen on %s: %s", address, uv_strerror(r));
        door->now_ms = clock_mono_ms();
        uv_prepare_start(&door->flush, door_flush);
        uv_timer_start(&door->tick, door_tick, TICK_MS, TICK_MS);
        return 0;
}

const char *door_address(const struct door *door)
{
        return door->address;
}

const char *door_date(struct door *door)
{
        int64_t now = clock_real_ms();

        if (now / 1000 != door->date_s) {
                door->date_s = now / 1000;
                clock_http(now, door->date);
        }
        return door->date;
}

static void door_stop_listening(struct door *door)
{
        if (uv_is_closing(&door->listener.handle))
                return;
        if (door->is_unix && door->address)
                unlink(door->address + 5);
        uv_close(&door->listener.handle, door_handle_closed);
}

void door_drain(struct door *door)
{
        struct conn *next;

        door->draining = true;
        door_stop_listening(door);
        for (struct conn *c = door->conns; c; c = next) {
                next = conn_next(c);
                conn_drain(c);
        }
}

bool door_is_busy(const struct door *door)
{
        for (const struct conn *c = door->conns; c; c = conn_next(c))
                if (conn_is_busy(c))
                        return true;
        return false;
}

void door_close(struct door *door, void (*done)(void *arg), void *arg)
{
        struct conn *next;

        door->closed = done;
        door->closed_arg = arg;
        if (door->handles > 0)
                door_stop_listening(door);
        for (struct conn *c = door->conns; c; c = next) {
                next = conn_next(c);
                conn_close(c);
        }
        if (door->handles > 0 && !uv_is_closing((uv_handle_t *)&door->tick)) {
                uv_close((uv_handle_t *)&door->flush, door_handle_closed);
                uv_close((uv_handle_t *)&door->tick, door_handle_closed);
        }
        if (door->handles == 0 && door->conn_count == 0) {
                door->closed = NULL;
                done(arg);
        }
}

void door_free(struct door *door)
{
        if (!door)
                return;
        free(door->address);
        free(door);
}
