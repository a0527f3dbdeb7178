/* See random.h. */
#include "base/random.h"

#include <assert.h>
#include <errno.h>
#include <sys/random.h>

int random_bytes(void *out, size_t len)
{
        char *at = out;

        while (len > 0) {
                ssize_t n = getrandom(at, len, 0);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                at += n;
                len -= (size_t)n;
        }
        return 0;
}

int random_hex(char *out, size_t digits)
{
        static const char hex[] = "0123456789abcdef";
        unsigned char bytes[32];
        int r;

        assert(digits % 2 == 0 && digits <= 2 * sizeof(bytes));
        r = random_bytes(bytes, digits / 2);
        if (r < 0)
                return r;
        for (size_t i = 0; i < digits; i++)
                out[i] = hex[i % 2 ? bytes[i / 2] & 15 : bytes[i / 2] >> 4];
        out[digits] = '\0';
        return 0;
}
