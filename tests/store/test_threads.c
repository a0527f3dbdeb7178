/* The two threads under load: for the thread sanitizer, and for the order of what is handed back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>

#include <stdlib.h>

#include "base/mem.h"
#include "rig.h"

enum { COUNT = 3000, UNDER_WAY = 64 };

struct load {
        struct rig rig;
        struct store_op ops[COUNT];
        int submitted, done;
};

static void added(struct store_op *op);

static void submit_next(struct load *load)
{
        struct store_op *op = &load->ops[load->submitted];

        *op = (struct store_op){ .kind = STORE_ADD,
                                 .done = added,
                                 .arg = load,
                                 .job = rig_job(&load->rig, (uint64_t)load->submitted + 1,
                                                (size_t)(load->submitted % 50) * 50, false) };
        load->submitted++;
        store_submit(load->rig.store, op);
}

static void added(struct store_op *op)
{
        struct load *load = op->arg;
        struct store_health health;

        assert_int_equal(op->status, 0);
        assert_ptr_equal(op, &load->ops[load->done]); /* in the order of submission */
        load->done++;
        job_free(op->job);
        store_health(load->rig.store, &health);
        if (load->submitted < COUNT)
                submit_next(load);
}

static void operations_submitted_from_callbacks_all_end_once_in_order(void **state)
{
        struct load *load = mem_alloc(sizeof(*load));
        struct store_op stats = { .kind = STORE_STATS };

        (void)state;
        rig_make(&load->rig);
        while (load->submitted < UNDER_WAY)
                submit_next(load);
        rig_wait(&load->rig, &load->done, COUNT);
        assert_int_equal(load->done, COUNT);
        assert_int_equal(rig_do(&load->rig, &stats), 0);
        assert_int_equal(stats.stats.jobs[JOB_READY], COUNT);
        rig_remove(&load->rig);
        free(load);
}

static void a_store_closed_under_load_has_kept_what_it_was_given(void **state)
{
        struct load *load = mem_alloc(sizeof(*load));
        struct store_op stats = { .kind = STORE_STATS };
        struct cause cause;
        int submitted;

        (void)state;
        rig_make(&load->rig);
        load->submitted = COUNT - 500; /* then callbacks submit no more */
        load->done = COUNT - 500;
        while (load->submitted < COUNT)
                submit_next(load);
        submitted = 500;
        store_close(load->rig.store);
        assert_int_equal(load->done, COUNT);
        assert_int_equal(rig_open(&load->rig, &cause), 0);
        assert_int_equal(rig_do(&load->rig, &stats), 0);
        assert_int_equal(stats.stats.jobs[JOB_READY], submitted);
        rig_remove(&load->rig);
        free(load);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(operations_submitted_from_callbacks_all_end_once_in_order),
                cmocka_unit_test(a_store_closed_under_load_has_kept_what_it_was_given),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
