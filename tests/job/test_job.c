/* The pure core: each event by itself, and a walk of a million random steps that checks after each what must
 * always hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "job/job.h"

static struct job_run ended(enum run_outcome outcome, const char *reason)
{
        struct job_run run = { .outcome = outcome, .exit_code = -1, .cpu_ms = 7, .peak_rss_kb = 8 };

        snprintf(run.reason, sizeof(run.reason), "%s", reason);
        return run;
}

static struct job *running_job(void)
{
        struct job *job = job_new();

        job_accept(job, true, 1000);
        return job;
}

static void a_new_job_is_a_draft_with_nothing_missing(void **state)
{
        struct job *job = job_new();

        assert_int_equal(job->state, JOB_DRAFT);
        assert_string_equal(job->queue, "default");
        assert_string_equal(job->request.method, "");
        assert_string_equal(job->request.target, "");
        assert_string_equal(job->request.headers, "");
        assert_string_equal(job->request.host, "");
        assert_string_equal(job->request.remote, "");
        assert_string_equal(job->request.local, "");
        assert_int_equal(job->run.number, 0);
        assert_int_equal(job->run.exit_code, -1);
        assert_int_equal(job->request.body.len, 0);
        job_free(job);
        job_free(NULL);
}

static void an_accepted_job_waits_or_runs_at_once(void **state)
{
        struct job *job = job_new();

        job_accept(job, false, 1234);
        assert_int_equal(job->state, JOB_READY);
        assert_int_equal(job->created_ms, 1234);
        assert_int_equal(job->run_at_ms, 1234);
        assert_int_equal(job->run.number, 0);
        job_free(job);
        job = job_new();
        job_accept(job, true, 1234);
        assert_int_equal(job->state, JOB_RUNNING);
        assert_int_equal(job->run.number, 1);
        assert_int_equal(job->run.started_ms, 1234);
        assert_int_equal(job->run.ended_ms, 0);
        assert_int_equal(job->finished_ms, 0);
        job_free(job);
}

static void the_end_of_a_run_decides_the_state(void **state)
{
        static const struct {
                enum run_outcome outcome;
                bool cancel_asked;
                enum job_state next;
        } rows[] = {
                { RUN_SUCCEEDED, false, JOB_SUCCEEDED }, { RUN_SUCCEEDED, true, JOB_SUCCEEDED },
                { RUN_FAILED, false, JOB_FAILED },       { RUN_FAILED, true, JOB_FAILED },
                { RUN_CRASHED, false, JOB_READY },       { RUN_CRASHED, true, JOB_CANCELLED },
                { RUN_STOPPED, false, JOB_FAILED },      { RUN_STOPPED, true, JOB_CANCELLED },
                { RUN_PUT_BACK, false, JOB_READY },      { RUN_PUT_BACK, true, JOB_CANCELLED },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct job *job = running_job();
                struct job_run how = ended(rows[i].outcome, "why");

                if (rows[i].cancel_asked)
                        assert_int_equal(job_cancel(job, 1500), JOB_CANCEL_ASKED);
                how.number = 99;
                how.started_ms = 1;
                job_run_ended(job, &how, 2000);
                assert_int_equal(job->state, rows[i].next);
                assert_int_equal(job->run.number, 1); /* the job's own, whatever the runner said */
                assert_int_equal(job->run.started_ms, 1000);
                assert_int_equal(job->run.ended_ms, 2000);
                assert_int_equal(job->run.outcome, rows[i].outcome);
                assert_string_equal(job->run.reason, "why");
                assert_int_equal(job->run.cpu_ms, 7);
                assert_int_equal(job->finished_ms, rows[i].next == JOB_READY ? 0 : 2000);
                assert_int_equal(job->crashes, rows[i].outcome == RUN_CRASHED);
                job_free(job);
        }
}

static void a_job_that_always_crashes_ends_dead_and_says_why(void **state)
{
        struct job_run how = ended(RUN_CRASHED, "killed by signal 11");
        struct job *job = running_job();
        int runs = 1;

        while (job->state == JOB_RUNNING) {
                job_run_ended(job, &how, 2000);
                if (job->state == JOB_READY) {
                        assert_string_equal(job->run.reason, "killed by signal 11");
                        job_start(job, 3000);
                        assert_string_equal(job->run.reason, "");
                        runs++;
                }
        }
        assert_int_equal(job->state, JOB_DEAD);
        assert_int_equal(runs, JOB_CRASHES_MAX);
        assert_int_equal(job->crashes, JOB_CRASHES_MAX);
        assert_non_null(strstr(job->run.reason, "killed by signal 11"));
        assert_non_null(strstr(job->run.reason, "at most 3"));
        job_free(job);
}

