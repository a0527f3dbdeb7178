/* See address.h. */
#include "server/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

char *address_format(char out[ADDRESS_SIZE], const struct sockaddr_storage *address)
{
        char host[INET6_ADDRSTRLEN] = "";
        struct sockaddr_in6 in6;
        struct sockaddr_in in;

        if (address->ss_family == AF_INET) {
                memcpy(&in, address, sizeof(in));
                inet_ntop(AF_INET, &in.sin_addr, host, sizeof(host));
                snprintf(out, ADDRESS_SIZE, "%s:%u", host, ntohs(in.sin_port));
        } else if (address->ss_family == AF_INET6) {
                memcpy(&in6, address, sizeof(in6));
                inet_ntop(AF_INET6, &in6.sin6_addr, host, sizeof(host));
                snprintf(out, ADDRESS_SIZE, "[%s]:%u", host, ntohs(in6.sin6_port));
        } else {
                snprintf(out, ADDRESS_SIZE, "unix:");
        }
        return out;
}
