/* What the tests of run/ share: a loop with a pool on it, calls that keep what a run delivers, conditions
 * that are waited for. The test program is its own `sendoff`: started as `PROGRAM worker-exec …` it is
 * run/worker_exec.c, as `PROGRAM responder` a FastCGI program without any library (responder.c). */
#ifndef SENDOFF_TESTS_RUN_RIG_H
#define SENDOFF_TESTS_RUN_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run/cgi_env.h"
#include "run/pool.h"

#define RIG_FOLDER_SIZE 64

struct rig {
        uv_loop_t loop;
        uv_timer_t tick; /* so that conditions outside the loop are looked at */
        struct pool *pool;
        char folder[RIG_FOLDER_SIZE]; /* a fresh one; the pool's runtime folder is in it */
        bool stopped;
        unsigned freed; /* calls */
        unsigned backoff_ms_max;
};

struct call {
        struct rig *rig;
        struct job_request request;
        struct cgi_context context;
        struct buf headers_in;
        bool one_program; /* document root as script, as for --worker-for / */
        const char *path_info;
        bool own_control;
        struct run_limits limits; /* set when it has started; a grace of five seconds to begin with */
        struct run *run;
        int pid;

        bool ended, headed;
        int status;
        char *headers;                 /* the reply's, "Name: value\n" lines */
        struct buf data, log, control; /* control: lines, each with its end */
        uint64_t data_bytes;
        bool count_only; /* data is not kept */
        struct job_run how;
        void (*on_head)(struct call *call);
        void (*on_data)(struct call *call);
        void (*on_control)(struct call *call);
        void (*on_end)(struct call *call);
        bool paused;
        unsigned broken_promises; /* data while paused, after the end, before the head */
};

int rig_main(int argc, char **argv, int (*tests)(void)); /* a test program's main */
const char *rig_self(void);
int responder_main(void);

void rig_open(struct rig *rig, char *const *words, unsigned workers, uint64_t requests_max);
void rig_open_php(struct rig *rig, unsigned workers, uint64_t requests_max);
void rig_open_responder(struct rig *rig, unsigned workers);
void rig_open_outside(struct rig *rig, const char *where, unsigned connections);
void rig_close(struct rig *rig); /* stops the pool; fails when a handle is left on the loop */
int rig_setup_php(void **state); /* for cmocka: one worker each */
int rig_setup_responder(void **state);
int rig_teardown(void **state);
struct pool_stats rig_stats(const struct rig *rig);
char *rig_path(const struct rig *rig, const char *name); /* in the folder; to be freed */

/* Runs the loop until it is so; fails the test after half a minute. */
void rig_until(struct rig *rig, bool (*is_so)(void *arg), void *arg);
void rig_turn(struct rig *rig, unsigned ms); /* runs the loop for so long: for what must not happen */
void rig_until_free(struct rig *rig, unsigned workers);
void rig_until_file(struct rig *rig, const char *path);
void rig_until_dead(struct rig *rig, int pid);
bool rig_is_dead(int pid);             /* no such process, or not reaped yet */
char rig_state(int pid);               /* R, S, … of /proc/PID/stat; 0 when there is none */
char *rig_read_file(const char *path); /* to be freed */
void rig_touch(const char *path);

/* target: "/hello.php?x=1". Then call_header and so on, then call_start. */
void call_init(struct call *call, struct rig *rig, const char *method, const char *target);
void call_fini(struct call *call);
void call_header(struct call *call, const char *name, const char *value);
void call_body(struct call *call, const char *bytes, size_t len);
int call_try(struct call *call, struct cause *cause); /* of cgi_env_build or pool_start */
void call_start(struct call *call);
void call_until_end(struct call *call);
void call_run(struct call *call); /* start, and until the end */
/* A GET whose reply is wanted as text, to be freed. */
char *call_get(struct rig *rig, const char *target);
void call_expect(struct rig *rig, const char *target, const char *text); /* a GET must be answered so */
const char *call_text(struct call *call);                                /* data, NUL-terminated */
const char *call_control(struct call *call);
const char *call_log(struct call *call);

void rig_php_serves(struct rig *rig);

/* A call to a script of site/ that touches ?done.begun, watches ?until, and whose shutdown function writes
 * "connection_status pid" to ?done. */
struct script {
        struct rig *rig;
        char *until, *done, *begun;
};

void script_init(struct script *script, struct call *call, struct rig *rig, const char *name,
                 const char *extra); /* of the query: "&do=sleep" */
void script_fini(struct script *script);
void script_start(struct script *script, struct call *call); /* and until it has begun */
void script_until_done(struct script *script, int connection_status, int pid);
bool script_is_done(const struct script *script); /* its shutdown function has run */

/* site/work.php on the only worker of a rig. */
void work_init(struct script *script, struct call *call, struct rig *rig, const char *extra);
void work_fini(struct script *script, struct call *call);
/* It was stopped in PHP's way: the shutdown functions have run and seen the time limit, what they print has
 * arrived, the worker lives. */
void work_timed_out(struct script *script, struct call *call);

#endif
