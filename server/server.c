/* The server put together. The good path: store, recovery, pool, doors, ready line, loop. SIGTERM or SIGINT:
 * no new connections, runs may end within drain_ms, the rest is put back, everything closed in the order
 * doors, pool, store. A second one ends the drain at once. SIGHUP: options reread, access log reopened. What
 * is in the way at start is said in one sentence. */
#include "server/server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/access_log.h"
#include "server/control.h"
#include "server/dispatcher.h"
#include "server/door.h"
#include "server/front.h"
#include "server/jobs.h"

enum {
        EXIT_OPTION = 2,
        EXIT_IN_THE_WAY = 3,
};

enum phase {
        PHASE_SERVING,
        PHASE_DRAINING, /* runs may end */
        PHASE_ENDING,   /* what still runs is being ended, and its callers are told */
        PHASE_CLOSING,  /* doors are being closed */
        PHASE_STORING,  /* the last outcomes go to the store */
        PHASE_DONE,
};

struct server {
        struct config *config;
        uv_loop_t loop;
        uv_async_t wake;
        uv_signal_t term, interrupt, hup;
        uv_timer_t drain, watch;
        bool all_ended; /* PHASE_ENDING: the watch has seen it */
        struct store *store;
        struct site *site;
        struct jobs *jobs;
        struct dispatcher *dispatcher;
        struct exec_desk *exec;
        struct http_desk *http;
        struct access_log *access_log;
        struct door *front_door, *control_door;
        struct front front;
        struct control control;
        enum phase phase;
        unsigned closing; /* doors and runners still to report */
        char *runtime_folder;
        char **words;
};

/* ---- the way down ---- */

static void server_step(struct server *s);

static void close_handle(uv_handle_t *handle)
{
        if (!uv_is_closing(handle))
                uv_close(handle, NULL);
}

static void part_closed(void *arg)
{
        struct server *s = arg;

        s->closing--;
        server_step(s);
}

/* What still runs is ended; the answers to that go out before the doors close. */
static void server_end_runs(struct server *s)
{
        s->phase = PHASE_ENDING;
        s->closing = 3;
        s->front.desk.stopping = true;
        dispatcher_stop(s->dispatcher, part_closed, s);
        exec_stop(s->exec, part_closed, s);
        http_stop(s->http, part_closed, s);
}

static void server_close_doors(struct server *s)
{
        s->phase = PHASE_CLOSING;
        s->closing = 2;
        door_close(s->front_door, part_closed, s);
        door_close(s->control_door, part_closed, s);
}

static void server_close_rest(struct server *s)
{
        s->phase = PHASE_DONE;
        jobs_close(s->jobs);
        foreground_desk_close(&s->front.desk);
        close_handle((uv_handle_t *)&s->term);
        close_handle((uv_handle_t *)&s->interrupt);
        close_handle((uv_handle_t *)&s->hup);
        signal(SIGTERM, SIG_IGN); /* one more would only spoil the exit code */
        signal(SIGINT, SIG_IGN);
        close_handle((uv_handle_t *)&s->drain);
        close_handle((uv_handle_t *)&s->watch);
        uv_stop(&s->loop);
}

/* Looks where the shutdown stands and takes the next step; called whenever something has ended. */
static void server_step(struct server *s)
{
        if (s->phase == PHASE_DRAINING && jobs_are_idle(s->jobs) && s->front.desk.active == 0 &&
            !door_is_busy(s->front_door) && !door_is_busy(s->control_door))
                server_end_runs(s);
        else if (s->phase == PHASE_CLOSING && s->closing == 0)
                s->phase = PHASE_STORING;
        if (s->phase == PHASE_STORING && jobs_are_idle(s->jobs))
                server_close_rest(s);
}

static void jobs_idle(void *arg)
{
        server_step(arg);
}

