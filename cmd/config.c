/* sendoff config: every option with its value, where that came from, its default and its range. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/wrap.h"
#include "cmd/verb.h"
#include "server/config.h"

static void print_row(const struct options *o, const struct option_row *row, unsigned width)
{
        struct buf line, value, range;

        buf_init(&line, 1 << 16);
        buf_init(&value, 1 << 16);
        buf_init(&range, 1 << 12);
        if (option_value_text(o, row, &value) == 0 && option_range_text(row, &range) == 0) {
                printf("%-22s %.*s%s\n", row->key, SLICE_ARG(buf_slice(&value)),
                       buf_len(&value) ? "" : "(none)");
                if (buf_printf(&line, "%s Default %s; %.*s%sset by: %s%s.", row->help,
                               option_default_shown(row)[0] ? option_default_shown(row) : "none",
                               SLICE_ARG(buf_slice(&range)), buf_len(&range) ? "; " : "",
                               option_source_name(options_source(o, row)),
                               row->reloadable ? "; reread on SIGHUP" : "") == 0) {
                        struct buf wrapped;
                        char *text = buf_take(&line);

                        buf_init(&wrapped, 1 << 16);
                        if (buf_append_str(&wrapped, "    ") == 0 &&
                            wrap_text(&wrapped, text, 4, 4, width) == 0)
                                fwrite(buf_data(&wrapped), 1, buf_len(&wrapped), stdout);
                        buf_fini(&wrapped);
                        free(text);
                }
        }
        buf_fini(&line);
        buf_fini(&value);
        buf_fini(&range);
}

static json_t *row_json(const struct options *o, const struct option_row *row)
{
        struct buf value, range;
        json_t *json;

        buf_init(&value, 1 << 16);
        buf_init(&range, 1 << 12);
        if (option_value_text(o, row, &value) != 0 || option_range_text(row, &range) != 0)
                buf_clear(&range);
        json = json_pack("{s:s, s:s, s:s%, s:s, s:s%, s:s, s:b, s:s}", "key", row->key, "kind",
                         option_kind_name(row->kind), "value", buf_slice(&value).ptr, buf_len(&value),
                         "default", option_default_shown(row), "range", buf_slice(&range).ptr,
                         buf_len(&range), "source", option_source_name(options_source(o, row)), "reloadable",
                         row->reloadable, "help", row->help);
        buf_fini(&value);
        buf_fini(&range);
        return json;
}

static int config_run(int argc, char **argv)
{
        struct config config = { 0 };
        struct cause cause = { "" };
        bool as_json = false;
        int kept = 0, r;

        for (int i = 1; i < argc; i++) {
                if (strcmp(argv[i], "--json") == 0)
                        as_json = true;
                else
                        argv[++kept] = argv[i];
        }
        r = config_load(&config, kept, argv + 1, &cause);
        if (r != 0) {
                config_fini(&config);
                if (r != OPTION_HELP)
                        return usage_error("config", "%s", cause.text);
                fputs(verb_config.help, stdout);
                return EXIT_OK;
        }
        if (as_json) {
                json_t *all = json_array();
                char *text;

                for (const struct option_row *row = config_rows(); row->key; row++)
                        json_array_append_new(all, row_json(config_options(&config), row));
                text = json_dumps(all, JSON_INDENT(2));
                puts(text ? text : "[]");
                free(text);
                json_decref(all);
        } else {
                for (const struct option_row *row = config_rows(); row->key; row++)
                        print_row(config_options(&config), row, wrap_width(STDOUT_FILENO));
        }
        config_fini(&config);
        return EXIT_OK;
}

const struct verb verb_config = {
        .name = "config",
        .line = "show every option: value, default, limits, where it came from",
        .help = "usage: sendoff config [--json] [serve's options...]\n\nShows what `sendoff serve` with the "
                "same options, environment and ini file\nwould use.\n\n"
                "  sendoff config\n  sendoff config --config /etc/sendoff.ini --workers 8\n  "
                "SENDOFF_BODY_MAX=1G sendoff config --json\n",
        .run = config_run,
};
