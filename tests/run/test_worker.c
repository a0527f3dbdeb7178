/* One worker: what it is when it waits, what its stderr becomes, that it dies with its owner. */
#include "run/worker.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "rig.h"

/* The system call it is in, -1 when it is in none. */
static int system_call(int pid)
{
        char path[64], line[64] = "";
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
        f = fopen(path, "re");
        if (!f)
                return -1;
        if (!fgets(line, sizeof(line), f))
                line[0] = '\0';
        fclose(f);
        return line[0] >= '0' && line[0] <= '9' ? atoi(line) : -1;
}

/* A child of pid, of that name. */
static int child_of(int pid, const char *name)
{
        char *command = mem_printf("pgrep -P %d %s", pid, name);
        FILE *f = popen(command, "re");
        int child = 0;

        assert_non_null(f);
        if (fscanf(f, "%d", &child) != 1)
                child = 0;
        pclose(f);
        free(command);
        return child;
}

#ifdef __x86_64__
#define SYSCALL_ACCEPT  43
#define SYSCALL_ACCEPT4 288
#else
#define SYSCALL_ACCEPT  202
#define SYSCALL_ACCEPT4 242
#endif

static bool waits_to_accept(void *arg)
{
        int in = system_call(*(int *)arg);

        return in == SYSCALL_ACCEPT || in == SYSCALL_ACCEPT4;
}

/* Connected but silent, php-cgi would wait five seconds for the request and then hang up. */
static void a_fresh_worker_waits_in_accept_not_on_a_connection(void **state)
{
        struct rig rig;
        int pid;

        rig_open_php(&rig, 1, 0);
        rig_until_free(&rig, 1);
        pid = child_of(getpid(), "php-cgi");
        assert_true(pid > 0);
        rig_until(&rig, waits_to_accept, &pid);
        assert_int_equal(pool_free_workers(rig.pool), 1);
        rig_close(&rig);
}

static void a_signal_from_the_terminal_does_not_reach_it(void **state)
{
        struct call call;
        struct rig rig;

        rig_open_php(&rig, 1, 0);
        call_init(&call, &rig, "GET", "/hello.php");
        call_run(&call);
        assert_int_equal(getsid(call.pid), call.pid);
        assert_int_equal(getpgid(call.pid), call.pid);
        assert_int_not_equal(getpgid(0), call.pid);
        call_fini(&call);
        rig_close(&rig);
}

/* ---- stderr ---- */

struct capture {
        int saved, file;
        char path[64];
};

static void capture_begin(struct capture *c)
{
        snprintf(c->path, sizeof(c->path), "/tmp/sendoff-log-XXXXXX");
        c->file = mkstemp(c->path);
        assert_true(c->file >= 0);
        fflush(stderr);
        c->saved = dup(STDERR_FILENO);
        assert_true(dup2(c->file, STDERR_FILENO) >= 0);
}

static char *capture_end(struct capture *c)
{
        char *bytes = mem_alloc(1 << 20);

        fflush(stderr);
        assert_true(dup2(c->saved, STDERR_FILENO) >= 0);
        assert_true(pread(c->file, bytes, (1 << 20) - 1, 0) >= 0);
        close(c->saved);
        close(c->file);
        unlink(c->path);
        return bytes;
}

static bool has_died(void *arg)
{
        struct pool_stats stats;

        pool_stats(((struct rig *)arg)->pool, &stats);
        return stats.died >= 1;
}

static void assert_in(const char *log, const char *part)
{
        if (!strstr(log, part))
                fail_msg("no %s in:\n%s", part, log ? log : "");
}

/* Lines, an escape, a line longer than the buffer, a last one without its end. */
static void its_stderr_becomes_log_lines_up_to_the_last_word(void **state)
{
        char sh[] = "sh", c[] = "-c",
             script[] = "echo one >&2; printf 'two\\033[31m\\n' >&2; printf '%3000s\\n' x >&2; printf last "
                        ">&2; exit 5";
        char *words[] = { sh, c, script, NULL }, *log;
        struct capture capture;
        struct rig rig;

        capture_begin(&capture);
        rig_open(&rig, words, 1, 0);
        rig_until(&rig, has_died, &rig);
        rig_close(&rig);
        log = capture_end(&capture);
        assert_in(log, "room=run msg=\"worker wrote to stderr\" worker=1 pid=");
        assert_in(log, "text=\"one\"\n");
        assert_in(log, "text=\"two\\x1b[31m\"\n");
        assert_in(log, "x\"\n");
        assert_in(log, "text=\"last\"\n");
        assert_in(log, "msg=\"worker died\"");
        assert_in(log, "exit=5");
        free(log);
}

