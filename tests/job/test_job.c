/* The pure core: each event by itself, what an answer means, what people ask, and every edge of the legal
 * table taken and every other one refused. The end of a run is test_job_end.c, the random walk over all of it
 * test_walk.c. */
#include "rig.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

/* ---- being accepted, due and started ---- */

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
        assert_string_equal(job->links.retry_of, "");
        assert_string_equal(job->links.retried_as, "");
        assert_string_equal(job->links.then_of, "");
        assert_int_equal(job->run.number, 0);
        assert_int_equal(job->run.exit_code, -1);
        assert_int_equal(job->run.cpu_ms, -1);
        assert_int_equal(job->run.peak_rss_kb, -1);
        assert_int_equal(job->request.body.len, 0);
        assert_false(job->progress.any);
        for (const struct job_option_row *row = job_option_rows; row->name; row++)
                assert_false(job_option_is_set(&job->options, row));
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

static void a_job_for_later_is_scheduled_and_one_whose_time_has_come_is_not(void **state)
{
        static const struct {
                int64_t run_at_ms;
                enum job_state next;
        } rows[] = {
                { 0, JOB_READY },    { 1, JOB_READY },        { 999, JOB_READY },
                { 1000, JOB_READY }, { 1001, JOB_SCHEDULED },
        };

        for (size_t i = 0; i < COUNT(rows); i++) {
                struct job *job = job_new();

                job->run_at_ms = rows[i].run_at_ms;
                job_accept(job, false, 1000);
                assert_int_equal(job->state, rows[i].next);
                assert_int_equal(job->run_at_ms, rows[i].next == JOB_SCHEDULED ? 1001 : 1000);
                assert_int_equal(job->created_ms, 1000);
                assert_int_equal(job->finished_ms, 0);
                if (rows[i].next == JOB_SCHEDULED) {
                        job_due(job, 1001);
                        assert_int_equal(job->state, JOB_READY);
                        assert_int_equal(job->run_at_ms, 1001);
                        assert_int_equal(job->run.number, 0);
                }
                job_free(job);
        }
}

static void the_runner_follows_from_the_target(void **state)
{
        static const struct {
                const char *target;
                enum job_runner runner;
        } rows[] = { { "/a.php", JOB_FASTCGI }, { "exec:a", JOB_EXEC }, { "https://h/", JOB_HTTP } };

        for (size_t i = 0; i < COUNT(rows); i++) {
                struct job *job = job_new();

                target_of(job, rows[i].target);
                job_accept(job, false, 1000);
                assert_int_equal(job->runner, rows[i].runner);
                job_free(job);
        }
}

static void a_start_begins_a_clean_run(void **state)
{
        struct job *job = running_job();

        end_run(job, RUN_CRASHED, "killed by signal 9", 2000);
        assert_int_equal(job->state, JOB_READY);
        assert_string_equal(job->run.reason, "killed by signal 9");
        job_start(job, 3000);
        assert_int_equal(job->state, JOB_RUNNING);
        assert_int_equal(job->run.number, 2);
        assert_int_equal(job->run.started_ms, 3000);
        assert_int_equal(job->run.ended_ms, 0);
        assert_int_equal(job->run.outcome, RUN_NONE);
        assert_int_equal(job->run.exit_code, -1);
        assert_int_equal(job->run.cpu_ms, -1);
        assert_string_equal(job->run.reason, "");
        job_free(job);
}

/* ---- what an answer means ---- */

struct judged {
        enum run_outcome outcome; /* from the runner */
        bool may_pass;
        int status, exit_code;
        const char *reason;
        enum retry_wish wish;
        /* and after */
        enum run_outcome out;
        bool may_pass_out;
        enum retry_wish wish_out;
        const char *reason_out;
};

