/* The store's thread and its two queues: see store.h. Ops are taken as a group, carried out in one
 * transaction, and handed back after its commit.
 *
 * The gather: with a slow disk, clients fall into halves that wait for each other's commit; so before a group
 * is taken the thread waits until the queue has reached the last group's size plus what was queued when that
 * ended, at most a quarter of the last commit's time. A lone request after a quiet time is committed at once.
 *
 * Faults: a full disk fails the ops that write; those that end something are tried again without the
 * additions, since a deletion or an update may still fit. After any other fault nothing cached can be
 * trusted: the connection is retired, a fresh one answers reads, and writes are refused until it has
 * committed a probe, tried once a second whether or not anybody asks. */
#include "store/store.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/sqlite.h"

#define PROBE_EVERY_MS             1000
#define CHECKPOINT_PAGES           1000
#define CHECKPOINT_PAGES_BY_WRITER 8000
#define GATHER_US_MAX              5000
#define QUIET_NS                   INT64_C(10000000)

struct store {
        struct store_config config;
        struct files files;
        struct engine engine;
        pthread_t thread, checkpointer;
        pthread_mutex_t mutex;
        pthread_cond_t work, checkpoint;
        struct store_op *queue, **queue_end; /* under mutex, as all below */
        struct store_op *done, **done_end;
        unsigned queued, last_group, left_over;
        bool stop, woken;
        bool checkpoint_wanted, checkpoint_done, checkpointing;
        struct store_health health;
        /* the store thread's own */
        bool suspect; /* after a fault: nothing is written until a probe was committed */
        int64_t probe_at_ms;
        int64_t idle_ns; /* how long there was nothing to do before this group */
};

/* ---- the loop thread's side ---- */

void store_submit(struct store *st, struct store_op *op)
{
        op->next = NULL;
        op->status = 0;
        op->cause.text[0] = '\0';
        pthread_mutex_lock(&st->mutex);
        *st->queue_end = op;
        st->queue_end = &op->next;
        st->queued++;
        if (st->queued == 1 || st->queued >= st->last_group + st->left_over)
                pthread_cond_signal(&st->work);
        pthread_mutex_unlock(&st->mutex);
}

void store_drain(struct store *st)
{
        struct store_op *op, *next;

        pthread_mutex_lock(&st->mutex);
        op = st->done;
        st->done = NULL;
        st->done_end = &st->done;
        st->woken = false;
        pthread_mutex_unlock(&st->mutex);
        for (; op; op = next) {
                next = op->next;
                if (op->status == 0 && op->kind == STORE_ADD)
                        spool_keep(&op->job->request.body);
                if (op->status == 0 && op->kind == STORE_UPDATE && op->job->reply.kept)
                        spool_keep(&op->job->reply.body);
                for (unsigned i = 0; op->status == 0 && op->kind == STORE_UPDATE && i < op->added_count; i++)
                        spool_keep(&op->added[i]->request.body);
                op->done(op);
        }
}

void store_health(struct store *st, struct store_health *out)
{
        pthread_mutex_lock(&st->mutex);
        *out = st->health;
        pthread_mutex_unlock(&st->mutex);
}

int store_files_fd(const struct store *st)
{
        return st->files.dir_fd;
}

int store_lock_fd(const struct store *st)
{
        return st->files.lock_fd;
}

/* ---- the store thread ---- */

static bool health_set(struct store *st, bool writable, bool full, const char *why)
{
        bool changed;

        pthread_mutex_lock(&st->mutex);
        changed = (st->health.writable && !st->health.full) != (writable && !full);
        st->health.writable = writable;
        st->health.full = full;
        snprintf(st->health.cause, sizeof(st->health.cause), "%s", why);
        pthread_mutex_unlock(&st->mutex);
        return changed;
}

static void health_good(struct store *st)
{
        if (health_set(st, true, false, ""))
                log_say(LOG_INFO, "store", "the store takes jobs again", "%s", "");
}

static void health_bad(struct store *st, bool writable, bool full, const char *why)
{
        char quoted[2 * CAUSE_MAX];

        if (health_set(st, writable, full, why))
                log_say(LOG_ERROR, "store",
                        full ? "the disk is full: no job is accepted until there is room"
                             : "the store failed: no job is accepted until it works again",
                        "why=%s", log_quote(quoted, sizeof(quoted), why, strlen(why)));
}

static void fail_all(struct store_op *ops, int status, const char *why)
{
        for (struct store_op *op = ops; op; op = op->next) {
                op->status = status;
                snprintf(op->cause.text, sizeof(op->cause.text), "%s", why);
        }
}

/* From now on only reads, until a probe is committed. -EBUSY says nothing against the connection. */
static void store_suspect(struct store *st, int r, struct cause *cause)
{
        struct cause again;

        st->suspect = true;
        st->probe_at_ms = clock_mono_ms() + PROBE_EVERY_MS;
        health_bad(st, false, r == STORE_NO_SPACE, cause->text);
        if (r == -EBUSY || r == STORE_NO_SPACE)
                return;
        engine_retire(&st->engine);
        if (engine_open(&st->engine, &again) != 0)
                return; /* not even reads, until the next probe */
}

