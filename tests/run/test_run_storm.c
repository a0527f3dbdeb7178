/* Everything that may be done to a run, at random moments, from outside and from its handlers: every run ends
 * exactly once, and in the end all workers are idle. SENDOFF_TEST_SEED and SENDOFF_TEST_RUNS change the seed
 * and how many runs there are. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "rig.h"

#define WORKERS   3
#define TURNS_MAX 200 /* of the loop, then a run is stopped; after twice as many it is put back */
#define BODY_MAX  400000

struct storm;

struct gust {
        struct call call; /* first: handlers get it */
        struct storm *storm;
        bool under_way;
        unsigned turns;
};

struct storm {
        struct rig rig;
        uint64_t random;
        unsigned runs, started, ended;
        unsigned outcomes[RUN_OUTCOMES];
        enum kind { PHP, PROGRAM, OUTSIDE } kind;
        char *work; /* the query of site/work.php */
        char *body;
        struct gust gusts[WORKERS];
};

/* xorshift64* */
static unsigned below(struct storm *s, unsigned n)
{
        s->random ^= s->random >> 12;
        s->random ^= s->random << 25;
        s->random ^= s->random >> 27;
        return (unsigned)((s->random * 2685821657736338717ULL >> 33) % n);
}

static const char *const php_targets[] = {
        "/hello.php",
        "/pid.php",
        "/big.php?mb=1",
        "/big.php?mb=3",
        "/body.php",
        "/status.php?status=404",
        "/log.php",
        "/control.php?write=line%0Aanother",
        "/work.php?do=sleep",
        "/work.php?do=wait",
        "/work.php?do=wait&ignore",
        "/work.php?do=busy",
        "/work.php?do=chatter",
        "/work.php?do=chatter&ignore",
        "/work.php?do=tick&times=3",
        "/work.php?do=tick&times=3&control",
        "/work.php?do=exec&command=sleep+100",
};

static const char *const responder_targets[] = {
        "/x",        "/x?empty",   "/x?half", "/x?pieces",        "/x?bighead", "/x?malformed",
        "/x?stderr", "/x?version", "/x?code", "/x?wait-for-term", "/x?wait",    "/x?malformed-silent",
        "/x?other",  "/x?pieces",  "/x?none", "/x?overloaded",
};

static const char *const outside_targets[] = {
        "/x",       "/x?empty",      "/x?half",    "/x?pieces", "/x?bighead", "/x?malformed",
        "/x?close", "/x?stderr",     "/x?version", "/x?code",   "/x?other",   "/x?malformed-silent",
        "/x?none",  "/x?overloaded",
};

static const char *const rare[] = { "/x?exit", "/x?close", "/x?orphan" }; /* a pause follows each */

static char *choose(struct storm *s)
{
        static const struct {
                const char *const *targets;
                size_t count;
        } all[] = {
                [PHP] = { php_targets, sizeof(php_targets) / sizeof(char *) },
                [PROGRAM] = { responder_targets, sizeof(responder_targets) / sizeof(char *) },
                [OUTSIDE] = { outside_targets, sizeof(outside_targets) / sizeof(char *) },
        };
        const char *target = all[s->kind].targets[below(s, (unsigned)all[s->kind].count)];

        if (s->kind != OUTSIDE && below(s, 150) == 0)
                return mem_dup(s->kind == PHP ? "/kill.php?after" : rare[below(s, 3)]);
        return strstr(target, "?do=") ? mem_printf("%s&%s", target, s->work) : mem_dup(target);
}

static void act(struct gust *g)
{
        struct storm *s = g->storm;
        struct run_limits limits = { .grace_ms = below(s, 60) };
        struct call *call = &g->call;

        if (!call->run)
                return;
        switch (below(s, 12)) {
        case 0:
        case 1:
        case 2:
                run_pause(call->run);
                call->paused = true;
                break;
        case 3:
        case 4:
        case 5:
                call->paused = false;
                run_resume(call->run);
                break;
        case 6:
                run_hang_up(call->run, "hung up");
                break;
        case 7:
                run_stop(call->run, below(s, 2) ? CONNECTION_ABORTED : CONNECTION_TIMED_OUT, "stopped");
                break;
        case 8:
                if (below(s, 3) == 0)
                        run_put_back(call->run, "put back");
                break;
        case 9:
                run_note_abort(call->run);
                break;
        case 10:
                run_set_time_limit(call->run, below(s, 100));
                break;
        default:
                limits.idle_limit_ms = below(s, 100);
                run_set_limits(call->run, &limits);
        }
}

static void act_here(struct call *call)
{
        struct gust *g = (struct gust *)call;

        if (below(g->storm, 6) == 0)
                act(g);
}

static void on_end(struct call *call)
{
        struct storm *s = ((struct gust *)call)->storm;

        s->ended++;
        s->outcomes[call->how.outcome]++;
}

static void gust_start(struct storm *s, struct gust *g)
{
        char *target = choose(s);
        struct cause cause = { "" };
        struct call *call = &g->call;

        call_init(call, &s->rig, below(s, 2) ? "POST" : "GET", target);
        free(target);
        g->storm = s;
        g->turns = 0;
        if (strcmp(call->request.method, "POST") == 0)
                call_body(call, s->body, below(s, 3) ? below(s, 1000) : below(s, BODY_MAX));
        call->count_only = true;
        call->own_control = below(s, 2);
        call->limits.grace_ms = below(s, 80);
        call->on_head = call->on_data = call->on_control = act_here;
        call->on_end = on_end;
        g->under_way = call_try(call, &cause) == 0;
        if (!g->under_way) {
                call_fini(call);
                return;
        }
        s->started++;
        while (below(s, 4) == 0) /* before it has begun */
                act(g);
}

