/* See http_guard.h. */
#include "run/http_guard.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static int parse_ranges(struct http_ranges *list, char *const *texts, struct cause *cause)
{
        unsigned count = 0;
        int r = 0;

        while (texts && texts[count])
                count++;
        list->ranges = mem_alloc((count + 1) * sizeof(*list->ranges));
        for (list->count = 0; list->count < count && r == 0; list->count++)
                r = cidr_parse(texts[list->count], &list->ranges[list->count], cause);
        return r;
}

int http_guard_init(struct http_guard *guard, char *const *deny, char *const *allow, struct cause *cause)
{
        int r;

        memset(guard, 0, sizeof(*guard));
        r = parse_ranges(&guard->deny, deny, cause);
        if (r == 0)
                r = parse_ranges(&guard->allow, allow, cause);
        if (r < 0)
                http_guard_fini(guard);
        return r;
}

void http_guard_fini(struct http_guard *guard)
{
        free(guard->deny.ranges);
        free(guard->allow.ranges);
        memset(guard, 0, sizeof(*guard));
}

/* Where a connection to an unspecified address goes. False: it is another address. */
static bool loopback_of(const struct sockaddr *address, struct sockaddr_storage *out)
{
        static const unsigned char mapped_any[16] = { [10] = 0xff, [11] = 0xff };
        struct sockaddr_in *v4 = (struct sockaddr_in *)out;
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;

        memset(out, 0, sizeof(*out));
        if (address->sa_family == AF_INET) {
                memcpy(v4, address, sizeof(*v4));
                if (v4->sin_addr.s_addr != htonl(INADDR_ANY))
                        return false;
                v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
                return true;
        }
        if (address->sa_family != AF_INET6)
                return false;
        memcpy(v6, address, sizeof(*v6));
        if (memcmp(&v6->sin6_addr, &in6addr_any, sizeof(in6addr_any)) == 0) {
                v6->sin6_addr = in6addr_loopback;
                return true;
        }
        if (memcmp(&v6->sin6_addr, mapped_any, sizeof(mapped_any)) != 0)
                return false;
        v4->sin_family = AF_INET;
        v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return true;
}

static bool any_holds(const struct http_ranges *list, const struct sockaddr *address)
{
        for (unsigned i = 0; i < list->count; i++)
                if (cidr_holds(&list->ranges[i], address))
                        return true;
        return false;
}

static bool refuses(const struct http_guard *guard, const struct sockaddr *address)
{
        return any_holds(&guard->deny, address) && !any_holds(&guard->allow, address);
}

bool http_guard_refuses(const struct http_guard *guard, const struct sockaddr *address)
{
        struct sockaddr_storage loopback;

        return refuses(guard, address) ||
               (loopback_of(address, &loopback) && refuses(guard, (struct sockaddr *)&loopback));
}

const char *http_guard_text(const struct sockaddr *address, socklen_t len, char out[HTTP_ADDRESS_SIZE])
{
        if (getnameinfo(address, len, out, HTTP_ADDRESS_SIZE, NULL, 0, NI_NUMERICHOST) != 0)
                snprintf(out, HTTP_ADDRESS_SIZE, "an address");
        return out;
}
