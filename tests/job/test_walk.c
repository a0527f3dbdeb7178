/* A walk at random over the pure core: a population of jobs with random options, and random events: accepted
 * now or for later, due, started, ended in every way with random advice, cancelled, retried, done again, and
 * the death of the server, which cuts every run short. After each step what must always hold is checked for
 * the job that was touched, and every so often the whole population is counted.
 *
 * SENDOFF_WALK_SEED and SENDOFF_WALK_STEPS repeat a walk, or make it longer. */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"

#define STEPS      3000000
#define POPULATION 64
#define AUDIT      1000 /* steps */
#define LONG_LIVED                                                                                           \
        10000 /* put back nearly always, and many steps at a time: only these see the bound of runs */
#define STRIDE 200
/* Accepted, and each run due, started and ended. */
#define EVENTS_MAX (1 + 3 * JOB_RUNS_MAX)

/* A job, and what the walk itself has seen of it. */
struct walker {
        struct job *job;
        struct retry_policy policy;
        unsigned put_back;      /* how often in a hundred its runs are put back */
        unsigned events;        /* that no person made */
        unsigned runs, retries; /* started, ended in a retry */
        unsigned crashes;       /* counted since a person last let it run */
        unsigned put_backs, reruns;
        unsigned told; /* how often its end was told */
};

struct before {
        enum job_state state;
        uint32_t run, crashes, retries;
        int64_t started_ms, finished_ms, run_at_ms;
        bool cancel_asked;
};

struct walk {
        uint64_t dice;
        int64_t now_ms;
        uint64_t next_id;
        struct walker walkers[POPULATION];
        unsigned count[JOB_STATES]; /* how many are in each state, kept step by step */
        unsigned long taken[JOB_STATES][JOB_STATES];
        unsigned long again, deaths, used_up[3]; /* retries, crashes, runs */
};

/* ---- dice ---- */

static uint32_t roll32(struct walk *w)
{
        w->dice ^= w->dice << 13;
        w->dice ^= w->dice >> 7;
        w->dice ^= w->dice << 17;
        return (uint32_t)(w->dice >> 16);
}

static unsigned roll(struct walk *w, unsigned sides)
{
        return roll32(w) % sides;
}

static int64_t roll_of(struct walk *w, const int64_t *choices, unsigned count)
{
        return choices[roll(w, count)];
}

/* ---- what must hold ---- */

static struct before look(const struct job *job)
{
        return (struct before){ job->state,          job->run.number,  job->crashes,   job->retries,
                                job->run.started_ms, job->finished_ms, job->run_at_ms, job->cancel_asked };
}

static void check_final(const struct job *job, const struct before *b, int64_t now_ms)
{
        bool was = job_state_is_final(b->state), is = job_state_is_final(job->state);

        assert_int_equal(job->finished_ms != 0, is);
        if (was) {
                assert_int_equal(job->state, b->state);
                assert_int_equal(job->finished_ms, b->finished_ms);
        } else if (is) {
                assert_int_equal(job->finished_ms, now_ms);
        }
}

static void check_numbers(const struct walker *one, const struct before *b)
{
        const struct job *job = one->job;
        bool started = job->state == JOB_RUNNING && b->state != JOB_RUNNING;

        assert_int_equal(job->run.number, b->run + started);
        assert_int_equal(job->run.number, one->runs);
        assert_true(job->run.number <= JOB_RUNS_MAX);
        assert_int_equal(job->retries, one->retries);
        assert_true(job->retries <= one->policy.max);
        assert_int_equal(job->crashes, one->crashes);
        assert_true(job->crashes <= JOB_CRASHES_MAX);
        /* each run but the last was followed by a retry, a rerun after a crash, or had been put back */
        assert_int_equal(job->run.number,
                         one->retries + one->reruns + one->put_backs +
                                 (job->state == JOB_RUNNING || job_state_is_final(job->state)) -
                                 (job->state == JOB_CANCELLED && b->state != JOB_RUNNING));
        assert_true(one->events <= EVENTS_MAX);
}

static void check_run(const struct job *job, const struct before *b, int64_t now_ms)
{
        if (job->state == JOB_RUNNING) {
                assert_int_equal(job->run.ended_ms, 0);
                assert_int_equal(job->run.outcome, RUN_NONE);
        } else if (b->state == JOB_RUNNING) {
                assert_int_equal(job->run.ended_ms, now_ms);
                assert_int_equal(job->run.started_ms, b->started_ms);
                assert_true(job->run.ended_ms >= job->run.started_ms);
        }
}

