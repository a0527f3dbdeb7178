/* A door: a listener, its connections, and the ticks and flushes they share. Front door and control door are
 * two of these with different routes. */
#ifndef SENDOFF_SERVER_DOOR_H
#define SENDOFF_SERVER_DOOR_H

#include <uv.h>

#include "base/bounds.h"
#include "base/cause.h"
#include "server/config.h"
#include "server/exchange.h"

struct access_log;
struct conn;

/* What a door must answer. It runs on the loop. */
struct door_ops {
        /* A whole request. See server/exchange.h for the exchange's lifetime. */
        void (*request)(void *arg, struct exchange *ex);
};

struct door_config {
        uv_loop_t *loop;
        const struct config
                *config; /* borrowed; limits and timeouts are read at use, so a reload counts at once */
        const struct door_ops *ops;
        void *arg;
        int files_fd;                  /* folder for big bodies */
        struct access_log *access_log; /* NULL none */
};

struct door {
        struct door_config c;
        union {
                uv_handle_t handle;
                uv_stream_t stream;
                uv_tcp_t tcp;
                uv_pipe_t pipe;
        } listener;
        uv_prepare_t flush; /* before the loop sleeps: what was written goes out */
        uv_timer_t tick;    /* deadlines of all connections */
        bool is_unix;
        bool draining;
        int handles; /* ours still open */
        char *address;
        struct conn *conns;
        unsigned conn_count;
        bool pressed; /* the connections held more than memory_max at the last tick */
        struct conn *dirty;
        int64_t now_ms; /* monotonic, at the last tick or read */
        char date[32];
        int64_t date_s;
        void (*closed)(void *arg);
        void *closed_arg;
        char read_buffer[CONN_READ_SIZE]; /* shared: a read is used up in its callback */
        char send_buffer[CONN_READ_SIZE]; /* shared: a piece of a spool on its way into a connection */
};

/* address: "ADDR:PORT" (port 0 picks one), "[::1]:80", "unix:PATH" (0660; a socket left by a dead server is
 * replaced, a live one is not). 0 or < 0 with cause. */
int door_new(struct door **out, const struct door_config *config, const char *address, struct cause *cause)
        __attribute__((warn_unused_result));
const char *door_address(const struct door *door); /* with the real port: "127.0.0.1:43567", "unix:/…" */
const char *door_date(struct door *door);          /* the Date field's value, made once a second */
void door_drain(
        struct door *door); /* no new connections, idle ones are closed, others after the reply under way */
/* Whether a request is under way at a connection, or a reply has not wholly left. */
bool door_is_busy(const struct door *door);
void door_close(struct door *door, void (*done)(void *arg),
                void *arg); /* everything now; done comes from the loop, then door_free */
void door_free(struct door *door);

#endif
