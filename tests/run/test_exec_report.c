/* What exec-run reports: programs that cannot be executed, limits, and the sentences that no real program
 * brings about. */
#include "run/exec_report.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/mem.h"
#include "exec_rig.h"

static struct job_run result(const struct exec_report *last, const struct exec_death *death)
{
        struct job_run how = exec_report_result(last, death);

        assert_int_equal(how.status, 0);
        assert_int_equal(how.connection_status, 0);
        return how;
}

static const struct exec_death plain = { .program = "convert", .folder = "/srv", .pid = 4711 };

static void what_may_pass_is_said_to_pass(void **state)
{
        static const struct {
                int step, error;
                bool passes;
        } cases[] = {
                { EXEC_FORK, EAGAIN, true },     { EXEC_FORK, ENOMEM, true },
                { EXEC_FORK, EMFILE, true },     { EXEC_PROGRAM, ETXTBSY, true },
                { EXEC_PROGRAM, EAGAIN, true },  { EXEC_PROGRAM, ENFILE, true },
                { EXEC_PROGRAM, ENOENT, false }, { EXEC_PROGRAM, EACCES, false },
                { EXEC_PROGRAM, E2BIG, false },  { EXEC_FOLDER, ENOENT, false },
                { EXEC_MEMORY, EPERM, false },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct exec_report last = { .what = EXEC_REFUSED,
                                            .step = cases[i].step,
                                            .error = cases[i].error };
                struct job_run how = result(&last, &plain);

                assert_int_equal(how.outcome, RUN_FAILED);
                assert_int_equal(how.may_pass, cases[i].passes);
                assert_true(strlen(how.reason) > 20);
        }
}

static void a_limit_is_named_with_its_number_and_its_options(void **state)
{
        static const struct {
                int step;
                const char *reason;
        } cases[] = {
                { EXEC_MEMORY, "the limit of 512M cannot be set: Operation not permitted (limits.memory, "
                               "program_memory)" },
                { EXEC_CPU,
                  "the limit of 90s cannot be set: Operation not permitted (limits.cpu, program_cpu)" },
                { EXEC_FILES, "the limit of 4096 cannot be set: Operation not permitted (limits.files, "
                              "program_files)" },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct exec_report last = { .what = EXEC_REFUSED, .step = cases[i].step, .error = EPERM };
                struct exec_death death = plain;

                death.limits = (struct exec_limits){ 512 << 20, 90000, 4096 };
                assert_string_equal(result(&last, &death).reason, cases[i].reason);
        }
}

static void a_supervisor_that_exits_without_a_word_is_a_crash(void **state)
{
        struct exec_report none = { .what = EXEC_NOTHING };
        struct exec_death death = plain;
        struct job_run how;

        death.exit_code = 127;
        how = result(&none, &death);
        assert_int_equal(how.outcome, RUN_CRASHED);
        assert_int_equal(how.signal, 0);
        assert_string_equal(how.reason,
                            "its supervisor (exec-run, pid 4711) exited with code 127 before the program");
}

static void only_the_hard_limit_s_kill_is_the_cpu_limit(void **state)
{
        struct exec_report last = { .what = EXEC_ENDED, .wait_status = SIGKILL, .peak_rss_kb = 7 };
        struct exec_death death = plain;
        struct job_run how;

        death.limits.cpu_ms = 2000;
        last.cpu_ms = 1990;
        assert_int_equal(result(&last, &death).outcome, RUN_CRASHED);
        last.cpu_ms = (2 + EXEC_CPU_EXTRA) * 1000 + 10;
        how = result(&last, &death);
        assert_int_equal(how.outcome, RUN_FAILED);
        assert_int_equal(how.cpu_ms, last.cpu_ms);
        assert_int_equal(how.peak_rss_kb, 7);
        death.limits.cpu_ms = 0;
        assert_int_equal(result(&last, &death).outcome, RUN_CRASHED);
        last.wait_status = SIGXCPU; /* a limit that the server itself was started with */
        how = result(&last, &death);
        assert_int_equal(how.outcome, RUN_FAILED);
        assert_string_equal(how.reason, "it used more CPU time than its limit (limits.cpu, program_cpu)");
}

static void seconds_are_rounded_up(void **state)
{
        assert_int_equal(exec_cpu_seconds(0), 0);
        assert_int_equal(exec_cpu_seconds(1), 1);
        assert_int_equal(exec_cpu_seconds(1000), 1);
        assert_int_equal(exec_cpu_seconds(1001), 2);
}