static void the_longest_reason_still_leaves_room_for_the_budget(void **state)
{
        struct job_run how = ended(RUN_CRASHED, "");
        struct job *job = running_job();

        memset(how.reason, 'x', sizeof(how.reason) - 1);
        how.reason[sizeof(how.reason) - 1] = '\0';
        job->crashes = JOB_CRASHES_MAX - 1;
        job_run_ended(job, &how, 2000);
        assert_int_equal(job->state, JOB_DEAD);
        assert_true(strlen(job->run.reason) < JOB_REASON_MAX);
        assert_non_null(strstr(job->run.reason, "not run again"));
        job_free(job);
}

static void put_backs_use_no_crash_budget_but_runs_are_bounded(void **state)
{
        struct job_run how = ended(RUN_PUT_BACK, "");
        struct job *job = running_job();

        while (job->state == JOB_RUNNING) {
                job_run_ended(job, &how, 2000);
                if (job->state == JOB_READY)
                        job_start(job, 3000);
        }
        assert_int_equal(job->state, JOB_DEAD);
        assert_int_equal(job->run.number, JOB_RUNS_MAX);
        assert_int_equal(job->crashes, 0);
        assert_non_null(strstr(job->run.reason, "1000"));
        job_free(job);
}

static void a_cancel_ends_what_waits_asks_what_runs_and_leaves_what_ended(void **state)
{
        struct job *job = job_new();
        struct job_run how = ended(RUN_SUCCEEDED, "");

        job_accept(job, false, 1000);
        assert_int_equal(job_cancel(job, 2000), 0);
        assert_int_equal(job->state, JOB_CANCELLED);
        assert_int_equal(job->finished_ms, 2000);
        assert_int_equal(job_cancel(job, 3000), JOB_ALREADY_FINAL);
        assert_int_equal(job->finished_ms, 2000);
        job_free(job);
        job = running_job();
        assert_int_equal(job_cancel(job, 2000), JOB_CANCEL_ASKED);
        assert_int_equal(job->state, JOB_RUNNING);
        assert_true(job->cancel_asked);
        job_run_ended(job, &how, 3000);
        assert_int_equal(job_cancel(job, 4000), JOB_ALREADY_FINAL);
        assert_int_equal(job->state, JOB_SUCCEEDED);
        job_free(job);
}

static void nothing_leads_out_of_a_final_state_or_back_into_a_draft(void **state)
{
        static const enum job_state finals[] = { JOB_SUCCEEDED, JOB_FAILED, JOB_DEAD, JOB_CANCELLED };
        int count = 0;

        for (int from = 0; from < JOB_STATES; from++) {
                bool final = false;

                for (size_t i = 0; i < 4; i++)
                        final = final || finals[i] == (enum job_state)from;
                assert_int_equal(job_state_is_final((enum job_state)from), final);
                for (int to = -1; to <= JOB_STATES; to++)
                        if (job_state_may((enum job_state)from, (enum job_state)to)) {
                                assert_false(final);
                                assert_int_not_equal(to, JOB_DRAFT);
                                assert_int_not_equal(to, from);
                                count++;
                        }
        }
        assert_int_equal(count, 16);
        assert_false(job_state_may(JOB_STATES, JOB_READY));
        assert_false(job_state_is_final(JOB_STATES));
}

static void states_have_names_that_are_read_back(void **state)
{
        enum job_state got;

        for (int i = JOB_SCHEDULED; i < JOB_STATES; i++) {
                assert_true(job_state_parse(slice_of(job_state_name((enum job_state)i)), &got));
                assert_int_equal(got, i);
        }
        assert_false(job_state_parse(SLICE("draft"), &got));
        assert_false(job_state_parse(SLICE("Ready"), &got));
        assert_false(job_state_parse(SLICE("read"), &got));
        assert_false(job_state_parse(SLICE(""), &got));
        assert_string_equal(job_state_name(JOB_READY), "ready");
        assert_string_equal(job_state_name((enum job_state)77), "unknown");
        assert_string_equal(run_outcome_name(RUN_CRASHED), "crashed");
        assert_string_equal(run_outcome_name((enum run_outcome)77), "unknown");
}

static void answers_below_400_succeed(void **state)
{
        static const int good[] = { 200, 204, 302, 399 }, bad[] = { 0, 100, 199, 400, 404, 500, 599 };

        for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
                assert_true(job_status_succeeds(good[i]));
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                assert_false(job_status_succeeds(bad[i]));
}

/* ---- the walk ---- */

struct walk {
        uint64_t dice;
        int64_t now_ms;
        unsigned reached[JOB_STATES];
};

static unsigned roll(struct walk *w, unsigned sides)
{
        w->dice ^= w->dice << 13;
        w->dice ^= w->dice >> 7;
        w->dice ^= w->dice << 17;
        return (unsigned)(w->dice >> 11) % sides;
}

