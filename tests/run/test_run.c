/* What a caller may do to a run: hang up, stop, pause and resume, from outside and from its handlers. */
#include "run/run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "rig.h"

/* ---- hang-up ---- */

static void assert_hung_up(const struct call *call)
{
        assert_int_equal(call->how.outcome, RUN_STOPPED);
        assert_int_equal(call->how.connection_status, 1);
        assert_string_equal(call->how.reason, "the caller hung up");
}

static void a_silent_script_runs_to_its_end_without_its_caller(void **state)
{
        struct rig *rig = *state;
        struct script script;
        struct call call;

        rig_until_free(rig, 1);
        script_init(&script, &call, rig, "/silent.php", "");
        call_start(&call);
        rig_until_file(rig, script.begun);
        run_hang_up(call.run, "the caller hung up");
        for (int i = 0; i < 20; i++)
                uv_run(&rig->loop, UV_RUN_ONCE);
        assert_false(call.ended); /* not before the script has */
        assert_int_equal(rig_stats(rig).busy, 1);
        assert_int_equal(rig_stats(rig).free, 0);
        rig_touch(script.until);
        call_until_end(&call);
        assert_hung_up(&call);
        script_until_done(&script, 0, call.pid);
        assert_int_equal(rig_stats(rig).free, 1);
        rig_php_serves(rig);
        assert_int_equal(rig_stats(rig).started, 1);
        call_fini(&call);
        script_fini(&script);
}

static bool has_data(void *arg)
{
        return ((struct call *)arg)->data_bytes > 0;
}

static void a_writing_script_is_aborted_without_its_caller(void **state)
{
        struct rig *rig = *state;
        struct script script;
        struct call call;

        rig_until_free(rig, 1);
        script_init(&script, &call, rig, "/chatter.php", "");
        call.count_only = true;
        call_start(&call);
        rig_until(rig, has_data, &call);
        run_hang_up(call.run, "the caller hung up");
        call_until_end(&call);
        assert_hung_up(&call);
        script_until_done(&script, 1, call.pid);
        rig_until_free(rig, 1);
        rig_php_serves(rig);
        assert_int_equal(rig_stats(rig).started, 1);
        call_fini(&call);
        script_fini(&script);
}

static void hang_up_here(struct call *call)
{
        if (call->run)
                run_hang_up(call->run, "the caller hung up");
}

static void a_handler_may_hang_up(void **state)
{
        struct rig *rig = *state;
        struct script script;
        struct call call;
        uint64_t bytes;

        rig_until_free(rig, 1);
        script_init(&script, &call, rig, "/chatter.php", "");
        call.count_only = true;
        call.on_data = hang_up_here;
        call_start(&call);
        rig_until(rig, has_data, &call);
        bytes = call.data_bytes;
        call_until_end(&call);
        assert_hung_up(&call);
        assert_int_equal(call.data_bytes, bytes);
        script_until_done(&script, 1, call.pid);
        call_fini(&call);
        script_fini(&script);
        rig_php_serves(rig);
}

static void hanging_up_before_the_body_is_written_waits_for_it(void **state)
{
        struct rig *rig = *state;
        struct script script;
        struct call call;
        char *bytes = mem_alloc(20 << 20);

        rig_until_free(rig, 1);
        script_init(&script, &call, rig, "/silent.php", "");
        free(call.request.method);
        call.request.method = mem_dup("POST");
        call_body(&call, bytes, 20 << 20);
        call_start(&call);
        run_hang_up(call.run, "the caller hung up");
        rig_until_file(rig, script.begun); /* so it has been started, on the whole request */
        rig_touch(script.until);
        call_until_end(&call);
        assert_hung_up(&call);
        script_until_done(&script, 0, call.pid);
        call_fini(&call);
        script_fini(&script);
        rig_php_serves(rig);
        free(bytes);
}

static void the_script_gets_its_whole_body_though_its_caller_is_gone(void **state)
{
        struct rig *rig = *state;
        struct script script;
        struct call call;
        char *bytes = mem_alloc(20 << 20), *got;

        rig_until_free(rig, 1);
        script_init(&script, &call, rig, "/keep.php", "");
        free(call.request.method);
        call.request.method = mem_dup("POST");
        call_body(&call, bytes, 20 << 20);
        call_start(&call);
        run_hang_up(call.run, "the caller hung up");
        call_until_end(&call);
        got = rig_read_file(script.done);
        assert_string_equal(got, "8f4e33f3dc3e414ff94e5fb6905cba8c");
        call_fini(&call);
        script_fini(&script);
        free(bytes);
        free(got);
}

static void a_worker_that_dies_without_its_caller_is_replaced(void **state)
{
        struct rig *rig = *state;
        struct script script;
        struct call call;

        rig_until_free(rig, 1);
        script_init(&script, &call, rig, "/silent.php", "");
        call_start(&call);
        rig_until_file(rig, script.begun);
        run_hang_up(call.run, "the caller hung up");
        assert_int_equal(kill(call.pid, SIGKILL), 0);
        call_until_end(&call);
        assert_hung_up(&call);
        rig_php_serves(rig);
        assert_int_equal(rig_stats(rig).died, 1);
        call_fini(&call);
        script_fini(&script);
}

