/* The window of ready jobs, beside a model that knows them all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>

#include <stdlib.h>

#include "base/mem.h"
#include "server/window.h"

enum { JOBS = 3 * JOBS_WINDOW_MAX };

static struct job_id id_of(uint64_t seq)
{
        static const unsigned char random[13];
        struct job_id id;

        job_id_make(&id, seq, random);
        return id;
}

/* What the store would answer: ready jobs above `after`, oldest first. */
static unsigned ask(const bool *on_disk, uint64_t after, unsigned limit, struct job_id *out)
{
        unsigned count = 0;

        for (uint64_t seq = after + 1; seq <= JOBS && count < limit; seq++)
                if (on_disk[seq])
                        out[count++] = id_of(seq);
        return count;
}

static void every_job_is_taken_once_and_in_order_when_none_returns(void **state)
{
        struct window *w = mem_alloc(sizeof(*w));
        struct job_id *page = mem_alloc(JOBS_WINDOW_MAX * sizeof(*page)), id;
        bool *on_disk = mem_alloc(JOBS + 1);
        uint64_t added = 0, last = 0;

        (void)state;
        srandom(7);
        while (last < JOBS) {
                if (added < JOBS && random() % 3) {
                        id = id_of(++added);
                        on_disk[added] = true;
                        window_add(w, &id);
                } else if (window_wants_more(w)) {
                        unsigned room = window_room(w), count;

                        window_filling(w);
                        count = ask(on_disk, w->cursor, room, page);
                        if (added < JOBS) { /* one comes while the question is under way */
                                id = id_of(++added);
                                on_disk[added] = true;
                                window_add(w, &id);
                        }
                        window_filled(w, page, count, count < room);
                } else if (window_take(w, &id)) {
                        assert_int_equal(id.seq, last + 1);
                        on_disk[id.seq] = false;
                        last = id.seq;
                }
                assert_true(w->count <= JOBS_WINDOW_MAX);
        }
        assert_false(window_take(w, &id));
        free(on_disk);
        free(page);
        free(w);
}

static void a_returned_job_comes_before_all_others_even_when_the_window_is_full(void **state)
{
        struct window *w = mem_alloc(sizeof(*w));
        struct job_id id;

        (void)state;
        for (uint64_t seq = 2; seq <= JOBS_WINDOW_MAX + 1; seq++) {
                id = id_of(seq);
                window_add(w, &id);
        }
        assert_false(w->more);
        id = id_of(1);
        window_return(w, &id);
        assert_true(w->more); /* the youngest one is on disk only now */
        assert_int_equal(w->cursor, JOBS_WINDOW_MAX);
        for (uint64_t seq = 1; seq <= JOBS_WINDOW_MAX; seq++) {
                assert_true(window_take(w, &id));
                assert_int_equal(id.seq, seq);
        }
        assert_false(window_take(w, &id));
        assert_true(window_wants_more(w));
        free(w);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_job_is_taken_once_and_in_order_when_none_returns),
                cmocka_unit_test(a_returned_job_comes_before_all_others_even_when_the_window_is_full),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
