/* The pool of FastCGI workers that sendoff starts and owns. Each has a listening unix socket as its fd 0, one
 * connection that is kept from its first request on, and runs one request at a time. Workers are recycled
 * after requests_max requests, restarted when they die (with growing pauses when that is within a second of
 * their start, or before they have served a request), and dead when sendoff is, however that happens
 * (PR_SET_PDEATHSIG). */
#ifndef SENDOFF_RUN_POOL_H
#define SENDOFF_RUN_POOL_H

#include <stdint.h>
#include <uv.h>

#include "base/cause.h"
#include "run/run.h"

struct pool;

struct pool_config {
        uv_loop_t *loop;
        const char *self; /* path of the sendoff program: workers are started as `self worker-exec WORDS…`,
                             which ties their life to ours before exec */
        const char *outside; /* "unix:/path" or "host:port" of a FastCGI pool that somebody else keeps: then
                                self and argv are not used, and `workers` is how many requests it is given at
                                once, each on a connection of its own; NULL none */
        char *const *argv;   /* words of --worker, NULL-terminated; found along PATH */
        const char *runtime_folder; /* an existing private folder: sockets (w1.sock, …) and opcache/ are made
                                       in it */
        unsigned workers;
        uint64_t requests_max;    /* recycle after so many; 0 never */
        unsigned backoff_ms_max;  /* longest pause between restarts of a worker that keeps dying */
        void (*freed)(void *arg); /* a worker has become free: call pool_start again. From the loop only */
        void *arg;
};

struct pool_stats {
        unsigned workers, alive, free;
        unsigned busy; /* with those whose script goes on although its caller is gone */
        uint64_t started, died, requests;
};

enum { POOL_BUSY = 1 };

/* Starts the workers (they become free as they come up; `freed` tells). 0 or < 0 with cause: the program
 * cannot be found, the folder cannot be written or its path is too long for a socket's. Copies what config
 * points to. On failure *out is NULL. */
int pool_new(struct pool **out, const struct pool_config *config, struct cause *cause)
        __attribute__((warn_unused_result));

unsigned pool_free_workers(const struct pool *pool);
void pool_stats(const struct pool *pool, struct pool_stats *out);

struct pool_request {
        struct fcgi_params *params; /* complete but not ended (fcgi_params_end), request id 1: SENDOFF_CONTROL
                                       is added. Taken over (finished by the pool) when 0 is returned */
        const struct spool *body;   /* borrowed, whole, not changed until `end`. CONTENT_LENGTH in params must
                                       equal   its length (php-cgi hangs otherwise) */
        bool own_control; /* a FIFO that no earlier run knew: for jobs. Without it the worker's FIFO is used
                             again until somebody has written to it */
};

/* Give a request to a free worker. 0 and *out; POOL_BUSY when no worker is free (nothing taken); -ENOMEM. */
int pool_start(struct pool *pool, const struct pool_request *request, const struct run_handlers *handlers,
               void *arg, struct run **out) __attribute__((warn_unused_result));

/* Ends every worker: idle ones by SIGTERM, busy ones by SIGKILL, their runs then end with RUN_PUT_BACK ("the
 * server is shutting down"); what is left after two seconds gets SIGKILL. All are reaped before done is
 * called from the loop; in it or later, pool_free may be called. No new ones are started. */
void pool_stop(struct pool *pool, void (*done)(void *arg), void *arg);
void pool_free(struct pool *pool); /* only once pool_stop's done is called; NULL is fine */

/* The body of the hidden verb `sendoff worker-exec WORDS…`: PR_SET_PDEATHSIG(SIGKILL), check that the parent
 * still is who started us, default signal dispositions, exec. Returns only on failure: exit code 127 with a
 * message on stderr. */
int worker_exec_main(int argc, char **argv);

#endif