/* Whether writes may go ahead. */
static bool store_restore(struct store *st)
{
        struct cause cause = { "" };
        int r = 0;

        if (!st->suspect)
                return true;
        if (clock_mono_ms() < st->probe_at_ms)
                return false;
        if (!st->engine.db)
                r = engine_open(&st->engine, &cause);
        if (r == 0)
                r = engine_probe(&st->engine, &cause);
        if (r == 0) {
                st->suspect = false;
                health_good(st);
        } else {
                store_suspect(st, r, &cause);
        }
        return r == 0;
}

/* Writes are refused, reads are answered if they can be. */
static void store_reads(struct store *st, struct store_op *ops)
{
        struct cause cause = { "" };
        int r;

        fail_all(ops, -EIO, st->health.cause);
        if (!st->engine.db)
                return;
        r = engine_group(&st->engine, ops, true, &cause);
        if (r == 0)
                return;
        fail_all(ops, -EIO, cause.text);
        store_suspect(st, r, &cause);
}

/* The disk is full: additions fail, the rest is tried by itself. */
static void store_without_additions(struct store *st, struct store_op *ops)
{
        for (struct store_op *op = ops, *next; op; op = next) {
                struct cause cause = { "" };
                int r = STORE_NO_SPACE;

                next = op->next;
                op->next = NULL;
                if (st->suspect)
                        store_reads(st, op);
                else if (op->kind != STORE_ADD)
                        r = engine_group(&st->engine, op, false, &cause);
                if (!st->suspect && r == STORE_NO_SPACE)
                        fail_all(op, STORE_NO_SPACE, "the disk is full");
                if (!st->suspect && r < 0) {
                        store_suspect(st, r, &cause);
                        fail_all(op, r, cause.text);
                }
                op->next = next;
        }
}

static void store_group(struct store *st, struct store_op *ops)
{
        int64_t began = clock_mono_ns();
        struct cause cause = { "" };
        bool writes = false;
        int r;

        for (struct store_op *op = ops; op && !writes; op = op->next)
                writes = engine_op_writes(op);
        if (!store_restore(st)) {
                store_reads(st, ops);
                return;
        }
        r = engine_group(&st->engine, ops, false, &cause);
        if (r == 0 && writes) {
                health_good(st);
                pthread_mutex_lock(&st->mutex);
                st->health.commits++;
                st->health.last_commit_us = (clock_mono_ns() - began) / 1000;
                pthread_mutex_unlock(&st->mutex);
        } else if (r == STORE_NO_SPACE) {
                /* no fault of the database: each write may try */
                health_bad(st, true, true, cause.text);
                store_without_additions(st, ops);
        } else if (r < 0) {
                store_suspect(st, r, &cause);
                fail_all(ops, r, cause.text);
        }
}

static struct timespec monotonic_at(int64_t ns)
{
        return (struct timespec){ .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
}

/* Under mutex. */
static void store_gather(struct store *st)
{
        unsigned want = st->last_group + st->left_over;
        struct timespec until;
        int64_t wait_us = st->health.last_commit_us / 4;

        if (want > STORE_BATCH_MAX)
                want = STORE_BATCH_MAX;
        if (st->last_group < 2 || st->queued >= want || st->stop || st->idle_ns > QUIET_NS)
                return;
        if (wait_us > GATHER_US_MAX)
                wait_us = GATHER_US_MAX;
        until = monotonic_at(clock_mono_ns() + wait_us * 1000);
        while (st->queued < want && !st->stop)
                if (pthread_cond_timedwait(&st->work, &st->mutex, &until) == ETIMEDOUT)
                        break;
}

/* Under mutex: cuts at most STORE_BATCH_MAX ops off the queue. */
static struct store_op *store_take(struct store *st, unsigned *count)
{
        struct store_op *group = st->queue, **at = &st->queue;

