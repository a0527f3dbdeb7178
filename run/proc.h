/* What /proc knows of a process (proc(5)). */
#ifndef SENDOFF_RUN_PROC_H
#define SENDOFF_RUN_PROC_H

#include <stdbool.h>
#include <stdint.h>

/* Whether it has a handler for the signal (SigCgt): a signal whose default is to kill is sent to such a
 * process only. */
bool proc_catches(int pid, int signum);
/* Sends the signal to everything the process has started, children's children first; at most
 * PROC_SIGNALLED_MAX. */
#define PROC_SIGNALLED_MAX 256
void proc_signal_children(int pid, int signum);
/* CPU time it has used, user and system, microseconds; -1 when there is no such process. */
int64_t proc_cpu_us(int pid);

#endif
