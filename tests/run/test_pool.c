/* The set of workers: how many at once, what happens when one falls out, the way down. */
#include "run/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "rig.h"

static bool all_ended(void *arg)
{
        struct call *calls = arg;

        return calls[0].ended && calls[1].ended && calls[2].ended;
}

static void three_workers_run_three_requests_at_once(void **state)
{
        char *target;
        struct call calls[3], fourth;
        struct cause cause = { "" };
        struct rig rig;

        rig_open_php(&rig, 3, 0);
        target = mem_printf("/barrier.php?n=3&dir=%s", rig.folder);
        rig_until_free(&rig, 3);
        assert_true(rig.freed >= 3);
        for (int i = 0; i < 3; i++) {
                call_init(&calls[i], &rig, "GET", target);
                call_start(&calls[i]);
        }
        call_init(&fourth, &rig, "GET", "/hello.php");
        assert_int_equal(call_try(&fourth, &cause), POOL_BUSY);
        assert_int_equal(rig_stats(&rig).busy, 3);
        assert_int_equal(rig_stats(&rig).alive, 3);
        assert_int_equal(rig_stats(&rig).workers, 3);
        rig_until(&rig, all_ended, calls);
        for (int i = 0; i < 3; i++) {
                assert_int_equal(calls[i].how.outcome, RUN_SUCCEEDED);
                call_fini(&calls[i]);
        }
        assert_int_equal(rig_stats(&rig).requests, 3);
        call_fini(&fourth);
        free(target);
        rig_close(&rig);
}

static void a_worker_that_dies_costs_nobody_else_a_request(void **state)
{
        struct call silent, killing;
        char *until, *done, *begun, *target;
        struct rig rig;

        rig_open_php(&rig, 2, 0);
        until = rig_path(&rig, "until");
        done = rig_path(&rig, "done");
        begun = rig_path(&rig, "done.begun");
        target = mem_printf("/silent.php?until=%s&done=%s", until, done);
        rig_until_free(&rig, 2);
        call_init(&silent, &rig, "GET", target);
        call_start(&silent);
        rig_until_file(&rig, begun);
        call_init(&killing, &rig, "GET", "/kill.php");
        call_run(&killing);
        assert_int_equal(killing.how.outcome, RUN_CRASHED);
        rig_until_free(&rig, 1);
        rig_touch(until);
        call_until_end(&silent);
        assert_int_equal(silent.how.outcome, RUN_SUCCEEDED);
        assert_int_equal(rig_stats(&rig).died, 1);
        call_fini(&silent);
        call_fini(&killing);
        free(until);
        free(done);
        free(begun);
        free(target);
        rig_close(&rig);
}

static int count_of(const char *text, const char *part)
{
        int n = 0;

        for (; (text = strstr(text, part)); text += strlen(part))
                n++;
        return n;
}

static void workers_are_recycled_after_so_many_requests(void **state)
{
        char *all = mem_dup("");
        struct rig rig;

        rig_open_php(&rig, 1, 3);
        for (int i = 0; i < 9; i++) {
                char *pid = call_get(&rig, "/pid.php"), *more = mem_printf("%s<%s>", all, pid);

                free(all);
                all = more;
                if (i % 3 == 0) {
                        char *this_one = mem_printf("<%s>", pid);

                        assert_int_equal(count_of(all, this_one), 1); /* a new one */
                        free(this_one);
                }
                free(pid);
        }
        rig_until_free(&rig, 1);
        assert_int_equal(rig_stats(&rig).started, 4);
        assert_int_equal(rig_stats(&rig).died, 0);
        free(all);
        rig_close(&rig);
}

static void recycling_waits_for_a_script_without_its_caller(void **state)
{
        char *until, *done, *begun, *target, *wanted, *got;
        struct call call;
        struct rig rig;

        rig_open_php(&rig, 1, 1);
        until = rig_path(&rig, "until");
        done = rig_path(&rig, "done");
        begun = rig_path(&rig, "done.begun");
        target = mem_printf("/silent.php?until=%s&done=%s&ignore", until, done);
        rig_until_free(&rig, 1);
        call_init(&call, &rig, "GET", target);
        call_start(&call);
        rig_until_file(&rig, begun);
        run_hang_up(call.run, "the caller hung up");
        assert_int_equal(rig_stats(&rig).busy, 1);
        rig_touch(until);
        call_until_end(&call);
        got = rig_read_file(done);
        wanted = mem_printf("0 %d", call.pid); /* by its own end, not by SIGTERM */
        assert_string_equal(got, wanted);
        rig_until_dead(&rig, call.pid);
        rig_until_free(&rig, 1);
        assert_int_equal(rig_stats(&rig).started, 2);
        assert_int_equal(rig_stats(&rig).died, 0);
        call_fini(&call);
        free(until);
        free(done);
        free(begun);
        free(target);
        free(got);
        free(wanted);
        rig_close(&rig);
}

