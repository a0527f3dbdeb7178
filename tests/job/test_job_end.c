/* The pure core: every row of what the end of a run decides, and the budgets. */
#include "base/mem.h"
#include "rig.h"

#include <stdio.h>
#include <string.h>

/* ---- the end of a run ---- */

#define ABORTED   CONNECTION_ABORTED
#define TIMED_OUT CONNECTION_TIMED_OUT

/* One row of the decision: how it ended, what was asked, and what becomes of the job. */
struct decision {
        enum run_outcome outcome;
        int bits; /* CONNECTION_* */
        bool may_pass;
        enum retry_wish wish;
        bool any_failure;
        uint32_t retries, max; /* used, and allowed */
        enum job_state next;
        const char *budget; /* that the reason names; NULL: the reason is the run's own */
};

static const struct decision decisions[] = {
        /* succeeded, whatever else was said */
        { RUN_SUCCEEDED, 0, false, RETRY_UNSAID, true, 0, 3, JOB_SUCCEEDED, NULL },
        { RUN_SUCCEEDED, TIMED_OUT, true, RETRY_ASKED, true, 0, 3, JOB_SUCCEEDED, NULL },
        /* its own answer, and not worth another try */
        { RUN_FAILED, 0, false, RETRY_UNSAID, false, 0, 3, JOB_FAILED, NULL },
        { RUN_FAILED, 0, false, RETRY_UNSAID, true, 0, 3, JOB_FAILED, NULL },
        { RUN_FAILED, 0, true, RETRY_UNSAID, false, 0, 3, JOB_FAILED, NULL },
        { RUN_FAILED, 0, true, RETRY_NO, true, 0, 3, JOB_FAILED, NULL },
        { RUN_FAILED, 0, false, RETRY_UNSAID, true, 3, 3, JOB_FAILED, NULL },
        { RUN_FAILED, 0, true, RETRY_NO, true, 3, 3, JOB_FAILED, NULL },
        { RUN_FAILED, TIMED_OUT, false, RETRY_UNSAID, true, 0, 3, JOB_FAILED,
          NULL }, /* it answered in time */
        /* worth another try */
        { RUN_FAILED, 0, true, RETRY_UNSAID, true, 0, 3, JOB_SCHEDULED, NULL },
        { RUN_FAILED, 0, true, RETRY_ASKED, false, 0, 3, JOB_SCHEDULED, NULL },
        { RUN_FAILED, 0, false, RETRY_ASKED, false, 0, 3, JOB_SCHEDULED, NULL },
        { RUN_FAILED, 0, false, RETRY_ASKED, false, 2, 3, JOB_SCHEDULED, NULL },
        { RUN_FAILED, 0, false, RETRY_ASKED, false, 0, 1, JOB_SCHEDULED, NULL },
        { RUN_FAILED, 0, true, RETRY_UNSAID, true, 899, 900, JOB_SCHEDULED, NULL },
        /* …but retries are used up, or there were none */
        { RUN_FAILED, 0, true, RETRY_UNSAID, true, 3, 3, JOB_DEAD, "retry 3 of at most 3, not run again" },
        { RUN_FAILED, 0, false, RETRY_ASKED, false, 1, 1, JOB_DEAD, "retry 1 of at most 1, not run again" },
        { RUN_FAILED, 0, false, RETRY_ASKED, false, 5, 3, JOB_DEAD, "retry 5 of at most 3, not run again" },
        { RUN_FAILED, 0, false, RETRY_ASKED, true, 0, 0, JOB_FAILED, NULL },
        { RUN_STOPPED, TIMED_OUT, false, RETRY_UNSAID, true, 0, 0, JOB_FAILED, NULL },
        /* its time was up */
        { RUN_STOPPED, TIMED_OUT, false, RETRY_UNSAID, true, 0, 3, JOB_SCHEDULED, NULL },
        { RUN_STOPPED, TIMED_OUT | ABORTED, false, RETRY_UNSAID, true, 0, 3, JOB_SCHEDULED, NULL },
        { RUN_STOPPED, TIMED_OUT, false, RETRY_UNSAID, true, 3, 3, JOB_DEAD,
          "retry 3 of at most 3, not run again" },
        { RUN_STOPPED, TIMED_OUT, false, RETRY_UNSAID, false, 0, 3, JOB_FAILED, NULL },
        { RUN_STOPPED, TIMED_OUT, false, RETRY_NO, true, 0, 3, JOB_FAILED, NULL },
        /* stopped for another reason */
        { RUN_STOPPED, ABORTED, false, RETRY_UNSAID, true, 0, 3, JOB_FAILED, NULL },
        { RUN_STOPPED, ABORTED, false, RETRY_ASKED, false, 0, 3, JOB_FAILED, NULL },
        /* cut short: no retry is used, whatever the policy */
        { RUN_CRASHED, 0, false, RETRY_UNSAID, true, 0, 3, JOB_READY, NULL },
        { RUN_CRASHED, 0, true, RETRY_NO, false, 3, 3, JOB_READY, NULL },
        { RUN_PUT_BACK, 0, false, RETRY_UNSAID, true, 0, 3, JOB_READY, NULL },
        { RUN_PUT_BACK, ABORTED, true, RETRY_NO, false, 3, 3, JOB_READY, NULL },
};

