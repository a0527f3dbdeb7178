/* The moment between the server's fork and the worker program, in a child process each. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "run/worker.h"
#include "rig.h"

/* Runs worker_exec_main as a child with the words; its output into text. Returns the wait status. */
static int run_words(char *const *words, const char *parent, char *text, size_t size)
{
        int pipes[2], status, count = 0;
        size_t at = 0;
        ssize_t n;
        pid_t child;

        while (words[count])
                count++;
        assert_int_equal(pipe(pipes), 0);
        fflush(NULL);
        child = fork();
        if (child == 0) {
                sigset_t all;

                dup2(pipes[1], STDOUT_FILENO);
                dup2(pipes[1], STDERR_FILENO);
                close(pipes[0]);
                close(pipes[1]);
                signal(SIGPIPE, SIG_IGN);
                signal(SIGTERM, SIG_IGN);
                sigfillset(&all);
                sigprocmask(SIG_BLOCK, &all, NULL);
                if (parent)
                        setenv(WORKER_PARENT_VARIABLE, parent, 1);
                else
                        unsetenv(WORKER_PARENT_VARIABLE);
                count = worker_exec_main(count, (char **)(uintptr_t)words);
                fflush(NULL);
                _exit(count);
        }
        close(pipes[1]);
        while (at < size - 1 && (n = read(pipes[0], text + at, size - 1 - at)) > 0)
                at += (size_t)n;
        text[at] = '\0';
        close(pipes[0]);
        assert_int_equal(waitpid(child, &status, 0), child);
        return status;
}

static void own_pid(char out[24])
{
        snprintf(out, 24, "%ld", (long)getpid());
}

static void becomes_the_program_with_default_signals(void **state)
{
        char grep[] = "grep", pattern[] = "^Sig[BI]", file[] = "/proc/self/status", text[4096], parent[24];
        char *words[] = { grep, pattern, file, NULL };
        int status;

        own_pid(parent);
        status = run_words(words, parent, text, sizeof(text));
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        assert_string_equal(text, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

static void dies_with_its_parent_and_forgets_the_variable(void **state)
{
        char self[4096], verb[] = "tell", text[4096], parent[24];
        char *words[] = { self, verb, NULL };
        int status;

        snprintf(self, sizeof(self), "%s", rig_self());
        own_pid(parent);
        status = run_words(words, parent, text, sizeof(text));
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        assert_string_equal(text, "9 (none)\n");
}

static void starts_nothing_for_another_parent(void **state)
{
        char echo[] = "echo", word[] = "started", text[4096];
        char *words[] = { echo, word, NULL };
        int status = run_words(words, "1", text, sizeof(text));

        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 127);
        assert_null(strstr(text, "started"));
}

static void says_that_a_program_cannot_be_started(void **state)
{
        char program[] = "/no/such/program", text[4096], parent[24];
        char *words[] = { program, NULL }, *none[] = { NULL };
        int status;

        own_pid(parent);
        status = run_words(words, parent, text, sizeof(text));
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 127);
        assert_non_null(strstr(text, "/no/such/program: No such file or directory"));
        status = run_words(none, parent, text, sizeof(text));
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 127);
        assert_non_null(strstr(text, "no program given"));
}

static int tests(void)
{
        const struct CMUnitTest all[] = {
                cmocka_unit_test(becomes_the_program_with_default_signals),
                cmocka_unit_test(dies_with_its_parent_and_forgets_the_variable),
                cmocka_unit_test(starts_nothing_for_another_parent),
                cmocka_unit_test(says_that_a_program_cannot_be_started),
        };

        return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
        if (argc > 1 && strcmp(argv[1], "tell") == 0) {
                const char *parent = getenv(WORKER_PARENT_VARIABLE);
                int death = 0;

                prctl(PR_GET_PDEATHSIG, &death);
                printf("%d %s\n", death, parent ? parent : "(none)");
                return 0;
        }
        return rig_main(argc, argv, tests);
}
