/* `sendoff exec-run`: the parent of one program, between it and the server. libuv's spawn can neither set
 * limits nor tie a whole process group to the server's life, and its reaping loses the resource usage; a
 * process in between can do all three, outlives the server by the moment that killing the group takes, and
 * holds the data folder's lock in that moment.
 *
 * The good path: everything the program needs is made ready, it is forked into a group of its own, a pipe
 * that closes on exec says that it is under way; then signals are waited for until it is reaped, and its end
 * is reported. What runs on in the background then is left alone.
 *
 * How it fails: what goes wrong before the exec is reported as EXEC_REFUSED with the step and errno. How it
 * ends from outside: see exec_report.h; then, and when the server is gone (PR_SET_PDEATHSIG), nothing of the
 * group is left when the report is written. It is a subreaper, so that orphans of the group become its
 * children: their end wakes it, and no slow init keeps their zombies in the group. Should it be killed
 * itself, the program dies of its own PR_SET_PDEATHSIG, and the server kills the group. */
#include "run/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "run/exec_report.h"
#include "run/child.h"

#define OOM_SCORE    500 /* the kernel takes a program rather than the server */
#define POLL_MS      20  /* for members of the group that are not our children */
#define PATH_DEFAULT "/usr/local/bin:/usr/bin:/bin"

extern char **environ;

struct order {
        pid_t server;
        const char *folder;
        rlim_t memory, cpu, files; /* 0 not set; cpu in seconds */
        char **argv;
        char **candidates; /* paths to try, in order; NULL-terminated */
};

/* ---- the command line ---- */

static bool number(const char *text, rlim_t *out)
{
        uint64_t n;

        if (!slice_to_u64(slice_of(text), INT64_MAX, &n))
                return false;
        *out = (rlim_t)n;
        return true;
}

static bool order_parse(struct order *o, char **argv)
{
        rlim_t server = 0;
        bool good = true;

        *o = (struct order){ .folder = "." };
        for (; good && argv[0] && strcmp(argv[0], "--") != 0; argv += 2) {
                if (!argv[1])
                        return false;
                if (strcmp(argv[0], "--server") == 0)
                        good = number(argv[1], &server);
                else if (strcmp(argv[0], "--folder") == 0)
                        o->folder = argv[1];
                else if (strcmp(argv[0], "--memory") == 0)
                        good = number(argv[1], &o->memory);
                else if (strcmp(argv[0], "--cpu") == 0)
                        good = number(argv[1], &o->cpu);
                else if (strcmp(argv[0], "--files") == 0)
                        good = number(argv[1], &o->files);
                else
                        good = false;
        }
        o->server = (pid_t)server;
        o->argv = argv[0] ? argv + 1 : argv;
        return good && server > 0 && o->argv[0];
}

/* As execvp looks, but before the fork, and without its fallback to a shell. */
static char **candidates_new(const char *name)
{
        const char *path = getenv("PATH");
        struct slice rest = slice_of(path ? path : PATH_DEFAULT), folder;
        char **list = mem_alloc((rest.len + 2) * sizeof(*list));
        size_t count = 0;

        if (strchr(name, '/'))
                list[count++] = mem_dup(name);
        else
                while (name[0] && slice_cut(&rest, ':', &folder))
                        list[count++] =
                                folder.len ? mem_printf("%.*s/%s", SLICE_ARG(folder), name) : mem_dup(name);
        return list;
}

/* ---- between fork and exec ---- */

static void report_write(const struct exec_report *report)
{
        ssize_t n;

        do
                n = write(EXEC_REPORT_FD, report, sizeof(*report));
        while (n < 0 && errno == EINTR);
}

static void raise_oom_score(void)
{
        char text[16] = "";
        int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC), len;

        if (fd < 0)
                return;
        if (read(fd, text, sizeof(text) - 1) > 0 && atoi(text) < OOM_SCORE) {
                len = snprintf(text, sizeof(text), "%d", OOM_SCORE);
                if (pwrite(fd, text, (size_t)len, 0) < 0)
                        errno = 0; /* as it is, then */
        }
        close(fd);
}

