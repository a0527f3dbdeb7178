/* The head of a CGI reply (RFC 3875, 6), as php-cgi and other FastCGI programs print it: lines that end in
 * CRLF or LF, Status, Location and the rest. Pure. */
#ifndef SENDOFF_NET_CGI_H
#define SENDOFF_NET_CGI_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cause.h"
#include "base/slice.h"
#include "net/http1.h"

struct cgi_head {
        int status;          /* from Status; 302 for a Location without one; else 200 */
        struct slice reason; /* the text after the status number, may be empty */
        bool has_length;
        uint64_t content_length;
        bool has_type;       /* there is a Content-Type */
        size_t header_count; /* without Status; hop-by-hop fields (Connection, Keep-Alive, Transfer-Encoding,
                                Upgrade, Trailer, Proxy-*) are left out */
        struct http1_header headers[CGI_HEADERS_MAX];
        bool close; /* the script said Connection: close */
};

/* Fields of the one connection they come on (RFC 9110, 7.6.1): Connection, Keep-Alive, Transfer-Encoding,
 * Upgrade, Trailer, TE and Proxy-*. */
bool cgi_is_hop_by_hop(struct slice name);

/* Length of the head including its empty line, 0 when more is to come. *scanned as in http1_head_length. */
size_t cgi_head_length(struct slice bytes, size_t *scanned);
/* 0, or -EPROTO with the reason in cause (no colon, a name that is no token, control bytes, a status outside
 * 100…599, two different lengths, too many fields). A head with no field at all
 * ("\r\n" only) is fine. 1xx statuses are refused too. */
int cgi_head_parse(struct slice head, struct cgi_head *out, struct cause *cause);

#endif
