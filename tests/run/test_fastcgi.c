/* Requests on real php-cgi workers, and on a responder (responder.c) for what php-cgi does not do. */
#include "run/run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "rig.h"

static int open_php(void **state)
{
        struct rig *rig = mem_alloc(sizeof(*rig));

        rig_open_php(rig, 1, 0);
        *state = rig;
        return 0;
}

static int open_responder(void **state)
{
        struct rig *rig = mem_alloc(sizeof(*rig));

        rig_open_responder(rig, 1);
        *state = rig;
        return 0;
}

static int close_rig(void **state)
{
        rig_close(*state);
        free(*state);
        return 0;
}

static void get(struct call *call, struct rig *rig, const char *target)
{
        call_init(call, rig, "GET", target);
        call_run(call);
}

static void still_serves(struct rig *rig, const char *target, const char *text)
{
        char *got = call_get(rig, target);

        assert_string_equal(got, text);
        free(got);
}

static void php_still_serves(struct rig *rig)
{
        still_serves(rig, "/hello.php", "hello");
}

static struct pool_stats stats_of(struct rig *rig)
{
        struct pool_stats stats;

        pool_stats(rig->pool, &stats);
        return stats;
}

/* ---- replies ---- */

static void answers_hello(void **state)
{
        struct call call;

        get(&call, *state, "/hello.php");
        assert_string_equal(call_text(&call), "hello");
        assert_int_equal(call.status, 200);
        assert_non_null(strstr(call.headers, "text/plain"));
        assert_int_equal(call.how.outcome, RUN_SUCCEEDED);
        assert_int_equal(call.how.status, 200);
        assert_int_equal(call.how.connection_status, 0);
        assert_int_equal(call.how.exit_code, -1);
        assert_int_equal(call.how.signal, 0);
        assert_int_equal(call.how.cpu_ms, -1);
        assert_int_equal(call.how.peak_rss_kb, -1);
        assert_string_equal(call.how.reason, "");
        call_fini(&call);
}

static void keeps_worker_and_connection(void **state)
{
        char *first = call_get(*state, "/pid.php");

        for (int i = 0; i < 600; i++) /* past php-cgi's own limit of 500 */
                still_serves(*state, "/pid.php", first);
        assert_int_equal(stats_of(*state).started, 1);
        free(first);
}

static void an_error_status_fails_with_its_name(void **state)
{
        struct call call;

        get(&call, *state, "/status.php?status=404");
        assert_int_equal(call.how.outcome, RUN_FAILED);
        assert_int_equal(call.how.status, 404);
        assert_string_equal(call.how.reason, "the script answered 404 Not Found");
        assert_string_equal(call_text(&call), "status");
        call_fini(&call);

        get(&call, *state, "/status.php?status=399");
        assert_int_equal(call.how.outcome, RUN_SUCCEEDED);
        call_fini(&call);
}

static void a_missing_script_is_a_404(void **state)
{
        struct call call;

        get(&call, *state, "/none.php");
        assert_int_equal(call.how.outcome, RUN_FAILED);
        assert_int_equal(call.how.status, 404);
        call_fini(&call);
        php_still_serves(*state);
}

static void a_fatal_error_is_a_500_with_its_message_in_the_log(void **state)
{
        struct call call;

        get(&call, *state, "/fatal.php");
        assert_int_equal(call.how.outcome, RUN_FAILED);
        assert_int_equal(call.how.status, 500);
        assert_string_equal(call.how.reason, "the script answered 500 Internal Server Error");
        assert_int_equal(buf_append(&call.log, "", 1), 0);
        assert_non_null(strstr(buf_data(&call.log), "there_is_no_such_function"));
        call_fini(&call);
        php_still_serves(*state);
}

static void exit_with_a_code_is_a_complete_reply(void **state)
{
        struct call call;

        get(&call, *state, "/exit.php");
        assert_int_equal(call.how.outcome, RUN_SUCCEEDED);
        assert_string_equal(call_text(&call), "leaving");
        call_fini(&call);
        assert_int_equal(stats_of(*state).started, 1);
}

static void error_log_arrives_as_log(void **state)
{
        struct call call;

        get(&call, *state, "/log.php");
        assert_string_equal(call_text(&call), "logged");
        assert_int_equal(buf_append(&call.log, "", 1), 0);
        assert_non_null(strstr(buf_data(&call.log), "a line for the log"));
        call_fini(&call);
}

