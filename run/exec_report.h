/* What the server and `sendoff exec-run` say to each other: exec.c writes the command line and reads the
 * reports, exec_main.c the other way round.
 *
 * Signals to exec-run: SIGTERM asks the program's group to end, SIGUSR1 kills it for sure. Reports come
 * through fd 3, each in one write: EXEC_STARTED once there is a process, then EXEC_REFUSED or EXEC_ENDED,
 * last. */
#ifndef SENDOFF_RUN_EXEC_REPORT_H
#define SENDOFF_RUN_EXEC_REPORT_H

#include <stdint.h>

#include "job/job.h"
#include "run/exec.h"

#define EXEC_REPORT_FD 3
#define EXEC_LOCK_FD   4    /* only held open */
#define EXEC_GROUP_MS  5000 /* a killed group that is not gone by then is reported as it is */
#define EXEC_CPU_EXTRA 2    /* seconds of CPU from SIGXCPU to SIGKILL */

enum exec_report_what {
        EXEC_NOTHING,
        EXEC_STARTED, /* pid */
        EXEC_REFUSED, /* step, error: the program was never executed */
        EXEC_ENDED,   /* wait_status, cpu_ms, peak_rss_kb, left */
};

enum exec_step { /* on the way to the program */
                 EXEC_FORK,
                 EXEC_FOLDER,
                 EXEC_MEMORY,
                 EXEC_CPU,
                 EXEC_FILES,
                 EXEC_INTERPRETER, /* the program is there, what it needs to be loaded with is not */
                 EXEC_PROGRAM,
};

struct exec_report {
        int32_t what;
        int32_t pid; /* of the program, and its group */
        int32_t step, error;
        int32_t wait_status;
        int32_t left; /* processes of a killed group are still there */
        int64_t cpu_ms, peak_rss_kb;
};

/* What the server knows of it beside the report. */
struct exec_death {
        const char *program, *folder;
        struct exec_limits limits;
        int pid, exit_code, signal; /* of exec-run */
};

/* last: the last report; EXEC_NOTHING when there was none but EXEC_STARTED. */
struct job_run exec_report_result(const struct exec_report *last, const struct exec_death *death);
int64_t exec_cpu_seconds(int64_t ms); /* whole ones, rounded up: RLIMIT_CPU knows no others */

#endif
