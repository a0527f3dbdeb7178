/* The ready jobs known in memory: the oldest ones, in order, at most JOBS_WINDOW_MAX; the rest wait on disk.
 * Pure.
 *
 * Invariant: every ready job with a number up to `cursor` is in the window or being handled; those above are
 * on disk only, and then `more` is set. */
#ifndef SENDOFF_SERVER_WINDOW_H
#define SENDOFF_SERVER_WINDOW_H

#include <stdbool.h>

#include "base/bounds.h"
#include "job/id.h"

struct window {
        struct job_id ids[JOBS_WINDOW_MAX];
        unsigned head, count;
        uint64_t cursor;
        bool more;    /* there are ready jobs above cursor on disk */
        bool filling; /* a query for them is under way… */
        bool missed;  /* …and since then another one went to disk only */
};

void window_add(struct window *w, const struct job_id *id); /* a job that was just committed as ready */
void window_return(struct window *w,
                   const struct job_id *id); /* a job that is ready again: it comes first, unless it is among
                                                those that are on disk only */
bool window_take(struct window *w, struct job_id *id); /* the oldest one; false when none is in memory */
bool window_wants_more(
        const struct window *w); /* ask the store for window_room ids above cursor, after window_filling */
unsigned window_room(const struct window *w);
void window_filling(struct window *w);
void window_filled(struct window *w, const struct job_id *ids, unsigned count,
                   bool complete); /* complete: there were no more */

#endif
