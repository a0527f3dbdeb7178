/* How a run of PHP is ended from outside: by run_stop, by put back, and after its caller has
 * hung up. First it is asked, which PHP takes as its own time limit; when its grace is over it is killed. */
#include "run/run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "rig.h"

static void assert_killed_in_the_end(struct rig *rig, struct call *call)
{
        assert_int_equal(call->how.outcome, RUN_STOPPED);
        assert_int_equal(call->how.signal, SIGKILL);
        assert_true(rig_is_dead(call->pid));
        rig_php_serves(rig);
        assert_int_equal(rig_stats(rig).started, 2);
        assert_int_equal(rig_stats(rig).died, 0); /* our own doing */
}

static void assert_killed(struct script *script, struct call *call)
{
        assert_false(script_is_done(script));
        assert_killed_in_the_end(script->rig, call);
}

/* ---- what PHP is waiting for ---- */

static int read_pid(struct script *script)
{
        char *text = rig_read_file(script->begun);
        int pid = atoi(text);

        free(text);
        assert_true(pid > 0);
        return pid;
}

/* sh is replaced by the program, or stays between: both are reached. */
static void a_program_that_the_script_waits_for_gets_sigterm(void **state)
{
        for (int i = 0; i < 2; i++) {
                struct script script;
                struct call call;
                char *done = rig_path(*state, "done.begun");
                char *command =
                        i == 0 ? mem_printf("echo+$$>%s.new;mv+%s.new+%s;exec+sleep+100", done, done, done)
                               : mem_printf("sh+-c+'echo+$$>%s.new;mv+%s.new+%s;sleep+100;true';true", done,
                                            done, done);
                char *extra = mem_printf("&do=exec&command=%s", command);
                int pid;

                work_init(&script, &call, *state, extra);
                script_start(&script, &call);
                pid = read_pid(&script);
                assert_false(rig_is_dead(pid));
                run_stop(call.run, CONNECTION_ABORTED, "cancelled");
                call_until_end(&call);
                assert_int_equal(call.how.connection_status, CONNECTION_ABORTED);
                work_timed_out(&script, &call);
                rig_until_dead(*state, pid);
                work_fini(&script, &call);
                free(done);
                free(command);
                free(extra);
        }
}

static void a_program_that_ignores_sigterm_is_killed_with_its_worker(void **state)
{
        struct script script;
        struct call call;
        char *done = rig_path(*state, "done.begun");
        char *extra = mem_printf("&do=exec&command=trap+''+TERM;echo+$$>%s.new;mv+%s.new+%s;"
                                 "while+:;do+sleep+1;done",
                                 done, done, done);
        int pid;

        work_init(&script, &call, *state, extra);
        call.limits.grace_ms = 300;
        script_start(&script, &call);
        pid = read_pid(&script);
        run_stop(call.run, CONNECTION_ABORTED, "cancelled");
        call_until_end(&call);
        assert_killed(&script, &call);
        rig_until_dead(*state, pid);
        work_fini(&script, &call);
        free(done);
        free(extra);
}

struct silence {
        int fd;
        char *extra;
        struct sockaddr_un address;
};

static void silence_open(struct silence *s, struct rig *rig)
{
        char *path = rig_path(rig, "silence");

        memset(s, 0, sizeof(*s));
        s->address.sun_family = AF_UNIX;
        snprintf(s->address.sun_path, sizeof(s->address.sun_path), "%s", path);
        unlink(path);
        s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(s->fd, (struct sockaddr *)&s->address, sizeof(s->address)), 0);
        assert_int_equal(listen(s->fd, 8), 0);
        s->extra = mem_printf("&do=read&socket=%s", path);
        free(path);
}

static void silence_close(struct silence *s)
{
        close(s->fd);
        free(s->extra);
}

static void a_script_that_cannot_be_interrupted_is_killed_when_its_grace_is_over(void **state)
{
        struct silence silence;
        struct script script;
        struct call call;
        int64_t from;

        silence_open(&silence, *state);
        work_init(&script, &call, *state, silence.extra);
        call.limits.time_limit_ms = 200;
        call.limits.grace_ms = 500;
        script_start(&script, &call);
        from = clock_mono_ms();
        call_until_end(&call);
        assert_true(clock_mono_ms() - from >= 490);
        assert_int_equal(call.how.connection_status, CONNECTION_TIMED_OUT);
        assert_killed(&script, &call);
        work_fini(&script, &call);
        silence_close(&silence);
}

