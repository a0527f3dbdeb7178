/* The exec runner, the server's side: see exec.h. Each run is one `sendoff exec-run` (exec_main.c), which is
 * the program's parent.
 *
 * The good path: exec_start makes the body a descriptor of its own, three pipes and the control FIFO, and
 * spawns; stdout and stderr are handed on as they come; exec-run is reaped, its reports are read, the pipes
 * come to their end, and the run is over.
 *
 *              exec-run reaped                        pipes ended, or DRAIN_MS
 *   RUNNING ──────────┬──────────────────▶ DRAINING ──────────────────────────▶ OVER
 *                     └──▶ ORPHANED ───────────▲
 *                          it was killed: until the program's group is gone
 *
 * stdout and stderr are pipes made here: libuv's own are sockets, which a program cannot open again as
 * /dev/stdout. A body in a file is opened again, one in memory becomes a sealed memfd: no run shares an
 * offset, none can change the stored body. The report pipe needs no handle on the loop: nobody waits for the
 * pid, and when exec-run is reaped everything it had to say is in the pipe.
 *
 * What was in a pipe when the program ended is its output and is delivered, however long a pause takes; only
 * what comes after it is subject to DRAIN_MS. Everything that can fail does so before the spawn or in it, and
 * leaves nothing behind but handles that are closing. */
#include "run/exec.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utlist.h>

#include "base/log.h"
#include "base/mem.h"
#include "run/control.h"
#include "run/exec_body.h"
#include "run/exec_report.h"
#include "run/runner.h"

#define DRAIN_MS   1000
#define POLL_MS    10 /* for a group that has lost its exec-run */
#define READ_BYTES (64 << 10)

enum program_state {
        PROGRAM_RUNNING,
        PROGRAM_ORPHANED,
        PROGRAM_DRAINING,
        PROGRAM_OVER,
        PROGRAM_STATES,
};

#define TO(state) (1U << (state))

static const unsigned legal[PROGRAM_STATES] = {
        [PROGRAM_RUNNING] = TO(PROGRAM_ORPHANED) | TO(PROGRAM_DRAINING),
        [PROGRAM_ORPHANED] = TO(PROGRAM_DRAINING),
        [PROGRAM_DRAINING] = TO(PROGRAM_OVER),
};

struct reports {
        int fd; /* -1 closed */
        struct exec_report started, last;
};

struct output {
        uv_pipe_t pipe;
        bool open;
        int64_t owed; /* bytes that were in the pipe when the program had ended */
};

struct program {
        struct run run;
        struct exec_desk *desk;
        struct program *prev, *next;
        enum program_state state;
        uv_process_t process; /* exec-run */
        struct output out, err;
        uv_timer_t later; /* for what must come from the loop, and for drains */
        struct control *control;
        struct reports *reports;
        char *name, *folder;
        struct exec_limits limits;
        int exit_code, term_signal; /* of exec-run */
        int64_t drained_ms;         /* when DRAINING has gone on for long enough; so for ORPHANED */
        bool drained;
};

struct exec_desk {
        uv_loop_t *loop;
        char *self, *runtime_folder, *folder;
        int lock_fd;
        char server[24]; /* our pid */
        uint64_t started;
        struct program *programs;
        unsigned alive; /* structs, that is: also those whose handles are closing */
        bool stopping;
        void (*stopped)(void *arg);
        void *stopped_arg;
        uv_timer_t last; /* closed when the last program is: so `stopped` comes from the loop */
        char read_buffer[READ_BYTES];
};

static struct program *of(struct run *run)
{
        return (struct program *)run;
}

static void program_move(struct program *p, enum program_state to)
{
        assert(legal[p->state] & TO(to));
        p->state = to;
}

/* ---- the end ---- */

static void desk_closed(uv_handle_t *handle)
{
        struct exec_desk *desk = handle->data;

        desk->stopped(desk->stopped_arg);
}

static void desk_check_down(struct exec_desk *desk)
{
        if (desk->stopping && desk->alive == 0)
                uv_close((uv_handle_t *)&desk->last, desk_closed);
}

static void program_free(struct run *run)
{
        struct program *p = of(run);
        struct exec_desk *desk = p->desk;

        if (p->reports->fd >= 0)
                close(p->reports->fd);
        free(p->reports);
        free(p->name);
        free(p);
        desk->alive--;
        desk_check_down(desk);
}

