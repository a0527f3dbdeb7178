/* Option values: parsed by their row's kind, checked against its range, put where its offset says. A refusal
 * is one sentence that names place, value and range, and leaves the struct as it was. Command line and
 * environment are read here, the file in option_file.c; texts are made in option_text.c. See option.h. */
#include "base/option.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/nearest.h"

#define KEY_MAX     64
#define SHOWN_MAX   64
#define STRING_MAX  4096
#define ENTRIES_MAX 1000

/* A value parsed and not yet in its place. */
union value {
        char *string;
        char **list;
        bool flag;
        uint64_t number;
};

static void *field(const struct options *o, const struct option_row *row)
{
        return (char *)o->base + row->offset;
}

static size_t entries(char *const *list)
{
        size_t n = 0;

        while (list && list[n])
                n++;
        return n;
}

static void list_free(char **list)
{
        for (size_t i = 0; list && list[i]; i++)
                free(list[i]);
        free(list);
}

/* The user's own bytes in a message: short, and nothing that a terminal would obey. */
static char *shown(const char *value, char out[SHOWN_MAX])
{
        size_t len = strlen(value);

        snprintf(out, SHOWN_MAX, "%s", value);
        for (char *p = out; *p; p++)
                if ((unsigned char)*p < 0x20 || *p == 0x7f)
                        *p = '?';
        if (len >= SHOWN_MAX) {
                char *end = out + SHOWN_MAX - 4;

                while (end > out && ((unsigned char)*end & 0xc0) == 0x80)
                        end--;
                strcpy(end, "...");
        }
        return out;
}

static int refuse(const struct option_row *row, const char *where, const char *value, const char *what,
                  struct cause *cause)
{
        char text[SHOWN_MAX];
        struct buf range;

        buf_init(&range, CAUSE_MAX);
        if (option_range_text(row, &range) != 0 || buf_append(&range, "", 1) != 0) {
                buf_fini(&range);
                return cause_set(cause, OPTION_USAGE, "%s: '%s' %s", where, shown(value, text), what);
        }
        cause_set(cause, OPTION_USAGE, "%s: '%s' %s (%s)", where, shown(value, text), what, buf_data(&range));
        buf_fini(&range);
        return OPTION_USAGE;
}

/* ---- numbers ---- */

struct unit {
        const char *name;
        uint64_t factor;
};

static const struct unit size_units[] = { { "", 1 },        { "k", 1 << 10 },           { "m", 1 << 20 },
                                          { "g", 1 << 30 }, { "t", UINT64_C(1) << 40 }, { NULL, 0 } };
static const struct unit time_units[] = { { "ms", 1 },      { "", 1000 },      { "s", 1000 }, { "m", 60000 },
                                          { "h", 3600000 }, { "d", 86400000 }, { NULL, 0 } };
static const struct unit no_units[] = { { "", 1 }, { NULL, 0 } };

enum { NOT_A_NUMBER = -1, TOO_LARGE = 1 };

static int number_parse(const char *text, const struct unit *unit, uint64_t max, uint64_t *out)
{
        size_t digits = strspn(text, "0123456789");
        uint64_t n;

        while (unit->name && strcasecmp(unit->name, text + digits) != 0)
                unit++;
        if (digits == 0 || !unit->name)
                return NOT_A_NUMBER;
        if (!slice_to_u64((struct slice){ text, digits }, UINT64_MAX, &n) || n > max / unit->factor)
                return TOO_LARGE;
        *out = n * unit->factor;
        return 0;
}

int option_size_parse(const char *text, uint64_t max, uint64_t *out)
{
        return number_parse(text, size_units, max, out) == 0 ? 0 : OPTION_USAGE;
}

int option_duration_parse(const char *text, uint64_t max, uint64_t *ms)
{
        return number_parse(text, time_units, max, ms) == 0 ? 0 : OPTION_USAGE;
}

static int parse_number(const struct option_row *row, const char *text, const char *where, uint64_t *out,
                        struct cause *cause)
{
        static const char *const what[] = {
                [OPTION_UNSIGNED] = "is not a whole number",
                [OPTION_SIZE] = "is not a size",
                [OPTION_DURATION] = "is not a time",
        };
        const struct unit *units = row->kind == OPTION_SIZE       ? size_units
                                   : row->kind == OPTION_DURATION ? time_units
                                                                  : no_units;
        int r = number_parse(text, units, row->max, out);

