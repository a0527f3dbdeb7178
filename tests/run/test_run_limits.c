/* The limits of a run: time, silence, and how they are changed on the way. */
#include "run/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "rig.h"

static void a_script_is_ended_by_its_time_limit(void **state)
{
        static const char *const all[] = { "&do=sleep", "&do=wait", "&do=busy" };

        for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
                struct script script;
                struct call call;

                work_init(&script, &call, *state, all[i]);
                call.limits.time_limit_ms = 300;
                call_run(&call);
                assert_int_equal(call.how.connection_status, CONNECTION_TIMED_OUT);
                assert_string_equal(call.how.reason,
                                    "it ran longer than its time limit of 300ms (time_limit)");
                work_timed_out(&script, &call);
                work_fini(&script, &call);
        }
}

static void cpu_time_is_that_of_the_run_alone(void **state)
{
        struct script script;
        struct call call;

        work_init(&script, &call, *state, "&do=busy");
        call.limits.time_limit_ms = 500;
        call_run(&call);
        assert_in_range(call.how.cpu_ms, 30, 5000);
        work_fini(&script, &call);
        call_init(&call, *state, "GET", "/hello.php");
        call_run(&call);
        assert_in_range(call.how.cpu_ms, 0, 25);
        call_fini(&call);
}

static void a_script_is_ended_by_its_idle_limit(void **state)
{
        struct script script;
        struct call call;

        work_init(&script, &call, *state, "&do=sleep");
        call.limits.time_limit_ms = 20000;
        call.limits.idle_limit_ms = 300;
        call_run(&call);
        assert_int_equal(call.how.connection_status, CONNECTION_TIMED_OUT);
        assert_string_equal(call.how.reason, "nothing was heard of it for 300ms (idle_limit)");
        work_timed_out(&script, &call);
        work_fini(&script, &call);
}

static void output_and_control_lines_hold_the_idle_limit_off(void **state)
{
        static const char *const all[] = { "&do=tick&times=30", "&do=tick&times=30&control" };

        for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
                struct script script;
                struct call call;

                work_init(&script, &call, *state, all[i]);
                call.limits.idle_limit_ms = 1000; /* it takes 1500 */
                call_run(&call);
                assert_int_equal(call.how.outcome, RUN_SUCCEEDED);
                assert_int_equal(call.how.connection_status, 0);
                work_fini(&script, &call);
        }
}

static void pause_it(struct call *call)
{
        run_pause(call->run);
        call->paused = true;
}

static bool is_paused(void *arg)
{
        return ((struct call *)arg)->paused;
}

static void resume_it(struct call *call)
{
        call->paused = false;
        call->on_head = call->on_data = NULL;
        run_resume(call->run);
}

static void the_idle_limit_does_not_count_while_paused(void **state)
{
        struct script script;
        struct call call;
        int64_t from;

        work_init(&script, &call, *state, "&do=tick&times=2");
        call.limits.idle_limit_ms = 300;
        call.on_head = pause_it;
        call_start(&call);
        rig_until(*state, is_paused, &call);
        rig_turn(*state, 700);
        assert_false(call.ended);
        resume_it(&call);
        call_until_end(&call);
        assert_int_equal(call.how.outcome, RUN_SUCCEEDED);
        work_fini(&script, &call);

        work_init(&script, &call, *state,
                  "&do=wait"); /* the same, but hung up instead of resumed: it counts again */
        call.limits.idle_limit_ms = 300;
        call_start(&call);
        run_pause(call.run);
        rig_turn(*state, 700);
        assert_false(call.ended);
        run_hang_up(call.run, "gone");
        from = clock_mono_ms();
        call_until_end(&call);
        assert_true(clock_mono_ms() - from >= 290); /* from now on */
        assert_string_equal(call.how.reason, "gone; then nothing was heard of it for 300ms (idle_limit)");
        work_fini(&script, &call);
}

/* Started with `limit`, after a while changed to `then`, and let end by itself later. */
static void change_limit(struct script *script, struct call *call, struct rig *rig, int64_t limit,
                         int64_t then)
{
        work_init(script, call, rig, "&do=wait");
        call->limits.time_limit_ms = limit;
        call_start(call);
        rig_turn(rig, 200);
        run_set_time_limit(call->run, then);
        rig_turn(rig, 900);
        rig_touch(script->until);
        call_until_end(call);
}

static void the_time_limit_can_be_changed_on_the_way(void **state)
{
        struct script script;
        struct call call;

        change_limit(&script, &call, *state, 600, 20000);
        assert_int_equal(call.how.outcome, RUN_SUCCEEDED);
        work_fini(&script, &call);

        change_limit(&script, &call, *state, 600, 0);
        assert_int_equal(call.how.outcome, RUN_SUCCEEDED);
        work_fini(&script, &call);

        change_limit(&script, &call, *state, 20000, 100);
        assert_string_equal(call.how.reason, "it ran longer than its time limit of 100ms (time_limit)");
        work_timed_out(&script, &call);
        work_fini(&script, &call);
}

static void the_limit_is_named_by_the_option_that_sets_it(void **state)
{
        struct script script;
        struct call call;

        work_init(&script, &call, *state, "&do=sleep");
        call.limits.time_limit_ms = 100;
        call.limits.time_option = "foreground_time_limit";
        call_run(&call);
        assert_string_equal(call.how.reason,
                            "it ran longer than its time limit of 100ms (foreground_time_limit)");
        work_fini(&script, &call);
}

#define PHP(name) cmocka_unit_test_setup_teardown(name, rig_setup_php, rig_teardown)

static int tests(void)
{
        const struct CMUnitTest all[] = {
                PHP(a_script_is_ended_by_its_time_limit),
                PHP(cpu_time_is_that_of_the_run_alone),
                PHP(a_script_is_ended_by_its_idle_limit),
                PHP(output_and_control_lines_hold_the_idle_limit_off),
                PHP(the_idle_limit_does_not_count_while_paused),
                PHP(the_time_limit_can_be_changed_on_the_way),
                PHP(the_limit_is_named_by_the_option_that_sets_it),
        };

        return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
        return rig_main(argc, argv, tests);
}
