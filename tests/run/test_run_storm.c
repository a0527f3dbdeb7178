/* Everything that may be done to a run, at random moments, from outside and from its handlers: every run ends
 * exactly once, and in the end all workers are idle. SENDOFF_TEST_SEED and SENDOFF_TEST_RUNS change the seed
 * and how many runs there are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
        bool php;
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

static const char *const rare[] = { "/x?exit", "/x?close", "/x?orphan" }; /* a pause follows each */

static char *choose(struct storm *s)
{
        const char *target;

        if (below(s, 150) == 0)
                return mem_dup(s->php ? "/kill.php?after" : rare[below(s, 3)]);
        target = s->php ? php_targets[below(s, sizeof(php_targets) / sizeof(php_targets[0]))]
                        : responder_targets[below(s,
                                                  sizeof(responder_targets) / sizeof(responder_targets[0]))];
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

static void storm(bool php, uint64_t runs)
{
        struct storm *s = mem_alloc(sizeof(*s));
        uint64_t seed = number("SENDOFF_TEST_SEED", 20260101);
        unsigned before;

        s->php = php;
        s->random = seed * 2 + 1;
        s->runs = (unsigned)number("SENDOFF_TEST_RUNS", runs);
        if (php)
                rig_open_php(&s->rig, WORKERS, 0);
        else
                rig_open_responder(&s->rig, WORKERS);
        s->work = mem_printf("until=%s/none&done=%s/done", s->rig.folder, s->rig.folder);
        s->body = mem_alloc(BODY_MAX);
        while (!is_over(s)) {
                uv_run(&s->rig.loop, below(s, 2) ? UV_RUN_ONCE : UV_RUN_NOWAIT);
                for (int i = 0; i < WORKERS; i++)
                        gust_turn(s, &s->gusts[i]);
        }
        before = s->ended;
        rig_until_free(&s->rig, WORKERS);
        rig_turn(&s->rig, 50);
        assert_int_equal(before, s->runs);
        assert_int_equal(s->ended, s->runs);
        assert_int_equal(rig_stats(&s->rig).requests, s->runs);
        assert_int_equal(rig_stats(&s->rig).busy, 0);
        assert_int_equal(rig_stats(&s->rig).alive, WORKERS);
        print_message(
                "# seed %llu: %u succeeded, %u failed, %u crashed, %u stopped, %u put back; %llu workers\n",
                (unsigned long long)seed, s->outcomes[RUN_SUCCEEDED], s->outcomes[RUN_FAILED],
                s->outcomes[RUN_CRASHED], s->outcomes[RUN_STOPPED], s->outcomes[RUN_PUT_BACK],
                (unsigned long long)rig_stats(&s->rig).started);
        call_expect(&s->rig, php ? "/hello.php" : "/x", php ? "hello" : "0 bytes");
        rig_close(&s->rig);
        free(s->work);
        free(s->body);
        free(s);
}

static void every_run_of_php_ends_once_and_the_workers_are_idle_again(void **state)
{
        storm(true, 1000);
}

static void every_run_of_another_program_ends_once_and_the_workers_are_idle_again(void **state)
{
        storm(false, 1000);
}

static int tests(void)
{
        const struct CMUnitTest all[] = {
                cmocka_unit_test(every_run_of_php_ends_once_and_the_workers_are_idle_again),
                cmocka_unit_test(every_run_of_another_program_ends_once_and_the_workers_are_idle_again),
        };

        return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
        return rig_main(argc, argv, tests);
}
