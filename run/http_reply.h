/* The head of an http reply, from libcurl's header lines. Pure. */
#ifndef SENDOFF_RUN_HTTP_REPLY_H
#define SENDOFF_RUN_HTTP_REPLY_H

#include "base/buf.h"
#include "base/cause.h"
#include "net/cgi.h"

struct http_reply {
        struct buf lines; /* of the fields so far, each "name: value\n" */
        bool begun;       /* there was a status line */
        bool done;        /* the head is complete; what comes now are trailers */
        int status;
        char reason[64];
        unsigned count;
};

void http_reply_init(struct http_reply *r);
void http_reply_fini(struct http_reply *r);  /* twice is harmless */
void http_reply_clear(struct http_reply *r); /* for another reply */

enum { HTTP_REPLY_HEAD = 1 };

/* One line, with or without its end. 0: more is to come. HTTP_REPLY_HEAD: this was the end of the head of the
 * reply itself (those with a 1xx status are skipped). -EPROTO with cause: it is malformed; -EMSGSIZE: more
 * than CGI_HEAD_MAX bytes or CGI_HEADERS_MAX fields. */
int http_reply_line(struct http_reply *r, struct slice line, struct cause *cause)
        __attribute__((warn_unused_result));

/* Once it is done: 0, or -EPROTO with cause (a malformed field, two lengths). Fields of the connection
 * are left out; so is a Content-Length that a Transfer-Encoding overrides (RFC 9112, 6.3). Points into r. */
int http_reply_head(const struct http_reply *r, struct cgi_head *out, struct cause *cause)
        __attribute__((warn_unused_result));

/* The value of the first Location field; false when there is none. */
bool http_reply_location(const struct http_reply *r, struct slice *value);

#endif
