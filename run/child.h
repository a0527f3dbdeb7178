/* What a process that is about to become another program starts with, whatever the server has changed for
 * itself. Both are async-signal-safe. */
#ifndef SENDOFF_RUN_CHILD_H
#define SENDOFF_RUN_CHILD_H

/* Default action for every signal, none blocked. Past glibc's signal(), which refuses the two that it keeps
 * for itself: whoever started the server may have left those ignored, too. */
void child_default_signals(void);

/* The server takes as many descriptors as it may have. A program that uses select() breaks above 1024, so
 * that is what it gets, as from systemd; the hard limit stays. */
void child_default_files(void);

#endif