static void check_decision(const struct decision *row, bool cancel)
{
        enum job_state next = cancel && row->outcome != RUN_SUCCEEDED ? JOB_CANCELLED : row->next;
        bool named = next == JOB_DEAD && row->budget, retried = next == JOB_SCHEDULED;
        struct job_run how = ended(row->outcome, "why");
        struct job_ending ending = { .run = &how,
                                     .advice = { .wish = row->wish },
                                     .policy = { .max = row->max,
                                                 .any_failure = row->any_failure,
                                                 .backoff_ms = 1000,
                                                 .backoff_max_ms = 60000 },
                                     .random = UINT32_MAX };
        struct job *job = running_job();

        how.number = 99;
        how.started_ms = 1;
        how.ended_ms = 1;
        how.connection_status = row->bits;
        how.may_pass = row->may_pass;
        how.exit_code = 4;
        how.signal = 5;
        how.status = 503;
        job->retries = row->retries;
        if (cancel)
                assert_int_equal(job_cancel(job, 1500), JOB_CANCEL_ASKED);
        job_run_ended(job, &ending, 2000);
        assert_int_equal(job->state, next);
        assert_int_equal(job->finished_ms, job_state_is_final(next) ? 2000 : 0);
        assert_int_equal(job->retries, row->retries + retried);
        assert_int_equal(job->crashes, row->outcome == RUN_CRASHED);
        assert_in_range(job->run_at_ms, retried ? 3000 : 1000, retried ? 62000 : 1000);
        assert_int_equal(job->run.number, 1); /* the job's own, whatever the runner said */
        assert_int_equal(job->run.started_ms, 1000);
        assert_int_equal(job->run.ended_ms, 2000);
        assert_int_equal(job->run.outcome, row->outcome);
        assert_int_equal(job->run.connection_status, row->bits);
        assert_int_equal(job->run.status, 503);
        assert_int_equal(job->run.exit_code, 4);
        assert_int_equal(job->run.signal, 5);
        assert_int_equal(job->run.cpu_ms, 7);
        assert_int_equal(job->run.peak_rss_kb, 8);
        assert_int_equal(strncmp(job->run.reason, "why", 3), 0);
        assert_string_equal(job->run.reason + 3 + (named ? 2 : 0), named ? row->budget : "");
        job_free(job);
}

static void the_end_of_a_run_decides_the_state(void **state)
{
        for (size_t i = 0; i < COUNT(decisions); i++) {
                print_message("# decision %zu\n", i);
                check_decision(&decisions[i], false);
                check_decision(&decisions[i], true);
        }
}

#undef ABORTED
#undef TIMED_OUT

static void each_retry_may_wait_twice_as_long_as_the_one_before(void **state)
{
        static const int64_t longest[] = { 1000, 2000, 4000, 5000, 5000 };
        struct job_run how = ended(RUN_FAILED, "why");
        struct job_ending ending = { .run = &how,
                                     .advice = { .wish = RETRY_ASKED },
                                     .policy = { .max = 5, .backoff_ms = 1000, .backoff_max_ms = 5000 },
                                     .random = UINT32_MAX };
        struct job *job = running_job();
        int64_t now_ms = 2000;

        for (uint32_t i = 0; i < 5; i++) {
                job_run_ended(job, &ending, now_ms);
                assert_int_equal(job->state, JOB_SCHEDULED);
                assert_int_equal(job->retries, i + 1);
                assert_int_equal(job->run_at_ms, now_ms + longest[i]);
                assert_string_equal(job->run.reason, "why");
                now_ms = job->run_at_ms;
                job_due(job, now_ms);
                job_start(job, now_ms);
        }
        job_run_ended(job, &ending, now_ms);
        assert_int_equal(job->state, JOB_DEAD);
        assert_int_equal(job->run.number, 6);
        assert_string_equal(job->run.reason, "why; retry 5 of at most 5, not run again");
        job_free(job);
}

