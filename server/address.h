/* Socket addresses as text, one form everywhere: "127.0.0.1:50412", "[::1]:50412", "unix:". */
#ifndef SENDOFF_SERVER_ADDRESS_H
#define SENDOFF_SERVER_ADDRESS_H

#include <sys/socket.h>

#define ADDRESS_SIZE 64

char *address_format(char out[ADDRESS_SIZE], const struct sockaddr_storage *address); /* returns out */

#endif
