/* The exec runner: any program, no shell. Its stdin is the stored body, stdout and stderr are pipes, it is
 * the leader of a process group of its own.
 *
 * The server starts `sendoff exec-run`, which stays as the program's parent (run/exec_main.c): it sets
 * limits, passes on signals to the group, kills the group when the server is gone however that happened, and
 * reports how the program ended with its CPU time and peak memory. While it lives it holds the data folder's
 * lock, so that no next server can start the job again before this run is over.
 *
 * A run is over when the program is reaped and its pipes have ended, or DRAIN_MS after it was reaped: a
 * daemonised grandchild that holds them is left alone. */
#ifndef SENDOFF_RUN_EXEC_H
#define SENDOFF_RUN_EXEC_H

#include <stdint.h>
#include <uv.h>

#include "base/cause.h"
#include "base/spool.h"
#include "run/run.h"

struct exec_desk;

struct exec_config {
        uv_loop_t *loop;
        const char *self;           /* path of the sendoff program */
        const char *runtime_folder; /* an existing private folder for control FIFOs (x<n>.control) */
        const char *folder;         /* working directory of programs: the site's folder */
        int lock_fd;                /* passed to `exec-run` (not to the program); -1 none */
};

struct exec_limits { /* 0: as the server's own */
        int64_t memory, cpu_ms, files;
};

struct exec_request {
        char *const *argv; /* NULL-terminated; the first is found along PATH */
        char *const *env;  /* "NAME=value", NULL-terminated: all of it but SENDOFF_CONTROL, which is added */
        const struct spool *body; /* borrowed until `end` */
        struct exec_limits limits;
};

int exec_new(struct exec_desk **out, const struct exec_config *config, struct cause *cause)
        __attribute__((warn_unused_result));
/* Puts back what runs; done from the loop when all are reaped. */
void exec_stop(struct exec_desk *desk, void (*done)(void *arg), void *arg);
void exec_free(struct exec_desk *desk); /* after done; NULL is fine */

/* Starts the program. 0 and *out. < 0 with cause: it could not be started at all (no processes, no
 * descriptors; that may pass). A program that cannot be found or executed ends as RUN_FAILED, exit code 127
 * or 126, with the reason. Ended by a signal that nobody here sent: RUN_CRASHED with the signal; by SIGXCPU:
 * RUN_FAILED, the reason names the cpu limit. cpu_ms and peak_rss_kb are of the program and of the children
 * it has waited for. */
int exec_start(struct exec_desk *desk, const struct exec_request *request,
               const struct run_handlers *handlers, void *arg, struct run **out, struct cause *cause)
        __attribute__((warn_unused_result));

/* The body of the hidden verb `sendoff exec-run …`. */
int exec_main(int argc, char **argv);

#endif
