/* How a program's run ends: by itself, at a limit, stopped, with its supervisor, with the server. */
#include "run/exec.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "exec_rig.h"
#include "run/runner.h"

/* ---- signals ---- */

static void a_signal_of_nobody_here_is_a_crash(void **state)
{
        static const struct {
                int signal;
                const char *reason;
        } cases[] = {
                { SIGSEGV, "the program \"sh\" was killed by signal 11 (Segmentation fault)" },
                { SIGKILL, "the program \"sh\" was killed by signal 9 (Killed)" },
                { SIGTERM, "the program \"sh\" was killed by signal 15 (Terminated)" },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                char script[32];
                struct trial t;

                snprintf(script, sizeof(script), "echo up; kill -%d $$", cases[i].signal);
                trial_sh(&t, *state, script);
                trial_run(&t);
                assert_string_equal(t.how.reason, cases[i].reason);
                assert_int_equal(t.how.outcome, RUN_CRASHED);
                assert_int_equal(t.how.signal, cases[i].signal);
                assert_int_equal(t.how.exit_code, -1);
                assert_string_equal(trial_out(&t), "up\n");
                trial_fini(&t);
        }
}

static void assert_stopped(const struct trial *t)
{
        assert_int_equal(t->how.outcome, RUN_STOPPED);
        assert_int_equal(t->how.connection_status, CONNECTION_ABORTED);
        assert_string_equal(t->how.reason, "cancelled");
}

static void a_stopped_program_may_clean_up(void **state)
{
        struct trial t;

        trial_sh(&t, *state, "trap 'echo bye; exit 4' TERM; echo $$; while :; do sleep 0.02; done");
        trial_start(&t);
        trial_int(&t);
        trial_stop_after(&t, 60000);
        trial_until_end(&t);
        assert_stopped(&t);
        assert_int_equal(t.how.exit_code, 4);
        assert_non_null(strstr(trial_out(&t), "bye\n"));
        trial_fini(&t);
}

static void a_stopped_program_that_does_not_care_is_killed(void **state)
{
        struct bench *bench = *state;
        struct trial t;
        int pid;

        trial_sh(&t, bench, "trap '' TERM; echo $$; while :; do sleep 1000; done");
        trial_start(&t);
        pid = trial_int(&t);
        trial_stop_after(&t, 50);
        trial_until_end(&t);
        assert_stopped(&t);
        assert_int_equal(t.how.signal, SIGKILL);
        assert_int_equal(rig_state(pid), 0);
        trial_fini(&t);
}

/* A shell dies of SIGTERM at once; what it was waiting for may need its grace. */
static void the_grace_is_the_whole_group_s(void **state)
{
        struct trial t;

        trial_sh(&t, *state,
                 "sh -c 'trap \"sleep 0.3; touch cleaned; exit\" TERM; echo $$; exec > /dev/null 2>&1; "
                 "while :; do sleep 0.02; done' & wait");
        trial_start(&t);
        trial_int(&t);
        trial_stop_after(&t, 60000);
        trial_until_end(&t);
        assert_stopped(&t);
        assert_int_equal(t.how.signal, SIGTERM);
        bench_remove(*state, "cleaned"); /* it was there */
        trial_fini(&t);
}

static void nothing_of_the_group_survives_a_stop(void **state)
{
        struct bench *bench = *state;
        int pids[3];
        struct trial t;

        trial_sh(&t, bench,
                 "trap '' TERM; sleep 1001 & a=$!; b=$(sleep 1002 > /dev/null 2>&1 & echo $!); "
                 "trap 'exit 0' TERM; echo $b $a $$; while :; do sleep 0.02; done");
        trial_start(&t);
        trial_int(&t);
        assert_int_equal(sscanf(trial_out(&t), "%d %d %d", &pids[0], &pids[1], &pids[2]), 3);
        trial_stop_after(&t, 100);
        trial_until_end(&t);
        assert_stopped(&t);
        assert_int_equal(t.how.exit_code, 0);
        for (int i = 0; i < 3; i++)
                assert_int_equal(rig_state(pids[i]), 0); /* not even a zombie */
        trial_fini(&t);
}

