/* Who gets the next free worker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>

#include "job/dispatch.h"

static void jobs_may_hold_all_workers_but_the_reserved(void **state)
{
        static const struct {
                unsigned workers, reserve, limit;
        } rows[] = {
                { 0, 0, 0 }, { 0, 3, 0 }, { 1, 0, 1 }, { 1, 1, 1 }, { 1, 9, 1 },
                { 4, 0, 4 }, { 4, 1, 3 }, { 4, 3, 1 }, { 4, 4, 1 }, { 4, 99, 1 },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct dispatch d = { .workers = rows[i].workers, .reserve = rows[i].reserve };

                assert_int_equal(dispatch_job_limit(&d), rows[i].limit);
        }
}

static void a_foreground_request_starts_on_any_free_worker(void **state)
{
        struct dispatch d = { .workers = 4, .reserve = 1, .jobs = 3, .free = 1 };

        assert_true(dispatch_may_start_foreground(&d));
        d.free = 0;
        assert_false(dispatch_may_start_foreground(&d));
}

static void a_job_waits_while_requests_wait_for_the_free_workers(void **state)
{
        struct dispatch d = { .workers = 4, .reserve = 1, .free = 2, .foreground_waiting = 1 };

        assert_true(dispatch_may_start_job(&d));
        d.foreground_waiting = 2;
        assert_false(dispatch_may_start_job(&d));
        d.foreground_waiting = 3;
        assert_false(dispatch_may_start_job(&d));
}

/* Every situation of a small server: jobs started whenever they may never take what is reserved. */
static void a_flood_of_jobs_leaves_the_reserve_free(void **state)
{
        for (unsigned workers = 0; workers <= 6; workers++)
                for (unsigned reserve = 0; reserve <= 7; reserve++)
                        for (unsigned busy = 0; busy <= workers; busy++) {
                                struct dispatch d = { .workers = workers,
                                                      .reserve = reserve,
                                                      .free = workers - busy };

                                while (dispatch_may_start_job(&d)) {
                                        assert_true(d.free > 0);
                                        d.free--;
                                        d.jobs++;
                                }
                                assert_true(d.jobs <= dispatch_job_limit(&d));
                                if (workers > 1 && reserve > 0)
                                        assert_true(d.jobs < workers);
                                if (workers > 0 && busy == 0)
                                        assert_int_equal(d.jobs, dispatch_job_limit(&d));
                        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(jobs_may_hold_all_workers_but_the_reserved),
                cmocka_unit_test(a_foreground_request_starts_on_any_free_worker),
                cmocka_unit_test(a_job_waits_while_requests_wait_for_the_free_workers),
                cmocka_unit_test(a_flood_of_jobs_leaves_the_reserve_free),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
