/* What a program gets from the exec runner, and what the runner tells of it: real programs throughout. */
#include "run/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "exec_rig.h"
#include "run/runner.h"

#define MIB (1ULL << 20)

static void assert_succeeded(const struct trial *t)
{
        assert_string_equal(t->how.reason, "");
        assert_int_equal(t->how.outcome, RUN_SUCCEEDED);
        assert_int_equal(t->how.exit_code, 0);
        assert_int_equal(t->how.signal, 0);
        assert_int_equal(t->how.connection_status, 0);
}

/* A script's stdout must be exactly this. */
static void expect(struct bench *bench, const char *script, const char *wanted)
{
        struct trial t;

        trial_sh(&t, bench, script);
        trial_run(&t);
        assert_string_equal(trial_out(&t), wanted);
        assert_string_equal(trial_err(&t), "");
        assert_succeeded(&t);
        trial_fini(&t);
}

static void make_fifo(struct bench *bench, const char *name)
{
        char *path = rig_path(&bench->rig, name);

        assert_int_equal(mkfifo(path, 0600), 0);
        free(path);
}

/* Lets whoever reads from it go on. */
static void open_fifo(struct bench *bench, const char *name)
{
        char *path = rig_path(&bench->rig, name);
        int fd = open(path, O_WRONLY | O_CLOEXEC);

        assert_true(fd >= 0);
        close(fd);
        free(path);
}

static void open_fifo_for_all(struct bench *bench, const char *name, bool (*is_so)(void *arg), void *arg)
{
        char *path = rig_path(&bench->rig, name);
        int fd = open(path, O_RDWR | O_CLOEXEC);

        assert_true(fd >= 0);
        rig_until(&bench->rig, is_so, arg);
        close(fd);
        free(path);
}

/* ---- what it is given ---- */

static void keeps_output_and_exit_code(void **state)
{
        static const struct {
                const char *script;
                int code;
                enum run_outcome outcome;
        } cases[] = {
                { "echo out; echo err >&2; exit 0", 0, RUN_SUCCEEDED },
                { "echo out; echo err >&2; exit 3", 3, RUN_FAILED },
                { "echo out; echo err >&2; exit 75", 75, RUN_FAILED },
                { "echo out; echo err >&2; exit 255", 255, RUN_FAILED },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct trial t;

                trial_sh(&t, *state, cases[i].script);
                trial_run(&t);
                assert_string_equal(trial_out(&t), "out\n");
                assert_string_equal(trial_err(&t), "err\n");
                assert_int_equal(t.how.outcome, cases[i].outcome);
                assert_int_equal(t.how.exit_code, cases[i].code);
                assert_int_equal(t.how.signal, 0);
                assert_int_equal(t.how.status, 0);
                assert_string_equal(t.how.reason, ""); /* job_judge's business */
                assert_false(t.how.may_pass);
                trial_fini(&t);
        }
}

static void gets_its_words_as_they_are(void **state)
{
        struct trial t;

        trial_init(&t, *state, "printf", "<%s>", "a b", "", "$HOME", "--", "*", "'\"\\", "\xc3\xa9", NULL);
        trial_run(&t);
        assert_string_equal(trial_out(&t), "<a b><><$HOME><--><*><'\"\\><\xc3\xa9>");
        assert_succeeded(&t);
        trial_fini(&t);
}

static void gets_its_environment_and_nothing_else(void **state)
{
        struct bench *bench = *state;
        struct trial t;
        char *wanted;

        setenv("OF_THE_SERVER", "secret", 1);
        trial_init(&t, bench, "env", NULL);
        trial_run(&t);
        wanted = mem_printf("SENDOFF_CONTROL=%s/x1.control\nPATH=%s\nLC_ALL=C\n", bench->runtime,
                            getenv("PATH"));
        assert_string_equal(trial_out(&t), wanted);
        assert_succeeded(&t);
        free(wanted);
        trial_fini(&t);
}

