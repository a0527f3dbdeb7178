/* What people read of options: values, ranges, names and the --help page. Everything is appended to a bounded
 * buffer; the first error is returned and what was written so far stays. See option.h. */
#include "base/option.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/wrap.h"

static char *shortest(uint64_t n, const char *const *names, const uint64_t *factors, size_t count, char *out)
{
        size_t best = 0;

        for (size_t i = 1; i < count && n > 0; i++)
                if (n % factors[i] == 0)
                        best = i;
        snprintf(out, OPTION_NUMBER_SIZE, "%" PRIu64 "%s", n / factors[best], names[best]);
        return out;
}

char *option_size_text(uint64_t bytes, char out[OPTION_NUMBER_SIZE])
{
        static const char *const names[] = { "", "k", "M", "G", "T" };
        static const uint64_t factors[] = { 1, 1 << 10, 1 << 20, 1 << 30, UINT64_C(1) << 40 };

        return shortest(bytes, names, factors, 5, out);
}

char *option_duration_text(uint64_t ms, char out[OPTION_NUMBER_SIZE])
{
        static const char *const names[] = { "ms", "s", "m", "h", "d" };
        static const uint64_t factors[] = { 1, 1000, 60000, 3600000, 86400000 };

        return ms ? shortest(ms, names, factors, 5, out) : strcpy(out, "0");
}

static int list_text(char *const *list, struct buf *out)
{
        int r = 0;

        for (size_t i = 0; list && list[i] && r == 0; i++) {
                r = i ? buf_append_str(out, ",") : 0;
                r = r ? r : buf_append_str(out, list[i]);
        }
        return r;
}

int option_value_text(const struct options *o, const struct option_row *row, struct buf *out)
{
        const void *at = (const char *)o->base + row->offset;
        char number[OPTION_NUMBER_SIZE];

        switch (row->kind) {
        case OPTION_STRING:
        case OPTION_CHOICE:
                return *(char *const *)at ? buf_append_str(out, *(char *const *)at) : 0;
        case OPTION_BOOL:
                return buf_append_str(out, *(const bool *)at ? "yes" : "no");
        case OPTION_LIST:
                return list_text(*(char **const *)at, out);
        case OPTION_SIZE:
                return buf_append_str(out, option_size_text(*(const uint64_t *)at, number));
        case OPTION_DURATION:
                return buf_append_str(out, option_duration_text((uint64_t) * (const int64_t *)at, number));
        case OPTION_UNSIGNED:
                break;
        }
        return buf_printf(out, "%" PRIu64, *(const uint64_t *)at);
}

static int choices_text(const char *words, struct buf *out)
{
        struct slice rest = slice_of(words), word;
        bool first = true;
        int r = 0;

        while (r == 0 && slice_cut(&rest, '|', &word)) {
                r = first ? 0 : buf_append_str(out, ", ");
                r = r ? r : buf_append_slice(out, word);
                first = false;
        }
        return r;
}

int option_range_text(const struct option_row *row, struct buf *out)
{
        char min[OPTION_NUMBER_SIZE], max[OPTION_NUMBER_SIZE];

        switch (row->kind) {
        case OPTION_CHOICE:
                return choices_text(row->accepts, out);
        case OPTION_STRING:
        case OPTION_LIST:
                return buf_append_str(out, row->accepts ? row->accepts : "any text");
        case OPTION_BOOL:
                return buf_append_str(out, "yes, no");
        case OPTION_SIZE:
                return buf_printf(out, "%s … %s, e.g. %s", option_size_text(row->min, min),
                                  option_size_text(row->max, max),
                                  row->default_text ? row->default_text : max);
        case OPTION_DURATION:
                return buf_printf(out, "%s … %s, e.g. %s", option_duration_text(row->min, min),
                                  option_duration_text(row->max, max),
                                  row->default_text ? row->default_text : max);
        case OPTION_UNSIGNED:
                break;
        }
        return buf_printf(out, "%" PRIu64 " … %" PRIu64, row->min, row->max);
}

const char *option_default_shown(const struct option_row *row)
{
        if (row->default_shown)
                return row->default_shown;
        return row->default_text ? row->default_text : "";
}

const char *option_source_name(enum option_source source)
{
        static const char *const names[] = { "default", "file", "environment", "command line" };

        return names[source];
}

const char *option_kind_name(enum option_kind kind)
{
        static const char *const names[] = {
                "text", "choice", "yes or no", "number", "size", "time", "list"
        };

        return names[kind];
}

static int help_row(const struct option_row *row, unsigned width, struct buf *out)
{
        const char *preset = option_default_shown(row);
        char left[128], text[512];

        snprintf(left, sizeof(left), "--%s%s%s", row->key, row->kind == OPTION_BOOL ? "" : " ",
                 row->kind == OPTION_BOOL ? ""
                 : row->metavar           ? row->metavar
                                          : "VALUE");
        for (size_t i = 2; i < strlen(row->key) + 2 && left[i]; i++)
                if (left[i] == '_')
                        left[i] = '-';
        snprintf(text, sizeof(text), "%s%s%s%s", row->help, *preset ? " [" : "", preset, *preset ? "]" : "");
        return wrap_entry(out, left, text, width);
}

int option_help(const struct option_row *rows, unsigned width, struct buf *out)
{
        const char *group = NULL;
        int r = 0;

        for (const struct option_row *row = rows; row->key && r == 0; row++) {
                if (row->group && (!group || strcmp(group, row->group) != 0)) {
                        r = buf_printf(out, "%s%s:\n", group ? "\n" : "", row->group);
                        group = row->group;
                }
                r = r ? r : help_row(row, width, out);
        }
        return r;
}
