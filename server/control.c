/* Control door: see control.h. Routes here, the JSON of POST /v1/jobs in job_parse.c, the pages about jobs in
 * job_pages.c. */
#include "server/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/url.h"
#include "server/draft.h"
#include "server/job_json.h"
#include "server/job_parse.h"

#define LIST_DEFAULT 50

static bool method_is(const struct exchange *ex, const char *method)
{
        return slice_eq(ex->req.method, slice_of(method));
}

/* True when the method is one of the two; else the exchange is answered. */
static bool method_allowed(struct exchange *ex, const char *method, const char *allow)
{
        if (method_is(ex, method) || (strcmp(method, "GET") == 0 && method_is(ex, "HEAD")))
                return true;
        exchange_reply(ex, method_is(ex, "OPTIONS") ? 204 : 405, NULL, slice_of(allow), SLICE(""));
        return false;
}

/* ---- accepting ---- */

/* A site's target must be one of its scripts now; programs and URLs are tried when their time has come. True,
 * or the exchange is answered. */
static bool target_is_there(struct control *control, struct exchange *ex, const char *target)
{
        struct site_match match;
        enum site_kind kind;

        if (job_target_runner(target) != JOB_FASTCGI)
                return true;
        site_resolve(control->site, (struct slice){ target, strcspn(target, "?") }, &match);
        kind = match.kind;
        site_match_fini(&match);
        if (kind == SITE_FAULT)
                exchange_problem(ex, 503, 5, "the site's folder cannot be read just now");
        else if (kind != SITE_SCRIPT)
                exchange_problem(ex, 422, 0,
                                 kind == SITE_BAD ? "target: the path is malformed"
                                                  : "target: the site has no script at this path");
        return kind == SITE_SCRIPT;
}

static bool then_is_there(struct control *control, struct exchange *ex, const struct job *draft)
{
        for (int i = 0; i < JOB_THENS; i++)
                if (draft->options.then[i] && !target_is_there(control, ex, draft->options.then[i]))
                        return false;
        return true;
}

static void control_accept(struct control *control, struct exchange *ex, struct job *draft, int64_t wait_ms)
{
        struct job_page_accept accept = { .draft = draft, .wait_ms = wait_ms, .reply = JOB_PAGE_RECORD };
        struct cause cause = { "" };
        char why[CAUSE_MAX + 16];

        if (job_target_check(draft->request.target, &cause) != 0) {
                job_free(draft);
                snprintf(why, sizeof(why), "target: %s", cause.text);
                exchange_problem(ex, 422, 0, why);
                return;
        }
        if (!target_is_there(control, ex, draft->request.target) || !then_is_there(control, ex, draft)) {
                job_free(draft);
                return;
        }
        if (!draft->request.host[0] && job_target_runner(draft->request.target) == JOB_FASTCGI) {
                free(draft->request.host);
                draft->request.host = mem_dup(control->front_address);
        }
        job_page_accept(&control->pages, ex, &accept);
}

static void control_post_job(struct control *control, struct exchange *ex)
{
        struct cause cause = { "" };
        struct job *draft = job_new();
        int64_t wait_ms;
        int status;

        if (!job_page_wait(&control->pages, ex, &wait_ms)) {
                job_free(draft);
                return;
        }
        spool_init(&draft->request.body, store_files_fd(control->store), control->config->body_memory_max,
                   control->config->body_max);
        status = job_parse(draft, &ex->body, clock_real_ms(), &cause);
        if (status) {
                job_free(draft);
                exchange_problem(ex, status, 0, cause.text);
                return;
        }
        free(draft->request.remote);
        draft->request.remote = mem_dup(exchange_remote(ex));
        free(draft->request.local);
        draft->request.local = mem_dup(control->front_address);
        control_accept(control, ex, draft, wait_ms);
}

/* "/report.php", "report.php", "http://host/x", and "exec" with its words in Sendoff-Argv: the target that is
 * meant. NULL when there is none (answered). The caller's. */
