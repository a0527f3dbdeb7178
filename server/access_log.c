/* Access log lines, gathered in a bounded buffer and written without ever blocking the loop. See
 * access_log.h. */
#include "server/access_log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

struct access_log {
        int fd;
        char *path; /* NULL for stdout */
        struct buf out;
        uint64_t dropped;
};

static int access_log_open(struct access_log *log, struct cause *cause)
{
        log->fd = open(log->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
        if (log->fd < 0)
                return cause_set(cause, -errno, "access_log: cannot open %s: %s", log->path, strerror(errno));
        return 0;
}

int access_log_new(struct access_log **out, const char *target, struct cause *cause)
{
        struct access_log *log;
        int r = 0;

        *out = NULL;
        if (strcmp(target, "off") == 0)
                return 0;
        log = mem_alloc(sizeof(*log));
        buf_init(&log->out, ACCESS_LOG_MAX);
        if (strcmp(target, "-") == 0) {
                log->fd = STDOUT_FILENO;
        } else {
                log->path = mem_dup(target);
                r = access_log_open(log, cause);
        }
        if (r < 0) {
                free(log->path);
                free(log);
                return r;
        }
        *out = log;
        return 0;
}

void access_log_free(struct access_log *log)
{
        if (!log)
                return;
        access_log_flush(log);
        if (log->path && log->fd >= 0)
                close(log->fd);
        free(log->path);
        buf_fini(&log->out);
        free(log);
}

void access_log_reopen(struct access_log *log)
{
        struct cause cause;
        int before;

        if (!log || !log->path)
                return;
        access_log_flush(log);
        before = log->fd;
        if (access_log_open(log, &cause) < 0) {
                log_say(LOG_ERROR, "server", "access log not reopened, the old file goes on", "why=\"%s\"",
                        cause.text);
                log->fd = before;
                return;
        }
        if (before >= 0)
                close(before);
}

/* Outside bytes inside quotes: what could end the field or the line is written as \xNN. */
static void add_quoted(char *out, size_t size, struct slice text)
{
        log_quote(out, size, text.ptr, text.len);
}

static struct slice field(const struct exchange *ex, struct slice name)
{
        const struct http1_header *h = exchange_header(ex, name);

        return h ? h->value : SLICE("-");
}

static struct slice host_only(const char *address)
{
        const char *colon = strrchr(address, ':');

        if (!colon || strncmp(address, "unix:", 5) == 0)
                return SLICE("-");
        if (address[0] == '[' && colon > address + 2)
                return (struct slice){ address + 1, (size_t)(colon - address) - 2 };
        return (struct slice){ address, (size_t)(colon - address) };
}

void access_log_add(struct access_log *log, const struct exchange *ex)
{
        char request[4096], referer[512], agent[512], stamp[CLOCK_CLF_SIZE], worker[16] = "-",
                                                                             line[JOB_METHOD_MAX + 4000];
        struct slice address;
        double ms;
        int r, n;

        if (!log)
                return;
        n = snprintf(line, sizeof(line), "%.*s %.*s HTTP/1.%d",
                     (int)(ex->req.method.len > 32 ? 32 : ex->req.method.len), ex->req.method.ptr,
                     (int)(ex->req.target.len > 3900 ? 3900 : ex->req.target.len), ex->req.target.ptr,
                     ex->req.minor);
        add_quoted(request, sizeof(request), (struct slice){ line, n > 0 ? (size_t)n : 0 });
        add_quoted(referer, sizeof(referer), field(ex, SLICE("referer")));
        add_quoted(agent, sizeof(agent), field(ex, SLICE("user-agent")));
        if (ex->worker > 0)
                snprintf(worker, sizeof(worker), "w%d", ex->worker);
        address = host_only(exchange_remote(ex));
        ms = (double)(clock_mono_ns() - ex->began_ns) / 1e6;
        r = buf_printf(&log->out, "%.*s - - [%s] %s %d %llu %s %s %.1fms %s %s\n", SLICE_ARG(address),
                       clock_clf(clock_real_ms(), stamp), request, ex->status, (unsigned long long)ex->sent,
                       referer, agent, ms, worker, ex->job[0] ? ex->job : "-");
        if (r != 0)
                log->dropped++;
}

void access_log_flush(struct access_log *log)
{
        if (!log)
                return;
        while (buf_len(&log->out) > 0) {
                struct pollfd p = { .fd = log->fd, .events = POLLOUT };
                size_t len = buf_len(&log->out);
                ssize_t n;

                /* a pipe that polls writable takes PIPE_BUF bytes without blocking; a file takes everything
                 */
                if (!log->path) {
                        if (poll(&p, 1, 0) <= 0 || !(p.revents & POLLOUT))
                                break;
                        len = len > PIPE_BUF ? PIPE_BUF : len;
                }
                n = write(log->fd, buf_data(&log->out), len);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        break;
                buf_consume(&log->out, (size_t)n);
        }
        if (log->dropped && buf_len(&log->out) < ACCESS_LOG_MAX / 2) {
                log_say(LOG_WARN, "server", "access log lines dropped: its reader is too slow",
                        "lines=%llu max_bytes=%d", (unsigned long long)log->dropped, ACCESS_LOG_MAX);
                log->dropped = 0;
        }
}