/* ---- stop ---- */

static void a_stopped_script_sees_its_time_limit_and_the_worker_lives_on(void **state)
{
        struct rig *rig = *state;
        struct script script;
        struct call call;

        rig_until_free(rig, 1);
        script_init(&script, &call, rig, "/silent.php", "");
        call_start(&call);
        rig_until_file(rig, script.begun);
        run_stop(call.run, CONNECTION_ABORTED, "somebody said so");
        run_stop(call.run, CONNECTION_ABORTED, "twice");
        assert_false(call.ended);
        call_until_end(&call);
        assert_int_equal(call.how.outcome, RUN_STOPPED);
        assert_string_equal(call.how.reason, "somebody said so; then twice");
        assert_int_equal(call.how.connection_status, CONNECTION_ABORTED);
        assert_int_equal(call.how.status, 500);
        assert_non_null(strstr(call_log(&call), "Maximum execution time"));
        script_until_done(&script, 2, call.pid);
        call_fini(&call);
        script_fini(&script);
        rig_php_serves(rig);
        assert_int_equal(rig_stats(rig).died, 0);
        assert_int_equal(rig_stats(rig).started, 1);
}

static void stop_here(struct call *call)
{
        if (call->run)
                run_stop(call->run, CONNECTION_ABORTED, "stopped by a handler");
}

static void a_handler_may_stop(void **state)
{
        struct call call;

        call_init(&call, *state, "GET", "/hello.php");
        call.on_head = stop_here;
        call_run(&call);
        assert_int_equal(call.how.outcome, RUN_STOPPED); /* though its whole reply was there */
        assert_string_equal(call_text(&call), "hello");
        call_fini(&call);
        rig_php_serves(*state);
        assert_int_equal(rig_stats(*state).started, 1);
}

static void pause_here(struct call *call)
{
        run_pause(call->run);
        call->paused = true;
}

static bool is_paused(void *arg)
{
        return ((struct call *)arg)->paused;
}

static void a_paused_run_can_be_stopped(void **state)
{
        struct rig *rig = *state;
        struct call call;

        call_init(&call, rig, "GET", "/big.php?mb=10");
        call.on_data = pause_here;
        rig_until_free(rig, 1);
        call_start(&call);
        rig_until(rig, is_paused, &call);
        run_stop(call.run, CONNECTION_ABORTED, "enough");
        call_until_end(&call);
        assert_int_equal(call.how.outcome, RUN_STOPPED);
        assert_true(rig_is_dead(call.pid));
        call_fini(&call);
        rig_php_serves(rig);
}

static void a_paused_run_can_be_hung_up(void **state)
{
        struct rig *rig = *state;
        struct call call;

        call_init(&call, rig, "GET", "/big.php?mb=10");
        call.on_head = pause_here;
        rig_until_free(rig, 1);
        call_start(&call);
        rig_until(rig, is_paused, &call);
        run_hang_up(call.run, "the caller hung up");
        call_until_end(&call);
        assert_hung_up(&call);
        assert_int_equal(call.data_bytes, 0);
        call_fini(&call);
        rig_php_serves(rig);
        assert_int_equal(rig_stats(rig).started, 1);
}

/* The script writes and does not read its body, nobody reads what it writes: it must get on all the same. */
static void a_paused_run_with_an_unread_body_can_be_hung_up(void **state)
{
        struct rig *rig = *state;
        struct call call;
        char *bytes = mem_alloc(20 << 20);

        call_init(&call, rig, "PUT", "/big.php?mb=10"); /* that of a POST is read for it */
        call_body(&call, bytes, 20 << 20);
        call.on_head = pause_here;
        rig_until_free(rig, 1);
        call_start(&call);
        rig_until(rig, is_paused, &call);
        rig_turn(rig, 100);
        assert_false(call.ended);
        run_hang_up(call.run, "the caller hung up");
        call_until_end(&call);
        assert_hung_up(&call);
        call_fini(&call);
        rig_php_serves(rig);
        assert_int_equal(rig_stats(rig).started, 1);
        free(bytes);
}

/* ---- back-pressure ---- */

static bool is_asleep(void *arg)
{
        return rig_state(((struct call *)arg)->pid) == 'S';
}

