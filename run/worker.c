/* A worker's process and connection: see worker.h for the states. The good path: worker_spawn makes a
 * listener and starts the program with it as fd 0; a probe that is answered makes it idle; the first request
 * makes the connection, which is kept. Whatever ends the process (process.c), it is reaped, and the
 * pool decides when the next one starts. */
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
#include "run/leftover.h"
#include "run/proc.h"

#define BACKOFF_FIRST_MS 100
#define QUICK_DEATH_MS   1000
#define TERM_MS          2000  /* from SIGTERM to SIGKILL */
#define SLOW_START_MS    30000 /* without an answer: a warning, again and again */
#define BACKLOG          64
#define BEGIN_MS         50 /* PHP has begun with a request by then */

#define TO(state) (1U << (state))

static const unsigned legal[WORKER_STATES] = {
        [WORKER_DOWN] = TO(WORKER_STARTING),
        [WORKER_STARTING] = TO(WORKER_IDLE) | TO(WORKER_ENDING) | TO(WORKER_DOWN),
        [WORKER_IDLE] = TO(WORKER_BUSY) | TO(WORKER_GONE) | TO(WORKER_ENDING) | TO(WORKER_DOWN),
        [WORKER_BUSY] = TO(WORKER_IDLE) | TO(WORKER_GONE) | TO(WORKER_ENDING) | TO(WORKER_DOWN),
        [WORKER_GONE] = TO(WORKER_IDLE) | TO(WORKER_ENDING) | TO(WORKER_DOWN),
        [WORKER_ENDING] = TO(WORKER_ENDING) | TO(WORKER_DOWN),
};

void worker_move(struct worker *w, enum worker_state to)
{
        assert(legal[w->state] & TO(to));
        w->state = to;
}

size_t worker_path(const char *folder, int number, char *out, size_t size)
{
        int len = snprintf(out, size, "%s/w%d.sock", folder, number);

        return len < 0 ? SIZE_MAX : (size_t)len;
}

/* 0, or -ENAMETOOLONG. */
static int worker_address(const struct worker *w, struct sockaddr_un *out)
{
        memset(out, 0, sizeof(*out));
        out->sun_family = AF_UNIX;
        return worker_path(pool_setup(w->pool)->folder, w->number, out->sun_path, sizeof(out->sun_path)) <
                               sizeof(out->sun_path)
                       ? 0
                       : -ENAMETOOLONG;
}

int worker_outside_address(const char *outside, struct sockaddr_storage *out, socklen_t *len)
{
        struct sockaddr_un *path = (struct sockaddr_un *)out;
        const char *colon = strrchr(outside, ':');
        size_t n = colon ? (size_t)(colon - outside) : 0;
        uint64_t port;
        char host[64];

        memset(out, 0, sizeof(*out));
        if (strncmp(outside, "unix:/", 6) == 0) {
                *len = sizeof(*path);
                path->sun_family = AF_UNIX;
                return snprintf(path->sun_path, sizeof(path->sun_path), "%s", outside + 5) <
                                       (int)sizeof(path->sun_path)
                               ? 0
                               : -ENAMETOOLONG;
        }
        if (n == 0 || n >= sizeof(host) || !slice_to_u64(slice_of(colon + 1), 65535, &port) || port == 0)
                return -EINVAL;
        memcpy(host, outside, n);
        host[n] = '\0';
        if (host[0] == '[' && host[n - 1] == ']') {
                host[n - 1] = '\0';
                *len = sizeof(struct sockaddr_in6);
                return uv_ip6_addr(host + 1, (int)port, (struct sockaddr_in6 *)out);
        }
        *len = sizeof(struct sockaddr_in);
        return uv_ip4_addr(host, (int)port, (struct sockaddr_in *)out);
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

static void worker_probe(struct worker *w);
static void on_timer(uv_timer_t *timer);

bool worker_is_outside(const struct worker *w)
{
        return pool_setup(w->pool)->outside != NULL;
}

/* It has come to accept a connection, so nothing runs on it. Recycling waits for this too: a script that goes
 * on without its caller is let finish. */
static void worker_is_free(struct worker *w)
{
        uint64_t max = pool_setup(w->pool)->requests_max;

        if (w->request) { /* it was GONE: that script has ended now */
                fastcgi_script_ended(w->request);
                return;
        }
        if (w->state == WORKER_STARTING)
                uv_timer_stop(&w->timer);
        if (max && w->served >= max && !worker_is_outside(w)) {
                log_say(LOG_DEBUG, "run", "worker recycled", "worker=%d pid=%d requests=%llu", w->number,
                        w->pid, (unsigned long long)w->served);
                w->blameless = true;
                worker_end(w, SIGTERM);
                return;
        }
        worker_move(w, WORKER_IDLE);
        pool_worker_idle(w->pool, w);
}

static void link_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
        struct link *link = handle->data;
        size_t size = 0;
        char *buffer = link->worker ? pool_read_buffer(link->worker->pool, &size) : NULL;

        *out = uv_buf_init(buffer, (unsigned)size);
}

