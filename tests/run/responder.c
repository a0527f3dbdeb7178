/* A FastCGI responder written against the protocol, for what php-cgi does not do: it listens on fd 0, takes
 * one connection at a time, keeps it when asked to, and answers as the word in QUERY_STRING says. */
#include "rig.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct request {
        char query[256];
        uint64_t body;
        bool keep;
};

static bool take(int fd, void *out, size_t len)
{
        char *at = out;

        while (len > 0) {
                ssize_t n = read(fd, at, len);

                if (n <= 0)
                        return false;
                at += n;
                len -= (size_t)n;
        }
        return true;
}

static void give(int fd, const void *bytes, size_t len)
{
        const char *at = bytes;

        while (len > 0) {
                ssize_t n = write(fd, at, len);

                if (n <= 0)
                        return;
                at += n;
                len -= (size_t)n;
        }
}

static void record(int fd, int type, const void *bytes, size_t len)
{
        char header[FCGI_HEADER_SIZE];

        fcgi_header(header, type, type == FCGI_GET_VALUES_RESULT ? 0 : 1, len);
        give(fd, header, sizeof(header));
        give(fd, bytes, len);
}

static void say(int fd, const char *text)
{
        record(fd, FCGI_STDOUT, text, strlen(text));
}

static void end(int fd, uint32_t app_status, int protocol_status)
{
        char body[8] = { (char)(app_status >> 24), (char)(app_status >> 16), (char)(app_status >> 8),
                         (char)app_status, (char)protocol_status };

        record(fd, FCGI_END_REQUEST, body, sizeof(body));
}

static size_t pair_length(const unsigned char **at)
{
        size_t len = *(*at)++;

        if (len & 128) {
                len = (len & 127) << 24 | (size_t)(*at)[0] << 16 | (size_t)(*at)[1] << 8 | (*at)[2];
                *at += 3;
        }
        return len;
}

static void find_query(const unsigned char *at, size_t len, struct request *request)
{
        const unsigned char *stop = at + len;

        while (at < stop) {
                size_t name = pair_length(&at), value = pair_length(&at);

                if (name == 12 && memcmp(at, "QUERY_STRING", 12) == 0)
                        snprintf(request->query, sizeof(request->query), "%.*s", (int)value, at + name);
                at += name + value;
        }
}

/* False at the end of the connection; GET_VALUES is answered on the way. */
static bool read_request(int fd, struct request *request)
{
        static unsigned char header[FCGI_HEADER_SIZE], body[FCGI_RECORD_MAX + 256];

        memset(request, 0, sizeof(*request));
        while (take(fd, header, sizeof(header))) {
                size_t len = (size_t)header[4] << 8 | header[5];

                if (!take(fd, body, len + header[6]))
                        return false;
                if (header[1] == FCGI_GET_VALUES)
                        record(fd, FCGI_GET_VALUES_RESULT, "", 0);
                else if (header[1] == FCGI_BEGIN_REQUEST)
                        request->keep = body[2] & 1;
                else if (header[1] == FCGI_PARAMS)
                        find_query(body, len, request);
                else if (header[1] == FCGI_STDIN && len > 0)
                        request->body += len;
                else if (header[1] == FCGI_STDIN)
                        return true;
        }
        return false;
}

static void big_head(int fd)
{
        char line[1024];

        memset(line, 'x', sizeof(line));
        memcpy(line, "X-Filler: ", 10);
        line[sizeof(line) - 1] = '\n';
        for (int i = 0; i < 2 * CGI_HEAD_MAX / 1024; i++)
                record(fd, FCGI_STDOUT, line, sizeof(line));
}

/* Leaves somebody behind who holds the connection. */
static void orphan(int fd)
{
        pid_t child = fork();
        char text[32];

        if (child == 0) {
                alarm(120); /* the test kills it */
                for (;;)
                        pause();
        }
        record(fd, FCGI_STDERR, text, (size_t)snprintf(text, sizeof(text), "orphan %d\n", (int)child));
        _exit(child > 0 ? 9 : 1);
}