static void what_the_run_asked_for_is_waited_for(void **state)
{
        struct job_run how = ended(RUN_FAILED, "why");
        struct job_ending ending = { .run = &how,
                                     .advice = { RETRY_ASKED, true, 30000 },
                                     .policy = { .max = 5, .backoff_ms = 1000, .backoff_max_ms = 60000 } };
        struct job *job = running_job();

        job_run_ended(job, &ending, 2000);
        assert_int_equal(job->run_at_ms, 32000);
        job_due(job, 32000);
        job_start(job, 32000);
        ending.advice.after_ms = 60001;
        job_run_ended(job, &ending, 40000);
        assert_int_equal(job->run_at_ms, 100000);
        job_free(job);
}

/* ---- what a crash does ---- */

static void a_job_that_always_crashes_ends_dead_and_says_why(void **state)
{
        struct job *job = running_job();
        int runs = 1;

        while (job->state == JOB_RUNNING) {
                end_run(job, RUN_CRASHED, "killed by signal 11", 2000);
                if (job->state == JOB_READY) {
                        assert_string_equal(job->run.reason, "killed by signal 11");
                        job_start(job, 3000);
                        runs++;
                }
        }
        assert_int_equal(job->state, JOB_DEAD);
        assert_int_equal(runs, JOB_CRASHES_MAX);
        assert_int_equal(job->crashes, JOB_CRASHES_MAX);
        assert_string_equal(job->run.reason, "killed by signal 11; crash 3 of at most 3, not run again");
        job_free(job);
}

static void on_crash_says_who_decides(void **state)
{
        static const struct {
                int64_t on_crash;
                enum job_state crashed, put_back, untouched;
        } rows[] = {
                { -1, JOB_READY, JOB_READY, JOB_READY },
                { JOB_CRASH_RERUN, JOB_READY, JOB_READY, JOB_READY },
                { JOB_CRASH_HOLD, JOB_HELD, JOB_HELD, JOB_READY },
                { JOB_CRASH_END, JOB_DEAD, JOB_DEAD, JOB_DEAD },
        };

        for (size_t i = 0; i < COUNT(rows); i++) {
                const struct job_run untouched = { .outcome = RUN_PUT_BACK,
                                                   .exit_code = -1,
                                                   .untouched = true };
                struct job *job = running_job();

                job->options.on_crash = rows[i].on_crash;
                end_run(job, RUN_PUT_BACK, "", 2000);
                assert_int_equal(job->state, rows[i].put_back);
                assert_int_equal(job->crashes, 0);
                assert_int_equal(job->finished_ms, rows[i].put_back == JOB_DEAD ? 2000 : 0);
                job_free(job);
                job = running_job();
                job->options.on_crash = rows[i].on_crash;
                job_run_ended(job, &(struct job_ending){ .run = &untouched }, 2000);
                assert_int_equal(job->state, rows[i].untouched);
                job_free(job);
                job = running_job();
                job->options.on_crash = rows[i].on_crash;
                end_run(job, RUN_CRASHED, "killed by signal 11", 4000);
                assert_int_equal(job->state, rows[i].crashed);
                assert_int_equal(job->crashes, 1);
                assert_int_equal(job->finished_ms, rows[i].crashed == JOB_DEAD ? 4000 : 0);
                assert_string_equal(job->run.reason, "killed by signal 11");
                job_free(job);
        }
}

static void a_held_job_may_crash_again_after_a_person_let_it_run(void **state)
{
        struct job *job = job_in(JOB_HELD);

        for (int i = 0; i < 2 * JOB_CRASHES_MAX; i++) {
                assert_int_equal(job->crashes, 1);
                assert_int_equal(job_retry(job, 3000), 0);
                assert_int_equal(job->crashes, 0);
                job_start(job, 3000);
                end_run(job, RUN_CRASHED, "why", 4000);
                assert_int_equal(job->state, JOB_HELD);
                assert_string_equal(job->run.reason, "why");
        }
        job_free(job);
}

static void the_same_target_is_told_once(void **state)
{
        struct job *job = running_job();
        const char *targets[2];

        job->options.then[JOB_THEN_SUCCESS] = mem_dup("/told.php");
        job->options.then[JOB_THEN_ALWAYS] = mem_dup("/told.php");
        end_run(job, RUN_SUCCEEDED, "", 2000);
        assert_int_equal(job_then_targets(job, targets), 1);
        assert_string_equal(targets[0], "/told.php");
        job_free(job);
}

