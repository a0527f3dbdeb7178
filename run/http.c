/* The http runner: see http.h. The good path: a libcurl handle is set up and added; the reply's head is
 * collected field by field, its body handed on as it comes; when libcurl says DONE the run is over.
 *
 * How it fails: libcurl's code becomes a sentence with host and port, and the question whether another try
 * can help. The guard looks at each address as a socket is opened for it, redirects included. Stopping
 * removes the handle, which closes what is under way; `end` follows from the loop. */
#include "run/http.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/cidr.h"
#include "run/curl_library.h"
#include "run/http_loop.h"
#include "run/http_request.h"
#include "run/runner.h"

#define SPARE_MAX 64 /* handles kept for the next runs */

struct range_list {
        struct cidr *ranges;
        size_t count;
};

struct http_desk {
        struct http_config config;
        struct curl_library curl;
        struct http_loop loop;
        struct range_list deny, allow;
        char *ca_file;
        struct http_run *runs;
        CURL *spare[SPARE_MAX];
        unsigned spares;
        bool stopping;
        void (*stopped)(void *arg);
        void *stopped_arg;
        uv_timer_t stop_timer; /* so that `stopped` comes from the loop */
};

struct http_run {
        struct run run;
        struct http_desk *desk;
        CURL *easy;
        struct curl_slist *fields;
        const struct spool *body;
        uint64_t body_at;
        uv_timer_t later; /* ended from outside: run_over must come from the loop */
        struct buf head;  /* "Status: 200 OK" and the fields, as a CGI reply has them */
        bool head_done, held_back, ended, bad_head;
        bool done; /* while paused: over as soon as it is resumed */
        CURLcode code;
        bool refused; /* by the guard */
        uint64_t received;
        int status;
        char reason[JOB_REASON_MAX];
        char error[CURL_ERROR_SIZE];
        struct http_run *prev, *next;
};

static struct http_run *of(struct run *run)
{
        return (struct http_run *)run;
}

/* ---- the guard ---- */

static bool any_holds(const struct range_list *list, const struct sockaddr *address)
{
        for (size_t i = 0; i < list->count; i++)
                if (cidr_holds(&list->ranges[i], address))
                        return true;
        return false;
}

/* CURLOPT_OPENSOCKETFUNCTION: the address is what the name was resolved to. */
static curl_socket_t on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
        struct http_run *h = arg;
        char host[NI_MAXHOST] = "?";

        (void)purpose;
        if (any_holds(&h->desk->deny, &address->addr) && !any_holds(&h->desk->allow, &address->addr)) {
                getnameinfo(&address->addr, address->addrlen, host, sizeof(host), NULL, 0, NI_NUMERICHOST);
                snprintf(h->reason, sizeof(h->reason),
                         "the address %s is refused (options http_deny, http_allow)", host);
                h->refused = true;
                return CURL_SOCKET_BAD;
        }
        return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* ---- the reply ---- */

static void head_failed(struct http_run *h, const char *why)
{
        h->bad_head = true;
        snprintf(h->reason, sizeof(h->reason), "the target's reply cannot be used: %s", why);
}

/* A status line begins a new head: of a redirect that is followed, of a 100. */
static void begin_head(struct http_run *h, struct slice line)
{
        struct slice rest = line, version;

        slice_cut(&rest, ' ', &version);
        buf_clear(&h->head);
        if (!rest.ptr || buf_printf(&h->head, "Status: %.*s\r\n", SLICE_ARG(rest)) != 0)
                head_failed(h, "its status line is malformed");
}

static struct slice without_end(struct slice line)
{
        while (line.len && (line.ptr[line.len - 1] == '\n' || line.ptr[line.len - 1] == '\r'))
                line.len--;
        return line;
}

static void give_head(struct http_run *h)
{
        struct cgi_head head;
        struct cause cause = { "" };

        h->head_done = true;
        if (h->bad_head)
                return;
        if (buf_append_str(&h->head, "\r\n") != 0) {
                head_failed(h, "its head is too large");
        } else if (cgi_head_parse(buf_slice(&h->head), &head, &cause) < 0) {
                head_failed(h, cause.text);
        } else {
                h->status = head.status;
                h->run.handlers.head(h->run.arg, &head);
        }
}

