/* The http runner: see http.h. The good path: a libcurl handle is set up and, from the loop, added; the
 * reply's head is collected line by line, its body handed on as it comes; when libcurl says that it has
 * ended, the run is over.
 *
 *             turn             head            libcurl: ended
 *   WAITING ────────▶ ASKING ───────▶ ANSWERING ──────────────▶ over
 *                      ▲  │ a redirect, of which nothing is handed on; ended
 *                      └──┘
 *
 * Redirects are followed here, not by libcurl, which would repeat a custom method after a 303: the reply's
 * head decides, and the handle is added again with the next URL, at another origin without the request's
 * credentials. The guard looks at each address as a socket is made for it.
 *
 * How it fails: libcurl's code becomes a sentence (http_reason.c), unless we have ended the transfer
 * ourselves and said why. What comes from outside (stop, resume) takes effect in the desk's next turn on the
 * loop: libcurl may be on the stack, and no callback may come from within a call.
 *
 * How it closes: a stopped run's handle is removed, which closes its connection. A minute after the last run
 * the connections that were kept are closed, too. */
#include "run/http.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <utlist.h>

#include "base/mem.h"
#include "run/curl_library.h"
#include "run/http_guard.h"
#include "run/http_loop.h"
#include "run/http_reason.h"
#include "run/http_reply.h"
#include "run/http_request.h"
#include "run/http_url.h"
#include "run/runner.h"

#define REST_MS    60000      /* from the last run to closing the connections */
#define WASTED_MAX (64 << 10) /* of a redirect's body: more is not waited for */

struct transfer {
        struct run run;
        struct http_desk *desk;
        struct transfer *prev, *next;
        struct transfer *prev_due, *next_due;
        CURL *easy;
        struct http_url url;
        struct http_fields fields;
        const char *method; /* of the request under way, after redirects */
        const struct spool *body;
        uint64_t body_at;
        struct http_reply reply;
        unsigned redirects; /* followed so far */
        uint64_t got;       /* see http_failure */
        int status;
        int64_t length; /* -1 unknown */
        bool due;       /* in desk->due */
        bool begun;     /* it was in libcurl's hands */
        bool added;     /* it is */
        bool headed;    /* the head was handed on */
        bool following; /* the reply is a redirect that will be followed */
        bool stopping;  /* ended from outside */
        bool held;      /* libcurl keeps bytes back, or may */
        bool ended;     /* as code says, while paused */
        bool failed;    /* by us: see why and may_pass */
        bool opened;    /* a socket was made for it */
        bool refused;   /* the guard has refused an address: see why */
        bool over;
        CURLcode code;
        int os_error; /* of making a socket, 0 none */
        bool may_pass;
        char why[JOB_REASON_MAX]; /* once failed or refused */
        char error[CURL_ERROR_SIZE];
};

struct http_desk {
        uv_loop_t *uv;
        struct curl_library curl;
        struct http_loop loop;
        struct http_guard guard;
        int64_t connect_timeout_ms;
        unsigned redirects_max, connections_max;
        char *ca_file;
        struct transfer *transfers;
        struct transfer *due; /* for the next turn */
        unsigned alive;       /* structs, that is: also those whose handles are closing */
        bool open;            /* the handles are there */
        uv_timer_t turn, rest;
        unsigned closing; /* handles */
        bool stopping;
        void (*stopped)(void *arg);
        void *stopped_arg;
};

static struct transfer *of(struct run *run)
{
        return (struct transfer *)run;
}

/* ---- the desk's turn ---- */

static void on_turn(uv_timer_t *timer);

static void be_due(struct transfer *t)
{
        struct http_desk *desk = t->desk;

        if (t->due || t->over)
                return;
        t->due = true;
        DL_APPEND2(desk->due, t, prev_due, next_due);
        if (!uv_is_active((uv_handle_t *)&desk->turn))
                uv_timer_start(&desk->turn, on_turn, 0, 0);
}

static void not_due(struct transfer *t)
{
        if (!t->due)
                return;
        t->due = false;
        DL_DELETE2(t->desk->due, t, prev_due, next_due);
}

/* ---- the end ---- */

static void desk_check_down(struct http_desk *desk);
static void on_rest(uv_timer_t *timer);

static void transfer_free(struct run *run)
{
        struct transfer *t = of(run);
        struct http_desk *desk = t->desk;

        free(t);
        desk->alive--;
        desk_check_down(desk);
}