static void runs_in_the_folder_as_leader_of_its_group(void **state)
{
        struct bench *bench = *state;
        char place[256] = "";
        int pid, shown, group;
        struct trial t;

        make_fifo(bench, "wait");
        trial_sh(&t, bench, "cut -d' ' -f1,5 /proc/$$/stat; pwd -P; cat wait");
        trial_start(&t);
        pid = trial_int(&t);
        assert_int_equal(run_pid(t.run), pid);
        assert_int_equal(run_worker(t.run), 0);
        assert_int_equal(parent_of(parent_of(pid)), getpid());
        open_fifo(bench, "wait");
        trial_until_end(&t);
        assert_int_equal(sscanf(trial_out(&t), "%d %d\n%255s", &shown, &group, place), 3);
        assert_int_equal(shown, pid);
        assert_int_equal(group, pid);
        assert_string_equal(place, bench->rig.folder);
        assert_succeeded(&t);
        trial_fini(&t);
}

static void inherits_neither_descriptors_nor_signals(void **state)
{
        int fd = open("/dev/null", O_RDONLY); /* not CLOEXEC: what the server itself may have inherited */

        assert_true(fd >= 0);
        signal(SIGUSR2, SIG_IGN);
        expect(*state, "exec ls /proc/self/fd", "0\n1\n2\n3\n"); /* 3 is the folder it reads */
        expect(*state, "exec grep '^Sig[BI]' /proc/self/status",
               "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
        expect(*state, "cat /proc/self/oom_score_adj", "500\n");
        signal(SIGUSR2, SIG_DFL);
        close(fd);
}

static void can_open_its_output_again(void **state)
{
        struct trial t;

        trial_sh(&t, *state, "echo out > /dev/stdout; echo err > /dev/stderr");
        trial_run(&t);
        assert_string_equal(trial_out(&t), "out\n");
        assert_string_equal(trial_err(&t), "err\n");
        assert_succeeded(&t);
        trial_fini(&t);
}

/* ---- the body ---- */

static void reads_its_body(void **state)
{
        static const char *const bodies[] = { "", "x", "two\nlines" };

        for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
                struct trial t;

                trial_init(&t, *state, "cat", NULL);
                trial_body(&t, bodies[i]);
                trial_run(&t);
                assert_string_equal(trial_out(&t), bodies[i]);
                assert_succeeded(&t);
                trial_fini(&t);
        }
}

static void cannot_change_a_body_in_memory(void **state)
{
        struct trial t;

        trial_sh(&t, *state, "(echo other >&0) 2>&-; (echo other > /dev/stdin) 2>&-; cat");
        trial_body(&t, "stored");
        trial_run(&t);
        assert_string_equal(trial_out(&t), "stored");
        trial_fini(&t);
}

static void fill(struct spool *body, uint64_t bytes)
{
        uint64_t block[8192], next = 1;

        while (body->len < bytes) {
                for (size_t i = 0; i < sizeof(block) / sizeof(block[0]); i++)
                        block[i] = next = next * 6364136223846793005ULL + 1442695040888963407ULL;
                assert_int_equal(spool_write(body, block, sizeof(block)), 0);
        }
}

static void two_programs_read_one_large_body_at_once(void **state)
{
        struct bench *bench = *state;
        struct trial first, second, file;
        char *path;

        trial_init(&first, bench, "sha256sum", NULL);
        trial_init(&second, bench, "sha256sum", NULL);
        spool_init(&first.body, bench->lock_fd, 1 << 16, 1 << 30);
        fill(&first.body, 100 * MIB);
        path = rig_path(&bench->rig, first.body.name);
        trial_init(&file, bench, "sh", "-c", "sha256sum < \"$1\"", "sh", path, NULL);
        trial_run(&file);
        assert_succeeded(&file);
        spool_fini(&second.body);
        second.body = first.body;
        trial_start(&first);
        trial_start(&second);
        unlink(path); /* a body that has lost its name is still one */
        trial_until_end(&first);
        trial_until_end(&second);
        assert_succeeded(&first);
        assert_succeeded(&second);
        assert_int_equal(strlen(trial_out(&file)), 64 + 4);
        assert_string_equal(trial_out(&first), trial_out(&file));
        assert_string_equal(trial_out(&second), trial_out(&file));
        spool_init(&second.body, -1, 0, 0);
        free(path);
        trial_fini(&first);
        trial_fini(&second);
        trial_fini(&file);
}

static void need_not_read_its_body(void **state)
{
        struct trial t;

        trial_init(&t, *state, "true", NULL);
        fill(&t.body, MIB / 2);
        trial_run(&t);
        assert_succeeded(&t);
        trial_fini(&t);
}