static void handle_closed(uv_handle_t *handle)
{
        struct program *p = handle->data;

        run_unref(&p->run);
}

static void output_close(struct output *o)
{
        if (!o->open)
                return;
        o->open = false;
        uv_close((uv_handle_t *)&o->pipe, handle_closed);
}

static void program_finish(struct program *p)
{
        struct exec_death death = { p->name,        p->desk->folder, p->limits,
                                    p->process.pid, p->exit_code,    p->term_signal };
        struct job_run how = exec_report_result(&p->reports->last, &death);

        control_drain(p->control);
        control_close(p->control);
        p->control = NULL;
        program_move(p, PROGRAM_OVER);
        DL_DELETE(p->desk->programs, p);
        uv_close((uv_handle_t *)&p->later, handle_closed);
        run_over(&p->run, &how);
}

/* ---- on the way there ---- */

static int64_t now_of(const struct program *p)
{
        return (int64_t)uv_now(p->desk->loop);
}

static bool wants_nothing(const struct program *p)
{
        return p->run.asked || p->run.killed;
}

/* Or as good as that: what could not be killed by now is told and left. */
static bool group_is_gone(const struct program *p)
{
        int pid = p->reports->started.pid;

        if (kill(-pid, SIGKILL) < 0 && errno == ESRCH)
                return true;
        if (p->drained)
                log_say(LOG_WARN, "run", "processes of a killed program are left", "program_pid=%d", pid);
        return p->drained;
}

static void output_count(struct output *o)
{
        uv_os_fd_t fd;
        int n = 0;

        if (o->open && uv_fileno((uv_handle_t *)&o->pipe, &fd) == 0 && ioctl(fd, FIONREAD, &n) == 0)
                o->owed = n;
}

static void program_drain(struct program *p)
{
        program_move(p, PROGRAM_DRAINING);
        output_count(&p->out);
        output_count(&p->err);
        p->drained_ms = now_of(p) + DRAIN_MS;
}

/* Goes on as far as it can; only from the loop. */
static void program_settle(struct program *p)
{
        bool deaf = p->run.paused && wants_nothing(p);

        if (p->state == PROGRAM_ORPHANED && group_is_gone(p)) {
                p->drained = false;
                program_drain(p);
        }
        if (p->state != PROGRAM_DRAINING)
                return;
        if (deaf || (p->drained && p->out.owed <= 0))
                output_close(&p->out);
        if (deaf || (p->drained && p->err.owed <= 0))
                output_close(&p->err);
        if (!p->out.open && !p->err.open && (!p->run.paused || deaf))
                program_finish(p);
}

static void on_later(uv_timer_t *timer);

static void program_settle_later(struct program *p)
{
        if (p->state == PROGRAM_ORPHANED || p->state == PROGRAM_DRAINING)
                uv_timer_start(&p->later, on_later, 0, 0);
}

static void on_later(uv_timer_t *timer)
{
        struct program *p = timer->data;
        int64_t left;

        p->drained = p->drained || now_of(p) >= p->drained_ms;
        program_settle(p);
        if (p->state != PROGRAM_ORPHANED && (p->state != PROGRAM_DRAINING || p->drained))
                return;
        left = p->drained_ms - now_of(p);
        if (p->state == PROGRAM_ORPHANED && left > POLL_MS)
                left = POLL_MS;
        uv_timer_start(timer, on_later, left > 0 ? (uint64_t)left : 0, 0);
}

static void reports_read(struct reports *r)
{
        struct exec_report report;

        while (r->fd >= 0 && read(r->fd, &report, sizeof(report)) == (ssize_t)sizeof(report)) {
                if (report.what == EXEC_STARTED)
                        r->started = report;
                else
                        r->last = report;
        }
}

static void on_exit_of(uv_process_t *handle, int64_t status, int signum)
{
        struct program *p = handle->data;
        const struct exec_report *last = &p->reports->last;

        p->exit_code = (int)status;
        p->term_signal = signum;
        reports_read(p->reports);
        uv_close((uv_handle_t *)handle, handle_closed);
        if (last->what == EXEC_NOTHING)
                log_say(LOG_WARN, "run", "exec-run died", "pid=%d exit=%d signal=%d program_pid=%d",
                        handle->pid, p->exit_code, signum, p->reports->started.pid);
        if (last->left)
                log_say(LOG_WARN, "run", "processes of a killed program are left", "program_pid=%d",
                        p->reports->started.pid);
        if (last->what == EXEC_NOTHING && p->reports->started.pid > 0) {
                program_move(p, PROGRAM_ORPHANED);
                p->drained_ms = now_of(p) + EXEC_GROUP_MS;
        } else {
                program_drain(p);
        }
        on_later(&p->later);
}