/* Gives back what was set up for it; libcurl has not got it any more. */
static void transfer_drop(struct transfer *t)
{
        const struct curl_library *curl = &t->desk->curl;

        curl->easy_cleanup(t->easy); /* NULL is fine */
        http_url_fini(&t->url);
        http_fields_fini(&t->fields);
        http_reply_fini(&t->reply);
}

static void transfer_release(struct transfer *t)
{
        if (t->added)
                http_loop_remove(&t->desk->loop, t->easy);
        t->added = false;
}

__attribute__((format(printf, 3, 4))) static void transfer_fail(struct transfer *t, bool may_pass,
                                                                const char *format, ...)
{
        va_list args;

        if (t->failed)
                return;
        t->failed = true;
        t->may_pass = may_pass;
        va_start(args, format);
        vsnprintf(t->why, sizeof(t->why), format, args);
        va_end(args);
}

static void explain(const struct transfer *t, CURLcode code, struct job_run *how)
{
        const struct curl_library *curl = &t->desk->curl;
        struct http_failure f = { .code = code,
                                  .where = t->url.where,
                                  .host = t->url.host,
                                  .error = t->error[0] ? t->error : curl->easy_strerror(code),
                                  .os_error = t->os_error,
                                  .head_done = t->headed,
                                  .got = t->got,
                                  .body = t->body ? t->body->len : 0,
                                  .length = t->length,
                                  .connect_ms = t->desk->connect_timeout_ms };
        curl_off_t resolved = 0, sent = 0;
        long os_error = 0;

        curl->easy_getinfo(t->easy, CURLINFO_NAMELOOKUP_TIME_T, &resolved);
        curl->easy_getinfo(t->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
        curl->easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os_error);
        f.resolved = t->opened || resolved > 0;
        f.https = t->url.https;
        f.sent = (uint64_t)sent;
        if (!f.os_error)
                f.os_error = (int)os_error;
        http_reason(&f, how);
}

static void transfer_result(const struct transfer *t, struct job_run *how)
{
        *how = run_result(RUN_FAILED);
        how->status = t->status;
        how->untouched = !t->begun;
        if (t->failed) {
                memcpy(how->reason, t->why, sizeof(how->reason));
                how->may_pass = t->may_pass;
        } else if (t->code == CURLE_COULDNT_CONNECT && t->refused && !t->opened) {
                memcpy(how->reason, t->why, sizeof(how->reason));
        } else if (t->code != CURLE_OK) {
                explain(t, t->code, how);
        } else if (!t->headed) { /* libcurl is content with a head that was cut short */
                explain(t, CURLE_GOT_NOTHING, how);
        } else {
                how->outcome = RUN_SUCCEEDED;
        }
}

static void transfer_finish(struct transfer *t)
{
        struct http_desk *desk = t->desk;
        struct job_run how;

        t->over = true;
        transfer_result(t, &how);
        transfer_release(t);
        not_due(t);
        transfer_drop(t);
        DL_DELETE(desk->transfers, t);
        if (!desk->transfers)
                uv_timer_start(&desk->rest, on_rest, REST_MS, 0);
        run_over(&t->run, &how);
}

/* ---- the guard ---- */

/* CURLOPT_OPENSOCKETFUNCTION: the address is what the name was resolved to. */
static curl_socket_t on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
        struct transfer *t = arg;
        char text[HTTP_ADDRESS_SIZE];
        int fd;

        (void)purpose;
        if (http_guard_refuses(&t->desk->guard, &address->addr)) {
                t->refused = true;
                http_guard_text(&address->addr, address->addrlen, text);
                if (strstr(t->url.host, text))
                        snprintf(t->why, sizeof(t->why), "%.100s is refused (option http_deny)", text);
                else
                        snprintf(t->why, sizeof(t->why),
                                 "%.100s, the address of %.300s, is refused (option http_deny)", text,
                                 t->url.host);
                return CURL_SOCKET_BAD;
        }
        fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
        if (fd < 0) {
                t->os_error = errno;
                return CURL_SOCKET_BAD;
        }
        t->opened = true;
        return fd;
}

/* ---- the reply ---- */

static bool has_no_body(const struct transfer *t, int status)
{
        return strcmp(t->method, "HEAD") == 0 || status == 204 || status == 304;
}

