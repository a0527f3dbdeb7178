/* See http_loop.h. libcurl says which sockets and which timeout it waits for, the loop tells it what
 * happened, and after each time what has ended is collected. */
#include "run/http_loop.h"

#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"

struct watched {
        uv_poll_t poll;
        struct http_loop *loop;
        curl_socket_t fd;
        int events;
};

static void http_loop_act(struct http_loop *l, curl_socket_t fd, int events)
{
        CURLMsg *message;
        int count;

        l->curl->multi_socket_action(l->multi, fd, events, &count);
        while ((message = l->curl->multi_info_read(l->multi, &count)))
                if (message->msg == CURLMSG_DONE)
                        l->ended(l->arg, message->easy_handle, message->data.result);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
        struct watched *w = poll->data;
        int flags = status < 0 ? CURL_CSELECT_IN | CURL_CSELECT_OUT : 0; /* so that it asks the socket why */

        if (events & UV_READABLE)
                flags |= CURL_CSELECT_IN;
        if (events & UV_WRITABLE)
                flags |= CURL_CSELECT_OUT;
        http_loop_act(w->loop, w->fd, flags);
}

static void watched_closed(uv_handle_t *handle)
{
        free(handle->data);
}

static struct watched *watch(struct http_loop *l, curl_socket_t fd)
{
        struct watched *w = mem_alloc(sizeof(*w));

        w->loop = l;
        w->fd = fd;
        w->poll.data = w;
        if (uv_poll_init(l->loop, &w->poll, fd) < 0) {
                free(w);
                return NULL;
        }
        l->curl->multi_assign(l->multi, fd, w);
        return w;
}

/* CURLMOPT_SOCKETFUNCTION */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
        struct http_loop *l = arg;
        struct watched *w = known;

        (void)easy;
        if (what == CURL_POLL_REMOVE) {
                if (w)
                        uv_close((uv_handle_t *)&w->poll, watched_closed);
                return 0;
        }
        if (!w)
                w = watch(l, fd);
        if (!w)
                return -1;
        w->events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
        if (w->events)
                uv_poll_start(&w->poll, w->events, on_poll);
        else
                uv_poll_stop(&w->poll);
        return 0;
}

static void on_timeout(uv_timer_t *timer)
{
        http_loop_act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

/* CURLMOPT_TIMERFUNCTION */
static int on_timer(CURLM *multi, long ms, void *arg)
{
        struct http_loop *l = arg;

        (void)multi;
        if (ms < 0)
                uv_timer_stop(&l->timer);
        else
                uv_timer_start(&l->timer, on_timeout, (uint64_t)ms, 0);
        return 0;
}

void http_loop_init(struct http_loop *l, uv_loop_t *loop, const struct curl_library *curl,
                    unsigned connections_max, void (*ended)(void *arg, CURL *easy, CURLcode code), void *arg)
{
        *l = (struct http_loop){
                .curl = curl, .loop = loop, .connections_max = connections_max, .ended = ended, .arg = arg
        };
        uv_timer_init(loop, &l->timer);
        l->timer.data = l;
}

static int http_loop_open(struct http_loop *l)
{
        const struct curl_library *curl = l->curl;

        l->multi = curl->multi_init();
        if (!l->multi)
                return -ENOMEM;
        curl->multi_setopt(l->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
        curl->multi_setopt(l->multi, CURLMOPT_SOCKETDATA, l);
        curl->multi_setopt(l->multi, CURLMOPT_TIMERFUNCTION, on_timer);
        curl->multi_setopt(l->multi, CURLMOPT_TIMERDATA, l);
        curl->multi_setopt(l->multi, CURLMOPT_MAXCONNECTS, (long)l->connections_max);
        return 0;
}

int http_loop_add(struct http_loop *l, CURL *easy)
{
        int r = l->multi ? 0 : http_loop_open(l);

        if (r == 0 && l->curl->multi_add_handle(l->multi, easy) != CURLM_OK)
                r = -ENOMEM;
        return r;
}

void http_loop_remove(struct http_loop *l, CURL *easy)
{
        l->curl->multi_remove_handle(l->multi, easy);
}

void http_loop_rest(struct http_loop *l)
{
        if (!l->multi)
                return;
        l->curl->multi_cleanup(l->multi);
        l->multi = NULL;
        uv_timer_stop(&l->timer);
}

void http_loop_close(struct http_loop *l, uv_close_cb closed)
{
        http_loop_rest(l);
        uv_close((uv_handle_t *)&l->timer, closed);
}
