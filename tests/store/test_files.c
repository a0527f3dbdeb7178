/* The lock of the data folder: who is refused, and who is waited for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "rig.h"

/* A server that is dead, and the parent of its programs, which was handed the lock and still runs. */
struct orphan {
        struct rig rig;
        pid_t server;
        int tell; /* a byte: what it is to do; closed: it ends */
        int ends; /* end of file when it has */
};

static void write_pid(int lock_fd, long pid)
{
        char text[32];
        int n = snprintf(text, sizeof(text), "%ld", pid);

        if (ftruncate(lock_fd, 0) < 0 || pwrite(lock_fd, text, (size_t)n, 0) != n)
                _exit(1);
}

/* 'e': ends a little later; 's': puts itself in the place of the server, a little later. */
static void supervise(int orders, int lock_fd)
{
        char order = 0;

        while (read(orders, &order, 1) == 1) {
                poll(NULL, 0, 100);
                if (order == 'e')
                        break;
                write_pid(lock_fd, getpid());
        }
        _exit(0);
}

static void serve_and_die(const struct orphan *o, int orders)
{
        struct rig server = o->rig;
        struct cause cause;

        if (rig_open(&server, &cause) != 0)
                _exit(1);
        close(o->tell);
        if (fork() == 0) {
                /* as after an exec: of the server's descriptors it has the lock only */
                supervise(orders, store_lock_fd(server.store));
        }
        _exit(0);
}

static int setup(void **state)
{
        struct orphan *o = mem_alloc(sizeof(*o));
        int orders[2], ends[2], status;

        rig_make(&o->rig);
        store_close(o->rig.store);
        o->rig.store = NULL;
        assert_int_equal(pipe(orders), 0);
        assert_int_equal(pipe(ends), 0);
        o->tell = orders[1];
        o->ends = ends[0];
        o->server = fork();
        if (o->server == 0)
                serve_and_die(o, orders[0]);
        close(orders[0]);
        close(ends[1]);
        assert_int_equal(waitpid(o->server, &status, 0), o->server);
        assert_int_equal(status, 0);
        *state = o;
        return 0;
}

static void let_end(struct orphan *o)
{
        char byte;

        if (o->tell >= 0)
                close(o->tell);
        o->tell = -1;
        while (read(o->ends, &byte, 1) > 0)
                ;
}

static int teardown(void **state)
{
        struct orphan *o = *state;

        let_end(o);
        close(o->ends);
        rig_remove(&o->rig);
        free(o);
        return 0;
}

static long pid_in_lock(const struct orphan *o)
{
        char path[96];
        long pid;
        FILE *f;

        snprintf(path, sizeof(path), "%s/lock", o->rig.folder);
        f = fopen(path, "re");
        assert_non_null(f);
        assert_int_equal(fscanf(f, "%ld", &pid), 1);
        fclose(f);
        return pid;
}

static void set_pid_in_lock(const struct orphan *o, long pid)
{
        char path[96];
        FILE *f;

        snprintf(path, sizeof(path), "%s/lock", o->rig.folder);
        f = fopen(path, "we");
        assert_non_null(f);
        fprintf(f, "%ld", pid);
        fclose(f);
}

/* store_open's result; what was logged meanwhile in `text`. */
static int open_logged(struct orphan *o, struct cause *cause, char *text, size_t size)
{
        FILE *log = tmpfile();
        int err = dup(STDERR_FILENO), r;
        size_t n;

        assert_non_null(log);
        assert_true(dup2(fileno(log), STDERR_FILENO) >= 0);
        r = rig_open(&o->rig, cause);
        assert_true(dup2(err, STDERR_FILENO) >= 0);
        close(err);
        rewind(log);
        n = fread(text, 1, size - 1, log);
        text[n] = '\0';
        fclose(log);
        return r;
}

static void what_a_dead_server_left_behind_is_waited_for_and_said_so(void **state)
{
        struct orphan *o = *state;
        struct cause cause = { "" };
        char text[1000];

        assert_int_equal(pid_in_lock(o), o->server);
        assert_int_equal(write(o->tell, "e", 1), 1);
        assert_int_equal(open_logged(o, &cause, text, sizeof(text)), 0);
        assert_non_null(strstr(text, "waited for what a dead server had left behind"));
        assert_int_equal(pid_in_lock(o), getpid());
}