static bool has_let_go(void *arg)
{
        for (int i = 0; i < 3; i++) {
                char path[64], target[64] = "";

                snprintf(path, sizeof(path), "/proc/%d/fd/%d", *(int *)arg, i);
                if (readlink(path, target, sizeof(target) - 1) < 0 || strcmp(target, "/dev/null") != 0)
                        return false;
        }
        return true;
}

/* Else the end of a pipe would come late, and a body's memory stay. */
static void the_supervisor_holds_none_of_the_program_s_descriptors(void **state)
{
        struct trial t;
        int supervisor;

        trial_sh(&t, *state, "echo $$; exec sleep 1010");
        trial_body(&t, "body");
        trial_start(&t);
        supervisor = parent_of(trial_int(&t));
        rig_until(&t.bench->rig, has_let_go, &supervisor);
        trial_stop_after(&t, 60000);
        trial_until_end(&t);
        trial_fini(&t);
}

static void a_frozen_program_can_be_stopped(void **state)
{
        struct trial t;
        int pid;

        trial_sh(&t, *state, "trap 'echo bye; exit 0' TERM; echo $$; while :; do sleep 0.02; done");
        trial_start(&t);
        pid = trial_int(&t);
        assert_int_equal(kill(pid, SIGSTOP), 0);
        kill(parent_of(pid), SIGSTOP);
        trial_stop_after(&t, 60000);
        trial_until_end(&t);
        assert_stopped(&t);
        assert_non_null(strstr(trial_out(&t), "bye\n"));
        trial_fini(&t);
}

static void a_paused_program_can_be_stopped_and_killed(void **state)
{
        for (int i = 0; i < 2; i++) {
                struct trial t;

                trial_sh(&t, *state,
                         i ? "trap '' TERM; echo $$; while :; do echo y; done" : "echo $$; exec yes");
                trial_start(&t);
                trial_int(&t);
                run_pause(t.run);
                trial_stop_after(&t, 100);
                trial_until_end(&t);
                assert_stopped(&t);
                assert_int_equal(t.how.signal, i ? SIGKILL : SIGTERM);
                trial_fini(&t);
        }
}

static void stop_here(struct trial *t)
{
        run_stop(t->run, CONNECTION_ABORTED, "cancelled");
}

static void a_handler_may_stop_the_run(void **state)
{
        struct trial t;

        trial_init(&t, *state, "yes", NULL);
        t.count_only = true;
        t.on_data = stop_here;
        trial_start(&t);
        run_set_limits(t.run, &(struct run_limits){ .grace_ms = 60000 });
        trial_until_end(&t);
        assert_stopped(&t);
        trial_fini(&t);
}

/* At whatever moment of its start. */
static void a_run_can_be_stopped_at_any_time(void **state)
{
        struct bench *bench = *state;

        for (unsigned i = 0; i < 60; i++) {
                int64_t until_ns = clock_mono_ns() + i * 500000LL;
                struct trial t;

                trial_sh(&t, bench, "sleep 1003");
                trial_start(&t);
                while (clock_mono_ns() < until_ns)
                        uv_run(&bench->rig.loop, UV_RUN_NOWAIT);
                trial_stop_after(&t, i % 2 ? 60000 : 0);
                trial_until_end(&t);
                assert_stopped(&t);
                trial_fini(&t);
        }
}

static void reaches_its_time_and_idle_limits(void **state)
{
        static const struct run_limits limits[] = { { .time_limit_ms = 200, .grace_ms = 60000 },
                                                    { .idle_limit_ms = 200, .grace_ms = 60000 } };

        for (int i = 0; i < 2; i++) {
                struct trial t;

                trial_init(&t, *state, "sleep", "1000", NULL);
                trial_start(&t);
                run_set_limits(t.run, &limits[i]);
                trial_until_end(&t);
                assert_int_equal(t.how.outcome, RUN_STOPPED);
                assert_int_equal(t.how.connection_status, CONNECTION_TIMED_OUT);
                assert_non_null(strstr(t.how.reason, i ? "idle_limit" : "time_limit"));
                assert_int_equal(t.how.signal, SIGTERM);
                trial_fini(&t);
        }
}

