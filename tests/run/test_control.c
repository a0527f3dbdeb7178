/* SENDOFF_CONTROL's FIFO, written to by real processes and by this one: whole lines come out, whatever pieces
 * went in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "run/control.h"

#define WAIT_MS 20000

struct rig {
        uv_loop_t loop;
        char folder[64], path[96];
        struct control *control;
        struct buf got; /* each line and a "|" */
        unsigned lines;
        size_t longest;
        unsigned close_at; /* close the control inside the call for this line; 0 never */
};

static void on_line(void *arg, struct slice line)
{
        struct rig *rig = arg;

        rig->lines++;
        rig->longest = line.len > rig->longest ? line.len : rig->longest;
        assert_int_equal(buf_append_slice(&rig->got, line), 0);
        assert_int_equal(buf_append_str(&rig->got, "|"), 0);
        if (rig->lines == rig->close_at)
                control_close(rig->control);
}

static int set_up(void **state)
{
        struct rig *rig = calloc(1, sizeof(*rig));
        struct cause cause = { "" };

        assert_non_null(rig);
        snprintf(rig->folder, sizeof(rig->folder), "/tmp/sendoff-control-XXXXXX");
        assert_non_null(mkdtemp(rig->folder));
        snprintf(rig->path, sizeof(rig->path), "%s/control", rig->folder);
        assert_int_equal(uv_loop_init(&rig->loop), 0);
        buf_init(&rig->got, 16 << 20);
        assert_int_equal(control_open(&rig->control, &rig->loop, rig->path, on_line, rig, &cause), 0);
        *state = rig;
        return 0;
}

static int tear_down(void **state)
{
        struct rig *rig = *state;

        if (rig->control && !rig->close_at)
                control_close(rig->control);
        assert_int_equal(uv_run(&rig->loop, UV_RUN_DEFAULT), 0);
        assert_int_equal(uv_loop_close(&rig->loop), 0);
        assert_int_equal(access(rig->path, F_OK), -1);
        assert_int_equal(rmdir(rig->folder), 0);
        buf_fini(&rig->got);
        free(rig);
        return 0;
}

static void on_time_up(uv_timer_t *timer)
{
        *(bool *)timer->data = true;
}

/* Runs the loop until there are so many lines. */
static void wait_for_lines(struct rig *rig, unsigned count)
{
        uv_timer_t timer;
        bool time_up = false;

        uv_timer_init(&rig->loop, &timer);
        timer.data = &time_up;
        uv_timer_start(&timer, on_time_up, WAIT_MS, 0);
        while (rig->lines < count && !time_up)
                uv_run(&rig->loop, UV_RUN_ONCE);
        uv_close((uv_handle_t *)&timer, NULL);
        uv_run(&rig->loop, UV_RUN_NOWAIT);
        if (rig->lines < count)
                fail_msg("%u lines of %u", rig->lines, count);
}

/* What lies in the pipe is read and no more is to come. */
static void settle(struct rig *rig)
{
        for (int i = 0; i < 100; i++)
                uv_run(&rig->loop, UV_RUN_NOWAIT);
}

static int writer(const struct rig *rig)
{
        int fd = open(rig->path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);

        assert_true(fd >= 0);
        return fd;
}

static void put(int fd, struct slice s)
{
        assert_int_equal(write(fd, s.ptr, s.len), s.len);
}

static void check_got(const struct rig *rig, const char *wanted)
{
        struct slice got = buf_slice(&rig->got);

        if (!slice_eq(got, slice_of(wanted)))
                fail_msg("'%.*s' instead of '%s'", SLICE_ARG(got), wanted);
}

static void the_fifo_is_for_its_owner_alone(void **state)
{
        struct rig *rig = *state;
        struct stat st;

        assert_string_equal(control_path(rig->control), rig->path);
        assert_int_equal(lstat(rig->path, &st), 0);
        assert_true(S_ISFIFO(st.st_mode));
        assert_int_equal(st.st_mode & 07777, 0600);
}

static void nobody_ever_writes(void **state)
{
        struct rig *rig = *state;

        settle(rig);
        control_drain(rig->control);
        assert_int_equal(rig->lines, 0);
        assert_false(control_used(rig->control));
}

