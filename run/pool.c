/* The set of workers: see pool.h. Starts them with one shared setup (words, environment, opcache folder),
 * hands requests to the idle one that was used last (its caches are warm), replaces those that end, and
 * brings all down in order. */
#include "run/pool.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "run/fastcgi.h"
#include "run/worker.h"

#define READ_BYTES 65536

extern char **environ;

struct pool {
        struct worker_setup setup;
        struct worker *workers;
        unsigned count;
        struct worker **idle; /* a stack */
        unsigned idle_count;
        void (*freed)(void *arg);
        void *arg;
        struct pool_stats stats;
        bool stopping;
        unsigned up; /* timers not closed yet, while stopping */
        void (*stopped)(void *arg);
        void *stopped_arg;
        uv_timer_t kill; /* while stopping: then SIGKILL for all */
        char read_buffer[READ_BYTES];
};

const struct worker_setup *pool_setup(const struct pool *pool)
{
        return &pool->setup;
}

char *pool_read_buffer(struct pool *pool, size_t *size)
{
        *size = sizeof(pool->read_buffer);
        return pool->read_buffer;
}

void pool_count_death(struct pool *pool)
{
        pool->stats.died++;
}

void pool_count_start(struct pool *pool)
{
        pool->stats.started++;
}

unsigned pool_free_workers(const struct pool *pool)
{
        return pool->idle_count;
}

void pool_stats(const struct pool *pool, struct pool_stats *out)
{
        *out = pool->stats;
        out->workers = pool->count;
        out->free = pool->idle_count;
        out->alive = out->busy = 0;
        for (unsigned i = 0; i < pool->count; i++) {
                out->alive += pool->workers[i].process != NULL;
                out->busy += pool->workers[i].state == WORKER_BUSY;
        }
}

/* ---- coming and going ---- */

static void forget_idle(struct pool *pool, const struct worker *w)
{
        unsigned kept = 0;

        for (unsigned i = 0; i < pool->idle_count; i++)
                if (pool->idle[i] != w)
                        pool->idle[kept++] = pool->idle[i];
        pool->idle_count = kept;
}

void pool_worker_not_idle(struct pool *pool, struct worker *w)
{
        forget_idle(pool, w);
}

void pool_worker_freed(struct pool *pool, struct worker *w)
{
        if (pool->stopping) {
                w->blameless = true;
                worker_end(w, SIGTERM);
                return;
        }
        pool->idle[pool->idle_count++] = w;
        pool->freed(pool->arg);
}

static void worker_timer_closed(uv_handle_t *handle)
{
        struct worker *w = handle->data;
        struct pool *pool = w->pool;

        if (--pool->up == 0 && pool->stopped)
                pool->stopped(pool->stopped_arg);
}

static void pool_check_down(struct pool *pool)
{
        for (unsigned i = 0; i < pool->count; i++)
                if (pool->workers[i].state != WORKER_DOWN || pool->workers[i].process)
                        return;
        if (uv_is_closing((uv_handle_t *)&pool->kill))
                return;
        pool->up = pool->count;
        uv_close((uv_handle_t *)&pool->kill, NULL);
        for (unsigned i = 0; i < pool->count; i++)
                uv_close((uv_handle_t *)&pool->workers[i].timer, worker_timer_closed);
}

static void remove_socket(const struct pool *pool, const struct worker *w)
{
        char path[256];

        snprintf(path, sizeof(path), "%s/w%d.sock", pool->setup.folder, w->number);
        unlink(path);
}

void pool_worker_down(struct pool *pool, struct worker *w)
{
        struct cause cause;

        forget_idle(pool, w);
        worker_drop_link(w);
        if (w->state != WORKER_DOWN)
                worker_move(w, WORKER_DOWN);
        uv_timer_stop(&w->timer);
        if (pool->stopping) {
                remove_socket(pool, w);
                pool_check_down(pool);
        } else if (worker_backoff_ms(w) > 0 && !w->blameless) {
                log_say(LOG_WARN, "run", "worker started again later", "worker=%d in_ms=%u", w->number,
                        worker_backoff_ms(w));
                worker_spawn_later(w, worker_backoff_ms(w));
        } else {
                (void)!worker_spawn(w, &cause);
        }
}

/* ---- requests ---- */

int pool_start(struct pool *pool, struct fcgi_params *params, const struct spool *body,
               const struct run_handlers *handlers, void *arg, struct run **out)
{
        struct worker *w;
        int r;

        if (pool->idle_count == 0 || pool->stopping)
                return POOL_BUSY;
        w = pool->idle[--pool->idle_count];
        r = fastcgi_start(w, params, body, handlers, arg, out);
        if (r < 0)
                pool->idle[pool->idle_count++] = w;
        else
                pool->stats.requests++;
        return r;
}

/* ---- life ---- */

static bool is_php(const char *program)
{
        const char *slash = strrchr(program, '/');

        return strncmp(slash ? slash + 1 : program, "php", 3) == 0;
}

/* php reads RUNTIME/php/sendoff.ini after its own folder of ini files: PHP_INI_SCAN_DIR with an empty first
 * part keeps the default (php.ini manual, "scan directories"). */
static int make_php_folder(const struct pool *pool, struct cause *cause)
{
        char path[PATH_MAX];
        FILE *f;

        snprintf(path, sizeof(path), "%s/opcache", pool->setup.folder);
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
                return cause_set(cause, -errno, "cannot make %s: %s", path, strerror(errno));
        snprintf(path, sizeof(path), "%s/php", pool->setup.folder);
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
                return cause_set(cause, -errno, "cannot make %s: %s", path, strerror(errno));
        snprintf(path, sizeof(path), "%s/php/sendoff.ini", pool->setup.folder);
        f = fopen(path, "we");
        if (!f)
                return cause_set(cause, -errno, "cannot write %s: %s", path, strerror(errno));
        fprintf(f,
                "; written by sendoff at every start: compiled scripts outlive the worker that compiled "
                "them\nopcache.file_cache=%s/opcache\n",
                pool->setup.folder);
        if (fclose(f) != 0)
                return cause_set(cause, -errno, "cannot write %s: %s", path, strerror(errno));
        return 0;
}

