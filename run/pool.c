/* The set of workers: see pool.h. Starts them with one shared setup (words, environment, opcache folder),
 * hands requests to the idle one that was used last (its caches are warm), replaces those that end, and
 * brings all down in order. */
#include "run/pool.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
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
#include "run/leftover.h"
#include "run/worker.h"

#define READ_BYTES 65536
#define KILL_MS    2000 /* after pool_stop: SIGKILL to all that are left */
#define INI_SPECIAL                                                                                          \
        ":;\"$\\\n" /* in a path: would need quoting in PHP_INI_SCAN_DIR or in the ini file, or cannot be */
#define INI_LOGGED "colon, semicolon, quote, dollar, backslash, newline"

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
        unsigned timers; /* not closed yet, while stopping */
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
                out->busy += pool->workers[i].state == WORKER_BUSY || pool->workers[i].state == WORKER_GONE;
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

void pool_worker_not_idle(struct pool *pool, const struct worker *w)
{
        forget_idle(pool, w);
}

void pool_worker_idle(struct pool *pool, struct worker *w)
{
        assert(!pool->stopping);
        pool->idle[pool->idle_count++] = w;
}

void pool_announce(struct pool *pool)
{
        if (pool->idle_count > 0)
                pool->freed(pool->arg);
}

/* FIFOs of a server that was killed, and files that a program left behind has made by writing to the path of
 * a FIFO that was gone. */
static void sweep_controls(const char *folder)
{
        DIR *dir = opendir(folder);
        struct dirent *entry;

        while (dir && (entry = readdir(dir)))
                if (fnmatch("w*.control", entry->d_name, 0) == 0)
                        unlinkat(dirfd(dir), entry->d_name, 0);
        if (dir)
                closedir(dir);
}

/* The last of the timers is closed: nothing of the loop points into the pool any more. */
static void timer_closed(uv_handle_t *handle)
{
        struct pool *pool = handle->data;

        if (--pool->timers == 0)
                pool->stopped(pool->stopped_arg);
}

static void pool_check_down(struct pool *pool)
{
        for (unsigned i = 0; i < pool->count; i++)
                if (pool->workers[i].state != WORKER_DOWN)
                        return;
        if (uv_is_closing((uv_handle_t *)&pool->kill))
                return;
        if (pool->setup.folder)
                sweep_controls(pool->setup.folder);
        pool->timers = pool->count + 1;
        uv_close((uv_handle_t *)&pool->kill, timer_closed);
        for (unsigned i = 0; i < pool->count; i++) {
                pool->workers[i].timer.data = pool;
                uv_close((uv_handle_t *)&pool->workers[i].timer, timer_closed);
        }
}

bool pool_is_stopping(const struct pool *pool)
{
        return pool->stopping;
}

static void remove_files(const struct pool *pool, struct worker *w)
{
        char path[WORKER_PATH_SIZE];

        control_close(w->control);
        w->control = NULL;
        if (!pool->setup.outside)
                leftover_forget(pool->setup.folder, w->number);
        if (!pool->setup.outside &&
            worker_path(pool->setup.folder, w->number, path, sizeof(path)) < sizeof(path))
                unlink(path);
}

void pool_worker_down(struct pool *pool, struct worker *w)
{
        unsigned pause_ms = w->blameless ? 0 : worker_backoff_ms(w);

        forget_idle(pool, w);
        worker_drop_link(w);
        worker_move(w, WORKER_DOWN);
        uv_timer_stop(&w->timer);
        if (pool->stopping) {
                remove_files(pool, w);
                pool_check_down(pool);
        } else if (pause_ms > 0) {
                worker_spawn_later(w, pause_ms);
        } else {
                worker_spawn(w);
        }
}

/* ---- requests ---- */

int pool_start(struct pool *pool, const struct pool_request *request, const struct run_handlers *handlers,
               void *arg, struct run **out)
{
        while (pool->idle_count > 0) {
                struct worker *w = pool->idle[--pool->idle_count];
                int r = fastcgi_start(w, request, handlers, arg, out);

                if (r == FASTCGI_NO_CONNECTION)
                        continue;
                if (r < 0)
                        pool->idle[pool->idle_count++] = w;
                else
                        pool->stats.requests++;
                return r;
        }
        return POOL_BUSY;
}

/* ---- life ---- */

static bool is_php(const char *program)
{
        const char *slash = strrchr(program, '/');

        return strncmp(slash ? slash + 1 : program, "php", 3) == 0;
}

static int make_folder(char *path, struct cause *cause)
{
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
                return cause_set(cause, -errno, "cannot make %s: %s", path, strerror(errno));
        return 0;
}

/* php reads FOLDER/php/sendoff.ini after its own folder of ini files (PHP_INI_SCAN_DIR, see add_scan_dir).
 * The file cache of opcache warms a new worker with what earlier ones have compiled. */
static int make_php_folder(const struct pool *pool, struct cause *cause)
{
        char *cache = mem_printf("%s/opcache", pool->setup.folder);
        char *php = mem_printf("%s/php", pool->setup.folder);
        char *ini = mem_printf("%s/php/sendoff.ini", pool->setup.folder);
        int r = make_folder(cache, cause);
        FILE *f = NULL;

        if (r == 0)
                r = make_folder(php, cause);
        if (r == 0) {
                f = fopen(ini, "we");
                if (f)
                        fprintf(f, "; written by sendoff at every start\nopcache.file_cache=\"%s\"\n", cache);
                if (!f || fclose(f) != 0)
                        r = cause_set(cause, -errno, "cannot write %s: %s", ini, strerror(errno));
        }
        free(cache);
        free(php);
        free(ini);
        return r;
}