/* ---- output ---- */

static void delivers_ten_megabytes_of_both_streams(void **state)
{
        struct trial t;

        trial_sh(&t, *state, "head -c 10485760 /dev/zero & head -c 10485760 /dev/zero >&2; wait");
        trial_run(&t);
        assert_succeeded(&t);
        assert_int_equal(t.out_bytes, 10 * MIB);
        assert_int_equal(buf_len(&t.err), 10 * MIB);
        trial_fini(&t);
}

static void some_turns(struct bench *bench)
{
        for (int i = 0; i < 20; i++)
                uv_run(&bench->rig.loop, UV_RUN_ONCE);
}

static void pause_here(struct trial *t)
{
        if (t->out_bytes < 4 * MIB)
                run_pause(t->run);
}

static bool is_blocked_or_past(void *arg)
{
        struct trial *t = arg;
        int pid = t->run ? run_pid(t->run) : 0;

        return t->out_bytes >= 4 * MIB || (t->run->paused && pid > 0 && rig_state(pid) == 'S');
}

static void a_paused_program_is_blocked_and_loses_nothing(void **state)
{
        struct bench *bench = *state;
        unsigned pauses = 0;
        struct trial t;

        trial_init(&t, bench, "head", "-c", "8388608", "/dev/zero", NULL);
        t.count_only = true;
        t.on_data = pause_here;
        trial_start(&t);
        for (;; pauses++) {
                uint64_t before;

                rig_until(&bench->rig, is_blocked_or_past, &t);
                if (t.out_bytes >= 4 * MIB)
                        break;
                before = t.out_bytes;
                some_turns(bench);
                assert_int_equal(t.out_bytes, before);
                run_resume(t.run);
        }
        assert_true(pauses > 10);
        trial_until_end(&t);
        assert_succeeded(&t);
        assert_int_equal(t.out_bytes, 8 * MIB);
        trial_fini(&t);
}

static void a_paused_run_does_not_end(void **state)
{
        struct bench *bench = *state;
        struct trial t;
        int pid = 0;

        trial_sh(&t, bench, "echo 1; exec printf 2");
        trial_start(&t);
        run_pause(t.run);
        while (!(pid = run_pid(t.run)))
                uv_run(&bench->rig.loop, UV_RUN_ONCE);
        rig_until_dead(&bench->rig, pid);
        some_turns(bench);
        assert_false(t.ended);
        assert_int_equal(t.out_bytes, 0);
        run_resume(t.run);
        assert_false(t.ended);
        trial_until_end(&t);
        assert_string_equal(trial_out(&t), "1\n2");
        assert_succeeded(&t);
        trial_fini(&t);
}

static void a_run_paused_after_its_last_byte_does_not_end(void **state)
{
        struct bench *bench = *state;
        struct trial t;
        int pid;

        make_fifo(bench, "wait");
        trial_sh(&t, bench, "echo $$; exec >&-; read x < wait; exit 0");
        trial_start(&t);
        pid = trial_int(&t);
        some_turns(bench); /* the end of stdout comes by */
        run_pause(t.run);
        open_fifo(bench, "wait");
        rig_until_dead(&bench->rig, pid);
        some_turns(bench);
        assert_false(t.ended);
        run_resume(t.run);
        trial_until_end(&t);
        assert_succeeded(&t);
        trial_fini(&t);
}

/* ---- SENDOFF_CONTROL ---- */

static void hears_its_control_lines(void **state)
{
        struct bench *bench = *state;
        struct trial t;

        trial_sh(&t, bench,
                 "echo 'progress 1/2 half' > $SENDOFF_CONTROL; printf '\\ndetach\\r\\nlast' > "
                 "$SENDOFF_CONTROL; "
                 "echo $SENDOFF_CONTROL");
        trial_run(&t);
        assert_succeeded(&t);
        assert_string_equal(trial_control(&t), "progress 1/2 half\ndetach\nlast\n");
        *strchr(buf_data(&t.out), '\n') = '\0';
        assert_int_equal(access(trial_out(&t), F_OK), -1); /* and it is gone */
        trial_fini(&t);
}

