/* SENDOFF_CONTROL of fastcgi runs: lines reach the run that they are of, and no other one. */
#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bounds.h"
#include "base/mem.h"
#include "rig.h"

/* site/control.php: ?write is written to SENDOFF_CONTROL, whose path is the reply. */
static char *control_of(struct call *call, struct rig *rig, bool own, const char *write)
{
        char *target = mem_printf("/control.php?write=%s", write);

        call_init(call, rig, "GET", target);
        call->own_control = own;
        call_run(call);
        assert_int_equal(call->how.outcome, RUN_SUCCEEDED);
        free(target);
        return mem_dup(call_text(call));
}

static void lines_of_a_script_arrive_before_its_end(void **state)
{
        for (int own = 0; own < 2; own++) {
                struct call call;

                free(control_of(&call, *state, own, "one%0Atwo%0D%0A%0A%0Athe+last"));
                assert_string_equal(call_control(&call), "one\ntwo\nthe last\n");
                call_fini(&call);
        }
}

static void a_long_line_is_cut(void **state)
{
        struct call call;
        char *line = mem_alloc(2 * CONTROL_LINE_MAX + 1);
        const char *got;

        memset(line, 'x', 2 * CONTROL_LINE_MAX);
        memcpy(line + 2 * CONTROL_LINE_MAX - 6, "%0Aend", 6);
        free(control_of(&call, *state, true, line));
        got = call_control(&call);
        assert_int_equal(strcspn(got, "\n"), CONTROL_LINE_MAX + 1);
        assert_string_equal(got + CONTROL_LINE_MAX + 1, "\nend\n");
        call_fini(&call);
        free(line);
}

static void a_job_gets_a_fifo_that_no_other_run_knows(void **state)
{
        struct call call;
        char *paths[6];

        for (int i = 0; i < 6; i++) {
                paths[i] = control_of(&call, *state, i == 1 || i == 2 || i == 4, "");
                call_fini(&call);
                for (int k = 0; k < i; k++)
                        assert_string_not_equal(paths[i], paths[k]);
                if (i > 0)
                        assert_int_not_equal(access(paths[i - 1], F_OK), 0);
        }
        for (int i = 0; i < 6; i++)
                free(paths[i]);
}

static void the_others_share_one_until_somebody_writes_to_it(void **state)
{
        char *first, *same, *other;
        struct call call;

        first = control_of(&call, *state, false, "");
        call_fini(&call);
        same = control_of(&call, *state, false, "line");
        assert_string_equal(call_control(&call), "line\n");
        call_fini(&call);
        other = control_of(&call, *state, false, "");
        call_fini(&call);
        assert_string_equal(first, same);
        assert_string_not_equal(same, other);
        free(first);
        free(same);
        free(other);
}

/* A program that the first run leaves behind writes when it is told to; it has opened the FIFO before, or
 * opens it by its path. */
struct leftover {
        char *go, *written;
};

static void leave_behind(struct leftover *l, struct rig *rig, bool own, bool open_before)
{
        char *begun = rig_path(rig, "left"), *target;
        struct call call;

        l->go = rig_path(rig, "go");
        l->written = rig_path(rig, "written");
        unlink(begun);
        unlink(l->go);
        unlink(l->written);
        target = mem_printf("/leave.php?open=%d&begun=%s&go=%s&written=%s", open_before, begun, l->go,
                            l->written);
        call_init(&call, rig, "GET", target);
        call.own_control = own;
        call_run(&call);
        assert_int_equal(call.how.outcome, RUN_SUCCEEDED);
        assert_string_equal(call_control(&call), "of the first\n");
        rig_until_file(rig, begun);
        call_fini(&call);
        free(begun);
        free(target);
}

static void leftover_fini(struct leftover *l)
{
        free(l->go);
        free(l->written);
}

static void what_is_left_behind_does_not_write_to_a_later_run(void **state)
{
        for (int i = 0; i < 8; i++) {
                struct leftover l;
                struct script script;
                struct call call;

                leave_behind(&l, *state, i & 1, i & 2);
                work_init(&script, &call, *state, "&do=wait");
                call.own_control = i & 4;
                script_start(&script, &call);
                rig_touch(l.go);
                rig_until_file(*state, l.written);
                rig_turn(*state, 20);
                rig_touch(script.until);
                call_until_end(&call);
                assert_int_equal(call.how.outcome, RUN_SUCCEEDED);
                assert_string_equal(call_control(&call), "");
                work_fini(&script, &call);
                leftover_fini(&l);
        }
}

/* The loop has not seen it yet when the next run is started. */
static void what_is_written_between_two_runs_is_nobodys(void **state)
{
        struct rig *rig = *state;
        struct call call;
        char *path, *again;
        int fd;

        path = control_of(&call, rig, false, "");
        call_fini(&call);
        fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, "late\nlate", 9), 9);
        call_init(&call, rig, "GET", "/control.php?write=mine");
        call_start(&call);
        assert_int_equal(write(fd, "late\n", 5), 5); /* it is closed with the next turn */
        call_until_end(&call);
        assert_int_equal(write(fd, "late\n", 5), -1);
        close(fd);
        assert_string_equal(call_control(&call), "mine\n");
        again = mem_dup(call_text(&call));
        assert_string_not_equal(again, path);
        call_fini(&call);
        free(path);
        free(again);
}

/* ---- handlers ---- */

static void hang_up_here(struct call *call)
{
        run_hang_up(call->run, "done");
}