static void an_idle_worker_that_is_killed_is_replaced(void **state)
{
        char *pid, *again;
        struct rig rig;

        rig_open_php(&rig, 1, 0);
        pid = call_get(&rig, "/pid.php");
        assert_int_equal(kill(atoi(pid), SIGKILL), 0);
        rig_until_free(&rig, 0);
        rig_until_free(&rig, 1);
        again = call_get(&rig, "/pid.php");
        assert_string_not_equal(pid, again);
        assert_int_equal(rig_stats(&rig).died, 1);
        free(pid);
        free(again);
        rig_close(&rig);
}

/* ---- opcache ---- */

static void write_dated(const char *path, const char *text)
{
        const struct timespec times[2] = { { 1000000000, 0 }, { 1000000000, 0 } };
        FILE *f = fopen(path, "we");

        assert_non_null(f);
        fputs(text, f);
        fclose(f);
        assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* A script is changed behind opcache's back, its date kept: only who takes it from the file cache says "one".
 */
static void a_new_worker_takes_compiled_scripts_from_its_predecessor(void **state)
{
        char *file, *target, *cache, *got;
        struct call call;
        struct rig rig;

        rig_open_php(&rig, 1, 1);
        cache = rig_path(&rig, "run/opcache");
        got = call_get(&rig, "/ini.php?opcache.file_cache");
        assert_string_equal(got, cache);
        free(got);
        file = rig_path(&rig, "included.php");
        target = mem_printf("/include.php?file=%s", file);
        write_dated(file, "<?php echo 'one';");
        got = call_get(&rig, target);
        assert_string_equal(got, "one");
        free(got);
        write_dated(file, "<?php echo 'two';");
        call_init(&call, &rig, "GET", target);
        call_run(&call);
        assert_string_equal(call_text(&call), "one");
        assert_int_equal(rig_stats(&rig).started, 3);
        call_fini(&call);
        free(cache);
        free(file);
        free(target);
        rig_close(&rig);
}

static void php_keeps_its_own_ini_folder_and_the_words_of_the_command(void **state)
{
        struct rig rig;
        char *got;

        rig_open_php(&rig, 1, 0);
        got = call_get(&rig, "/ini.php?post_max_size");
        assert_string_equal(got, "0"); /* -d of rig_open_php */
        free(got);
        got = call_get(&rig, "/ini.php?scanned");
        assert_non_null(strstr(got, "/php/sendoff.ini"));
        assert_non_null(strstr(got, "opcache.ini"));
        free(got);
        rig_close(&rig);
}

/* ---- starting ---- */

static int try_new(struct rig *rig, char *const *words, const char *folder, struct cause *cause)
{
        struct pool_config config = {
                .loop = &rig->loop,
                .self = rig_self(),
                .argv = words,
                .runtime_folder = folder,
                .workers = 1,
        };
        struct pool *pool;
        int r = pool_new(&pool, &config, cause);

        assert_null(pool);
        return r;
}

static void a_program_that_is_not_there_is_named(void **state)
{
        char name[] = "no-such-program-anywhere", path[] = "/no/such/program", php[] = "php-cgi";
        char *words[] = { name, NULL };
        char *deep;
        struct cause cause = { "" };
        struct rig rig = { 0 };

        uv_loop_init(&rig.loop);
        assert_true(try_new(&rig, words, "/tmp", &cause) < 0);
        assert_non_null(strstr(cause.text, "no-such-program-anywhere"));
        words[0] = path;
        assert_true(try_new(&rig, words, "/tmp", &cause) < 0);
        assert_non_null(strstr(cause.text, "/no/such/program"));
        words[0] = php;
        assert_true(try_new(&rig, words, "/no/such/folder", &cause) < 0);
        assert_non_null(strstr(cause.text, "/no/such/folder"));

        snprintf(rig.folder, sizeof(rig.folder), "/tmp/sendoff-run-XXXXXX");
        assert_non_null(mkdtemp(rig.folder));
        deep = mem_printf("%s/%.*s", rig.folder, 100,
                          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                          "aaaaaaaaaaaaaaaaaa");
        assert_int_equal(mkdir(deep, 0700), 0);
        assert_int_equal(try_new(&rig, words, deep, &cause), -ENAMETOOLONG);
        assert_non_null(strstr(cause.text, "107"));
        rmdir(deep);
        rmdir(rig.folder);
        free(deep);
        assert_int_equal(uv_loop_close(&rig.loop), 0);
}

static bool is_third_death(void *arg)
{
        return rig_stats(arg).died >= 3;
}

static void a_worker_that_cannot_start_is_tried_with_growing_pauses(void **state)
{
        char program[] = "false";
        char *words[] = { program, NULL };
        struct rig rig;
        uint64_t from;

        rig_open(&rig, words, 1, 0);
        from = uv_hrtime();
        rig_until(&rig, is_third_death, &rig);
        assert_true((uv_hrtime() - from) / 1000000 >= 290); /* 100 and 200 */
        assert_int_equal(pool_free_workers(rig.pool), 0);
        rig_close(&rig); /* in the middle of a pause */
}

/* ---- stopping ---- */

static void stopping_puts_back_what_runs_and_ends_what_does_not(void **state)
{
        char *until, *done, *begun, *target, *socket;
        struct call call, gone;
        struct rig rig;
        int idle;

        rig_open_php(&rig, 3, 0);
        until = rig_path(&rig, "until");
        done = rig_path(&rig, "done");
        begun = rig_path(&rig, "done.begun");
        socket = rig_path(&rig, "run/w1.sock");
        target = mem_printf("/silent.php?until=%s&done=%s", until, done);
        rig_until_free(&rig, 3);
        assert_int_equal(access(socket, F_OK), 0);
        call_init(&call, &rig, "GET", "/pid.php");
        call_start(&call);
        call_until_end(&call);
        idle = call.pid;
        call_fini(&call);
        call_init(&gone, &rig, "GET", target);
        call_start(&gone);
        rig_until_file(&rig, begun);
        run_hang_up(gone.run, "the caller hung up");
        unlink(begun);
        call_init(&call, &rig, "GET", target);
        call_start(&call);
        rig_until_file(&rig, begun);

        rig_close(&rig);
        assert_true(call.ended);
        assert_int_equal(call.how.outcome, RUN_PUT_BACK);
        assert_string_equal(call.how.reason, "the server is shutting down");
        assert_int_equal(call.how.connection_status, 0);
        assert_true(rig_is_dead(call.pid));
        assert_true(gone.ended);
        assert_int_equal(gone.how.outcome, RUN_STOPPED);
        assert_string_equal(gone.how.reason, "the caller hung up");
        assert_int_equal(gone.how.connection_status, CONNECTION_ABORTED);
        assert_true(rig_is_dead(gone.pid));
        assert_true(rig_is_dead(idle));
        assert_int_not_equal(access(socket, F_OK), 0);
        call_fini(&call);
        call_fini(&gone);
        free(until);
        free(done);
        free(begun);
        free(socket);
        free(target);
}

static void stopping_at_once_after_starting_is_fine(void **state)
{
        struct rig rig;

        rig_open_php(&rig, 3, 0);
        rig_close(&rig);
}

static void on_down(void *arg)
{
        struct rig *rig = arg;

        rig->stopped = true;
        pool_free(rig->pool);
        rig->pool = NULL;
}

static bool is_down(void *arg)
{
        return ((struct rig *)arg)->stopped;
}

static bool is_alone(void *arg)
{
        struct pool_stats stats = rig_stats(arg);

        return stats.died >= 1 && stats.alive == 1;
}

static void count_and_free(void *arg)
{
        struct rig *rig = arg;

        rig->freed = (unsigned)rig_stats(rig).started; /* at the end */
        on_down(rig);
}

/* One worker ignores SIGTERM, the other's pause would end before the first is killed. */
static void nothing_is_started_while_stopping(void **state)
{
        char sh[] = "sh", c[] = "-c", script[256];
        char *words[] = { sh, c, script, NULL };
        struct rig rig;
        unsigned started;
        uint64_t from;

        snprintf(script, sizeof(script),
                 "trap '' TERM; mkdir /tmp/sendoff-lock-%d 2>/dev/null || exit 1; while :; do sleep 0.05; "
                 "done",
                 (int)getpid());
        rig_open(&rig, words, 2, 0);
        rig_until(&rig, is_alone, &rig);
        started = (unsigned)rig_stats(&rig).started;
        from = uv_hrtime();
        pool_stop(rig.pool, count_and_free, &rig);
        rig_until(&rig, is_down, &rig);
        assert_true(uv_hrtime() - from >= 1000000000); /* it was not just quick */
        assert_int_equal(rig.freed, started);
        snprintf(script, sizeof(script), "/tmp/sendoff-lock-%d", (int)getpid());
        assert_int_equal(rmdir(script), 0);
        rig_close(&rig);
}

static void stop_in_here(struct call *call)
{
        pool_stop(call->rig->pool, on_down, call->rig);
}

static void handlers_may_stop_the_pool(void **state)
{
        for (int i = 0; i < 3; i++) {
                struct call call;
                struct rig rig;

                rig_open_php(&rig, 2, 0);
                call_init(&call, &rig, "GET", i == 2 ? "/kill.php" : "/hello.php");
                if (i == 0)
                        call.on_head = stop_in_here;
                else
                        call.on_end = stop_in_here;
                call_run(&call);
                rig_until(&rig, is_down, &rig);
                assert_int_equal(call.how.outcome, i == 0   ? RUN_PUT_BACK
                                                   : i == 1 ? RUN_SUCCEEDED
                                                            : RUN_CRASHED);
                call_fini(&call);
                rig_close(&rig);
        }
}

static void keep_freed(struct call *call)
{
        call->status = (int)call->rig->freed;
}

static void the_owner_hears_of_a_free_worker_after_the_end(void **state)
{
        struct call call;
        struct rig rig;
        int before;

        rig_open_php(&rig, 1, 0);
        rig_until_free(&rig, 1);
        before = (int)rig.freed;
        call_init(&call, &rig, "GET", "/hello.php");
        call.on_end = keep_freed;
        call_run(&call);
        assert_int_equal(call.status, before);
        assert_int_equal(rig.freed, before + 1);
        call_fini(&call);
        rig_close(&rig);
}

/* ---- a program that is not PHP ---- */

static void any_fastcgi_program_on_fd_0_will_do(void **state)
{
        struct rig rig;

        rig_open_responder(&rig, 2);
        rig_until_free(&rig, 2);
        for (int i = 0; i < 100; i++) {
                char *got = call_get(&rig, "/x");

                assert_string_equal(got, "0 bytes");
                free(got);
        }
        assert_int_equal(rig_stats(&rig).started, 2);
        rig_close(&rig);
}

/* libfcgi by way of perl. It does not answer GET_VALUES: the probe is over when it has read that and hangs
 * up. */
static void a_libfcgi_program_will_do(void **state)
{
        char perl[] = "perl", module[] = "-MFCGI", e[] = "-e",
             script[] =
                     "$| = 1; my $r = FCGI::Request(); while ($r->Accept() >= 0) { read(STDIN, my $b, 99); "
                     "print qq{Content-Type: text/plain\\r\\n\\r\\n$ENV{REQUEST_METHOD} $$ $b};"
                     "if ($ENV{QUERY_STRING}) { 1 until -e $ENV{QUERY_STRING} } }";
        char *words[] = { perl, module, e, script, NULL }, *until, *target, *got;
        struct call call;
        struct rig rig;

        if (system("perl -MFCGI -e 1 2>/dev/null") != 0)
                skip();
        rig_open(&rig, words, 1, 0);
        for (int i = 0; i < 50; i++) {
                call_init(&call, &rig, "POST", "/x");
                call_body(&call, "body", 4);
                call_run(&call);
                got = mem_printf("POST %d body", call.pid);
                assert_string_equal(call_text(&call), got);
                free(got);
                call_fini(&call);
        }
        until = rig_path(&rig, "until");
        target = mem_printf("/x?%s", until);
        call_init(&call, &rig, "GET", target);
        call_start(&call);
        run_hang_up(call.run, "the caller hung up");
        assert_int_equal(rig_stats(&rig).busy, 1);
        rig_touch(until);
        call_until_end(&call);
        assert_int_equal(call.how.outcome, RUN_STOPPED);
        rig_until_free(&rig, 1);
        got = mem_printf("GET %d ", call.pid);
        call_expect(&rig, "/x", got);
        assert_int_equal(rig_stats(&rig).started, 1);
        free(got);
        free(until);
        free(target);
        call_fini(&call);
        rig_close(&rig);
}

static int tests(void)
{
        const struct CMUnitTest all[] = {
                cmocka_unit_test(three_workers_run_three_requests_at_once),
                cmocka_unit_test(a_worker_that_dies_costs_nobody_else_a_request),
                cmocka_unit_test(workers_are_recycled_after_so_many_requests),
                cmocka_unit_test(recycling_waits_for_a_script_without_its_caller),
                cmocka_unit_test(an_idle_worker_that_is_killed_is_replaced),
                cmocka_unit_test(a_new_worker_takes_compiled_scripts_from_its_predecessor),
                cmocka_unit_test(php_keeps_its_own_ini_folder_and_the_words_of_the_command),
                cmocka_unit_test(a_program_that_is_not_there_is_named),
                cmocka_unit_test(a_worker_that_cannot_start_is_tried_with_growing_pauses),
                cmocka_unit_test(stopping_puts_back_what_runs_and_ends_what_does_not),
                cmocka_unit_test(stopping_at_once_after_starting_is_fine),
                cmocka_unit_test(nothing_is_started_while_stopping),
                cmocka_unit_test(handlers_may_stop_the_pool),
                cmocka_unit_test(the_owner_hears_of_a_free_worker_after_the_end),
                cmocka_unit_test(any_fastcgi_program_on_fd_0_will_do),
                cmocka_unit_test(a_libfcgi_program_will_do),
        };

        return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
        return rig_main(argc, argv, tests);
}