/* ---- bodies ---- */

/* Bytes that differ from place to place, and their MD5 by md5sum. */
static char *file_of(struct rig *rig, size_t bytes, char md5[33])
{
        char *path = rig_path(rig, "body"), *command, chunk[1 << 16];
        FILE *f = fopen(path, "we");
        uint32_t x = 1;

        assert_non_null(f);
        for (size_t at = 0; at < bytes;) {
                size_t n = bytes - at < sizeof(chunk) ? bytes - at : sizeof(chunk);

                for (size_t i = 0; i < n; i++) {
                        x = x * 1664525 + 1013904223;
                        chunk[i] = (char)(x >> 24);
                }
                assert_int_equal(fwrite(chunk, 1, n, f), n);
                at += n;
        }
        assert_int_equal(fclose(f), 0);
        command = mem_printf("md5sum %s", path);
        f = popen(command, "re");
        assert_non_null(f);
        assert_int_equal(fread(md5, 1, 32, f), 32);
        md5[32] = '\0';
        pclose(f);
        free(command);
        return path;
}

static void body_from(struct call *call, struct rig *rig, const char *name)
{
        int dir = open(rig->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_true(dir >= 0);
        spool_fini(&call->request.body);
        assert_int_equal(spool_open(&call->request.body, dir, name), 0);
        spool_keep(&call->request.body);
        close(dir);
}

static void php_gets_a_body_of_100_mb(void **state)
{
        struct rig *rig = *state;
        char md5[33], *path = file_of(rig, 100000000, md5);
        struct call call;

        call_init(&call, rig, "POST", "/body.php");
        call_header(&call, "Content-Type", "application/octet-stream");
        body_from(&call, rig, "body");
        assert_int_equal(call.request.body.len, 100000000);
        call_run(&call);
        assert_string_equal(call.how.reason, "");
        assert_string_equal(call_text(&call), md5);
        call_fini(&call);
        free(path);
}

static void php_gets_an_upload_of_100_mb(void **state)
{
        static const char before[] =
                "--cut\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n";
        struct rig *rig = *state;
        char md5[33], *path = file_of(rig, 100000000, md5), *bytes = mem_alloc(100000000);
        FILE *f = fopen(path, "re");
        struct call call;

        assert_non_null(f);
        assert_int_equal(fread(bytes, 1, 100000000, f), 100000000);
        fclose(f);
        call_init(&call, rig, "POST", "/upload.php");
        call_header(&call, "Content-Type", "multipart/form-data; boundary=cut");
        call_body(&call, before, sizeof(before) - 1);
        call_body(&call, bytes, 100000000);
        call_body(&call, "\r\n--cut--\r\n", 11);
        call_run(&call);
        assert_string_equal(call.how.reason, "");
        assert_string_equal(call_text(&call), md5);
        call_fini(&call);
        free(bytes);
        free(path);
}

static void a_body_of_every_length_around_a_record_arrives(void **state)
{
        static const size_t lengths[] = { 0, 1, 32767, 32768, 32769, 65535, 65536, 65537 };
        char text[32], *bytes = mem_alloc(65537);

        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
                struct call call;

                call_init(&call, *state, "POST", "/x");
                call_body(&call, bytes, lengths[i]);
                call_run(&call);
                snprintf(text, sizeof(text), "%zu bytes", lengths[i]);
                assert_string_equal(call_text(&call), text);
                call_fini(&call);
        }
        free(bytes);
}

static void a_script_may_ignore_its_body(void **state)
{
        char *bytes = mem_alloc(3 << 20);

        for (int i = 0; i < 3; i++) {
                struct call call;

                call_init(&call, *state, "POST", "/hello.php");
                call_body(&call, bytes, 3 << 20);
                call_run(&call);
                assert_int_equal(call.how.outcome, RUN_SUCCEEDED);
                assert_string_equal(call_text(&call), "hello");
                call_fini(&call);
        }
        assert_int_equal(stats_of(*state).died, 0);
        free(bytes);
}

static void a_body_that_cannot_be_read_fails_the_run(void **state)
{
        struct rig *rig = *state;
        char md5[33], *path = file_of(rig, 3000000, md5);
        struct call call;

        call_init(&call, rig, "POST", "/body.php");
        body_from(&call, rig, "body");
        assert_int_equal(truncate(path, 1000000), 0);
        call_run(&call);
        assert_int_equal(call.how.outcome, RUN_FAILED);
        assert_int_equal(call.how.status, 500);
        assert_non_null(strstr(call.how.reason, "body could not be read"));
        assert_true(rig_is_dead(call.pid));
        call_fini(&call);
        php_still_serves(rig);
        free(path);
}