static long resident_kb(void)
{
        long pages = 0;
        FILE *f = fopen("/proc/self/statm", "re");

        assert_non_null(f);
        assert_int_equal(fscanf(f, "%*d %ld", &pages), 1);
        fclose(f);
        return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void check_big(struct call *call, uint64_t mb)
{
        assert_int_equal(call->how.outcome, RUN_SUCCEEDED);
        assert_int_equal(call->data_bytes, mb << 20);
        for (uint64_t i = 0; !call->count_only && i < mb << 20; i += 4099)
                assert_int_equal(buf_data(&call->data)[i], 'A' + (i >> 20) % 26);
}

static void a_paused_script_blocks_and_memory_does_not_grow(void **state)
{
        struct rig *rig = *state;
        struct call call;
        unsigned pauses = 0;
        uint64_t bytes;
        long before;

        call_init(&call, rig, "GET", "/big.php?mb=50");
        call.count_only = true;
        call.on_data = pause_here;
        rig_until_free(rig, 1);
        before = resident_kb();
        call_start(&call);
        while (!call.ended) {
                rig_until(rig, is_paused, &call);
                bytes = call.data_bytes;
                if (pauses++ < 5) {
                        rig_until(rig, is_asleep, &call);
                        assert_int_equal(call.data_bytes, bytes);
                }
                if (pauses > 400)
                        call.on_data = NULL;
                call.paused = false;
                run_resume(call.run);
                assert_int_equal(call.data_bytes, bytes); /* never inside the call */
                if (!call.on_data)
                        call_until_end(&call);
        }
        check_big(&call, 50);
        assert_true(resident_kb() - before < 8 << 10);
        call_fini(&call);
}

/* Paused at every piece, the reply comes out whole: what followed in the same read, END_REQUEST included, is
 * held. */
static void pausing_at_every_piece_loses_nothing(void **state)
{
        struct rig *rig = *state;
        struct call call;

        for (int mb = 0; mb < 3; mb++) {
                char target[32];

                snprintf(target, sizeof(target), "/big.php?mb=%d", mb);
                call_init(&call, rig, "GET", target);
                call.on_head = pause_here;
                call.on_data = pause_here;
                rig_until_free(rig, 1);
                call_start(&call);
                while (!call.ended) {
                        uv_run(&rig->loop, UV_RUN_ONCE);
                        if (call.paused && call.run) {
                                call.paused = false;
                                run_resume(call.run);
                        }
                }
                check_big(&call, (uint64_t)mb);
                call_fini(&call);
        }
        rig_php_serves(rig);
        assert_int_equal(rig_stats(rig).started, 1);
}

static void a_worker_that_dies_while_paused_waits_for_resume(void **state)
{
        struct rig *rig = *state;
        struct call call;
        uint64_t bytes;

        call_init(&call, rig, "GET", "/kill.php?after");
        call.on_head = pause_here;
        rig_until_free(rig, 1);
        call_start(&call);
        rig_until(rig, is_paused, &call);
        rig_until_dead(rig, call.pid);
        for (int i = 0; i < 20; i++)
                uv_run(&rig->loop, UV_RUN_ONCE);
        bytes = call.data_bytes;
        assert_false(call.ended);
        call.paused = false;
        run_resume(call.run);
        call_until_end(&call);
        assert_int_equal(bytes, 0);
        assert_string_equal(call_text(&call), "partial");
        assert_int_equal(call.how.outcome, RUN_CRASHED);
        assert_int_equal(call.how.signal, SIGKILL);
        call_fini(&call);
        rig_php_serves(rig);
}

/* ---- more from handlers ---- */

struct pair {
        struct call first, second;
};

static void start_the_second(struct call *call)
{
        struct pair *pair = (struct pair *)call;

        call_start(&pair->second);
}

static void the_end_may_start_the_next_request(void **state)
{
        struct pair pair;

        call_init(&pair.first, *state, "GET", "/hello.php");
        call_init(&pair.second, *state, "GET", "/hello.php");
        pair.first.on_end = start_the_second;
        call_run(&pair.first);
        call_until_end(&pair.second);
        assert_string_equal(call_text(&pair.second), "hello");
        call_fini(&pair.first);
        call_fini(&pair.second);
}

static void tells_worker_and_pid(void **state)
{
        struct rig *rig = *state;
        struct call call;
        char *text;

        call_init(&call, rig, "GET", "/pid.php");
        rig_until_free(rig, 1);
        call_start(&call);
        assert_int_equal(run_worker(call.run), 1);
        call_until_end(&call);
        text = mem_printf("%d", call.pid);
        assert_string_equal(call_text(&call), text);
        free(text);
        call_fini(&call);
}

#define PHP(name) cmocka_unit_test_setup_teardown(name, rig_setup_php, rig_teardown)

static int tests(void)
{
        const struct CMUnitTest all[] = {
                PHP(a_silent_script_runs_to_its_end_without_its_caller),
                PHP(a_writing_script_is_aborted_without_its_caller),
                PHP(a_handler_may_hang_up),
                PHP(hanging_up_before_the_body_is_written_waits_for_it),
                PHP(the_script_gets_its_whole_body_though_its_caller_is_gone),
                PHP(a_worker_that_dies_without_its_caller_is_replaced),
                PHP(a_stopped_script_sees_its_time_limit_and_the_worker_lives_on),
                PHP(a_handler_may_stop),
                PHP(a_paused_run_can_be_stopped),
                PHP(a_paused_run_can_be_hung_up),
                PHP(a_paused_run_with_an_unread_body_can_be_hung_up),
                PHP(a_paused_script_blocks_and_memory_does_not_grow),
                PHP(pausing_at_every_piece_loses_nothing),
                PHP(a_worker_that_dies_while_paused_waits_for_resume),
                PHP(the_end_may_start_the_next_request),
                PHP(tells_worker_and_pid),
        };

        return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
        return rig_main(argc, argv, tests);
}
