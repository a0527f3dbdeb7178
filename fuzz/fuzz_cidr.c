/* Ranges: the first sixteen bytes are an address, the rest is a range. A range that is taken holds its own
 * address, reads the same when it is written again, and holds an IPv4 address exactly where a comparison of
 * numbers says so; an address that is IPv4-mapped is held wherever the IPv4 address is. */
#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/slice.h"
#include "net/cidr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sockaddr_storage v6(const unsigned char bytes[16])
{
        struct sockaddr_storage out = { .ss_family = AF_INET6 };

        memcpy(&((struct sockaddr_in6 *)&out)->sin6_addr, bytes, 16);
        return out;
}

static struct sockaddr_storage v4(const unsigned char bytes[4])
{
        struct sockaddr_storage out = { .ss_family = AF_INET };

        memcpy(&((struct sockaddr_in *)&out)->sin_addr, bytes, 4);
        return out;
}

static bool holds(const struct cidr *range, struct sockaddr_storage address)
{
        return cidr_holds(range, (struct sockaddr *)&address);
}

static uint32_t number(const unsigned char *bytes)
{
        return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static bool holds_number(const struct cidr *range, uint32_t address)
{
        static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
        uint32_t mask;

        if (range->bits < 96 || memcmp(range->address, mapped, sizeof(mapped)) != 0)
                return false;
        mask = range->bits == 96 ? 0 : UINT32_MAX << (128 - range->bits);
        return ((address ^ number(range->address + 12)) & mask) == 0;
}

static void reads_the_same_again(const struct cidr *range)
{
        char text[64];
        struct cidr again;

        assert(inet_ntop(AF_INET6, range->address, text, sizeof(text)));
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "/%u", range->bits);
        assert(cidr_parse(text, &again, NULL) == 0);
        assert(again.bits == range->bits && memcmp(again.address, range->address, 16) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        unsigned char mapped[16] = { [10] = 0xff, [11] = 0xff };
        struct cidr range;
        struct cause cause = { "" };
        char *text;

        if (size < 16)
                return 0;
        text = slice_dup((struct slice){ (const char *)data + 16, size - 16 });
        if (cidr_parse(text, &range, &cause) == 0) {
                assert(range.bits <= 128);
                assert(holds(&range, v6(range.address)));
                reads_the_same_again(&range);
                assert(holds(&range, v4(data)) == holds_number(&range, number(data)));
                memcpy(mapped + 12, data, 4);
                assert(!holds(&range, v4(data)) || holds(&range, v6(mapped)));
                holds(&range, v6(data));
        } else {
                assert(cause.text[0]);
        }
        free(text);
        return 0;
}
