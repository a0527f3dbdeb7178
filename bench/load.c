/* load http|redis|beanstalk HOST PORT CONNECTIONS REQUESTS: one load generator for all, so that what is
 * compared is the server. Every connection sends a durable hand-off with a 512-byte body, waits for its
 * acknowledgement, sends the next. Prints requests a second and the latency's median and 99th percentile; any
 * other answer than an acknowledgement ends it with an error. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BODY 512

struct protocol {
        const char *name;
        const char *good; /* how an acknowledgement begins */
        const char *end;  /* and how it ends */
};

static const struct protocol protocols[] = {
        { "http", "HTTP/1.1 202 ", "}\n" },
        { "redis", ":", "\r\n" },
        { "beanstalk", "INSERTED ", "\r\n" },
};

struct connection {
        int fd;
        char in[2048];
        size_t len;
        int64_t sent_ns;
};

static char request[2048];
static size_t request_len;

static int64_t now_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void die(const char *what)
{
        fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
        exit(1);
}

static void make_request(const struct protocol *p)
{
        char body[BODY + 1];

        memset(body, 'x', BODY);
        body[BODY] = '\0';
        if (strcmp(p->name, "http") == 0)
                request_len = (size_t)snprintf(request, sizeof(request),
                                               "POST /sleep.php HTTP/1.1\r\nHost: h\r\nPrefer: "
                                               "respond-async\r\nContent-Type: text/plain\r\n"
                                               "Content-Length: %d\r\n\r\n%s",
                                               BODY, body);
        else if (strcmp(p->name, "redis") == 0)
                request_len = (size_t)snprintf(request, sizeof(request),
                                               "*3\r\n$5\r\nRPUSH\r\n$1\r\nq\r\n$%d\r\n%s\r\n", BODY, body);
        else
                request_len =
                        (size_t)snprintf(request, sizeof(request), "put 0 0 60 %d\r\n%s\r\n", BODY, body);
}

static int connect_to(const char *host, const char *port)
{
        struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found;
        int fd, one = 1;

        if (getaddrinfo(host, port, &hints, &found) != 0)
                die("getaddrinfo");
        fd = socket(found->ai_family, SOCK_STREAM, 0);
        if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) < 0)
                die("connect");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        freeaddrinfo(found);
        return fd;
}

static void send_one(struct connection *c)
{
        c->len = 0;
        c->sent_ns = now_ns();
        if (send(c->fd, request, request_len, MSG_NOSIGNAL) != (ssize_t)request_len)
                die("send");
}

/* True when the acknowledgement is complete. */
static bool receive(struct connection *c, const struct protocol *p)
{
        size_t end = strlen(p->end), good = strlen(p->good);
        ssize_t n = recv(c->fd, c->in + c->len, sizeof(c->in) - c->len, 0);

        if (n <= 0)
                die("recv");
        c->len += (size_t)n;
        if (c->len < good + end || memcmp(c->in + c->len - end, p->end, end) != 0)
                return false;
        if (memcmp(c->in, p->good, good) != 0) {
                fprintf(stderr, "load: refused: %.*s\n", (int)c->len, c->in);
                exit(1);
        }
        return true;
}

static int compare(const void *a, const void *b)
{
        const int32_t *x = a, *y = b;

        return *x < *y ? -1 : *x > *y;
}

int main(int argc, char **argv)
{
        const struct protocol *p = NULL;
        int count, total, epoll = epoll_create1(0);
        int sent = 0, done = 0;
        struct connection *connections;
        int32_t *latencies;
        int64_t began;

        for (size_t i = 0; argc == 6 && i < 3; i++)
                if (strcmp(argv[1], protocols[i].name) == 0)
                        p = &protocols[i];
        if (!p) {
                fprintf(stderr, "usage: load http|redis|beanstalk HOST PORT CONNECTIONS REQUESTS\n");
                return 2;
        }
        count = atoi(argv[4]);
        total = atoi(argv[5]);
        connections = calloc((size_t)count, sizeof(*connections));
        latencies = calloc((size_t)total, sizeof(*latencies));
        make_request(p);
        for (int i = 0; i < count; i++) {
                struct epoll_event event = { .events = EPOLLIN, .data.ptr = &connections[i] };

                connections[i].fd = connect_to(argv[2], argv[3]);
                if (epoll_ctl(epoll, EPOLL_CTL_ADD, connections[i].fd, &event) < 0)
                        die("epoll_ctl");
        }
        began = now_ns();
        for (int i = 0; i < count && sent < total; i++, sent++)
                send_one(&connections[i]);
        while (done < total) {
                struct epoll_event events[128];
                int n = epoll_wait(epoll, events, 128, 10000);

                if (n <= 0)
                        die("epoll_wait");
                for (int i = 0; i < n; i++) {
                        struct connection *c = events[i].data.ptr;

                        if (!receive(c, p))
                                continue;
                        latencies[done++] = (int32_t)((now_ns() - c->sent_ns) / 1000);
                        if (sent < total) {
                                send_one(c);
                                sent++;
                        }
                }
        }
        qsort(latencies, (size_t)total, sizeof(*latencies), compare);
        printf("%.0f %d %d\n", total / ((double)(now_ns() - began) / 1e9), latencies[total / 2],
               latencies[(size_t)total * 99 / 100]);
        return 0;
}
