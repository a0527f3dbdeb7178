/* Every option of the server in one table (config.c), with what `serve --help`, `sendoff config`, the ini
 * file, the environment and the manual know of it.
 *
 * Precedence: command line over environment (SENDOFF_BODY_MAX) over ini file (body_max = 64M) over default.
 * Sizes take k, M, G; times take ms, s, m, h, d (default unit: seconds). */
#ifndef SENDOFF_SERVER_CONFIG_H
#define SENDOFF_SERVER_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cause.h"
#include "base/option.h"

struct config {
        char *dir;         /* the site's document root */
        char *listen;      /* ADDR:PORT of the front door, 127.0.0.1:8080 */
        char *control;     /* unix:PATH */
        char *data;        /* data folder */
        char *config_file; /* the ini file, NULL none */
        char *log_level;   /* info */
        char *access_log;  /* "-" stdout, a path, "off" */

        uint64_t workers;              /* 4 */
        uint64_t foreground_workers;   /* 1: never given to jobs */
        char *fastcgi;                 /* "unix:/path" or "host:port" of an outside pool, NULL none */
        char *worker;                  /* "php-cgi" */
        char *worker_for;              /* ".php" or "/" */
        uint64_t worker_requests;      /* 10000 */
        int64_t worker_backoff_max_ms; /* 10 s */

        uint64_t head_max;             /* 64k: a whole request head */
        uint64_t uri_max;              /* 16k: the request target */
        uint64_t body_max;             /* 256M */
        uint64_t body_memory_max;      /* 64k: larger bodies and outputs go to files */
        uint64_t output_max;           /* 64M kept of a job's output */
        int64_t head_timeout_ms;       /* 10 s for a whole head */
        int64_t body_timeout_ms;       /* 30 s without a byte of a body */
        int64_t send_timeout_ms;       /* 60 s without a byte taken by the client */
        int64_t idle_timeout_ms;       /* 75 s keep-alive */
        uint64_t connections_max;      /* 10000 */
        uint64_t memory_max;           /* 512M held by the connections of a door */
        uint64_t foreground_queue_max; /* 1000 requests waiting for a worker; 503 beyond */

        char **async_paths;         /* NULL-terminated GLOBs: always 202 */
        char **respond_async_paths; /* NULL-terminated GLOBs respond-async is honoured for; empty: all */
        int64_t wait_max_ms;        /* 60 s: the longest wait=N and ?wait=N */
        uint64_t queue_max;         /* 1000000 unfinished jobs: 503 beyond */
        uint64_t queue_bytes_max;   /* 10G of request bodies of unfinished jobs: 507 beyond */
        uint64_t async_rate;  /* jobs a second one address may have accepted at the front door, 0 = no limit;
                                 1000 */
        uint64_t async_burst; /* 2000 */

        int64_t time_limit_ms;            /* 1 d: a job's run */
        int64_t idle_limit_ms;            /* 0: none */
        int64_t foreground_time_limit_ms; /* 1 h */
        int64_t grace_ms;                 /* 5 s between asking and killing */
        char *on_abort;                   /* "php": a foreground run whose caller hangs up */
        uint64_t retries;                 /* 3 */
        int64_t retry_backoff_ms;         /* 10 s */
        int64_t retry_backoff_max_ms;     /* 1 h */

        uint64_t programs;                      /* 4 at once */
        uint64_t program_memory, program_files; /* 0: no limit */
        int64_t program_cpu_ms;                 /* 0: no limit */
        uint64_t urls;                          /* 1000 at once */
        int64_t http_connect_timeout_ms;        /* 10 s */
        uint64_t http_redirects;                /* 0 */
        char **http_deny, **http_allow;         /* CIDR lists */
        char *http_ca_file;                     /* NULL: the system's */

        int64_t keep_finished_ms; /* 7 d: finished jobs and results are kept so long */
        int64_t drain_ms;         /* 30 s at SIGTERM */

        struct options options; /* over the fields above */
        int argc;               /* the command line, borrowed, for a reload */
        char **argv;
};

const struct option_row *config_rows(void); /* ends with a NULL key; offsets are into struct config */

/* argv after the verb. Reads --config FILE (or the default file when it exists), the environment, then the
 * command line. 0; OPTION_HELP when --help was asked for; OPTION_USAGE with the sentence in cause. config is
 * to be finished in every case. */
int config_load(struct config *config, int argc, char **argv, struct cause *cause)
        __attribute__((warn_unused_result));
/* SIGHUP: rereads file and environment with the same command line and takes over what the table calls
 * reloadable; what changed otherwise is named in a log line. 0 or OPTION_USAGE (nothing changed). */
int config_reload(struct config *config, struct cause *cause) __attribute__((warn_unused_result));
void config_fini(struct config *config);

const struct options *config_options(const struct config *config);

/* The default control socket: /run/sendoff/control.sock for root, $XDG_RUNTIME_DIR/sendoff/control.sock
 * otherwise (/tmp/sendoff-UID/control.sock without one). Owned by the caller. */
char *config_default_socket(void);

#endif
