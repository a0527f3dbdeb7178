/* See http_reason.h. */
#include "run/http_reason.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/option.h"

__attribute__((format(printf, 2, 3))) static void say(struct job_run *how, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        vsnprintf(how->reason, sizeof(how->reason), format, args);
        va_end(args);
}

static void connect_reason(const struct http_failure *f, struct job_run *how)
{
        if (f->os_error == ECONNREFUSED)
                say(how, "connection to %s refused", f->where);
        else
                say(how, "no connection to %s: %s", f->where, f->os_error ? strerror(f->os_error) : f->error);
}

/* libcurl knows no other timeout here than the one for connecting, which counts TLS in. */
static void timeout_reason(const struct http_failure *f, struct job_run *how)
{
        char time[OPTION_NUMBER_SIZE];

        option_duration_text((uint64_t)f->connect_ms, time);
        if (f->resolved)
                say(how, "no %sconnection to %s within %s (option http_connect_timeout)",
                    f->https ? "TLS " : "", f->where, time);
        else
                say(how, "the name %s was not resolved within %s (option http_connect_timeout)", f->host,
                    time);
}

/* What happened to the connection. */
static const char *event(const struct http_failure *f)
{
        switch (f->code) {
        case CURLE_GOT_NOTHING:
        case CURLE_PARTIAL_FILE:
                return "the connection was closed";
        case CURLE_RECV_ERROR:
        case CURLE_SEND_ERROR:
                if (f->os_error == ECONNRESET || f->os_error == EPIPE)
                        return "the connection was reset";
                if (f->os_error)
                        return strerror(f->os_error);
                break;
        default:
                break;
        }
        return f->error[0] ? f->error : "the connection failed";
}

static void cut_reason(const struct http_failure *f, struct job_run *how)
{
        char of[32] = "";

        if (f->length >= 0)
                snprintf(of, sizeof(of), " of %" PRId64, f->length);
        say(how, "the reply of %s was cut short after %" PRIu64 "%s bytes: %s", f->where, f->got, of,
            event(f));
}

static void answer_reason(const struct http_failure *f, struct job_run *how)
{
        if (f->head_done)
                cut_reason(f, how);
        else if (f->got)
                say(how, "no answer from %s: %s after %" PRIu64 " bytes", f->where, event(f), f->got);
        else if (f->sent < f->body)
                say(how, "no answer from %s: %s after %" PRIu64 " of %" PRIu64 " bytes of the request's body",
                    f->where, event(f), f->sent, f->body);
        else
                say(how, "no answer from %s: %s", f->where, event(f));
}

void http_reason(const struct http_failure *f, struct job_run *how)
{
        how->may_pass = true;
        switch (f->code) {
        case CURLE_COULDNT_RESOLVE_HOST:
                say(how, "the name %s cannot be resolved", f->host);
                break;
        case CURLE_COULDNT_CONNECT:
                connect_reason(f, how);
                break;
        case CURLE_OPERATION_TIMEDOUT:
                timeout_reason(f, how);
                break;
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_ISSUER_ERROR:
                say(how, "the certificate of %s is not valid: %s", f->where, f->error);
                how->may_pass = false;
                break;
        case CURLE_SSL_CACERT_BADFILE:
                say(how, "the certificates to check %s with cannot be read (option http_ca_file): %s",
                    f->where, f->error);
                how->may_pass = false;
                break;
        case CURLE_SSL_CONNECT_ERROR:
                say(how, "no TLS with %s: %s", f->where, f->error);
                break;
        case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9, that is: anything */
        case CURLE_WEIRD_SERVER_REPLY:
                say(how, "what %s answered is not HTTP: %s", f->where, f->error);
                break;
        default:
                answer_reason(f, how);
        }
}