static void a_writer_that_says_nothing_is_no_use(void **state)
{
        struct rig *rig = *state;

        for (int i = 0; i < 10; i++)
                close(writer(rig));
        settle(rig);
        assert_false(control_used(rig->control));
        assert_int_equal(rig->lines, 0);
}

static void lines_come_without_their_ends_and_empty_ones_not_at_all(void **state)
{
        struct rig *rig = *state;
        int fd = writer(rig);

        put(fd, SLICE("one\ntwo\r\n\n\r\n three \nfour\rfive\n\r\rsix\r\r\n"));
        wait_for_lines(rig, 5);
        close(fd);
        check_got(rig, "one|two| three |four\rfive|\r\rsix\r|");
        assert_true(control_used(rig->control));
}

static void a_line_may_come_in_pieces(void **state)
{
        struct rig *rig = *state;
        static const char text[] = "progress 40/100\r\ntime-limit 0\n";
        int fd = writer(rig);

        for (const char *c = text; *c; c++) {
                put(fd, (struct slice){ c, 1 });
                settle(rig);
                assert_int_equal(rig->lines, c < text + 16 ? 0 : c < text + sizeof(text) - 2 ? 1 : 2);
        }
        close(fd);
        check_got(rig, "progress 40/100|time-limit 0|");
}

static void a_piece_outlives_the_writer_that_left_it(void **state)
{
        struct rig *rig = *state;
        int fd = writer(rig);

        put(fd, SLICE("progress "));
        close(fd);
        settle(rig);
        assert_int_equal(rig->lines, 0);
        assert_true(control_used(rig->control));
        fd = writer(rig);
        put(fd, SLICE("1/2\n"));
        close(fd);
        wait_for_lines(rig, 1);
        check_got(rig, "progress 1/2|");
}

static void a_writer_may_open_and_close_as_often_as_it_likes(void **state)
{
        struct rig *rig = *state;

        for (unsigned i = 0; i < 1000; i++) {
                int fd = writer(rig);

                put(fd, SLICE("detach\n"));
                close(fd);
                if (i % 100 == 99)
                        wait_for_lines(rig, i + 1);
        }
        settle(rig);
        assert_int_equal(rig->lines, 1000);
}

/* Short lines are written at once (PIPE_BUF), so those of several processes do not mix. */
static void lines_of_several_processes_come_whole(void **state)
{
        enum { WRITERS = 4, LINES = 500 };
        struct rig *rig = *state;
        unsigned count[WRITERS] = { 0 };
        struct slice rest, line;
        pid_t pids[WRITERS];
        int status;

        for (int i = 0; i < WRITERS; i++) {
                pids[i] = fork();
                assert_true(pids[i] >= 0);
                if (pids[i] == 0) {
                        int fd = open(rig->path, O_WRONLY);
                        char text[32];

                        for (int n = 0; n < LINES; n++)
                                if (write(fd, text,
                                          (size_t)snprintf(text, sizeof(text), "%c%d\n", 'A' + i, n)) < 0)
                                        _exit(1);
                        _exit(0);
                }
        }
        wait_for_lines(rig, WRITERS * LINES);
        for (int i = 0; i < WRITERS; i++) {
                assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
                assert_int_equal(status, 0);
        }
        rest = buf_slice(&rig->got);
        while (slice_cut(&rest, '|', &line) && line.len) {
                unsigned who = (unsigned)(line.ptr[0] - 'A');
                uint64_t n;

                assert_true(who < WRITERS);
                assert_true(slice_to_u64(slice_from(line, 1), LINES - 1, &n));
                assert_int_equal(n, count[who]++); /* each writer's own are in order */
        }
        for (int i = 0; i < WRITERS; i++)
                assert_int_equal(count[i], LINES);
}

static void any_language_can_write_it(void **state)
{
        struct rig *rig = *state;
        char command[256];

        snprintf(command, sizeof(command), "echo 'progress 1/2 one' > %s; printf 'detach' >> %s", rig->path,
                 rig->path);
        assert_int_equal(system(command), 0);
        wait_for_lines(rig, 1);
        control_drain(rig->control);
        check_got(rig, "progress 1/2 one|detach|");
}