/* One that is paused waits for ever, and one whose time is up is at the end of its grace soon. */
static void gust_hurry(struct gust *g)
{
        struct run_limits limits = { .grace_ms = 50 };

        if (!g->call.run)
                return;
        if (g->turns == TURNS_MAX) {
                run_set_limits(g->call.run, &limits);
                run_stop(g->call.run, CONNECTION_TIMED_OUT, "it is late");
        } else if (g->turns == 2 * TURNS_MAX) {
                run_put_back(g->call.run, "it is very late");
        }
}

static void gust_turn(struct storm *s, struct gust *g)
{
        if (!g->under_way && s->started < s->runs && pool_free_workers(s->rig.pool) > 0) {
                gust_start(s, g);
        } else if (g->under_way && g->call.ended) {
                g->under_way = false;
                call_fini(&g->call); /* asserts that no promise was broken */
        } else if (g->under_way) {
                g->turns++;
                if (below(s, 5) == 0)
                        act(g);
                gust_hurry(g);
        }
}

static bool is_over(void *arg)
{
        struct storm *s = arg;

        for (int i = 0; i < WORKERS; i++)
                if (s->gusts[i].under_way)
                        return false;
        return s->started == s->runs;
}

static uint64_t number(const char *variable, uint64_t otherwise)
{
        const char *text = getenv(variable);

        return text ? strtoull(text, NULL, 10) : otherwise;
}

/* One responder for all connections, as a pool that somebody else keeps. */
static pid_t start_outside(struct sockaddr_un *address)
{
        pid_t pid;
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        address->sun_family = AF_UNIX;
        snprintf(address->sun_path, sizeof(address->sun_path), "/tmp/sendoff-storm-%d", (int)getpid());
        assert_int_equal(bind(fd, (struct sockaddr *)address, sizeof(*address)), 0);
        assert_int_equal(listen(fd, 8), 0);
        pid = fork();
        if (pid == 0) {
                dup2(fd, 0);
                _exit(responder_main());
        }
        assert_true(pid > 0);
        close(fd);
        return pid;
}

static void storm_open(struct storm *s, const struct sockaddr_un *outside)
{
        char *where = mem_printf("unix:%s", outside->sun_path);

        if (s->kind == PHP)
                rig_open_php(&s->rig, WORKERS, 0);
        else if (s->kind == PROGRAM)
                rig_open_responder(&s->rig, WORKERS);
        else
                rig_open_outside(&s->rig, where, WORKERS);
        free(where);
        s->work = mem_printf("until=%s/none&done=%s/done", s->rig.folder, s->rig.folder);
        s->body = mem_alloc(BODY_MAX);
}

static void storm_calm(struct storm *s, uint64_t seed)
{
        rig_until_free(&s->rig, WORKERS);
        rig_turn(&s->rig, 50);
        assert_int_equal(s->ended, s->runs);
        assert_int_equal(rig_stats(&s->rig).requests, s->runs);
        assert_int_equal(rig_stats(&s->rig).busy, 0);
        assert_int_equal(rig_stats(&s->rig).alive, s->kind == OUTSIDE ? 0 : WORKERS);
        print_message(
                "# seed %llu: %u succeeded, %u failed, %u crashed, %u stopped, %u put back; %llu workers\n",
                (unsigned long long)seed, s->outcomes[RUN_SUCCEEDED], s->outcomes[RUN_FAILED],
                s->outcomes[RUN_CRASHED], s->outcomes[RUN_STOPPED], s->outcomes[RUN_PUT_BACK],
                (unsigned long long)rig_stats(&s->rig).started);
        call_expect(&s->rig, s->kind == PHP ? "/hello.php" : "/x", s->kind == PHP ? "hello" : "0 bytes");
}

static void storm(enum kind kind, uint64_t runs)
{
        struct storm *s = mem_alloc(sizeof(*s));
        uint64_t seed = number("SENDOFF_TEST_SEED", 20260101);
        struct sockaddr_un address = { 0 };
        pid_t outside = kind == OUTSIDE ? start_outside(&address) : 0;
        int status;

        s->kind = kind;
        s->random = seed * 2 + 1;
        s->runs = (unsigned)number("SENDOFF_TEST_RUNS", runs);
        storm_open(s, &address);
        while (!is_over(s)) {
                uv_run(&s->rig.loop, below(s, 2) ? UV_RUN_ONCE : UV_RUN_NOWAIT);
                for (int i = 0; i < WORKERS; i++)
                        gust_turn(s, &s->gusts[i]);
        }
        storm_calm(s, seed);
        rig_close(&s->rig);
        if (outside) {
                kill(outside, SIGKILL);
                assert_int_equal(waitpid(outside, &status, 0), outside);
                unlink(address.sun_path);
        }
        free(s->work);
        free(s->body);
        free(s);
}

static void every_run_of_php_ends_once_and_the_workers_are_idle_again(void **state)
{
        storm(PHP, 1000);
}

static void every_run_of_another_program_ends_once_and_the_workers_are_idle_again(void **state)
{
        storm(PROGRAM, 1000);
}

static void every_run_in_an_outside_pool_ends_once_and_its_workers_are_idle_again(void **state)
{
        storm(OUTSIDE, 1000);
}

static int tests(void)
{
        const struct CMUnitTest all[] = {
                cmocka_unit_test(every_run_of_php_ends_once_and_the_workers_are_idle_again),
                cmocka_unit_test(every_run_of_another_program_ends_once_and_the_workers_are_idle_again),
                cmocka_unit_test(every_run_in_an_outside_pool_ends_once_and_its_workers_are_idle_again),
        };

        return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
        return rig_main(argc, argv, tests);
}
