/* The server's options: the table, and what loads and reloads it. See config.h for precedence and
 * base/option.h for the forms of values. */
#include "server/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bounds.h"
#include "base/log.h"
#include "base/mem.h"

#define AT(field) offsetof(struct config, field)
#define HOUR_MS   UINT64_C(3600000)
#define DAY_MS    (24 * HOUR_MS)
#define GIB       (UINT64_C(1) << 30)

static bool is_address(const char *value)
{
        const char *colon = strrchr(value, ':');
        uint64_t port;

        return colon && slice_to_u64(slice_of(colon + 1), 65535, &port);
}

static bool is_control(const char *value)
{
        return strncmp(value, "unix:", 5) == 0 && value[5];
}

static bool is_suffix(const char *value)
{
        return strcmp(value, "/") == 0 || (value[0] == '.' && value[1]);
}

static bool is_glob(const char *value)
{
        return value[0] == '/' || value[0] == '*';
}

static const struct option_row rows[] = {
        { .key = "dir",
          .kind = OPTION_STRING,
          .offset = AT(dir),
          .min = 1,
          .max = 4096,
          .default_text = ".",
          .metavar = "DIR",
          .group = "The site",
          .help = "The folder that is served, the document root." },
        { .key = "listen",
          .kind = OPTION_STRING,
          .offset = AT(listen),
          .min = 2,
          .max = 300,
          .default_text = "127.0.0.1:8080",
          .metavar = "ADDR:PORT",
          .group = "The site",
          .accepts = "ADDR:PORT, port 0 to 65535",
          .check = is_address,
          .help = "Where the front door listens; port 0 picks a free one." },
        { .key = "async_path",
          .kind = OPTION_LIST,
          .offset = AT(async_paths),
          .max = 1000,
          .metavar = "GLOB",
          .group = "The site",
          .accepts = "a GLOB that starts with / or *",
          .check = is_glob,
          .reloadable = true,
          .help = "Requests for these paths are always accepted as jobs, without a Prefer header; * matches "
                  "anything." },
        { .key = "respond_async_path",
          .kind = OPTION_LIST,
          .offset = AT(respond_async_paths),
          .max = 1000,
          .metavar = "GLOB",
          .group = "The site",
          .accepts = "a GLOB that starts with / or *",
          .check = is_glob,
          .reloadable = true,
          .default_shown = "all",
          .help = "Prefer: respond-async is honoured for these paths only." },
        { .key = "wait_max",
          .kind = OPTION_DURATION,
          .offset = AT(wait_max_ms),
          .min = 0,
          .max = HOUR_MS,
          .default_text = "60s",
          .reloadable = true,
          .metavar = "TIME",
          .group = "The site",
          .help = "The longest wait=N that is honoured, in Prefer and in status URLs." },

        { .key = "workers",
          .kind = OPTION_UNSIGNED,
          .offset = AT(workers),
          .min = 1,
          .max = WORKERS_MAX,
          .default_text = "4",
          .metavar = "N",
          .group = "Workers",
          .help = "How many worker processes run scripts." },
        { .key = "foreground_workers",
          .kind = OPTION_UNSIGNED,
          .offset = AT(foreground_workers),
          .min = 0,
          .max = WORKERS_MAX,
          .default_text = "1",
          .metavar = "N",
          .group = "Workers",
          .help = "Of these, how many are never given to jobs, so that a full queue leaves the site quick; "
                  "with one worker none." },
        { .key = "worker",
          .kind = OPTION_STRING,
          .offset = AT(worker),
          .min = 1,
          .max = 4096,
          .default_text = "php-cgi",
          .metavar = "CMD",
          .group = "Workers",
          .help = "The worker's program and arguments: any FastCGI program that takes its listener on fd 0; "
                  "split into words, no shell." },
        { .key = "worker_for",
          .kind = OPTION_STRING,
          .offset = AT(worker_for),
          .min = 1,
          .max = 32,
          .default_text = ".php",
          .metavar = "SUFFIX",
          .group = "Workers",
          .accepts = "a suffix such as .php, or / for every request",
          .check = is_suffix,
          .help = "Which files are scripts: a suffix, or / when the worker answers every request." },
        { .key = "worker_requests",
          .kind = OPTION_UNSIGNED,
          .offset = AT(worker_requests),
          .min = 0,
          .max = 1000000000,
          .default_text = "10000",
          .metavar = "N",
          .group = "Workers",
          .help = "A worker is replaced after so many requests; 0 never." },
        { .key = "worker_backoff_max",
          .kind = OPTION_DURATION,
          .offset = AT(worker_backoff_max_ms),
          .min = 100,
          .max = HOUR_MS,
          .default_text = "10s",
          .metavar = "TIME",
          .group = "Workers",
          .help = "The longest pause before a worker that keeps dying is started again." },

        { .key = "head_max",
          .kind = OPTION_SIZE,
          .offset = AT(head_max),
          .min = 1024,
          .max = 1 << 20,
          .default_text = "64k",
          .metavar = "SIZE",
          .group = "Limits of a request",
          .help = "A whole request head; beyond it the answer is 431." },
        { .key = "uri_max",
          .kind = OPTION_SIZE,
          .offset = AT(uri_max),
          .min = 256,
          .max = JOB_TARGET_MAX,
          .default_text = "16k",
          .reloadable = true,
          .metavar = "SIZE",
          .group = "Limits of a request",
          .help = "A request target; beyond it the answer is 414." },
        { .key = "body_max",
          .kind = OPTION_SIZE,
          .offset = AT(body_max),
          .min = 0,
          .max = 1024 * GIB,
          .default_text = "256M",
          .reloadable = true,
          .metavar = "SIZE",
          .group = "Limits of a request",
          .help = "A request body; beyond it the answer is 413." },
        { .key = "body_memory_max",
          .kind = OPTION_SIZE,
          .offset = AT(body_memory_max),
          .min = 0,
          .max = 1 << 20,
          .default_text = "64k",
          .metavar = "SIZE",
          .group = "Limits of a request",
          .help = "Larger bodies and outputs go to files in the data folder." },
        { .key = "head_timeout",
          .kind = OPTION_DURATION,
          .offset = AT(head_timeout_ms),
          .min = 100,
          .max = HOUR_MS,
          .default_text = "10s",
          .reloadable = true,
          .metavar = "TIME",
          .group = "Limits of a request",
          .help = "For a whole head, from its first byte; then 408." },
        { .key = "body_timeout",
          .kind = OPTION_DURATION,
          .offset = AT(body_timeout_ms),
          .min = 100,
          .max = HOUR_MS,
          .default_text = "30s",
          .reloadable = true,
          .metavar = "TIME",
          .group = "Limits of a request",
          .help = "Without a byte of a body; then 408." },
        { .key = "send_timeout",
          .kind = OPTION_DURATION,
          .offset = AT(send_timeout_ms),
          .min = 100,
          .max = HOUR_MS,
          .default_text = "60s",
          .reloadable = true,
          .metavar = "TIME",
          .group = "Limits of a request",
          .help = "Without a client taking a byte of its reply; then it is closed." },
        { .key = "idle_timeout",
          .kind = OPTION_DURATION,
          .offset = AT(idle_timeout_ms),
          .min = 100,
          .max = HOUR_MS,
          .default_text = "75s",
          .reloadable = true,
          .metavar = "TIME",
          .group = "Limits of a request",
          .help = "A kept connection without a request is closed after this." },
        { .key = "connections_max",
          .kind = OPTION_UNSIGNED,
          .offset = AT(connections_max),
          .min = 1,
          .max = 1000000,
          .default_text = "10000",
          .reloadable = true,
          .metavar = "N",
          .group = "Limits of a request",
          .help = "Connections at once, for each door; 503 beyond." },
        { .key = "memory_max",
          .kind = OPTION_SIZE,
          .offset = AT(memory_max),
          .min = 16 << 20,
          .max = 1024 * GIB,
          .default_text = "512M",
          .reloadable = true,
          .metavar = "SIZE",
          .group = "Limits of a request",
          .help = "What the connections of a door may hold in memory together; above it bodies go to files, "
                  "replies are "
                  "held back sooner and new connections get 503." },
        { .key = "foreground_queue_max",
          .kind = OPTION_UNSIGNED,
          .offset = AT(foreground_queue_max),
          .min = 0,
          .max = 1000000,
          .default_text = "1000",
          .reloadable = true,
          .metavar = "N",
          .group = "Limits of a request",
          .help = "Foreground requests that wait for a worker; 503 beyond." },

        { .key = "data",
          .kind = OPTION_STRING,
          .offset = AT(data),
          .min = 1,
          .max = 4096,
          .metavar = "DIR",
          .group = "Jobs",
          .default_shown = "/var/lib/sendoff for root, else ~/.local/state/sendoff",
          .help = "The data folder: the store, large bodies, the workers' sockets." },
        { .key = "output_max",
          .kind = OPTION_SIZE,
          .offset = AT(output_max),
          .min = 0,
          .max = 64 * GIB,
          .default_text = "64M",
          .reloadable = true,
          .metavar = "SIZE",
          .group = "Jobs",
          .help = "Kept of a job's output; the rest is cut, and the cut recorded." },
        { .key = "queue_max",
          .kind = OPTION_UNSIGNED,
          .offset = AT(queue_max),
          .min = 1,
          .max = UINT64_C(1000000000),
          .default_text = "1000000",
          .reloadable = true,
          .metavar = "N",
          .group = "Jobs",
          .help = "Unfinished jobs; 503 beyond." },
        { .key = "queue_bytes_max",
          .kind = OPTION_SIZE,
          .offset = AT(queue_bytes_max),
          .min = 0,
          .max = UINT64_C(1) << 50,
          .default_text = "10G",
          .reloadable = true,
          .metavar = "SIZE",
          .group = "Jobs",
          .help = "Request bodies of unfinished jobs together; 507 beyond." },
        { .key = "async_rate",
          .kind = OPTION_UNSIGNED,
          .offset = AT(async_rate),
          .min = 0,
          .max = 1000000000,
          .default_text = "1000",
          .reloadable = true,
          .metavar = "N",
          .group = "Jobs",
          .help = "Jobs a second that one address may send off at the front door, on average; 429 beyond; 0 "
                  "no limit." },
        { .key = "async_burst",
          .kind = OPTION_UNSIGNED,
          .offset = AT(async_burst),
          .min = 1,
          .max = 1000000000,
          .default_text = "2000",
          .reloadable = true,
          .metavar = "N",
          .group = "Jobs",
          .help = "How many of them at once." },
        { .key = "keep_finished",
          .kind = OPTION_DURATION,
          .offset = AT(keep_finished_ms),
          .min = 0,
          .max = 3650 * DAY_MS,
          .default_text = "7d",
          .reloadable = true,
          .metavar = "TIME",
          .group = "Jobs",
          .help = "Finished jobs and their results are kept so long." },
        { .key = "drain",
          .kind = OPTION_DURATION,
          .offset = AT(drain_ms),
          .min = 0,
          .max = DAY_MS,
          .default_text = "30s",
          .reloadable = true,
          .metavar = "TIME",
          .group = "Jobs",
          .help = "At SIGTERM runs may end within this time; what still runs then is put back and run again "
                  "after the next start." },

        { .key = "control",
          .kind = OPTION_STRING,
          .offset = AT(control),
          .min = 6,
          .max = 120,
          .metavar = "unix:PATH",
          .group = "Running it",
          .default_shown =
                  "unix:/run/sendoff/control.sock for root, else unix:$XDG_RUNTIME_DIR/sendoff/control.sock",
          .accepts = "unix:PATH",
          .check = is_control,
          .help = "The control door, for the command line and programs; the socket's mode is 0660." },
        { .key = "access_log",
          .kind = OPTION_STRING,
          .offset = AT(access_log),
          .min = 1,
          .max = 4096,
          .default_text = "-",
          .metavar = "FILE",
          .group = "Running it",
          .help = "A line a request: a file, - for stdout, or off; a file is reopened on SIGHUP." },
        { .key = "log_level",
          .kind = OPTION_CHOICE,
          .offset = AT(log_level),
          .default_text = "info",
          .reloadable = true,
          .metavar = "LEVEL",
          .group = "Running it",
          .accepts = "error|warn|info|debug",
          .help = "What the server says of itself on stderr." },
        { .key = "config",
          .kind = OPTION_STRING,
          .offset = AT(config_file),
          .min = 1,
          .max = 4096,
          .not_in_file = true,
          .metavar = "FILE",
          .group = "Running it",
          .default_shown = "/etc/sendoff.ini when it exists",
          .help = "An ini file with any of these options." },
        { .key = NULL },
};

