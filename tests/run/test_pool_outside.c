/* A pool that somebody else keeps: a php-cgi (or a responder) of the test's own, over a unix socket and TCP.
 */
#include "run/pool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "rig.h"

struct outside {
        char where[128];
        char folder[64];
        bool tcp;
        int port;
        int fd;    /* the listener; -1 none */
        pid_t pid; /* 0 none */
};

static void outside_init(struct outside *o, bool tcp)
{
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t len = sizeof(address);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        memset(o, 0, sizeof(*o));
        o->tcp = tcp;
        o->fd = -1;
        snprintf(o->folder, sizeof(o->folder), "/tmp/sendoff-outside-XXXXXX");
        assert_non_null(mkdtemp(o->folder));
        assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0); /* a port that is free */
        assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
        close(fd);
        o->port = ntohs(address.sin_port);
        if (tcp)
                snprintf(o->where, sizeof(o->where), "127.0.0.1:%d", o->port);
        else
                snprintf(o->where, sizeof(o->where), "unix:%s/pool", o->folder);
}

static void outside_listen(struct outside *o)
{
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        struct sockaddr_un un = { .sun_family = AF_UNIX };
        int yes = 1;

        o->fd = socket(o->tcp ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(o->fd >= 0);
        if (o->tcp) {
                in.sin_port = htons((uint16_t)o->port);
                setsockopt(o->fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
                assert_int_equal(bind(o->fd, (struct sockaddr *)&in, sizeof(in)), 0);
        } else {
                snprintf(un.sun_path, sizeof(un.sun_path), "%s", o->where + 5);
                unlink(un.sun_path);
                assert_int_equal(bind(o->fd, (struct sockaddr *)&un, sizeof(un)), 0);
        }
        assert_int_equal(listen(o->fd, 64), 0);
}

/* children: 0 is one process that serves for ever, more is a parent with so many, each for three requests. */
static void outside_start(struct outside *o, int children)
{
        if (o->fd < 0)
                outside_listen(o);
        o->pid = fork();
        if (o->pid == 0) {
                char number[16];

                setpgid(0, 0);
                signal(SIGPIPE, SIG_DFL);
                dup2(o->fd, 0);
                snprintf(number, sizeof(number), "%d", children);
                if (children)
                        setenv("PHP_FCGI_CHILDREN", number, 1);
                setenv("PHP_FCGI_MAX_REQUESTS", children ? "3" : "0", 1);
                execlp("php-cgi", "php-cgi", "-d", "post_max_size=0", NULL);
                _exit(1);
        }
        assert_true(o->pid > 0);
}

static void outside_start_responder(struct outside *o)
{
        outside_listen(o);
        o->pid = fork();
        if (o->pid == 0) {
                dup2(o->fd, 0);
                _exit(responder_main());
        }
        assert_true(o->pid > 0);
}

static void outside_kill(struct outside *o)
{
        int status;

        if (o->fd >= 0)
                close(o->fd);
        o->fd = -1;
        if (o->pid == 0)
                return;
        kill(-o->pid, SIGKILL);
        kill(o->pid, SIGKILL);
        assert_int_equal(waitpid(o->pid, &status, 0), o->pid);
        o->pid = 0;
}

static void outside_fini(struct outside *o)
{
        outside_kill(o);
        if (!o->tcp)
                unlink(o->where + 5);
        rmdir(o->folder);
}

static bool has_data(void *arg)
{
        return ((struct call *)arg)->data_bytes > 0;
}

/* ---- when it is there ---- */

static void answers_over_both_kinds_of_sockets(void **state)
{
        for (int tcp = 0; tcp < 2; tcp++) {
                struct outside o;
                struct rig rig;
                struct call call;
                char *pid;

                outside_init(&o, tcp);
                outside_start(&o, 0);
                rig_open_outside(&rig, o.where, 2);
                rig_until_free(&rig, 2);
                pid = mem_printf("%d", (int)o.pid);
                for (int i = 0; i < 100; i++)
                        call_expect(&rig, "/pid.php", pid);
                call_init(&call, &rig, "GET", "/env.php");
                call_run(&call);
                assert_int_equal(call.how.outcome, RUN_SUCCEEDED);
                assert_null(strstr(call_text(&call), "SENDOFF_CONTROL"));
                assert_int_equal(call.pid, 0);
                assert_int_equal(call.how.cpu_ms, -1);
                call_fini(&call);
                assert_int_equal(rig_stats(&rig).alive, 0);
                assert_int_equal(rig_stats(&rig).requests, 101);
                free(pid);
                rig_close(&rig);
                outside_fini(&o);
        }
}

static void bodies_and_large_replies_pass(void **state)
{
        char *bytes = mem_alloc(20 << 20);

        for (int tcp = 0; tcp < 2; tcp++) {
                struct outside o;
                struct rig rig;
                struct call call;

                outside_init(&o, tcp);
                outside_start(&o, 0);
                rig_open_outside(&rig, o.where, 1);
                call_init(&call, &rig, "POST", "/body.php");
                call_body(&call, bytes, 20 << 20);
                call_run(&call);
                assert_string_equal(call_text(&call), "8f4e33f3dc3e414ff94e5fb6905cba8c");
                call_fini(&call);
                call_init(&call, &rig, "GET", "/big.php?mb=20");
                call_run(&call);
                assert_int_equal(call.data_bytes, 20 << 20);
                call_fini(&call);
                rig_close(&rig);
                outside_fini(&o);
        }
        free(bytes);
}

static bool all_ended(void *arg)
{
        struct call *calls = arg;

        return calls[0].ended && calls[1].ended && calls[2].ended && calls[3].ended;
}

/* A connection that is kept would pin the one process there is, and three of four would wait for ever. */
static void more_requests_than_it_has_processes_wait_their_turn(void **state)
{
        struct outside o;
        struct rig rig;

        outside_init(&o, false);
        outside_start(&o, 0);
        rig_open_outside(&rig, o.where, 4);
        for (int round = 0; round < 10; round++) {
                struct call calls[4];

                rig_until_free(&rig, 4);
                for (int i = 0; i < 4; i++) {
                        call_init(&calls[i], &rig, "GET", "/hello.php");
                        call_start(&calls[i]);
                }
                rig_until(&rig, all_ended, calls);
                for (int i = 0; i < 4; i++) {
                        assert_int_equal(calls[i].how.outcome, RUN_SUCCEEDED);
                        call_fini(&calls[i]);
                }
        }
        rig_close(&rig);
        outside_fini(&o);
}

static void processes_of_it_that_come_and_go_lose_no_request(void **state)
{
        for (int tcp = 0; tcp < 2; tcp++) {
                struct outside o;
                struct rig rig;

                outside_init(&o, tcp);
                outside_start(&o, 2);
                rig_open_outside(&rig, o.where, 2);
                for (int i = 0; i < 100; i++)
                        rig_php_serves(&rig);
                rig_close(&rig);
                outside_fini(&o);
        }
}

static void a_reply_of_no_use_is_a_502(void **state)
{
        struct outside o;
        struct rig rig;
        struct call call;

        outside_init(&o, false);
        outside_start_responder(&o);
        rig_open_outside(&rig, o.where, 1);
        call_init(&call, &rig, "GET", "/x?malformed-silent");
        call_run(&call);
        assert_int_equal(call.how.outcome, RUN_FAILED);
        assert_int_equal(call.how.status, 502);
        assert_non_null(strstr(call.how.reason, "malformed"));
        call_fini(&call);

        call_init(&call, &rig, "GET", "/x?close");
        call_run(&call);
        assert_int_equal(call.how.outcome, RUN_CRASHED);
        assert_string_equal(call_text(&call), "partial");
        assert_non_null(strstr(call.how.reason, o.where));
        assert_non_null(strstr(call.how.reason, "closed the connection before the reply was complete"));
        call_fini(&call);
        call_expect(&rig, "/x", "0 bytes");
        rig_close(&rig);
        outside_fini(&o);
}

/* ---- when it is not ---- */

static void killed_in_the_middle_it_crashes_the_run_and_serves_again_when_it_is_back(void **state)
{
        for (int i = 0; i < 4; i++) { /* silent, and in the middle of its reply */
                struct script script;
                struct outside o;
                struct call call;
                struct rig rig;
                char *wanted;

                outside_init(&o, i & 1);
                outside_start(&o, 0);
                rig_open_outside(&rig, o.where, 1);
                rig_php_serves(&rig);
                work_init(&script, &call, &rig, i & 2 ? "&do=chatter" : "&do=wait");
                call.count_only = true;
                script_start(&script, &call);
                if (i & 2)
                        rig_until(&rig, has_data, &call);
                outside_kill(&o);
                call_until_end(&call);
                assert_int_equal(call.how.outcome, RUN_CRASHED);
                assert_false(call.how.untouched);
                wanted = mem_printf(
                        "the FastCGI pool at %s closed the connection before the reply was complete",
                        o.where);
                assert_string_equal(call.how.reason, wanted);
                free(wanted);
                work_fini(&script, &call);
                outside_start(&o, 0);
                rig_php_serves(&rig);
                rig_close(&rig);
                outside_fini(&o);
        }
}

/* The run ends without having begun, whether a connection fails at once (a unix socket) or later. */
static void down_at_first_it_is_tried_again_until_it_is_up(void **state)
{
        for (int tcp = 0; tcp < 2; tcp++) {
                struct cause cause = { "" };
                struct outside o;
                struct call call;
                struct rig rig;
                char *wanted;

                outside_init(&o, tcp);
                rig_open_outside(&rig, o.where, 2);
                rig_until_free(&rig, 2);
                wanted = mem_printf("the FastCGI pool at %s cannot be reached", o.where);
                for (int i = 0; i < 5; i++) {
                        call_init(&call, &rig, "GET", "/hello.php");
                        while (pool_free_workers(rig.pool) == 0)
                                rig_turn(&rig, 10);
                        assert_int_equal(call_try(&call, &cause), 0);
                        assert_false(call.ended); /* never inside the call that starts it */
                        call_until_end(&call);
                        assert_int_equal(call.how.outcome, RUN_PUT_BACK);
                        assert_true(call.how.untouched);
                        assert_string_equal(call.how.reason, wanted);
                        call_fini(&call);
                }
                outside_start(&o, 0);
                rig_until_free(&rig, 2);
                for (int i = 0; i < 5; i++)
                        rig_php_serves(&rig);
                free(wanted);
                rig_close(&rig);
                outside_fini(&o);
        }
}

static void stopping_while_it_is_down_is_fine(void **state)
{
        for (int tcp = 0; tcp < 2; tcp++) {
                struct cause cause = { "" };
                struct outside o;
                struct call call;
                struct rig rig;

                outside_init(&o, tcp);
                rig_open_outside(&rig, o.where, 2);
                rig_until_free(&rig, 2);
                call_init(&call, &rig, "GET", "/hello.php");
                assert_int_equal(call_try(&call, &cause), 0);
                rig_close(&rig);
                assert_true(call.ended);
                assert_int_equal(call.how.outcome, RUN_PUT_BACK);
                call_fini(&call);
                outside_fini(&o);
        }
}

static void an_address_that_cannot_be_is_refused(void **state)
{
        static const char *const bad[] = {
                "",      "unix:",     "unix:relative", "localhost:9000", "127.0.0.1",   "127.0.0.1:",
                ":9000", "[::1]9000", "127.0.0.1:0",   "127.0.0.1:x",    "[::1]:65536", "127.0.0.1:99999",
                "[::",   "[]:1",
        };
        struct cause cause = { "" };
        struct pool *pool;
        uv_loop_t loop;
        char *deep = mem_printf("unix:/%0200d", 0);
        struct pool_config config = { .loop = &loop, .workers = 1 };

        uv_loop_init(&loop);
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                config.outside = bad[i];
                if (pool_new(&pool, &config, &cause) != -EINVAL)
                        fail_msg("taken: %s", bad[i]);
                assert_non_null(strstr(cause.text, "ADDRESS:PORT"));
                assert_null(pool);
        }
        config.outside = deep;
        assert_int_equal(pool_new(&pool, &config, &cause), -ENAMETOOLONG);
        assert_non_null(strstr(cause.text, "too long"));
        free(deep);
        assert_int_equal(uv_loop_close(&loop), 0);
}

/* ---- ending a run ---- */

/* The connection is all that can be closed: the run is over at once, PHP goes by its own rules. */
static void stop_and_hang_up_end_the_run_at_once(void **state)
{
        for (int i = 0; i < 8; i++) {
                const char *what = i & 1 ? "&do=chatter" : "&do=wait";
                struct script script;
                struct outside o;
                struct call call;
                struct rig rig;
                int64_t from;

                outside_init(&o, i & 4);
                outside_start(&o, 0);
                rig_open_outside(&rig, o.where, 1);
                work_init(&script, &call, &rig, what);
                call.count_only = true;
                call.limits.grace_ms = 20000;
                script_start(&script, &call);
                from = clock_mono_ms();
                if (i & 2)
                        run_stop(call.run, CONNECTION_ABORTED, "no more");
                else
                        run_hang_up(call.run, "no more");
                assert_false(call.ended);
                call_until_end(&call);
                assert_true(clock_mono_ms() - from < 10000);
                assert_int_equal(call.how.outcome, RUN_STOPPED);
                assert_int_equal(call.how.connection_status, CONNECTION_ABORTED);
                assert_string_equal(call.how.reason, "no more");
                if (i & 1) {
                        script_until_done(&script, 1, o.pid); /* aborted at its next output */
                } else {
                        assert_false(script_is_done(&script));
                        rig_touch(script.until);
                        script_until_done(&script, 0, o.pid);
                }
                rig_php_serves(&rig);
                work_fini(&script, &call);
                rig_close(&rig);
                outside_fini(&o);
        }
}

static void limits_end_a_run_that_nobody_takes_up(void **state)
{
        char *bytes = mem_alloc(20 << 20);

        for (int i = 0; i < 4; i++) { /* the whole request fits into the socket, or not */
                struct outside o;
                struct call call;
                struct rig rig;

                outside_init(&o, i & 1);
                outside_listen(&o);
                rig_open_outside(&rig, o.where, 1);
                call_init(&call, &rig, "POST", "/hello.php");
                if (i & 2)
                        call_body(&call, bytes, 20 << 20);
                call.limits.time_limit_ms = 200;
                call.limits.grace_ms = 200;
                call_run(&call);
                assert_int_equal(call.how.outcome, RUN_STOPPED);
                assert_int_equal(call.how.connection_status, CONNECTION_TIMED_OUT);
                call_fini(&call);
                assert_int_equal(rig_stats(&rig).free, 1);
                rig_close(&rig);
                outside_fini(&o);
        }
        free(bytes);
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

static void back_pressure_reaches_it(void **state)
{
        for (int i = 0; i < 3; i++) {
                struct outside o;
                struct call call;
                struct rig rig;

                outside_init(&o, false);
                outside_start(&o, 0);
                rig_open_outside(&rig, o.where, 1);
                call_init(&call, &rig, "GET", "/big.php?mb=10");
                call.on_data = pause_it;
                call_start(&call);
                rig_until(&rig, is_paused, &call);
                rig_turn(&rig, 100);
                assert_false(call.ended);
                if (i == 0) {
                        call.on_data = NULL;
                        call.paused = false;
                        run_resume(call.run);
                        call_until_end(&call);
                        assert_int_equal(call.how.outcome, RUN_SUCCEEDED);
                        assert_int_equal(call.data_bytes, 10 << 20);
                } else if (i == 1) {
                        run_stop(call.run, CONNECTION_ABORTED, "enough");
                        call_until_end(&call);
                        assert_int_equal(call.how.outcome, RUN_STOPPED);
                } else {
                        outside_kill(&o); /* while it is paused: it waits for resume, or for being stopped */
                        rig_turn(&rig, 100);
                        assert_false(call.ended);
                        run_put_back(call.run, "going down");
                        call_until_end(&call);
                        assert_int_equal(call.how.outcome, RUN_PUT_BACK);
                }
                call_fini(&call);
                rig_close(&rig);
                outside_fini(&o);
        }
}

static void the_pool_can_be_stopped_while_it_is_busy(void **state)
{
        for (int i = 0; i < 4; i++) {
                struct script script;
                struct outside o;
                struct call call;
                struct rig rig;

                outside_init(&o, i & 1);
                outside_start(&o, 0);
                rig_open_outside(&rig, o.where, 1);
                work_init(&script, &call, &rig, i & 2 ? "&do=chatter" : "&do=wait");
                call.count_only = true;
                script_start(&script, &call);
                rig_close(&rig);
                assert_true(call.ended);
                assert_int_equal(call.how.outcome, RUN_PUT_BACK);
                assert_string_equal(call.how.reason, "the server is shutting down");
                work_fini(&script, &call);
                outside_fini(&o);
        }
}

static int tests(void)
{
        const struct CMUnitTest all[] = {
                cmocka_unit_test(answers_over_both_kinds_of_sockets),
                cmocka_unit_test(bodies_and_large_replies_pass),
                cmocka_unit_test(more_requests_than_it_has_processes_wait_their_turn),
                cmocka_unit_test(processes_of_it_that_come_and_go_lose_no_request),
                cmocka_unit_test(a_reply_of_no_use_is_a_502),
                cmocka_unit_test(killed_in_the_middle_it_crashes_the_run_and_serves_again_when_it_is_back),
                cmocka_unit_test(down_at_first_it_is_tried_again_until_it_is_up),
                cmocka_unit_test(stopping_while_it_is_down_is_fine),
                cmocka_unit_test(an_address_that_cannot_be_is_refused),
                cmocka_unit_test(stop_and_hang_up_end_the_run_at_once),
                cmocka_unit_test(limits_end_a_run_that_nobody_takes_up),
                cmocka_unit_test(back_pressure_reaches_it),
                cmocka_unit_test(the_pool_can_be_stopped_while_it_is_busy),
        };

        return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
        return rig_main(argc, argv, tests);
}
