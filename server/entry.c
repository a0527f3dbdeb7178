/* A job in motion: room in its lane, its run, what the run delivers. See jobs_internal.h for the phases. The
 * good path: entry_start hands the request to the job's runner; head, data, log and control lines come back;
 * on_end gives the outcome to ending.c. A run that cannot begin ends by an answer of our own. */
#include "server/jobs_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "run/cgi_env.h"
#include "server/draft.h"
#include "server/script.h"

#define ENV_MAX 2048 /* variables of a program */

extern char **environ;

struct entry *entry_new(struct jobs *jobs, enum entry_phase phase)
{
        struct entry *e = mem_alloc(sizeof(*e));

        e->jobs = jobs;
        e->phase = phase;
        e->op.arg = e;
        return e;
}

void entry_know(struct entry *e)
{
        e->seq = e->job->id.seq;
        HASH_ADD(hh, e->jobs->entries, seq, sizeof(e->seq), e);
}

void entry_free(struct entry *e)
{
        HASH_DELETE(hh, e->jobs->entries, e);
        entry_give_back(e);
        site_match_fini(&e->match);
        job_words_free(e->argv);
        job_words_free(e->env);
        run_log_fini(&e->log);
        job_free(e->job);
        free(e);
}

/* ---- lanes ---- */

unsigned lane_limit(struct jobs *jobs, enum job_runner runner)
{
        if (runner == JOB_FASTCGI)
                return dispatch_job_limit(dispatcher_counts(jobs->desks.dispatcher));
        return (unsigned)(runner == JOB_EXEC ? jobs->config.config->programs : jobs->config.config->urls);
}

bool lane_take(struct jobs *jobs, enum job_runner runner)
{
        struct lane *lane = &jobs->lanes[runner];

        if (jobs->draining || !jobs->desks.dispatcher)
                return false;
        if (runner == JOB_FASTCGI)
                return dispatcher_take_for_job(jobs->desks.dispatcher);
        if (lane->running >= lane_limit(jobs, runner))
                return false;
        lane->running++;
        return true;
}

void lane_untake(struct jobs *jobs, enum job_runner runner)
{
        if (runner == JOB_FASTCGI)
                dispatcher_release_job(jobs->desks.dispatcher, false);
        else
                jobs->lanes[runner].running--;
}

void entry_give_back(struct entry *e)
{
        if (!e->reserved)
                return;
        e->reserved = false;
        if (e->started && e->job->runner == JOB_FASTCGI)
                dispatcher_release_job(e->jobs->desks.dispatcher, true);
        else
                lane_untake(e->jobs, e->job->runner);
}

/* ---- what a run delivers ---- */

static void entry_line(void *arg, struct slice line)
{
        struct entry *e = arg;

        jobs_notify_line(e->jobs, e->seq, line);
}

static void note_cut(struct entry *e, const char *why)
{
        if (e->job->reply.cut)
                return;
        e->job->reply.cut = true;
        run_log_say(&e->log, true, clock_real_ms(), "the output is cut: %s", why);
        log_say(LOG_WARN, "run", "output of a job is cut", "job=%s why=\"%s\"", e->job->id.text, why);
}

/* What the reply's head says about trying again. A script of the site asks by 429 or 503 with Retry-After;
 * what any target says is when. */
static void take_advice(struct entry *e, const struct cgi_head *head)
{
        const struct http1_header *wish =
                http1_find(head->headers, head->header_count, SLICE("sendoff-retry"));
        const struct http1_header *after =
                http1_find(head->headers, head->header_count, SLICE("retry-after"));
        struct retry_advice advice = { 0 };
        bool later = head->status == 429 || head->status == 503;

        if (wish && !retry_parse_wish(wish->value, &advice))
                run_log_say(&e->log, true, clock_real_ms(),
                            "Sendoff-Retry is neither \"no\" nor a time such as 30s: ignored");
        if (!wish && after && retry_status(head->status))
                advice.has_after = retry_parse_after(after->value, clock_real_ms(), &advice.after_ms);
        if (advice.has_after && later && advice.wish == RETRY_UNSAID)
                advice.wish = RETRY_ASKED;
        e->advice = advice;
}

