/* See cidr.h. Everything is compared as sixteen bytes. */
#include "net/cidr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/slice.h"

#define V4_BITS 96 /* of an IPv4-mapped address: those before the IPv4 address itself */

static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
static const unsigned char nat64[12] = { 0x00, 0x64, 0xff, 0x9b };

static bool parse_address(const char *text, unsigned char out[16], bool *v4)
{
        *v4 = inet_pton(AF_INET, text, out + 12) == 1;
        if (*v4) {
                memcpy(out, mapped, sizeof(mapped));
                return true;
        }
        return inet_pton(AF_INET6, text, out) == 1;
}

static bool clean_below(const unsigned char address[16], unsigned bits)
{
        for (unsigned i = bits; i < 128; i++)
                if (address[i / 8] >> (7 - i % 8) & 1)
                        return false;
        return true;
}

int cidr_parse(const char *text, struct cidr *out, struct cause *cause)
{
        char host[64] = "";
        const char *slash = strchr(text, '/');
        size_t len = slash ? (size_t)(slash - text) : strlen(text);
        uint64_t bits = 0;
        bool v4 = false;

        if (len < sizeof(host))
                memcpy(host, text, len);
        if (len == 0 || len >= sizeof(host) || !parse_address(host, out->address, &v4) ||
            (slash && !slice_to_u64(slice_of(slash + 1), v4 ? 32 : 128, &bits)))
                return cause_set(cause, -EINVAL, "'%.100s' is no address and no range such as 10.0.0.0/8",
                                 text);
        out->bits = slash ? (unsigned)bits + (v4 ? V4_BITS : 0) : 128;
        if (!clean_below(out->address, out->bits))
                return cause_set(cause, -EINVAL, "'%.100s' has bits set below its mask", text);
        return 0;
}

static bool matches(const struct cidr *range, const unsigned char address[16])
{
        unsigned whole = range->bits / 8, rest = range->bits % 8;

        return memcmp(range->address, address, whole) == 0 &&
               (rest == 0 || (range->address[whole] ^ address[whole]) >> (8 - rest) == 0);
}

/* The IPv4 address within an IPv6 one, as a mapped one. */
static bool inner_address(const unsigned char address[16], unsigned char out[16])
{
        memcpy(out, mapped, sizeof(mapped));
        if (memcmp(address, nat64, sizeof(nat64)) == 0)
                memcpy(out + 12, address + 12, 4);
        else if (address[0] == 0x20 && address[1] == 0x02)
                memcpy(out + 12, address + 2, 4);
        else
                return false;
        return true;
}

bool cidr_holds(const struct cidr *range, const struct sockaddr *address)
{
        unsigned char bytes[16], inner[16];

        if (address->sa_family == AF_INET) {
                memcpy(bytes, mapped, sizeof(mapped));
                memcpy(bytes + 12, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
                return range->bits >= V4_BITS && matches(range, bytes);
        }
        if (address->sa_family != AF_INET6)
                return false;
        memcpy(bytes, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, 16);
        return matches(range, bytes) || (inner_address(bytes, inner) && matches(range, inner));
}
