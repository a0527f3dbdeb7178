/* The blocking client: see client.h. Good path: connect once, write head and body, read head, read the body
 * as its framing says, keep the connection. A reply that is cut short is an error, never a short body. */
#include "lib/client.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/chunked.h"

#define HEAD_MAX (64 << 10)
#define IN_MAX   (256 << 10)
#define PIECE    (64 << 10)

struct client {
        char *server; /* as given, for messages */
        char *path;   /* of the unix socket, or NULL */
        char *host, *port;
        int timeout_ms;
        int fd; /* -1 when not connected */
        struct buf in;
};

static int parse_server(struct client *c, const char *server, struct cause *cause)
{
        const char *rest = strncmp(server, "http://", 7) == 0 ? server + 7 : server, *colon, *end;

        if (strncmp(server, "unix:", 5) == 0 && server[5]) {
                c->path = mem_dup(server + 5);
                return 0;
        }
        end = rest + strcspn(rest, "/");
        colon = memrchr(rest, ':', (size_t)(end - rest));
        if (!colon || colon == rest || colon + 1 == end || (*end && strcmp(end, "/") != 0))
                return cause_set(cause, -EINVAL, "server '%s': unix:PATH or http://HOST:PORT is wanted",
                                 server);
        if (rest[0] == '[' && colon[-1] == ']')
                c->host = slice_dup((struct slice){ rest + 1, (size_t)(colon - rest) - 2 });
        else
                c->host = slice_dup((struct slice){ rest, (size_t)(colon - rest) });
        c->port = slice_dup((struct slice){ colon + 1, (size_t)(end - colon) - 1 });
        return 0;
}

int client_new(struct client **out, const char *server, int timeout_ms, struct cause *cause)
{
        struct client *c = mem_alloc(sizeof(*c));
        int r;

        c->fd = -1;
        c->server = mem_dup(server);
        c->timeout_ms = timeout_ms;
        buf_init(&c->in, IN_MAX);
        r = parse_server(c, server, cause);
        if (r < 0) {
                client_free(c);
                return r;
        }
        *out = c;
        return 0;
}

static void client_close(struct client *c)
{
        if (c->fd >= 0)
                close(c->fd);
        c->fd = -1;
        buf_clear(&c->in);
}

void client_free(struct client *c)
{
        if (!c)
                return;
        client_close(c);
        buf_fini(&c->in);
        free(c->server);
        free(c->path);
        free(c->host);
        free(c->port);
        free(c);
}