static void a_number_that_is_another_programs_by_now_is_no_servers(void **state)
{
        struct orphan *o = *state;
        struct cause cause = { "" };
        pid_t other = fork();

        if (other == 0) {
                pause();
                _exit(0);
        }
        set_pid_in_lock(o, other);
        assert_int_equal(write(o->tell, "e", 1), 1);
        assert_int_equal(rig_open(&o->rig, &cause), 0);
        kill(other, SIGKILL);
        assert_int_equal(waitpid(other, NULL, 0), other);
}

/* As in a container, where every server has the same number. */
static void our_own_number_is_no_other_servers(void **state)
{
        struct orphan *o = *state;
        struct cause cause = { "" };

        set_pid_in_lock(o, getpid());
        assert_int_equal(write(o->tell, "e", 1), 1);
        assert_int_equal(rig_open(&o->rig, &cause), 0);
}

static void a_server_that_was_not_waited_for_by_its_parent_is_dead(void **state)
{
        struct orphan *o = *state;
        struct cause cause = { "" };
        pid_t zombie = fork();
        siginfo_t info;

        if (zombie == 0)
                _exit(0);
        assert_int_equal(waitid(P_PID, (id_t)zombie, &info, WEXITED | WNOWAIT), 0);
        set_pid_in_lock(o, zombie);
        assert_int_equal(write(o->tell, "e", 1), 1);
        assert_int_equal(rig_open(&o->rig, &cause), 0);
        assert_int_equal(waitpid(zombie, NULL, 0), zombie);
}

static void another_server_that_takes_the_folder_meanwhile_ends_the_wait(void **state)
{
        struct orphan *o = *state;
        struct cause cause = { "" };
        int64_t began = clock_mono_ms();

        assert_int_equal(write(o->tell, "s", 1), 1);
        assert_int_equal(rig_open(&o->rig, &cause), STORE_LOCKED);
        assert_true(clock_mono_ms() - began < 4000);
        assert_int_not_equal(pid_in_lock(o), o->server);
        let_end(o);
        assert_int_equal(rig_open(&o->rig, &cause), 0);
}

static void a_lock_that_is_never_let_go_is_refused_in_the_end(void **state)
{
        struct orphan *o = *state;
        struct cause cause = { "" };
        int64_t began = clock_mono_ms();

        assert_int_equal(rig_open(&o->rig, &cause), STORE_LOCKED);
        assert_true(clock_mono_ms() - began >= 5000);
        assert_non_null(strstr(cause.text, "uses the data folder"));
        let_end(o);
        assert_int_equal(rig_open(&o->rig, &cause), 0);
}

static void a_living_server_is_not_waited_for(void **state)
{
        struct orphan *o = *state;
        struct rig other = o->rig;
        struct cause cause = { "" };
        struct stat lock, st;
        char path[96];
        int64_t began;

        let_end(o);
        assert_int_equal(rig_open(&o->rig, &cause), 0);
        snprintf(path, sizeof(path), "%s/lock", o->rig.folder);
        assert_int_equal(stat(path, &lock), 0);
        assert_int_equal(fstat(store_lock_fd(o->rig.store), &st), 0);
        assert_int_equal(st.st_ino, lock.st_ino);
        began = clock_mono_ms();
        assert_int_equal(rig_open(&other, &cause), STORE_LOCKED);
        assert_true(clock_mono_ms() - began < 4000);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define EACH(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
                EACH(what_a_dead_server_left_behind_is_waited_for_and_said_so),
                EACH(a_number_that_is_another_programs_by_now_is_no_servers),
                EACH(our_own_number_is_no_other_servers),
                EACH(a_server_that_was_not_waited_for_by_its_parent_is_dead),
                EACH(another_server_that_takes_the_folder_meanwhile_ends_the_wait),
                EACH(a_lock_that_is_never_let_go_is_refused_in_the_end),
                EACH(a_living_server_is_not_waited_for),
        };

        return cmocka_run_group_tests_name("files", tests, NULL, NULL);
}
