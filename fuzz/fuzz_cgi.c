/* Heads of CGI replies. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "net/cgi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct cgi_head *head = calloc(1, sizeof(*head));
        size_t scanned = 0, again = 0, length = 0;
        struct cause cause;
        char *bytes = malloc(size ? size : 1);

        assert(head && bytes);
        memcpy(bytes, data, size);
        for (size_t n = 1; n <= size && !length; n++)
                length = cgi_head_length((struct slice){ bytes, n }, &scanned);
        assert(length == cgi_head_length((struct slice){ bytes, size }, &again));
        if (length && length < size) { /* exactly the head, so that the sanitizer sees a step too far */
                bytes = realloc(bytes, length);
                assert(bytes);
        }
        if (length && cgi_head_parse((struct slice){ bytes, length }, head, &cause) == 0) {
                assert(head->status >= 200 && head->status <= 599 && head->header_count <= CGI_HEADERS_MAX);
                for (size_t i = 0; i < head->header_count; i++) {
                        assert(http1_is_token(head->headers[i].name) &&
                               http1_is_field_value(head->headers[i].value));
                        assert(!slice_eq_nocase(head->headers[i].name, SLICE("transfer-encoding")));
                }
        }
        free(bytes);
        free(head);
        return 0;
}