static void put_backs_use_no_budget_but_runs_are_bounded(void **state)
{
        struct job *job = running_job();

        while (job->state == JOB_RUNNING) {
                end_run(job, RUN_PUT_BACK, "", 2000);
                if (job->state == JOB_READY)
                        job_start(job, 3000);
        }
        assert_int_equal(job->state, JOB_DEAD);
        assert_int_equal(job->run.number, JOB_RUNS_MAX);
        assert_int_equal(job->crashes, 0);
        assert_int_equal(job->retries, 0);
        assert_string_equal(job->run.reason, "run 1000 of at most 1000, not run again");
        job_free(job);
}

/* The last run that may be, ended in every way that would ask for one more. */
static void the_last_run_is_the_last_however_it_ends(void **state)
{
        static const struct {
                enum run_outcome outcome;
                int64_t on_crash;
                enum job_state next_before; /* of the run before the last */
        } rows[] = {
                { RUN_PUT_BACK, -1, JOB_READY },
                { RUN_CRASHED, JOB_CRASH_RERUN, JOB_READY },
                { RUN_CRASHED, JOB_CRASH_HOLD, JOB_HELD },
                { RUN_FAILED, -1, JOB_SCHEDULED },
        };

        for (size_t i = 0; i < COUNT(rows); i++)
                for (uint32_t before = 0; before < 2; before++) {
                        struct job_run how = ended(rows[i].outcome, "why");
                        struct job_ending ending = { .run = &how,
                                                     .advice = { RETRY_ASKED, true, 1000 },
                                                     .policy = { .max = 3, .backoff_max_ms = 60000 } };
                        struct job *job = running_job();

                        job->run.number = JOB_RUNS_MAX - before;
                        job->options.on_crash = rows[i].on_crash;
                        job_run_ended(job, &ending, 2000);
                        assert_int_equal(job->state, before ? rows[i].next_before : JOB_DEAD);
                        assert_string_equal(job->run.reason,
                                            before ? "why" : "why; run 1000 of at most 1000, not run again");
                        if (!before) { /* what did not come about is not counted either */
                                assert_int_equal(job->retries, 0);
                                assert_int_equal(job->run_at_ms, 1000);
                        }
                        job_free(job);
                }
}

static void the_longest_reason_still_leaves_room_for_the_budget(void **state)
{
        static const char e_acute[] = "\xc3\xa9", smile[] = "\xf0\x9f\x98\x80";

        for (size_t shift = 0; shift < 4; shift++)
                for (int wide = 0; wide < 2; wide++) {
                        const char *one = wide ? smile : e_acute;
                        char reason[JOB_REASON_MAX];
                        struct job *job = running_job();
                        size_t kept;

                        memset(reason, 'x', sizeof(reason));
                        reason[shift] = '\0';
                        while (strlen(reason) + strlen(one) < sizeof(reason))
                                strcat(reason, one);
                        job->crashes = JOB_CRASHES_MAX - 1;
                        end_run(job, RUN_CRASHED, reason, 2000);
                        assert_int_equal(job->state, JOB_DEAD);
                        assert_non_null(strstr(job->run.reason, "; crash 3 of at most 3, not run again"));
                        kept = (size_t)(strstr(job->run.reason, "; crash") - job->run.reason);
                        assert_true(kept > JOB_REASON_MAX - 130);
                        assert_int_equal(strncmp(job->run.reason, reason, kept), 0);
                        assert_int_equal((kept - shift) % strlen(one), 0); /* cut between characters */
                        job_free(job);
                }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_end_of_a_run_decides_the_state),
                cmocka_unit_test(each_retry_may_wait_twice_as_long_as_the_one_before),
                cmocka_unit_test(what_the_run_asked_for_is_waited_for),
                cmocka_unit_test(a_job_that_always_crashes_ends_dead_and_says_why),
                cmocka_unit_test(on_crash_says_who_decides),
                cmocka_unit_test(a_held_job_may_crash_again_after_a_person_let_it_run),
                cmocka_unit_test(the_same_target_is_told_once),
                cmocka_unit_test(put_backs_use_no_budget_but_runs_are_bounded),
                cmocka_unit_test(the_last_run_is_the_last_however_it_ends),
                cmocka_unit_test(the_longest_reason_still_leaves_room_for_the_budget),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