static void check_judged(enum job_runner runner, const struct judged *row)
{
        struct job_run run = ended(row->outcome, row->reason);
        struct retry_advice advice = { .wish = row->wish, .has_after = true, .after_ms = 5 };

        run.may_pass = row->may_pass;
        run.status = row->status;
        run.exit_code = row->exit_code;
        job_judge(runner, &run, &advice);
        if (run.outcome != row->out || run.may_pass != row->may_pass_out || advice.wish != row->wish_out ||
            strcmp(run.reason, row->reason_out) != 0)
                fail_msg("runner %d, outcome %d, status %d, exit code %d: %d %d %d '%s'", runner,
                         row->outcome, row->status, row->exit_code, run.outcome, run.may_pass, advice.wish,
                         run.reason);
        assert_true(advice.has_after && advice.after_ms == 5);
        assert_int_equal(run.status, row->status);
        assert_int_equal(run.exit_code, row->exit_code);
}

#define S RUN_SUCCEEDED
#define F RUN_FAILED
#define U RETRY_UNSAID

static void a_scripts_answer_below_400_is_a_success(void **state)
{
        static const struct judged rows[] = {
                { S, 0, 200, -1, "", U, S, 0, U, "" },
                { F, 0, 200, -1, "", U, S, 0, U, "" },
                { S, 0, 302, -1, "", U, S, 0, U, "" },
                { S, 0, 399, -1, "", U, S, 0, U, "" },
                { S, 0, 400, -1, "", U, F, 0, U, "the script answered 400" },
                { S, 0, 404, 75, "", U, F, 0, U, "the script answered 404" },
                { S, 0, 408, -1, "", U, F, 1, U, "the script answered 408" },
                { S, 0, 425, -1, "", RETRY_NO, F, 1, RETRY_NO, "the script answered 425" },
                { S, 0, 429, -1, "", RETRY_ASKED, F, 1, RETRY_ASKED, "the script answered 429" },
                { F, 0, 500, -1, "it was said why", U, F, 1, U, "it was said why" },
                { F, 0, 599, -1, "", U, F, 1, U, "the script answered 599" },
                { S, 0, 199, -1, "", U, F, 0, U, "the script answered 199" },
                { F, 0, 0, -1, "no reply", U, F, 0, U, "no reply" },
                { F, 1, 200, -1, "cut off", U, F, 1, U, "cut off" }, /* the runner has said all */
                { S, 1, 500, -1, "", U, S, 1, U, "" },
        };

        for (size_t i = 0; i < COUNT(rows); i++)
                check_judged(JOB_FASTCGI, &rows[i]);
}

static void a_urls_answer_of_2xx_is_a_success(void **state)
{
        static const struct judged rows[] = {
                { S, 0, 200, -1, "", U, S, 0, U, "" },
                { F, 0, 299, -1, "", U, S, 0, U, "" },
                { S, 0, 300, -1, "", U, F, 0, U, "the target answered 300" },
                { S, 0, 302, -1, "", U, F, 0, U, "the target answered 302" },
                { S, 0, 410, -1, "", U, F, 0, U, "the target answered 410" },
                { S, 0, 429, -1, "", U, F, 1, U, "the target answered 429" },
                { S, 0, 503, -1, "", RETRY_ASKED, F, 1, RETRY_ASKED, "the target answered 503" },
                { S, 0, 600, -1, "", U, F, 0, U, "the target answered 600" },
                { F, 1, 0, -1, "connection refused", U, F, 1, U, "connection refused" },
        };

        for (size_t i = 0; i < COUNT(rows); i++)
                check_judged(JOB_HTTP, &rows[i]);
}