/* The end is told once, when the job comes to it, and to the right ones. */
static void tell(struct walker *one, bool came_to_its_end)
{
        const struct job *job = one->job;
        char *const *then = job->options.then;
        const char *out[2] = { NULL, NULL }, *own;
        unsigned count = job_then_targets(job, out), wanted;

        if (!job_state_is_final(job->state)) {
                assert_int_equal(count, 0);
                return;
        }
        own = then[job->state == JOB_SUCCEEDED ? JOB_THEN_SUCCESS : JOB_THEN_FAILURE];
        wanted = (own != NULL) + (then[JOB_THEN_ALWAYS] && (!own || strcmp(own, then[JOB_THEN_ALWAYS]) != 0));
        assert_int_equal(count, wanted);
        for (unsigned i = 0; i < count; i++)
                assert_true(out[i] !=
                            then[job->state == JOB_SUCCEEDED ? JOB_THEN_FAILURE : JOB_THEN_SUCCESS]);
        one->told += came_to_its_end;
        assert_int_equal(one->told, 1);
}

static void check(struct walk *w, struct walker *one, const struct before *b)
{
        struct job *job = one->job;

        assert_true(job->state == b->state || job_state_may(b->state, job->state));
        check_final(job, b, w->now_ms);
        if (job->state != b->state && job_state_is_final(job->state) && b->state != JOB_RUNNING)
                assert_int_equal(job->state, JOB_CANCELLED); /* nothing else ends what does not run */
        check_run(job, b, w->now_ms);
        if (job->state != b->state || !job_state_is_final(job->state))
                check_numbers(one, b);
        tell(one, job->state != b->state && job_state_is_final(job->state));
        if (job->state == JOB_SCHEDULED && b->state == JOB_SCHEDULED)
                assert_int_equal(job->run_at_ms, b->run_at_ms);
        w->count[b->state]--;
        w->count[job->state]++;
        w->taken[b->state][job->state]++;
}

/* ---- the end of a run ---- */

static void check_pause(const struct walker *one, const struct job_ending *e, const struct before *b,
                        int64_t now_ms)
{
        const struct retry_policy *p = &one->policy;
        int64_t pause = one->job->run_at_ms - now_ms, asked = e->advice.has_after ? e->advice.after_ms : 0;
        int64_t most = p->backoff_ms;

        for (uint32_t i = 0; i < b->retries && most > 0 && most < p->backoff_max_ms; i++)
                most *= 2;
        most = most > asked ? most : asked;
        assert_true(pause >= (asked < p->backoff_max_ms ? asked : p->backoff_max_ms));
        assert_true(pause <= (most < p->backoff_max_ms ? most : p->backoff_max_ms));
}

static bool worth_another_try(const struct job_ending *e)
{
        bool may_pass =
                e->run->may_pass || (e->run->outcome == RUN_STOPPED && e->run->connection_status >= 2);

        if (e->advice.wish == RETRY_NO)
                return false;
        return (e->advice.wish == RETRY_ASKED && e->run->outcome == RUN_FAILED) ||
               (e->policy.any_failure && may_pass);
}

/* What the walk thinks is to follow, without the bound of runs. */
static enum job_state foreseen(const struct walker *one, const struct job_ending *e, const struct before *b)
{
        int64_t on_crash = one->job->options.on_crash;

        if (e->run->outcome == RUN_SUCCEEDED)
                return JOB_SUCCEEDED;
        if (b->cancel_asked)
                return JOB_CANCELLED;
        if (e->run->outcome == RUN_PUT_BACK && on_crash == JOB_CRASH_HOLD)
                return e->run->untouched ? JOB_READY : JOB_HELD;
        if (e->run->outcome == RUN_PUT_BACK)
                return on_crash == JOB_CRASH_END ? JOB_DEAD : JOB_READY;
        if (e->run->outcome == RUN_CRASHED) {
                if (on_crash == JOB_CRASH_HOLD)
                        return JOB_HELD;
                return on_crash == JOB_CRASH_END || b->crashes + 1 == JOB_CRASHES_MAX ? JOB_DEAD : JOB_READY;
        }
        if (!worth_another_try(e) || e->policy.max == 0)
                return JOB_FAILED;
        return b->retries < e->policy.max ? JOB_SCHEDULED : JOB_DEAD;
}