        if (r == NOT_A_NUMBER)
                return refuse(row, where, text, what[row->kind], cause);
        if (r == TOO_LARGE || *out < row->min)
                return refuse(row, where, text, "is out of range", cause);
        return 0;
}

/* ---- the other kinds ---- */

static int parse_bool(const struct option_row *row, const char *text, const char *where, bool *out,
                      struct cause *cause)
{
        static const char *const yes[] = { "yes", "true", "on", "1" }, *const no[] = { "no", "false", "off",
                                                                                       "0" };

        for (size_t i = 0; i < 4; i++) {
                if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
                        *out = strcasecmp(text, yes[i]) == 0;
                        return 0;
                }
        }
        return refuse(row, where, text, "is neither yes nor no", cause);
}

static bool is_choice(const char *words, const char *text)
{
        struct slice rest = slice_of(words), word;

        while (slice_cut(&rest, '|', &word))
                if (slice_eq(word, slice_of(text)))
                        return true;
        return false;
}

static int check_text(const struct option_row *row, const char *text, const char *where, struct cause *cause)
{
        size_t len = strlen(text), max = row->kind == OPTION_STRING && row->max ? row->max : STRING_MAX;

        if (row->kind == OPTION_CHOICE && !is_choice(row->accepts, text))
                return refuse(row, where, text, "is not one of the words it takes", cause);
        if (row->kind == OPTION_STRING && len < row->min)
                return refuse(row, where, text, "is too short", cause);
        if (len > max)
                return cause_set(cause, OPTION_USAGE, "%s: the value has %zu bytes, at most %zu are taken",
                                 where, len, max);
        if (row->check && !row->check(text))
                return refuse(row, where, text, "is not what it takes", cause);
        return 0;
}

static int parse_list(const struct option_row *row, const char *text, const char *where, char ***out,
                      struct cause *cause)
{
        size_t max = row->max ? row->max : ENTRIES_MAX, n = 0;
        char **list = mem_alloc((max + 1) * sizeof(*list));
        struct slice rest = slice_of(text), entry;
        int r = 0;

        while (r == 0 && slice_cut(&rest, ',', &entry)) {
                entry = slice_trim(entry);
                if (entry.len == 0)
                        continue;
                if (n == max) {
                        r = cause_set(cause, OPTION_USAGE, "%s: more than %zu entries", where, max);
                        break;
                }
                list[n] = slice_dup(entry);
                r = check_text(row, list[n++], where, cause);
        }
        if (r != 0 || n == 0) {
                list_free(list);
                list = NULL;
        }
        *out = list;
        return r;
}

static int value_parse(const struct option_row *row, const char *text, const char *where, union value *out,
                       struct cause *cause)
{
        int r;

        switch (row->kind) {
        case OPTION_STRING:
        case OPTION_CHOICE:
                r = check_text(row, text, where, cause);
                out->string = r == 0 ? mem_dup(text) : NULL;
                return r;
        case OPTION_BOOL:
                return parse_bool(row, text, where, &out->flag, cause);
        case OPTION_LIST:
                return parse_list(row, text, where, &out->list, cause);
        case OPTION_UNSIGNED:
        case OPTION_SIZE:
        case OPTION_DURATION:
                break;
        }
        return parse_number(row, text, where, &out->number, cause);
}

static void value_drop(const struct option_row *row, union value *v)
{
        if (row->kind == OPTION_LIST)
                list_free(v->list);
        else if (row->kind == OPTION_STRING || row->kind == OPTION_CHOICE)
                free(v->string);
}

/* Exchange a value and the field, whatever the kind. */
static void value_exchange(const struct options *o, const struct option_row *row, union value *v)
{
        void *at = field(o, row);
        union value old = { 0 };

        switch (row->kind) {
        case OPTION_STRING:
        case OPTION_CHOICE:
                old.string = *(char **)at;
                *(char **)at = v->string;
                break;
        case OPTION_BOOL:
                old.flag = *(bool *)at;
                *(bool *)at = v->flag;
                break;
        case OPTION_LIST:
                old.list = *(char ***)at;
                *(char ***)at = v->list;
                break;
        case OPTION_DURATION:
                old.number = (uint64_t) * (int64_t *)at;
                *(int64_t *)at = (int64_t)v->number;
                break;
        case OPTION_UNSIGNED:
        case OPTION_SIZE:
                old.number = *(uint64_t *)at;
                *(uint64_t *)at = v->number;
                break;
        }
        *v = old;
}

