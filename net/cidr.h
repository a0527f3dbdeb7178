/* Address ranges: "10.0.0.0/8", "169.254.169.254", "fe80::/10". Pure. */
#ifndef SENDOFF_NET_CIDR_H
#define SENDOFF_NET_CIDR_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/cause.h"

struct cidr {
        unsigned char address[16]; /* IPv4 as IPv4-mapped IPv6 */
        unsigned bits;             /* of 128 */
};

/* 0 or -EINVAL with the sentence. Bits below the mask must be zero; IPv4-mapped IPv6 is the IPv4 address. */
int cidr_parse(const char *text, struct cidr *out, struct cause *cause) __attribute__((warn_unused_result));
/* False for addresses that are neither IPv4 nor IPv6. IPv4-mapped (::ffff:0:0/96), NAT64 (64:ff9b::/96) and
 * 6to4 (2002::/16) addresses match by the IPv4 address within them as well as by their own. An IPv4 address
 * is in no range of IPv6 addresses, not even in ::/0. */
bool cidr_holds(const struct cidr *range, const struct sockaddr *address);

#endif