static void check_reason(struct walk *w, const struct walker *one, const struct job_ending *e)
{
        const struct job *job = one->job;
        const char *reason = job->run.reason;
        bool cut_short = e->run->outcome == RUN_CRASHED || e->run->outcome == RUN_PUT_BACK;

        if (job->state != JOB_DEAD || (cut_short && job->options.on_crash == JOB_CRASH_END)) {
                assert_string_equal(reason, e->run->reason);
                return;
        }
        assert_non_null(strstr(reason, "not run again"));
        if (strstr(reason, "retry ")) {
                assert_int_equal(job->retries, one->policy.max);
                w->used_up[0]++;
        } else if (strstr(reason, "crash ")) {
                assert_int_equal(job->crashes, JOB_CRASHES_MAX);
                w->used_up[1]++;
        } else {
                assert_non_null(strstr(reason, "run 1000 of at most 1000"));
                assert_int_equal(job->run.number, JOB_RUNS_MAX);
                w->used_up[2]++;
        }
}

static void end_one(struct walk *w, struct walker *one, struct job_run *run)
{
        static const int64_t after[] = { 0, 5, 1000, 90000, INT64_C(10000000) };
        struct job_ending e = { .run = run, .policy = one->policy, .random = roll32(w) };
        struct before b = look(one->job);
        enum job_state next;

        run->untouched = run->outcome == RUN_PUT_BACK && roll(w, 2);
        e.advice.wish = (enum retry_wish)roll(w, 3);
        e.advice.has_after = roll(w, 2);
        e.advice.after_ms = roll_of(w, after, COUNT(after));
        next = foreseen(one, &e, &b);
        if (b.run == JOB_RUNS_MAX && !job_state_is_final(next))
                next = JOB_DEAD;
        job_run_ended(one->job, &e, w->now_ms);
        assert_int_equal(one->job->state, next);
        one->events++;
        one->crashes += run->outcome == RUN_CRASHED;
        one->retries += next == JOB_SCHEDULED;
        one->reruns += run->outcome == RUN_CRASHED && (next == JOB_READY || next == JOB_HELD);
        one->put_backs += run->outcome == RUN_PUT_BACK && (next == JOB_READY || next == JOB_HELD);
        if (next == JOB_SCHEDULED)
                check_pause(one, &e, &b, w->now_ms);
        else
                assert_int_equal(one->job->run_at_ms, b.run_at_ms);
        check_reason(w, one, &e);
        check(w, one, &b);
}

static void end_anyhow(struct walk *w, struct walker *one)
{
        static const char *const reasons[] = { "", "why", "killed by signal 11" };
        struct job_run run = ended(RUN_PUT_BACK, reasons[roll(w, 3)]);

        if (roll(w, 100) >= one->put_back)
                run.outcome = (enum run_outcome)(1 + roll(w, RUN_OUTCOMES - 1));
        run.connection_status = (int)roll(w, 4);
        run.may_pass = roll(w, 2);
        run.number = roll(w, 2) ? 77 : 0;
        end_one(w, one, &run);
}

/* ---- coming and going ---- */

/* A new job in the place of one. */
static void be_born(struct walk *w, struct walker *one, struct job *job)
{
        static const int64_t backoff[] = { 0, 1, 1000, 10000, INT64_C(31536000000) };
        static const int64_t cap[] = { 0, 1, 60000, 3600000, INT64_C(31536000000) };
        static const uint32_t max[] = { 0, 1, 2, 3, 5, JOB_RETRIES_MAX };
        static const unsigned put_back[] = { 0, 0, 0, 50, 100 };

        *one = (struct walker){ .job = job };
        one->policy = (struct retry_policy){ .max = max[roll(w, COUNT(max))],
                                             .any_failure = roll(w, 2),
                                             .backoff_ms = roll_of(w, backoff, COUNT(backoff)),
                                             .backoff_max_ms = roll_of(w, cap, COUNT(cap)) };
        one->put_back = put_back[roll(w, COUNT(put_back))];
        if (roll(w, 2000) == 0)
                one->put_back = LONG_LIVED;
        job_id_make(&job->id, ++w->next_id, (const unsigned char *)"0123456789abc");
        w->count[JOB_DRAFT]++;
}

static struct job *draft(struct walk *w)
{
        static const char *const targets[] = { "/a.php", "exec:a", "http://h/" };
        struct job *job = job_new();