static void on_head(void *arg, const struct cgi_head *head)
{
        struct entry *e = arg;
        struct buf block;

        e->job->reply.status = head->status;
        e->job->reply.kept = true;
        buf_init(&block, CGI_HEAD_MAX + 128);
        if (draft_reply_block(&block, head->headers, head->header_count) != 0)
                note_cut(e, "the reply's head is too large");
        free(e->job->reply.headers);
        e->job->reply.headers = buf_take(&block);
        take_advice(e, head);
}

static void on_data(void *arg, struct slice bytes)
{
        struct entry *e = arg;
        struct spool *body = &e->job->reply.body;
        char why[96];
        int r;

        if (e->job->runner == JOB_EXEC)
                run_log_bytes(&e->log, RUN_LOG_STDOUT, bytes, clock_real_ms());
        if (e->job->reply.cut)
                return;
        if (bytes.len > body->max - body->len) {
                snprintf(why, sizeof(why), "more than %" PRIu64 " bytes (option output_max)", body->max);
                note_cut(e, why);
                bytes.len = (size_t)(body->max - body->len);
        }
        r = spool_write(body, bytes.ptr, bytes.len);
        if (r < 0)
                note_cut(e, strerror(-r));
}

static void on_log(void *arg, struct slice bytes)
{
        struct entry *e = arg;

        run_log_bytes(&e->log, RUN_LOG_STDERR, bytes, clock_real_ms());
}

static void on_control(void *arg, struct slice text)
{
        struct entry *e = arg;
        struct control_line line;
        struct cause cause;

        if (control_line_parse(text, &line, &cause) != 0) {
                run_log_say(&e->log, true, clock_real_ms(), "SENDOFF_CONTROL: '%.*s': %s",
                            text.len < 100 ? (int)text.len : 100, text.ptr, cause.text);
                return;
        }
        switch (line.what) {
        case CONTROL_PROGRESS:
                e->job->progress = line.progress;
                break;
        case CONTROL_TIME_LIMIT:
                run_set_time_limit(e->run, line.time_limit_ms);
                break;
        case CONTROL_IGNORE_ABORT:
                e->ignore_abort = line.on;
                break;
        case CONTROL_DETACH: /* nobody waits for a job's reply */
                break;
        }
}

static void on_end(void *arg, const struct job_run *how)
{
        struct entry *e = arg;
        struct jobs *jobs = e->jobs;

        e->run = NULL;
        entry_give_back(e);
        entry_ended(e, how);
        jobs_turn(jobs);
}

static const struct run_handlers handlers = {
        .head = on_head, .data = on_data, .log = on_log, .control = on_control, .end = on_end
};

const struct run_handlers *jobs_adopted(void)
{
        return &handlers;
}

/* ---- starting ---- */

int64_t entry_option(int64_t own, int64_t of_server)
{
        return own >= 0 ? own : of_server;
}

struct run_limits jobs_limits(const struct jobs *jobs, const struct job *job)
{
        const struct config *config = jobs->config.config;

        return (struct run_limits){
                .time_limit_ms = entry_option(job->options.time_limit_ms, config->time_limit_ms),
                .idle_limit_ms = entry_option(job->options.idle_limit_ms, config->idle_limit_ms),
                .grace_ms = config->grace_ms,
        };
}

/* A run that could not begin ends by its own answer. */
static void entry_answer(struct entry *e, enum run_outcome outcome, int status, bool may_pass,
                         const char *why)
{
        struct job_run how = { .outcome = outcome,
                               .status = status,
                               .exit_code = -1,
                               .cpu_ms = -1,
                               .peak_rss_kb = -1,
                               .may_pass = may_pass };

        snprintf(how.reason, sizeof(how.reason), "%s", why);
        if (outcome == RUN_STOPPED)
                how.connection_status = CONNECTION_ABORTED;
        how.untouched = true;
        entry_give_back(e);
        entry_ended(e, &how);
}