static void worker_answered(struct worker *w, bool in_words);

static void link_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
        struct link *link = stream->data;
        struct worker *w = link->worker;

        if (!w || n == 0)
                return;
        if (link->probe) {
                worker_drop_link(w);
                worker_answered(w, n > 0);
        } else if (w->request && n > 0) {
                fastcgi_read(w->request, (struct slice){ buf->base, (size_t)n });
        } else if (w->request) {
                uv_read_stop(stream);
                fastcgi_eof(w->request);
        } else {
                worker_drop_link(w);
                if (w->state == WORKER_IDLE) { /* it hung up between two requests: is it still there? */
                        pool_worker_not_idle(w->pool, w);
                        worker_move(w, WORKER_GONE);
                        worker_probe(w);
                }
        }
}

void worker_set_reading(struct worker *w, bool on)
{
        if (w->link && on)
                uv_read_start((uv_stream_t *)&w->link->pipe, link_alloc, link_read);
        else if (w->link)
                uv_read_stop((uv_stream_t *)&w->link->pipe);
}

/* A connection to a path, or to host and port of an outside pool. A unix socket's connect does not wait for
 * the accept; one over TCP may still be under way: what is written waits for it, and its failure is the end
 * of the connection. The socket, or -errno. */
static int open_socket(const struct worker *w)
{
        const char *outside = pool_setup(w->pool)->outside;
        struct sockaddr_storage address;
        struct sockaddr_un path;
        socklen_t len = sizeof(path);
        int fd, r = 0;

        if (outside) {
                r = worker_outside_address(outside, &address, &len);
        } else {
                r = worker_address(w, &path);
                memcpy(&address, &path, sizeof(path));
        }
        if (r < 0)
                return r;
        fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (struct sockaddr *)&address, len) < 0 && errno != EINPROGRESS) {
                r = -errno;
                close(fd);
                return r;
        }
        return fd;
}

/* 0 or -errno. */
static int worker_connect(struct worker *w, bool probe)
{
        int fd = open_socket(w), r;
        struct link *link;

        if (fd < 0)
                return fd;
        link = mem_alloc(sizeof(*link));
        uv_pipe_init(pool_setup(w->pool)->loop, &link->pipe, 0);
        link->pipe.data = link;
        link->worker = w;
        link->probe = probe;
        w->link = link;
        r = uv_pipe_open(&link->pipe, fd);
        if (r == 0)
                r = uv_read_start((uv_stream_t *)&link->pipe, link_alloc, link_read);
        else
                close(fd);
        if (r < 0)
                worker_drop_link(w);
        return r;
}

int worker_open(struct worker *w)
{
        return w->link ? 0 : worker_connect(w, false);
}

/* Asks GET_VALUES and shuts our side: php-cgi answers and closes; libfcgi reads the question, says nothing,
 * and closes at the end of input. Both show that somebody came to accept. */
static int link_ask(struct link *link)
{
        uv_stream_t *stream = (uv_stream_t *)&link->pipe;
        struct buf question;
        uv_buf_t vec;
        int r;

        buf_init(&question, 256);
        r = fcgi_get_values(&question);
        if (r == 0) {
                vec = uv_buf_init(buf_data(&question), (unsigned)buf_len(&question));
                r = uv_try_write(stream, &vec, 1);
                if (r >= 0)
                        r = r == (int)vec.len ? uv_shutdown(&link->shutdown, stream, NULL) : -EIO;
        }
        buf_fini(&question);
        return r;
}

/* STARTING or GONE: the answer makes it idle. */
static void worker_probe(struct worker *w)
{
        int r = worker_connect(w, true);

        if (r == 0)
                r = link_ask(w->link);
        if (r == 0)
                return;
        if (!w->reaped)
                log_say(LOG_WARN, "run", "worker cannot be asked; killed", "worker=%d pid=%d why=\"%s\"",
                        w->number, w->pid, uv_strerror(r));
        worker_end(w, SIGKILL);
}

/* An answer, or the end of the connection: it came to accept us, unless the end was its own death, which has
 * closed the listener too. */