/* A second SIGPROF would end PHP at once, without its shutdown functions. */
static void one_that_gets_its_answer_within_the_grace_ends_in_order_however_often_it_is_stopped(void **state)
{
        struct silence silence;
        struct script script;
        struct call call;
        int fd;

        silence_open(&silence, *state);
        work_init(&script, &call, *state, silence.extra);
        call.limits.grace_ms = 20000;
        script_start(&script, &call);
        rig_turn(*state, 100);
        run_stop(call.run, CONNECTION_ABORTED, "cancelled");
        rig_turn(*state, 100);
        run_stop(call.run, CONNECTION_TIMED_OUT, "too slow");
        rig_turn(*state, 100);
        run_stop(call.run, CONNECTION_ABORTED, "cancelled");
        assert_false(call.ended);
        fd = accept(silence.fd, NULL, NULL);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, "x", 1), 1);
        call_until_end(&call);
        close(fd);
        assert_int_equal(call.how.connection_status, CONNECTION_ABORTED | CONNECTION_TIMED_OUT);
        assert_string_equal(call.how.reason, "cancelled; then too slow");
        work_timed_out(&script, &call);
        work_fini(&script, &call);
        silence_close(&silence);
}

static void a_long_match_of_pcre_is_killed(void **state)
{
        struct script script;
        struct call call;

        work_init(&script, &call, *state, "&do=pcre");
        call.limits.time_limit_ms = 200;
        call.limits.grace_ms = 400;
        call_run(&call);
        assert_killed(&script, &call);
        work_fini(&script, &call);
}

/* PHP gives up by itself two seconds of CPU time after the signal (hard_timeout). */
static void a_worker_that_ends_because_it_was_asked_has_not_died_by_itself(void **state)
{
        struct script script;
        struct call call;

        work_init(&script, &call, *state, "&do=pcre");
        call.limits.time_limit_ms = 200;
        call.limits.grace_ms = 25000;
        call_run(&call);
        assert_int_equal(call.how.outcome, RUN_STOPPED);
        assert_int_equal(call.how.exit_code, 124);
        assert_int_equal(call.how.connection_status, CONNECTION_TIMED_OUT);
        assert_string_equal(call.how.reason, "it ran longer than its time limit of 200ms (time_limit)");
        rig_php_serves(*state);
        assert_int_equal(rig_stats(*state).died, 0);
        assert_int_equal(rig_stats(*state).started, 2);
        work_fini(&script, &call);
}

/* ---- the beginning ---- */

/* PHP would die of SIGPROF before its first request, and not notice one before a later one. */
static void stopping_at_once_reaches_the_script(void **state)
{
        for (int i = 0; i < 5; i++) {
                struct script script;
                struct call call;

                work_init(&script, &call, *state, "&do=sleep");
                call.limits.grace_ms = 20000;
                call_start(&call);
                run_stop(call.run, CONNECTION_ABORTED, "at once");
                assert_false(call.ended);
                call_until_end(&call);
                assert_string_equal(call.how.reason, "at once");
                work_timed_out(&script, &call);
                work_fini(&script, &call);
        }
}

static int only_child(void)
{
        char path[64];
        FILE *f;
        int pid = 0;

        snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
        f = fopen(path, "re");
        assert_non_null(f);
        assert_int_equal(fscanf(f, "%d", &pid), 1);
        fclose(f);
        return pid;
}

/* Nothing is sent to a worker that does not catch it yet. */
static void a_worker_that_is_slow_with_its_first_request_does_not_die_of_being_asked(void **state)
{
        struct script script;
        struct call call;
        int pid;

        work_init(&script, &call, *state, "&do=sleep");
        call.limits.grace_ms = 20000;
        pid = only_child();
        assert_int_equal(kill(pid, SIGSTOP), 0);
        call_start(&call);
        assert_int_equal(call.pid, pid);
        run_stop(call.run, CONNECTION_ABORTED, "before it has begun");
        rig_turn(*state, 300);
        assert_int_equal(kill(pid, SIGCONT), 0);
        call_until_end(&call);
        work_timed_out(&script, &call);
        work_fini(&script, &call);
}