/* ---- output ---- */

static void out_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
        struct program *p = handle->data;

        (void)suggested;
        *buf = uv_buf_init(p->desk->read_buffer, sizeof(p->desk->read_buffer));
}

static void out_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
        struct program *p = stream->data;
        struct output *o = stream == (uv_stream_t *)&p->out.pipe ? &p->out : &p->err;

        if (n == 0)
                return;
        if (n > 0) {
                struct slice bytes = { buf->base, (size_t)n };

                o->owed -= n;
                run_heard(&p->run);
                if (o == &p->out)
                        p->run.handlers.data(p->run.arg, bytes);
                else
                        p->run.handlers.log(p->run.arg, bytes);
        } else {
                output_close(o);
        }
        if (n < 0 || p->drained)
                program_settle(p);
}

static void on_control(void *arg, struct slice line)
{
        struct program *p = arg;

        run_heard(&p->run);
        if (!p->run.over && p->run.handlers.control)
                p->run.handlers.control(p->run.arg, line);
}

/* ---- what the runner offers ---- */

static void exec_pause(struct run *run)
{
        if (of(run)->out.open)
                uv_read_stop((uv_stream_t *)&of(run)->out.pipe);
}

static void exec_resume(struct run *run)
{
        struct program *p = of(run);

        if (p->out.open)
                uv_read_start((uv_stream_t *)&p->out.pipe, out_alloc, out_read);
        program_settle_later(p);
}

static void exec_hang_up(struct run *run)
{
        output_close(&of(run)->out);
        output_close(&of(run)->err);
        program_settle_later(of(run));
}

static void exec_signal(struct run *run, int signum)
{
        struct program *p = of(run);

        if (p->state == PROGRAM_RUNNING) {
                uv_process_kill(&p->process, signum);
                uv_process_kill(&p->process, SIGCONT);
        }
        program_settle_later(p);
}

static void exec_ask(struct run *run)
{
        exec_signal(run, SIGTERM);
}

static void exec_kill(struct run *run)
{
        exec_signal(run, SIGUSR1);
}

static int exec_pid(const struct run *run)
{
        struct reports *reports = ((const struct program *)run)->reports;

        reports_read(reports);
        return reports->started.pid;
}

static const struct runner exec_runner = {
        .name = "exec",
        .pause = exec_pause,
        .resume = exec_resume,
        .hang_up = exec_hang_up,
        .ask = exec_ask,
        .kill = exec_kill,
        .pid = exec_pid,
        .free = program_free,
};

/* ---- the start ---- */

/* What exec-run gets as its descriptors 0 to 3; ours again after the spawn. */
struct stdio {
        int fd[EXEC_REPORT_FD + 1];
};

static void stdio_close(struct stdio *stdio)
{
        for (size_t i = 0; i < sizeof(stdio->fd) / sizeof(stdio->fd[0]); i++) {
                if (stdio->fd[i] >= 0)
                        close(stdio->fd[i]);
                stdio->fd[i] = -1;
        }
}

/* Makes a pipe; its end for writing is the program's. 0 or -errno. */
static int output_open(struct output *o, int *program_end)
{
        uv_file ends[2];
        int r = uv_pipe(ends, UV_NONBLOCK_PIPE, 0);

        if (r < 0)
                return r;
        *program_end = ends[1];
        r = uv_pipe_open(&o->pipe, ends[0]);
        if (r < 0)
                close(ends[0]);
        return r;
}

static int reports_open(struct reports *reports, int *program_end)
{
        uv_file ends[2];
        int r = uv_pipe(ends, UV_NONBLOCK_PIPE, 0);

        if (r == 0) {
                reports->fd = ends[0];
                *program_end = ends[1];
        }
        return r;
}

static int program_open(struct program *p, const struct exec_request *request, struct stdio *stdio,
                        struct cause *cause)
{
        struct exec_desk *desk = p->desk;
        char *path;
        int r = exec_body_open(request->body);