static void a_name_of_any_bytes_and_length_gives_a_sentence(void **state)
{
        struct exec_report last = { .what = EXEC_REFUSED, .step = EXEC_PROGRAM, .error = ENOENT };
        struct exec_death death = plain;
        char *name = mem_alloc(5001);
        struct job_run how;

        memset(name, '\x01', 5000);
        death.program = name;
        how = result(&last, &death);
        assert_non_null(strstr(how.reason, "\\x01\" was not found along PATH"));
        for (const char *at = how.reason; *at; at++)
                assert_true(*at >= ' ' && *at < 0x7f);
        free(name);
}

/* ---- never executed ---- */

static void says_why_a_program_cannot_be_executed(void **state)
{
        static const struct {
                const char *program;
                int code;
                const char *reason;
        } cases[] = {
                { "no-such-program", 127, "the program \"no-such-program\" was not found along PATH" },
                { "./no-such-program", 127, "the program \"./no-such-program\" was not found" },
                { "./text/program", 127, "the program \"./text/program\" was not found" },
                { "", 127, "the program \"\" was not found along PATH" },
                { "./text", 126, "the program \"./text\" cannot be executed: Permission denied" },
                { "./run", 126, "the program \"./run\" cannot be executed: Permission denied" },
                { "./garbage", 126, "the program \"./garbage\" cannot be executed: Exec format error" },
                { "./script", 126,
                  "the program \"./script\" cannot be executed: the interpreter that it names was not "
                  "found" },
        };
        struct bench *bench = *state;

        bench_write(bench, "text", "#!/bin/sh\n", 0600);
        bench_write(bench, "garbage", "echo no shell is ever involved\n", 0700);
        bench_write(bench, "script", "#!/no/such/interpreter\n", 0700);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct trial t;

                trial_init(&t, bench, cases[i].program, NULL);
                trial_run(&t);
                assert_string_equal(t.how.reason, cases[i].reason);
                assert_int_equal(t.how.outcome, RUN_FAILED);
                assert_int_equal(t.how.exit_code, cases[i].code);
                assert_int_equal(t.how.signal, 0);
                assert_false(t.how.may_pass);
                assert_string_equal(trial_out(&t), "");
                assert_string_equal(trial_err(&t), "");
                trial_fini(&t);
        }
}

/* The first that can be executed wins; one that may not is remembered. */
static void looks_along_the_path_of_its_environment(void **state)
{
        struct bench *bench = *state;
        struct trial t;

        bench_write(bench, "run/tool", "#!/bin/sh\n", 0600);
        bench_write(bench, "tool", "#!/bin/sh\necho found\n", 0700);
        trial_init(&t, bench, "tool", NULL);
        free(t.env[0]);
        t.env[0] = mem_printf("PATH=/no/such:%s:%s", bench->runtime, bench->rig.folder);
        trial_run(&t);
        assert_string_equal(trial_out(&t), "found\n");
        trial_fini(&t);

        trial_init(&t, bench, "tool", NULL);
        free(t.env[0]);
        t.env[0] = mem_printf("PATH=/no/such:%s:/bin", bench->runtime);
        trial_run(&t);
        assert_int_equal(t.how.exit_code, 126);
        trial_fini(&t);

        trial_init(&t, bench, "tool", NULL);
        free(t.env[0]);
        t.env[0] = mem_printf("PATH=:/bin"); /* an empty one is the working directory */
        trial_run(&t);
        assert_string_equal(trial_out(&t), "found\n");
        trial_fini(&t);

        trial_init(&t, bench, "true", NULL);
        free(t.env[0]);
        t.env[0] = mem_printf("WITHOUT=path");
        trial_run(&t);
        assert_int_equal(t.how.outcome, RUN_SUCCEEDED);
        trial_fini(&t);
        bench_remove(bench, "run/tool");
}

static void words_that_are_too_long_end_as_a_run(void **state)
{
        struct trial t;
        char *word = mem_alloc(200001);

        memset(word, 'x', 200000);
        trial_init(&t, *state, "true", word, NULL);
        trial_run(&t);
        assert_int_equal(t.how.outcome, RUN_FAILED);
        assert_int_equal(t.how.exit_code, 126);
        assert_non_null(strstr(t.how.reason, "Argument list too long"));
        trial_fini(&t);
        free(word);
}

/* ---- limits ---- */