        *count = 0;
        while (*at && *count < STORE_BATCH_MAX) {
                at = &(*at)->next;
                (*count)++;
        }
        st->queue = *at;
        *at = NULL;
        if (!st->queue)
                st->queue_end = &st->queue;
        st->queued -= *count;
        return group;
}

static void store_want_checkpoint(struct store *st)
{
        bool finish;

        if (!st->engine.db || st->suspect || st->engine.wal_pages < CHECKPOINT_PAGES)
                return;
        pthread_mutex_lock(&st->mutex);
        finish = st->checkpoint_done && !st->checkpointing;
        if (!finish && !st->checkpointing && !st->checkpoint_wanted) {
                st->checkpoint_wanted = true;
                pthread_cond_signal(&st->checkpoint);
        }
        st->checkpoint_done = false;
        pthread_mutex_unlock(&st->mutex);
        if (finish || (st->engine.wal_pages > CHECKPOINT_PAGES_BY_WRITER && !st->checkpointing)) {
                engine_checkpoint(st->engine.db);
                st->engine.wal_pages = 0;
        }
}

/* Under mutex: until there is work or the end; meanwhile a store that failed tries to recover. */
static void store_wait(struct store *st)
{
        int64_t since = clock_mono_ns();

        while (!st->queue && !st->stop) {
                struct timespec until = monotonic_at((st->probe_at_ms + 1) * 1000000);

                if (!st->suspect) {
                        pthread_cond_wait(&st->work, &st->mutex);
                } else if (pthread_cond_timedwait(&st->work, &st->mutex, &until) == ETIMEDOUT) {
                        pthread_mutex_unlock(&st->mutex);
                        store_restore(st);
                        pthread_mutex_lock(&st->mutex);
                }
        }
        st->idle_ns = clock_mono_ns() - since;
}

static void *store_thread(void *arg)
{
        struct store *st = arg;

        pthread_mutex_lock(&st->mutex);
        for (;;) {
                struct store_op *group, *last;
                unsigned count;
                bool wake;

                store_wait(st);
                if (!st->queue)
                        break;
                store_gather(st);
                group = store_take(st, &count);
                pthread_mutex_unlock(&st->mutex);

                store_group(st, group);

                for (last = group; last->next; last = last->next)
                        ;
                pthread_mutex_lock(&st->mutex);
                *st->done_end = group;
                st->done_end = &last->next;
                st->last_group = count;
                st->left_over = st->queued;
                st->health.ops += count;
                wake = !st->woken;
                st->woken = true;
                pthread_mutex_unlock(&st->mutex);
                if (wake)
                        st->config.wake(st->config.wake_arg);
                store_want_checkpoint(st);
                pthread_mutex_lock(&st->mutex);
        }
        pthread_mutex_unlock(&st->mutex);
        return NULL;
}

/* Moves pages on a connection of its own, so that the writer only has a small rest to do. */
static void *checkpoint_thread(void *arg)
{
        struct store *st = arg;
        sqlite3 *db = NULL;

        pthread_mutex_lock(&st->mutex);
        for (;;) {
                while (!st->checkpoint_wanted && !st->stop)
                        pthread_cond_wait(&st->checkpoint, &st->mutex);
                if (st->stop)
                        break;
                st->checkpoint_wanted = false;
                st->checkpointing = true;
                pthread_mutex_unlock(&st->mutex);
                if (!db && sqlite3_open_v2(st->engine.path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                                           NULL) == SQLITE_OK)
                        sqlite3_exec(db, "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0", NULL,
                                     NULL, NULL);
                if (db)
                        engine_checkpoint(db);
                sqlite3_close(db);
                db = NULL;
                pthread_mutex_lock(&st->mutex);
                st->checkpointing = false;
                st->checkpoint_done = true;
        }
        pthread_mutex_unlock(&st->mutex);
        return NULL;
}

/* ---- life ---- */

static void store_release(struct store *st)
{
        engine_close(&st->engine);
        files_close(&st->files);
        free(st->engine.path);
        pthread_cond_destroy(&st->work);
        pthread_cond_destroy(&st->checkpoint);
        pthread_mutex_destroy(&st->mutex);
        free(st);
}

static void store_init_sync(struct store *st)
{
        pthread_condattr_t attr;

        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_mutex_init(&st->mutex, NULL);
        pthread_cond_init(&st->work, &attr);
        pthread_cond_init(&st->checkpoint, &attr);
        pthread_condattr_destroy(&attr);
}

int store_open(struct store **out, const struct store_config *config, struct cause *cause)
{
        struct store *st = mem_alloc(sizeof(*st));
        int r;

        st->config = *config;
        st->queue_end = &st->queue;
        st->done_end = &st->done;
        st->health.writable = true;
        store_init_sync(st);
        st->engine.files = &st->files;
        st->engine.body_memory_max = config->body_memory_max;
        st->engine.path = mem_printf("%s/sendoff.db", config->folder);
        r = files_open(&st->files, config->folder, cause);
        if (r == FILES_LOCKED)
                r = STORE_LOCKED;
        if (r == 0)
                r = engine_open(&st->engine, cause);
        if (r == 0)
                r = engine_sweep(&st->engine, cause);
        if (r == 0 && pthread_create(&st->thread, NULL, store_thread, st) != 0)
                r = cause_set(cause, -EAGAIN, "no thread for the store");
        if (r != 0) {
                store_release(st);
                return r;
        }
        if (pthread_create(&st->checkpointer, NULL, checkpoint_thread, st) != 0)
                abort();
        *out = st;
        return 0;
}

void store_close(struct store *st)
{
        if (!st)
                return;
        pthread_mutex_lock(&st->mutex);
        st->stop = true;
        pthread_cond_broadcast(&st->work);
        pthread_cond_broadcast(&st->checkpoint);
        pthread_mutex_unlock(&st->mutex);
        pthread_join(st->thread, NULL);
        pthread_join(st->checkpointer, NULL);
        store_drain(st);
        store_release(st);
}