static struct slice target_path(const char *target)
{
        return (struct slice){ target, strcspn(target, "?") };
}

static void entry_wait(struct entry *e)
{
        e->phase = ENTRY_WAITING;
        DL_APPEND(e->jobs->lanes[e->job->runner].waiting, e);
}

/* Something that passes is in the way: out of descriptors, say. */
static void entry_wait_and_see(struct entry *e)
{
        entry_wait(e);
        jobs_turn_soon(e->jobs);
}

static void entry_prepare(struct entry *e)
{
        struct jobs *jobs = e->jobs;

        if (e->prepared)
                return;
        e->prepared = true;
        spool_fini(&e->job->reply.body);
        spool_init(&e->job->reply.body, store_files_fd(jobs->config.store),
                   jobs->config.config->body_memory_max, jobs->config.config->output_max);
        run_log_init(&e->log, e->job->run.number, entry_line, e);
        memset(&e->job->progress, 0, sizeof(e->job->progress));
}

static void entry_started(struct entry *e)
{
        struct run_limits limits = jobs_limits(e->jobs, e->job);

        e->started = true;
        e->phase = ENTRY_RUNNING;
        run_set_limits(e->run, &limits);
        run_log_say(&e->log, false, clock_real_ms(), "run %u has begun", e->job->run.number);
}

static void start_script(struct entry *e)
{
        struct jobs *jobs = e->jobs;
        const struct cgi_context context = { .job = e->job->id.text, .run = e->job->run.number, .minor = 1 };
        struct cause cause = { "" };
        int r;

        if (e->match.kind != SITE_SCRIPT || !e->match.script_filename) {
                site_resolve(jobs->config.site, target_path(e->job->request.target), &e->match);
                if (e->match.kind == SITE_FAULT) {
                        entry_wait_and_see(e);
                        return;
                }
                if (e->match.kind != SITE_SCRIPT) {
                        entry_answer(e, RUN_FAILED, 404, false, "the site has no script at this target");
                        return;
                }
        }
        r = script_start(jobs->desks.dispatcher, true, site_root(jobs->config.site), &e->match,
                         &e->job->request, &context, &handlers, e, &e->run, &cause);
        if (r == SCRIPT_BUSY)
                entry_wait(e);
        else if (r == 0)
                entry_started(e);
        else
                entry_answer(e, RUN_FAILED, r == SCRIPT_TOO_LARGE ? 431 : 500, false,
                             r < 0 ? strerror(-r) : cause.text);
}

struct env_list {
        char **words;
        size_t count;
};

static int add_variable(void *arg, struct slice name, struct slice value)
{
        struct env_list *list = arg;

        if (list->count == ENV_MAX)
                return BUF_FULL;
        list->words[list->count++] = mem_printf("%.*s=%.*s", SLICE_ARG(name), SLICE_ARG(value));
        return 0;
}

static bool has_variable(const struct env_list *list, const char *variable)
{
        size_t name = strcspn(variable, "=") + 1;

        for (size_t i = 0; i < list->count; i++)
                if (strncmp(list->words[i], variable, name) == 0)
                        return true;
        return false;
}

/* The CGI variables, and of the server's own environment what they leave, without what configures the server.
 */
static char **program_environment(struct entry *e, struct cause *cause)
{
        const struct cgi_context context = { .job = e->job->id.text, .run = e->job->run.number, .minor = 1 };
        struct env_list list = { mem_alloc((ENV_MAX + 1) * sizeof(char *)), 0 };
        const struct cgi_sink sink = { add_variable, &list };

        if (cgi_env_build(&sink, &e->job->request, NULL, &context, cause) != 0) {
                job_words_free(list.words);
                return NULL;
        }
        for (char **v = environ; *v && list.count < ENV_MAX; v++)
                if (strncmp(*v, "SENDOFF_", 8) != 0 && strncmp(*v, "HTTP_", 5) != 0 &&
                    !has_variable(&list, *v))
                        list.words[list.count++] = mem_dup(*v);
        return list.words;
}

