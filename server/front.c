/* Front door: see front.h. A request is one of: a URL of a job, a file, a script to run now, a script to run
 * later, or a mistake with a clear answer. */
#include "server/front.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/prefer.h"
#include "net/url.h"
#include "server/draft.h"
#include "server/file_reply.h"

static void method_not_allowed(struct exchange *ex, struct slice allow)
{
        exchange_reply(ex, slice_eq(ex->req.method, SLICE("OPTIONS")) ? 204 : 405, NULL, allow, SLICE(""));
}

static bool is_get(const struct exchange *ex)
{
        return slice_eq(ex->req.method, SLICE("GET")) || slice_eq(ex->req.method, SLICE("HEAD"));
}

/* ---- /.sendoff/jobs/{id}[/result] ---- */

static void front_job(struct front *front, struct exchange *ex, struct slice rest)
{
        struct slice id_text = { rest.ptr, 0 }, after;
        struct job_id id;
        int64_t wait_ms;

        while (id_text.len < rest.len && rest.ptr[id_text.len] != '/')
                id_text.len++;
        after = slice_from(rest, id_text.len);
        if (!job_id_parse(id_text, &id) || (after.len && !slice_eq(after, SLICE("/result")))) {
                exchange_problem(ex, 404, 0, "there is no such job");
                return;
        }
        memcpy(ex->job, id.text, sizeof(ex->job));
        if (after.len && is_get(ex))
                job_page_result(&front->pages, ex, &id);
        else if (after.len)
                method_not_allowed(ex, SLICE("Allow: GET, HEAD, OPTIONS\r\n"));
        else if (slice_eq(ex->req.method, SLICE("DELETE")))
                job_page_cancel(&front->pages, ex, &id);
        else if (!is_get(ex))
                method_not_allowed(ex, SLICE("Allow: GET, HEAD, DELETE, OPTIONS\r\n"));
        else if (job_page_wait(&front->pages, ex, &wait_ms))
                job_page_status(&front->pages, ex, &id, wait_ms);
}

/* ---- files ---- */

static void front_file(struct exchange *ex, struct site_match *match)
{
        struct file_reply reply;
        struct spool file;

        file_reply_decide(&reply, ex->req.method, ex->req.headers, ex->req.header_count, &match->st,
                          match->name);
        spool_init(&file, -1, 0, 0);
        file.fd = match->fd;
        file.len = file.max = (uint64_t)match->st.st_size;
        file.keep = true;
        match->fd = -1;
        if (reply.has_body) {
                exchange_send_spool(ex, reply.status, buf_slice(&reply.headers), &file, reply.first,
                                    reply.length);
        } else {
                spool_fini(&file);
                exchange_reply(ex, reply.status, NULL, buf_slice(&reply.headers), SLICE(""));
        }
        file_reply_fini(&reply);
        site_match_fini(match);
}

/* ---- scripts ---- */

static bool any_glob(char *const *globs, struct slice path, struct slice script)
{
        for (; globs && *globs; globs++)
                if (url_glob(*globs, path) || url_glob(*globs, script))
                        return true;
        return false;
}

struct async_wish {
        bool wanted, preference;
        int64_t wait_ms;
};

static struct async_wish async_wish(const struct front *front, const struct exchange *ex,
                                    const struct site_match *match)
{
        const struct config *config = front->config;
        struct async_wish wish = { false, false, 0 };
        struct prefer prefer = { 0 };
        struct buf path;
        bool limited = config->respond_async_paths && config->respond_async_paths[0];

        for (size_t i = 0; i < ex->req.header_count; i++)
                if (slice_eq_nocase(ex->req.headers[i].name, SLICE("prefer")))
                        prefer_add(&prefer, ex->req.headers[i].value);
        if (!prefer.respond_async && !(config->async_paths && config->async_paths[0]))
                return wish;
        buf_init(&path, CONN_READ_SIZE);
        if (url_path_normalise(ex->req.path, &path) == 0) {
                struct slice script = slice_of(match->script_name);

                wish.wanted = any_glob(config->async_paths, buf_slice(&path), script);
                if (prefer.respond_async &&
                    (!limited || any_glob(config->respond_async_paths, buf_slice(&path), script)))
                        wish.wanted = wish.preference = true;
        }
        buf_fini(&path);
        if (wish.preference && prefer.has_wait) {
                wish.wait_ms = (int64_t)prefer.wait_s * 1000;
                if (wish.wait_ms > config->wait_max_ms)
                        wish.wait_ms = config->wait_max_ms;
        }
        return wish;
}