struct before {
        enum job_state state;
        uint32_t run, crashes;
        int64_t finished_ms;
        bool cancel_asked;
};

static void check_what_always_holds(const struct job *job, const struct before *b, int64_t now_ms)
{
        assert_true(job->state == b->state || job_state_may(b->state, job->state));
        if (job_state_is_final(b->state)) {
                assert_int_equal(job->state, b->state);
                assert_int_equal(job->finished_ms, b->finished_ms);
        }
        assert_int_equal(job->finished_ms != 0, job_state_is_final(job->state));
        if (job_state_is_final(job->state) && !job_state_is_final(b->state))
                assert_int_equal(job->finished_ms, now_ms);
        assert_int_equal(job->run.number, b->run + (job->state == JOB_RUNNING && b->state != JOB_RUNNING));
        assert_true(job->run.number <= JOB_RUNS_MAX);
        assert_true(job->crashes == b->crashes || job->crashes == b->crashes + 1);
        assert_true(job->crashes <= JOB_CRASHES_MAX && job->crashes <= job->run.number);
        if (job->crashes == JOB_CRASHES_MAX)
                assert_true(job->state == JOB_DEAD || job->state == JOB_CANCELLED);
        if (job->state == JOB_DEAD)
                assert_true(job->crashes == JOB_CRASHES_MAX || job->run.number == JOB_RUNS_MAX);
        if (job->state == JOB_CANCELLED && b->state == JOB_RUNNING)
                assert_true(b->cancel_asked);
        if (job->state == JOB_RUNNING)
                assert_int_equal(job->run.ended_ms, 0);
        else if (job->run.number > 0)
                assert_true(job->run.ended_ms >= job->run.started_ms);
        if (job->state == JOB_DEAD && b->state == JOB_RUNNING)
                assert_true(job->run.reason[0]);
}

static void step(struct walk *w, struct job *job)
{
        struct job_run how;

        switch (job->state) {
        case JOB_DRAFT:
                job_accept(job, roll(w, 2), w->now_ms);
                break;
        case JOB_READY:
                if (roll(w, 50) == 0)
                        assert_int_equal(job_cancel(job, w->now_ms), 0);
                else
                        job_start(job, w->now_ms);
                break;
        case JOB_RUNNING:
                if (roll(w, 20) == 0) {
                        assert_int_equal(job_cancel(job, w->now_ms), JOB_CANCEL_ASKED);
                        break;
                }
                /* mostly put back, so that some reach the bound of runs */
                how = ended(roll(w, 200) ? RUN_PUT_BACK : (enum run_outcome)(1 + roll(w, 5)), "why");
                job_run_ended(job, &how, w->now_ms);
                break;
        default:
                assert_true(job_state_is_final(job->state));
                assert_int_equal(job_cancel(job, w->now_ms), JOB_ALREADY_FINAL);
        }
}

static void a_million_random_steps_keep_every_promise(void **state)
{
        struct walk w = { .dice = (uint64_t)time(NULL) * 2654435761U + 1, .now_ms = 1 };
        struct job *job = job_new();

        print_message("# the dice begin with %llu\n", (unsigned long long)w.dice);
        for (int i = 0; i < 1000000; i++) {
                struct before b = { job->state, job->run.number, job->crashes, job->finished_ms,
                                    job->cancel_asked };

                w.now_ms += roll(&w, 3);
                step(&w, job);
                check_what_always_holds(job, &b, w.now_ms);
                if (job->state != b.state)
                        w.reached[job->state]++;
                if (job_state_is_final(b.state) && roll(&w, 3) == 0) {
                        job_free(job);
                        job = job_new();
                        job->run.number = roll(&w, 4) ? 0 : JOB_RUNS_MAX - roll(&w, 20) - 1;
                        job->crashes = 0;
                }
        }
        job_free(job);
        for (int i = JOB_READY; i <= JOB_CANCELLED; i++)
                assert_true(w.reached[i] > 10);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_new_job_is_a_draft_with_nothing_missing),
                cmocka_unit_test(an_accepted_job_waits_or_runs_at_once),
                cmocka_unit_test(the_end_of_a_run_decides_the_state),
                cmocka_unit_test(a_job_that_always_crashes_ends_dead_and_says_why),
                cmocka_unit_test(the_longest_reason_still_leaves_room_for_the_budget),
                cmocka_unit_test(put_backs_use_no_crash_budget_but_runs_are_bounded),
                cmocka_unit_test(a_cancel_ends_what_waits_asks_what_runs_and_leaves_what_ended),
                cmocka_unit_test(nothing_leads_out_of_a_final_state_or_back_into_a_draft),
                cmocka_unit_test(states_have_names_that_are_read_back),
                cmocka_unit_test(answers_below_400_succeed),
                cmocka_unit_test(a_million_random_steps_keep_every_promise),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
