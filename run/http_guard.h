/* Which addresses a URL may lead to: `deny` holds those that are refused, `allow` those that are not although
 * `deny` has them. Asked with the address that a connection is to be made to, so that it does not matter what
 * name it was resolved from, or how it was spelt. */
#ifndef SENDOFF_RUN_HTTP_GUARD_H
#define SENDOFF_RUN_HTTP_GUARD_H

#include <netdb.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "base/cause.h"
#include "net/cidr.h"

struct http_ranges {
        struct cidr *ranges;
        unsigned count;
};

struct http_guard {
        struct http_ranges deny, allow;
};

/* Lists of CIDRs, NULL-terminated, NULL for none. 0 or -EINVAL with cause; then it is finished. */
int http_guard_init(struct http_guard *guard, char *const *deny, char *const *allow, struct cause *cause)
        __attribute__((warn_unused_result));
void http_guard_fini(struct http_guard *guard);

/* The unspecified address (0.0.0.0, ::) counts as the loopback address, too: a connection to it goes there.
 */
bool http_guard_refuses(const struct http_guard *guard, const struct sockaddr *address);

#define HTTP_ADDRESS_SIZE NI_MAXHOST
/* As text, without a port; returns out. */
const char *http_guard_text(const struct sockaddr *address, socklen_t len, char out[HTTP_ADDRESS_SIZE]);

#endif
