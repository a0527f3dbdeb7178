/* The FastCGI decoder: fed at once and cut at a place the input chooses, it reports the same stream. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "net/fcgi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Writes what was seen in a form that does not depend on where the input was cut. */
static int feed(struct fcgi_decoder *d, const char *bytes, size_t size, struct buf *out)
{
        struct slice in = { bytes, size };
        struct fcgi_event event;
        struct cause cause;
        int r;

        while ((r = fcgi_decode(d, 1, &in, &event, &cause)) == 0) {
                if (event.what == FCGI_SAW_STDOUT || event.what == FCGI_SAW_STDERR) {
                        assert(event.data.len > 0 && event.data.ptr >= bytes &&
                               event.data.ptr + event.data.len <= bytes + size);
                        for (size_t i = 0; i < event.data.len; i++) {
                                char seen[2] = { (char)event.what, event.data.ptr[i] };

                                assert(buf_append(out, seen, sizeof(seen)) == 0);
                        }
                } else {
                        assert(buf_printf(out, "[%d %u %d]", event.what,
                                          event.what == FCGI_SAW_END ? event.app_status : 0,
                                          event.what == FCGI_SAW_END ? event.protocol_status : 0) == 0);
                }
        }
        assert(r < 0 || in.len == 0);
        return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct fcgi_decoder whole, parts;
        struct buf a, b;
        char *bytes;
        size_t cut;
        int r, s;

        if (size < 2)
                return 0;
        cut = ((size_t)data[0] << 8 | data[1]) % (size - 1);
        data += 2;
        size -= 2;
        if (cut > size)
                cut = size;
        bytes = malloc(size ? size : 1);
        assert(bytes);
        memcpy(bytes, data, size);
        buf_init(&a, 1 << 24);
        buf_init(&b, 1 << 24);
        fcgi_decoder_init(&whole);
        fcgi_decoder_init(&parts);
        r = feed(&whole, bytes, size, &a);
        s = feed(&parts, bytes, cut, &b);
        if (s == FCGI_MORE)
                s = feed(&parts, bytes + cut, size - cut, &b);
        assert(r == s && slice_eq(buf_slice(&a), buf_slice(&b)));
        buf_fini(&a);
        buf_fini(&b);
        free(bytes);
        return 0;
}
