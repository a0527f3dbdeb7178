/* The chunked decoder: fed at once and cut at a place the input chooses, it yields the same content and the
 * same verdict. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "net/chunked.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int feed(struct chunked *c, const char *bytes, size_t size, struct buf *out)
{
        struct slice in = { bytes, size }, piece;
        struct cause cause;
        int r;

        while ((r = chunked_read(c, &in, &piece, &cause)) == 0)
                assert(buf_append_slice(out, piece) == 0);
        assert(r == CHUNKED_DONE || r < 0 || in.len == 0);
        return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct chunked whole, parts;
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
        chunked_init(&whole);
        chunked_init(&parts);
        r = feed(&whole, bytes, size, &a);
        s = feed(&parts, bytes, cut, &b);
        if (s == CHUNKED_MORE)
                s = feed(&parts, bytes + cut, size - cut, &b);
        assert(r == s && slice_eq(buf_slice(&a), buf_slice(&b)));
        buf_fini(&a);
        buf_fini(&b);
        free(bytes);
        return 0;
}