static void a_stop_that_comes_too_late_for_the_script_does_not_touch_the_next_one(void **state)
{
        for (int i = 0; i < 10; i++) {
                struct script script;
                struct call call;

                call_init(&call, *state, "GET", "/hello.php");
                rig_until_free(*state, 1);
                call_start(&call);
                run_stop(call.run, CONNECTION_ABORTED, "too late");
                call_until_end(&call);
                assert_int_equal(call.how.outcome, RUN_STOPPED);
                assert_string_equal(call_text(&call), "hello");
                call_fini(&call);
                work_init(&script, &call, *state, "&do=tick&times=3");
                call_run(&call);
                assert_int_equal(call.how.outcome, RUN_SUCCEEDED);
                work_fini(&script, &call);
        }
        assert_int_equal(rig_stats(*state).started, 1);
}

/* ---- back-pressure ---- */

static void pause_it(struct call *call)
{
        run_pause(call->run);
        call->paused = true;
}

static void resume_it(struct call *call)
{
        call->paused = false;
        call->on_head = call->on_data = NULL;
        run_resume(call->run);
}

static bool is_paused(void *arg)
{
        return ((struct call *)arg)->paused;
}

static void a_paused_script_that_is_resumed_within_its_grace_ends_in_order(void **state)
{
        struct script script;
        struct call call;

        work_init(&script, &call, *state, "&do=chatter");
        call.limits.grace_ms = 20000;
        call.count_only = true;
        call.on_data = pause_it;
        call_start(&call);
        rig_until(*state, is_paused, &call);
        run_stop(call.run, CONNECTION_ABORTED, "enough");
        rig_turn(*state, 300);
        assert_false(call.ended);
        resume_it(&call);
        call_until_end(&call);
        assert_int_equal(call.how.outcome, RUN_STOPPED);
        assert_string_equal(call.how.reason, "enough");
        script_until_done(&script, 2, call.pid);
        rig_php_serves(*state);
        assert_int_equal(rig_stats(*state).started, 1);
        work_fini(&script, &call);
}

/* Its shutdown functions may have run: what is on the connection when it is asked leaves some room. */
static void a_paused_script_that_is_not_resumed_is_killed(void **state)
{
        struct script script;
        struct call call;

        work_init(&script, &call, *state, "&do=chatter");
        call.limits.grace_ms = 200;
        call.count_only = true;
        call.on_data = pause_it;
        call_start(&call);
        rig_until(*state, is_paused, &call);
        run_stop(call.run, CONNECTION_ABORTED, "enough");
        call_until_end(&call);
        assert_killed_in_the_end(*state, &call);
        work_fini(&script, &call);
}

static void put_back_and_pause(struct call *call)
{
        if (!call->run || call->paused)
                return;
        run_put_back(call->run, "going down");
        run_pause(call->run);
        call->paused = true;
}

static void pausing_what_is_killed_does_not_keep_it(void **state)
{
        struct script script;
        struct call call;

        work_init(&script, &call, *state, "&do=chatter");
        call.count_only = true;
        call.on_data = put_back_and_pause;
        call_start(&call);
        call_until_end(&call);
        assert_int_equal(call.how.outcome, RUN_PUT_BACK);
        assert_true(rig_is_dead(call.pid));
        work_fini(&script, &call);
}

/* ---- its caller is gone ---- */

static void a_script_that_ignores_the_hang_up_ends_when_it_is_done(void **state)
{
        struct script script;
        struct call call;

        work_init(&script, &call, *state, "&do=chatter&ignore");
        call.count_only = true;
        script_start(&script, &call);
        run_hang_up(call.run, "the caller hung up");
        rig_turn(*state, 300);
        assert_false(call.ended);
        assert_false(script_is_done(&script));
        rig_touch(script.until);
        call_until_end(&call);
        assert_true(script_is_done(&script)); /* end is not before */
        assert_int_equal(call.how.outcome, RUN_STOPPED);
        assert_int_equal(call.how.connection_status, CONNECTION_ABORTED);
        assert_string_equal(call.how.reason, "the caller hung up");
        script_until_done(&script, 1, call.pid);
        rig_php_serves(*state);
        assert_int_equal(rig_stats(*state).started, 1);
        work_fini(&script, &call);
}

