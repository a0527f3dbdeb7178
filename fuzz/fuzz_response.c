/* Reply heads, and header blocks. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "net/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct http1_response *rsp = calloc(1, sizeof(*rsp));
        struct cause cause;
        struct http1_header h;
        struct slice rest;
        char *head = malloc(size ? size : 1);

        assert(rsp && head);
        memcpy(head, data, size);
        rest = (struct slice){ head, size };
        if (http1_response_parse(rest, rsp, &cause) == 0) {
                assert(rsp->status >= 100 && rsp->status <= 599);
                assert(rsp->framing != HTTP1_UNTIL_CLOSE || !rsp->keep_alive);
        }
        while (http1_block_next(&rest, &h))
                assert(h.name.ptr >= head && h.value.ptr + h.value.len <= head + size);
        free(head);
        free(rsp);
        return 0;
}