/* Puts the entries that are there already before the new ones. */
static int list_prepend(const struct options *o, const struct option_row *row, union value *v,
                        const char *where, struct cause *cause)
{
        char ***at = field(o, row), **both;
        size_t had = entries(*at), more = entries(v->list), max = row->max ? row->max : ENTRIES_MAX;

        if (had + more > max)
                return cause_set(cause, OPTION_USAGE, "%s: more than %zu entries", where, max);
        both = mem_alloc((had + more + 1) * sizeof(*both));
        if (had)
                memcpy(both, *at, had * sizeof(*both));
        if (more)
                memcpy(both + had, v->list, more * sizeof(*both));
        free(*at);
        free(v->list);
        *at = NULL;
        v->list = both;
        return 0;
}

/* ---- the set of options ---- */

void options_init(struct options *o, const struct option_row *rows, void *base)
{
        size_t count = 0;

        while (rows[count].key)
                count++;
        *o = (struct options){ .rows = rows, .count = count, .base = base };
        o->sources = mem_alloc((count + 1) * sizeof(*o->sources));
        for (size_t i = 0; i < count; i++) {
                struct cause cause = { "" };
                int r = 0;

                if (rows[i].default_text)
                        r = options_set(o, &rows[i], rows[i].default_text, OPTION_DEFAULT, rows[i].key,
                                        &cause);
                assert(r == 0);
                (void)r;
        }
}

void options_fini(struct options *o)
{
        for (size_t i = 0; o->sources && i < o->count; i++) {
                union value v = { 0 };

                value_exchange(o, &o->rows[i], &v);
                value_drop(&o->rows[i], &v);
        }
        free(o->sources);
        *o = (struct options){ 0 };
}

static bool key_eq(const char *key, struct slice word)
{
        size_t len = strlen(key);

        if (len != word.len)
                return false;
        for (size_t i = 0; i < len; i++)
                if (key[i] != word.ptr[i] && !(key[i] == '_' && word.ptr[i] == '-'))
                        return false;
        return true;
}

const struct option_row *options_find(const struct options *o, struct slice key)
{
        for (size_t i = 0; i < o->count; i++)
                if (key_eq(o->rows[i].key, key))
                        return &o->rows[i];
        return NULL;
}

enum option_source options_source(const struct options *o, const struct option_row *row)
{
        return o->sources[row - o->rows];
}

int options_set(struct options *o, const struct option_row *row, const char *value, enum option_source source,
                const char *where, struct cause *cause)
{
        enum option_source *had = &o->sources[row - o->rows];
        union value v = { 0 };
        int r = value_parse(row, value, where, &v, cause);

        if (r == 0 && row->kind == OPTION_LIST && source == *had)
                r = list_prepend(o, row, &v, where, cause);
        if (r == 0 && source >= *had) {
                value_exchange(o, row, &v);
                *had = source;
        }
        value_drop(row, &v);
        return r;
}

bool options_same(const struct options *a, const struct options *b, const struct option_row *row)
{
        const void *x = field(a, row), *y = field(b, row);

        switch (row->kind) {
        case OPTION_STRING:
        case OPTION_CHOICE: {
                const char *s = *(char *const *)x, *t = *(char *const *)y;

                return s == t || (s && t && strcmp(s, t) == 0);
        }
        case OPTION_BOOL:
                return *(const bool *)x == *(const bool *)y;
        case OPTION_LIST: {
                char *const *s = *(char **const *)x, *const *t = *(char **const *)y;
                size_t n = entries(s);

                if (n != entries(t))
                        return false;
                for (size_t i = 0; i < n; i++)
                        if (strcmp(s[i], t[i]) != 0)
                                return false;
                return true;
        }
        case OPTION_UNSIGNED:
        case OPTION_SIZE:
        case OPTION_DURATION:
                break;
        }
        return *(const uint64_t *)x == *(const uint64_t *)y;
}

void options_swap(struct options *a, struct options *b, const struct option_row *row)
{
        enum option_source *x = &a->sources[row - a->rows], *y = &b->sources[row - b->rows], kept = *x;
        union value v = { 0 };

        value_exchange(a, row, &v);
        value_exchange(b, row, &v);
        value_exchange(a, row, &v);
        *x = *y;
        *y = kept;
}

/* ---- command line and environment ---- */

static void dashes(char *key)
{
        for (; *key; key++)
                if (*key == '_')
                        *key = '-';
}