        if (r < 0)
                return cause_set(cause, r, "the body cannot be opened for the program: %s", strerror(-r));
        stdio->fd[0] = r;
        r = output_open(&p->out, &stdio->fd[1]);
        r = r < 0 ? r : output_open(&p->err, &stdio->fd[2]);
        r = r < 0 ? r : reports_open(p->reports, &stdio->fd[EXEC_REPORT_FD]);
        if (r < 0)
                return cause_set(cause, r, "the program's pipes cannot be made: %s", uv_strerror(r));
        path = mem_printf("%s/x%llu.control", desk->runtime_folder, (unsigned long long)++desk->started);
        r = control_open(&p->control, desk->loop, path, on_control, p, cause);
        free(path);
        return r;
}

static size_t word_count(char *const *words)
{
        size_t count = 0;

        while (words[count])
                count++;
        return count;
}

struct command {
        char **args, **env; /* the words up to count, and env[0], are owned */
        size_t count;
};

static void command_add(struct command *c, const char *option, const char *value)
{
        c->args[c->count++] = mem_dup(option);
        c->args[c->count++] = mem_dup(value);
}

static void command_add_limit(struct command *c, const char *option, int64_t limit)
{
        char text[24];

        if (limit <= 0)
                return;
        snprintf(text, sizeof(text), "%lld", (long long)limit);
        command_add(c, option, text);
}

static void command_init(struct command *c, const struct program *p, const struct exec_request *request)
{
        size_t words = word_count(request->argv), variables = word_count(request->env);

        c->count = 0;
        c->args = mem_alloc((words + 14) * sizeof(*c->args));
        c->env = mem_alloc((variables + 2) * sizeof(*c->env));
        command_add(c, p->desk->self, "exec-run");
        command_add(c, "--server", p->desk->server);
        command_add(c, "--folder", p->desk->folder);
        command_add_limit(c, "--memory", p->limits.memory);
        command_add_limit(c, "--cpu", exec_cpu_seconds(p->limits.cpu_ms));
        command_add_limit(c, "--files", p->limits.files);
        c->args[c->count++] = mem_dup("--");
        memcpy(c->args + c->count, request->argv, words * sizeof(*c->args));
        c->env[0] = mem_printf("SENDOFF_CONTROL=%s", control_path(p->control));
        memcpy(c->env + 1, request->env, variables * sizeof(*c->env));
}

static void command_fini(struct command *c)
{
        for (size_t i = 0; i < c->count; i++)
                free(c->args[i]);
        free(c->env[0]);
        free(c->env);
        free(c->args);
}

/* 0 or < 0 of libuv. The handle is to be closed either way. */
static int program_spawn(struct program *p, const struct exec_request *request, const struct stdio *stdio)
{
        uv_stdio_container_t fds[EXEC_LOCK_FD + 1] = { 0 };
        uv_process_options_t options = { 0 };
        struct command command;
        int r;

        for (int i = 0; i <= EXEC_REPORT_FD; i++) {
                fds[i].flags = UV_INHERIT_FD;
                fds[i].data.fd = stdio->fd[i];
        }
        fds[EXEC_LOCK_FD].flags = p->desk->lock_fd >= 0 ? UV_INHERIT_FD : UV_IGNORE;
        fds[EXEC_LOCK_FD].data.fd = p->desk->lock_fd;
        command_init(&command, p, request);
        options.file = p->desk->self;
        options.args = command.args;
        options.env = command.env;
        options.flags = UV_PROCESS_DETACHED; /* a signal from the terminal is for the server */
        options.stdio = fds;
        options.stdio_count = EXEC_LOCK_FD + 1;
        options.exit_cb = on_exit_of;
        r = uv_spawn(p->desk->loop, &p->process, &options);
        command_fini(&command);
        return r;
}

static struct program *program_new(struct exec_desk *desk, const struct exec_request *request,
                                   const struct run_handlers *handlers, void *arg)
{
        struct program *p = mem_alloc(sizeof(*p));

        run_init(&p->run, &exec_runner, desk->loop, handlers, arg);
        p->desk = desk;
        desk->alive++;
        p->name = mem_dup(request->argv[0]);
        p->limits = request->limits;
        p->reports = mem_alloc(sizeof(*p->reports));
        p->reports->fd = -1;
        uv_pipe_init(desk->loop, &p->out.pipe, 0);
        uv_pipe_init(desk->loop, &p->err.pipe, 0);
        uv_timer_init(desk->loop, &p->later);
        p->out.pipe.data = p->err.pipe.data = p->later.data = p->process.data = p;
        p->out.open = p->err.open = true;
        run_ref(&p->run); /* out */
        run_ref(&p->run); /* err */
        run_ref(&p->run); /* later */
        return p;
}