/* CURLOPT_HEADERFUNCTION: a line at a time, with its end. */
static size_t on_header(char *bytes, size_t size, size_t count, void *arg)
{
        struct http_run *h = arg;
        struct slice line = without_end((struct slice){ bytes, size * count });
        char why[64];

        run_heard(&h->run);
        if (h->head_done || line.len == 0) /* trailers; the end of a head, which may not be the last one */
                return size * count;
        if (slice_starts(line, SLICE("HTTP/"))) {
                begin_head(h, line);
        } else if (!h->bad_head &&
                   (buf_append_slice(&h->head, line) != 0 || buf_append_str(&h->head, "\r\n") != 0)) {
                snprintf(why, sizeof(why), "its head is longer than %d bytes", CGI_HEAD_MAX);
                head_failed(h, why);
        }
        return h->bad_head ? 0 : size * count;
}

static void give_data(struct http_run *h, struct slice bytes)
{
        h->received += bytes.len;
        if (!h->run.gone)
                h->run.handlers.data(h->run.arg, bytes);
}

/* CURLOPT_WRITEFUNCTION */
static size_t on_data(char *bytes, size_t size, size_t count, void *arg)
{
        struct http_run *h = arg;

        run_heard(&h->run);
        if (h->run.paused) {
                h->held_back = true;
                return CURL_WRITEFUNC_PAUSE;
        }
        if (!h->head_done)
                give_head(h);
        if (h->bad_head)
                return 0;
        give_data(h, (struct slice){ bytes, size * count });
        return size * count;
}

/* ---- the request ---- */

/* CURLOPT_READFUNCTION */
static size_t on_read(char *out, size_t size, size_t count, void *arg)
{
        struct http_run *h = arg;
        ssize_t n = spool_read(h->body, h->body_at, out, size * count);

        run_heard(&h->run);
        if (n < 0) {
                snprintf(h->reason, sizeof(h->reason), "the request's body could not be read: %s",
                         strerror((int)-n));
                return CURL_READFUNC_ABORT;
        }
        h->body_at += (uint64_t)n;
        return (size_t)n;
}

/* CURLOPT_SEEKFUNCTION: a request that is sent again, on a fresh connection or after a redirect. */
static int on_seek(void *arg, curl_off_t offset, int origin)
{
        struct http_run *h = arg;

        if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > h->body->len)
                return CURL_SEEKFUNC_CANTSEEK;
        h->body_at = (uint64_t)offset;
        return CURL_SEEKFUNC_OK;
}

static void set_common(const struct http_desk *desk, CURL *easy)
{
        const struct curl_library *curl = &desk->curl;

        curl->easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl->easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
        curl->easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
        curl->easy_setopt(easy, CURLOPT_PROXY, "");
        curl->easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
        curl->easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)desk->config.connect_timeout_ms);
        curl->easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
        curl->easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
        curl->easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
        if (desk->ca_file)
                curl->easy_setopt(easy, CURLOPT_CAINFO, desk->ca_file);
        if (desk->config.redirects_max > 0) {
                curl->easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
                curl->easy_setopt(easy, CURLOPT_MAXREDIRS, (long)desk->config.redirects_max);
        }
}

static void set_callbacks(const struct curl_library *curl, struct http_run *h)
{
        CURL *easy = h->easy;

        curl->easy_setopt(easy, CURLOPT_PRIVATE, h);
        curl->easy_setopt(easy, CURLOPT_ERRORBUFFER, h->error);
        curl->easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
        curl->easy_setopt(easy, CURLOPT_OPENSOCKETDATA, h);
        curl->easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
        curl->easy_setopt(easy, CURLOPT_HEADERDATA, h);
        curl->easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data);
        curl->easy_setopt(easy, CURLOPT_WRITEDATA, h);
        curl->easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
        curl->easy_setopt(easy, CURLOPT_READDATA, h);
        curl->easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
        curl->easy_setopt(easy, CURLOPT_SEEKDATA, h);
}

/* ---- the end ---- */

static void http_free_run(struct run *run)
{
        struct http_run *h = of(run);

        buf_fini(&h->head);
        free(h);
}

static void later_closed(uv_handle_t *handle)
{
        struct http_run *h = handle->data;

        run_unref(&h->run);
}

