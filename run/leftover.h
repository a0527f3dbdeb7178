/* What a server that was killed has left behind: programs that its scripts were waiting for (exec(),
 * proc_open()). The workers die with their server (PR_SET_PDEATHSIG), their children do not: they go on with
 * a run that will be done again. Each worker is the leader of a session of its own, and its number is noted
 * in the runtime folder; the next server ends what is left of these sessions before its first run. What made
 * itself a session of its own (setsid) is left alone: it was meant to stay. */
#ifndef SENDOFF_RUN_LEFTOVER_H
#define SENDOFF_RUN_LEFTOVER_H

/* Notes that worker `number` is the leader of session `pid`: FOLDER/w<number>.pid. */
void leftover_note(const char *folder, int number, int pid);
void leftover_forget(const char *folder, int number);
/* Ends what is left of all noted sessions whose leader is dead, waits until it is gone (a second at most),
 * and removes the notes. Returns how many processes were ended. */
unsigned leftover_end(const char *folder);

#endif