static void drain_over(uv_timer_t *timer)
{
        struct server *s = timer->data;

        if (s->phase == PHASE_DRAINING) {
                log_say(LOG_WARN, "server", "the drain time is over, what still runs is put back",
                        "drain_ms=%lld", (long long)s->config->drain_ms);
                server_end_runs(s);
        } else if (s->phase == PHASE_STORING) {
                log_say(LOG_ERROR, "server",
                        "the store does not take the last outcomes; their runs count as cut short at the "
                        "next start",
                        "%s", "");
                server_close_rest(s);
        }
}

/* The doors are closed one look after the last run has ended: its answer leaves in between. */
static void drain_watch(uv_timer_t *timer)
{
        struct server *s = timer->data;

        if (s->phase == PHASE_ENDING && s->closing == 0 && s->all_ended)
                server_close_doors(s);
        s->all_ended = s->phase == PHASE_ENDING && s->closing == 0;
        server_step(s);
}

static void on_terminate(uv_signal_t *handle, int signum)
{
        struct server *s = handle->data;

        if (s->phase == PHASE_SERVING) {
                log_say(LOG_INFO, "server", "shutting down", "signal=%d drain_ms=%lld", signum,
                        (long long)s->config->drain_ms);
                s->phase = PHASE_DRAINING;
                door_drain(s->front_door);
                door_drain(s->control_door);
                jobs_drain(s->jobs);
                uv_timer_start(&s->drain, drain_over, (uint64_t)s->config->drain_ms, 5000);
                uv_timer_start(&s->watch, drain_watch, 20, 20);
        } else if (s->phase == PHASE_DRAINING) {
                server_end_runs(s);
        }
        server_step(s);
}

static void on_hup(uv_signal_t *handle, int signum)
{
        struct server *s = handle->data;
        struct cause cause = { "" };
        enum log_level level;

        (void)signum;
        access_log_reopen(s->access_log);
        if (config_reload(s->config, &cause) != 0) {
                log_say(LOG_ERROR, "server", "options not reread, nothing changed", "why=\"%s\"", cause.text);
                return;
        }
        if (log_level_parse(s->config->log_level, &level))
                log_set_level(level);
        log_say(LOG_INFO, "server", "options reread", "%s", "");
}

/* ---- the way up ---- */

static void on_wake(uv_async_t *handle)
{
        struct server *s = handle->data;

        if (s->store)
                store_drain(s->store);
        if (s->phase != PHASE_SERVING)
                server_step(s);
}

static void store_wakes(void *arg)
{
        uv_async_send(arg);
}

static int server_open_store(struct server *s, struct cause *cause)
{
        const struct store_config config = {
                .folder = s->config->data,
                .wake = store_wakes,
                .wake_arg = &s->wake,
                .body_memory_max = s->config->body_memory_max,
        };
        const struct jobs_config jobs = {
                .loop = &s->loop,
                .config = s->config,
                .site = s->site,
                .idle = jobs_idle,
                .arg = s,
        };
        struct jobs_config with_store = jobs;
        int r = store_open(&s->store, &config, cause);

        if (r != 0)
                return -1;
        with_store.store = s->store;
        r = jobs_new(&s->jobs, &with_store, cause);
        return r < 0 ? r : jobs_recover(s->jobs, cause);
}

static int server_open_workers(struct server *s, const char *self, struct cause *cause)
{
        struct dispatcher_config config = {
                .reserve = (unsigned)s->config->foreground_workers,
                .job_turn = (void (*)(void *))jobs_turn,
                .arg = s->jobs,
        };
        struct cause why;

        s->words = job_words_split(s->config->worker, &why);
        if (!s->words)
                return cause_set(cause, -EINVAL, "worker: %s", why.text);
        config.pool = (struct pool_config){
                .loop = &s->loop,
                .self = self,
                .outside = s->config->fastcgi,
                .argv = s->words,
                .runtime_folder = s->runtime_folder,
                .workers = (unsigned)s->config->workers,
                .requests_max = s->config->worker_requests,
                .backoff_ms_max = (unsigned)s->config->worker_backoff_max_ms,
        };
        return dispatcher_new(&s->dispatcher, &config, cause);
}

