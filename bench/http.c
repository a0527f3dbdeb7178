/* bench-http [REQUESTS [AT_ONCE]]: the http runner beside a bare libcurl multi loop, in turns, against a
 * small server in a process of its own that answers everything at once over kept connections. Each request is
 * a POST of 512 bytes; both sides read the reply and nothing else. Prints requests a second and their ratio.
 */
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "base/mem.h"
#include "job/job.h"
#include "run/curl_library.h"
#include "run/http.h"

#define BODY   512
#define ROUNDS 5

static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n";

static unsigned count = 20000, at_once = 64;
static char url[64];

/* ---- the server ---- */

struct peer {
        uv_tcp_t tcp;
        size_t got; /* bytes of the request under way after its head; before: 0 */
        char in[8192];
        size_t len;
};

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *out)
{
        struct peer *p = handle->data;

        (void)wanted;
        *out = uv_buf_init(p->in + p->len, (unsigned)(sizeof(p->in) - 1 - p->len));
}

static void on_peer_closed(uv_handle_t *handle)
{
        free(handle->data);
}

/* One request at a time on a connection: the head ends, BODY bytes follow. */
static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
        struct peer *p = stream->data;
        uv_buf_t out = uv_buf_init((char *)(uintptr_t)reply, sizeof(reply) - 1);
        const char *end;

        (void)buf;
        if (n < 0) {
                uv_close((uv_handle_t *)stream, on_peer_closed);
                return;
        }
        p->len += (size_t)n;
        p->in[p->len] = '\0';
        end = strstr(p->in, "\r\n\r\n");
        if (!end || p->in + p->len < end + 4 + BODY)
                return;
        p->len = 0;
        if (uv_try_write(stream, &out, 1) != (int)out.len)
                abort();
}

static void on_connection(uv_stream_t *listener, int status)
{
        struct peer *p = mem_alloc(sizeof(*p));

        if (status < 0)
                abort();
        uv_tcp_init(listener->loop, &p->tcp);
        p->tcp.data = p;
        uv_accept(listener, (uv_stream_t *)&p->tcp);
        uv_tcp_nodelay(&p->tcp, 1);
        uv_read_start((uv_stream_t *)&p->tcp, on_alloc, on_read);
}

static void serve(int ready)
{
        struct sockaddr_in address;
        int len = sizeof(address);
        uv_tcp_t listener;
        uv_loop_t loop;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        uv_loop_init(&loop);
        uv_ip4_addr("127.0.0.1", 0, &address);
        uv_tcp_init(&loop, &listener);
        uv_tcp_bind(&listener, (struct sockaddr *)&address, 0);
        uv_listen((uv_stream_t *)&listener, 1024, on_connection);
        uv_tcp_getsockname(&listener, (struct sockaddr *)&address, &len);
        if (write(ready, &address.sin_port, sizeof(address.sin_port)) != sizeof(address.sin_port))
                abort();
        uv_run(&loop, UV_RUN_DEFAULT);
        _exit(0);
}

/* ---- the bare loop ---- */

static size_t on_bare_data(char *bytes, size_t size, size_t n, void *arg)
{
        (void)bytes, (void)arg;
        return size * n;
}

static CURL *bare_handle(const struct curl_library *c, struct curl_slist *fields, const char *body)
{
        CURL *easy = c->easy_init();

        c->easy_setopt(easy, CURLOPT_URL, url);
        c->easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        c->easy_setopt(easy, CURLOPT_PROXY, "");
        c->easy_setopt(easy, CURLOPT_HTTPHEADER, fields);
        c->easy_setopt(easy, CURLOPT_POSTFIELDS, body);
        c->easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)BODY);
        c->easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bare_data);
        return easy;
}

/* The handles are used again and again, as one would who only wants to be fast. */
static unsigned run_bare(const struct curl_library *c, const char *body)
{
        __typeof__(curl_multi_perform) *perform = NULL;
        __typeof__(curl_multi_poll) *wait = NULL;
        struct curl_slist idle = { (char[]){ "Content-Type: text/plain" }, NULL };
        struct curl_slist fields = { (char[]){ "Expect:" }, &idle };
        CURLM *multi = c->multi_init();
        unsigned started = 0, ended = 0, good = 0;
        CURL **handles = mem_alloc(at_once * sizeof(CURL *));
        int left;

        *(void **)&perform = dlsym(c->handle, "curl_multi_perform");
        *(void **)&wait = dlsym(c->handle, "curl_multi_poll");
        c->multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)at_once);
        for (; started < at_once && started < count; started++) {
                handles[started] = bare_handle(c, &fields, body);
                c->multi_add_handle(multi, handles[started]);
        }
        while (ended < count) {
                CURLMsg *message;

                perform(multi, &left);
                while ((message = c->multi_info_read(multi, &left))) {
                        CURL *easy = message->easy_handle;

                        good += message->data.result == CURLE_OK;
                        ended++;
                        c->multi_remove_handle(multi, easy);
                        if (started < count && started++)
                                c->multi_add_handle(multi, easy);
                }
                if (ended < count)
                        wait(multi, NULL, 0, 1000, NULL);
        }
        for (unsigned i = 0; i < at_once; i++)
                c->easy_cleanup(handles[i]);
        free(handles);
        c->multi_cleanup(multi);
        return good;
}

