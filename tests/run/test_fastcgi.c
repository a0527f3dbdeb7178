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

static void get(struct call *call, struct rig *rig, const char *target)
{
        call_init(call, rig, "GET", target);
        call_run(call);
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
        assert_in_range(call.how.cpu_ms, 0, 10000);
        assert_int_equal(call.how.peak_rss_kb, -1);
        assert_string_equal(call.how.reason, "");
        call_fini(&call);
}

static void keeps_worker_and_connection(void **state)
{
        char *first = call_get(*state, "/pid.php");

        for (int i = 0; i < 600; i++) /* past php-cgi's own limit of 500 */
                call_expect(*state, "/pid.php", first);
        assert_int_equal(rig_stats(*state).started, 1);
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
        rig_php_serves(*state);
}

static void a_fatal_error_is_a_500_with_its_message_in_the_log(void **state)
{
        struct call call;

        get(&call, *state, "/fatal.php");
        assert_int_equal(call.how.outcome, RUN_FAILED);
        assert_int_equal(call.how.status, 500);
        assert_string_equal(call.how.reason, "the script answered 500 Internal Server Error");
        assert_non_null(strstr(call_log(&call), "there_is_no_such_function"));
        call_fini(&call);
        rig_php_serves(*state);
}

static void exit_with_a_code_is_a_complete_reply(void **state)
{
        struct call call;

        get(&call, *state, "/exit.php");
        assert_int_equal(call.how.outcome, RUN_SUCCEEDED);
        assert_string_equal(call_text(&call), "leaving");
        call_fini(&call);
        assert_int_equal(rig_stats(*state).started, 1);
}

static void error_log_arrives_as_log(void **state)
{
        struct call call;

        get(&call, *state, "/log.php");
        assert_string_equal(call_text(&call), "logged");
        assert_non_null(strstr(call_log(&call), "a line for the log"));
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
        assert_int_equal(rig_stats(*state).died, 0);
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
        rig_php_serves(rig);
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
        rig_php_serves(*state);
        assert_int_equal(rig_stats(*state).died, 1);
        assert_int_equal(rig_stats(*state).started, 2);
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
        call_expect(*state, "/x", "0 bytes");
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
        call_expect(*state, "/x", "0 bytes");
}

/* The orphan has the connection and the worker's stderr open, and the listener: none of it may be waited for.
 * It goes with the worker that has left it behind. */
static void a_program_left_behind_delays_the_end_only_a_little(void **state)
{
        struct call call;
        int orphan = 0;

        get(&call, *state, "/x?orphan");
        assert_int_equal(call.how.outcome, RUN_CRASHED);
        assert_int_equal(call.how.exit_code, 9);
        assert_int_equal(sscanf(call_log(&call), "orphan %d", &orphan), 1);
        call_fini(&call);
        rig_until_dead(*state, orphan);
        call_expect(*state, "/x", "0 bytes");
}

/* ---- replies of no use ---- */

/* starts: of workers, with the one that answers in the end. A program that is not PHP is asked to end with
 * SIGTERM, and the responder dies of it. */
static void fails_502(struct rig *rig, const char *target, const char *reason, unsigned starts)
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
        call_expect(rig, "/x", "0 bytes");
        assert_int_equal(rig_stats(rig).started, starts);
        assert_int_equal(rig_stats(rig).died, 0);
}

static void a_reply_of_nothing_is_a_502(void **state)
{
        fails_502(*state, "/x?empty", "without a reply", 1);
}

static void half_a_head_is_a_502(void **state)
{
        fails_502(*state, "/x?half", "within the head", 1);
}

static void a_malformed_head_is_a_502(void **state)
{
        fails_502(*state, "/x?malformed", "malformed", 2);
}

static void a_malformed_head_ends_the_run_though_the_script_goes_on(void **state)
{
        fails_502(*state, "/x?malformed-silent", "malformed", 2);
}

static void a_head_too_large_is_a_502_that_names_the_limit(void **state)
{
        fails_502(*state, "/x?bighead", "65536 bytes", 2);
}

static void what_is_not_fastcgi_is_a_502(void **state)
{
        fails_502(*state, "/x?version", "version", 2);
}

static void a_refusal_by_the_worker_is_a_502(void **state)
{
        fails_502(*state, "/x?overloaded", "protocol status 2", 1);
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
        assert_string_equal(call_log(&call), "one two");
        assert_int_equal(call.how.outcome, RUN_SUCCEEDED);
        call_fini(&call);
}

static void records_of_another_request_are_ignored(void **state)
{
        call_expect(*state, "/x?other", "right");
}

#define PHP(name)       cmocka_unit_test_setup_teardown(name, rig_setup_php, rig_teardown)
#define RESPONDER(name) cmocka_unit_test_setup_teardown(name, rig_setup_responder, rig_teardown)

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
        };

        return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
        return rig_main(argc, argv, tests);
}