static struct slice address_host(const char *remote)
{
        const char *colon = strrchr(remote, ':');

        return (struct slice){ remote, colon ? (size_t)(colon - remote) : strlen(remote) };
}

static void front_send_off(struct front *front, struct exchange *ex, const struct async_wish *wish)
{
        struct job_page_accept accept = { .wait_ms = wish->wait_ms,
                                          .reply = JOB_PAGE_REPLY,
                                          .preference = wish->preference };
        const struct config *config = front->config;
        int64_t wait_ms;
        char why[160];

        if (!rate_take(front->rate, address_host(exchange_remote(ex)), config->async_rate,
                       config->async_burst, clock_mono_ms(), &wait_ms)) {
                snprintf(why, sizeof(why),
                         "too many jobs from this address: at most %llu a second (option async_rate)",
                         (unsigned long long)config->async_rate);
                exchange_problem(ex, 429, (int)(wait_ms / 1000) + 1, why);
                return;
        }
        accept.draft = job_new();
        if (draft_from_exchange(&accept.draft->request, ex, exchange_target(ex), SLICE("")) != 0) {
                job_free(accept.draft);
                exchange_problem(ex, 431, 0,
                                 "the request's header fields are too large together to be stored");
                return;
        }
        job_page_accept(&front->pages, ex, &accept);
}

static void front_redirect(struct exchange *ex, struct site_match *match)
{
        char *extra = mem_printf("Location: %s%s%.*s\r\n", match->location, ex->req.has_query ? "?" : "",
                                 SLICE_ARG(ex->req.query));

        site_match_fini(match);
        exchange_reply(ex, 301, NULL, slice_of(extra), SLICE(""));
        free(extra);
}

static void front_request(void *arg, struct exchange *ex)
{
        struct front *front = arg;
        struct site_match match;
        struct async_wish wish;

        if (slice_starts(ex->req.path, SLICE("/.sendoff/jobs/"))) {
                front_job(front, ex, slice_from(ex->req.path, 15));
                return;
        }
        if (slice_eq(ex->req.path, SLICE("*"))) {
                exchange_reply(ex, 204, NULL,
                               SLICE("Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"), SLICE(""));
                return;
        }
        site_resolve(front->desk.site, ex->req.path, &match);
        switch (match.kind) {
        case SITE_FILE:
                front_file(ex, &match);
                break;
        case SITE_SCRIPT:
                wish = async_wish(front, ex, &match);
                if (wish.wanted) {
                        site_match_fini(&match);
                        front_send_off(front, ex, &wish);
                } else {
                        foreground_request(&front->desk, ex, &match);
                }
                break;
        case SITE_REDIRECT:
                front_redirect(ex, &match);
                break;
        case SITE_NOT_FOUND:
                site_match_fini(&match);
                exchange_problem(ex, 404, 0, "the site has nothing at this path");
                break;
        case SITE_BAD:
                site_match_fini(&match);
                exchange_problem(ex, 400, 0, "the path is malformed");
                break;
        case SITE_FAULT:
                site_match_fini(&match);
                exchange_problem(ex, 503, 1, "the site's folder cannot be read just now");
                break;
        }
}

const struct door_ops front_ops = { .request = front_request };