static int give_head(struct transfer *t, struct cause *cause)
{
        struct cgi_head head;
        int r = http_reply_head(&t->reply, &head, cause);

        if (r < 0)
                return r;
        t->headed = true;
        t->status = head.status;
        t->got = 0;
        t->length = head.has_length && !has_no_body(t, head.status) ? (int64_t)head.content_length : -1;
        if (!t->run.gone)
                t->run.handlers.head(t->run.arg, &head);
        http_reply_fini(&t->reply);
        return 0;
}

static int take_head(struct transfer *t, struct cause *cause)
{
        unsigned max = t->desk->redirects_max;
        struct slice location;

        if (max == 0 || !http_is_redirect(t->reply.status) || !http_reply_location(&t->reply, &location))
                return give_head(t, cause);
        if (t->redirects == max)
                return cause_set(cause, -ELOOP, "it is one more redirect after %u (option http_redirects)",
                                 max);
        t->following = true;
        return 0;
}

/* CURLOPT_HEADERFUNCTION: a line at a time, with its end. */
static size_t on_header(char *bytes, size_t size, size_t count, void *arg)
{
        struct transfer *t = arg;
        struct cause cause = { "" };
        int r;

        run_heard(&t->run);
        if (!t->headed)
                t->got += size * count;
        r = http_reply_line(&t->reply, (struct slice){ bytes, size * count }, &cause);
        if (r == HTTP_REPLY_HEAD)
                r = take_head(t, &cause);
        if (r < 0)
                transfer_fail(t, r == -EPROTO || r == -ENOMEM, "the reply of %s cannot be used: %s",
                              t->url.where, cause.text);
        return r < 0 ? 0 : size * count;
}

/* CURLOPT_WRITEFUNCTION */
static size_t on_data(char *bytes, size_t size, size_t count, void *arg)
{
        struct transfer *t = arg;
        size_t len = size * count;

        run_heard(&t->run);
        if (t->stopping)
                return 0;
        if (t->following) {
                t->got += len;
                return t->got > WASTED_MAX ? 0 : len;
        }
        if (!t->headed) { /* after a 101 that nobody asked for */
                transfer_fail(t, true, "what %s answered is no reply", t->url.where);
                return 0;
        }
        if (t->run.paused) {
                t->held = true;
                return CURL_WRITEFUNC_PAUSE;
        }
        t->got += len;
        t->run.handlers.data(t->run.arg, (struct slice){ bytes, len });
        return len;
}

/* ---- the request ---- */

/* CURLOPT_READFUNCTION */
static size_t on_read(char *out, size_t size, size_t count, void *arg)
{
        struct transfer *t = arg;
        ssize_t n = spool_read(t->body, t->body_at, out, size * count);

        run_heard(&t->run);
        if (n <= 0) {
                transfer_fail(t, true, "the request's body cannot be read: %s",
                              n < 0 ? strerror((int)-n) : "it is shorter than it was");
                return CURL_READFUNC_ABORT;
        }
        t->body_at += (uint64_t)n;
        return (size_t)n;
}

/* CURLOPT_SEEKFUNCTION: the request is sent again, on a fresh connection. */
static int on_seek(void *arg, curl_off_t offset, int origin)
{
        struct transfer *t = arg;

        if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > t->body->len)
                return CURL_SEEKFUNC_CANTSEEK;
        t->body_at = (uint64_t)offset;
        return CURL_SEEKFUNC_OK;
}

