/* sendoff serve: options, then the server. Its --help comes out of the option table. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/wrap.h"
#include "cmd/verb.h"
#include "server/server.h"

static void serve_help(void)
{
        struct buf text;

        fputs("usage: sendoff serve [DIR] [options]\n\n"
              "Serves the folder DIR (default: this one) as `php -S` does, and lets its scripts\nrun in the "
              "background.\n\n"
              "  sendoff serve ./site\n"
              "  sendoff serve ./site --listen 0.0.0.0:80 --workers 8\n"
              "  sendoff serve ./site --async-path '/jobs/*' --keep-finished 30d\n\n"
              "Every option can also stand in the environment (SENDOFF_BODY_MAX=64M) and in an\n"
              "ini file (body_max = 64M). SIGTERM ends it in order, SIGHUP rereads the options\n"
              "that `sendoff config` calls reread and reopens the access log.\n\n",
              stdout);
        buf_init(&text, 1 << 20);
        if (option_help(config_rows(), wrap_width(STDOUT_FILENO), &text) == 0)
                fwrite(buf_data(&text), 1, buf_len(&text), stdout);
        buf_fini(&text);
}

static int serve(int argc, char **argv)
{
        struct config config = { 0 };
        struct cause cause = { "" };
        char self[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
        int r = config_load(&config, argc - 1, argv + 1, &cause);

        if (r == OPTION_HELP) {
                serve_help();
                r = EXIT_OK;
        } else if (r != 0) {
                r = usage_error("serve", "%s", cause.text);
        } else if (n < 0) {
                perror("sendoff: /proc/self/exe");
                r = EXIT_SERVER;
        } else {
                self[n] = '\0';
                r = server_main(&config, self);
        }
        config_fini(&config);
        return r;
}

const struct verb verb_serve = {
        .name = "serve",
        .line = "serve a folder and run its scripts, now or later",
        .run = serve,
};