static void a_programs_exit_code_0_is_a_success_and_75_asks_for_another_try(void **state)
{
        static const struct judged rows[] = {
                { S, 0, 0, 0, "", U, S, 0, U, "" },
                { F, 0, 0, 0, "", U, S, 0, U, "" },
                { S, 0, 500, 0, "", U, S, 0, U, "" },
                { S, 0, 0, 1, "", U, F, 0, U, "the program ended with exit code 1" },
                { F, 0, 0, 255, "out of memory", U, F, 0, U, "out of memory" },
                { S, 0, 0, 75, "", U, F, 0, RETRY_ASKED,
                  "the program ended with exit code 75: try again later" },
                { S, 0, 0, 75, "", RETRY_NO, F, 0, RETRY_NO,
                  "the program ended with exit code 75: try again later" },
                { F, 0, 0, 74, "", RETRY_ASKED, F, 0, RETRY_ASKED, "the program ended with exit code 74" },
        };

        for (size_t i = 0; i < COUNT(rows); i++)
                check_judged(JOB_EXEC, &rows[i]);
}

#undef S
#undef F
#undef U

static void an_end_that_was_no_answer_is_not_judged(void **state)
{
        static const enum run_outcome others[] = { RUN_NONE, RUN_CRASHED, RUN_STOPPED, RUN_PUT_BACK };

        for (int runner = 0; runner < JOB_RUNNERS; runner++)
                for (size_t i = 0; i < COUNT(others); i++)
                        check_judged((enum job_runner)runner,
                                     &(struct judged){ others[i], false, 500, 75, "why", RETRY_UNSAID,
                                                       others[i], false, RETRY_UNSAID, "why" });
}

static void scripts_answers_below_400_succeed(void **state)
{
        static const int good[] = { 200, 204, 302, 399 }, bad[] = { 0, 100, 199, 400, 404, 500, 599 };

        for (size_t i = 0; i < COUNT(good); i++)
                assert_true(job_status_succeeds(good[i]));
        for (size_t i = 0; i < COUNT(bad); i++)
                assert_false(job_status_succeeds(bad[i]));
}

/* ---- what people ask ---- */

static void a_cancel_ends_what_waits_asks_what_runs_and_leaves_what_ended(void **state)
{
        static const enum job_state waiting[] = { JOB_SCHEDULED, JOB_READY, JOB_HELD };
        static const enum job_state finals[] = { JOB_SUCCEEDED, JOB_FAILED, JOB_DEAD, JOB_CANCELLED };

        for (size_t i = 0; i < COUNT(waiting); i++) {
                struct job *job = job_in(waiting[i]);

                assert_int_equal(job_cancel(job, 3000), 0);
                assert_int_equal(job->state, JOB_CANCELLED);
                assert_int_equal(job->finished_ms, 3000);
                assert_false(job->cancel_asked);
                job_free(job);
        }
        for (size_t i = 0; i < COUNT(finals); i++) {
                struct job *job = job_in(finals[i]);

                assert_int_equal(job_cancel(job, 3000), JOB_ALREADY_FINAL);
                assert_int_equal(job->state, finals[i]);
                assert_int_equal(job->finished_ms, 2000);
                assert_false(job->cancel_asked);
                job_free(job);
        }
}

static void a_running_job_remembers_that_it_was_cancelled(void **state)
{
        struct job *job = running_job();

        assert_int_equal(job_cancel(job, 2000), JOB_CANCEL_ASKED);
        assert_int_equal(job_cancel(job, 2500), JOB_CANCEL_ASKED);
        assert_int_equal(job->state, JOB_RUNNING);
        assert_true(job->cancel_asked);
        assert_int_equal(job->finished_ms, 0);
        end_run(job, RUN_CRASHED, "killed by signal 9", 3000);
        assert_int_equal(job->state, JOB_CANCELLED);
        assert_int_equal(job->finished_ms, 3000);
        assert_string_equal(job->run.reason, "killed by signal 9");
        job_free(job);
        job = running_job(); /* a cancel is stronger than every budget, and than on_crash */
        job->options.on_crash = JOB_CRASH_HOLD;
        job->run.number = JOB_RUNS_MAX;
        job->crashes = JOB_CRASHES_MAX - 1;
        assert_int_equal(job_cancel(job, 2000), JOB_CANCEL_ASKED);
        end_run(job, RUN_CRASHED, "why", 3000);
        assert_int_equal(job->state, JOB_CANCELLED);
        assert_string_equal(job->run.reason, "why");
        job_free(job);
}

