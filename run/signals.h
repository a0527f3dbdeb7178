/* Signals of a process that is about to become another program. */
#ifndef SENDOFF_RUN_SIGNALS_H
#define SENDOFF_RUN_SIGNALS_H

/* Default action for every signal, none blocked. Past glibc's signal(), which refuses the two that it keeps
 * for itself: whoever started the server may have left those ignored, too. Async-signal-safe. */
void signals_default(void);

#endif