/* ---- the worker dies ---- */

static void a_script_that_kills_its_worker_crashes_the_run(void **state)
{
        struct call call;
        char *wanted;

        get(&call, *state, "/kill.php");
        assert_int_equal(call.how.outcome, RUN_CRASHED);
        assert_int_equal(call.how.signal, SIGKILL);
        assert_int_equal(call.how.exit_code, -1);
        assert_int_equal(call.how.status, 0);
        wanted = mem_printf(
                "the worker (php-cgi, pid %d) was killed by signal 9 (Killed) before the reply was complete",
                call.pid);
        assert_string_equal(call.how.reason, wanted);
        assert_true(rig_is_dead(call.pid));
        free(wanted);
        call_fini(&call);
        php_still_serves(*state);
        assert_int_equal(stats_of(*state).died, 1);
        assert_int_equal(stats_of(*state).started, 2);
}

static void what_was_printed_before_the_crash_is_delivered(void **state)
{
        struct call call;

        get(&call, *state, "/kill.php?after");
        assert_int_equal(call.how.outcome, RUN_CRASHED);
        assert_string_equal(call_text(&call), "partial");
        assert_int_equal(call.how.status, 200);
        call_fini(&call);
}

static void a_worker_that_exits_crashes_the_run_with_its_code(void **state)
{
        struct call call;

        get(&call, *state, "/x?exit");
        assert_int_equal(call.how.outcome, RUN_CRASHED);
        assert_int_equal(call.how.exit_code, 7);
        assert_int_equal(call.how.signal, 0);
        assert_non_null(strstr(call.how.reason, "exited with code 7"));
        call_fini(&call);
        still_serves(*state, "/x", "0 bytes");
}

static void a_worker_that_closes_the_connection_is_killed_and_reaped(void **state)
{
        struct call call;

        get(&call, *state, "/x?close");
        assert_int_equal(call.how.outcome, RUN_CRASHED);
        assert_non_null(strstr(call.how.reason, "closed the connection"));
        assert_string_equal(call_text(&call), "partial");
        assert_true(rig_is_dead(call.pid));
        call_fini(&call);
        still_serves(*state, "/x", "0 bytes");
}

/* The orphan has the connection and the worker's stderr open, and the listener: none of it may be waited for.
 */
static void a_program_left_behind_delays_the_end_only_a_little(void **state)
{
        struct call call;

        get(&call, *state, "/x?orphan");
        assert_int_equal(call.how.outcome, RUN_CRASHED);
        assert_int_equal(call.how.exit_code, 9);
        call_fini(&call);
        still_serves(*state, "/x", "0 bytes");
}

/* ---- replies of no use ---- */

static void fails_502(struct rig *rig, const char *target, const char *reason)
{
        struct call call;

        get(&call, rig, target);
        assert_int_equal(call.how.outcome, RUN_FAILED);
        assert_int_equal(call.how.status, 502);
        if (!strstr(call.how.reason, reason))
                fail_msg("%s: %s", target, call.how.reason);
        assert_false(call.headed);
        assert_int_equal(call.data_bytes, 0);
        call_fini(&call);
        still_serves(rig, "/x", "0 bytes");
        assert_int_equal(stats_of(rig).started, 1);
}

static void a_reply_of_nothing_is_a_502(void **state)
{
        fails_502(*state, "/x?empty", "without a reply");
}

static void half_a_head_is_a_502(void **state)
{
        fails_502(*state, "/x?half", "within the head");
}

static void a_malformed_head_is_a_502(void **state)
{
        fails_502(*state, "/x?malformed", "malformed");
}

static void a_malformed_head_ends_the_run_though_the_script_goes_on(void **state)
{
        fails_502(*state, "/x?malformed-silent", "malformed");
}

static void a_head_too_large_is_a_502_that_names_the_limit(void **state)
{
        fails_502(*state, "/x?bighead", "65536 bytes");
}

static void what_is_not_fastcgi_is_a_502(void **state)
{
        fails_502(*state, "/x?version", "version");
}

