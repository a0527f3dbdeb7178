/* One FastCGI worker: a process that sendoff started, its listener, the one connection kept to it, and the
 * request that is on it. Shared by worker.c (process and connection), fastcgi.c (a request) and pool.c (the
 * set).
 *
 *            spawn           answers a probe        request                 END_REQUEST
 *   DOWN ──────────▶ STARTING ────────────▶ IDLE ─────────▶ BUSY ─────────────────────▶ IDLE
 *    ▲                   ▲                   │               │ caller gone: connection closed
 *    │ reaped            └─── probe again ───┼───────────────┴──▶ STARTING (answers when the script has
 * ended) └──── from any state: died, recycled (SIGTERM), stopped (SIGKILL) ── ENDING */
#ifndef SENDOFF_RUN_WORKER_H
#define SENDOFF_RUN_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/cause.h"
#include "run/run.h"

#define WORKER_PARENT_VARIABLE "SENDOFF_WORKER_PARENT"

struct pool;
struct worker;

enum worker_state {
        WORKER_DOWN,
        WORKER_STARTING,
        WORKER_IDLE,
        WORKER_BUSY,
        WORKER_ENDING,
        WORKER_STATES,
};

/* A connection to the worker; its memory outlives the worker's interest in it, as libuv's close is later. */
struct link {
        uv_pipe_t pipe;
        uv_connect_t connect;
        uv_shutdown_t shutdown;
        struct worker *worker; /* NULL once it is dropped */
        bool probe;            /* asks GET_VALUES; otherwise the kept one */
        bool connected;
};

struct process {
        uv_process_t handle;
        uv_pipe_t err;
        struct worker *worker;
        unsigned open;   /* handles not closed yet */
        char line[1024]; /* of its stderr */
        size_t line_len;
};

struct worker {
        struct pool *pool;
        int number; /* from 1 */
        enum worker_state state;
        struct process *process; /* NULL when down */
        int pid;
        struct link *link;
        struct run *run;  /* BUSY, or ENDING with a run that is not over */
        uv_timer_t timer; /* backoff, or the wait for the rest of an ending */
        uint64_t served;  /* since it was spawned */
        int64_t spawned_ms;
        unsigned failures; /* in a row */
        bool reaped;
        bool blameless;             /* its end was our doing: no backoff */
        int exit_code, term_signal; /* once reaped */
};

/* What every worker of a pool is started with. */
struct worker_setup {
        uv_loop_t *loop;
        char *self;
        char **args; /* self, "worker-exec", words… */
        char **env;
        char *folder;
        uint64_t requests_max;
        unsigned backoff_ms_max;
};

/* pool.c */
const struct worker_setup *pool_setup(const struct pool *pool);
char *pool_read_buffer(struct pool *pool, size_t *size);
void pool_worker_freed(struct pool *pool, struct worker *w);
void pool_worker_not_idle(struct pool *pool, struct worker *w); /* its kept connection ended */
void pool_worker_down(struct pool *pool,
                      struct worker *w); /* reaped: start another one, or count it as gone */
void pool_count_death(struct pool *pool);
void pool_count_start(struct pool *pool);

/* worker.c */
void worker_init(struct worker *w, struct pool *pool, int number);
int worker_spawn(struct worker *w,
                 struct cause *cause); /* DOWN → STARTING; 0 or < 0 (then it is tried again later) */
void worker_spawn_later(struct worker *w, unsigned ms);
unsigned worker_backoff_ms(const struct worker *w);
void worker_end(struct worker *w, int signum); /* → ENDING */
void worker_set_reading(struct worker *w, bool on);
void worker_drop_link(struct worker *w); /* closes the connection, whatever it is */
void worker_probe(struct worker *w); /* asks on a new connection whether it takes requests; → STARTING */
void worker_run_over(struct worker *w,
                     bool connection_good); /* fastcgi.c says so: → IDLE, or probed, or recycled */
void worker_move(struct worker *w, enum worker_state to);

/* fastcgi.c */
void fastcgi_read(struct run *run, struct slice bytes);
void fastcgi_eof(struct run *run);        /* the connection has ended */
void fastcgi_reaped(struct run *run);     /* the process has been reaped */
void fastcgi_drain_over(struct run *run); /* waited long enough for the other of the two */

#endif
