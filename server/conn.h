/* A client's connection: the HTTP/1.1 server side on libuv. It reads heads and bodies (net/http1.h,
 * net/chunked.h), keeps order, notices a hang-up at once, bounds everything, and knows nothing of routes: its
 * door does.
 *
 *          bytes            head complete          body complete          reply ended, kept alive
 *   ──▶ HEAD ───▶ (parse) ─┬────────────▶ BODY ─────────────────▶ BUSY ─────────────────────────▶ HEAD
 *                          └── refused ────┴───── refused ─────────┴── reply ended, not kept ──▶ LINGER ──▶
 * closed
 *
 * BUSY: a handler has the exchange. Reading goes on into a bounded buffer (pipelining), so that the
 * connection's end is seen: then ops->gone. LINGER: our side is shut, what still arrives is dropped until the
 * peer closes or 2 s are over, so that the reply is not lost to a reset. */
#ifndef SENDOFF_SERVER_CONN_H
#define SENDOFF_SERVER_CONN_H

#include "server/door.h"

void conn_accept(struct door *door);         /* a connection is waiting at the listener */
size_t conn_memory(const struct conn *conn); /* bytes that its buffers and its body hold */
void conn_tick(struct conn *conn);           /* look at its deadline */
void conn_run(struct conn *conn);            /* it is dirty: take up buffered input, flush output */
bool conn_is_busy(const struct conn *conn);  /* it has an exchange, or unsent bytes */
void conn_drain(struct conn *conn);          /* close it when idle */
void conn_close(struct conn *conn);          /* now, whatever it does */
struct conn *conn_next(const struct conn *conn);
struct conn *conn_next_dirty(struct conn *conn); /* takes it off the dirty list */

/* For exchange.c */
struct door *conn_door(const struct conn *conn);
void conn_write(struct conn *conn, const void *bytes,
                size_t len); /* copied; flushed before the loop sleeps. A connection that cannot take it is
                                closed then */
void conn_printf(struct conn *conn, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool conn_is_slow(const struct conn *conn); /* more than CONN_OUT_HIGH is unsent */
void conn_exchange_ended(struct conn *conn, bool close);
const char *conn_remote(const struct conn *conn);
const char *conn_local(const struct conn *conn);

/* exchange.c's side */
struct exchange *exchange_new(struct conn *conn, struct slice head);
void exchange_free(struct exchange *ex);
void exchange_gone(struct exchange *ex); /* calls ops->gone, frees */

#endif