static bool starts(const char *text, const char *with)
{
        return strncmp(text, with, strlen(with)) == 0;
}

/* An empty first part stands for php's own folder; a variable that is set but empty means no folder at all.
 */
static char *scan_dir(const char *folder)
{
        const char *own = getenv("PHP_INI_SCAN_DIR");

        if (own && !own[0])
                return mem_printf("PHP_INI_SCAN_DIR=%s/php", folder);
        return mem_printf("PHP_INI_SCAN_DIR=%s:%s/php", own ? own : "", folder);
}

static void make_environment(struct pool *pool, bool php)
{
        unsigned n = 0, at = 0;
        char **env;

        while (environ[n])
                n++;
        env = mem_alloc((n + 4) * sizeof(*env));
        for (unsigned i = 0; i < n; i++)
                if (!starts(environ[i], "PHP_FCGI_") && !starts(environ[i], WORKER_PARENT_VARIABLE "=") &&
                    !(php && starts(environ[i], "PHP_INI_SCAN_DIR=")))
                        env[at++] = mem_dup(environ[i]);
        env[at++] = mem_printf(WORKER_PARENT_VARIABLE "=%ld", (long)getpid());
        env[at++] = mem_dup("PHP_FCGI_MAX_REQUESTS=0"); /* php-cgi's own default is to exit after 500 */
        if (php)
                env[at] = scan_dir(pool->setup.folder);
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

/* Every socket's path must fit; tried with the last and longest one. */
static int check_folder(const char *folder, unsigned workers, struct cause *cause)
{
        char path[WORKER_PATH_SIZE];
        size_t len = worker_path(folder, (int)workers, path, sizeof(path));

        if (len >= sizeof(path))
                return cause_set(
                        cause, -ENAMETOOLONG,
                        "the path of a worker's socket in %.200s would have %zu bytes, at most %zu fit: "
                        "choose a shorter data folder",
                        folder, len, sizeof(path) - 1);
        if (access(folder, W_OK | X_OK) < 0)
                return cause_set(cause, -errno, "the runtime folder %s cannot be written: %s", folder,
                                 strerror(errno));
        return 0;
}

static int prepare_outside(struct pool *pool, const char *outside, struct cause *cause)
{
        struct sockaddr_storage address;
        socklen_t len;
        int r = worker_outside_address(outside, &address, &len);

        pool->setup.outside = mem_dup(outside);
        pool->setup.program = "outside pool";
        if (r == -ENAMETOOLONG)
                return cause_set(cause, r, "fastcgi: the path in '%.200s' is too long for a socket's",
                                 outside);
        if (r < 0)
                return cause_set(cause, -EINVAL,
                                 "fastcgi: unix:/PATH or ADDRESS:PORT (numbers) is wanted, not '%.200s'",
                                 outside);
        return 0;
}

static int pool_prepare(struct pool *pool, const struct pool_config *config, struct cause *cause)
{
        const char *slash = strrchr(config->argv[0], '/');
        bool php = is_php(config->argv[0]);
        char folder[PATH_MAX];
        int r;

        if (!on_path(config->argv[0]))
                return cause_set(cause, -ENOENT,
                                 "the worker program '%s' is not there (option worker; for PHP: apt-get "
                                 "install php-cgi)",
                                 config->argv[0]);
        if (!realpath(config->runtime_folder, folder))
                return cause_set(cause, -errno, "the runtime folder %s: %s", config->runtime_folder,
                                 strerror(errno));
        r = check_folder(folder, config->workers, cause);
        if (r < 0)
                return r;
        sweep_controls(folder);
        leftover_end(folder);
        pool->setup.php = php;
        if (php && strpbrk(folder, INI_SPECIAL)) {
                log_say(LOG_WARN, "run", "workers without opcache.file_cache",
                        "why=\"the data folder has a byte of " INI_LOGGED " in its path\"");
                php = false;
        }
        pool->setup.folder = mem_dup(folder);
        pool->setup.self = mem_dup(config->self);
        make_words(pool, config->argv);
        pool->setup.program = pool->setup.args[2] + (slash ? slash + 1 - config->argv[0] : 0);
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
        int r;

        *out = NULL;
        assert(config->workers >= 1 && config->workers <= WORKERS_MAX);
        pool->setup.loop = config->loop;
        pool->setup.requests_max = config->requests_max;
        pool->setup.backoff_ms_max = config->backoff_ms_max;
        pool->freed = config->freed;
        pool->arg = config->arg;
        r = config->outside ? prepare_outside(pool, config->outside, cause)
                            : pool_prepare(pool, config, cause);
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
                worker_spawn(&pool->workers[i]); /* one that fails is logged and tried again */
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
        uv_timer_start(&pool->kill, kill_all, KILL_MS, KILL_MS);
        for (unsigned i = 0; i < pool->count; i++) {
                struct worker *w = &pool->workers[i];

                w->blameless = true;
                if (w->state == WORKER_DOWN) {
                        uv_timer_stop(&w->timer);
                        remove_files(pool, w);
                } else if (w->request) {
                        fastcgi_put_back(w->request);
                } else if (w->state != WORKER_ENDING) {
                        worker_end(w, SIGTERM);
                }
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
        free(pool->setup.outside);
        free(pool->setup.folder);
        free(pool->workers);
        free(pool->idle);
        free(pool);
}