static void worker_answered(struct worker *w, bool in_words)
{
        int r = in_words ? 0 : worker_connect(w, true);

        if (!in_words)
                worker_drop_link(w);
        if (r == 0) {
                worker_is_free(w);
                pool_announce(w->pool);
        } else if (!w->reaped) {
                worker_end(w, SIGKILL);
        }
}

void worker_leave(struct worker *w)
{
        worker_drop_link(w);
        if (worker_is_outside(w) || w->state != WORKER_BUSY)
                return;
        worker_move(w, WORKER_GONE);
        worker_probe(w);
}

/* An outside pool's worker has no connection any more, or never had one: down for a while when none can be
 * made. */
static void outside_over(struct worker *w)
{
        if (w->unreachable || pool_is_stopping(w->pool)) {
                w->failures += w->unreachable;
                w->blameless = !w->unreachable;
                w->unreachable = false;
                worker_end(w, 0);
        } else {
                w->failures = 0;
                worker_is_free(w);
        }
}

void worker_request_over(struct worker *w, bool connection_good)
{
        bool asked = w->asked;

        w->request = NULL;
        if (w->state == WORKER_ENDING)
                return; /* the process' end decides */
        w->asked = false;
        uv_timer_stop(&w->timer);
        w->served++;
        if (asked && !pool_setup(w->pool)->php) { /* it may end at any moment */
                w->blameless = true;
                worker_end(w, SIGTERM);
                return;
        }
        if (connection_good) {
                w->failures = 0;
                worker_set_reading(w, true);
                worker_is_free(w);
        } else if (worker_is_outside(w)) {
                worker_drop_link(w);
                outside_over(w);
        } else if (w->state == WORKER_GONE) { /* it has answered just now */
                worker_is_free(w);
        } else {
                w->failures = 0;
                worker_drop_link(w);
                worker_move(w, WORKER_GONE);
                worker_probe(w);
        }
}

/* ---- SENDOFF_CONTROL ---- */

static void on_control(void *arg, struct slice line)
{
        struct worker *w = arg;

        if (w->request)
                fastcgi_control(w->request, line);
}

static void worker_make_control(struct worker *w)
{
        const struct worker_setup *setup = pool_setup(w->pool);
        struct cause cause = { "" };
        char *path = mem_printf("%s/w%d-%u.control", setup->folder, w->number, ++w->controls);

        if (control_open(&w->control, setup->loop, path, on_control, w, &cause) < 0)
                log_say(LOG_ERROR, "run", "scripts have no SENDOFF_CONTROL", "worker=%d why=\"%s\"",
                        w->number, cause.text);
        free(path);
}

const char *worker_control(struct worker *w, bool own)
{
        if (worker_is_outside(w))
                return NULL;
        worker_drain_control(w); /* it is nobody's */
        if (!w->control || own || w->own_control || control_used(w->control)) {
                control_close(w->control);
                w->control = NULL;
                worker_make_control(w);
        }
        w->own_control = own;
        return w->control ? control_path(w->control) : NULL;
}

void worker_drain_control(struct worker *w)
{
        if (w->control)
                control_drain(w->control);
}

/* ---- asking ---- */

int64_t worker_cpu_us(const struct worker *w)
{
        return w->process ? proc_cpu_us(w->pid) : -1;
}

void worker_ask(struct worker *w)
{
        bool php = pool_setup(w->pool)->php;

        if (!w->process)
                return;
        if (php && (clock_mono_ms() < w->begun_ms + BEGIN_MS || !proc_catches(w->pid, SIGPROF))) {
                uv_timer_start(&w->timer, on_timer, BEGIN_MS, 0);
                return;
        }
        w->asked = true;
        uv_process_kill(&w->process->handle, php ? SIGPROF : SIGTERM);
        if (php)
                proc_signal_children(w->pid, SIGTERM);
}

void worker_unreachable(struct worker *w)
{
        log_say(LOG_WARN, "run", "worker cannot be reached; killed", "worker=%d pid=%d", w->number, w->pid);
        worker_end(w, SIGKILL);
}

/* ---- the process ---- */

static void worker_blame(struct worker *w)
{
        bool quick = clock_mono_ms() - w->spawned_ms < QUICK_DEATH_MS;

        pool_count_death(w->pool);
        log_say(LOG_WARN, "run", "worker died", "worker=%d pid=%d exit=%d signal=%d requests=%llu", w->number,
                w->pid, w->exit_code, w->term_signal, (unsigned long long)w->served);
        w->failures = quick || w->served == 0 ? w->failures + 1 : 0;
}