/* extra: how far the hard limit may lie above the soft one. 0, or -1 with errno. */
static int set_limit(int what, rlim_t soft, rlim_t extra)
{
        struct rlimit limit;

        if (soft == 0)
                return 0;
        if (getrlimit((__rlimit_resource_t)what, &limit) < 0)
                return -1;
        if (limit.rlim_max < soft || limit.rlim_max - soft > extra)
                limit.rlim_max = soft + extra;
        limit.rlim_cur = soft;
        return setrlimit((__rlimit_resource_t)what, &limit);
}

/* Returns the step that failed, with errno. Memory comes last: from then on nothing more may be had. */
static enum exec_step program_prepare(const struct order *o)
{
        raise_oom_score();
        if (chdir(o->folder) < 0)
                return EXEC_FOLDER;
        if (set_limit(RLIMIT_CPU, o->cpu, EXEC_CPU_EXTRA) < 0)
                return EXEC_CPU;
        if (set_limit(RLIMIT_NOFILE, o->files, 0) < 0)
                return EXEC_FILES;
        return set_limit(RLIMIT_AS, o->memory, 0) < 0 ? EXEC_MEMORY : EXEC_PROGRAM;
}

static enum exec_step program_exec(const struct order *o)
{
        bool denied = false;

        errno = ENOENT;
        for (size_t i = 0; o->candidates[i]; i++) {
                execve(o->candidates[i], o->argv, environ);
                if (errno == ENOENT && access(o->candidates[i], F_OK) == 0)
                        return EXEC_INTERPRETER;
                if (errno == EACCES)
                        denied = true;
                else if (errno != ENOENT && errno != ENOTDIR)
                        return EXEC_PROGRAM;
        }
        errno = denied ? EACCES : errno;
        return EXEC_PROGRAM;
}

/* The pid is reported from here, before there is a program: none is ever executed that the server does not
 * know of, should the supervisor be killed. */
static void program_run(const struct order *o, pid_t supervisor, int tell_fd)
{
        struct exec_report report = { .what = EXEC_STARTED, .pid = getpid() };

        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != supervisor)
                _exit(127);
        report_write(&report);
        child_default_signals();
        child_default_files();
        report.what = EXEC_REFUSED;
        report.step = program_prepare(o);
        if (report.step == EXEC_PROGRAM)
                report.step = program_exec(o);
        report.error = errno;
        if (write(tell_fd, &report, sizeof(report)) < 0)
                _exit(126);
        _exit(127);
}

/* ---- the supervisor ---- */

struct supervisor {
        pid_t server, program;
        bool asked, killed, reaped;
        int64_t killed_ms;
        struct exec_report report;
};

static int64_t time_ms(const struct timeval *t)
{
        return (int64_t)t->tv_sec * 1000 + t->tv_usec / 1000;
}

static void supervisor_reap(struct supervisor *s)
{
        struct rusage usage;
        int status;
        pid_t pid;

        while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0) {
                if (pid != s->program)
                        continue;
                s->reaped = true;
                s->report.wait_status = status;
                s->report.cpu_ms = time_ms(&usage.ru_utime) + time_ms(&usage.ru_stime);
                s->report.peak_rss_kb = usage.ru_maxrss;
        }
}

static void supervisor_kill(struct supervisor *s)
{
        if (!s->killed)
                s->killed_ms = clock_mono_ms();
        s->killed = true;
        kill(-s->program, SIGKILL);
}

/* A signal that comes from somebody else than the server is passed on and changes nothing. */
static void supervisor_signal(struct supervisor *s, const siginfo_t *info)
{
        if (info->si_signo == SIGUSR1 || getppid() != s->server) {
                supervisor_kill(s);
        } else if (info->si_signo == SIGTERM) {
                s->asked = s->asked || info->si_pid == s->server;
                kill(-s->program, SIGTERM);
                kill(-s->program, SIGCONT);
        }
}

/* A program may notice the server's death before anything is signalled, by the end of its pipes, and end by
 * itself. A process lets go of its memory first and of its descriptors after that, so the one shows what the
 * other was. */
static bool server_is_dying(const struct supervisor *s)
{
        char path[32], text[2] = "";
        bool dying = getppid() != s->server;
        int fd;

        snprintf(path, sizeof(path), "/proc/%d/statm", (int)s->server);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return dying;
        if (read(fd, text, sizeof(text)) == sizeof(text))
                dying = dying || memcmp(text, "0 ", sizeof(text)) == 0;
        close(fd);
        return dying;
}

