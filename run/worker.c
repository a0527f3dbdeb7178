/* A worker's process and connection: see worker.h for the states. The good path: worker_spawn makes a
 * listener, starts the program with it as fd 0, probes until it answers, keeps one connection. Whatever ends
 * it, on_exit reaps it and the pool decides when the next one starts. Its stderr is logged line by line. */
#include "run/worker.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define BACKOFF_FIRST_MS 100
#define QUICK_DEATH_MS   1000
#define BACKLOG          64

#define TO(state) (1U << (state))

static const unsigned legal[WORKER_STATES] = {
        [WORKER_DOWN] = TO(WORKER_STARTING),
        [WORKER_STARTING] = TO(WORKER_STARTING) | TO(WORKER_IDLE) | TO(WORKER_ENDING) | TO(WORKER_DOWN),
        [WORKER_IDLE] = TO(WORKER_BUSY) | TO(WORKER_STARTING) | TO(WORKER_ENDING) | TO(WORKER_DOWN),
        [WORKER_BUSY] = TO(WORKER_IDLE) | TO(WORKER_STARTING) | TO(WORKER_ENDING) | TO(WORKER_DOWN),
        [WORKER_ENDING] = TO(WORKER_ENDING) | TO(WORKER_DOWN),
};

void worker_move(struct worker *w, enum worker_state to)
{
        assert(legal[w->state] & TO(to));
        w->state = to;
}

/* ---- the connection ---- */

static void link_closed(uv_handle_t *handle)
{
        free(handle->data);
}

void worker_drop_link(struct worker *w)
{
        struct link *link = w->link;

        if (!link)
                return;
        w->link = NULL;
        link->worker = NULL;
        uv_close((uv_handle_t *)&link->pipe, link_closed);
}

static void worker_path(const struct worker *w, char *out, size_t size)
{
        snprintf(out, size, "%s/w%d.sock", pool_setup(w->pool)->folder, w->number);
}

static void worker_connect(struct worker *w, bool probe);

static void worker_is_idle(struct worker *w)
{
        worker_move(w, WORKER_IDLE);
        pool_worker_freed(w->pool, w);
}

static void link_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
        struct link *link = handle->data;
        size_t size = 0;
        char *buffer = link->worker ? pool_read_buffer(link->worker->pool, &size) : NULL;

        *out = uv_buf_init(buffer, (unsigned)size);
}

static void link_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
        struct link *link = stream->data;
        struct worker *w = link->worker;

        if (!w || n == 0)
                return;
        if (link->probe) {
                /* an answer, or the end of the connection after it: either way it has come to accept us */
                worker_drop_link(w);
                worker_connect(w, false);
        } else if (w->run && n > 0) {
                fastcgi_read(w->run, (struct slice){ buf->base, (size_t)n });
        } else if (w->run) {
                uv_read_stop(stream);
                fastcgi_eof(w->run);
        } else {
                worker_drop_link(w);
                pool_worker_not_idle(w->pool, w);
                if (w->state == WORKER_IDLE && !w->reaped)
                        worker_probe(w);
        }
}

void worker_set_reading(struct worker *w, bool on)
{
        if (w->link && on)
                uv_read_start((uv_stream_t *)&w->link->pipe, link_alloc, link_read);
        else if (w->link)
                uv_read_stop((uv_stream_t *)&w->link->pipe);
}

/* Asks GET_VALUES and shuts our side: php-cgi answers and closes; libfcgi reads the question, says nothing,
 * and closes at the end of input. Both show that somebody came to accept. */
static bool link_ask(struct link *link)
{
        struct buf question;
        bool asked = false;
        uv_buf_t vec;

        buf_init(&question, 256);
        if (fcgi_get_values(&question) == 0) {
                vec = uv_buf_init(buf_data(&question), (unsigned)buf_len(&question));
                asked = uv_try_write((uv_stream_t *)&link->pipe, &vec, 1) == (int)vec.len &&
                        uv_shutdown(&link->shutdown, (uv_stream_t *)&link->pipe, NULL) == 0;
        }
        buf_fini(&question);
        return asked;
}

