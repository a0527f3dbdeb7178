/* The request body that curl's flags describe. */
#ifndef SENDOFF_CMD_BODY_H
#define SENDOFF_CMD_BODY_H

#include "base/cause.h"
#include "base/spool.h"

enum body_kind {
        BODY_DATA,      /* -d: joined by '&'; @file without its line ends */
        BODY_RAW,       /* --data-raw: '@' means nothing */
        BODY_BINARY,    /* --data-binary: as it is */
        BODY_URLENCODE, /* --data-urlencode: content, =content, name=content, @file, name@file */
        BODY_FORM, /* -F: name=value, name=@file, name=<file, each with ;type=… and ;filename=… behind */
};

struct body {
        struct spool spool;
        int dir_fd; /* of the folder for large ones */
        bool any, form;
        char boundary[40];
};

int body_init(struct body *b, struct cause *cause) __attribute__((warn_unused_result)); /* 0 or < 0 */
void body_fini(struct body *b);
/* One flag's value, in the order of the command line. 0 or < 0 with the sentence. */
int body_add(struct body *b, enum body_kind kind, const char *value, struct cause *cause)
        __attribute__((warn_unused_result));
/* After the last one. */
int body_end(struct body *b, struct cause *cause) __attribute__((warn_unused_result));

#endif