static void on_term(int signum)
{
}

/* Takes SIGTERM as a reason to come to an end with the request, not as one to leave. */
static void wait_for_term(int fd)
{
        const struct sigaction act = { .sa_handler = on_term };
        sigset_t term, before;

        sigemptyset(&term);
        sigaddset(&term, SIGTERM);
        sigprocmask(SIG_BLOCK, &term, &before);
        sigaction(SIGTERM, &act, NULL);
        say(fd, "\r\nwaiting, ");
        sigsuspend(&before);
        sigprocmask(SIG_SETMASK, &before, NULL);
        say(fd, "ended");
        end(fd, 0, 0);
}

static void answer(int fd, const struct request *request)
{
        const char *how = request->query;
        char text[64];

        if (strcmp(how, "empty") == 0) {
                end(fd, 0, 0);
        } else if (strcmp(how, "half") == 0) {
                say(fd, "Content-Type: text/pl");
                end(fd, 0, 0);
        } else if (strcmp(how, "pieces") == 0) {
                for (const char *c = "Status: 201 Made\r\nX-A: b\r\n\r\nbody"; *c; c++)
                        record(fd, FCGI_STDOUT, c, 1);
                end(fd, 0, 0);
        } else if (strcmp(how, "bighead") == 0) {
                big_head(fd);
                end(fd, 0, 0);
        } else if (strcmp(how, "malformed") == 0) {
                say(fd, "no colon here\r\n\r\nbody");
                end(fd, 0, 0);
        } else if (strcmp(how, "malformed-silent") == 0) {
                say(fd, "no colon here\r\n\r\nbody");
                while (recv(fd, text, sizeof(text), 0) > 0) /* says nothing more, until we hang up */
                        ;
        } else if (strcmp(how, "version") == 0) {
                give(fd, "\7garbage, not FastCGI", 20);
                end(fd, 0, 0);
        } else if (strcmp(how, "overloaded") == 0) {
                end(fd, 0, 2);
        } else if (strcmp(how, "code") == 0) {
                say(fd, "Status: 500 Oops\r\n\r\n");
                end(fd, 255, 0);
        } else if (strcmp(how, "close") == 0) {
                say(fd, "Content-Type: text/plain\r\n\r\npartial");
        } else if (strcmp(how, "exit") == 0) {
                _exit(7);
        } else if (strcmp(how, "wait") == 0) {
                pause();
        } else if (strcmp(how, "wait-for-term") == 0) {
                wait_for_term(fd);
        } else if (strcmp(how, "orphan") == 0) {
                orphan(fd);
        } else if (strcmp(how, "stderr") == 0) {
                record(fd, FCGI_STDERR, "one ", 4);
                record(fd, FCGI_STDERR, "two", 3);
                say(fd, "\r\n");
                end(fd, 0, 0);
        } else if (strcmp(how, "other") == 0) {
                char header[FCGI_HEADER_SIZE];

                fcgi_header(header, FCGI_STDOUT, 99, 5);
                give(fd, header, sizeof(header));
                give(fd, "wrong", 5);
                say(fd, "\r\nright");
                end(fd, 0, 0);
        } else {
                snprintf(text, sizeof(text), "Content-Type: text/plain\n\n%llu bytes",
                         (unsigned long long)request->body);
                say(fd, text);
                end(fd, 0, 0);
        }
}

int responder_main(void)
{
        struct request request;

        signal(SIGPIPE, SIG_IGN);
        for (;;) {
                int fd = accept4(0, NULL, NULL, 0);

                if (fd < 0)
                        return 1;
                while (read_request(fd, &request)) {
                        answer(fd, &request);
                        if (!request.keep || strcmp(request.query, "close") == 0)
                                break;
                }
                close(fd);
        }
}
