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

struct cgi_context {
        const char *job; /* SENDOFF_JOB, NULL for a foreground request */
        uint32_t run;    /* SENDOFF_RUN */
        bool https;
        int minor; /* SERVER_PROTOCOL HTTP/1.minor */
};

/* Adds every variable for request, then ends the stream. Its body's length becomes CONTENT_LENGTH, which only
 * a GET or HEAD without a body lacks. Repeated header fields are joined with ", " (Cookie with "; ").
 * Authorization becomes HTTP_AUTHORIZATION (PHP decodes it), HTTP_HOST keeps its port, REDIRECT_STATUS=200 is
 * set for php-cgi. HTTP_PROXY is never set (httpoxy), and fields whose name has anything but letters, digits
 * and '-' are dropped: '_' and, in PHP, '.' would shadow the dashed name.
 *
 * 0; FCGI_PAIR_TOO_LONG, BUF_FULL: answer 431 with cause; -ENOMEM. On anything but 0 params is to be
 * finished. */
int cgi_env_build(struct fcgi_params *params, const struct job_request *request,
                  const struct cgi_script *script, const struct cgi_context *context, struct cause *cause)
        __attribute__((warn_unused_result));

#endif