static void link_connected(uv_connect_t *connect, int status)
{
        struct link *link = connect->data;
        struct worker *w = link->worker;

        if (!w)
                return;
        if (status < 0) {
                worker_drop_link(w);
                if (w->state == WORKER_STARTING && !w->reaped)
                        worker_end(w, SIGKILL); /* it lives, but its listener does not */
                return;
        }
        link->connected = true;
        uv_read_start((uv_stream_t *)&link->pipe, link_alloc, link_read);
        if (!link->probe)
                worker_is_idle(w);
        else if (!link_ask(link))
                worker_end(w, SIGKILL);
}

static void worker_connect(struct worker *w, bool probe)
{
        struct link *link = mem_alloc(sizeof(*link));
        char path[256];

        worker_path(w, path, sizeof(path));
        uv_pipe_init(pool_setup(w->pool)->loop, &link->pipe, 0);
        link->pipe.data = link;
        link->connect.data = link;
        link->worker = w;
        link->probe = probe;
        w->link = link;
        uv_pipe_connect(&link->connect, &link->pipe, path, link_connected);
}

void worker_probe(struct worker *w)
{
        worker_move(w, WORKER_STARTING);
        worker_connect(w, true);
}

void worker_run_over(struct worker *w, bool connection_good)
{
        uint64_t max = pool_setup(w->pool)->requests_max;

        w->run = NULL;
        if (w->reaped || w->state == WORKER_ENDING)
                return; /* the process' end decides */
        w->served++;
        w->failures = 0;
        if (max && w->served >= max) {
                log_say(LOG_DEBUG, "run", "worker recycled", "worker=%d pid=%d requests=%llu", w->number,
                        w->pid, (unsigned long long)w->served);
                w->blameless = true;
                worker_end(w, SIGTERM);
        } else if (connection_good) {
                worker_is_idle(w);
        } else {
                worker_drop_link(w);
                worker_probe(w);
        }
}

/* ---- the process ---- */

static void process_closed(uv_handle_t *handle)
{
        struct process *p = handle->data;

        if (--p->open == 0)
                free(p);
}

static void err_line(struct process *p)
{
        char text[2048];

        if (p->line_len > 0)
                log_say(LOG_WARN, "run", "worker wrote to stderr", "worker=%d pid=%d text=%s",
                        p->worker ? p->worker->number : 0, p->handle.pid,
                        log_quote(text, sizeof(text), p->line, p->line_len));
        p->line_len = 0;
}

static void err_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
        struct process *p = handle->data;

        *out = uv_buf_init(p->line + p->line_len, (unsigned)(sizeof(p->line) - p->line_len));
}

static void err_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
        struct process *p = stream->data;
        char *end;

        if (n < 0) {
                err_line(p);
                uv_close((uv_handle_t *)stream, process_closed);
                return;
        }
        p->line_len += (size_t)n;
        while ((end = memchr(p->line, '\n', p->line_len)) || p->line_len == sizeof(p->line)) {
                size_t used = end ? (size_t)(end - p->line) + 1 : p->line_len, rest = p->line_len - used;

                p->line_len = end ? used - 1 : used;
                err_line(p);
                memmove(p->line, p->line + used, rest);
                p->line_len = rest;
        }
}

static void on_exit_of(uv_process_t *handle, int64_t status, int signum)
{
        struct process *p = handle->data;
        struct worker *w = p->worker;

        uv_close((uv_handle_t *)handle, process_closed);
        p->worker = NULL;
        if (!w)
                return;
        w->process = NULL;
        w->reaped = true;
        w->exit_code = (int)status;
        w->term_signal = signum;
        if (!w->blameless) {
                pool_count_death(w->pool);
                log_say(LOG_WARN, "run", "worker died", "worker=%d pid=%d exit=%d signal=%d requests=%llu",
                        w->number, w->pid, w->exit_code, w->term_signal, (unsigned long long)w->served);
                if (w->served == 0 || clock_mono_ms() - w->spawned_ms < QUICK_DEATH_MS)
                        w->failures++;
        }
        if (w->run)
                fastcgi_reaped(w->run);
        else
                pool_worker_down(w->pool, w);
}

static int worker_listen(const struct worker *w, struct cause *cause)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        char path[256];
        int fd;

        worker_path(w, path, sizeof(path));
        if (strlen(path) >= sizeof(address.sun_path))
                return cause_set(cause, -ENAMETOOLONG,
                                 "the worker's socket path %s has %zu bytes, at most %zu fit: choose a "
                                 "shorter data folder",
                                 path, strlen(path), sizeof(address.sun_path) - 1);
        strcpy(address.sun_path, path);
        unlink(path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, BACKLOG) < 0) {
                int r = cause_set(cause, -errno, "cannot listen on %s: %s", path, strerror(errno));

                if (fd >= 0)
                        close(fd);
                return r;
        }
        return fd;
}