static void a_refusal_by_the_worker_is_a_502(void **state)
{
        fails_502(*state, "/x?overloaded", "protocol status 2");
}

static void a_head_in_single_bytes_is_put_together(void **state)
{
        struct call call;

        get(&call, *state, "/x?pieces");
        assert_int_equal(call.how.outcome, RUN_SUCCEEDED);
        assert_int_equal(call.status, 201);
        assert_string_equal(call.headers, "X-A: b\n");
        assert_string_equal(call_text(&call), "body");
        call_fini(&call);
}

static void an_exit_code_beside_a_complete_reply_is_kept(void **state)
{
        struct call call;

        get(&call, *state, "/x?code");
        assert_int_equal(call.how.outcome, RUN_FAILED);
        assert_int_equal(call.how.status, 500);
        assert_int_equal(call.how.exit_code, 255);
        call_fini(&call);
}

static void stderr_records_arrive_as_log(void **state)
{
        struct call call;

        get(&call, *state, "/x?stderr");
        assert_int_equal(buf_append(&call.log, "", 1), 0);
        assert_string_equal(buf_data(&call.log), "one two");
        assert_int_equal(call.how.outcome, RUN_SUCCEEDED);
        call_fini(&call);
}

static void records_of_another_request_are_ignored(void **state)
{
        still_serves(*state, "/x?other", "right");
}

/* ---- hang-up ---- */

struct script {
        struct rig *rig;
        char *until, *done, *begun;
};

static void script_init(struct script *script, struct call *call, struct rig *rig, const char *name,
                        const char *extra)
{
        char *target;

        script->rig = rig;
        script->until = rig_path(rig, "until");
        script->done = rig_path(rig, "done");
        script->begun = rig_path(rig, "done.begun");
        unlink(script->until);
        unlink(script->done);
        unlink(script->begun);
        target = mem_printf("%s?until=%s&done=%s%s", name, script->until, script->done, extra);
        call_init(call, rig, "GET", target);
        free(target);
}

static void script_fini(struct script *script)
{
        free(script->until);
        free(script->done);
        free(script->begun);
}

static void assert_done(struct script *script, int connection_status, int pid)
{
        char *wanted = mem_printf("%d %d", connection_status, pid), *got;

        rig_until_file(script->rig, script->done);
        got = rig_read_file(script->done);
        assert_string_equal(got, wanted);
        free(wanted);
        free(got);
}

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
        run_hang_up(call.run);
        assert_false(call.ended); /* only from the loop */
        call_until_end(&call);
        assert_hung_up(&call);
        assert_int_equal(stats_of(rig).busy, 1);
        assert_int_equal(stats_of(rig).free, 0);
        rig_touch(script.until);
        assert_done(&script, 0, call.pid);
        rig_until_free(rig, 1);
        php_still_serves(rig);
        assert_int_equal(stats_of(rig).started, 1);
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
        run_hang_up(call.run);
        call_until_end(&call);
        assert_hung_up(&call);
        assert_done(&script, 1, call.pid);
        rig_until_free(rig, 1);
        php_still_serves(rig);
        assert_int_equal(stats_of(rig).started, 1);
        call_fini(&call);
        script_fini(&script);
}

static void hang_up_here(struct call *call)
{
        if (call->run)
                run_hang_up(call->run);
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
        assert_done(&script, 1, call.pid);
        call_fini(&call);
        script_fini(&script);
        php_still_serves(rig);
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
        run_hang_up(call.run);
        call_until_end(&call);
        assert_hung_up(&call);
        rig_until_file(rig, script.begun); /* so it has been started, on the whole request */
        rig_touch(script.until);
        assert_done(&script, 0, call.pid);
        call_fini(&call);
        script_fini(&script);
        php_still_serves(rig);
        free(bytes);
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
        run_hang_up(call.run);
        call_until_end(&call);
        assert_int_equal(kill(call.pid, SIGKILL), 0);
        php_still_serves(rig);
        assert_int_equal(stats_of(rig).died, 1);
        call_fini(&call);
        script_fini(&script);
}

/* ---- stop ---- */