static void set_common(struct transfer *t)
{
        const struct http_desk *desk = t->desk;
        __typeof__(curl_easy_setopt) *set = desk->curl.easy_setopt;
        CURL *easy = t->easy;

        set(easy, CURLOPT_NOSIGNAL, 1L);
        set(easy, CURLOPT_QUICK_EXIT, 1L); /* removing it does not wait for the resolver */
        set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
        set(easy, CURLOPT_PROXY, "");
        set(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
        set(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)desk->connect_timeout_ms);
        set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
        set(easy, CURLOPT_SSL_VERIFYPEER, 1L);
        set(easy, CURLOPT_SSL_VERIFYHOST, 2L);
        if (desk->ca_file) {
                set(easy, CURLOPT_CAINFO, desk->ca_file);
                set(easy, CURLOPT_CAPATH, NULL);
        }
        set(easy, CURLOPT_PRIVATE, t);
        set(easy, CURLOPT_ERRORBUFFER, t->error);
        set(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
        set(easy, CURLOPT_OPENSOCKETDATA, t);
        set(easy, CURLOPT_HEADERFUNCTION, on_header);
        set(easy, CURLOPT_HEADERDATA, t);
        set(easy, CURLOPT_WRITEFUNCTION, on_data);
        set(easy, CURLOPT_WRITEDATA, t);
        set(easy, CURLOPT_READFUNCTION, on_read);
        set(easy, CURLOPT_READDATA, t);
        set(easy, CURLOPT_SEEKFUNCTION, on_seek);
        set(easy, CURLOPT_SEEKDATA, t);
}

static void transfer_add(struct transfer *t)
{
        t->opened = false;
        t->refused = false;
        t->error[0] = '\0';
        t->os_error = 0;
        t->body_at = t->got = 0;
        http_request_set(&t->desk->curl, t->easy, t->method, t->body, &t->fields);
        if (http_loop_add(&t->desk->loop, t->easy) < 0) {
                transfer_fail(t, true, "out of memory for libcurl");
                transfer_finish(t);
                return;
        }
        t->added = t->begun = true;
}

/* The reply is a redirect: the same again with its URL. */
static void transfer_follow(struct transfer *t)
{
        struct slice location = SLICE("");
        struct cause cause = { "" };
        const char *method = http_redirect_method(t->reply.status, t->method);
        char from[sizeof(t->url.where)];
        bool left = false;

        memcpy(from, t->url.where, sizeof(from));
        http_reply_location(&t->reply, &location);
        if (http_url_follow(&t->url, t->easy, location, &left, &cause) < 0) {
                transfer_fail(t, false, "the redirect of %s leads to no URL: %s", from, cause.text);
                transfer_finish(t);
                return;
        }
        if (left)
                http_fields_leave_origin(&t->fields);
        if (strcmp(method, t->method) != 0) {
                t->method = method;
                t->body = NULL;
                http_fields_leave_body(&t->fields);
        }
        t->redirects++;
        t->following = false;
        http_reply_clear(&t->reply);
        transfer_add(t);
}

/* ---- on the loop ---- */

static void on_ended(void *arg, CURL *easy, CURLcode code)
{
        struct http_desk *desk = arg;
        struct transfer *t = NULL;

        desk->curl.easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&t);
        transfer_release(t);
        t->ended = true;
        t->code = code;
        if (t->following && !t->failed && !t->stopping) {
                t->ended = false;
                transfer_follow(t);
        } else if (!t->run.paused) {
                transfer_finish(t);
        }
}

/* What libcurl has kept back comes at once, in here. It refuses when there is no connection yet; then it has
 * kept back nothing. */
static void transfer_go_on(struct transfer *t)
{
        CURLcode code;

        t->held = false;
        code = t->desk->curl.easy_pause(t->easy, CURLPAUSE_CONT);
        if (code != CURLE_OK && code != CURLE_BAD_FUNCTION_ARGUMENT)
                on_ended(t->desk, t->easy, code);
}

static void transfer_turn(struct transfer *t)
{
        if (t->stopping || (t->ended && !t->run.paused)) {
                transfer_finish(t);
        } else if (!t->added && !t->ended) {
                transfer_add(t);
        } else if (t->held && !t->run.paused) {
                transfer_go_on(t);
        }
}

/* Whoever becomes due in here gets the next turn. */
static void on_turn(uv_timer_t *timer)
{
        struct http_desk *desk = timer->data;
        struct transfer *last = desk->due ? desk->due->prev_due : NULL, *t = NULL;

        while (desk->due && t != last) {
                t = desk->due;
                not_due(t);
                transfer_turn(t);
        }
        if (desk->due)
                uv_timer_start(timer, on_turn, 0, 0);
}

/* ---- what the runner offers ---- */

static void http_end_now(struct run *run)
{
        struct transfer *t = of(run);

        t->stopping = true;
        be_due(t);
}

static void http_pause(struct run *run)
{
        struct transfer *t = of(run);

        if (!t->added)
                return;
        t->held = true;
        t->desk->curl.easy_pause(t->easy, CURLPAUSE_RECV);
}

static void http_resume(struct run *run)
{
        be_due(of(run));
}