/* Absolute: programs and scripts, which work elsewhere, are told of paths in it. */
static int server_make_runtime_folder(struct server *s, struct cause *cause)
{
        char *path = mem_printf("%s/run", s->config->data), *whole;
        int r = 0;

        if (mkdir(path, 0700) < 0 && errno != EEXIST)
                r = cause_set(cause, -errno, "cannot make %s: %s", path, strerror(errno));
        whole = r < 0 ? NULL : realpath(path, NULL);
        if (r == 0 && !whole)
                r = cause_set(cause, -errno, "cannot find %s: %s", path, strerror(errno));
        free(path);
        s->runtime_folder = whole;
        return r;
}

static int server_open_runners(struct server *s, const char *self, struct cause *cause)
{
        struct exec_config exec = {
                .loop = &s->loop,
                .self = self,
                .folder = s->config->dir,
                .lock_fd = store_lock_fd(s->store),
        };
        const struct http_config http = {
                .loop = &s->loop,
                .connect_timeout_ms = s->config->http_connect_timeout_ms,
                .redirects_max = (unsigned)s->config->http_redirects,
                .connections_max = (unsigned)s->config->urls,
                .allow = s->config->http_allow,
                .deny = s->config->http_deny,
                .ca_file = s->config->http_ca_file,
        };
        int r;

        r = server_make_runtime_folder(s, cause);
        if (r < 0)
                return r;
        exec.runtime_folder = s->runtime_folder;
        r = server_open_workers(s, self, cause);
        if (r == 0)
                r = exec_new(&s->exec, &exec, cause);
        if (r == 0)
                r = http_new(&s->http, &http, cause);
        if (r < 0)
                return r;
        jobs_use(s->jobs, &(struct jobs_desks){ s->dispatcher, s->exec, s->http });
        return 0;
}

/* The folders on the way to a control socket, 0755; the last one may be ours alone. */
static void make_parents(const char *path)
{
        char *copy = mem_dup(path);

        for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                if (mkdir(copy, strncmp(copy, "/tmp/", 5) == 0 ? 0700 : 0755) < 0 && errno != EEXIST)
                        log_say(LOG_DEBUG, "server", "folder not made", "path=%s why=\"%s\"", copy,
                                strerror(errno));
                *slash = '/';
        }
        free(copy);
}

static int server_open_doors(struct server *s, struct cause *cause)
{
        struct door_config door = {
                .loop = &s->loop,
                .config = s->config,
                .files_fd = store_files_fd(s->store),
        };
        struct job_pages pages = { .jobs = s->jobs, .config = s->config, .loop = &s->loop };
        int r;

        s->front.desk = (struct foreground_desk){ .dispatcher = s->dispatcher,
                                                  .site = s->site,
                                                  .jobs = s->jobs,
                                                  .config = s->config,
                                                  .loop = &s->loop };
        foreground_desk_init(&s->front.desk);
        s->front.pages = pages;
        s->front.rate = rate_new();
        s->front.config = s->config;
        door.ops = &front_ops;
        door.arg = &s->front;
        door.access_log = s->access_log;
        r = door_new(&s->front_door, &door, s->config->listen, cause);
        if (r < 0)
                return r;
        s->control.pages = pages;
        s->control.pages.full = true;
        s->control.site = s->site;
        s->control.store = s->store;
        s->control.config = s->config;
        s->control.front_address = door_address(s->front_door);
        jobs_set_host(s->jobs, door_address(s->front_door));
        if (strncmp(s->config->control, "unix:", 5) != 0)
                return cause_set(cause, -EINVAL, "control: only unix:PATH in this version, not '%s'",
                                 s->config->control);
        make_parents(s->config->control + 5);
        door.ops = &control_ops;
        door.arg = &s->control;
        door.access_log = NULL;
        return door_new(&s->control_door, &door, s->config->control, cause);
}