static void sweeps_what_a_killed_server_has_left(void **state)
{
        static const char *const names[] = { "x7.control", "x12.control", "x.control", "x1.controls",
                                             "w1.control" };
        struct bench *bench = *state;
        struct bench other = { .runtime = bench->rig.folder };
        struct exec_config config = { &bench->rig.loop, "/bin/true", bench->rig.folder, "/", -1 };
        struct cause cause = { "" };

        for (int i = 0; i < 5; i++)
                make_fifo(bench, names[i]);
        assert_int_equal(exec_new(&other.desk, &config, &cause), 0);
        for (int i = 0; i < 5; i++) {
                char *path = rig_path(&bench->rig, names[i]);

                assert_int_equal(access(path, F_OK), i < 2 ? -1 : 0);
                free(path);
        }
        exec_stop(other.desk, bench_on_stopped, &other);
        assert_false(other.stopped);
        rig_until(&bench->rig, bench_is_stopped, &other);
        config.runtime_folder = "/no/such/folder";
        assert_true(exec_new(&other.desk, &config, &cause) < 0);
        assert_null(other.desk);
        assert_non_null(strstr(cause.text, "/no/such/folder"));
}

/* ---- many, and failures ---- */

#define MANY 200

static unsigned count_ended(const struct trial *t)
{
        unsigned count = 0;

        for (int i = 0; i < MANY; i++)
                count += t[i].ended;
        return count;
}

static bool all_ended(void *t)
{
        return count_ended(t) == MANY;
}

static void two_hundred_run_at_once(void **state)
{
        struct bench *bench = *state;
        struct trial *t = mem_alloc(MANY * sizeof(*t));
        unsigned before;
        char text[16];

        expect(bench, "echo warm", "warm\n");
        some_turns(bench);
        before = open_fds();
        make_fifo(bench, "barrier");
        for (int i = 0; i < MANY; i++) {
                trial_sh(&t[i], bench,
                         "echo $SENDOFF_CONTROL >&2; read n; : < barrier; echo $n; exit $((n % 7))");
                snprintf(text, sizeof(text), "%d\n", i);
                trial_body(&t[i], text);
                trial_start(&t[i]);
        }
        for (int i = 0; i < MANY; i++) /* all are there, and none has gone on */
                while (buf_len(&t[i].err) == 0)
                        uv_run(&bench->rig.loop, UV_RUN_ONCE);
        assert_int_equal(count_ended(t), 0);
        open_fifo_for_all(bench, "barrier", all_ended, t);
        for (int i = 0; i < MANY; i++) {
                snprintf(text, sizeof(text), "%d\n", i);
                assert_string_equal(trial_out(&t[i]), text);
                assert_int_equal(t[i].how.exit_code, i % 7);
                assert_int_equal(t[i].how.outcome, i % 7 ? RUN_FAILED : RUN_SUCCEEDED);
                trial_fini(&t[i]);
        }
        free(t);
        some_turns(bench);
        assert_int_equal(open_fds(), before);
}

/* Descriptors run out at every point of a start. */
static void a_start_that_fails_leaves_nothing(void **state)
{
        struct bench *bench = *state;
        struct rlimit old, few;
        struct cause cause;
        unsigned before, failed = 0, started = 0;
        struct trial t;

        expect(bench, "echo warm", "warm\n");
        some_turns(bench);
        before = open_fds();
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
        for (rlim_t max = 3; max < before + 16; max++) {
                int r;

                trial_init(&t, bench, "cat", NULL);
                trial_body(&t, "body");
                few = old;
                few.rlim_cur = max;
                cause.text[0] = '\0';
                assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
                r = trial_try(&t, &cause);
                assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
                if (r == 0) {
                        started++;
                        trial_until_end(&t);
                        assert_string_equal(trial_out(&t), "body");
                        assert_succeeded(&t);
                } else {
                        failed++;
                        assert_true(r < 0);
                        assert_null(t.run);
                        assert_true(strlen(cause.text) > 10);
                }
                trial_fini(&t);
                some_turns(bench);
                assert_int_equal(open_fds(), before);
        }
        assert_true(failed > 8 && started > 4);
}

