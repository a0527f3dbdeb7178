/* The request that curl's flags describe: method, header fields, cookies, the data in body or query. One flag
 * at a time, in the order of the command line, then request_finish. Every call: 0, or < 0 with the sentence
 * for the user. */
#ifndef SENDOFF_CMD_REQUEST_H
#define SENDOFF_CMD_REQUEST_H

#include "cmd/body.h"

struct request {
        char *method;       /* NULL: as the body wants it */
        struct buf headers; /* a block (net/http1.h); complete after request_finish */
        struct buf removed; /* names that -H 'Name:' took away, as a block with empty values */
        struct buf cookies;
        char *user;
        struct body body;
        struct buf query; /* -G: the data */
        bool as_get;
};

int request_init(struct request *q, struct cause *cause) __attribute__((warn_unused_result));
void request_fini(struct request *q); /* also after a request_init that failed; twice is harmless */

int request_method(struct request *q, const char *method, struct cause *cause)
        __attribute__((warn_unused_result)); /* -X */
/* -H: 'Name: value'; 'Name;' with an empty value; 'Name:' takes a field away that would be there by itself;
 * '@file', a line each. */
int request_header(struct request *q, const char *text, struct cause *cause)
        __attribute__((warn_unused_result));
int request_cookie(struct request *q, const char *text, struct cause *cause)
        __attribute__((warn_unused_result)); /* -b */
int request_user(struct request *q, const char *text, struct cause *cause)
        __attribute__((warn_unused_result)); /* -u */
int request_data(struct request *q, enum body_kind kind, const char *value, struct cause *cause)
        __attribute__((warn_unused_result));

/* After the last flag: closes the body, moves it to the query with -G, chooses the method, adds the fields
 * that nobody gave. */
int request_finish(struct request *q, struct cause *cause) __attribute__((warn_unused_result));

/* A target that can be sent as it is: a path of the site with its query, or a URL. */
int request_check_target(const char *target, struct cause *cause) __attribute__((warn_unused_result));
/* The path to ask for, the caller's: "/v1/send" + target + query, with a slash between where
 * the target is a URL. */
char *request_path(const struct request *q, const char *target);

#endif
