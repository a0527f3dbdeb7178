/* The server put together: loop, store, pool, doors, signals. */
#ifndef SENDOFF_SERVER_SERVER_H
#define SENDOFF_SERVER_SERVER_H

#include "server/config.h"

/* Runs until SIGTERM or SIGINT has been carried out. Prints the ready line on stdout. self_path: the program
 * itself, to start workers with. Returns the exit code: 0 after an orderly end, 2 when an option cannot be
 * carried out (no such folder), 3 when something else is in the way (address in use, data folder locked), the
 * reason said on stderr. Takes nothing over: the caller finishes config. */
int server_main(struct config *config, const char *self_path);

#endif
