/* The chunked transfer coding (RFC 9112, 7.1): a decoder that takes bytes as they come, and the lines of an
 * encoder. Pure. */
#ifndef SENDOFF_NET_CHUNKED_H
#define SENDOFF_NET_CHUNKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cause.h"
#include "base/slice.h"

struct chunked {
        int state;
        uint64_t left; /* of the chunk under way */
        size_t line;   /* bytes of the size line (without its CRLF) or trailer section so far */
        unsigned digits;
};

enum {
        CHUNKED_MORE = 1, /* all input is used up and the body goes on */
};

void chunked_init(struct chunked *c);

/* Takes bytes off *in and sets *data to the next piece of content (a view into the input; empty when this
 * call met only framing). Call until it stops returning 0 with data, that is: returns 0 with data->len > 0
 * (call again); CHUNKED_MORE (*in is empty, data empty); 2 = CHUNKED_DONE: the body is complete, *in holds
 * what follows it; -EPROTO with the reason in cause: answer 400 and close. Strict: sizes are hex digits only
 * (at most 15), CRLF everywhere, extensions and trailers are read over and dropped, HTTP_CHUNK_LINE_MAX and
 * HTTP_TRAILER_MAX bound them. */
enum { CHUNKED_DONE = 2 };
int chunked_read(struct chunked *c, struct slice *in, struct slice *data, struct cause *cause);

/* Writes the size line of a chunk of len bytes (len > 0) into out, returns its length. After the bytes comes
 * "\r\n", after the last chunk CHUNKED_END. */
#define CHUNKED_LINE_SIZE 20
#define CHUNKED_END       "0\r\n\r\n"
size_t chunked_line(char out[CHUNKED_LINE_SIZE], size_t len);

#endif