static int unknown(const struct options *o, struct slice word, struct cause *cause)
{
        char text[SHOWN_MAX], name[SHOWN_MAX], best[KEY_MAX];
        struct nearest n;

        snprintf(name, sizeof(name), "%.*s", (int)(word.len > SHOWN_MAX ? SHOWN_MAX : word.len), word.ptr);
        nearest_init(&n, word);
        for (size_t i = 0; i < o->count; i++)
                nearest_offer(&n, o->rows[i].key);
        nearest_offer(&n, "help");
        if (!n.best)
                return cause_set(cause, OPTION_USAGE, "--%s: there is no such option", shown(name, text));
        snprintf(best, sizeof(best), "%s", n.best);
        dashes(best);
        return cause_set(cause, OPTION_USAGE, "--%s: there is no such option; did you mean --%s?",
                         shown(name, text), best);
}

/* One --word at argv[*at]. */
static int argument(struct options *o, int argc, char *const *argv, int *at, struct cause *cause)
{
        const char *word = argv[*at] + 2, *equals = strchr(word, '='), *value = equals ? equals + 1 : NULL;
        struct slice key = { word, equals ? (size_t)(equals - word) : strlen(word) };
        const struct option_row *row = options_find(o, key);
        char where[KEY_MAX + 2];
        bool no = false;

        if (!row && !equals && (slice_starts(key, SLICE("no-")) || slice_starts(key, SLICE("no_")))) {
                row = options_find(o, slice_from(key, 3));
                no = true;
        }
        if (!row || (no && row->kind != OPTION_BOOL))
                return unknown(o, key, cause);
        snprintf(where, sizeof(where), "--%s", row->key);
        dashes(where);
        if (row->kind == OPTION_BOOL && !value) {
                value = no ? "no" : "yes";
        } else if (!value) {
                if (*at + 1 == argc || strncmp(argv[*at + 1], "--", 2) == 0)
                        return cause_set(cause, OPTION_USAGE, "%s: a value is missing: %s %s", where, where,
                                         row->metavar ? row->metavar : "VALUE");
                value = argv[++*at];
        }
        return options_set(o, row, value, OPTION_ARGUMENT, where, cause);
}

static int positional(struct options *o, const char *word, const char *key, bool *seen, struct cause *cause)
{
        char text[SHOWN_MAX];
        const struct option_row *row = key ? options_find(o, slice_of(key)) : NULL;
        int r;

        if (!row)
                return cause_set(cause, OPTION_USAGE, "'%s': not expected here", shown(word, text));
        if (*seen)
                return cause_set(cause, OPTION_USAGE, "'%s': not expected here, there is a %s already",
                                 shown(word, text), row->metavar);
        *seen = true;
        r = options_set(o, row, word, OPTION_ARGUMENT, row->metavar, cause);
        return r;
}

static bool asks_for_help(int argc, char *const *argv)
{
        for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
                if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
                        return true;
        return false;
}

int options_from_argv(struct options *o, int argc, char *const *argv, const char *positional_key,
                      struct cause *cause)
{
        bool seen = false, only_words = false;
        int r = 0;

        if (asks_for_help(argc, argv))
                return OPTION_HELP;
        for (int i = 0; i < argc && r == 0; i++) {
                const char *word = argv[i];
                char text[SHOWN_MAX];

                if (only_words || word[0] != '-' || !word[1])
                        r = positional(o, word, positional_key, &seen, cause);
                else if (strcmp(word, "--") == 0)
                        only_words = true;
                else if (word[1] == '-')
                        r = argument(o, argc, argv, &i, cause);
                else
                        r = cause_set(cause, OPTION_USAGE, "%s: there is no such option", shown(word, text));
        }
        return r;
}

int options_from_environment(struct options *o, const char *prefix, struct cause *cause)
{
        int r = 0;

        for (size_t i = 0; i < o->count && r == 0; i++) {
                char name[2 * KEY_MAX], where[2 * KEY_MAX + 16];
                const char *value;

                if (o->rows[i].not_in_environment)
                        continue;
                snprintf(name, sizeof(name), "%s_%s", prefix, o->rows[i].key);
                for (char *p = name; *p; p++)
                        *p = (char)toupper((unsigned char)*p);
                value = getenv(name);
                if (!value || !*value)
                        continue;
                snprintf(where, sizeof(where), "environment %s", name);
                r = options_set(o, &o->rows[i], value, OPTION_ENVIRONMENT, where, cause);
        }
        return r;
}