/* Whether there is nothing more to wait for. */
static bool supervisor_done(struct supervisor *s)
{
        if (!s->reaped)
                return false;
        if (!s->asked && !s->killed && server_is_dying(s))
                supervisor_kill(s);
        if (!s->asked && !s->killed)
                return true;
        if (kill(-s->program, s->killed ? SIGKILL : 0) < 0 && errno == ESRCH)
                return true;
        s->report.left = s->killed && clock_mono_ms() - s->killed_ms > EXEC_GROUP_MS;
        return s->report.left;
}

static void supervisor_watch(struct supervisor *s)
{
        const struct timespec poll = { 0, POLL_MS * 1000000L };
        sigset_t wanted;
        siginfo_t info;

        sigemptyset(&wanted);
        sigaddset(&wanted, SIGTERM);
        sigaddset(&wanted, SIGUSR1);
        sigaddset(&wanted, SIGHUP);
        sigaddset(&wanted, SIGCHLD);
        for (;;) {
                supervisor_reap(s);
                if (supervisor_done(s))
                        return;
                if (sigtimedwait(&wanted, &info, s->reaped ? &poll : NULL) > 0 && info.si_signo != SIGCHLD)
                        supervisor_signal(s, &info);
        }
}

/* Where the program was executed its end of the pipe is closed without a word. */
static bool program_refused(int tell_fd, struct exec_report *report)
{
        struct exec_report refusal;
        ssize_t n;

        do
                n = read(tell_fd, &refusal, sizeof(refusal));
        while (n < 0 && errno == EINTR);
        if (n != (ssize_t)sizeof(refusal))
                return false;
        report->what = EXEC_REFUSED;
        report->step = refusal.step;
        report->error = refusal.error;
        return true;
}

/* Nobody else must hold the program's pipes open. */
static void let_go_of_stdio(void)
{
        int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

        for (int i = 0; i < 3; i++) {
                if (fd < 0)
                        close(i);
                else
                        dup2(fd, i);
        }
        if (fd > 2)
                close(fd);
}

/* Every descriptor from the report's on; kernels before 5.11 cannot do that at once, and then it is the two
 * that are known to be there. */
static void keep_from_program(void)
{
        if (close_range(EXEC_REPORT_FD, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
                return;
        fcntl(EXEC_REPORT_FD, F_SETFD, FD_CLOEXEC);
        fcntl(EXEC_LOCK_FD, F_SETFD, FD_CLOEXEC);
}

static void supervise(const struct order *o)
{
        struct supervisor s = { .server = o->server };
        int tell[2] = { -1, -1 };
        pid_t self = getpid();

        s.program = pipe2(tell, O_CLOEXEC) == 0 ? fork() : -1;
        if (s.program == 0)
                program_run(o, self, tell[1]);
        if (s.program < 0) {
                s.report = (struct exec_report){ .what = EXEC_REFUSED, .step = EXEC_FORK, .error = errno };
                report_write(&s.report);
                return;
        }
        close(tell[1]);
        setpgid(s.program, s.program);
        s.report = (struct exec_report){ .what = EXEC_ENDED, .pid = s.program };
        let_go_of_stdio();
        program_refused(tell[0], &s.report);
        close(tell[0]);
        supervisor_watch(&s);
        report_write(&s.report);
}

int exec_main(int argc, char **argv)
{
        struct order order;
        sigset_t all;

        if (argc < 1 || !order_parse(&order, argv)) {
                fputs("sendoff exec-run: this is the server's own way to start a program\n", stderr);
                return 2;
        }
        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, NULL);
        prctl(PR_SET_PDEATHSIG, SIGHUP);
        /* the server may have died before the line above */
        if (getppid() != order.server)
                return 127;
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        keep_from_program();
        order.candidates = candidates_new(order.argv[0]);
        supervise(&order);
        /* Not by way of exit(): the server waits, and a signal that comes late must not meet what others do
         * there (a leak checker stops the process by ptrace, and can be left waiting by it). */
        _exit(0);
}