        target_of(job, targets[roll(w, 3)]);
        job->options.on_crash = (int64_t)roll(w, 4) - 1;
        for (int i = 0; i < JOB_THENS; i++)
                if (roll(w, 2))
                        job->options.then[i] = mem_dup("/then");
        return job;
}

static void done_again(struct walk *w, struct walker *one)
{
        struct job *again = job_again(one->job);

        assert_int_equal(again->state, JOB_DRAFT);
        assert_string_equal(again->links.retry_of, one->job->id.text);
        assert_string_equal(again->request.target, one->job->request.target);
        assert_int_equal(again->run.number + again->retries + again->crashes, 0);
        assert_int_equal(again->finished_ms + again->run_at_ms, 0);
        assert_false(again->cancel_asked);
        assert_int_not_equal(again->options.on_crash, JOB_CRASH_END);
        for (int i = 0; i < JOB_THENS; i++)
                assert_int_equal(again->options.then[i] == NULL, one->job->options.then[i] == NULL);
        w->count[one->job->state]--;
        job_free(one->job);
        be_born(w, one, again);
        w->again++;
}

static void go(struct walk *w, struct walker *one)
{
        assert_int_equal(one->told, 1);
        if (roll(w, 3) == 0) {
                done_again(w, one);
                return;
        }
        w->count[one->job->state]--;
        job_free(one->job);
        be_born(w, one, draft(w));
}

/* ---- the events ---- */

static void accept_one(struct walk *w, struct walker *one)
{
        static const int64_t delay[] = { 1, 1000, 86400000 };
        struct before b = look(one->job);
        bool later = roll(w, 4) == 0, now = !later && roll(w, 2);

        one->job->run_at_ms = later ? w->now_ms + roll_of(w, delay, COUNT(delay)) : (int64_t)roll(w, 2);
        job_accept(one->job, now, w->now_ms);
        assert_int_equal(one->job->state, later ? JOB_SCHEDULED : now ? JOB_RUNNING : JOB_READY);
        assert_true(later ? one->job->run_at_ms > w->now_ms : one->job->run_at_ms == w->now_ms);
        one->runs += now;
        one->events++;
        check(w, one, &b);
}

static void cancel_one(struct walk *w, struct walker *one)
{
        struct before b = look(one->job);
        int wanted = job_state_is_final(b.state) ? JOB_ALREADY_FINAL
                     : b.state == JOB_RUNNING    ? JOB_CANCEL_ASKED
                                                 : 0;

        assert_int_equal(job_cancel(one->job, w->now_ms), wanted);
        assert_int_equal(one->job->state, wanted == 0 ? JOB_CANCELLED : b.state);
        assert_int_equal(one->job->cancel_asked, b.cancel_asked || wanted == JOB_CANCEL_ASKED);
        check(w, one, &b);
}

static void retry_one(struct walk *w, struct walker *one)
{
        struct before b = look(one->job);
        int r = job_retry(one->job, w->now_ms);

        if (b.state == JOB_HELD)
                one->crashes = 0;
        if (b.state == JOB_HELD || b.state == JOB_SCHEDULED) {
                assert_int_equal(r, 0);
                assert_int_equal(one->job->state, JOB_READY);
                assert_int_equal(one->job->run_at_ms, w->now_ms);
        } else {
                assert_int_equal(r, job_state_is_final(b.state) ? JOB_ALREADY_FINAL : JOB_UNDER_WAY);
                assert_int_equal(one->job->state, b.state);
        }
        check(w, one, &b);
}

/* What the server does next with this job; nothing when it waits for its time or for a person. */
static void server_acts(struct walk *w, struct walker *one)
{
        struct before b = look(one->job);

        switch (b.state) {
        case JOB_DRAFT:
                accept_one(w, one);
                return;
        case JOB_SCHEDULED:
                if (one->job->run_at_ms > w->now_ms)
                        return;
                job_due(one->job, w->now_ms);
                assert_int_equal(one->job->state, JOB_READY);
                break;
        case JOB_READY:
                job_start(one->job, w->now_ms);
                assert_int_equal(one->job->run.started_ms, w->now_ms);
                one->runs++;
                break;
        case JOB_RUNNING:
                end_anyhow(w, one);
                return;
        default:
                return;
        }
        one->events++;
        check(w, one, &b);
}

/* All that run are cut short; what the store then reads is what it had. */
static void server_dies(struct walk *w)
{
        w->deaths++;
        for (int i = 0; i < POPULATION; i++) {
                struct job_run run = ended(RUN_CRASHED, "the server died");

                if (w->walkers[i].job->state == JOB_RUNNING)
                        end_one(w, &w->walkers[i], &run);
        }
}