static void a_retry_runs_what_waits_and_leaves_the_rest(void **state)
{
        static const struct {
                enum job_state from;
                int result;
        } rows[] = {
                { JOB_SCHEDULED, 0 },
                { JOB_HELD, 0 },
                { JOB_READY, JOB_UNDER_WAY },
                { JOB_RUNNING, JOB_UNDER_WAY },
                { JOB_SUCCEEDED, JOB_ALREADY_FINAL },
                { JOB_FAILED, JOB_ALREADY_FINAL },
                { JOB_DEAD, JOB_ALREADY_FINAL },
                { JOB_CANCELLED, JOB_ALREADY_FINAL },
        };

        for (size_t i = 0; i < COUNT(rows); i++) {
                struct job *job = job_in(rows[i].from);
                int64_t run_at_ms = job->run_at_ms, finished_ms = job->finished_ms;
                uint32_t crashes = job->crashes;

                assert_int_equal(job_retry(job, 3000), rows[i].result);
                assert_int_equal(job->state, rows[i].result == 0 ? JOB_READY : rows[i].from);
                assert_int_equal(job->run_at_ms, rows[i].result == 0 ? 3000 : run_at_ms);
                assert_int_equal(job->crashes, rows[i].from == JOB_HELD ? 0 : crashes);
                assert_int_equal(job->finished_ms, finished_ms);
                job_free(job);
        }
}

static void a_retry_ahead_of_its_time_keeps_what_was_used(void **state)
{
        struct job_run how = ended(RUN_FAILED, "why");
        struct job_ending ending = { .run = &how,
                                     .advice = { RETRY_ASKED, true, 30000 },
                                     .policy = { .max = 1, .backoff_max_ms = 60000 } };
        struct job *job = running_job();

        job->crashes = 2;
        job_run_ended(job, &ending, 2000);
        assert_int_equal(job->state, JOB_SCHEDULED);
        assert_int_equal(job_retry(job, 3000), 0);
        assert_int_equal(job->retries, 1);
        assert_int_equal(job->crashes, 2); /* fresh for a held one only */
        job_start(job, 3000);
        job_run_ended(job, &ending, 4000);
        assert_int_equal(job->state, JOB_DEAD);
        job_free(job);
}

static void fill_request(struct job *job)
{
        struct job_request *r = &job->request;
        char **const fields[] = { &r->method, &r->headers, &r->host, &r->remote, &r->local, &job->queue };
        static const char *const texts[] = { "PUT", "A: b\r\n", "h:8", "unix:", "[::1]:7", "mail" };

        for (size_t i = 0; i < COUNT(fields); i++) {
                free(*fields[i]);
                *fields[i] = mem_dup(texts[i]);
        }
        spool_fini(&r->body);
        spool_init(&r->body, -1, 100, 100);
        assert_int_equal(spool_write(&r->body, "body", 4), 0);
}

