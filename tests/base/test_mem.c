/* Allocation that cannot fail: what comes back, and how the program ends when there is none. */
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void gives_zeroed_memory(void **state)
{
        char *bytes = mem_alloc(1000);

        for (int i = 0; i < 1000; i++)
                assert_int_equal(bytes[i], 0);
        free(bytes);
        bytes = mem_alloc(0);
        assert_non_null(bytes);
        free(bytes);
}

static void copies_strings_and_nothing(void **state)
{
        char *copy = mem_dup("abc");

        assert_string_equal(copy, "abc");
        free(copy);
        assert_null(mem_dup(NULL));
}

static void prints_strings_of_any_length(void **state)
{
        char *text = mem_printf("%05d%5000s", 42, "x");

        assert_int_equal(strlen(text), 5005);
        assert_memory_equal(text, "00042 ", 6);
        free(text);
        text = mem_printf("%s", "");
        assert_string_equal(text, "");
        free(text);
}

/* More than an address space holds: ends with a message, by SIGABRT. The sanitizer's allocator would end it
 * first, in its own words. */
static void ends_the_program_when_there_is_none(void **state)
{
        char said[4096] = "";
        int out[2], status;
        size_t len = 0;
        ssize_t n;
        pid_t child;

        assert_int_equal(pipe(out), 0);
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
                struct rlimit none = { 0, 0 };

                setrlimit(RLIMIT_CORE, &none);
                signal(SIGABRT, SIG_DFL);
                dup2(out[1], STDERR_FILENO);
                free(mem_alloc(SIZE_MAX / 2));
                _exit(0);
        }
        close(out[1]);
        while ((n = read(out[0], said + len, sizeof(said) - 1 - len)) > 0)
                len += (size_t)n;
        close(out[0]);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
        assert_string_equal(said, "sendoff: out of memory\n");
#endif
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(gives_zeroed_memory),
                cmocka_unit_test(copies_strings_and_nothing),
                cmocka_unit_test(prints_strings_of_any_length),
                cmocka_unit_test(ends_the_program_when_there_is_none),
        };

        return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
