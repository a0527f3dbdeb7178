/* One FastCGI worker: a process that sendoff started, its listener, the one connection kept to it, and the
 * request that is on it. Shared by worker.c (state and connection), process.c, fastcgi.c (a request) and
 * pool.c (the set).
 *
 *            spawn          answers a probe       request          END_REQUEST
 *     DOWN ────────▶ STARTING ──────────────▶ IDLE ───────▶ BUSY ─────────────▶ IDLE
 *      ▲                                      ▲  │           │
 *      │                      answers a probe │  ▼           ▼ connection closed: the caller is gone,
 *      │                                      └─ GONE ◀──────┘ or the reply was of no use
 *      │ reaped
 *      └───── ENDING ◀── from any state: died, recycled (SIGTERM), stopped (SIGKILL)
 *
 * GONE: a script may still be running on it, for nobody; it answers the probe when that has ended, and only
 * then its run is over.
 *
 * An outside pool's worker is a turn to connect to it: DOWN while the pool cannot be reached, never GONE. Its
 * connections are not kept: one that is kept would pin a process of that pool, and a request on it could meet
 * its end without a way to tell whether it was begun.
 *
 * The kept connection is made when the first request comes, not before: php-cgi hangs up on a connection that
 * says nothing within five seconds of being accepted, but waits for ever between two requests. */
#ifndef SENDOFF_RUN_WORKER_H
#define SENDOFF_RUN_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

#include "base/cause.h"
#include "run/control.h"
#include "run/run.h"

#define WORKER_PARENT_VARIABLE "SENDOFF_WORKER_PARENT"
#define WORKER_PATH_SIZE       108  /* of a socket's path, as in sockaddr_un */
#define WORKER_LINE_MAX        1024 /* of its stderr; longer ones are logged in pieces */

struct pool;
struct request; /* fastcgi.c's */
struct worker;

enum worker_state {
        WORKER_DOWN,
        WORKER_STARTING,
        WORKER_IDLE,
        WORKER_BUSY,
        WORKER_GONE,
        WORKER_ENDING,
        WORKER_STATES,
};

/* A connection to the worker; its memory outlives the worker's interest in it, as libuv's close is later. */
struct link {
        uv_pipe_t pipe;
        uv_shutdown_t shutdown;
        struct worker *worker; /* NULL once it is dropped */
        bool probe;            /* asks GET_VALUES; otherwise the kept one */
};

struct process {
        uv_process_t handle;
        uv_pipe_t err;
        struct worker *worker; /* NULL once it is reaped */
        int number;            /* the worker's */
        unsigned open;         /* handles not closed yet */
        char line[WORKER_LINE_MAX];
        size_t line_len;
};

struct worker {
        struct pool *pool;
        int number; /* from 1 */
        enum worker_state state;
        struct process *process; /* NULL when there is none, or it is reaped */
        int pid;
        struct link *link;
        struct request *request; /* BUSY; GONE and ENDING with a run that is not over */
        struct control *control; /* SENDOFF_CONTROL of its runs; NULL for an outside pool */
        bool own_control;        /* the last run had it for itself */
        unsigned controls;       /* made so far */
        uv_timer_t timer;        /* DOWN: the next start; STARTING: a warning; BUSY, GONE: asking, put off;
                                    ENDING: SIGKILL */
        uint64_t served;         /* requests since it was spawned */
        int64_t spawned_ms, begun_ms; /* begun_ms: its last request */
        unsigned failures;            /* in a row */
        bool reaped;
        bool blameless;             /* its end was our doing: no backoff */
        bool asked;                 /* worker_ask has sent its signal during this request */
        bool unreachable;           /* an outside pool that does not take connections */
        int exit_code, term_signal; /* once reaped */
};

/* What every worker of a pool is started with. */
struct worker_setup {
        uv_loop_t *loop;
        char *self;
        char **args;         /* self, "worker-exec", words… */
        const char *program; /* the last part of the first word, for sentences */
        char *outside;       /* NULL: the workers are ours */
        bool php;
        char **env;
        char *folder;
        uint64_t requests_max;
        unsigned backoff_ms_max;
};

/* pool.c */
const struct worker_setup *pool_setup(const struct pool *pool);
char *pool_read_buffer(struct pool *pool, size_t *size);
void pool_worker_idle(struct pool *pool, struct worker *w); /* can take a request; pool_announce follows */
void pool_worker_not_idle(struct pool *pool, const struct worker *w);
void pool_announce(struct pool *pool); /* tells the owner when there are free workers; may start runs */
void pool_worker_down(struct pool *pool, struct worker *w); /* reaped: starts another one, or counts it out */
void pool_count_death(struct pool *pool);
void pool_count_start(struct pool *pool);
bool pool_is_stopping(const struct pool *pool);

/* process.c */
/* Starts the worker's program with the listener (the caller's) as its fd 0. 0, or < 0 and NULL. */
int process_start(struct process **out, struct worker *w, int listener);

/* worker.c */
void worker_init(struct worker *w, struct pool *pool, int number);
/* The path of its socket, cut at size: the length it would have. */
size_t worker_path(const char *folder, int number, char *out, size_t size);
/* DOWN → STARTING; when it fails it is logged and tried again later. */
void worker_spawn(struct worker *w);
void worker_reaped(struct worker *w, int exit_code, int term_signal);
void worker_spawn_later(struct worker *w, unsigned ms);
unsigned worker_backoff_ms(const struct worker *w);
void worker_end(struct worker *w,
                int signum);       /* → ENDING; a connection with a run on it stays until the run ends */
int worker_open(struct worker *w); /* makes the kept connection where there is none: 0 or < 0 */
void worker_set_reading(struct worker *w, bool on);
void worker_drop_link(struct worker *w); /* closes the connection, whatever it is */
/* The connection is closed while the script may go on: → GONE; an outside worker just loses it. */
void worker_leave(struct worker *w);
void worker_unreachable(struct worker *w); /* no connection can be made to it: killed */
/* Politely: PHP by SIGPROF, which is its own time limit (shutdown functions run, the worker lives on), and
 * SIGTERM to the programs it is waiting for. Put off while PHP may not have begun with the request: it would
 * not notice, or die. Another program by SIGTERM: it is not used again, even if it goes on. */
void worker_ask(struct worker *w);
/* "unix:/path", "127.0.0.1:9000", "[::1]:9000": numbers only, so that nothing has to be looked up. 0,
 * -EINVAL, -ENAMETOOLONG. */
int worker_outside_address(const char *outside, struct sockaddr_storage *out, socklen_t *len);
bool worker_is_outside(const struct worker *w);
int64_t worker_cpu_us(const struct worker *w); /* CPU time of the process so far; -1 unknown */

/* The FIFO for the next run: its path, NULL where there is none. A fresh one when the run is to have it for
 * itself, and when the last one had, or has used it. Draining hands what is in it to the request. */
const char *worker_control(struct worker *w, bool own);
void worker_drain_control(struct worker *w);

/* fastcgi.c says that its request is over: → IDLE, or GONE when the connection is of no more use, or
 * recycled. */
void worker_request_over(struct worker *w, bool connection_good);
void worker_move(struct worker *w, enum worker_state to);

/* fastcgi.c */
void fastcgi_read(struct request *q, struct slice bytes);
void fastcgi_eof(struct request *q);          /* the connection has ended */
void fastcgi_reaped(struct request *q);       /* the process has been reaped */
void fastcgi_script_ended(struct request *q); /* GONE, and it has answered */
void fastcgi_control(struct request *q, struct slice line);

#endif
