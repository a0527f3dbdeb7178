/* Speaking to the server: finding it, asking, and saying what went wrong. */
#ifndef SENDOFF_CMD_TALK_H
#define SENDOFF_CMD_TALK_H

#include <stdbool.h>

#include "cmd/record.h"
#include "lib/client.h"

struct talk {
        struct client *client;
        char *server; /* where it was looked for */
};

/* server: --server's value, or NULL: then SENDOFF_SERVER, then the default socket. EXIT_OK or EXIT_USAGE
 * (said on stderr). */
int talk_open(struct talk *t, const char *server);
void talk_close(struct talk *t);

/* Asks; body NULL for none. EXIT_OK whatever the status, EXIT_SERVER when there is no server or no whole
 * reply (said on stderr). Finish the reply in every case. */
int talk_ask(struct talk *t, const char *method, const char *path, struct slice headers,
             const struct spool *body, struct client_reply *reply);

/* Says a refusal (problem+json's detail, else the status) on stderr, with `what` in front; returns
 * EXIT_SERVER. */
int talk_refused(const char *what, const struct client_reply *reply);

/* The reply's JSON, the caller's; NULL (said on stderr) when it is none. */
json_t *talk_json(const struct client_reply *reply);

/* The record of a job, asked for with a wait of wait_s seconds (0: none). EXIT_OK and *job; EXIT_SERVER,
 * said. */
int talk_job(struct talk *t, const char *id, int wait_s, json_t **job);
/* Until the job is in a final state or timeout_ms (0: none) is over; then *job is what it is. */
int talk_wait(struct talk *t, const char *id, int64_t timeout_ms, json_t **job);
/* A page of at most `limit` jobs in these states (NULL: all), the caller's, newest first. *cursor says where
 * it begins (NULL: at the first) and is replaced by where the next one does, NULL behind the last; the caller
 * frees it. EXIT_OK; EXIT_USAGE: no such state; EXIT_SERVER. Said. */
int talk_page(struct talk *t, const char *state, uint64_t limit, char **cursor, json_t **page);
#define TALK_PAGE_MAX 500
/* The script's reply body to the file at `path` (NULL: stdout), its status line and headers first when asked.
 * Nothing is written, and no file made, unless there is a result. EXIT_OK; EXIT_USAGE when the file cannot be
 * written; EXIT_SERVER. Both said. */
int talk_result(struct talk *t, const char *id, bool headers, const char *path);

/* An id, also out of a status URL: the last 28 characters that form one. NULL when there is none, else out.
 */
#define TALK_ID_SIZE 32
const char *talk_id(const char *text, char out[TALK_ID_SIZE]);
/* That argv from optind on holds ids, one at least. EXIT_OK or EXIT_USAGE, said. */
int check_ids(const char *verb, int argc, char **argv);
/* That the text can be names of states, with commas between: EXIT_OK or EXIT_USAGE, said. */
int check_states(const char *verb, const char *text);

#endif