/* Each for longer than the limit in all. */
static void a_sign_of_life_on_any_stream_is_enough(void **state)
{
        static const char *const streams[] = { "/dev/stdout", "/dev/stderr", "$SENDOFF_CONTROL" };
        struct trial t[3];

        for (int i = 0; i < 3; i++) {
                char script[160];

                snprintf(script, sizeof(script),
                         "i=0; while [ $i -lt 12 ]; do echo $i > %s; sleep 0.25; i=$((i + 1)); done",
                         streams[i]);
                trial_sh(&t[i], *state, script);
                trial_start(&t[i]);
                run_set_limits(t[i].run, &(struct run_limits){ .idle_limit_ms = 2000 });
        }
        for (int i = 0; i < 3; i++) {
                trial_until_end(&t[i]);
                assert_string_equal(t[i].how.reason, "");
                assert_int_equal(t[i].how.outcome, RUN_SUCCEEDED);
                trial_fini(&t[i]);
        }
}

/* ---- the caller hangs up ---- */

/* On either stream. */
static void a_writing_program_notices_that_its_caller_hung_up(void **state)
{
        for (int i = 0; i < 2; i++) {
                struct trial t;
                size_t before;

                trial_sh(&t, *state, i ? "echo x >&2; exec yes >&2" : "echo x >&2; exec yes");
                t.count_only = true;
                trial_start(&t);
                while (buf_len(&t.err) == 0)
                        uv_run(&t.bench->rig.loop, UV_RUN_ONCE);
                run_hang_up(t.run, "the caller hung up");
                assert_false(t.ended);
                t.on_data = stop_here; /* nothing more comes */
                before = buf_len(&t.err);
                trial_until_end(&t);
                assert_int_equal(buf_len(&t.err), before);
                assert_int_equal(t.how.outcome, RUN_STOPPED);
                assert_int_equal(t.how.connection_status, CONNECTION_ABORTED);
                assert_int_equal(t.how.signal, SIGPIPE);
                assert_string_equal(t.how.reason, "the caller hung up");
                trial_fini(&t);
        }
}

static void a_silent_program_goes_on_without_its_caller(void **state)
{
        struct bench *bench = *state;
        struct trial t;
        char *path = rig_path(&bench->rig, "go");

        assert_int_equal(mkfifo(path, 0600), 0);
        trial_sh(&t, bench, "echo $$; read x < go; echo progress 1 > $SENDOFF_CONTROL; touch done; exit 0");
        trial_start(&t);
        trial_int(&t);
        run_pause(t.run);
        run_hang_up(t.run, "the caller hung up");
        close(open(path, O_WRONLY | O_CLOEXEC));
        trial_until_end(&t);
        bench_remove(bench, "done"); /* it was there */
        assert_int_equal(t.how.outcome, RUN_STOPPED);
        assert_int_equal(t.how.exit_code, 0);
        assert_string_equal(trial_control(&t), "progress 1\n");
        trial_fini(&t);
        free(path);
}

/* ---- who is left ---- */

static void a_daemon_is_left_alone_and_not_waited_for(void **state)
{
        struct trial t;
        int pid;

        trial_sh(&t, *state, "setsid sleep 1004 & echo $!");
        trial_run(&t);
        pid = trial_int(&t);
        assert_int_equal(t.how.outcome, RUN_SUCCEEDED);
        assert_false(rig_is_dead(pid));
        assert_int_equal(kill(pid, SIGKILL), 0);
        trial_fini(&t);
}