static void drop_easy(struct http_run *h)
{
        struct http_desk *desk = h->desk;

        if (!h->easy)
                return;
        desk->curl.multi_remove_handle(desk->loop.multi, h->easy);
        if (desk->spares < SPARE_MAX) {
                desk->curl.easy_reset(h->easy);
                desk->spare[desk->spares++] = h->easy;
        } else {
                desk->curl.easy_cleanup(h->easy);
        }
        h->easy = NULL;
        desk->curl.slist_free_all(h->fields);
        h->fields = NULL;
}

static void check_stopped(struct http_desk *desk);

static void http_over(struct http_run *h, struct job_run *how)
{
        struct http_desk *desk = h->desk;

        drop_easy(h);
        DL_DELETE(desk->runs, h);
        uv_close((uv_handle_t *)&h->later, later_closed);
        run_over(&h->run, how);
        check_stopped(desk);
}

/* Whether another try can help. */
static bool code_may_pass(CURLcode code)
{
        switch (code) {
        case CURLE_UNSUPPORTED_PROTOCOL:
        case CURLE_URL_MALFORMAT:
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_CACERT_BADFILE:
        case CURLE_SSL_CERTPROBLEM:
        case CURLE_TOO_MANY_REDIRECTS:
        case CURLE_ABORTED_BY_CALLBACK:
        case CURLE_BAD_FUNCTION_ARGUMENT:
                return false;
        default:
                return true;
        }
}

static void explain(const struct http_run *h, CURLcode code, struct job_run *how)
{
        const char *error = h->error[0] ? h->error : h->desk->curl.easy_strerror(code);

        if (h->reason[0])
                snprintf(how->reason, sizeof(how->reason), "%s", h->reason);
        else if (h->head_done || h->received)
                snprintf(how->reason, sizeof(how->reason),
                         "the reply was cut short after %" PRIu64 " bytes: %.300s", h->received, error);
        else
                snprintf(how->reason, sizeof(how->reason), "no answer: %.400s", error);
        how->may_pass = !h->refused && !h->bad_head && code_may_pass(code);
        if (h->bad_head)
                how->status = 502;
}

static void http_finish(struct http_run *h)
{
        struct job_run how = run_result(RUN_SUCCEEDED);
        CURLcode code = h->code;

        if (code == CURLE_OK && !h->head_done)
                give_head(h); /* a reply without a body */
        how.status = h->status;
        if (code != CURLE_OK || h->bad_head) {
                how.outcome = RUN_FAILED;
                explain(h, code, &how);
        }
        http_over(h, &how);
}

static void http_ended(void *arg, CURL *easy, CURLcode code)
{
        struct http_desk *desk = arg;
        struct http_run *h = NULL;

        desk->curl.easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&h);
        if (h->ended)
                return; /* on_later comes */
        h->done = true;
        h->code = code;
        if (!h->run.paused)
                http_finish(h);
}

/* ---- what the runner offers ---- */

static void on_later(uv_timer_t *timer)
{
        struct job_run how = run_result(RUN_STOPPED);
        struct http_run *h = timer->data;

        if (h->done && !h->ended) {
                http_finish(h);
                return;
        }
        how.status = h->status;
        http_over(h, &how);
}

static void http_end_now(struct run *run)
{
        struct http_run *h = of(run);

        if (h->ended)
                return;
        h->ended = true;
        uv_timer_start(&h->later, on_later, 0, 0);
}

static void http_pause(struct run *run)
{
        (void)run; /* the next piece is held back by libcurl */
}

static void http_resume(struct run *run)
{
        struct http_run *h = of(run);

        if (h->done)
                uv_timer_start(&h->later, on_later, 0, 0);
        if (!h->held_back || h->done)
                return;
        h->held_back = false;
        h->desk->curl.easy_pause(h->easy, CURLPAUSE_CONT);
        http_loop_poke(&h->desk->loop);
}

static const struct runner http_runner = {
        .name = "http",
        .pause = http_pause,
        .resume = http_resume,
        .hang_up = http_end_now,
        .ask = http_end_now,
        .kill = http_end_now,
        .free = http_free_run,
};

