/* What /proc says, of real processes. */
#include "run/proc.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "rig.h"

static void on_signal(int signum)
{
}

static void tells_which_signals_are_caught(void **state)
{
        assert_false(proc_catches(getpid(), SIGUSR1));
        signal(SIGUSR1, SIG_IGN);
        assert_false(proc_catches(getpid(), SIGUSR1));
        signal(SIGUSR1, on_signal);
        assert_true(proc_catches(getpid(), SIGUSR1));
        assert_false(proc_catches(getpid(), SIGUSR2));
        assert_false(proc_catches(getpid(), SIGUSR1 - 1));
        signal(SIGUSR1, SIG_DFL);
        assert_false(proc_catches(getpid(), SIGUSR1));
        signal(SIGRTMAX, on_signal); /* the last bit */
        assert_true(proc_catches(getpid(), SIGRTMAX));
        signal(SIGRTMAX, SIG_DFL);
        assert_false(proc_catches(getpid(), SIGRTMAX));
}

static int a_pid_of_nobody(void)
{
        pid_t pid = fork();
        int status;

        if (pid == 0)
                _exit(0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return pid;
}

static void nobody_catches_or_uses_anything(void **state)
{
        int pid = a_pid_of_nobody();

        assert_false(proc_catches(pid, SIGTERM));
        assert_int_equal(proc_cpu_us(pid), -1);
        assert_int_equal(proc_cpu_us(0), -1);
        assert_int_equal(proc_cpu_us(-1), -1);
        proc_signal_children(pid, SIGKILL);
}

static void cpu_time_is_that_of_the_process(void **state)
{
        struct timespec used;
        int64_t before = proc_cpu_us(getpid()), after, all;
        volatile unsigned work = 1;

        assert_true(before > 0);
        do {
                for (int i = 0; i < 100000; i++)
                        work = work * 3;
                after = proc_cpu_us(getpid());
        } while (after < before + 20000);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
        all = (int64_t)used.tv_sec * 1000000 + used.tv_nsec / 1000;
        assert_in_range(all - after, 0, 1000000);
        usleep(50000);
        assert_in_range(proc_cpu_us(getpid()) - after, 0, 40000); /* sleeping is for nothing */
}

/* ---- children ---- */

static _Noreturn void wait_for_ever(int out)
{
        int pid = getpid();

        alarm(60);
        if (write(out, &pid, sizeof(pid)) != sizeof(pid))
                _exit(1);
        for (;;)
                pause();
}

/* Forks a chain of `depth` that each have `beside` more; their pids come out of the pipe. */
static void grow(int out, int depth, int beside)
{
        for (int i = 0; i < beside; i++)
                if (fork() == 0)
                        wait_for_ever(out);
        if (depth > 0 && fork() == 0) {
                grow(out, depth - 1, beside);
                wait_for_ever(out);
        }
}

static void children_and_theirs_get_the_signal_but_nobody_else(void **state)
{
        int pipes[2], pids[12], status;
        bool dead[12] = { false };
        pid_t top, stranger;
        int64_t until_ms = clock_mono_ms() + 20000;
        unsigned count = 0;

        assert_int_equal(pipe(pipes), 0);
        stranger = fork();
        if (stranger == 0)
                wait_for_ever(open("/dev/null", O_WRONLY));
        top = fork();
        if (top == 0) {
                signal(SIGCHLD, SIG_IGN); /* reaped by the kernel, so that kill(pid, 0) tells */
                grow(pipes[1], 3, 2);
                wait_for_ever(open("/dev/null", O_WRONLY));
        }
        for (int i = 0; i < 11; i++) /* 2 + 3 * (1 + 2) */
                assert_int_equal(read(pipes[0], &pids[i], sizeof(int)), sizeof(int));
        proc_signal_children(top, SIGTERM);
        while (count < 11 && clock_mono_ms() < until_ms)
                for (int i = 0; i < 11; i++)
                        if (!dead[i] && rig_is_dead(pids[i])) {
                                dead[i] = true;
                                count++;
                        }
        assert_int_equal(count, 11);
        assert_false(rig_is_dead(top));
        assert_false(rig_is_dead(stranger));
        kill(top, SIGKILL);
        kill(stranger, SIGKILL);
        assert_int_equal(waitpid(top, &status, 0), top);
        assert_int_equal(waitpid(stranger, &status, 0), stranger);
        close(pipes[0]);
        close(pipes[1]);
}

static void no_more_than_so_many_get_it(void **state)
{
        enum { MORE = PROC_SIGNALLED_MAX + 20 };
        int pipes[2], pid, status;
        unsigned left = 0;
        int *pids = calloc(MORE, sizeof(int));
        int64_t until_ms = clock_mono_ms() + 20000;
        pid_t top;

        assert_int_equal(pipe(pipes), 0);
        top = fork();
        if (top == 0) {
                signal(SIGCHLD, SIG_IGN);
                grow(pipes[1], 0, MORE);
                wait_for_ever(open("/dev/null", O_WRONLY));
        }
        for (int i = 0; i < MORE; i++) {
                assert_int_equal(read(pipes[0], &pid, sizeof(pid)), sizeof(pid));
                pids[i] = pid;
        }
        proc_signal_children(top, SIGTERM);
        do {
                left = 0;
                for (int i = 0; i < MORE; i++)
                        left += !rig_is_dead(pids[i]);
        } while (left > MORE - PROC_SIGNALLED_MAX && clock_mono_ms() < until_ms);
        assert_int_equal(left, MORE - PROC_SIGNALLED_MAX);
        proc_signal_children(top, SIGKILL);
        kill(top, SIGKILL);
        assert_int_equal(waitpid(top, &status, 0), top);
        close(pipes[0]);
        close(pipes[1]);
        free(pids);
}

static int tests(void)
{
        const struct CMUnitTest all[] = {
                cmocka_unit_test(tells_which_signals_are_caught),
                cmocka_unit_test(nobody_catches_or_uses_anything),
                cmocka_unit_test(cpu_time_is_that_of_the_process),
                cmocka_unit_test(children_and_theirs_get_the_signal_but_nobody_else),
                cmocka_unit_test(no_more_than_so_many_get_it),
        };

        return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
        return rig_main(argc, argv, tests);
}