static void a_job_is_done_again_by_a_new_one_that_asks_for_the_same(void **state)
{
        struct job *job = job_in(JOB_DRAFT), *again;
        struct job_progress none = { .any = false };
        char bytes[8];

        fill_request(job);
        job_id_make(&job->id, 77, (const unsigned char *)"0123456789abc");
        job->options.retries = 4;
        job->options.on_crash = JOB_CRASH_HOLD;
        job->options.then[JOB_THEN_ALWAYS] = mem_dup("/then");
        strcpy(job->links.then_of, "t");
        strcpy(job->links.retry_of, "r");
        job->run_at_ms = 1500;
        job_accept(job, false, 1000);
        job_due(job, 1500);
        job_start(job, 1500);
        job->progress = (struct job_progress){ .any = true, .done = 1 };
        job->retries = 3;
        end_run(job, RUN_FAILED, "why", 2000);

        again = job_again(job);
        assert_int_equal(again->state, JOB_DRAFT);
        assert_string_equal(again->request.method, "PUT");
        assert_string_equal(again->request.target, "/a.php");
        assert_string_equal(again->request.headers, "A: b\r\n");
        assert_string_equal(again->request.host, "h:8");
        assert_string_equal(again->request.remote, "unix:");
        assert_string_equal(again->request.local, "[::1]:7");
        assert_string_equal(again->queue, "mail");
        assert_int_equal(again->options.retries, 4);
        assert_int_equal(again->options.on_crash, JOB_CRASH_HOLD);
        assert_int_equal(again->options.time_limit_ms, -1);
        assert_string_equal(again->options.then[JOB_THEN_ALWAYS], "/then");
        assert_ptr_not_equal(again->options.then[JOB_THEN_ALWAYS], job->options.then[JOB_THEN_ALWAYS]);
        assert_string_equal(again->links.retry_of, job->id.text);
        assert_string_equal(again->links.retried_as, "");
        assert_int_equal(again->id.seq, 0); /* the store gives it its own */
        assert_int_equal(again->run_at_ms, 0);
        assert_int_equal(again->retries, 0);
        assert_int_equal(again->run.number, 0);
        assert_int_equal(again->finished_ms, 0);
        assert_memory_equal(&again->progress, &none, sizeof(none));
        assert_int_equal(again->request.body.len, 4);
        assert_int_equal(spool_read(&again->request.body, 0, bytes, 8), 4);
        assert_memory_equal(bytes, "body", 4);
        assert_int_equal(job->request.body.len, 0); /* it moved */
        job_free(job);
        job_accept(again, false, 3000);
        assert_int_equal(again->state, JOB_READY);
        job_free(again);
}

static void nobody_can_ask_for_a_job_that_ends_at_its_first_crash(void **state)
{
        struct job *job = job_in(JOB_DEAD), *again;

        assert_int_equal(job->options.on_crash, JOB_CRASH_END);
        again = job_again(job);
        assert_int_equal(again->options.on_crash, -1);
        job_free(again);
        job_free(job);
}

/* ---- then ---- */

static void an_end_is_told_to_its_own_target_and_to_always(void **state)
{
        for (int at = 0; at < JOB_STATES; at++)
                for (unsigned set = 0; set < 8; set++) {
                        struct job *job = job_in((enum job_state)at);
                        const char *wanted[2] = { NULL, NULL }, *out[2] = { NULL, NULL };
                        enum job_then own = at == JOB_SUCCEEDED ? JOB_THEN_SUCCESS : JOB_THEN_FAILURE;
                        unsigned count = 0;

                        for (int i = 0; i < JOB_THENS; i++)
                                job->options.then[i] = set & (1U << i) ? mem_printf("/then-%d", i) : NULL;
                        if (job_state_is_final((enum job_state)at) && job->options.then[own])
                                wanted[count++] = job->options.then[own];
                        if (job_state_is_final((enum job_state)at) && job->options.then[JOB_THEN_ALWAYS])
                                wanted[count++] = job->options.then[JOB_THEN_ALWAYS];
                        assert_int_equal(job_then_targets(job, out), count);
                        assert_ptr_equal(out[0], wanted[0]);
                        assert_ptr_equal(out[1], wanted[1]);
                        job_free(job);
                }
}

/* ---- the legal edges ---- */

