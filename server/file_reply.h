/* What to answer to a request for a static file: status, header lines and which bytes. Pure: looks at the
 * request and a struct stat, touches no file and no clock. */
#ifndef SENDOFF_SERVER_FILE_REPLY_H
#define SENDOFF_SERVER_FILE_REPLY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "net/http1.h"

struct file_reply {
        int status;             /* 200, 204 (OPTIONS), 206, 304, 405, 412, 416 */
        struct buf headers;     /* "Name: value\r\n" lines, without Content-Length: exchange_head adds it */
        uint64_t first, length; /* the part of the file that is the body; 0, 0 without one */
        bool has_body; /* 200 and 206: there is a body, which HEAD leaves unsent but whose length it is told
                        */
};

/* Conditions in the order of RFC 9110, 13.2.2; a single byte range for GET (14.2). name decides the type
 * (server/mime.h). Always fills *out; finish it with file_reply_fini. */
void file_reply_decide(struct file_reply *out, struct slice method, const struct http1_header *headers,
                       size_t count, const struct stat *st, const char *name);
void file_reply_fini(struct file_reply *reply); /* twice is harmless */

#endif
