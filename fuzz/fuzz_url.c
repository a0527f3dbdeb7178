/* Paths: what url_path_normalise accepts starts with '/', has no empty, "." or ".." segment and no NUL, and
 * is itself its own normal form when it is encoded again. */
#include <assert.h>
#include <string.h>

#include "net/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct slice path)
{
        struct slice rest = slice_from(path, 1), piece;
        bool last = false;

        assert(path.len > 0 && path.ptr[0] == '/' && !memchr(path.ptr, '\0', path.len));
        while (!last && slice_cut(&rest, '/', &piece)) {
                last = rest.ptr == NULL;
                assert(last || piece.len > 0);
                assert(!slice_eq(piece, SLICE(".")) && !slice_eq(piece, SLICE("..")));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct slice raw = { (const char *)data, size }, value;
        struct buf path, coded, again;

        buf_init(&path, 1 << 20);
        buf_init(&coded, 1 << 22);
        buf_init(&again, 1 << 22);
        if (size && url_path_normalise(raw, &path) == 0) {
                check(buf_slice(&path));
                assert(url_encode(buf_slice(&path), true, &coded) == 0);
                assert(url_path_normalise(buf_slice(&coded), &again) == 0);
                assert(slice_eq(buf_slice(&path), buf_slice(&again)));
        }
        buf_clear(&path);
        if (url_decode(raw, true, &path) == 0)
                assert(buf_len(&path) <= size);
        url_query_get(raw, SLICE("wait"), &value);
        url_glob("/a*b?c*", raw);
        buf_fini(&path);
        buf_fini(&coded);
        buf_fini(&again);
        return 0;
}