static const struct {
        enum job_state from, to;
} edges[] = {
        { JOB_DRAFT, JOB_SCHEDULED },   { JOB_DRAFT, JOB_READY },         { JOB_DRAFT, JOB_RUNNING },
        { JOB_SCHEDULED, JOB_READY },   { JOB_SCHEDULED, JOB_CANCELLED }, { JOB_READY, JOB_RUNNING },
        { JOB_READY, JOB_CANCELLED },   { JOB_RUNNING, JOB_SUCCEEDED },   { JOB_RUNNING, JOB_FAILED },
        { JOB_RUNNING, JOB_DEAD },      { JOB_RUNNING, JOB_CANCELLED },   { JOB_RUNNING, JOB_READY },
        { JOB_RUNNING, JOB_SCHEDULED }, { JOB_RUNNING, JOB_HELD },        { JOB_HELD, JOB_READY },
        { JOB_HELD, JOB_CANCELLED },
};

static bool is_edge(int from, int to)
{
        for (size_t i = 0; i < COUNT(edges); i++)
                if ((int)edges[i].from == from && (int)edges[i].to == to)
                        return true;
        return false;
}

static void the_table_has_these_edges_and_no_other(void **state)
{
        for (int from = -1; from <= JOB_STATES; from++) {
                bool leads_on = false;

                for (int to = -1; to <= JOB_STATES; to++) {
                        assert_int_equal(job_state_may((enum job_state)from, (enum job_state)to),
                                         is_edge(from, to));
                        leads_on = leads_on || is_edge(from, to);
                }
                assert_int_equal(job_state_is_final((enum job_state)from),
                                 !leads_on && from >= 0 && from < JOB_STATES);
        }
}

/* The events by number, so that each can be tried in each state. */
enum {
        ACCEPT,
        ACCEPT_LATER,
        ACCEPT_NOW,
        DUE,
        START,
        CANCEL,
        RETRY,
        SUCCEED,
        FAIL,
        FAIL_AGAIN,
        CRASH,
        PUT_BACK,
        EVENTS
};

static void happen(struct job *job, int event)
{
        static const enum run_outcome outcomes[EVENTS] = { [SUCCEED] = RUN_SUCCEEDED,
                                                           [FAIL] = RUN_FAILED,
                                                           [FAIL_AGAIN] = RUN_FAILED,
                                                           [CRASH] = RUN_CRASHED,
                                                           [PUT_BACK] = RUN_PUT_BACK };
        struct job_run how = ended(outcomes[event], "why");
        struct job_ending ending = { .run = &how, .policy = { .max = 1 } };

        ending.advice.wish = event == FAIL_AGAIN ? RETRY_ASKED : RETRY_UNSAID;
        if (event == ACCEPT || event == ACCEPT_NOW || event == ACCEPT_LATER) {
                job->run_at_ms = event == ACCEPT_LATER ? 9000 : 0;
                job_accept(job, event == ACCEPT_NOW, 3000);
        } else if (event == DUE) {
                job_due(job, 3000);
        } else if (event == START) {
                job_start(job, 3000);
        } else if (event == CANCEL) {
                (void)!job_cancel(job, 3000);
        } else if (event == RETRY) {
                (void)!job_retry(job, 3000);
        } else {
                job_run_ended(job, &ending, 3000);
        }
}

/* Which states an event may find a job in. */
static bool may_happen(int event, int at)
{
        if (event <= ACCEPT_NOW)
                return at == JOB_DRAFT;
        if (event == DUE)
                return at == JOB_SCHEDULED;
        if (event == START)
                return at == JOB_READY;
        if (event == CANCEL || event == RETRY)
                return at != JOB_DRAFT;
        return at == JOB_RUNNING;
}

