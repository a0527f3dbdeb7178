/* HTTP/1.x message heads (RFC 9112), parsed in one go once they are complete, without a copy: every slice
 * points into the bytes given. Strict where the RFC is: what two parsers could read differently is refused,
 * never repaired. Pure: no fd, no clock, no allocation. */
#ifndef SENDOFF_NET_HTTP1_H
#define SENDOFF_NET_HTTP1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bounds.h"
#include "base/buf.h"
#include "base/cause.h"
#include "base/slice.h"

struct http1_header {
        struct slice name;
        struct slice value; /* without the white space around it */
};

enum http1_framing {
        HTTP1_NO_BODY,
        HTTP1_LENGTH,      /* content_length bytes follow */
        HTTP1_CHUNKED,     /* chunks follow (net/chunked.h) */
        HTTP1_UNTIL_CLOSE, /* replies only */
};

struct http1_request {
        struct slice method; /* a token; case matters */
        struct slice target; /* as sent */
        struct slice path;   /* of origin-form and absolute-form, undecoded, starts with '/'; "*" for
                                asterisk-form */
        struct slice query;  /* after '?', undecoded */
        bool has_query;
        struct slice host; /* the authority: of an absolute-form target, else the Host field (RFC
                              9112, 3.2.2); with its port. Empty only in HTTP/1.0 */
        int minor;         /* of HTTP/1.minor: 0 or 1 (a higher one counts as 1) */
        enum http1_framing framing;
        uint64_t content_length;
        bool keep_alive;      /* what the sender wants: Connection and the version considered */
        bool expect_continue; /* 100-continue, and HTTP/1.1 */
        size_t header_count;
        struct http1_header headers[HTTP_HEADERS_MAX];
};

struct http1_response {
        int status; /* 100 … 599 */
        struct slice reason;
        int minor;
        enum http1_framing framing; /* for a reply to a request that was not HEAD or CONNECT */
        uint64_t content_length;
        bool keep_alive;
        size_t header_count;
        struct http1_header headers[HTTP_HEADERS_MAX];
};

/* Looks for the end of a head (the empty line). *scanned starts at 0 and remembers how far earlier calls got,
 * so that a head that comes byte by byte is read once. Returns the length of the head including the empty
 * line, or 0 when there is more to come; 1 when the first byte begins no head, so that the parser refuses it
 * at once instead of waiting for a line that never comes. Empty lines before a request line are not skipped
 * here: drop one CRLF at most before the first byte (RFC 9112, 2.2) with http1_skip_empty. */
size_t http1_head_length(struct slice bytes, size_t *scanned);
size_t http1_skip_empty(struct slice bytes); /* 2 when bytes start with CRLF, else 0 */

/* head: exactly one request head including the empty line. Returns 0, or the status to answer before closing:
 * 400 (malformed, both lengths, unknown form, bad Host), 431 (more than HTTP_HEADERS_MAX fields), 501 (a
 * transfer coding other than chunked, a method longer than JOB_METHOD_MAX), 505 (not HTTP/1.x), with the
 * reason in cause. Refused with 400 among others: bare CR or LF, white space before a colon or the first
 * field (obs-fold), a missing or repeated Host in HTTP/1.1, two different or malformed Content-Length
 * (identical repeats are refused too), Content-Length beside Transfer-Encoding, Transfer-Encoding in
 * HTTP/1.0, control bytes in values, a target with bytes outside 0x21-0x7e, a fragment in it, authority-form
 * (CONNECT gets 501), asterisk-form except for OPTIONS.
 */
int http1_request_parse(struct slice head, struct http1_request *req, struct cause *cause);

/* The same for a reply head: 0 or -EPROTO with the reason in cause. */
int http1_response_parse(struct slice head, struct http1_response *rsp, struct cause *cause);

/* The first field of that name, NULL when there is none. Names compare without case. */
const struct http1_header *http1_find(const struct http1_header *headers, size_t count, struct slice name);

/* Whether a comma-separated list field (all its occurrences) holds the token, without case:
 * http1_has_token(h, n, SLICE("connection"), SLICE("close")). */
bool http1_has_token(const struct http1_header *headers, size_t count, struct slice name, struct slice token);

bool http1_is_token(struct slice s);       /* RFC 9110, 5.6.2; not empty */
bool http1_is_field_value(struct slice s); /* no control bytes but HTAB; safe to write into a head */

/* Walk a stored header block, "Name: value\r\n" lines as http1_block_add wrote them: false at the end. */
bool http1_block_next(struct slice *rest, struct http1_header *out);
/* Adds a line. 0; BUF_FULL; -ENOMEM; -EINVAL when name is no token or value no field value (nothing added).
 */
int http1_block_add(struct buf *block, struct slice name, struct slice value)
        __attribute__((warn_unused_result));

/* The standard reason phrase, "Unknown" for others. Never NULL. */
const char *http1_reason(int status);

#endif