static bool starts(const char *text, const char *with)
{
        return strncmp(text, with, strlen(with)) == 0;
}

static void make_environment(struct pool *pool, bool php)
{
        const char *scan = getenv("PHP_INI_SCAN_DIR");
        unsigned n = 0, at = 0;
        char **env;

        while (environ[n])
                n++;
        env = mem_alloc((n + 4) * sizeof(*env));
        for (unsigned i = 0; i < n; i++)
                if (!starts(environ[i], "PHP_FCGI_") && !(php && starts(environ[i], "PHP_INI_SCAN_DIR=")))
                        env[at++] = mem_dup(environ[i]);
        env[at++] = mem_printf(WORKER_PARENT_VARIABLE "=%ld", (long)getpid());
        env[at++] = mem_dup("PHP_FCGI_MAX_REQUESTS=0"); /* php-cgi's own default is to exit after 500 */
        if (php)
                env[at] = mem_printf("PHP_INI_SCAN_DIR=%s:%s/php", scan ? scan : "", pool->setup.folder);
        pool->setup.env = env;
}

static void make_words(struct pool *pool, char *const *argv)
{
        unsigned n = 0;

        while (argv[n])
                n++;
        pool->setup.args = mem_alloc((n + 3) * sizeof(char *));
        pool->setup.args[0] = mem_dup(pool->setup.self);
        pool->setup.args[1] = mem_dup("worker-exec");
        for (unsigned i = 0; i < n; i++)
                pool->setup.args[2 + i] = mem_dup(argv[i]);
}

static bool on_path(const char *program)
{
        const char *path = getenv("PATH");
        struct slice rest = slice_of(path ? path : "/usr/local/bin:/usr/bin:/bin"), folder;
        bool found = false;

        if (strchr(program, '/'))
                return access(program, X_OK) == 0;
        while (!found && slice_cut(&rest, ':', &folder)) {
                char *full = mem_printf("%.*s/%s", SLICE_ARG(folder), program);

                found = access(full, X_OK) == 0;
                free(full);
        }
        return found;
}

static int pool_prepare(struct pool *pool, const struct pool_config *config, struct cause *cause)
{
        bool php = is_php(config->argv[0]);
        char folder[PATH_MAX];

        if (!on_path(config->argv[0]))
                return cause_set(cause, -ENOENT,
                                 "the worker program '%s' is not there (option worker; for PHP: apt-get "
                                 "install php-cgi)",
                                 config->argv[0]);
        if (!realpath(config->runtime_folder, folder))
                return cause_set(cause, -errno, "the runtime folder %s: %s", config->runtime_folder,
                                 strerror(errno));
        pool->setup.folder = mem_dup(folder);
        pool->setup.self = mem_dup(config->self);
        make_words(pool, config->argv);
        make_environment(pool, php);
        return php ? make_php_folder(pool, cause) : 0;
}

static void free_words(char **words)
{
        for (char **word = words; word && *word; word++)
                free(*word);
        free(words);
}

int pool_new(struct pool **out, const struct pool_config *config, struct cause *cause)
{
        struct pool *pool = mem_alloc(sizeof(*pool));
        struct cause later;
        int r;

        assert(config->workers >= 1 && config->workers <= WORKERS_MAX);
        pool->setup.loop = config->loop;
        pool->setup.requests_max = config->requests_max;
        pool->setup.backoff_ms_max = config->backoff_ms_max;
        pool->freed = config->freed;
        pool->arg = config->arg;
        r = pool_prepare(pool, config, cause);
        if (r < 0) {
                pool_free(pool);
                return r;
        }
        pool->count = config->workers;
        pool->workers = mem_alloc(pool->count * sizeof(*pool->workers));
        pool->idle = mem_alloc(pool->count * sizeof(struct worker *));
        uv_timer_init(config->loop, &pool->kill);
        pool->kill.data = pool;
        for (unsigned i = 0; i < pool->count; i++)
                worker_init(&pool->workers[i], pool, (int)i + 1);
        for (unsigned i = 0; i < pool->count; i++)
                (void)!worker_spawn(&pool->workers[i], &later); /* one that fails is logged and tried again */
        *out = pool;
        return 0;
}

static void kill_all(uv_timer_t *timer)
{
        struct pool *pool = timer->data;

        for (unsigned i = 0; i < pool->count; i++)
                worker_end(&pool->workers[i], SIGKILL);
}

void pool_stop(struct pool *pool, void (*done)(void *arg), void *arg)
{
        pool->stopping = true;
        pool->stopped = done;
        pool->stopped_arg = arg;
        pool->idle_count = 0;
        uv_timer_start(&pool->kill, kill_all, 2000, 1000);
        for (unsigned i = 0; i < pool->count; i++) {
                struct worker *w = &pool->workers[i];

                w->blameless = true;
                if (w->run)
                        fastcgi_put_back(w->run);
                else
                        worker_end(w, SIGTERM);
        }
        pool_check_down(pool);
}

void pool_free(struct pool *pool)
{
        if (!pool)
                return;
        free_words(pool->setup.args);
        free_words(pool->setup.env);
        free(pool->setup.self);
        free(pool->setup.folder);
        free(pool->workers);
        free(pool->idle);
        free(pool);
}