static void the_longest_line_comes_whole(void **state)
{
        struct rig *rig = *state;
        char text[CONTROL_LINE_MAX];
        int fd = writer(rig);

        memset(text, 'x', sizeof(text));
        put(fd, (struct slice){ text, sizeof(text) });
        put(fd, SLICE("\n"));
        put(fd, (struct slice){ text, sizeof(text) });
        put(fd, SLICE("\r\nnext\n"));
        wait_for_lines(rig, 3);
        close(fd);
        assert_int_equal(buf_len(&rig->got), 2 * CONTROL_LINE_MAX + 2 + 5);
        assert_int_equal(rig->longest, CONTROL_LINE_MAX);
}

static void a_line_too_long_is_told_once_and_the_next_one_is_heard(void **state)
{
        static const size_t lengths[] = { CONTROL_LINE_MAX + 1, CONTROL_LINE_MAX + 2,
                                          2 * CONTROL_LINE_MAX + 2, 2 * CONTROL_LINE_MAX + 3, 40000 };
        struct rig *rig = *state;
        char *text = malloc(40001);
        int fd = writer(rig);

        assert_non_null(text);
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
                memset(text, 'x', lengths[i]);
                text[lengths[i]] = '\n';
                put(fd, (struct slice){ text, lengths[i] + 1 });
                put(fd, SLICE("ok\n"));
                rig->lines = 0;
                buf_clear(&rig->got);
                wait_for_lines(rig, 2);
                settle(rig);
                assert_int_equal(rig->lines, 2);
                assert_int_equal(buf_len(&rig->got), CONTROL_LINE_MAX + 1 + 1 + 3);
                assert_true(slice_ends(buf_slice(&rig->got), SLICE("x|ok|")));
        }
        close(fd);
        free(text);
}

static void a_line_without_an_end_is_told_before_it_ends(void **state)
{
        struct rig *rig = *state;
        char text[CONTROL_LINE_MAX + 1];
        int fd = writer(rig);

        memset(text, 'x', sizeof(text));
        put(fd, (struct slice){ text, sizeof(text) });
        wait_for_lines(rig, 1);
        assert_int_equal(rig->longest, CONTROL_LINE_MAX + 1);
        for (int i = 0; i < 10; i++) {
                put(fd, (struct slice){ text, sizeof(text) });
                settle(rig);
        }
        assert_int_equal(rig->lines, 1);
        control_drain(rig->control); /* what was dropped is not told a second time */
        assert_int_equal(rig->lines, 1);
        close(fd);
}

static void draining_takes_the_last_line_without_an_end(void **state)
{
        struct rig *rig = *state;
        int fd = writer(rig);

        put(fd, SLICE("progress 1/2\nprogress 2/2"));
        control_drain(rig->control); /* the loop has not run at all */
        check_got(rig, "progress 1/2|progress 2/2|");
        assert_true(control_used(rig->control));
        control_drain(rig->control);
        assert_int_equal(rig->lines, 2);
        put(fd, SLICE("x\r"));
        control_drain(rig->control);
        check_got(rig, "progress 1/2|progress 2/2|x|");
        close(fd);
}

static void draining_takes_all_that_a_full_pipe_holds(void **state)
{
        struct rig *rig = *state;
        int fd = writer(rig);
        unsigned written = 0;

        while (write(fd, "progress 1/2 of a full pipe\n", 28) == 28)
                written++;
        assert_int_equal(errno, EAGAIN);
        assert_true(written > 100);
        control_drain(rig->control);
        assert_int_equal(rig->lines, written);
        close(fd);
}

static void draining_ends_although_somebody_writes_without_end(void **state)
{
        struct rig *rig = *state;
        int64_t began_ms;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                static char lines[4096];
                int fd = open(rig->path, O_WRONLY);

                memset(lines, '\n', sizeof(lines));
                alarm(60);
                for (;;)
                        if (write(fd, lines, sizeof(lines)) < 0)
                                _exit(0);
        }
        while (!control_used(rig->control))
                uv_run(&rig->loop, UV_RUN_ONCE);
        began_ms = clock_mono_ms();
        for (int i = 0; i < 20; i++)
                control_drain(rig->control);
        assert_true(clock_mono_ms() - began_ms < 10000);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void what_still_lies_there_when_it_is_closed_is_not_told(void **state)
{
        struct rig *rig = *state;
        int fd = writer(rig);

        put(fd, SLICE("one\ntwo\nthree"));
        control_close(rig->control);
        assert_int_equal(access(rig->path, F_OK), -1);
        control_close(rig->control); /* twice before the loop runs is harmless */
        rig->control = NULL;
        settle(rig);
        assert_int_equal(rig->lines, 0);
        signal(SIGPIPE, SIG_IGN);
        assert_int_equal(write(fd, "four\n", 5), -1);
        assert_int_equal(errno, EPIPE);
        close(fd);
        control_close(NULL);
}