static void limits_count_on_after_the_hang_up(void **state)
{
        struct script script;
        struct call call;

        work_init(&script, &call, *state, "&do=wait&ignore");
        call.limits.time_limit_ms = 500;
        script_start(&script, &call);
        run_hang_up(call.run, "the caller hung up");
        call_until_end(&call);
        assert_int_equal(call.how.outcome, RUN_STOPPED);
        assert_int_equal(call.how.connection_status, CONNECTION_ABORTED | CONNECTION_TIMED_OUT);
        assert_string_equal(call.how.reason, "the caller hung up; then it ran longer than its time limit of "
                                             "500ms (time_limit)");
        script_until_done(&script, 2, call.pid);
        rig_php_serves(*state);
        assert_int_equal(rig_stats(*state).started, 1);
        work_fini(&script, &call);
}

static void one_that_cannot_be_interrupted_is_killed_without_its_caller_too(void **state)
{
        struct silence silence;
        struct script script;
        struct call call;

        silence_open(&silence, *state);
        work_init(&script, &call, *state, silence.extra);
        call.limits.grace_ms = 200;
        script_start(&script, &call);
        run_hang_up(call.run, "the caller hung up");
        rig_turn(*state, 100);
        run_stop(call.run, CONNECTION_TIMED_OUT, "cancelled");
        call_until_end(&call);
        assert_string_equal(call.how.reason, "the caller hung up; then cancelled");
        assert_killed(&script, &call);
        work_fini(&script, &call);
        silence_close(&silence);
}

/* A worker that dies while its request is still on its way, for nobody: whichever is noticed first. */
static void a_worker_that_dies_before_it_has_the_whole_request_ends_the_run(void **state)
{
        char *bytes = mem_alloc(8 << 20);

        for (int i = 0; i < 4; i++) {
                struct call call;

                call_init(&call, *state, "POST", i % 2 ? "/kill.php" : "/hello.php");
                call_body(&call, bytes, 8 << 20);
                rig_until_free(*state, 1);
                call_start(&call);
                run_hang_up(call.run, "the caller hung up");
                if (i % 2 == 0)
                        assert_int_equal(kill(call.pid, SIGKILL), 0);
                call_until_end(&call);
                assert_int_equal(call.how.outcome, RUN_STOPPED);
                call_fini(&call);
        }
        free(bytes);
        rig_php_serves(*state);
}

/* ---- put back ---- */

static void assert_put_back(struct script *script, struct call *call, enum run_outcome outcome,
                            const char *reason)
{
        assert_false(call->ended);
        run_put_back(call->run, "going down");
        assert_false(call->ended);
        call_until_end(call);
        assert_int_equal(call->how.outcome, outcome);
        assert_string_equal(call->how.reason, reason);
        assert_true(rig_is_dead(call->pid));
        assert_false(script_is_done(script));
        rig_php_serves(script->rig);
        assert_int_equal(rig_stats(script->rig).died, 0);
        work_fini(script, call);
}

static void a_run_is_put_back_whatever_is_done_to_it(void **state)
{
        struct silence silence;
        struct script script;
        struct call call;

        silence_open(&silence, *state);
        for (int i = 0; i < 6; i++) {
                work_init(&script, &call, *state, i == 2 ? "&do=chatter" : silence.extra);
                call.count_only = true;
                if (i == 2)
                        call.on_data = pause_it;
                if (i > 0) /* else before it has begun */
                        script_start(&script, &call);
                else
                        call_start(&call);
                if (i == 2)
                        rig_until(*state, is_paused, &call);
                if (i == 3)
                        run_stop(call.run, CONNECTION_ABORTED, "cancelled");
                if (i >= 4)
                        run_hang_up(call.run, "gone");
                if (i == 5)
                        run_stop(call.run, CONNECTION_TIMED_OUT, "cancelled");
                if (i >= 3)
                        rig_turn(*state, 100);
                assert_put_back(&script, &call, i < 3 ? RUN_PUT_BACK : RUN_STOPPED,
                                i < 3    ? "going down"
                                : i == 3 ? "cancelled"
                                : i == 4 ? "gone"
                                         : "gone; then cancelled");
        }
        silence_close(&silence);
}

static void what_is_put_back_stays_so(void **state)
{
        struct script script;
        struct call call;

        work_init(&script, &call, *state, "&do=wait");
        script_start(&script, &call);
        run_put_back(call.run, "going down");
        run_stop(call.run, CONNECTION_TIMED_OUT, "too late");
        run_hang_up(call.run, "too late");
        run_put_back(call.run, "again");
        call_until_end(&call);
        assert_int_equal(call.how.outcome, RUN_PUT_BACK);
        work_fini(&script, &call);
}