static void sets_the_limits(void **state)
{
        struct trial t;

        trial_sh(&t, *state, "ulimit -v; ulimit -Hv; ulimit -St; ulimit -Ht; ulimit -Sn; ulimit -Hn");
        t.limits = (struct exec_limits){ .memory = 256 << 20, .cpu_ms = 2500, .files = 50 };
        trial_run(&t);
        assert_string_equal(trial_out(&t), "262144\n262144\n3\n5\n50\n50\n");
        assert_int_equal(t.how.outcome, RUN_SUCCEEDED);
        trial_fini(&t);
}

static void a_program_has_no_more_memory_than_its_limit(void **state)
{
        for (int i = 0; i < 2; i++) {
                struct trial t;

                trial_init(&t, *state, "dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=1", NULL);
                t.limits.memory = i ? 100 << 20 : 0;
                trial_run(&t);
                assert_int_equal(t.how.outcome, i ? RUN_FAILED : RUN_SUCCEEDED);
                if (i)
                        assert_non_null(strstr(trial_err(&t), "memory exhausted"));
                else
                        assert_true(t.how.peak_rss_kb > 200 << 10 && t.how.peak_rss_kb < 300 << 10);
                trial_fini(&t);
        }
}

static void a_program_has_no_more_cpu_time_than_its_limit(void **state)
{
        struct trial t;

        trial_sh(&t, *state, "while :; do :; done");
        t.limits.cpu_ms = 1000;
        trial_run(&t);
        assert_string_equal(t.how.reason,
                            "it used more CPU time than its limit of 1s (limits.cpu, program_cpu)");
        assert_int_equal(t.how.outcome, RUN_FAILED);
        assert_int_equal(t.how.signal, SIGXCPU);
        assert_int_equal(t.how.exit_code, -1);
        assert_true(t.how.cpu_ms > 800 && t.how.cpu_ms < 2000);
        trial_fini(&t);
}

static void ignoring_the_cpu_limit_helps_for_a_moment(void **state)
{
        struct trial t;

        trial_sh(&t, *state, "trap '' XCPU; while :; do :; done");
        t.limits.cpu_ms = 1000;
        trial_run(&t);
        assert_string_equal(t.how.reason,
                            "it used more CPU time than its limit of 1s (limits.cpu, program_cpu)");
        assert_int_equal(t.how.outcome, RUN_FAILED);
        assert_int_equal(t.how.signal, SIGKILL);
        trial_fini(&t);
}

static void a_limit_that_cannot_be_set_is_named(void **state)
{
        struct trial t;

        trial_init(&t, *state, "echo", "started", NULL);
        t.limits.files = 1 << 30; /* past fs.nr_open nobody may go */
        trial_run(&t);
        assert_string_equal(t.how.reason, "the limit of 1073741824 cannot be set: Operation not permitted "
                                          "(limits.files, program_files)");
        assert_int_equal(t.how.outcome, RUN_FAILED);
        assert_string_equal(trial_out(&t), "");
        trial_fini(&t);
}

static void tells_cpu_time_and_memory(void **state)
{
        struct trial t;
        int64_t before = clock_mono_ms();

        trial_sh(&t, *state, "i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done");
        trial_run(&t);
        assert_true(t.how.cpu_ms >= 20 && t.how.cpu_ms <= clock_mono_ms() - before + 20);
        assert_true(t.how.peak_rss_kb > 500 && t.how.peak_rss_kb < 200 << 10);
        trial_fini(&t);
}

static int tests(void)
{
        const struct CMUnitTest all[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)
                cmocka_unit_test(what_may_pass_is_said_to_pass),
                cmocka_unit_test(a_limit_is_named_with_its_number_and_its_options),
                cmocka_unit_test(a_supervisor_that_exits_without_a_word_is_a_crash),
                cmocka_unit_test(only_the_hard_limit_s_kill_is_the_cpu_limit),
                cmocka_unit_test(seconds_are_rounded_up),
                cmocka_unit_test(a_name_of_any_bytes_and_length_gives_a_sentence),
                TEST(says_why_a_program_cannot_be_executed),
                TEST(looks_along_the_path_of_its_environment),
                TEST(words_that_are_too_long_end_as_a_run),
                TEST(sets_the_limits),
                TEST(a_program_has_no_more_memory_than_its_limit),
                TEST(a_program_has_no_more_cpu_time_than_its_limit),
                TEST(ignoring_the_cpu_limit_helps_for_a_moment),
                TEST(a_limit_that_cannot_be_set_is_named),
                TEST(tells_cpu_time_and_memory),
        };

        return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
        return exec_rig_main(argc, argv, tests);
}