static void it_may_be_closed_from_within_a_line(void **state)
{
        struct rig *rig = *state;
        int fd = writer(rig);

        rig->close_at = 2;
        put(fd, SLICE("one\ntwo\nthree\nfour\n"));
        wait_for_lines(rig, 2);
        settle(rig);
        assert_int_equal(rig->lines, 2);
        check_got(rig, "one|two|");
        close(fd);
}

static void it_may_be_closed_from_within_draining(void **state)
{
        struct rig *rig = *state;
        int fd = writer(rig);

        rig->close_at = 1;
        put(fd, SLICE("one\ntwo\nthree"));
        control_drain(rig->control);
        assert_int_equal(rig->lines, 1);
        close(fd);
}

static void a_path_that_cannot_be_is_refused_with_a_cause(void **state)
{
        struct rig *rig = *state;
        struct control *other = rig->control;
        struct cause cause = { "" };
        char path[5000];
        struct stat st;

        assert_int_equal(control_open(&other, &rig->loop, rig->path, on_line, rig, &cause), -EEXIST);
        assert_null(other);
        assert_non_null(strstr(cause.text, rig->path));
        assert_non_null(strstr(cause.text, "exists"));
        assert_int_equal(lstat(rig->path, &st), 0); /* the one that was there is untouched */
        assert_true(S_ISFIFO(st.st_mode));
        snprintf(path, sizeof(path), "%s/none/control", rig->folder);
        assert_int_equal(control_open(&other, &rig->loop, path, on_line, rig, &cause), -ENOENT);
        assert_non_null(strstr(cause.text, "No such file"));
        memset(path, 'a', sizeof(path) - 1);
        path[sizeof(path) - 1] = '\0';
        path[0] = '/';
        assert_int_equal(control_open(&other, &rig->loop, path, on_line, rig, &cause), -ENAMETOOLONG);
        assert_non_null(strstr(cause.text, "cannot make the FIFO"));
        path[300] = '\0'; /* one name of 299 bytes */
        assert_int_equal(control_open(&other, &rig->loop, path, on_line, rig, &cause), -ENAMETOOLONG);
        assert_non_null(strstr(cause.text, "too long"));
        assert_int_equal(control_open(&other, &rig->loop, path, on_line, rig, NULL), -ENAMETOOLONG);
        assert_null(other);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(the_fifo_is_for_its_owner_alone, set_up, tear_down),
                cmocka_unit_test_setup_teardown(nobody_ever_writes, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_writer_that_says_nothing_is_no_use, set_up, tear_down),
                cmocka_unit_test_setup_teardown(lines_come_without_their_ends_and_empty_ones_not_at_all,
                                                set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_line_may_come_in_pieces, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_piece_outlives_the_writer_that_left_it, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_writer_may_open_and_close_as_often_as_it_likes, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(lines_of_several_processes_come_whole, set_up, tear_down),
                cmocka_unit_test_setup_teardown(any_language_can_write_it, set_up, tear_down),
                cmocka_unit_test_setup_teardown(the_longest_line_comes_whole, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_line_too_long_is_told_once_and_the_next_one_is_heard,
                                                set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_line_without_an_end_is_told_before_it_ends, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(draining_takes_the_last_line_without_an_end, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(draining_takes_all_that_a_full_pipe_holds, set_up, tear_down),
                cmocka_unit_test_setup_teardown(draining_ends_although_somebody_writes_without_end, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(what_still_lies_there_when_it_is_closed_is_not_told, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(it_may_be_closed_from_within_a_line, set_up, tear_down),
                cmocka_unit_test_setup_teardown(it_may_be_closed_from_within_draining, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_path_that_cannot_be_is_refused_with_a_cause, set_up,
                                                tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
