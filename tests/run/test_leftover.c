/* What a dead server's workers have left behind: real sessions of real processes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run/leftover.h"

static int setup(void **state)
{
        char *folder = strdup("/tmp/sendoff-leftover-XXXXXX");

        assert_non_null(mkdtemp(folder));
        assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0); /* orphans are ours to reap */
        *state = folder;
        return 0;
}

static int teardown(void **state)
{
        rmdir(*state);
        free(*state);
        return 0;
}

static void wait_for_ever(void)
{
        for (;;)
                pause();
}

/* A leader of a session with a child, which may make itself a session of its own. *child gets the child's
 * pid. */
static pid_t session(pid_t *child, bool own)
{
        int told[2];
        pid_t leader;

        assert_int_equal(pipe(told), 0);
        leader = fork();
        if (leader == 0) {
                pid_t pid;

                setsid();
                pid = fork();
                if (pid == 0) {
                        if (own)
                                setsid();
                        pid = getpid();
                        (void)!write(told[1], &pid, sizeof(pid));
                        wait_for_ever();
                }
                wait_for_ever();
        }
        assert_int_equal(read(told[0], child, sizeof(*child)), sizeof(*child));
        close(told[0]);
        close(told[1]);
        return leader;
}

static void end(pid_t pid)
{
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static bool note_is_there(const char *folder, int number)
{
        char path[128];

        snprintf(path, sizeof(path), "%s/w%d.pid", folder, number);
        return access(path, F_OK) == 0;
}

static void the_children_of_a_dead_leader_are_ended(void **state)
{
        pid_t child, leader = session(&child, false);
        int status;

        leftover_note(*state, 3, leader);
        end(leader);
        assert_int_equal(kill(child, 0), 0);
        assert_int_equal(leftover_end(*state), 1);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        assert_false(note_is_there(*state, 3));
        assert_int_equal(leftover_end(*state), 0);
}

static void a_session_whose_leader_lives_is_a_strangers(void **state)
{
        pid_t child, leader = session(&child, false);

        leftover_note(*state, 1, leader);
        assert_int_equal(leftover_end(*state), 0);
        assert_int_equal(kill(leader, 0), 0);
        assert_int_equal(kill(child, 0), 0);
        assert_false(note_is_there(*state, 1));
        end(leader);
        end(child);
}

static void what_made_itself_a_session_of_its_own_stays(void **state)
{
        pid_t child, leader = session(&child, true);

        leftover_note(*state, 1, leader);
        end(leader);
        assert_int_equal(leftover_end(*state), 0);
        assert_int_equal(kill(child, 0), 0);
        end(child);
}

static void notes_are_forgotten_and_nonsense_ends_nobody(void **state)
{
        char path[128];
        FILE *f;

        leftover_note(*state, 7, 12345);
        assert_true(note_is_there(*state, 7));
        leftover_forget(*state, 7);
        assert_false(note_is_there(*state, 7));
        for (int i = 0; i < 4; i++) {
                static const char *const texts[] = { "", "1\n", "-1\n", "x" };

                snprintf(path, sizeof(path), "%s/w%d.pid", (const char *)*state, i);
                f = fopen(path, "we");
                assert_non_null(f);
                fputs(texts[i], f);
                fclose(f);
        }
        assert_int_equal(leftover_end(*state), 0);
        for (int i = 0; i < 4; i++)
                assert_false(note_is_there(*state, i));
        assert_int_equal(leftover_end("/no/such/folder"), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define EACH(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
                EACH(the_children_of_a_dead_leader_are_ended),
                EACH(a_session_whose_leader_lives_is_a_strangers),
                EACH(what_made_itself_a_session_of_its_own_stays),
                EACH(notes_are_forgotten_and_nonsense_ends_nobody),
        };

        return cmocka_run_group_tests_name("leftover", tests, NULL, NULL);
}