#define DEFAULT_FILE "/etc/sendoff.ini"

const struct option_row *config_rows(void)
{
        return rows;
}

const struct options *config_options(const struct config *config)
{
        return &config->options;
}

char *config_default_socket(void)
{
        const char *runtime = getenv("XDG_RUNTIME_DIR");

        if (geteuid() == 0)
                return mem_dup("/run/sendoff/control.sock");
        if (runtime && runtime[0] == '/')
                return mem_printf("%s/sendoff/control.sock", runtime);
        return mem_printf("/tmp/sendoff-%u/control.sock", (unsigned)geteuid());
}

static char *default_data(void)
{
        const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

        if (geteuid() == 0)
                return mem_dup("/var/lib/sendoff");
        if (state && state[0] == '/')
                return mem_printf("%s/sendoff", state);
        return mem_printf("%s/.local/state/sendoff", home && home[0] == '/' ? home : "/tmp");
}

static void fill_defaults(struct config *config)
{
        char *socket;

        if (!config->data)
                config->data = default_data();
        if (!config->control) {
                socket = config_default_socket();
                config->control = mem_printf("unix:%s", socket);
                free(socket);
        }
}

/* Whichever source names the file, it is read before the others are final: precedence is the option table's
 * work. */
static int load(struct config *config, int argc, char **argv, struct cause *cause)
{
        struct stat st;
        int r;

        options_init(&config->options, rows, config);
        r = options_from_argv(&config->options, argc, argv, "dir", cause);
        if (r == 0)
                r = options_from_environment(&config->options, "SENDOFF", cause);
        if (r == 0 && config->config_file)
                r = options_from_file(&config->options, config->config_file, cause);
        else if (r == 0 && stat(DEFAULT_FILE, &st) == 0)
                r = options_from_file(&config->options, DEFAULT_FILE, cause);
        if (r == 0)
                fill_defaults(config);
        return r;
}

int config_load(struct config *config, int argc, char **argv, struct cause *cause)
{
        config->argc = argc;
        config->argv = argv;
        return load(config, argc, argv, cause);
}

int config_reload(struct config *config, struct cause *cause)
{
        struct config fresh = { 0 };
        int r = load(&fresh, config->argc, config->argv, cause);

        for (const struct option_row *row = rows; r == 0 && row->key; row++) {
                if (options_same(&config->options, &fresh.options, row))
                        continue;
                if (row->reloadable)
                        options_swap(&config->options, &fresh.options, row);
                log_say(row->reloadable ? LOG_INFO : LOG_WARN, "server",
                        row->reloadable ? "option changed" : "option not changed: that needs a restart",
                        "option=%s", row->key);
        }
        config_fini(&fresh);
        return r;
}

void config_fini(struct config *config)
{
        options_fini(&config->options);
}
