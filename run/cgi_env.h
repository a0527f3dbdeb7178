/* The CGI/1.1 variables (RFC 3875, 4.1) of a request for a site's script, as php-cgi behind Apache or nginx
 * would get them. Pure but for the caller's strings. */
#ifndef SENDOFF_RUN_CGI_ENV_H
#define SENDOFF_RUN_CGI_ENV_H

#include "base/cause.h"
#include "job/job.h"
#include "net/fcgi.h"

struct cgi_script {
        const char *document_root;   /* absolute, no trailing slash */
        const char *script_filename; /* absolute path of the file; document_root itself when one program
                                        handles "/" */
        const char *script_name;     /* URL path of the script, decoded; "" when one program handles "/" */
        const char *path_info;       /* decoded rest of the path, starts with '/'; "" none */
};

/* Where the variables go: a FastCGI request's parameters, a program's environment. add: 0,
 * FCGI_PAIR_TOO_LONG, BUF_FULL or < 0; anything else than 0 ends the building. */
struct cgi_sink {
        int (*add)(void *arg, struct slice name, struct slice value);
        void *arg;
};
struct cgi_sink cgi_sink_params(struct fcgi_params *params); /* fcgi_params_end is left to others */

struct cgi_context {
        const char *job; /* SENDOFF_JOB, NULL for a foreground request */
        uint32_t run;    /* SENDOFF_RUN */
        bool https;
        int minor; /* SERVER_PROTOCOL HTTP/1.minor */
};

/* Adds every variable for request; with script NULL (a program) those that name a script are left out. Its
 * body's length becomes CONTENT_LENGTH, which only a GET or HEAD without a body lacks. Repeated header fields
 * are joined with ", " (Cookie with "; "). Authorization becomes HTTP_AUTHORIZATION (PHP decodes it),
 * HTTP_HOST keeps its port, REDIRECT_STATUS=200 is set for php-cgi. HTTP_PROXY is never set (httpoxy), and
 * fields whose name has anything but letters, digits and '-' are dropped: '_' and, in PHP, '.' would shadow
 * the dashed name.
 *
 * 0; FCGI_PAIR_TOO_LONG, BUF_FULL: answer 431 with cause; -ENOMEM. */
int cgi_env_build(const struct cgi_sink *sink, const struct job_request *request,
                  const struct cgi_script *script, const struct cgi_context *context, struct cause *cause)
        __attribute__((warn_unused_result));

#endif
