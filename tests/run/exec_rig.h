/* What the tests of the exec runner share: a loop with a desk on it, and trials: programs whose output and
 * end are kept. The test program is its own `sendoff`, so `PROGRAM exec-run …` is run/exec_main.c. */
#ifndef SENDOFF_TESTS_RUN_EXEC_RIG_H
#define SENDOFF_TESTS_RUN_EXEC_RIG_H

#include "rig.h"
#include "run/exec.h"

struct bench {
        struct rig rig; /* without a pool */
        struct exec_desk *desk;
        char *runtime;
        int lock_fd;
        bool stopped;
};

struct trial {
        struct bench *bench;
        char **argv, **env;
        struct spool body;
        struct exec_limits limits;
        struct run *run;

        bool ended;
        struct buf out, err, control; /* control: lines, each with its end */
        uint64_t out_bytes;
        bool count_only; /* output is not kept */
        struct job_run how;
        void (*on_data)(struct trial *t);
        unsigned broken_promises; /* data while paused, anything after the end */
};

int exec_rig_main(int argc, char **argv, int (*tests)(void)); /* a test program's main */

void bench_open(struct bench *bench);
void bench_close(struct bench *bench); /* stops the desk; fails when a handle is left on the loop */
int bench_setup(void **state);
int bench_teardown(void **state);
/* Files in the folder of the rig; removing one asserts that it was there. */
void bench_write(struct bench *bench, const char *name, const char *text, mode_t mode);
void bench_remove(struct bench *bench, const char *name);
bool bench_is_stopped(void *bench);
void bench_on_stopped(void *bench);

void trial_init(struct trial *t, struct bench *bench, const char *program, ...) __attribute__((sentinel));
void trial_sh(struct trial *t, struct bench *bench, const char *script); /* sh -c script */
void trial_fini(struct trial *t);
void trial_body(struct trial *t, const char *text);
int trial_try(struct trial *t, struct cause *cause);
void trial_start(struct trial *t);
void trial_until_end(struct trial *t);
void trial_run(struct trial *t);        /* start, and until the end */
bool trial_has_ended(void *t);          /* for rig_until */
bool trial_has_output(void *t);         /* a whole line, for rig_until */
const char *trial_out(struct trial *t); /* NUL-terminated */
const char *trial_err(struct trial *t);
const char *trial_control(struct trial *t);
int trial_int(struct trial *t); /* the first line of its output, once it is there: a pid, say */
void trial_stop_after(struct trial *t, int64_t grace_ms); /* run_stop */

unsigned open_fds(void);
int parent_of(int pid); /* 0 when there is no such process */

#endif
