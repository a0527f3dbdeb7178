/* The log of a job: see job_pages.h. Following it: what is there so far comes from the store and from memory,
 * after that each line as it is made (a watch), until the job has ended. Lines that come while the first part
 * is being read are held back, and left out when that part holds them. Its memory goes when nothing refers to
 * it any more. */
#include "server/job_pages.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define KEEP_ALIVE_MS 15000
#define HELD_MAX      (1 << 20)

struct follow {
        struct job_pages *pages;
        struct exchange *ex; /* NULL once it is over */
        struct job_id id;
        struct jobs_watch watch;
        struct buf held; /* lines that came while `asking` */
        uv_timer_t timer;
        bool events, timer_open, asking, begun;
        bool ended; /* the job's end was seen; the last part is being read */
};

static void follow_release(struct follow *f)
{
        if (f->ex || f->asking || f->timer_open)
                return;
        buf_fini(&f->held);
        free(f);
}

static void timer_closed(uv_handle_t *handle)
{
        struct follow *f = handle->data;

        f->timer_open = false;
        follow_release(f);
}

static struct exchange *follow_over(struct follow *f)
{
        struct exchange *ex = f->ex;

        f->ex = NULL;
        jobs_unwatch(f->pages->jobs, &f->watch);
        if (f->timer_open)
                uv_close((uv_handle_t *)&f->timer, timer_closed);
        else
                follow_release(f);
        return ex;
}

static void follow_gone(struct exchange *ex)
{
        follow_over(ex->arg);
}

static const struct exchange_ops ops = { .gone = follow_gone };

/* ---- events ---- */

/* "data: LINE\n\n" for each line (HTML, server-sent events). */
static void send_lines(struct follow *f, struct slice text)
{
        struct slice line;
        struct buf out;

        buf_init(&out, SIZE_MAX / 2);
        while (text.len > 0 && slice_cut(&text, '\n', &line))
                if (line.len > 0 && (buf_append_str(&out, "data: ") != 0 ||
                                     buf_append_slice(&out, line) != 0 || buf_append_str(&out, "\n\n") != 0))
                        break;
        if (f->ex && buf_len(&out) > 0)
                exchange_data(f->ex, buf_slice(&out));
        buf_fini(&out);
}

static void on_line(struct jobs_watch *watch, struct slice line)
{
        struct follow *f = (struct follow *)((char *)watch - offsetof(struct follow, watch));

        if (f->asking && buf_append_slice(&f->held, line) != 0)
                buf_clear(&f->held);
        if (!f->asking)
                send_lines(f, line);
}

static void ask(struct follow *f);

static void on_ended(struct jobs_watch *watch)
{
        struct follow *f = (struct follow *)((char *)watch - offsetof(struct follow, watch));

        f->ended = true;
        if (!f->asking)
                ask(f);
}

static void on_keep_alive(uv_timer_t *timer)
{
        struct follow *f = timer->data;

        if (f->ex)
                exchange_data(f->ex, SLICE(": keep-alive\n\n"));
}

static bool holds(const char *text, struct slice line)
{
        return memmem(text, strlen(text), line.ptr, line.len) != NULL;
}

/* Those of the held lines that the text does not hold already. */
static void send_held(struct follow *f, const char *text)
{
        struct slice rest = buf_slice(&f->held), line;

        while (rest.len > 0 && slice_cut(&rest, '\n', &line))
                if (line.len > 0 && !holds(text, line))
                        send_lines(f, line);
        buf_clear(&f->held);
}

static void send_end(struct follow *f, const struct job *job)
{
        struct exchange *ex = follow_over(f);
        struct buf end;

        buf_init(&end, 128);
        if (buf_printf(&end, "event: end\ndata: %s\n\n", job_state_name(job->state)) == 0)
                exchange_data(ex, buf_slice(&end));
        buf_fini(&end);
        exchange_end(ex);
}

static void begin_events(struct follow *f, const char *text)
{
        f->begun = true;
        exchange_head(f->ex, 200, SLICE("Content-Type: text/event-stream\r\nCache-Control: no-store\r\n"),
                      -1);
        if (exchange_complete(f->ex))
                return;
        send_lines(f, slice_of(text));
        uv_timer_init(f->pages->loop, &f->timer);
        f->timer.data = f;
        f->timer_open = true;
        uv_timer_start(&f->timer, on_keep_alive, KEEP_ALIVE_MS, KEEP_ALIVE_MS);
}

/* ---- the text ---- */

static void on_logged(void *arg, int status, struct job *job, char *text, const char *why)
{
        struct follow *f = arg;

        f->asking = false;
        if (!f->ex) {
                follow_release(f);
        } else if (status != 0 && !f->begun) {
                exchange_problem(follow_over(f), status == STORE_NOT_FOUND ? 404 : 503, 0,
                                 status == STORE_NOT_FOUND ? "there is no such job" : why);
        } else if (status != 0) {
                exchange_abort(follow_over(f));
        } else if (!f->events) {
                exchange_reply(follow_over(f), 200, "text/plain; charset=utf-8",
                               SLICE("Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"),
                               slice_of(text));
        } else {
                if (!f->begun)
                        begin_events(f, text);
                send_held(f, text);
                if (f->ended || job_state_is_final(job->state))
                        send_end(f, job);
        }
        free(text);
        job_free(job);
}

static void ask(struct follow *f)
{
        f->asking = true;
        jobs_log(f->pages->jobs, &f->id, on_logged, f);
}

void job_page_log(struct job_pages *pages, struct exchange *ex, const struct job_id *id, bool follow)
{
        struct follow *f = mem_alloc(sizeof(*f));

        f->pages = pages;
        f->ex = ex;
        f->id = *id;
        f->events = follow;
        buf_init(&f->held, HELD_MAX);
        ex->ops = &ops;
        ex->arg = f;
        if (follow) {
                f->watch.seq = id->seq;
                f->watch.line = on_line;
                f->watch.ended = on_ended;
                jobs_watch(pages->jobs, &f->watch);
        }
        ask(f);
}
