/* A server for tests that plays fixed bytes: one thread, one unix socket, a play for each request in turn. */
#ifndef SENDOFF_TESTS_CMD_PLAYER_H
#define SENDOFF_TESTS_CMD_PLAYER_H

#include <pthread.h>
#include <stdbool.h>

#include "base/buf.h"

#define PLAYS_MAX 16

struct play {
        const char *bytes;
        size_t len; /* 0: of the string */
        bool close; /* end the connection afterwards */
        bool drip;  /* a byte a write */
        bool early; /* answer once the head is there, and do not read the body */
        bool hold;  /* then say nothing more until the test is over */
};

struct player {
        char folder[64], path[96], address[112];
        struct play plays[PLAYS_MAX]; /* the player's own: the caller's may be gone before its thread is */
        size_t count;
        struct buf requests[PLAYS_MAX]; /* as they came; read them after player_stop */
        size_t played, connections;
        int listener, over[2];
        pthread_t thread;
};

void player_start(struct player *p, const struct play *plays, size_t count);
void player_stop(struct player *p); /* waits for its thread */
void player_fini(struct player *p); /* after player_stop */

/* Of a request that came: its first line, a header's value (empty when there is none), its body. */
struct slice player_line(const struct player *p, size_t i);
struct slice player_header(const struct player *p, size_t i, const char *name);
struct slice player_body(const struct player *p, size_t i);

#endif