static int desk_open(struct http_desk *desk, struct cause *cause)
{
        int r = curl_library_load(&desk->curl, cause);

        if (r < 0 || desk->loop.multi)
                return r;
        r = http_loop_open(&desk->loop, desk->config.loop, &desk->curl, http_ended, desk);
        if (r < 0)
                return cause_set(cause, r, "out of memory for libcurl");
        desk->curl.multi_setopt(desk->loop.multi, CURLMOPT_MAXCONNECTS, (long)desk->config.connections_max);
        return 0;
}

int http_start(struct http_desk *desk, const struct http_request *request,
               const struct run_handlers *handlers, void *arg, struct run **out, struct cause *cause)
{
        struct http_run *h;
        int r = desk_open(desk, cause);

        if (r < 0)
                return r;
        h = mem_alloc(sizeof(*h));
        h->desk = desk;
        h->body = &request->request->body;
        h->easy = desk->spares ? desk->spare[--desk->spares] : desk->curl.easy_init();
        h->fields = http_request_fields(&desk->curl, request);
        if (!h->easy || !h->fields) {
                if (h->easy)
                        desk->curl.easy_cleanup(h->easy);
                desk->curl.slist_free_all(h->fields);
                free(h);
                return cause_set(cause, -ENOMEM, "out of memory for the request");
        }
        buf_init(&h->head, CGI_HEAD_MAX + 64);
        run_init(&h->run, &http_runner, desk->config.loop, handlers, arg);
        uv_timer_init(desk->config.loop, &h->later);
        h->later.data = h;
        run_ref(&h->run);
        set_common(desk, h->easy);
        http_request_set(&desk->curl, h->easy, request, h->fields);
        set_callbacks(&desk->curl, h);
        DL_APPEND(desk->runs, h);
        desk->curl.multi_add_handle(desk->loop.multi, h->easy);
        *out = &h->run;
        return 0;
}

/* ---- life ---- */

static int parse_list(struct range_list *list, char *const *texts, struct cause *cause)
{
        size_t count = 0;
        int r = 0;

        while (texts && texts[count])
                count++;
        list->ranges = mem_alloc((count + 1) * sizeof(*list->ranges));
        for (; list->count < count && r == 0; list->count++)
                r = cidr_parse(texts[list->count], &list->ranges[list->count], cause);
        return r;
}

int http_new(struct http_desk **out, const struct http_config *config, struct cause *cause)
{
        struct http_desk *desk = mem_alloc(sizeof(*desk));
        int r;

        *out = NULL;
        desk->config = *config;
        desk->ca_file = config->ca_file ? mem_dup(config->ca_file) : NULL;
        r = parse_list(&desk->deny, config->deny, cause);
        if (r == 0)
                r = parse_list(&desk->allow, config->allow, cause);
        if (r < 0) {
                http_free(desk);
                return r;
        }
        *out = desk;
        return 0;
}

static void loop_closed(uv_handle_t *handle)
{
        struct http_loop *loop = handle->data;
        struct http_desk *desk = loop->arg;

        desk->stopped(desk->stopped_arg);
}

static void on_stop(uv_timer_t *timer)
{
        uv_close((uv_handle_t *)timer, NULL);
        check_stopped(timer->data);
}

static void check_stopped(struct http_desk *desk)
{
        if (!desk->stopping || desk->runs || !uv_is_closing((uv_handle_t *)&desk->stop_timer))
                return;
        desk->stopping = false;
        while (desk->spares)
                desk->curl.easy_cleanup(desk->spare[--desk->spares]);
        if (desk->loop.multi)
                http_loop_close(&desk->loop, loop_closed);
        else
                desk->stopped(desk->stopped_arg);
}

void http_stop(struct http_desk *desk, void (*done)(void *arg), void *arg)
{
        struct http_run *h, *next;

        desk->stopping = true;
        desk->stopped = done;
        desk->stopped_arg = arg;
        uv_timer_init(desk->config.loop, &desk->stop_timer);
        desk->stop_timer.data = desk;
        uv_timer_start(&desk->stop_timer, on_stop, 0, 0);
        DL_FOREACH_SAFE (desk->runs, h, next)
                run_put_back(&h->run, "the server is shutting down");
}

void http_free(struct http_desk *desk)
{
        if (!desk)
                return;
        free(desk->deny.ranges);
        free(desk->allow.ranges);
        free(desk->ca_file);
        free(desk);
}
