/* The sentences for what exec-run reports, as far as no real program brings them about. */
#include "run/exec_report.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

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

static int tests(void)
{
        const struct CMUnitTest all[] = {
                cmocka_unit_test(what_may_pass_is_said_to_pass),
                cmocka_unit_test(a_limit_is_named_with_its_number_and_its_options),
                cmocka_unit_test(a_supervisor_that_exits_without_a_word_is_a_crash),
                cmocka_unit_test(only_the_hard_limit_s_kill_is_the_cpu_limit),
                cmocka_unit_test(seconds_are_rounded_up),
                cmocka_unit_test(a_name_of_any_bytes_and_length_gives_a_sentence),
        };

        return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
        return exec_rig_main(argc, argv, tests);
}