static void stop_here(struct call *call)
{
        run_stop(call->run, CONNECTION_ABORTED, "done");
}

static void put_back_here(struct call *call)
{
        run_put_back(call->run, "done");
}

static void pause_and_resume_here(struct call *call)
{
        run_pause(call->run);
        run_resume(call->run);
}

/* The line may be seen before the reply's end, or drained with it. */
static void a_line_may_end_the_run_that_is_ending(void **state)
{
        static const struct {
                void (*on_control)(struct call *call);
                enum run_outcome outcome;
        } all[] = {
                { hang_up_here, RUN_STOPPED },
                { stop_here, RUN_STOPPED },
                { put_back_here, RUN_PUT_BACK },
                { pause_and_resume_here, RUN_SUCCEEDED },
        };

        for (unsigned i = 0; i < 80; i++) {
                struct call call;

                call_init(&call, *state, "GET", "/control.php?write=line");
                call.own_control = i & 4;
                call.on_control = all[i & 3].on_control;
                call_run(&call);
                assert_int_equal(call.how.outcome, all[i & 3].outcome);
                call_fini(&call);
                rig_php_serves(*state);
        }
        assert_int_equal(rig_stats(*state).died, 0);
}

/* ---- files and descriptors ---- */

static unsigned files_in(const char *folder, const char *pattern)
{
        DIR *dir = opendir(folder);
        struct dirent *entry;
        unsigned n = 0;

        assert_non_null(dir);
        while ((entry = readdir(dir)))
                n += fnmatch(pattern, entry->d_name, 0) == 0;
        closedir(dir);
        return n;
}

static void on_down(void *arg)
{
        struct rig *rig = arg;

        pool_free(rig->pool);
        rig->pool = NULL;
}

static bool is_down(void *arg)
{
        return !((struct rig *)arg)->pool;
}

/* A leftover that opens the path of a FIFO that is gone makes a file of it. */
static void nothing_is_left_in_the_folder(void **state)
{
        char *folder, *litter;
        struct rig rig;

        rig_open_php(&rig, 2, 0);
        folder = rig_path(&rig, "run");
        litter = rig_path(&rig, "run/w1-1.control");
        for (int i = 0; i < 20; i++) {
                struct call call;

                free(control_of(&call, &rig, i & 1, i & 2 ? "line" : ""));
                call_fini(&call);
        }
        assert_true(files_in(folder, "*.control") <= 2);
        assert_true(files_in(folder, "*.control") >= 1);
        rig_touch(litter);
        pool_stop(rig.pool, on_down, &rig);
        rig_until(&rig, is_down, &rig);
        assert_int_equal(files_in(folder, "w*"), 0);
        rig_close(&rig);
        free(folder);
        free(litter);
}

static void fifos_of_a_server_that_was_killed_are_swept(void **state)
{
        char *folder, *old, *kept;
        struct rig rig, next;

        rig_open_responder(&rig, 1);
        folder = rig_path(&rig, "run");
        old = rig_path(&rig, "run/w9-123.control");
        kept = rig_path(&rig, "run/other");
        assert_int_equal(mkfifo(old, 0600), 0);
        rig_touch(kept);
        {
                struct pool_config config = { .loop = &rig.loop,
                                              .self = rig_self(),
                                              .argv = (char *[]){ (char[]){ "false" }, NULL },
                                              .runtime_folder = folder,
                                              .workers = 1 };
                struct cause cause = { "" };

                next = rig;
                assert_int_equal(pool_new(&next.pool, &config, &cause), 0);
        }
        assert_int_not_equal(access(old, F_OK), 0);
        assert_int_equal(access(kept, F_OK), 0);
        pool_stop(next.pool, on_down, &next);
        rig_until(&rig, is_down, &next);
        rig_close(&rig);
        free(folder);
        free(old);
        free(kept);
}

static void twenty_thousand_requests_leave_no_descriptor_behind(void **state)
{
        unsigned before = 0;
        struct rig rig;

        rig_open_responder(&rig, 2);
        rig_until_free(&rig, 2);
        for (int i = 0; i < 20000; i++) {
                struct call call;

                if (i == 100)
                        before = files_in("/proc/self/fd", "*");
                call_init(&call, &rig, "GET", "/x");
                call.own_control = i & 1;
                call_run(&call);
                assert_int_equal(call.how.outcome, RUN_SUCCEEDED);
                call_fini(&call);
        }
        rig_until_free(&rig, 2);
        assert_in_range(files_in("/proc/self/fd", "*"), before - 2, before + 2);
        assert_int_equal(rig_stats(&rig).started, 2);
        rig_close(&rig);
}

#define PHP(name) cmocka_unit_test_setup_teardown(name, rig_setup_php, rig_teardown)

static int tests(void)
{
        const struct CMUnitTest all[] = {
                PHP(lines_of_a_script_arrive_before_its_end),
                PHP(a_long_line_is_cut),
                PHP(a_job_gets_a_fifo_that_no_other_run_knows),
                PHP(the_others_share_one_until_somebody_writes_to_it),
                PHP(what_is_left_behind_does_not_write_to_a_later_run),
                PHP(what_is_written_between_two_runs_is_nobodys),
                PHP(a_line_may_end_the_run_that_is_ending),
                cmocka_unit_test(nothing_is_left_in_the_folder),
                cmocka_unit_test(fifos_of_a_server_that_was_killed_are_swept),
                cmocka_unit_test(twenty_thousand_requests_leave_no_descriptor_behind),
        };

        return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
        return rig_main(argc, argv, tests);
}