static void a_run_is_put_back_while_its_body_is_written(void **state)
{
        char *bytes = mem_alloc(20 << 20);

        for (int gone = 0; gone < 2; gone++) {
                struct call call;

                call_init(&call, *state, "POST", "/body.php");
                call_body(&call, bytes, 20 << 20);
                rig_until_free(*state, 1);
                call_start(&call);
                if (gone)
                        run_hang_up(call.run, "gone");
                run_put_back(call.run, "going down");
                call_until_end(&call);
                assert_int_equal(call.how.outcome, gone ? RUN_STOPPED : RUN_PUT_BACK);
                call_fini(&call);
        }
        free(bytes);
        rig_php_serves(*state);
}

/* ---- a program that is not PHP ---- */

static void another_program_is_asked_with_sigterm(void **state)
{
        struct call call;

        call_init(&call, *state, "GET", "/x?wait");
        rig_until_free(*state, 1);
        call_start(&call);
        run_stop(call.run, CONNECTION_ABORTED, "cancelled");
        call_until_end(&call);
        assert_int_equal(call.how.outcome, RUN_STOPPED);
        assert_int_equal(call.how.signal, SIGTERM);
        assert_string_equal(call.how.reason, "cancelled");
        call_fini(&call);
        call_expect(*state, "/x", "0 bytes");
        assert_int_equal(rig_stats(*state).died, 0);
        assert_int_equal(rig_stats(*state).started, 2);
}

static bool has_data(void *arg)
{
        return ((struct call *)arg)->data_bytes > 0;
}

/* It could end at any moment, under the next request. */
static void one_that_answers_after_sigterm_is_not_used_again(void **state)
{
        struct call call;

        call_init(&call, *state, "GET", "/x?wait-for-term");
        rig_until_free(*state, 1);
        call_start(&call);
        rig_until(*state, has_data, &call);
        run_stop(call.run, CONNECTION_ABORTED, "cancelled");
        call_until_end(&call);
        assert_int_equal(call.how.outcome, RUN_STOPPED);
        assert_int_equal(call.how.signal, 0);
        assert_string_equal(call_text(&call), "waiting, ended");
        call_fini(&call);
        call_expect(*state, "/x", "0 bytes");
        assert_int_equal(rig_stats(*state).died, 0);
        assert_int_equal(rig_stats(*state).started, 2);
}

#define PHP(name)       cmocka_unit_test_setup_teardown(name, rig_setup_php, rig_teardown)
#define RESPONDER(name) cmocka_unit_test_setup_teardown(name, rig_setup_responder, rig_teardown)

static int tests(void)
{
        const struct CMUnitTest all[] = {
                PHP(a_program_that_the_script_waits_for_gets_sigterm),
                PHP(a_program_that_ignores_sigterm_is_killed_with_its_worker),
                PHP(a_script_that_cannot_be_interrupted_is_killed_when_its_grace_is_over),
                PHP(one_that_gets_its_answer_within_the_grace_ends_in_order_however_often_it_is_stopped),
                PHP(a_long_match_of_pcre_is_killed),
                PHP(a_worker_that_ends_because_it_was_asked_has_not_died_by_itself),
                PHP(stopping_at_once_reaches_the_script),
                PHP(a_worker_that_is_slow_with_its_first_request_does_not_die_of_being_asked),
                PHP(a_stop_that_comes_too_late_for_the_script_does_not_touch_the_next_one),
                PHP(a_paused_script_that_is_resumed_within_its_grace_ends_in_order),
                PHP(a_paused_script_that_is_not_resumed_is_killed),
                PHP(pausing_what_is_killed_does_not_keep_it),
                PHP(a_script_that_ignores_the_hang_up_ends_when_it_is_done),
                PHP(limits_count_on_after_the_hang_up),
                PHP(one_that_cannot_be_interrupted_is_killed_without_its_caller_too),
                PHP(a_worker_that_dies_before_it_has_the_whole_request_ends_the_run),
                PHP(a_run_is_put_back_whatever_is_done_to_it),
                PHP(what_is_put_back_stays_so),
                PHP(a_run_is_put_back_while_its_body_is_written),
                RESPONDER(another_program_is_asked_with_sigterm),
                RESPONDER(one_that_answers_after_sigterm_is_not_used_again),
        };

        return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
        return rig_main(argc, argv, tests);
}