static void apply_timeout(struct client *c)
{
        struct timeval tv = { .tv_sec = c->timeout_ms / 1000, .tv_usec = c->timeout_ms % 1000 * 1000 };

        if (c->fd < 0)
                return;
        setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
        setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

void client_set_timeout(struct client *c, int timeout_ms)
{
        c->timeout_ms = timeout_ms;
        apply_timeout(c);
}

static int try_connect(struct client *c, int family, const struct sockaddr *address, socklen_t len)
{
        c->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (c->fd < 0)
                return -errno;
        apply_timeout(c);
        if (connect(c->fd, address, len) < 0) {
                int r = -errno;

                client_close(c);
                return r;
        }
        return 0;
}

static int connect_unix(struct client *c)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        if (strlen(c->path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        strcpy(address.sun_path, c->path);
        return try_connect(c, AF_UNIX, (const struct sockaddr *)&address, sizeof(address));
}

static int connect_tcp(struct client *c)
{
        struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM }, *found;
        int r = -EHOSTUNREACH;

        if (getaddrinfo(c->host, c->port, &hints, &found) != 0)
                return -EHOSTUNREACH;
        for (struct addrinfo *at = found; at && r < 0; at = at->ai_next)
                r = try_connect(c, at->ai_family, at->ai_addr, at->ai_addrlen);
        freeaddrinfo(found);
        if (r == 0)
                setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
        return r;
}

static int client_connect(struct client *c, struct cause *cause)
{
        int r = c->path ? connect_unix(c) : connect_tcp(c);

        if (r == -EINPROGRESS || r == -EAGAIN)
                r = -ETIMEDOUT; /* what SO_SNDTIMEO makes of a connect that takes too long */
        if (r == -EACCES || r == -EPERM)
                return cause_set(cause, CLIENT_NO_SERVER,
                                 "%s is not for this user: its owner and group may connect", c->server);
        if (r < 0)
                return cause_set(cause, CLIENT_NO_SERVER, "no sendoff server at %s: %s", c->server,
                                 strerror(-r));
        return 0;
}

static int io_error(struct client *c, const char *what, struct cause *cause)
{
        int e = errno == EAGAIN || errno == EWOULDBLOCK ? ETIMEDOUT : errno;

        return cause_set(cause, -e, "%s %s: %s", what, c->server, strerror(e));
}

static int send_all(struct client *c, const char *bytes, size_t len, struct cause *cause)
{
        while (len > 0) {
                ssize_t n = send(c->fd, bytes, len, MSG_NOSIGNAL);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return io_error(c, "sending to", cause);
                bytes += n;
                len -= (size_t)n;
        }
        return 0;
}

static bool names_host(struct slice headers)
{
        struct http1_header h;

        while (http1_block_next(&headers, &h))
                if (slice_eq_nocase(h.name, SLICE("host")))
                        return true;
        return false;
}

static int read_body(const struct spool *body, uint64_t at, char *out, struct cause *cause)
{
        ssize_t n = spool_read(body, at, out, PIECE);

        if (n > 0)
                return (int)n;
        return cause_set(cause, n < 0 ? (int)n : -EIO, "the body could not be read back");
}

/* The head, and the beginning of the body behind it, so that a small request is one packet. */
static int make_head(struct buf *out, const struct client_request *request, uint64_t *sent,
                     struct cause *cause)
{
        const char *host = names_host(request->headers) ? "" : "Host: localhost\r\n";
        int r = buf_printf(out, "%s %s HTTP/1.1\r\n%s%.*s", request->method, request->path, host,
                           SLICE_ARG(request->headers));

        if (r == 0 && request->body)
                r = buf_printf(out, "Content-Length: %llu\r\n", (unsigned long long)request->body->len);
        if (r == 0)
                r = buf_append_str(out, "\r\n");
        if (r != 0)
                return cause_set(cause, -EMSGSIZE, "the request's head is too large");
        if (request->body && request->body->len > 0) {
                char *at = buf_reserve(out, PIECE);

                r = at ? read_body(request->body, 0, at, cause)
                       : cause_set(cause, -ENOMEM, "out of memory for the request");
                if (r < 0)
                        return r;
                buf_wrote(out, (size_t)r);
                *sent = (uint64_t)r;
        }
        return 0;
}

/* A server that refuses a body answers and stops reading: so a failed write is no error yet, the reply may be
 * there. */
static int send_request(struct client *c, const struct client_request *request, struct cause *cause)
{
        uint64_t sent = 0;
        struct buf out;
        int r;

        buf_init(&out, JOB_HEADERS_MAX + (64 << 10) + PIECE);
        r = make_head(&out, request, &sent, cause);
        if (r == 0)
                r = send_all(c, buf_data(&out), buf_len(&out), cause);
        while (r == 0 && request->body && sent < request->body->len) {
                char *at;

                buf_clear(&out);
                at = buf_reserve(&out, PIECE);
                r = at ? read_body(request->body, sent, at, cause)
                       : cause_set(cause, -ENOMEM, "out of memory for the request");
                if (r > 0) {
                        sent += (uint64_t)r;
                        r = send_all(c, at, (size_t)r, cause);
                }
        }
        buf_fini(&out);
        return r;
}

/* More bytes: their number, 0 at the end of the connection, < 0. */
static ssize_t receive(struct client *c, struct cause *cause)
{
        char *at = buf_reserve(&c->in, PIECE);
        ssize_t n;

        if (!at)
                return cause_set(cause, -ENOMEM, "out of memory for the reply from %s", c->server);
        do
                n = recv(c->fd, at, PIECE, 0);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return io_error(c, "waiting for", cause);
        buf_wrote(&c->in, (size_t)n);
        return n;
}

static int cut_short(struct client *c, struct cause *cause)
{
        return cause_set(cause, -ECONNRESET, "%s closed the connection before its reply was complete",
                         c->server);
}

static int receive_head(struct client *c, struct http1_response *head, struct client_reply *reply,
                        struct cause *cause)
{
        size_t scanned = 0, len;
        int r = 0;

        while ((len = http1_head_length(buf_slice(&c->in), &scanned)) == 0) {
                ssize_t n;

                if (buf_len(&c->in) > HEAD_MAX)
                        return cause_set(cause, -EPROTO, "the reply's head from %s is longer than %d bytes",
                                         c->server, HEAD_MAX);
                n = receive(c, cause);
                if (n <= 0)
                        return n < 0 ? (int)n : cut_short(c, cause);
        }
        r = http1_response_parse((struct slice){ buf_data(&c->in), len }, head, cause);
        reply->status = head->status;
        buf_clear(&reply->headers);
        for (size_t i = 0; r == 0 && i < head->header_count; i++)
                r = http1_block_add(&reply->headers, head->headers[i].name, head->headers[i].value);
        buf_consume(&c->in, len);
        return r;
}

static int deliver(const struct client_sink *sink, struct client_reply *reply, struct slice bytes,
                   struct cause *cause)
{
        int r;

        if (sink)
                return sink->take(sink->arg, bytes);
        r = buf_append_slice(&reply->body, bytes);
        if (r == BUF_FULL)
                return cause_set(cause, -EMSGSIZE, "the reply is longer than %d bytes", CLIENT_BODY_MAX);
        return r == 0 ? 0 : cause_set(cause, r, "out of memory for the reply");
}

static int receive_length(struct client *c, uint64_t left, bool until_close, const struct client_sink *sink,
                          struct client_reply *reply, struct cause *cause)
{
        while (left > 0) {
                struct slice have = buf_slice(&c->in);
                ssize_t n;
                int r;

                if (have.len > left)
                        have.len = (size_t)left;
                if (have.len > 0) {
                        r = deliver(sink, reply, have, cause);
                        if (r != 0)
                                return r;
                        buf_consume(&c->in, have.len);
                        left -= have.len;
                        continue;
                }
                n = receive(c, cause);
                if (n < 0)
                        return (int)n;
                if (n == 0)
                        return until_close ? 0 : cut_short(c, cause);
        }
        return 0;
}

static int receive_chunked(struct client *c, const struct client_sink *sink, struct client_reply *reply,
                           struct cause *cause)
{
        struct chunked decoder;

        chunked_init(&decoder);
        for (;;) {
                struct slice in = buf_slice(&c->in), data;
                size_t before = in.len;
                int r = chunked_read(&decoder, &in, &data, cause);

                if (r == 0)
                        r = deliver(sink, reply, data, cause);
                buf_consume(&c->in, before - in.len);
                if (r < 0)
                        return r;
                if (r == CHUNKED_DONE)
                        return 0;
                if (r == CHUNKED_MORE) {
                        ssize_t n = receive(c, cause);

                        if (n <= 0)
                                return n < 0 ? (int)n : cut_short(c, cause);
                }
        }
}

static int receive_reply(struct client *c, const struct client_request *request,
                         const struct client_sink *sink, struct client_reply *reply, struct cause *cause)
{
        struct http1_response *head = mem_alloc(sizeof(*head));
        bool keep, no_body;
        int r;

        do
                r = receive_head(c, head, reply, cause);
        while (r == 0 && head->status < 200);
        keep = head->keep_alive;
        no_body = strcmp(request->method, "HEAD") == 0;
        if (sink && sink->wanted && !sink->wanted(sink->arg, reply))
                sink = NULL;
        if (r == 0 && !no_body) {
                if (head->framing == HTTP1_LENGTH)
                        r = receive_length(c, head->content_length, false, sink, reply, cause);
                else if (head->framing == HTTP1_CHUNKED)
                        r = receive_chunked(c, sink, reply, cause);
                else if (head->framing == HTTP1_UNTIL_CLOSE)
                        r = receive_length(c, UINT64_MAX, true, sink, reply, cause);
        }
        free(head);
        if (r != 0 || !keep)
                client_close(c);
        return r;
}

int client_ask(struct client *c, const struct client_request *request, const struct client_sink *sink,
               struct client_reply *reply, struct cause *cause)
{
        bool kept = c->fd >= 0;
        int r;

        reply->status = 0;
        buf_init(&reply->headers, JOB_HEADERS_MAX);
        buf_init(&reply->body, CLIENT_BODY_MAX);
        if (!kept) {
                r = client_connect(c, cause);
                if (r != 0)
                        return r;
        }
        r = send_request(c, request, cause);
        if (r == 0 || r == -EPIPE || r == -ECONNRESET) {
                int sent = r;

                r = receive_reply(c, request, sink, reply, cause);
                if (r != 0 && sent != 0)
                        r = sent;
        }
        if (r != 0)
                client_close(c);
        if (kept && (r == -EPIPE || r == -ECONNRESET) && reply->status == 0 &&
            strcmp(request->method, "GET") == 0) {
                client_reply_fini(reply);
                return client_ask(c, request, sink, reply, cause);
        }
        return r;
}

void client_reply_fini(struct client_reply *reply)
{
        buf_fini(&reply->headers);
        buf_fini(&reply->body);
}

struct slice client_reply_header(const struct client_reply *reply, struct slice name)
{
        struct slice rest = buf_slice(&reply->headers);
        struct http1_header h;

        while (http1_block_next(&rest, &h))
                if (slice_eq_nocase(h.name, name))
                        return h.value;
        return (struct slice){ NULL, 0 };
}