static const struct runner http_runner = {
        .name = "http",
        .pause = http_pause,
        .resume = http_resume,
        .hang_up = http_end_now,
        .ask = http_end_now,
        .kill = http_end_now,
        .free = transfer_free,
};

/* ---- the desk ---- */

static void on_rest(uv_timer_t *timer)
{
        struct http_desk *desk = timer->data;

        http_loop_rest(&desk->loop);
}

static void desk_open(struct http_desk *desk)
{
        if (desk->open)
                return;
        desk->open = true;
        uv_timer_init(desk->uv, &desk->turn);
        uv_timer_init(desk->uv, &desk->rest);
        desk->turn.data = desk->rest.data = desk;
        uv_unref((uv_handle_t *)&desk->rest);
        http_loop_init(&desk->loop, desk->uv, &desk->curl, desk->connections_max, on_ended, desk);
}

static struct transfer *transfer_new(struct http_desk *desk, const struct http_request *request,
                                     struct cause *cause)
{
        struct transfer *t = mem_alloc(sizeof(*t));
        struct cause why = { "" };

        t->desk = desk;
        t->method = request->request->method;
        t->body = &request->request->body;
        t->length = -1;
        http_reply_init(&t->reply);
        http_fields_init(&t->fields, request);
        t->easy = desk->curl.easy_init();
        if (!t->easy)
                cause_set(cause, 0, "out of memory for libcurl");
        if (t->easy && http_url_init(&t->url, &desk->curl, t->easy, request->request->target, &why) == 0)
                return t;
        if (t->easy)
                cause_set(cause, 0, "this is no URL: %s", why.text);
        transfer_drop(t);
        free(t);
        return NULL;
}

int http_start(struct http_desk *desk, const struct http_request *request,
               const struct run_handlers *handlers, void *arg, struct run **out, struct cause *cause)
{
        struct transfer *t;
        int r = curl_library_load(&desk->curl, cause);

        if (r < 0)
                return r;
        if (desk->stopping)
                return cause_set(cause, -ECANCELED, "the server is shutting down");
        desk_open(desk);
        t = transfer_new(desk, request, cause);
        if (!t)
                return -EINVAL;
        run_init(&t->run, &http_runner, desk->uv, handlers, arg);
        set_common(t);
        desk->alive++;
        DL_APPEND(desk->transfers, t);
        uv_timer_stop(&desk->rest);
        be_due(t);
        *out = &t->run;
        return 0;
}

int http_new(struct http_desk **out, const struct http_config *config, struct cause *cause)
{
        struct http_desk *desk;
        struct http_guard guard;
        int r = http_guard_init(&guard, config->deny, config->allow, cause);

        *out = NULL;
        if (r < 0)
                return r;
        desk = mem_alloc(sizeof(*desk));
        desk->uv = config->loop;
        desk->guard = guard;
        desk->connect_timeout_ms = config->connect_timeout_ms;
        desk->redirects_max = config->redirects_max;
        desk->connections_max = config->connections_max;
        desk->ca_file = mem_dup(config->ca_file);
        *out = desk;
        return 0;
}

static void handle_closed(struct http_desk *desk)
{
        if (--desk->closing == 0)
                desk->stopped(desk->stopped_arg);
}

static void timer_closed(uv_handle_t *handle)
{
        handle_closed(handle->data);
}

static void loop_closed(uv_handle_t *handle)
{
        struct http_loop *loop = handle->data;

        handle_closed(loop->arg);
}

static void desk_check_down(struct http_desk *desk)
{
        if (!desk->stopping || desk->alive || desk->closing)
                return;
        desk->closing = 3;
        uv_close((uv_handle_t *)&desk->turn, timer_closed);
        uv_close((uv_handle_t *)&desk->rest, timer_closed);
        http_loop_close(&desk->loop, loop_closed);
}

void http_stop(struct http_desk *desk, void (*done)(void *arg), void *arg)
{
        struct transfer *t;

        desk_open(desk); /* for what comes from the loop */
        desk->stopping = true;
        desk->stopped = done;
        desk->stopped_arg = arg;
        DL_FOREACH (desk->transfers, t)
                run_put_back(&t->run, "the server is shutting down");
        desk_check_down(desk);
}

void http_free(struct http_desk *desk)
{
        if (!desk)
                return;
        if (desk->open)
                http_loop_rest(&desk->loop);
        http_guard_fini(&desk->guard);
        free(desk->ca_file);
        free(desk);
}
