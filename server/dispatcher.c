/* The line for workers: see dispatcher.h. A worker reserved for a job whose commit is on its way counts as
 * taken although the pool still calls it free: `pending` bridges the two. When a worker falls out in between,
 * the job's start says POOL_BUSY and the job waits for its turn like anybody else, before queued jobs. */
#include "server/dispatcher.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/mem.h"

struct dispatcher {
        struct dispatcher_config config;
        struct pool *pool;
        struct dispatch counts;
        unsigned pending; /* reserved for jobs whose run has not started */
        struct dispatch_turn *line;
        bool jobs_stopped;
        bool serving;
};

static unsigned free_workers(const struct dispatcher *d)
{
        unsigned n = pool_free_workers(d->pool);

        return n > d->pending ? n - d->pending : 0;
}

static struct dispatch_turn *next_turn(struct dispatcher *d)
{
        struct dispatch_turn *turn = d->line;

        DL_DELETE(d->line, turn);
        turn->waiting = false;
        d->counts.foreground_waiting--;
        return turn;
}

static void dispatcher_serve(void *arg)
{
        struct dispatcher *d = arg;

        if (d->serving)
                return;
        d->serving = true;
        while (d->line && free_workers(d) > 0) {
                struct dispatch_turn *turn = next_turn(d);

                turn->go(turn);
        }
        d->serving = false;
        d->config.job_turn(d->config.arg);
}

int dispatcher_new(struct dispatcher **out, const struct dispatcher_config *config, struct cause *cause)
{
        struct dispatcher *d = mem_alloc(sizeof(*d));
        struct pool_config pool = config->pool;
        int r;

        d->config = *config;
        d->counts.workers = pool.workers;
        d->counts.reserve = config->reserve;
        pool.freed = dispatcher_serve;
        pool.arg = d;
        r = pool_new(&d->pool, &pool, cause);
        if (r < 0) {
                free(d);
                return r;
        }
        *out = d;
        return 0;
}

void dispatcher_stop(struct dispatcher *d, void (*done)(void *arg), void *arg)
{
        while (d->line) {
                struct dispatch_turn *turn = next_turn(d);

                turn->never(turn);
        }
        pool_stop(d->pool, done, arg);
}

void dispatcher_free(struct dispatcher *d)
{
        if (!d)
                return;
        pool_free(d->pool);
        free(d);
}

bool dispatcher_free_now(const struct dispatcher *d)
{
        return !d->line && free_workers(d) > 0;
}

void dispatcher_wait(struct dispatcher *d, struct dispatch_turn *turn)
{
        assert(!turn->waiting);
        turn->waiting = true;
        d->counts.foreground_waiting++;
        DL_APPEND(d->line, turn);
}

unsigned dispatcher_waiting(const struct dispatcher *d)
{
        return d->counts.foreground_waiting;
}

bool dispatcher_take_for_job(struct dispatcher *d)
{
        if (d->jobs_stopped || !dispatch_may_start_job(dispatcher_counts(d)))
                return false;
        d->counts.jobs++;
        d->pending++;
        return true;
}

void dispatcher_release_job(struct dispatcher *d, bool started)
{
        assert(d->counts.jobs > 0 && (started || d->pending > 0));
        d->counts.jobs--;
        if (!started)
                d->pending--;
}

void dispatcher_stop_jobs(struct dispatcher *d)
{
        d->jobs_stopped = true;
}

int dispatcher_start(struct dispatcher *d, bool for_job, const struct pool_request *request,
                     const struct run_handlers *handlers, void *arg, struct run **out)
{
        int r = pool_start(d->pool, request, handlers, arg, out);

        if (r == 0 && for_job) {
                assert(d->pending > 0);
                d->pending--;
        }
        return r;
}

const struct dispatch *dispatcher_counts(struct dispatcher *d)
{
        d->counts.free = free_workers(d);
        return &d->counts;
}

struct pool *dispatcher_pool(struct dispatcher *d)
{
        return d->pool;
}