/* ---- the runner ---- */

struct lane {
        struct http_desk *desk;
        struct job_request *request;
        unsigned started, ended, good;
};

static void start_one(struct lane *lane);

static void on_head(void *arg, const struct cgi_head *head)
{
        (void)arg, (void)head;
}

static void on_data(void *arg, struct slice bytes)
{
        (void)arg, (void)bytes;
}

static void on_end(void *arg, const struct job_run *how)
{
        struct lane *lane = arg;

        lane->good += how->outcome == RUN_SUCCEEDED && how->status == 200;
        lane->ended++;
        if (lane->started < count)
                start_one(lane);
}

static void start_one(struct lane *lane)
{
        static const struct run_handlers handlers = { .head = on_head, .data = on_data, .end = on_end };
        const struct http_request request = { .job_id = "0123456789abcdefghjkmnpqrs",
                                              .run = 1,
                                              .request = lane->request };
        struct cause cause = { "" };
        struct run *run;

        lane->started++;
        if (http_start(lane->desk, &request, &handlers, lane, &run, &cause) < 0) {
                fprintf(stderr, "bench-http: %s\n", cause.text);
                exit(1);
        }
}

static void on_stopped(void *arg)
{
        *(bool *)arg = true;
}

static unsigned run_runner(const char *body)
{
        struct job_request request = { .method = (char[]){ "POST" },
                                       .target = url,
                                       .headers = (char[]){ "Content-Type: text/plain\r\n" },
                                       .host = (char[]){ "" } };
        struct http_config config = { .connect_timeout_ms = 5000, .connections_max = at_once };
        struct lane lane = { .request = &request };
        struct cause cause = { "" };
        bool stopped = false;
        uv_loop_t loop;

        uv_loop_init(&loop);
        config.loop = &loop;
        spool_init(&request.body, -1, BODY, BODY);
        if (spool_write(&request.body, body, BODY) != 0 || http_new(&lane.desk, &config, &cause) < 0)
                exit(1);
        for (unsigned i = 0; i < at_once && i < count; i++)
                start_one(&lane);
        while (lane.ended < count)
                uv_run(&loop, UV_RUN_ONCE);
        http_stop(lane.desk, on_stopped, &stopped);
        uv_run(&loop, UV_RUN_DEFAULT);
        http_free(lane.desk);
        uv_loop_close(&loop);
        spool_fini(&request.body);
        return lane.good;
}

/* ---- both ---- */

static double cpu(void)
{
        struct rusage usage;

        getrusage(RUSAGE_SELF, &usage);
        return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void report(const char *name, unsigned good, uint64_t ns, double cpu_s, double *best)
{
        double rate = (double)count / ((double)ns / 1e9);

        printf("%-8s %7.0f requests/s  %5.1f us of CPU each%s\n", name, rate, cpu_s * 1e6 / count,
               good == count ? "" : "  NOT ALL SUCCEEDED");
        if (rate > *best)
                *best = rate;
}

int main(int argc, char **argv)
{
        struct curl_library c = { 0 };
        struct cause cause = { "" };
        char body[BODY + 1];
        double best_bare = 0, best_runner = 0;
        in_port_t port;
        int ends[2], pid;

        if (argc > 1)
                count = (unsigned)atoi(argv[1]);
        if (argc > 2)
                at_once = (unsigned)atoi(argv[2]);
        memset(body, 'b', sizeof(body) - 1);
        body[BODY] = '\0';
        if (pipe(ends) < 0)
                return 1;
        pid = fork();
        if (pid == 0)
                serve(ends[1]);
        if (read(ends[0], &port, sizeof(port)) != sizeof(port) || curl_library_load(&c, &cause) < 0) {
                fprintf(stderr, "bench-http: %s\n", cause.text);
                return 1;
        }
        snprintf(url, sizeof(url), "http://127.0.0.1:%d/", ntohs(port));
        for (int i = 0; i < ROUNDS; i++) {
                double cpu_before = cpu();
                uint64_t before = uv_hrtime();
                unsigned good = run_bare(&c, body);

                report("bare", good, uv_hrtime() - before, cpu() - cpu_before, &best_bare);
                cpu_before = cpu();
                before = uv_hrtime();
                good = run_runner(body);
                report("runner", good, uv_hrtime() - before, cpu() - cpu_before, &best_runner);
        }
        printf("best runner / best bare: %.2f\n", best_runner / best_bare);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        return 0;
}