static bool aborts(struct job *job, int event)
{
        const struct rlimit no_core = { 0, 0 };
        int status = 0;
        pid_t pid;

        fflush(NULL);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                setrlimit(RLIMIT_CORE, &no_core);
                signal(SIGABRT, SIG_DFL);
                if (freopen("/dev/null", "w", stderr))
                        happen(job, event);
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void every_edge_is_taken_and_every_other_event_is_asserted_against(void **state)
{
        bool taken[JOB_STATES][JOB_STATES] = { { false } };

        for (int at = 0; at < JOB_STATES; at++)
                for (int event = 0; event < EVENTS; event++)
                        for (int way = 0; way < 3; way++) { /* as it is, to be held, with a cancel asked */
                                struct job *job = job_in((enum job_state)at);

                                if (!may_happen(event, at)) {
                                        if (way == 0 && !aborts(job, event))
                                                fail_msg("event %d in state %s", event,
                                                         job_state_name(job->state));
                                        job_free(job);
                                        continue;
                                }
                                if (way == 1)
                                        job->options.on_crash = JOB_CRASH_HOLD;
                                job->cancel_asked = way == 2;
                                job->retries = way == 1; /* and then there is none left */
                                happen(job, event);
                                taken[at][job->state] = taken[at][job->state] || (int)job->state != at;
                                job_free(job);
                        }
        for (int from = 0; from < JOB_STATES; from++)
                for (int to = 0; to < JOB_STATES; to++)
                        if (taken[from][to] != is_edge(from, to))
                                fail_msg("%s to %s", job_state_name((enum job_state)from),
                                         job_state_name((enum job_state)to));
}

static void states_have_names_that_are_read_back(void **state)
{
        static const char *const names[] = { "scheduled", "ready", "running",   "succeeded",
                                             "failed",    "dead",  "cancelled", "held" };
        enum job_state got;

        for (int i = JOB_SCHEDULED; i < JOB_STATES; i++) {
                assert_string_equal(job_state_name((enum job_state)i), names[i - 1]);
                assert_true(job_state_parse(slice_of(names[i - 1]), &got));
                assert_int_equal(got, i);
        }
        assert_false(job_state_parse(SLICE("draft"), &got));
        assert_false(job_state_parse(SLICE("Ready"), &got));
        assert_false(job_state_parse(SLICE("read"), &got));
        assert_false(job_state_parse(SLICE(""), &got));
        assert_string_equal(job_state_name(JOB_STATES), "unknown");
        assert_string_equal(job_state_name((enum job_state) - 1), "unknown");
        assert_string_equal(run_outcome_name(RUN_CRASHED), "crashed");
        assert_string_equal(run_outcome_name(RUN_PUT_BACK), "put back");
        assert_string_equal(run_outcome_name(RUN_OUTCOMES), "unknown");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_new_job_is_a_draft_with_nothing_missing),
                cmocka_unit_test(an_accepted_job_waits_or_runs_at_once),
                cmocka_unit_test(a_job_for_later_is_scheduled_and_one_whose_time_has_come_is_not),
                cmocka_unit_test(the_runner_follows_from_the_target),
                cmocka_unit_test(a_start_begins_a_clean_run),
                cmocka_unit_test(a_scripts_answer_below_400_is_a_success),
                cmocka_unit_test(a_urls_answer_of_2xx_is_a_success),
                cmocka_unit_test(a_programs_exit_code_0_is_a_success_and_75_asks_for_another_try),
                cmocka_unit_test(an_end_that_was_no_answer_is_not_judged),
                cmocka_unit_test(scripts_answers_below_400_succeed),
                cmocka_unit_test(a_cancel_ends_what_waits_asks_what_runs_and_leaves_what_ended),
                cmocka_unit_test(a_running_job_remembers_that_it_was_cancelled),
                cmocka_unit_test(a_retry_runs_what_waits_and_leaves_the_rest),
                cmocka_unit_test(a_retry_ahead_of_its_time_keeps_what_was_used),
                cmocka_unit_test(a_job_is_done_again_by_a_new_one_that_asks_for_the_same),
                cmocka_unit_test(nobody_can_ask_for_a_job_that_ends_at_its_first_crash),
                cmocka_unit_test(an_end_is_told_to_its_own_target_and_to_always),
                cmocka_unit_test(the_table_has_these_edges_and_no_other),
                cmocka_unit_test(every_edge_is_taken_and_every_other_event_is_asserted_against),
                cmocka_unit_test(states_have_names_that_are_read_back),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
