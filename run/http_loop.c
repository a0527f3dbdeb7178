/* See http_loop.h. libcurl says which sockets and which timeout it waits for; the loop tells it what
 * happened. What has ended is collected in the check phase, outside of libcurl's own callbacks. */
#include "run/http_loop.h"

#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"

struct watched {
        uv_poll_t poll;
        struct http_loop *loop;
        curl_socket_t fd;
};

static void http_loop_act(struct http_loop *l, curl_socket_t fd, int events)
{
        int running;

        l->curl->multi_socket_action(l->multi, fd, events, &running);
        l->active = true;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
        struct watched *w = poll->data;
        int flags = 0;

        if (status < 0)
                flags = CURL_CSELECT_ERR;
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

/* CURLMOPT_SOCKETFUNCTION */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
        struct http_loop *l = arg;
        struct watched *w = known;

        (void)easy;
        if (what == CURL_POLL_REMOVE) {
                if (w) {
                        l->curl->multi_assign(l->multi, fd, NULL);
                        uv_poll_stop(&w->poll);
                        uv_close((uv_handle_t *)&w->poll, watched_closed);
                }
                return 0;
        }
        if (!w) {
                w = mem_alloc(sizeof(*w));
                w->loop = l;
                w->fd = fd;
                w->poll.data = w;
                if (uv_poll_init(l->loop, &w->poll, fd) < 0) {
                        free(w);
                        return -1;
                }
                l->curl->multi_assign(l->multi, fd, w);
        }
        uv_poll_start(&w->poll,
                      (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0),
                      on_poll);
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

static void on_check(uv_check_t *check)
{
        struct http_loop *l = check->data;
        CURLMsg *message;
        int left;

        if (!l->active)
                return;
        l->active = false;
        while ((message = l->curl->multi_info_read(l->multi, &left)))
                if (message->msg == CURLMSG_DONE)
                        l->ended(l->arg, message->easy_handle, message->data.result);
}

int http_loop_open(struct http_loop *l, uv_loop_t *loop, const struct curl_library *curl,
                   void (*ended)(void *arg, CURL *easy, CURLcode code), void *arg)
{
        CURLM *multi = curl->multi_init();

        if (!multi)
                return -ENOMEM;
        *l = (struct http_loop){ .curl = curl, .multi = multi, .loop = loop, .ended = ended, .arg = arg };
        uv_timer_init(loop, &l->timer);
        uv_check_init(loop, &l->check);
        l->timer.data = l->check.data = l;
        uv_check_start(&l->check, on_check);
        uv_unref((uv_handle_t *)&l->check);
        curl->multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
        curl->multi_setopt(multi, CURLMOPT_SOCKETDATA, l);
        curl->multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
        curl->multi_setopt(multi, CURLMOPT_TIMERDATA, l);
        return 0;
}

void http_loop_close(struct http_loop *l, uv_close_cb closed)
{
        l->curl->multi_cleanup(l->multi);
        l->multi = NULL;
        uv_close((uv_handle_t *)&l->check, NULL);
        uv_close((uv_handle_t *)&l->timer, closed);
}

void http_loop_poke(struct http_loop *l)
{
        uv_timer_start(&l->timer, on_timeout, 0, 0);
}