static void a_stopped_run_ends_when_its_worker_is_reaped(void **state)
{
        struct rig *rig = *state;
        struct script script;
        struct call call;

        rig_until_free(rig, 1);
        script_init(&script, &call, rig, "/silent.php", "");
        call_start(&call);
        rig_until_file(rig, script.begun);
        run_stop(call.run, "somebody said so");
        run_stop(call.run, "twice");
        run_hang_up(call.run);
        assert_false(call.ended);
        call_until_end(&call);
        assert_int_equal(call.how.outcome, RUN_STOPPED);
        assert_string_equal(call.how.reason, "somebody said so");
        assert_int_equal(call.how.connection_status, 1);
        assert_true(rig_is_dead(call.pid));
        assert_int_not_equal(access(script.done, F_OK), 0);
        call_fini(&call);
        script_fini(&script);
        php_still_serves(rig);
        assert_int_equal(stats_of(rig).died, 0); /* our own doing */
        assert_int_equal(stats_of(rig).started, 2);
}

static void stop_here(struct call *call)
{
        if (call->run)
                run_stop(call->run, "stopped by a handler");
}

static void a_handler_may_stop(void **state)
{
        struct call call;

        call_init(&call, *state, "GET", "/hello.php");
        call.on_head = stop_here;
        call_run(&call);
        assert_int_equal(call.how.outcome, RUN_STOPPED);
        assert_true(rig_is_dead(call.pid));
        call_fini(&call);
        php_still_serves(*state);
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
        run_stop(call.run, "enough");
        call_until_end(&call);
        assert_int_equal(call.how.outcome, RUN_STOPPED);
        assert_true(rig_is_dead(call.pid));
        call_fini(&call);
        php_still_serves(rig);
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
        run_hang_up(call.run);
        call_until_end(&call);
        assert_hung_up(&call);
        assert_int_equal(call.data_bytes, 0);
        call_fini(&call);
        php_still_serves(rig);
        assert_int_equal(stats_of(rig).started, 1);
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
        php_still_serves(rig);
        assert_int_equal(stats_of(rig).started, 1);
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
        php_still_serves(rig);
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

#define PHP(name)       cmocka_unit_test_setup_teardown(name, open_php, close_rig)
#define RESPONDER(name) cmocka_unit_test_setup_teardown(name, open_responder, close_rig)

static int tests(void)
{
        const struct CMUnitTest all[] = {
                PHP(answers_hello),
                PHP(keeps_worker_and_connection),
                PHP(an_error_status_fails_with_its_name),
                PHP(a_missing_script_is_a_404),
                PHP(a_fatal_error_is_a_500_with_its_message_in_the_log),
                PHP(exit_with_a_code_is_a_complete_reply),
                PHP(error_log_arrives_as_log),
                PHP(php_gets_a_body_of_100_mb),
                PHP(php_gets_an_upload_of_100_mb),
                RESPONDER(a_body_of_every_length_around_a_record_arrives),
                PHP(a_script_may_ignore_its_body),
                PHP(a_body_that_cannot_be_read_fails_the_run),
                PHP(a_script_that_kills_its_worker_crashes_the_run),
                PHP(what_was_printed_before_the_crash_is_delivered),
                RESPONDER(a_worker_that_exits_crashes_the_run_with_its_code),
                RESPONDER(a_worker_that_closes_the_connection_is_killed_and_reaped),
                RESPONDER(a_program_left_behind_delays_the_end_only_a_little),
                RESPONDER(a_reply_of_nothing_is_a_502),
                RESPONDER(half_a_head_is_a_502),
                RESPONDER(a_malformed_head_is_a_502),
                RESPONDER(a_malformed_head_ends_the_run_though_the_script_goes_on),
                RESPONDER(a_head_too_large_is_a_502_that_names_the_limit),
                RESPONDER(what_is_not_fastcgi_is_a_502),
                RESPONDER(a_refusal_by_the_worker_is_a_502),
                RESPONDER(a_head_in_single_bytes_is_put_together),
                RESPONDER(an_exit_code_beside_a_complete_reply_is_kept),
                RESPONDER(stderr_records_arrive_as_log),
                RESPONDER(records_of_another_request_are_ignored),
                PHP(a_silent_script_runs_to_its_end_without_its_caller),
                PHP(a_writing_script_is_aborted_without_its_caller),
                PHP(a_handler_may_hang_up),
                PHP(hanging_up_before_the_body_is_written_waits_for_it),
                PHP(a_worker_that_dies_without_its_caller_is_replaced),
                PHP(a_stopped_run_ends_when_its_worker_is_reaped),
                PHP(a_handler_may_stop),
                PHP(a_paused_run_can_be_stopped),
                PHP(a_paused_run_can_be_hung_up),
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