static void time_goes_by(struct walk *w)
{
        static const int64_t steps[] = { 0, 0, 0, 1, 1, 2, 100, 5000, 100000 };

        w->now_ms += roll_of(w, steps, COUNT(steps));
        if (roll(w, 500) == 0)
                w->now_ms += INT64_C(2) * 31536000000; /* whatever waits is due */
}

/* How many steps it was. */
static unsigned step(struct walk *w)
{
        unsigned count = 1;
        struct walker *one = &w->walkers[roll(w, POPULATION)];
        unsigned what = roll(w, 200);

        time_goes_by(w);
        if (roll(w, 5000) == 0)
                server_dies(w);
        else if (what < 2 && one->job->state != JOB_DRAFT)
                cancel_one(w, one);
        else if (what < 8 && one->job->state != JOB_DRAFT)
                retry_one(w, one);
        else if (job_state_is_final(one->job->state) && what < 100)
                go(w, one);
        else
                server_acts(w, one);
        if (one->put_back == LONG_LIVED)
                for (; count < STRIDE; count++)
                        server_acts(w, one);
        return count;
}

static void audit(const struct walk *w)
{
        unsigned count[JOB_STATES] = { 0 }, all = 0;

        for (int i = 0; i < POPULATION; i++)
                count[w->walkers[i].job->state]++;
        for (int i = 0; i < JOB_STATES; i++) {
                assert_int_equal(count[i], w->count[i]);
                all += count[i];
        }
        assert_int_equal(all, POPULATION);
}

/* ---- the walks ---- */

static unsigned long from_environment(const char *name, unsigned long otherwise)
{
        const char *text = getenv(name);

        return text && *text ? strtoul(text, NULL, 10) : otherwise;
}

static int set_up(void **state)
{
        struct walk *w = mem_alloc(sizeof(*w));
        unsigned long seed = from_environment("SENDOFF_WALK_SEED", (unsigned long)time(NULL));

        print_message("# SENDOFF_WALK_SEED=%lu\n", seed);
        w->dice = seed * 2654435761U + 1;
        w->now_ms = 1;
        for (int i = 0; i < 20; i++)
                roll32(w);
        for (int i = 0; i < POPULATION; i++)
                be_born(w, &w->walkers[i], draft(w));
        *state = w;
        return 0;
}

static int tear_down(void **state)
{
        struct walk *w = *state;

        for (int i = 0; i < POPULATION; i++)
                job_free(w->walkers[i].job);
        free(w);
        return 0;
}

static void millions_of_random_steps_keep_every_promise(void **state)
{
        unsigned long steps = from_environment("SENDOFF_WALK_STEPS", STEPS), done = 0, strides = 0;
        struct walk *w = *state;

        while (done < steps) {
                done += step(w);
                if (++strides % AUDIT == 0)
                        audit(w);
        }
        audit(w);
        if (steps < STEPS)
                return;
        for (int from = 0; from < JOB_STATES; from++)
                for (int to = 0; to < JOB_STATES; to++)
                        if (job_state_may((enum job_state)from, (enum job_state)to) &&
                            w->taken[from][to] < 10)
                                fail_msg("from %s to %s went %lu", job_state_name((enum job_state)from),
                                         job_state_name((enum job_state)to), w->taken[from][to]);
        assert_true(w->again > 100 && w->deaths > 100);
        for (int i = 0; i < 3; i++)
                if (w->used_up[i] < 10)
                        fail_msg("budget %d was used up %lu times", i, w->used_up[i]);
}

/* Left alone by people and by time, every job comes to its end, or waits for a person. */
static void nothing_goes_on_for_ever(void **state)
{
        struct walk *w = *state;

        for (int i = 0; i < 20000; i++) {
                struct walker *one = &w->walkers[roll(w, POPULATION)];

                while (!job_state_is_final(one->job->state) && one->job->state != JOB_HELD) {
                        unsigned events = one->events;

                        server_acts(w, one);
                        if (one->events == events) {
                                assert_int_equal(one->job->state, JOB_SCHEDULED);
                                w->now_ms = one->job->run_at_ms;
                        }
                }
                if (one->job->state == JOB_HELD)
                        cancel_one(w, one);
                go(w, one);
        }
        audit(w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(millions_of_random_steps_keep_every_promise, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(nothing_goes_on_for_ever, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