static void a_daemon_survives_a_stop(void **state)
{
        struct trial t;
        int pid;

        trial_sh(&t, *state, "setsid sleep 1005 & echo $!; wait");
        trial_start(&t);
        pid = trial_int(&t);
        while (getsid(pid) != pid)
                uv_run(&t.bench->rig.loop, UV_RUN_ONCE);
        trial_stop_after(&t, 60000);
        trial_until_end(&t);
        assert_stopped(&t);
        assert_false(rig_is_dead(pid));
        assert_int_equal(kill(pid, SIGKILL), 0);
        trial_fini(&t);
}

static void a_background_child_is_left_alone_on_a_normal_end(void **state)
{
        struct trial t;
        int pid;

        trial_sh(&t, *state, "sleep 1006 > /dev/null 2>&1 & echo $!");
        trial_run(&t);
        pid = trial_int(&t);
        assert_int_equal(t.how.outcome, RUN_SUCCEEDED);
        assert_false(rig_is_dead(pid));
        assert_int_equal(kill(pid, SIGKILL), 0);
        trial_fini(&t);
}

static void past_the_drain(uv_timer_t *timer)
{
        *(bool *)timer->data = true;
}

static bool is_true(void *arg)
{
        return *(bool *)arg;
}

static void until_dead(struct trial *t)
{
        int pid;

        while (!(pid = run_pid(t->run)))
                uv_run(&t->bench->rig.loop, UV_RUN_ONCE);
        rig_until_dead(&t->bench->rig, pid);
}

/* A pause may outlast the drain, of a program whose pipes somebody else holds, and of one that has closed
 * them. */
static void a_pause_costs_none_of_the_output(void **state)
{
        struct bench *bench = *state;
        bool past = false;
        uv_timer_t timer;
        struct trial held, closed;
        int daemon;

        trial_sh(&held, bench, "setsid sleep 1007 & echo $!; head -c 30000 /dev/zero; exit 0");
        trial_start(&held);
        run_pause(held.run);
        trial_sh(&closed, bench, "echo $$; exec >&-; sleep 0.1");
        trial_start(&closed);
        trial_int(&closed);
        run_pause(closed.run);
        until_dead(&held);
        until_dead(&closed);
        uv_timer_init(&bench->rig.loop, &timer);
        timer.data = &past;
        uv_timer_start(&timer, past_the_drain, 1500, 0);
        rig_until(&bench->rig, is_true, &past);
        uv_close((uv_handle_t *)&timer, NULL);
        assert_false(held.ended || closed.ended);
        run_resume(held.run);
        run_resume(closed.run);
        trial_until_end(&held);
        trial_until_end(&closed);
        daemon = trial_int(&held);
        assert_int_equal(kill(daemon, SIGKILL), 0);
        assert_true(held.out_bytes > 30000);
        assert_int_equal(held.how.outcome, RUN_SUCCEEDED);
        assert_int_equal(closed.how.outcome, RUN_SUCCEEDED);
        trial_fini(&held);
        trial_fini(&closed);
}

/* ---- the supervisor is killed ---- */

static void a_program_dies_with_its_supervisor(void **state)
{
        struct bench *bench = *state;
        struct trial t;
        int pid, child, supervisor;

        trial_sh(&t, bench, "sleep 1008 & echo $$ $!; while :; do sleep 1000; done");
        trial_start(&t);
        pid = trial_int(&t);
        assert_int_equal(sscanf(trial_out(&t), "%d %d", &pid, &child), 2);
        supervisor = parent_of(pid);
        assert_int_not_equal(supervisor, getpid());
        assert_int_equal(kill(supervisor, SIGKILL), 0);
        trial_until_end(&t);
        assert_int_equal(t.how.outcome, RUN_CRASHED);
        assert_int_equal(t.how.signal, SIGKILL);
        assert_non_null(strstr(t.how.reason, "its supervisor"));
        assert_int_equal(t.how.cpu_ms, -1);
        assert_true(rig_is_dead(pid));
        assert_true(rig_is_dead(child));
        trial_fini(&t);
}

