/* A small blocking HTTP/1.1 client for one server: a unix socket or host and port, one connection that is
 * kept. It is what the command line speaks to the control door with; no library is loaded for it, so that a
 * program starts in about a millisecond. One thread a client. */
#ifndef SENDOFF_LIB_CLIENT_H
#define SENDOFF_LIB_CLIENT_H

#include <stdint.h>

#include "base/buf.h"
#include "base/cause.h"
#include "base/spool.h"
#include "net/http1.h"

struct client;

enum { CLIENT_NO_SERVER = 1 }; /* nobody listens there; cause says what was tried */

/* server: "unix:/path", "http://host:port" or "host:port". timeout_ms: the longest silence that is borne, in
 * either direction; 0 none. The connection is made at the first request. 0; -EINVAL (cause). */
int client_new(struct client **out, const char *server, int timeout_ms, struct cause *cause)
        __attribute__((warn_unused_result));
void client_free(struct client *c); /* NULL is fine */
void client_set_timeout(struct client *c, int timeout_ms);

struct client_request {
        const char *method;
        const char *path;         /* with its query, encoded */
        struct slice headers;     /* more lines ("Name: value\r\n"); Content-Length is the client's, and Host:
                                     localhost unless one is here */
        const struct spool *body; /* NULL none */
};

struct client_reply {
        int status;
        struct buf headers; /* a block for http1_block_next */
        struct buf body;    /* what was not streamed; at most CLIENT_BODY_MAX */
};

#define CLIENT_BODY_MAX (64 << 20)

/* Where the reply's body goes as it comes, when `wanted` (asked once the head is there; NULL: always) says
 * so. A result other than 0 ends the request with it. */
struct client_sink {
        bool (*wanted)(void *arg, const struct client_reply *head);
        int (*take)(void *arg, struct slice bytes);
        void *arg;
};

/* One request and its whole reply. sink may be NULL. A GET is sent again once on a fresh connection when a
 * kept one turns out to be closed before any byte of a reply; nothing else is, because it may have been
 * carried out. 0; CLIENT_NO_SERVER; < 0 with cause
 * (-ETIMEDOUT, -EPROTO, -ECONNRESET, the sink's own). reply is to be finished in every case. */
int client_ask(struct client *c, const struct client_request *request, const struct client_sink *sink,
               struct client_reply *reply, struct cause *cause) __attribute__((warn_unused_result));
void client_reply_fini(struct client_reply *reply);

/* The value of a header of the reply; empty (ptr NULL) when there is none. */
struct slice client_reply_header(const struct client_reply *reply, struct slice name);

#endif
