/* A ring of ids: see window.h. */
#include "server/window.h"

static struct job_id *slot(struct window *w, unsigned i)
{
        return &w->ids[(w->head + i) % JOBS_WINDOW_MAX];
}

static void push_back(struct window *w, const struct job_id *id)
{
        *slot(w, w->count++) = *id;
        w->cursor = id->seq;
}

void window_add(struct window *w, const struct job_id *id)
{
        if (!w->more && w->count < JOBS_WINDOW_MAX) {
                push_back(w, id);
                return;
        }
        w->more = true;
        w->missed = true;
}

void window_return(struct window *w, const struct job_id *id)
{
        if (w->more && id->seq > w->cursor) { /* it will be found on disk */
                w->missed = true;
                return;
        }
        if (w->count == JOBS_WINDOW_MAX) {
                w->count--;
                w->cursor = slot(w, w->count - 1)->seq;
                w->more = true;
                w->missed = true;
        }
        w->head = (w->head + JOBS_WINDOW_MAX - 1) % JOBS_WINDOW_MAX;
        w->count++;
        w->ids[w->head] = *id;
}

bool window_take(struct window *w, struct job_id *id)
{
        if (w->count == 0)
                return false;
        *id = w->ids[w->head];
        w->head = (w->head + 1) % JOBS_WINDOW_MAX;
        w->count--;
        return true;
}

bool window_wants_more(const struct window *w)
{
        return w->more && !w->filling && w->count < JOBS_WINDOW_MAX / 2;
}

unsigned window_room(const struct window *w)
{
        return JOBS_WINDOW_MAX - w->count;
}

void window_filling(struct window *w)
{
        w->filling = true;
        w->missed = false;
}

void window_filled(struct window *w, const struct job_id *ids, unsigned count, bool complete)
{
        w->filling = false;
        for (unsigned i = 0; i < count; i++) {
                if (w->count == JOBS_WINDOW_MAX) {
                        w->more = true;
                        return;
                }
                if (ids[i].seq > w->cursor)
                        push_back(w, &ids[i]);
        }
        w->more = !complete || w->missed;
}