/* And leaves alone what does not end by it. */
static void a_supervisor_passes_a_stranger_s_signal_on(void **state)
{
        struct trial t;
        int supervisor, other;
        pid_t stranger;

        trial_sh(&t, *state,
                 "trap '' TERM; sleep 1011 > /dev/null 2>&1 & other=$!; trap asked=1 TERM; echo $$ $other; "
                 "while [ -z \"$asked\" ]; do sleep 0.02; done; echo still here; exit 5");
        trial_start(&t);
        supervisor = parent_of(trial_int(&t));
        assert_int_equal(sscanf(trial_out(&t), "%*d %d", &other), 1);
        kill(supervisor, SIGHUP); /* means something only when the server is gone */
        kill(supervisor, SIGINT);
        stranger = fork();
        if (stranger == 0) { /* the test itself is the server */
                kill(supervisor, SIGTERM);
                _exit(0);
        }
        assert_int_equal(waitpid(stranger, NULL, 0),
                         stranger); /* not the supervisor, which is the loop's to reap */
        trial_until_end(&t);
        assert_non_null(strstr(trial_out(&t), "still here\n"));
        assert_int_equal(t.how.outcome, RUN_FAILED);
        assert_int_equal(t.how.exit_code, 5);
        assert_false(rig_is_dead(other));
        assert_int_equal(kill(other, SIGKILL), 0);
        trial_fini(&t);
}

/* ---- the server is killed ---- */