void worker_reaped(struct worker *w, int exit_code, int term_signal)
{
        w->process = NULL;
        w->reaped = true;
        w->exit_code = exit_code;
        w->term_signal = term_signal;
        pool_worker_not_idle(w->pool, w);
        if (!w->blameless && !w->asked)
                worker_blame(w);
        if (w->request)
                fastcgi_reaped(w->request);
        else
                pool_worker_down(w->pool, w);
}

static int worker_listen(const struct worker *w, struct cause *cause)
{
        struct sockaddr_un address;
        int fd, r = worker_address(w, &address);

        if (r < 0)
                return cause_set(cause, r, "the path of the worker's socket is too long");
        unlink(address.sun_path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
            listen(fd, BACKLOG) == 0)
                return fd;
        r = cause_set(cause, -errno, "cannot listen on %s: %s", address.sun_path, strerror(errno));
        if (fd >= 0)
                close(fd);
        return r;
}

static void on_timer(uv_timer_t *timer)
{
        struct worker *w = timer->data;

        if (w->state == WORKER_DOWN) {
                worker_spawn(w);
                pool_announce(w->pool);
        } else if (w->state == WORKER_STARTING) {
                log_say(LOG_WARN, "run", "worker does not answer yet", "worker=%d pid=%d seconds=%lld",
                        w->number, w->pid, (long long)((clock_mono_ms() - w->spawned_ms) / 1000));
        } else if (w->state == WORKER_BUSY || w->state == WORKER_GONE) {
                worker_ask(w);
        } else if (w->state == WORKER_ENDING && w->process) {
                uv_process_kill(&w->process->handle, SIGKILL);
        }
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
        uint64_t max = pool_setup(w->pool)->backoff_ms_max, ms = BACKOFF_FIRST_MS;

        if (w->failures == 0)
                return 0;
        for (unsigned i = 1; i < w->failures && ms < max; i++)
                ms *= 2;
        return (unsigned)(ms < max ? ms : max);
}

void worker_spawn_later(struct worker *w, unsigned ms)
{
        if (worker_is_outside(w))
                log_say(LOG_WARN, "run", "FastCGI pool cannot be reached; tried again later",
                        "worker=%d where=\"%s\" in_ms=%u", w->number, pool_setup(w->pool)->outside, ms);
        else
                log_say(LOG_WARN, "run", "worker started again later", "worker=%d in_ms=%u", w->number, ms);
        uv_timer_start(&w->timer, on_timer, ms, 0);
}

static void worker_not_started(struct worker *w, const char *why)
{
        char text[2 * CAUSE_MAX];

        w->failures++;
        log_say(LOG_ERROR, "run", "worker not started", "worker=%d why=%s", w->number,
                log_quote(text, sizeof(text), why, strlen(why)));
        worker_spawn_later(w, worker_backoff_ms(w));
}

/* Of an outside pool: a connection is made when there is a request. */
static void outside_up(struct worker *w)
{
        worker_move(w, WORKER_STARTING);
        worker_is_free(w);
}

void worker_spawn(struct worker *w)
{
        struct cause cause = { "" };
        int listener, r;

        if (worker_is_outside(w)) {
                outside_up(w);
                return;
        }
        listener = worker_listen(w, &cause);
        if (listener < 0) {
                worker_not_started(w, cause.text);
                return;
        }
        r = process_start(&w->process, w, listener);
        close(listener);
        if (r < 0) {
                worker_not_started(w, uv_strerror(r));
                return;
        }
        w->pid = w->process->handle.pid;
        leftover_note(pool_setup(w->pool)->folder, w->number, w->pid);
        w->spawned_ms = clock_mono_ms();
        w->served = 0;
        w->reaped = w->blameless = w->asked = false;
        pool_count_start(w->pool);
        log_say(LOG_DEBUG, "run", "worker started", "worker=%d pid=%d", w->number, w->pid);
        worker_move(w, WORKER_STARTING);
        uv_timer_start(&w->timer, on_timer, SLOW_START_MS, SLOW_START_MS);
        worker_probe(w);
}

void worker_end(struct worker *w, int signum)
{
        if (w->state == WORKER_DOWN)
                return;
        worker_move(w, WORKER_ENDING);
        pool_worker_not_idle(w->pool, w);
        if (!w->request || (w->link && w->link->probe))
                worker_drop_link(w);
        uv_timer_stop(&w->timer);
        if (worker_is_outside(w) && !w->request)
                pool_worker_down(w->pool, w);
        if (!w->process)
                return;
        if (signum == SIGKILL) /* with what its scripts are waiting for */
                kill(-w->pid, SIGKILL);
        uv_process_kill(&w->process->handle, signum);
        if (signum == SIGTERM)
                uv_timer_start(&w->timer, on_timer, TERM_MS, 0);
}