static void says_that_nothing_can_be_started(void **state)
{
        struct bench *bench = *state;
        struct bench other = { .rig = bench->rig };
        struct exec_config config = { &bench->rig.loop, "/no/such/sendoff", bench->runtime, "/no/such/folder",
                                      -1 };
        struct cause cause = { "" };
        struct trial t;

        assert_int_equal(exec_new(&other.desk, &config, &cause), 0);
        trial_init(&t, &other, "true", NULL);
        assert_true(trial_try(&t, &cause) < 0);
        assert_string_equal(cause.text, "cannot start /no/such/sendoff: no such file or directory");
        exec_stop(other.desk, bench_on_stopped, &other);
        rig_until(&bench->rig, bench_is_stopped, &other);
        config.self = rig_self();
        assert_int_equal(exec_new(&other.desk, &config, &cause), 0);
        t.bench = bench;
        {
                struct exec_desk *desk = bench->desk;

                bench->desk = other.desk;
                trial_run(&t);
                bench->desk = desk;
        }
        assert_string_equal(t.how.reason, "the folder \"/no/such/folder\" cannot be entered: "
                                          "No such file or directory");
        assert_int_equal(t.how.outcome, RUN_FAILED);
        other.stopped = false;
        exec_stop(other.desk, bench_on_stopped, &other);
        rig_until(&bench->rig, bench_is_stopped, &other);
        trial_fini(&t);
}

/* ---- the shutdown ---- */

static void a_stop_puts_back_what_runs(void **state)
{
        static const char *const scripts[] = {
                "sleep 1000 & echo $$; wait",
                "trap '' TERM; echo $$; while :; do sleep 1000; done",
                "echo $$; exec yes",
                "echo $$; exec sleep 1000",
                "sleep 1000",
        };
        enum { COUNT = sizeof(scripts) / sizeof(scripts[0]) };
        struct bench *bench = *state;
        struct cause cause = { "" };
        struct trial t[COUNT], late;
        int pids[COUNT] = { 0 };

        for (int i = 0; i < COUNT; i++) {
                trial_sh(&t[i], bench, scripts[i]);
                trial_start(&t[i]);
                if (i == 4)
                        break; /* just started */
                pids[i] = trial_int(&t[i]);
                if (i == 2)
                        run_pause(t[i].run);
                if (i == 3)
                        run_hang_up(t[i].run, "the caller hung up");
        }
        exec_stop(bench->desk, bench_on_stopped, bench);
        assert_false(bench->stopped || t[0].ended);
        trial_init(&late, bench, "true", NULL);
        assert_int_equal(trial_try(&late, &cause), -ECANCELED);
        assert_string_equal(cause.text, "the server is shutting down");
        rig_until(&bench->rig, bench_is_stopped, bench);
        for (int i = 0; i < COUNT; i++) {
                assert_true(t[i].ended);
                assert_int_equal(t[i].how.outcome, i == 3 ? RUN_STOPPED : RUN_PUT_BACK);
                assert_string_equal(t[i].how.reason,
                                    i == 3 ? "the caller hung up" : "the server is shutting down");
                assert_int_equal(pids[i] ? rig_state(pids[i]) : 0, 0);
                trial_fini(&t[i]);
        }
        trial_fini(&late);
}

static int tests(void)
{
        const struct CMUnitTest all[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)
                TEST(keeps_output_and_exit_code),
                TEST(gets_its_words_as_they_are),
                TEST(gets_its_environment_and_nothing_else),
                TEST(runs_in_the_folder_as_leader_of_its_group),
                TEST(inherits_neither_descriptors_nor_signals),
                TEST(can_open_its_output_again),
                TEST(reads_its_body),
                TEST(cannot_change_a_body_in_memory),
                TEST(two_programs_read_one_large_body_at_once),
                TEST(need_not_read_its_body),
                TEST(delivers_ten_megabytes_of_both_streams),
                TEST(a_paused_program_is_blocked_and_loses_nothing),
                TEST(a_paused_run_does_not_end),
                TEST(a_run_paused_after_its_last_byte_does_not_end),
                TEST(hears_its_control_lines),
                TEST(sweeps_what_a_killed_server_has_left),
                TEST(two_hundred_run_at_once),
                TEST(a_start_that_fails_leaves_nothing),
                TEST(says_that_nothing_can_be_started),
                TEST(a_stop_puts_back_what_runs),
        };

        return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
        return exec_rig_main(argc, argv, tests);
}
