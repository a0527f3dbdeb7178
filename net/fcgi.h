/* FastCGI 1.0 records: an encoder that respects how php-cgi really reads, and a decoder that takes bytes as
 * they come. Pure.
 *
 * php-cgi decodes every PARAMS record by itself: a name-value pair cut by a record's end makes it drop the
 * connection (PHP.md, 1). So records end at pair boundaries and one pair may not exceed FCGI_RECORD_MAX. */
#ifndef SENDOFF_NET_FCGI_H
#define SENDOFF_NET_FCGI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cause.h"
#include "base/slice.h"

enum {
        FCGI_BEGIN_REQUEST = 1,
        FCGI_ABORT_REQUEST = 2,
        FCGI_END_REQUEST = 3,
        FCGI_PARAMS = 4,
        FCGI_STDIN = 5,
        FCGI_STDOUT = 6,
        FCGI_STDERR = 7,
        FCGI_DATA = 8,
        FCGI_GET_VALUES = 9,
        FCGI_GET_VALUES_RESULT = 10,
        FCGI_UNKNOWN_TYPE = 11,
};

/* Name-value pairs of one request on their way to the wire: records are opened and closed as pairs are added.
 */
struct fcgi_params {
        struct buf out; /* finished and open PARAMS records */
        size_t open;    /* offset of the header of the open record */
        uint16_t request_id;
};

enum { FCGI_PAIR_TOO_LONG = 2 }; /* one pair above FCGI_RECORD_MAX: it cannot be sent to php-cgi at all */

void fcgi_params_init(struct fcgi_params *p, uint16_t request_id); /* at most FCGI_PARAMS_MAX encoded bytes */
void fcgi_params_fini(struct fcgi_params *p);
/* 0; BUF_FULL (FCGI_PARAMS_MAX passed); FCGI_PAIR_TOO_LONG; -ENOMEM. On anything but 0 nothing was added. */
int fcgi_params_add(struct fcgi_params *p, struct slice name, struct slice value)
        __attribute__((warn_unused_result));
/* Closes the open record and appends the empty one that ends the stream; p->out is then ready to be sent. */
int fcgi_params_end(struct fcgi_params *p) __attribute__((warn_unused_result));

/* Append a whole BEGIN_REQUEST record (role responder). 0; BUF_FULL; -ENOMEM. */
int fcgi_begin(struct buf *out, uint16_t request_id, bool keep_connection)
        __attribute__((warn_unused_result));
/* The 8 header bytes of a STDIN (or other) record with len content bytes, no padding. len 0 ends the stream.
 * len <= FCGI_RECORD_MAX. */
#define FCGI_HEADER_SIZE 8
void fcgi_header(char out[FCGI_HEADER_SIZE], int type, uint16_t request_id, size_t len);
/* Append a GET_VALUES record that asks for FCGI_MPXS_CONNS: the question that tells whether a worker answers.
 */
int fcgi_get_values(struct buf *out) __attribute__((warn_unused_result));

struct fcgi_decoder {
        unsigned char header[FCGI_HEADER_SIZE];
        size_t have;           /* header bytes so far */
        size_t left;           /* content bytes still to come */
        size_t padding;        /* padding bytes still to come */
        unsigned char body[8]; /* of END_REQUEST */
        size_t body_have;
};

enum fcgi_what {
        FCGI_SAW_STDOUT, /* data */
        FCGI_SAW_STDERR, /* data */
        FCGI_SAW_END,    /* app_status, protocol_status */
        FCGI_SAW_VALUES, /* a complete GET_VALUES_RESULT or UNKNOWN_TYPE; its content is not kept */
        FCGI_SAW_OTHER, /* a record for another request id, or of a type an application must not send; ignored
                           content */
};

struct fcgi_event {
        enum fcgi_what what;
        struct slice data; /* a view into the input; never empty for STDOUT and STDERR (empty records end a
                              stream and are not reported) */
        uint32_t app_status;
        int protocol_status; /* 0 FCGI_REQUEST_COMPLETE, 1 CANT_MPX_CONN, 2 OVERLOADED, 3 UNKNOWN_ROLE */
};

enum { FCGI_MORE = 1 };

void fcgi_decoder_init(struct fcgi_decoder *d);
/* Takes bytes off *in: 0 and an event; FCGI_MORE when *in is used up; -EPROTO (version not 1, END_REQUEST too
 * short) with the reason in cause. */
int fcgi_decode(struct fcgi_decoder *d, uint16_t request_id, struct slice *in, struct fcgi_event *event,
                struct cause *cause);

#endif