/* Nothing is read before it has ended: all of it, and more than one turn of the loop reads, is its last
 * words. */
static void much_stderr_right_before_the_end_is_not_lost(void **state)
{
        char sh[] = "sh", c[] = "-c",
             script[] = "head -c 50000 /dev/zero | tr '\\0' y | fold -w 500 >&2; echo >&2; printf last >&2; "
                        "exit 5";
        char *words[] = { sh, c, script, NULL }, *log;
        struct capture capture;
        struct rig rig;
        int pid;

        capture_begin(&capture);
        rig_open(&rig, words, 1, 0);
        pid = child_of(getpid(), "-f sh");
        assert_true(pid > 0);
        while (!rig_is_dead(pid))
                usleep(1000);
        rig_until(&rig, has_died, &rig);
        rig_close(&rig);
        log = capture_end(&capture);
        assert_in(log, "text=\"last\"\n");
        free(log);
}

static void a_program_that_cannot_be_executed_says_why(void **state)
{
        char folder[] = "/tmp"; /* executable for access(), not for exec */
        char *words[] = { folder, NULL }, *log;
        struct capture capture;
        struct rig rig;

        capture_begin(&capture);
        rig_open(&rig, words, 1, 0);
        rig_until(&rig, has_died, &rig);
        rig_close(&rig);
        log = capture_end(&capture);
        assert_in(log, "cannot start the worker /tmp: Permission denied");
        assert_in(log, "exit=127");
        free(log);
}

/* ---- the owner dies ---- */

static _Noreturn void own_a_pool(int out)
{
        struct call first, second;
        struct rig rig;

        rig_open_php(&rig, 2, 0);
        rig_until_free(&rig, 2);
        call_init(&first, &rig, "GET", "/chatter.php?done=/dev/null"); /* busy, and never at its end */
        first.count_only = true;
        call_start(&first);
        call_init(&second, &rig, "GET", "/hello.php");
        call_run(&second);
        dprintf(out, "%d %d %s\n", first.pid, second.pid, rig.folder);
        for (;;)
                uv_run(&rig.loop, UV_RUN_ONCE);
}

struct two {
        int pids[2];
};

static bool both_are_dead(void *arg)
{
        struct two *two = arg;

        return rig_is_dead(two->pids[0]) && rig_is_dead(two->pids[1]);
}

static void workers_die_with_a_server_that_is_killed(void **state)
{
        char line[256] = "", folder[RIG_FOLDER_SIZE] = "", *command;
        struct rig waiting;
        struct two two = { { 0, 0 } };
        int pipes[2], status;
        pid_t owner;

        assert_int_equal(pipe(pipes), 0);
        owner = fork();
        if (owner == 0)
                own_a_pool(pipes[1]);
        close(pipes[1]);
        assert_true(read(pipes[0], line, sizeof(line) - 1) > 0);
        close(pipes[0]);
        assert_int_equal(sscanf(line, "%d %d %63s", &two.pids[0], &two.pids[1], folder), 3);
        assert_false(rig_is_dead(two.pids[0]));
        assert_false(rig_is_dead(two.pids[1]));
        assert_int_equal(kill(owner, SIGKILL), 0);
        assert_int_equal(waitpid(owner, &status, 0), owner);
        rig_open_responder(&waiting, 1); /* for its loop */
        rig_until(&waiting, both_are_dead, &two);
        rig_close(&waiting);
        command = mem_printf("rm -r %s", folder);
        assert_int_equal(system(command), 0);
        free(command);
}

static int tests(void)
{
        const struct CMUnitTest all[] = {
                cmocka_unit_test(a_fresh_worker_waits_in_accept_not_on_a_connection),
                cmocka_unit_test(a_signal_from_the_terminal_does_not_reach_it),
                cmocka_unit_test(its_stderr_becomes_log_lines_up_to_the_last_word),
                cmocka_unit_test(much_stderr_right_before_the_end_is_not_lost),
                cmocka_unit_test(a_program_that_cannot_be_executed_says_why),
                cmocka_unit_test(workers_die_with_a_server_that_is_killed),
        };

        return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
        return rig_main(argc, argv, tests);
}