static void server_signals(struct server *s)
{
        uv_signal_init(&s->loop, &s->term);
        uv_signal_init(&s->loop, &s->interrupt);
        uv_signal_init(&s->loop, &s->hup);
        uv_timer_init(&s->loop, &s->drain);
        uv_timer_init(&s->loop, &s->watch);
        s->term.data = s->interrupt.data = s->hup.data = s->drain.data = s->watch.data = s;
        uv_signal_start(&s->term, on_terminate, SIGTERM);
        uv_signal_start(&s->interrupt, on_terminate, SIGINT);
        uv_signal_start(&s->hup, on_hup, SIGHUP);
}

/* Connections, workers and files each want a descriptor: take as many as the system lets us have. */
static void raise_file_limit(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
                limit.rlim_cur = limit.rlim_max;
                setrlimit(RLIMIT_NOFILE, &limit);
        }
}

static void close_what_is_open(uv_handle_t *handle, void *arg)
{
        (void)arg;
        close_handle(handle);
}

static void nothing(void *arg)
{
        (void)arg;
}

/* Everything that start-up made before it failed, or that shutdown left, in any state. */
static void server_fini(struct server *s)
{
        store_close(s->store);
        s->store = NULL;
        if (s->phase == PHASE_SERVING && s->dispatcher)
                dispatcher_stop(s->dispatcher, nothing, NULL);
        if (s->phase == PHASE_SERVING && s->exec)
                exec_stop(s->exec, nothing, NULL);
        if (s->phase == PHASE_SERVING && s->http)
                http_stop(s->http, nothing, NULL);
        if (s->phase == PHASE_SERVING && s->front_door)
                door_close(s->front_door, nothing, NULL);
        if (s->phase == PHASE_SERVING && s->control_door)
                door_close(s->control_door, nothing, NULL);
        close_handle((uv_handle_t *)&s->wake);
        if (s->jobs)
                jobs_close(s->jobs);
        uv_run(&s->loop, UV_RUN_DEFAULT);
        uv_walk(&s->loop, close_what_is_open, NULL);
        uv_run(&s->loop, UV_RUN_DEFAULT);
        dispatcher_free(s->dispatcher);
        exec_free(s->exec);
        http_free(s->http);
        jobs_free(s->jobs);
        door_free(s->front_door);
        door_free(s->control_door);
        rate_free(s->front.rate);
        access_log_free(s->access_log);
        site_free(s->site);
        job_words_free(s->words);
        free(s->runtime_folder);
        uv_loop_close(&s->loop);
}

static int server_start(struct server *s, const char *self, struct cause *cause)
{
        bool everything = strcmp(s->config->worker_for, "/") == 0;
        enum log_level level;

        if (log_level_parse(s->config->log_level, &level))
                log_set_level(level);
        if (site_new(&s->site, s->config->dir, everything ? ".php" : s->config->worker_for, everything,
                     cause) < 0)
                return EXIT_OPTION;
        if (access_log_new(&s->access_log, s->config->access_log, cause) < 0)
                return EXIT_OPTION;
        if (server_open_store(s, cause) < 0 || server_open_runners(s, self, cause) < 0 ||
            server_open_doors(s, cause) < 0)
                return EXIT_IN_THE_WAY;
        server_signals(s);
        return 0;
}

int server_main(struct config *config, const char *self_path)
{
        struct server *s = mem_alloc(sizeof(*s));
        struct cause cause = { "" };
        int r;

        signal(SIGPIPE, SIG_IGN);
        raise_file_limit();
        s->config = config;
        uv_loop_init(&s->loop);
        uv_async_init(&s->loop, &s->wake, on_wake);
        s->wake.data = s;
        r = server_start(s, self_path, &cause);
        if (r == 0) {
                printf("sendoff: ready http://%s control %s\n", door_address(s->front_door),
                       door_address(s->control_door));
                fflush(stdout);
                uv_run(&s->loop, UV_RUN_DEFAULT);
                log_say(LOG_INFO, "server", "stopped", "%s", "");
        } else {
                fprintf(stderr, "sendoff: %s\n", cause.text);
        }
        server_fini(s);
        free(s);
        return r;
}