static void program_abandon(struct program *p)
{
        control_close(p->control);
        output_close(&p->out);
        output_close(&p->err);
        uv_close((uv_handle_t *)&p->later, handle_closed);
        run_abandon(&p->run);
}

/* The command line or the environment is too long: that is the request's fault, and ends as a run. */
static void program_too_long(struct program *p)
{
        p->reports->last = (struct exec_report){ .what = EXEC_REFUSED, .step = EXEC_PROGRAM, .error = E2BIG };
        program_drain(p);
        output_close(&p->out);
        output_close(&p->err);
        program_settle_later(p);
}

int exec_start(struct exec_desk *desk, const struct exec_request *request,
               const struct run_handlers *handlers, void *arg, struct run **out, struct cause *cause)
{
        struct stdio stdio = { { -1, -1, -1, -1 } };
        struct program *p;
        int r;

        *out = NULL;
        if (desk->stopping)
                return cause_set(cause, -ECANCELED, "the server is shutting down");
        p = program_new(desk, request, handlers, arg);
        r = program_open(p, request, &stdio, cause);
        if (r == 0) {
                run_ref(&p->run); /* process */
                r = program_spawn(p, request, &stdio);
                if (r < 0)
                        uv_close((uv_handle_t *)&p->process, handle_closed);
                if (r < 0 && r != UV_E2BIG)
                        cause_set(cause, r, "cannot start %s: %s", desk->self, uv_strerror(r));
        }
        stdio_close(&stdio);
        if (r < 0 && r != UV_E2BIG) {
                program_abandon(p);
                return r;
        }
        DL_APPEND(desk->programs, p);
        if (r == UV_E2BIG) {
                program_too_long(p);
        } else {
                uv_read_start((uv_stream_t *)&p->out.pipe, out_alloc, out_read);
                uv_read_start((uv_stream_t *)&p->err.pipe, out_alloc, out_read);
        }
        *out = &p->run;
        return 0;
}

/* ---- the desk ---- */

/* FIFOs of a server that was killed. */
static void sweep(const char *folder)
{
        DIR *dir = opendir(folder);
        struct dirent *entry;

        while (dir && (entry = readdir(dir))) {
                size_t digits = entry->d_name[0] == 'x' ? strspn(entry->d_name + 1, "0123456789") : 0;

                if (digits > 0 && strcmp(entry->d_name + 1 + digits, ".control") == 0)
                        unlinkat(dirfd(dir), entry->d_name, 0);
        }
        if (dir)
                closedir(dir);
}

int exec_new(struct exec_desk **out, const struct exec_config *config, struct cause *cause)
{
        struct exec_desk *desk;

        *out = NULL;
        if (access(config->runtime_folder, W_OK | X_OK) < 0)
                return cause_set(cause, -errno, "cannot write to %s: %s", config->runtime_folder,
                                 strerror(errno));
        sweep(config->runtime_folder);
        desk = mem_alloc(sizeof(*desk));
        desk->loop = config->loop;
        desk->self = mem_dup(config->self);
        desk->runtime_folder = mem_dup(config->runtime_folder);
        desk->folder = mem_dup(config->folder);
        desk->lock_fd = config->lock_fd;
        snprintf(desk->server, sizeof(desk->server), "%ld", (long)getpid());
        uv_timer_init(desk->loop, &desk->last);
        desk->last.data = desk;
        *out = desk;
        return 0;
}

void exec_stop(struct exec_desk *desk, void (*done)(void *arg), void *arg)
{
        struct program *p;

        desk->stopping = true;
        desk->stopped = done;
        desk->stopped_arg = arg;
        DL_FOREACH (desk->programs, p)
                run_put_back(&p->run, "the server is shutting down");
        desk_check_down(desk);
}

void exec_free(struct exec_desk *desk)
{
        if (!desk)
                return;
        free(desk->self);
        free(desk->runtime_folder);
        free(desk->folder);
        free(desk);
}