static char *send_target(struct exchange *ex, struct slice rest)
{
        const struct http1_header *argv = exchange_header(ex, SLICE("sendoff-argv"));

        if (slice_eq(rest, SLICE("exec"))) {
                if (argv)
                        return mem_printf("exec:%.*s", SLICE_ARG(argv->value));
                exchange_problem(ex, 400, 0, "Sendoff-Argv: it is missing: the program and its arguments");
                return NULL;
        }
        if (argv) {
                exchange_problem(ex, 400, 0, "Sendoff-Argv: only with /v1/send/exec");
                return NULL;
        }
        if (slice_starts(rest, SLICE("http:")) || slice_starts(rest, SLICE("https:")) ||
            slice_starts(rest, SLICE("/")))
                return slice_dup(rest);
        return mem_printf("/%.*s", SLICE_ARG(rest));
}

static void control_send(struct control *control, struct exchange *ex, struct slice rest)
{
        struct cause cause = { "" };
        char *target = send_target(ex, rest);
        struct job *draft;
        int status;

        if (!target)
                return;
        draft = job_new();
        status = job_parse_headers(draft, ex->req.headers, ex->req.header_count, clock_real_ms(), &cause);
        if (status == 0) {
                status = draft_from_exchange(&draft->request, ex, slice_of(target), SLICE("sendoff-"));
                if (status)
                        cause_set(&cause, 0,
                                  "the request's header fields are too large together to be stored");
        }
        free(target);
        if (status) {
                job_free(draft);
                exchange_problem(ex, status, 0, cause.text);
                return;
        }
        if (strcmp(draft->request.host, "localhost") == 0 ||
            job_target_runner(draft->request.target) != JOB_FASTCGI)
                draft->request.host[0] = '\0'; /* that is the control door's name, not the target's */
        free(draft->request.local);
        draft->request.local = mem_dup(control->front_address);
        control_accept(control, ex, draft, 0);
}

/* ---- listing ---- */

struct listing {
        struct exchange *ex; /* NULL when the caller is gone */
        struct control *control;
};

static void listing_gone(struct exchange *ex)
{
        struct listing *listing = ex->arg;

        listing->ex = NULL;
}

static const struct exchange_ops listing_ops = { .gone = listing_gone };

static char *listing_text(struct listing *listing, struct store_list *list)
{
        struct jobs *jobs = listing->control->pages.jobs;
        json_t *page = json_object(), *array = json_array();
        char waiting[128];

        for (uint32_t i = 0; i < list->count; i++)
                json_array_append_new(
                        array, job_json(list->jobs[i],
                                        jobs_waiting_for(jobs, list->jobs[i], waiting, sizeof(waiting)),
                                        jobs_retries_max(jobs, list->jobs[i]), true));
        json_object_set_new(page, "jobs", array);
        json_object_set_new(page, "next",
                            list->more && list->count ? json_string(list->jobs[list->count - 1]->id.text)
                                                      : json_null());
        return job_json_text(page);
}

static void listing_done(void *arg, int status, struct store_list *list, const char *why)
{
        struct listing *listing = arg;
        struct exchange *ex = listing->ex;
        char *text;

        if (ex && status == 0) {
                text = listing_text(listing, list);
                exchange_reply(ex, 200, "application/json", SLICE("Cache-Control: no-store\r\n"),
                               slice_of(text ? text : "{}"));
                free(text);
        } else if (ex) {
                exchange_problem(ex, 503, 5, why);
        }
        for (uint32_t i = 0; i < list->count; i++)
                job_free(list->jobs[i]);
        free(list->jobs);
        free(listing);
}

static const char *parse_states(struct slice value, uint32_t *states)
{
        struct slice name;
        enum job_state state;

        while (slice_cut(&value, ',', &name)) {
                if (!job_state_parse(name, &state))
                        return "state: one of scheduled, ready, running, succeeded, failed, dead, cancelled, "
                               "held, or several with commas between";
                *states |= 1U << state;
        }
        return NULL;
}

static void control_list(struct control *control, struct exchange *ex)
{
        struct listing *listing;
        uint64_t limit = LIST_DEFAULT;
        struct job_id cursor = { 0 };
        struct slice value;
        uint32_t states = 0;
        const char *why = NULL;

        if (url_query_get(ex->req.query, SLICE("state"), &value))
                why = parse_states(value, &states);
        if (!why && url_query_get(ex->req.query, SLICE("limit"), &value) &&
            (!slice_to_u64(value, STORE_LIST_MAX, &limit) || limit == 0))
                why = "limit: a number from 1 to 1000";
        if (!why && url_query_get(ex->req.query, SLICE("cursor"), &value) && value.len &&
            !job_id_parse(value, &cursor))
                why = "cursor: not one of ours; take it from \"next\"";
        if (why) {
                exchange_problem(ex, 400, 0, why);
                return;
        }
        listing = mem_alloc(sizeof(*listing));
        listing->ex = ex;
        listing->control = control;
        ex->ops = &listing_ops;
        ex->arg = listing;
        jobs_list(control->pages.jobs, states, cursor.seq, (uint32_t)limit, listing_done, listing);
}