static void start_program(struct entry *e)
{
        const struct config *config = e->jobs->config.config;
        const struct job_options *o = &e->job->options;
        struct exec_request request = {
                .body = &e->job->request.body,
                .limits = { .memory = entry_option(o->memory, (int64_t)config->program_memory),
                            .cpu_ms = entry_option(o->cpu_ms, config->program_cpu_ms),
                            .files = entry_option(o->files, (int64_t)config->program_files) },
        };
        struct cause cause = { "" };
        int r;

        if (!e->argv)
                e->argv = job_words_split(e->job->request.target + 5, &cause);
        if (e->argv && !e->env)
                e->env = program_environment(e, &cause);
        if (!e->argv || !e->env) {
                entry_answer(e, RUN_FAILED, 0, false, cause.text);
                return;
        }
        request.argv = e->argv;
        request.env = e->env;
        r = exec_start(e->jobs->desks.exec, &request, &handlers, e, &e->run, &cause);
        if (r < 0) {
                log_say(LOG_WARN, "run", "program not started; tried again", "job=%s why=\"%s\"",
                        e->job->id.text, cause.text);
                entry_wait_and_see(e);
                return;
        }
        e->job->reply.kept = true;
        entry_started(e);
}

static void start_url(struct entry *e)
{
        const struct http_request request = { .job_id = e->job->id.text,
                                              .run = e->job->run.number,
                                              .request = &e->job->request };
        struct cause cause = { "" };

        if (http_start(e->jobs->desks.http, &request, &handlers, e, &e->run, &cause) == 0)
                entry_started(e);
        else
                entry_answer(e, RUN_FAILED, 0, false, cause.text);
}

void entry_start(struct entry *e)
{
        entry_prepare(e);
        if (e->job->cancel_asked) {
                entry_answer(e, RUN_STOPPED, 0, false, "cancelled before it began");
        } else if (e->jobs->draining) {
                entry_answer(e, RUN_PUT_BACK, 0, false, "the server shut down before it began");
        } else if (e->job->runner == JOB_EXEC) {
                start_program(e);
        } else if (e->job->runner == JOB_HTTP) {
                start_url(e);
        } else {
                start_script(e);
        }
}

/* ---- aborting ---- */

void entry_abort(struct entry *e, const char *why)
{
        int64_t policy = entry_option(e->job->options.on_abort, JOB_ABORT_STOP);

        if (!e->run)
                return;
        if (e->ignore_abort || policy == JOB_ABORT_CONTINUE)
                run_note_abort(e->run);
        else if (policy == JOB_ABORT_PHP)
                run_hang_up(e->run, why);
        else
                run_stop(e->run, CONNECTION_ABORTED, why);
        run_log_say(&e->log, true, clock_real_ms(), "%s", why);
}

/* ---- foreground runs that are let go ---- */

struct entry *jobs_adopt(struct jobs *jobs, struct job *draft, struct run *run, int64_t started_ms)
{
        struct entry *e = entry_new(jobs, ENTRY_ADDING);
        const struct job_progress progress = draft->progress;

        jobs_number(jobs, draft);
        draft->options.on_crash = JOB_CRASH_END;
        job_accept(draft, true, started_ms);
        jobs_count_move(jobs, JOB_DRAFT, draft->state, draft->request.body.len);
        e->job = draft;
        e->run = run;
        e->adopted = true;
        entry_know(e);
        entry_prepare(e);
        e->job->progress = progress; /* what it said while its caller waited */
        run_log_say(&e->log, false, clock_real_ms(), "a foreground run goes on without its caller");
        jobs_store_adopted(e);
        return e;
}