static void backoff_over(uv_timer_t *timer)
{
        struct worker *w = timer->data;
        struct cause cause;

        if (w->run)
                fastcgi_drain_over(w->run);
        else if (w->state == WORKER_DOWN)
                (void)!worker_spawn(w, &cause);
        else if (w->state == WORKER_ENDING && w->process)
                uv_process_kill(&w->process->handle, SIGKILL);
}

void worker_init(struct worker *w, struct pool *pool, int number)
{
        w->pool = pool;
        w->number = number;
        uv_timer_init(pool_setup(pool)->loop, &w->timer);
        w->timer.data = w;
}

unsigned worker_backoff_ms(const struct worker *w)
{
        unsigned max = pool_setup(w->pool)->backoff_ms_max, ms = BACKOFF_FIRST_MS;

        if (w->failures == 0)
                return 0;
        for (unsigned i = 1; i < w->failures && ms < max; i++)
                ms *= 2;
        return ms < max ? ms : max;
}

void worker_spawn_later(struct worker *w, unsigned ms)
{
        uv_timer_start(&w->timer, backoff_over, ms, 0);
}

int worker_spawn(struct worker *w, struct cause *cause)
{
        const struct worker_setup *setup = pool_setup(w->pool);
        struct process *p;
        uv_stdio_container_t stdio[3] = { 0 };
        uv_process_options_t options = { 0 };
        int fd = worker_listen(w, cause), r;

        if (fd < 0) {
                w->failures++;
                log_say(LOG_ERROR, "run", "worker not started", "worker=%d why=\"%s\"", w->number,
                        cause->text);
                worker_spawn_later(w, worker_backoff_ms(w));
                return fd;
        }
        p = mem_alloc(sizeof(*p));
        p->worker = w;
        p->open = 2;
        p->handle.data = p;
        uv_pipe_init(setup->loop, &p->err, 0);
        p->err.data = p;
        stdio[0].flags = UV_INHERIT_FD;
        stdio[0].data.fd = fd;
        stdio[1].flags = UV_IGNORE;
        stdio[2].flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE;
        stdio[2].data.stream = (uv_stream_t *)&p->err;
        options.file = setup->self;
        options.args = setup->args;
        options.env = setup->env;
        options.flags = UV_PROCESS_DETACHED; /* a signal from the terminal is for the server, which then ends
                                                its workers in order */
        options.stdio = stdio;
        options.stdio_count = 3;
        options.exit_cb = on_exit_of;
        r = uv_spawn(setup->loop, &p->handle, &options);
        p->handle.data = p;
        close(fd);
        w->spawned_ms = clock_mono_ms();
        w->served = 0;
        w->reaped = false;
        w->blameless = false;
        if (r < 0) {
                uv_close((uv_handle_t *)&p->handle, process_closed);
                uv_close((uv_handle_t *)&p->err, process_closed);
                w->failures++;
                cause_set(cause, r, "cannot start the worker: %s", uv_strerror(r));
                log_say(LOG_ERROR, "run", "worker not started", "worker=%d why=\"%s\"", w->number,
                        cause->text);
                worker_spawn_later(w, worker_backoff_ms(w));
                return r;
        }
        w->process = p;
        w->pid = p->handle.pid;
        uv_read_start((uv_stream_t *)&p->err, err_alloc, err_read);
        pool_count_start(w->pool);
        log_say(LOG_DEBUG, "run", "worker started", "worker=%d pid=%d", w->number, w->pid);
        worker_probe(w);
        return 0;
}

void worker_end(struct worker *w, int signum)
{
        if (w->state == WORKER_DOWN)
                return;
        worker_move(w, WORKER_ENDING);
        pool_worker_not_idle(w->pool, w);
        if (!w->run)
                worker_drop_link(w);
        if (!w->process)
                return;
        uv_process_kill(&w->process->handle, signum);
        if (signum == SIGTERM)
                uv_timer_start(&w->timer, backoff_over, 2000, 0); /* then SIGKILL */
}