/* Processes whose command line names the folder; zombies have none. */
static unsigned processes_of(const char *folder)
{
        DIR *dir = opendir("/proc");
        struct dirent *entry;
        unsigned count = 0;

        assert_non_null(dir);
        while ((entry = readdir(dir))) {
                char path[300], line[4096];
                ssize_t n;
                int fd;

                snprintf(path, sizeof(path), "/proc/%s/cmdline", entry->d_name);
                if (atoi(entry->d_name) <= 0 || (fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
                        continue;
                n = read(fd, line, sizeof(line));
                close(fd);
                count += n > 0 && memmem(line, (size_t)n, folder, strlen(folder));
        }
        closedir(dir);
        return count;
}

/* The server's process: two programs that start others, for ever. */
static void serve(struct bench *bench, const char *script, int said_fd)
{
        struct trial t[2];
        bool said = false;

        assert_int_equal(flock(bench->lock_fd, LOCK_EX | LOCK_NB), 0);
        for (int i = 0; i < 2; i++) {
                trial_init(&t[i], bench, "sh", "-c", script, bench->rig.folder, NULL);
                t[i].count_only = true;
                trial_start(&t[i]);
        }
        for (;;) {
                uv_run(&bench->rig.loop, UV_RUN_ONCE);
                if (said || !t[0].out_bytes || !t[1].out_bytes)
                        continue;
                said = write(said_fd, "1", 1) == 1;
        }
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
        return remove(path);
}

static void kill_a_server(const char *script, int64_t after_ms)
{
        struct bench bench;
        int pipes[2], fd;
        char byte;
        pid_t server;

        assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
        fflush(NULL);
        server = fork();
        if (server == 0) {
                bench_open(&bench);
                if (write(pipes[1], bench.rig.folder, sizeof(bench.rig.folder)) > 0)
                        serve(&bench, script, pipes[1]);
                _exit(1);
        }
        assert_int_equal(read(pipes[0], bench.rig.folder, sizeof(bench.rig.folder)),
                         sizeof(bench.rig.folder));
        if (after_ms < 0)
                assert_int_equal(read(pipes[0], &byte, 1), 1);
        else
                usleep((unsigned)after_ms * 1000);
        assert_int_equal(kill(server, SIGKILL), 0);
        assert_int_equal(waitpid(server, NULL, 0), server);
        fd = open(bench.rig.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(fd >= 0);
        alarm(60);
        assert_int_equal(flock(fd, LOCK_EX), 0); /* free only when the programs are gone */
        alarm(0);
        assert_int_equal(processes_of(bench.rig.folder), 0);
        close(fd);
        close(pipes[0]);
        close(pipes[1]);
        assert_int_equal(nftw(bench.rig.folder, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void programs_die_with_the_server(void **state)
{
        const char *stubborn = "trap '' TERM HUP; sh -c 'while :; do sleep 1000; done' $0/child & echo $$; "
                               "while :; do sleep 1000; done";

        kill_a_server(stubborn, -1);
        for (int ms = 0; ms < 60; ms += 3)
                kill_a_server(stubborn, ms);
}

/* SIGPIPE ends it before its supervisor has heard of the server's death. */
static void what_a_program_has_started_dies_with_the_server_too(void **state)
{
        const char *chatty = "sh -c 'while :; do sleep 1000; done' $0/child > /dev/null 2>&1 & "
                             "while echo $$; do :; done";

        for (int i = 0; i < 20; i++)
                kill_a_server(chatty, -1);
}

/* ---- the verb ---- */

static int verb_exit(char *const *words)
{
        int status;
        pid_t pid;

        fflush(NULL);
        pid = fork();
        if (pid == 0) {
                int fd = open("/dev/null", O_RDWR);

                dup2(fd, 2);
                execv(rig_self(), words);
                _exit(99);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static void the_verb_refuses_what_it_does_not_understand(void **state)
{
        char self[] = "sendoff", verb[] = "exec-run", server[] = "--server", one[] = "1", end[] = "--",
             echo[] = "true", memory[] = "--memory", bad[] = "12x", other[] = "--other", pid[24];
        char *nothing[] = { self, verb, NULL };
        char *no_server[] = { self, verb, end, echo, NULL };
        char *no_program[] = { self, verb, server, one, end, NULL };
        char *no_end[] = { self, verb, server, NULL };
        char *bad_number[] = { self, verb, server, one, memory, bad, end, echo, NULL };
        char *unknown[] = { self, verb, server, one, other, one, end, echo, NULL };
        char *of_another[] = { self, verb, server, one, end, echo, NULL };
        char *good[] = { self, verb, server, pid, end, echo, NULL };
        char **refused[] = { nothing, no_server, no_program, no_end, bad_number, unknown };

        for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
                assert_int_equal(verb_exit(refused[i]), 2);
        assert_int_equal(verb_exit(of_another), 127);
        snprintf(pid, sizeof(pid), "%d", (int)getpid());
        assert_int_equal(verb_exit(good), 0);
}

static int tests(void)
{
        const struct CMUnitTest all[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)
                TEST(a_signal_of_nobody_here_is_a_crash),
                TEST(a_stopped_program_may_clean_up),
                TEST(a_stopped_program_that_does_not_care_is_killed),
                TEST(the_grace_is_the_whole_group_s),
                TEST(nothing_of_the_group_survives_a_stop),
                TEST(the_supervisor_holds_none_of_the_program_s_descriptors),
                TEST(a_frozen_program_can_be_stopped),
                TEST(a_paused_program_can_be_stopped_and_killed),
                TEST(a_handler_may_stop_the_run),
                TEST(a_run_can_be_stopped_at_any_time),
                TEST(reaches_its_time_and_idle_limits),
                TEST(a_sign_of_life_on_any_stream_is_enough),
                TEST(a_writing_program_notices_that_its_caller_hung_up),
                TEST(a_silent_program_goes_on_without_its_caller),
                TEST(a_daemon_is_left_alone_and_not_waited_for),
                TEST(a_daemon_survives_a_stop),
                TEST(a_background_child_is_left_alone_on_a_normal_end),
                TEST(a_pause_costs_none_of_the_output),
                TEST(a_program_dies_with_its_supervisor),
                TEST(a_supervisor_passes_a_stranger_s_signal_on),
                cmocka_unit_test(programs_die_with_the_server),
                cmocka_unit_test(what_a_program_has_started_dies_with_the_server_too),
                cmocka_unit_test(the_verb_refuses_what_it_does_not_understand),
        };

        return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
        return exec_rig_main(argc, argv, tests);
}
