/* Loading and reloading the server's options: see config.h for precedence, config_rows.c for the table and
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

#define DEFAULT_FILE "/etc/sendoff.ini"

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

        options_init(&config->options, config_rows(), config);
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

        for (const struct option_row *row = config_rows(); r == 0 && row->key; row++) {
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