/* ---- one job ---- */

/* ?follow=1, or a caller that takes server-sent events. */
static bool wants_events(const struct exchange *ex)
{
        const struct http1_header *accept = exchange_header(ex, SLICE("accept"));
        struct slice value;

        if (url_query_get(ex->req.query, SLICE("follow"), &value))
                return !slice_eq(value, SLICE("0"));
        return accept && slice_starts(accept->value, SLICE("text/event-stream"));
}

static void control_job(struct control *control, struct exchange *ex, struct slice rest)
{
        struct slice id_text, action = rest;
        struct job_id id;
        int64_t wait_ms;

        slice_cut(&action, '/', &id_text);
        if (!job_id_parse(id_text, &id)) {
                exchange_problem(ex, 404, 0, "there is no such job");
        } else if (!action.ptr) {
                if (method_allowed(ex, "GET", "Allow: GET, HEAD, OPTIONS\r\n") &&
                    job_page_wait(&control->pages, ex, &wait_ms))
                        job_page_status(&control->pages, ex, &id, wait_ms);
        } else if (slice_eq(action, SLICE("result"))) {
                if (method_allowed(ex, "GET", "Allow: GET, HEAD, OPTIONS\r\n"))
                        job_page_result(&control->pages, ex, &id);
        } else if (slice_eq(action, SLICE("cancel"))) {
                if (method_allowed(ex, "POST", "Allow: POST, OPTIONS\r\n"))
                        job_page_cancel(&control->pages, ex, &id);
        } else if (slice_eq(action, SLICE("retry"))) {
                if (method_allowed(ex, "POST", "Allow: POST, OPTIONS\r\n"))
                        job_page_retry(&control->pages, ex, &id);
        } else if (slice_eq(action, SLICE("log"))) {
                if (method_allowed(ex, "GET", "Allow: GET, HEAD, OPTIONS\r\n"))
                        job_page_log(&control->pages, ex, &id, wants_events(ex));
        } else {
                exchange_problem(ex, 404, 0, "a job has /result, /log, /cancel and /retry, nothing else");
        }
}

static void control_health(struct control *control, struct exchange *ex)
{
        struct store_health health;
        json_t *json;
        char *text;

        if (!method_allowed(ex, "GET", "Allow: GET, HEAD, OPTIONS\r\n"))
                return;
        store_health(control->store, &health);
        json = json_pack("{s:s, s:b, s:b, s:s, s:I, s:I, s:I}", "status", health.writable ? "ok" : "failing",
                         "store_writable", health.writable, "disk_full", health.full, "cause", health.cause,
                         "commits", (json_int_t)health.commits, "operations", (json_int_t)health.ops,
                         "last_commit_us", (json_int_t)health.last_commit_us);
        text = job_json_text(json);
        exchange_reply(ex, health.writable ? 200 : 503, "application/json",
                       SLICE("Cache-Control: no-store\r\n"), slice_of(text ? text : "{}"));
        free(text);
}

static void control_request(void *arg, struct exchange *ex)
{
        struct control *control = arg;
        struct slice path = ex->req.path;

        if (slice_eq(path, SLICE("/v1/jobs"))) {
                if (method_is(ex, "POST"))
                        control_post_job(control, ex);
                else if (method_allowed(ex, "GET", "Allow: GET, HEAD, POST, OPTIONS\r\n"))
                        control_list(control, ex);
        } else if (slice_starts(path, SLICE("/v1/jobs/"))) {
                control_job(control, ex, slice_from(path, 9));
        } else if (slice_starts(path, SLICE("/v1/send/"))) {
                control_send(control, ex, slice_from(exchange_target(ex), 9));
        } else if (slice_eq(path, SLICE("/healthz"))) {
                control_health(control, ex);
        } else {
                exchange_problem(ex, 404, 0, "the control door has /v1/jobs, /v1/send/ and /healthz");
        }
}

const struct door_ops control_ops = { .request = control_request };
