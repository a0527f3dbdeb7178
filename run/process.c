/* A worker's process. The good path: it is started as `self worker-exec WORDS…` with the listener as its fd
 * 0, its stderr is logged line by line, and when it ends, its last words are read, it is reaped, and the
 * worker hears of it. What of its stderr outlives it is not waited for: a program that a script has left
 * behind may hold the other end for ever. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "run/worker.h"

#define LAST_WORDS_MAX 64 /* reads of its stderr after it has been reaped */

static void process_closed(uv_handle_t *handle)
{
        struct process *p = handle->data;

        if (--p->open == 0)
                free(p);
}

static void err_line(struct process *p)
{
        char text[2 * WORKER_LINE_MAX];

        if (p->line_len > 0)
                log_say(LOG_WARN, "run", "worker wrote to stderr", "worker=%d pid=%d text=%s", p->number,
                        p->handle.pid, log_quote(text, sizeof(text), p->line, p->line_len));
        p->line_len = 0;
}

static void err_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
        struct process *p = handle->data;

        *out = uv_buf_init(p->line + p->line_len, (unsigned)(sizeof(p->line) - p->line_len));
}

static void err_bytes(struct process *p, size_t n)
{
        char *end;

        p->line_len += n;
        while ((end = memchr(p->line, '\n', p->line_len)) || p->line_len == sizeof(p->line)) {
                size_t used = end ? (size_t)(end - p->line) + 1 : p->line_len, rest = p->line_len - used;

                p->line_len = end ? used - 1 : used;
                err_line(p);
                memmove(p->line, p->line + used, rest);
                p->line_len = rest;
        }
}

static void err_close(struct process *p)
{
        if (uv_is_closing((uv_handle_t *)&p->err))
                return;
        err_line(p);
        uv_close((uv_handle_t *)&p->err, process_closed);
}

static void err_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
        if (n < 0)
                err_close(stream->data);
        else
                err_bytes(stream->data, (size_t)n);
}

/* What is left of its stderr when it has ended. */
static void err_last_words(struct process *p)
{
        uv_os_fd_t fd;
        ssize_t n = 1;

        if (uv_is_closing((uv_handle_t *)&p->err))
                return;
        if (uv_fileno((uv_handle_t *)&p->err, &fd) == 0)
                for (unsigned i = 0; i < LAST_WORDS_MAX && n > 0; i++) {
                        n = read(fd, p->line + p->line_len, sizeof(p->line) - p->line_len);
                        if (n > 0)
                                err_bytes(p, (size_t)n);
                }
        err_close(p);
}

static void on_exit_of(uv_process_t *handle, int64_t status, int signum)
{
        struct process *p = handle->data;
        struct worker *w = p->worker;

        err_last_words(p);
        uv_close((uv_handle_t *)handle, process_closed);
        p->worker = NULL;
        worker_reaped(w, (int)status, signum);
}

int process_start(struct process **out, struct worker *w, int listener)
{
        const struct worker_setup *setup = pool_setup(w->pool);
        struct process *p = mem_alloc(sizeof(*p));
        uv_stdio_container_t stdio[3] = { 0 };
        uv_process_options_t options = { 0 };
        int r;

        *out = NULL;
        p->worker = w;
        p->number = w->number;
        p->open = 2;
        uv_pipe_init(setup->loop, &p->err, 0);
        p->handle.data = p->err.data = p;
        stdio[0].flags = UV_INHERIT_FD;
        stdio[0].data.fd = listener;
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
        if (r < 0) {
                uv_close((uv_handle_t *)&p->handle, process_closed);
                uv_close((uv_handle_t *)&p->err, process_closed);
                return r;
        }
        uv_read_start((uv_stream_t *)&p->err, err_alloc, err_read);
        *out = p;
        return 0;
}
