/* An exchange: one request that has wholly arrived and the reply to it. What a handler sees of a connection.
 *
 * Lifetime: the connection makes the exchange and hands it to the door's `request`. From then on exactly one
 * of two things ends it, and after either the handler must not touch it again: the handler calls exchange_end
 * (or exchange_abort), or the connection calls ops->gone because the caller hung up. The handler may do so
 * inside `request` or later. */
#ifndef SENDOFF_SERVER_EXCHANGE_H
#define SENDOFF_SERVER_EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"
#include "base/spool.h"
#include "job/id.h"
#include "net/http1.h"

struct conn;
struct exchange;

struct exchange_ops {
        void (*gone)(struct exchange *ex);    /* the caller hung up before the reply was complete */
        void (*drained)(struct exchange *ex); /* after exchange_data said EXCHANGE_SLOW: go on. NULL when
                                                 never needed */
};

struct exchange {
        struct conn *conn;
        const struct exchange_ops *ops; /* the handler's; NULL until it sets them (then gone just frees) */
        void *arg;                      /* the handler's */

        char *head; /* the bytes that req points into */
        struct http1_request req;
        struct spool body; /* whole; a handler that needs it longer moves it out (spool_move) */

        /* for the access log; set by the handler */
        int worker;
        char job[JOB_ID_SIZE];

        /* the reply's state, kept by exchange.c */
        int64_t began_ns;
        int status;
        uint64_t sent; /* body bytes */
        uint64_t left; /* of a promised Content-Length */
        bool has_length, chunked, no_body, close, slow;
};

enum { EXCHANGE_SLOW = 1 };

/* Begin the reply. block: header lines ("Name: value\r\n"…) without Content-Length, Transfer-Encoding,
 * Connection, Date and Server, which are added here. length: body bytes, or -1 when not known (then chunked,
 * or until close for HTTP/1.0). 204 and 304 have no body; HEAD gets the head only and swallows the body. */
void exchange_head(struct exchange *ex, int status, struct slice block, int64_t length);
/* Body bytes, copied. 0, or EXCHANGE_SLOW: taken, but the client is slow; stop until ops->drained. Bytes
 * beyond the promised length are dropped. */
int exchange_data(struct exchange *ex, struct slice bytes);
/* Whether all of a promised length has been handed over (or the reply has no body): nothing more can reach
 * the caller. */
bool exchange_complete(const struct exchange *ex);
/* The reply is over. When less came than was promised the connection is closed so that the caller notices.
 * Frees the exchange. */
void exchange_end(struct exchange *ex);
/* The reply cannot be completed: close the connection (so that the caller notices) and free the exchange.
 * Before exchange_head, answer something instead. */
void exchange_abort(struct exchange *ex);

/* A whole small reply in one call. type: Content-Type, NULL none. extra: more header lines, may be empty.
 * Ends the exchange. */
void exchange_reply(struct exchange *ex, int status, const char *type, struct slice extra, struct slice body);
/* problem+json (RFC 9457) with the status's reason phrase as title. detail is outside text or a cause; it is
 * escaped. Retry-After: retry_s when > 0; 503 and 507 always have one. Ends the exchange. */
void exchange_problem(struct exchange *ex, int status, int retry_s, const char *detail);
/* A reply body from a spool, sent with back-pressure; takes the spool over. `from` and `length` choose a
 * part. block as in exchange_head. Ends the exchange when done. */
void exchange_send_spool(struct exchange *ex, int status, struct slice block, struct spool *body,
                         uint64_t from, uint64_t length);

/* The caller's and our own address: "127.0.0.1:50412", "[::1]:50412", "unix:". Valid as long as the exchange.
 */
const char *exchange_remote(const struct exchange *ex);
const char *exchange_local(const struct exchange *ex);

/* The request target in origin-form: path and query, undecoded. */
struct slice exchange_target(const struct exchange *ex);

const struct http1_header *exchange_header(const struct exchange *ex, struct slice name);

#endif
