/* See http_rig.h. */
#include "http_rig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#include "base/mem.h"

#define PATIENCE_MS 30000
#define DATA_MAX    (1 << 20)

/* ---- the bench ---- */

static void on_tick(uv_timer_t *timer)
{
}

unsigned bench_fds(void)
{
        DIR *folder = opendir("/proc/self/fd");
        unsigned count = 0;

        assert_non_null(folder);
        while (readdir(folder))
                count++;
        closedir(folder);
        return count;
}

struct http_config bench_config(void)
{
        return (struct http_config){ .connect_timeout_ms = 5000, .connections_max = 16 };
}

void bench_open(struct bench *bench, const struct http_config *config)
{
        struct http_config own = *config;
        struct cause cause = { "" };

        memset(bench, 0, sizeof(*bench));
        signal(SIGPIPE, SIG_IGN);                        /* as the server does */
        assert_int_equal(uv_loop_init(&bench->loop), 0); /* libuv's own, which stay */
        uv_loop_close(&bench->loop);
        bench->fds = (int)bench_fds();
        snprintf(bench->folder, sizeof(bench->folder), "/tmp/sendoff-http-XXXXXX");
        assert_non_null(mkdtemp(bench->folder));
        bench->folder_fd = open(bench->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(bench->folder_fd >= 0);
        assert_int_equal(uv_loop_init(&bench->loop), 0);
        uv_timer_init(&bench->loop, &bench->tick);
        uv_timer_start(&bench->tick, on_tick, 2, 2);
        own.loop = &bench->loop;
        assert_int_equal(http_new(&bench->desk, &own, &cause), 0);
        origin_open(&bench->origin, bench);
}

static void on_stopped(void *arg)
{
        struct bench *bench = arg;

        bench->stopped = true;
        http_free(bench->desk); /* allowed in here */
        bench->desk = NULL;
}

static bool is_stopped(void *arg)
{
        return ((struct bench *)arg)->stopped;
}

void bench_stop(struct bench *bench)
{
        http_stop(bench->desk, on_stopped, bench);
        assert_false(bench->stopped); /* only from the loop */
        bench_until(bench, is_stopped, bench);
}

void bench_close(struct bench *bench)
{
        char command[128];

        if (bench->desk)
                bench_stop(bench);
        origin_close(&bench->origin);
        uv_close((uv_handle_t *)&bench->tick, NULL);
        assert_int_equal(uv_run(&bench->loop, UV_RUN_DEFAULT), 0);
        assert_int_equal(uv_loop_close(&bench->loop), 0);
        close(bench->folder_fd);
        snprintf(command, sizeof(command), "rm -rf %s", bench->folder);
        assert_int_equal(system(command), 0);
        assert_int_equal(bench_fds(), bench->fds);
}

int bench_setup(void **state)
{
        struct http_config config = bench_config();

        *state = mem_alloc(sizeof(struct bench));
        bench_open(*state, &config);
        return 0;
}

int bench_teardown(void **state)
{
        bench_close(*state);
        free(*state);
        return 0;
}

void bench_until(struct bench *bench, bool (*is_so)(void *arg), void *arg)
{
        uint64_t end = uv_hrtime() + (uint64_t)PATIENCE_MS * 1000000;

        while (!is_so(arg)) {
                assert_true(uv_hrtime() < end);
                uv_run(&bench->loop, UV_RUN_ONCE);
        }
}

void bench_turns(struct bench *bench, unsigned count)
{
        while (count--)
                uv_run(&bench->loop, UV_RUN_ONCE);
}

char *bench_path(const struct bench *bench, const char *name)
{
        return mem_printf("%s/%s", bench->folder, name);
}

/* ---- sums and patterns ---- */

uint32_t sum_bytes(uint32_t sum, const char *bytes, size_t len)
{
        for (size_t i = 0; i < len; i++)
                sum = (sum << 5 | sum >> 27) ^ (unsigned char)bytes[i];
        return sum;
}

void pattern(char *out, uint64_t at, size_t len)
{
        for (size_t i = 0; i < len; i++)
                out[i] = (char)((at + i) * 2654435761U >> 13);
}

uint32_t pattern_sum(uint64_t len)
{
        char piece[8192];
        uint32_t sum = 0;

        for (uint64_t at = 0; at < len; at += sizeof(piece)) {
                size_t n = len - at < sizeof(piece) ? (size_t)(len - at) : sizeof(piece);

                pattern(piece, at, n);
                sum = sum_bytes(sum, piece, n);
        }
        return sum;
}

/* ---- the origin ---- */

static void visit_closed(uv_handle_t *handle)
{
        struct visit *v = handle->data;

        v->origin->open--;
        DL_DELETE(v->origin->visits, v);
        buf_fini(&v->in);
        free(v->head);
        free(v);
}

static void visit_close(struct visit *v)
{
        if (v->closed)
                return;
        v->closed = true;
        uv_close((uv_handle_t *)&v->tcp, visit_closed);
}

void visit_reset(struct visit *v)
{
        if (v->closed)
                return;
        v->closed = true;
        assert_int_equal(uv_tcp_close_reset(&v->tcp, visit_closed), 0);
}

static void on_shutdown(uv_shutdown_t *req, int status)
{
        visit_close(req->handle->data);
        free(req);
}

void visit_end(struct visit *v)
{
        uv_shutdown_t *req = mem_alloc(sizeof(*req));

        if (v->closed || uv_shutdown(req, (uv_stream_t *)&v->tcp, on_shutdown) < 0) {
                free(req);
                visit_close(v);
        }
}

struct writing {
        uv_write_t req;
        struct visit *visit;
        size_t len;
        char bytes[];
};

static void on_written(uv_write_t *req, int status)
{
        struct writing *w = req->data;

        w->visit->unsent -= w->len;
        if (status == 0 && w->visit->unsent == 0 && w->visit->drained && !w->visit->closed)
                w->visit->drained(w->visit);
        free(w);
}

void visit_write(struct visit *v, const char *bytes, size_t len)
{
        struct writing *w;
        uv_buf_t buf;

        if (v->closed)
                return;
        w = mem_alloc(sizeof(*w) + len);
        memcpy(w->bytes, bytes, len);
        w->visit = v;
        w->len = len;
        w->req.data = w;
        buf = uv_buf_init(w->bytes, (unsigned)len);
        v->unsent += len;
        assert_int_equal(uv_write(&w->req, (uv_stream_t *)&v->tcp, &buf, 1, on_written), 0);
}

void visit_say(struct visit *v, const char *text)
{
        visit_write(v, text, strlen(text));
}

void visit_answer(struct visit *v, const char *body)
{
        char *text = mem_printf("HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);

        visit_say(v, text);
        free(text);
}

bool visit_has(const struct visit *v, const char *name)
{
        return http1_find(v->request.headers, v->request.header_count, slice_of(name)) != NULL;
}

char *visit_field(const struct visit *v, const char *name)
{
        const struct http1_header *h =
                http1_find(v->request.headers, v->request.header_count, slice_of(name));

        return h ? slice_dup(h->value) : mem_dup("");
}

static bool visit_take_head(struct visit *v)
{
        struct slice in = buf_slice(&v->in);
        size_t len = http1_head_length(in, &v->scanned);
        struct cause cause = { "" };

        if (len == 0)
                return false;
        free(v->head);
        v->head = slice_dup((struct slice){ in.ptr, len });
        if (http1_request_parse((struct slice){ v->head, len }, &v->request, &cause) != 0)
                fail_msg("the request is malformed: %s\n%s", cause.text, v->head);
        assert_int_not_equal(v->request.framing, HTTP1_CHUNKED);
        buf_consume(&v->in, len);
        v->headed = true;
        v->scanned = 0;
        v->body_len = v->body_sum = 0;
        memset(v->body, 0, sizeof(v->body));
        return true;
}

/* False: more is to come. */
static bool visit_take_body(struct visit *v)
{
        uint64_t wanted = v->request.framing == HTTP1_LENGTH ? v->request.content_length - v->body_len : 0;
        struct slice in = buf_slice(&v->in);
        size_t n = in.len < wanted ? in.len : (size_t)wanted;

        for (size_t i = 0; i < n && v->body_len + i < sizeof(v->body) - 1; i++)
                v->body[v->body_len + i] = in.ptr[i];
        v->body_sum = sum_bytes(v->body_sum, in.ptr, n);
        v->body_len += n;
        buf_consume(&v->in, n);
        return n == wanted;
}

static void visit_take(struct visit *v)
{
        struct origin *o = v->origin;

        while (!v->closed && buf_len(&v->in) > 0) {
                if (!v->headed && !visit_take_head(v))
                        return;
                if (!visit_take_body(v))
                        return;
                v->headed = false;
                v->requests++;
                o->requests++;
                o->answer(v);
        }
}

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *out)
{
        struct visit *v = handle->data;
        size_t size = 64 << 10;

        *out = uv_buf_init(buf_reserve(&v->in, size), (unsigned)size);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
        struct visit *v = stream->data;

        if (n == UV_EOF || n < 0) {
                v->origin->gone++;
                visit_close(v);
                return;
        }
        buf_wrote(&v->in, (size_t)n);
        v->bytes += (uint64_t)n;
        if (v->origin->heard)
                v->origin->heard(v);
        if (v->origin->answer)
                visit_take(v);
}

static void on_connection(uv_stream_t *listener, int status)
{
        struct origin *o = listener->data;
        struct visit *v = mem_alloc(sizeof(*v));

        assert_int_equal(status, 0);
        v->origin = o;
        buf_init(&v->in, 1 << 20);
        uv_tcp_init(&o->bench->loop, &v->tcp);
        v->tcp.data = v;
        DL_APPEND(o->visits, v);
        o->open++;
        o->accepted++;
        assert_int_equal(uv_accept(listener, (uv_stream_t *)&v->tcp), 0);
        if (!o->deaf)
                assert_int_equal(uv_read_start((uv_stream_t *)&v->tcp, on_alloc, on_read), 0);
}

void origin_open(struct origin *o, struct bench *bench)
{
        struct sockaddr_storage address;
        int len = sizeof(address);

        memset(o, 0, sizeof(*o));
        o->bench = bench;
        assert_int_equal(uv_ip4_addr("127.0.0.1", 0, (struct sockaddr_in *)&address), 0);
        uv_tcp_init(&bench->loop, &o->listener);
        o->listener.data = o;
        assert_int_equal(uv_tcp_bind(&o->listener, (struct sockaddr *)&address, 0), 0);
        assert_int_equal(uv_listen((uv_stream_t *)&o->listener, 512, on_connection), 0);
        assert_int_equal(uv_tcp_getsockname(&o->listener, (struct sockaddr *)&address, &len), 0);
        o->port = ntohs(((struct sockaddr_in *)&address)->sin_port);
}

void origin_close(struct origin *o)
{
        struct visit *v, *next;

        DL_FOREACH_SAFE (o->visits, v, next)
                visit_close(v);
        if (!uv_is_closing((uv_handle_t *)&o->listener))
                uv_close((uv_handle_t *)&o->listener, NULL);
}

char *origin_url(const struct origin *o, const char *path)
{
        return mem_printf("http://127.0.0.1:%d%s", o->port, path);
}

/* ---- answers ---- */

void origin_hello(struct visit *v)
{
        visit_answer(v, "hello");
}

static void send_pattern(struct visit *v)
{
        char piece[64 << 10];
        uint64_t at = BIG - v->left;
        size_t n = v->left < sizeof(piece) ? (size_t)v->left : sizeof(piece);

        v->drained = n ? send_pattern : NULL;
        pattern(piece, at, n);
        v->left -= n;
        if (n)
                visit_write(v, piece, n);
}

void origin_big(struct visit *v)
{
        char *head = mem_printf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", BIG);

        visit_say(v, head);
        free(head);
        v->left = BIG;
        send_pattern(v);
}

void origin_sum(struct visit *v)
{
        char *text = mem_printf(" %llu %u", (unsigned long long)v->body_len, v->body_sum);

        visit_answer(v, text);
        free(text);
}

void origin_waits(struct visit *v)
{
}

/* ---- calls ---- */

static void on_head(void *arg, const struct cgi_head *head)
{
        struct call *call = arg;
        struct buf lines;

        call->broken_promises += call->headed || call->ended || call->paused;
        call->headed = true;
        call->status = head->status;
        call->words = slice_dup(head->reason);
        buf_init(&lines, 1 << 20);
        for (size_t i = 0; i < head->header_count; i++)
                assert_int_equal(buf_printf(&lines, "%.*s: %.*s\n", SLICE_ARG(head->headers[i].name),
                                            SLICE_ARG(head->headers[i].value)),
                                 0);
        call->headers = buf_take(&lines);
        if (call->on_head)
                call->on_head(call);
}

static void on_data(void *arg, struct slice bytes)
{
        struct call *call = arg;

        call->broken_promises += !call->headed || call->ended || call->paused || bytes.len == 0;
        call->data_len += bytes.len;
        call->data_sum = sum_bytes(call->data_sum, bytes.ptr, bytes.len);
        if (!call->count_only)
                assert_int_equal(buf_append_slice(&call->data, bytes), 0);
        if (call->on_data)
                call->on_data(call);
}

static void on_log(void *arg, struct slice bytes)
{
        ((struct call *)arg)->broken_promises++;
}

static void on_end(void *arg, const struct job_run *how)
{
        struct call *call = arg;

        call->broken_promises += call->ended;
        call->ended = true;
        call->run = NULL;
        call->how = *how;
        if (call->running)
                (*call->running)--;
        if (call->on_end)
                call->on_end(call);
}

void call_init(struct call *call, struct bench *bench, const char *method, const char *path)
{
        memset(call, 0, sizeof(*call));
        call->bench = bench;
        call->request.method = mem_dup(method);
        call->request.target = path[0] == '/' ? origin_url(&bench->origin, path) : mem_dup(path);
        call->request.host = mem_dup("");
        call->request.remote = mem_dup("unix:");
        call->request.local = mem_dup("");
        snprintf(call->id, sizeof(call->id), "0123456789abcdefghjkmnpqrs");
        spool_init(&call->request.body, bench->folder_fd, 256 << 10, UINT64_MAX);
        buf_init(&call->fields, JOB_HEADERS_MAX);
        buf_init(&call->data, DATA_MAX);
}

void call_fini(struct call *call)
{
        assert_int_equal(call->broken_promises, 0);
        job_request_fini(&call->request);
        buf_fini(&call->fields);
        buf_fini(&call->data);
        free(call->headers);
        free(call->words);
}

void call_field(struct call *call, const char *name, const char *value)
{
        assert_int_equal(http1_block_add(&call->fields, slice_of(name), slice_of(value)), 0);
}

void call_body(struct call *call, const char *bytes, size_t len)
{
        assert_int_equal(spool_write(&call->request.body, bytes, len), 0);
}

void call_body_pattern(struct call *call, uint64_t len)
{
        char piece[64 << 10];

        for (uint64_t at = 0; at < len; at += sizeof(piece)) {
                size_t n = len - at < sizeof(piece) ? (size_t)(len - at) : sizeof(piece);

                pattern(piece, at, n);
                call_body(call, piece, n);
        }
}

void call_start(struct call *call)
{
        static const struct run_handlers handlers = {
                .head = on_head, .data = on_data, .log = on_log, .end = on_end
        };
        const struct http_request request = { .job_id = call->id, .run = 3, .request = &call->request };
        struct cause cause = { "" };

        call->request.headers = buf_take(&call->fields);
        if (http_start(call->bench->desk, &request, &handlers, call, &call->run, &cause) < 0)
                fail_msg("not started: %s", cause.text);
        assert_false(call->ended); /* only from the loop */
}

static bool is_ended(void *arg)
{
        return ((struct call *)arg)->ended;
}

void call_until_end(struct call *call)
{
        bench_until(call->bench, is_ended, call);
}

void call_run(struct call *call)
{
        call_start(call);
        call_until_end(call);
}

char *call_text(struct call *call)
{
        assert_int_equal(buf_append(&call->data, "", 1), 0);
        return buf_data(&call->data);
}

char *call_header(struct call *call, const char *name)
{
        struct slice rest = slice_of(call->headers), line;
        size_t len = strlen(name);

        while (slice_cut(&rest, '\n', &line))
                if (line.len > len && line.ptr[len] == ':' &&
                    slice_eq_nocase((struct slice){ line.ptr, len }, slice_of(name)))
                        return slice_dup(slice_trim(slice_from(line, len + 1)));
        return mem_dup("");
}

void assert_answered(const struct call *call, int status)
{
        assert_reason(call, "");
        assert_true(call->ended && call->headed);
        assert_int_equal(call->how.outcome, RUN_SUCCEEDED);
        assert_int_equal(call->how.status, status);
        assert_int_equal(call->status, status);
        assert_false(call->how.may_pass);
        assert_int_equal(call->how.connection_status, 0);
        assert_int_equal(call->how.exit_code, -1);
}
