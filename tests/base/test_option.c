/* base/option.h: every kind at its edges, every source, every refusal. */
#include "base/option.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

#define LENGTH(array) (sizeof(array) / sizeof(array[0]))

struct sample {
        char *name, *mode;
        bool quick;
        uint64_t count, room, most;
        int64_t pause_ms;
        char **paths;
        char *file;
};

#define AT(field) offsetof(struct sample, field)

static bool no_blank(const char *value)
{
        return strchr(value, ' ') == NULL;
}

static const struct option_row rows[] = {
        { .key = "name",
          .kind = OPTION_STRING,
          .offset = AT(name),
          .min = 2,
          .max = 8,
          .default_text = "ada",
          .metavar = "NAME",
          .group = "First",
          .accepts = "a word",
          .check = no_blank,
          .reloadable = true,
          .help = "Who it is." },
        { .key = "mode",
          .kind = OPTION_CHOICE,
          .offset = AT(mode),
          .default_text = "slow",
          .metavar = "MODE",
          .group = "First",
          .accepts = "slow|fast",
          .help = "How it goes." },
        { .key = "be_quick",
          .kind = OPTION_BOOL,
          .offset = AT(quick),
          .default_text = "no",
          .group = "First",
          .help = "Hurry." },
        { .key = "count",
          .kind = OPTION_UNSIGNED,
          .offset = AT(count),
          .min = 1,
          .max = 1024,
          .default_text = "4",
          .metavar = "N",
          .group = "Second",
          .help = "How many." },
        { .key = "room_max",
          .kind = OPTION_SIZE,
          .offset = AT(room),
          .min = 1024,
          .max = UINT64_C(1) << 40,
          .default_text = "64M",
          .metavar = "SIZE",
          .group = "Second",
          .help = "How much." },
        { .key = "most",
          .kind = OPTION_SIZE,
          .offset = AT(most),
          .min = 0,
          .max = UINT64_MAX,
          .default_text = "0",
          .metavar = "SIZE",
          .group = "Second",
          .help = "Everything." },
        { .key = "pause",
          .kind = OPTION_DURATION,
          .offset = AT(pause_ms),
          .min = 100,
          .max = 3600000,
          .default_text = "10s",
          .metavar = "TIME",
          .group = "Second",
          .help = "How long." },
        { .key = "path",
          .kind = OPTION_LIST,
          .offset = AT(paths),
          .max = 4,
          .metavar = "GLOB",
          .group = "Second",
          .check = no_blank,
          .help = "Where." },
        { .key = "file",
          .kind = OPTION_STRING,
          .offset = AT(file),
          .not_in_file = true,
          .metavar = "FILE",
          .group = "Second",
          .help = "Which file." },
        { .key = NULL },
};

struct fixture {
        struct sample s;
        struct options o;
        struct cause cause;
};

static int setup(void **state)
{
        struct fixture *f = mem_alloc(sizeof(*f));

        options_init(&f->o, rows, &f->s);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        options_fini(&f->o);
        options_fini(&f->o);
        free(f);
        return 0;
}

/* The command line given as words up to NULL. */
static int argv_of(struct fixture *f, const char *first, ...)
{
        char *argv[16];
        int argc = 0, r;
        va_list args;

        va_start(args, first);
        for (const char *word = first; word; word = va_arg(args, const char *))
                argv[argc++] = mem_dup(word);
        va_end(args);
        f->cause.text[0] = '\0';
        r = options_from_argv(&f->o, argc, argv, "name", &f->cause);
        while (argc > 0)
                free(argv[--argc]);
        return r;
}

static int set(struct fixture *f, const char *key, const char *value, enum option_source source)
{
        f->cause.text[0] = '\0';
        return options_set(&f->o, options_find(&f->o, slice_of(key)), value, source, key, &f->cause);
}

static int file_of(struct fixture *f, const char *text)
{
        char path[] = "/tmp/sendoff-option-XXXXXX";
        int fd = mkstemp(path), r;

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        close(fd);
        f->cause.text[0] = '\0';
        r = options_from_file(&f->o, path, &f->cause);
        unlink(path);
        /* the random part of the name would stand in every expectation */
        if (r != 0 && strncmp(f->cause.text, "sendoff-option-", 15) == 0)
                memmove(f->cause.text, f->cause.text + 21, strlen(f->cause.text + 21) + 1);
        return r;
}

/* ---- values ---- */

static void starts_with_the_defaults(void **state)
{
        struct fixture *f = *state;

        assert_string_equal(f->s.name, "ada");
        assert_string_equal(f->s.mode, "slow");
        assert_false(f->s.quick);
        assert_int_equal(f->s.count, 4);
        assert_int_equal(f->s.room, 64 << 20);
        assert_int_equal(f->s.pause_ms, 10000);
        assert_null(f->s.paths);
        assert_null(f->s.file);
        for (size_t i = 0; i < f->o.count; i++)
                assert_int_equal(options_source(&f->o, &rows[i]), OPTION_DEFAULT);
}

static void takes_numbers_at_both_ends_of_their_range(void **state)
{
        static const struct {
                const char *key, *text;
                uint64_t value;
        } good[] = {
                { "count", "1", 1 },
                { "count", "1024", 1024 },
                { "count", "0007", 7 },
                { "room_max", "1024", 1024 },
                { "room_max", "1k", 1024 },
                { "room_max", "1K", 1024 },
                { "room_max", "3M", 3 << 20 },
                { "room_max", "2g", UINT64_C(2) << 30 },
                { "room_max", "1T", UINT64_C(1) << 40 },
                { "room_max", "1099511627776", UINT64_C(1) << 40 },
                { "most", "0", 0 },
                { "most", "18446744073709551615", UINT64_MAX },
                { "most", "16777215T", UINT64_C(16777215) << 40 },
                { "pause", "100ms", 100 },
                { "pause", "1", 1000 },
                { "pause", "90s", 90000 },
                { "pause", "60m", 3600000 },
                { "pause", "1h", 3600000 },
                { "pause", "2M", 120000 },
        };
        struct fixture *f = *state;

        for (size_t i = 0; i < LENGTH(good); i++) {
                const struct option_row *row = options_find(&f->o, slice_of(good[i].key));

                assert_int_equal(set(f, good[i].key, good[i].text, OPTION_ARGUMENT), 0);
                assert_true(*(uint64_t *)((char *)&f->s + row->offset) == good[i].value);
        }
}

static void refuses_numbers_with_the_range_in_the_sentence(void **state)
{
        static const struct {
                const char *key, *text, *sentence;
        } bad[] = {
                { "count", "0", "count: '0' is out of range (1 … 1024)" },
                { "count", "1025", "count: '1025' is out of range (1 … 1024)" },
                { "count", "99999999999999999999999",
                  "count: '99999999999999999999999' is out of range (1 … 1024)" },
                { "count", "-1", "count: '-1' is not a whole number (1 … 1024)" },
                { "count", "+1", "count: '+1' is not a whole number (1 … 1024)" },
                { "count", "", "count: '' is not a whole number (1 … 1024)" },
                { "count", "4k", "count: '4k' is not a whole number (1 … 1024)" },
                { "count", " 4", "count: ' 4' is not a whole number (1 … 1024)" },
                { "count", "0x10", "count: '0x10' is not a whole number (1 … 1024)" },
                { "room_max", "64X", "room_max: '64X' is not a size (1k … 1T, e.g. 64M)" },
                { "room_max", "M", "room_max: 'M' is not a size (1k … 1T, e.g. 64M)" },
                { "room_max", "1.5M", "room_max: '1.5M' is not a size (1k … 1T, e.g. 64M)" },
                { "room_max", "1 M", "room_max: '1 M' is not a size (1k … 1T, e.g. 64M)" },
                { "room_max", "1023", "room_max: '1023' is out of range (1k … 1T, e.g. 64M)" },
                { "room_max", "1025G", "room_max: '1025G' is out of range (1k … 1T, e.g. 64M)" },
                { "most", "16777216T",
                  "most: '16777216T' is out of range (0 … 18446744073709551615, e.g. 0)" },
                { "most", "18446744073709551616",
                  "most: '18446744073709551616' is out of range (0 … 18446744073709551615, e.g. 0)" },
                { "pause", "99ms", "pause: '99ms' is out of range (100ms … 1h, e.g. 10s)" },
                { "pause", "3601", "pause: '3601' is out of range (100ms … 1h, e.g. 10s)" },
                { "pause", "10 seconds", "pause: '10 seconds' is not a time (100ms … 1h, e.g. 10s)" },
                { "pause", "10k", "pause: '10k' is not a time (100ms … 1h, e.g. 10s)" },
        };
        struct fixture *f = *state;

        for (size_t i = 0; i < LENGTH(bad); i++) {
                assert_int_equal(set(f, bad[i].key, bad[i].text, OPTION_ARGUMENT), OPTION_USAGE);
                assert_string_equal(f->cause.text, bad[i].sentence);
        }
        assert_int_equal(f->s.count, 4);
        assert_int_equal(f->s.room, 64 << 20);
        assert_int_equal(f->s.pause_ms, 10000);
        assert_int_equal(options_source(&f->o, options_find(&f->o, SLICE("count"))), OPTION_DEFAULT);
}

static void takes_the_words_of_yes_and_no(void **state)
{
        static const char *const yes[] = { "yes", "true", "on", "1", "YES" }, *const no[] = { "no", "false",
                                                                                              "off", "0",
                                                                                              "Off" };
        struct fixture *f = *state;

        for (size_t i = 0; i < LENGTH(yes); i++) {
                assert_int_equal(set(f, "be_quick", yes[i], OPTION_ARGUMENT), 0);
                assert_true(f->s.quick);
                assert_int_equal(set(f, "be_quick", no[i], OPTION_ARGUMENT), 0);
                assert_false(f->s.quick);
        }
        assert_int_equal(set(f, "be_quick", "maybe", OPTION_ARGUMENT), OPTION_USAGE);
        assert_string_equal(f->cause.text, "be_quick: 'maybe' is neither yes nor no (yes, no)");
}

static void takes_only_whole_words_of_a_choice(void **state)
{
        static const char *const bad[] = { "", "slo", "slower", "Slow", "slow|fast", "fast " };
        struct fixture *f = *state;

        assert_int_equal(set(f, "mode", "fast", OPTION_ARGUMENT), 0);
        assert_string_equal(f->s.mode, "fast");
        for (size_t i = 0; i < LENGTH(bad); i++)
                assert_int_equal(set(f, "mode", bad[i], OPTION_ARGUMENT), OPTION_USAGE);
        assert_string_equal(f->cause.text, "mode: 'fast ' is not one of the words it takes (slow, fast)");
        assert_string_equal(f->s.mode, "fast");
}

static void bounds_the_length_of_strings(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(set(f, "name", "ab", OPTION_ARGUMENT), 0);
        assert_int_equal(set(f, "name", "abcdefgh", OPTION_ARGUMENT), 0);
        assert_int_equal(set(f, "name", "a", OPTION_ARGUMENT), OPTION_USAGE);
        assert_string_equal(f->cause.text, "name: 'a' is too short (a word)");
        assert_int_equal(set(f, "name", "abcdefghi", OPTION_ARGUMENT), OPTION_USAGE);
        assert_string_equal(f->cause.text, "name: the value has 9 bytes, at most 8 are taken");
        assert_int_equal(set(f, "name", "a b", OPTION_ARGUMENT), OPTION_USAGE);
        assert_string_equal(f->cause.text, "name: 'a b' is not what it takes (a word)");
        assert_string_equal(f->s.name, "abcdefgh");
}

static void shows_odd_values_short_and_harmless(void **state)
{
        struct fixture *f = *state;
        char value[201];

        assert_int_equal(set(f, "count", "1\033[31m\n", OPTION_ARGUMENT), OPTION_USAGE);
        assert_string_equal(f->cause.text, "count: '1?[31m?' is not a whole number (1 … 1024)");
        memset(value, 'x', 200);
        value[200] = '\0';
        assert_int_equal(set(f, "count", value, OPTION_ARGUMENT), OPTION_USAGE);
        assert_non_null(strstr(f->cause.text, "xxx...' is not a whole number"));
        assert_true(strlen(f->cause.text) < 120);
}

static void splits_lists_at_commas_and_adds_from_the_same_source(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(set(f, "path", "/a, /b ,,", OPTION_FILE), 0);
        assert_string_equal(f->s.paths[0], "/a");
        assert_string_equal(f->s.paths[1], "/b");
        assert_null(f->s.paths[2]);
        assert_int_equal(set(f, "path", "/c", OPTION_FILE), 0);
        assert_int_equal(set(f, "path", "/d", OPTION_FILE), 0);
        assert_string_equal(f->s.paths[3], "/d");
        assert_null(f->s.paths[4]);
        assert_int_equal(set(f, "path", "/e", OPTION_FILE), OPTION_USAGE);
        assert_string_equal(f->cause.text, "path: more than 4 entries");
        assert_int_equal(set(f, "path", "1,2,3,4,5", OPTION_ARGUMENT), OPTION_USAGE);
        assert_int_equal(set(f, "path", "/x,/y z", OPTION_ARGUMENT), OPTION_USAGE);
        assert_string_equal(f->s.paths[0], "/a");
        assert_int_equal(set(f, "path", "/z", OPTION_ARGUMENT), 0);
        assert_string_equal(f->s.paths[0], "/z");
        assert_null(f->s.paths[1]);
        assert_int_equal(set(f, "path", "/w", OPTION_ENVIRONMENT), 0);
        assert_string_equal(f->s.paths[0], "/z");
        assert_int_equal(set(f, "path", "", OPTION_ARGUMENT), 0);
        assert_string_equal(f->s.paths[0], "/z");
}

static void keeps_the_value_of_the_stronger_source(void **state)
{
        static const enum option_source order[][3] = {
                { OPTION_FILE, OPTION_ENVIRONMENT, OPTION_ARGUMENT },
                { OPTION_ARGUMENT, OPTION_ENVIRONMENT, OPTION_FILE },
                { OPTION_ENVIRONMENT, OPTION_ARGUMENT, OPTION_FILE },
                { OPTION_FILE, OPTION_ARGUMENT, OPTION_ENVIRONMENT },
        };
        static const char *const texts[] = { NULL, "10", "20", "30" };

        (void)state;
        for (size_t i = 0; i < LENGTH(order); i++) {
                struct fixture f = { .cause = { "" } };

                options_init(&f.o, rows, &f.s);
                for (size_t k = 0; k < 3; k++)
                        assert_int_equal(set(&f, "count", texts[order[i][k]], order[i][k]), 0);
                assert_int_equal(f.s.count, 30);
                assert_int_equal(options_source(&f.o, options_find(&f.o, SLICE("count"))), OPTION_ARGUMENT);
                assert_int_equal(set(&f, "count", "0", OPTION_FILE), OPTION_USAGE);
                options_fini(&f.o);
        }
}

static void parses_sizes_and_times_for_others(void **state)
{
        uint64_t n = 7;

        (void)state;
        assert_int_equal(option_size_parse("64k", 65536, &n), 0);
        assert_int_equal(n, 65536);
        assert_int_equal(option_size_parse("65537", 65536, &n), OPTION_USAGE);
        assert_int_equal(option_duration_parse("1m", 60000, &n), 0);
        assert_int_equal(n, 60000);
        assert_int_equal(option_duration_parse("61", 60000, &n), OPTION_USAGE);
        assert_int_equal(option_duration_parse("-1", 60000, &n), OPTION_USAGE);
        assert_int_equal(n, 60000);
}

/* ---- the command line ---- */

static void reads_every_form_of_the_command_line(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(argv_of(f, "--count", "9", "--room-max=2M", "--be_quick", "bob", "--path", "/a",
                                 "--path=/b,/c", "--file=", "--", "--odd", NULL),
                         OPTION_USAGE);
        assert_string_equal(f->cause.text, "'--odd': not expected here, there is a NAME already");
        assert_int_equal(argv_of(f, "--count", "9", "--count", "8", "--pause=2", "--", "--odd", NULL), 0);
        assert_int_equal(f->s.count, 8);
        assert_int_equal(f->s.room, 2 << 20);
        assert_int_equal(f->s.pause_ms, 2000);
        assert_true(f->s.quick);
        assert_string_equal(f->s.name, "--odd");
        assert_string_equal(f->s.paths[0], "/a");
        assert_string_equal(f->s.paths[2], "/c");
        assert_int_equal(argv_of(f, "--no-be-quick", NULL), 0);
        assert_false(f->s.quick);
        assert_int_equal(argv_of(f, "--be-quick=on", "-", NULL), OPTION_USAGE);
        assert_true(f->s.quick);
        assert_string_equal(f->cause.text, "NAME: '-' is too short (a word)");
}

static void names_what_is_wrong_with_the_command_line(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(argv_of(f, "--cuont", "9", NULL), OPTION_USAGE);
        assert_string_equal(f->cause.text, "--cuont: there is no such option; did you mean --count?");
        assert_int_equal(argv_of(f, "--romm-max=9", NULL), OPTION_USAGE);
        assert_string_equal(f->cause.text, "--romm-max: there is no such option; did you mean --room-max?");
        assert_int_equal(argv_of(f, "--completely-else", NULL), OPTION_USAGE);
        assert_string_equal(f->cause.text, "--completely-else: there is no such option");
        assert_int_equal(argv_of(f, "--=5", NULL), OPTION_USAGE);
        assert_int_equal(argv_of(f, "-c", NULL), OPTION_USAGE);
        assert_string_equal(f->cause.text, "-c: there is no such option");
        assert_int_equal(argv_of(f, "--count", NULL), OPTION_USAGE);
        assert_string_equal(f->cause.text, "--count: a value is missing: --count N");
        assert_int_equal(argv_of(f, "--count", "--pause", "3", NULL), OPTION_USAGE);
        assert_string_equal(f->cause.text, "--count: a value is missing: --count N");
        assert_int_equal(argv_of(f, "--no-count", NULL), OPTION_USAGE);
        assert_int_equal(argv_of(f, "--no-be-quick=1", NULL), OPTION_USAGE);
        assert_int_equal(argv_of(f, "--room_max", "64X", NULL), OPTION_USAGE);
        assert_string_equal(f->cause.text, "--room-max: '64X' is not a size (1k … 1T, e.g. 64M)");
        assert_int_equal(argv_of(f, "bob", "eve", NULL), OPTION_USAGE);
        assert_string_equal(f->cause.text, "'eve': not expected here, there is a NAME already");
        assert_int_equal(options_from_argv(&f->o, 1, (char *[]){ (char[]){ "bob" } }, NULL, &f->cause),
                         OPTION_USAGE);
        assert_string_equal(f->cause.text, "'bob': not expected here");
}

static void help_comes_before_every_mistake_but_not_after_two_dashes(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(argv_of(f, "--nonsense", "--help", NULL), OPTION_HELP);
        assert_int_equal(argv_of(f, "-h", NULL), OPTION_HELP);
        assert_int_equal(argv_of(f, "--", "--help", NULL), 0);
        assert_string_equal(f->s.name, "--help");
}

/* ---- environment and file ---- */

static void reads_the_environment(void **state)
{
        struct fixture *f = *state;

        setenv("SAMPLE_ROOM_MAX", "3k", 1);
        setenv("SAMPLE_NAME", "", 1);
        setenv("SAMPLE_PATH", "/a,/b", 1);
        assert_int_equal(options_from_environment(&f->o, "SAMPLE", &f->cause), 0);
        assert_int_equal(f->s.room, 3072);
        assert_string_equal(f->s.name, "ada");
        assert_string_equal(f->s.paths[1], "/b");
        assert_int_equal(options_source(&f->o, options_find(&f->o, SLICE("room_max"))), OPTION_ENVIRONMENT);
        setenv("SAMPLE_ROOM_MAX", "huge", 1);
        assert_int_equal(options_from_environment(&f->o, "SAMPLE", &f->cause), OPTION_USAGE);
        assert_string_equal(f->cause.text,
                            "environment SAMPLE_ROOM_MAX: 'huge' is not a size (1k … 1T, e.g. 64M)");
        unsetenv("SAMPLE_ROOM_MAX");
        unsetenv("SAMPLE_NAME");
        unsetenv("SAMPLE_PATH");
}

static void reads_a_file(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(file_of(f, "; a comment\n# another\n\n  count = 7\n\troom-max=1M\nbe_quick: yes ; "
                                    "why not\npath = /a\npath = /b,/c\nname = bob"),
                         0);
        assert_int_equal(f->s.count, 7);
        assert_int_equal(f->s.room, 1 << 20);
        assert_true(f->s.quick);
        assert_string_equal(f->s.paths[2], "/c");
        assert_string_equal(f->s.name, "bob");
        assert_int_equal(options_source(&f->o, options_find(&f->o, SLICE("name"))), OPTION_FILE);
        assert_int_equal(file_of(f, ""), 0);
}

static void names_the_line_of_the_file_that_is_wrong(void **state)
{
        static const struct {
                const char *text, *sentence;
        } bad[] = {
                { "count = 7\n\n# x\nroom_max = 64X\n",
                  " line 4: room_max: '64X' is not a size (1k … 1T, e.g. 64M)" },
                { "count = 7\ncuont = 8\n",
                  " line 2: 'cuont': there is no such option; did you mean count?" },
                { "zzzzzzzz = 8\n", " line 1: 'zzzzzzzz': there is no such option" },
                { "count = 7\ncount = 8\n", " line 2: count: stands on line 1 already" },
                { "count = 7\n[section]\nname = bob\n", " line 3: [section]: the file has no sections" },
                { "count = 7\nbob\n", " line 2: neither KEY = VALUE nor a comment" },
                { "count = 7\n  8\n", " line 2: neither KEY = VALUE nor a comment" },
                { "path = /a\n  count = 0\n", " line 2: count: '0' is out of range (1 … 1024)" },
                { "file = other\n", " line 1: file: cannot be set in the file" },
                { "[broken\n", " line 1: neither KEY = VALUE nor a comment" },
        };
        struct fixture *f = *state;

        for (size_t i = 0; i < LENGTH(bad); i++) {
                struct fixture fresh = { .cause = { "" } };

                options_init(&fresh.o, rows, &fresh.s);
                assert_int_equal(file_of(&fresh, bad[i].text), OPTION_USAGE);
                assert_string_equal(fresh.cause.text, bad[i].sentence);
                options_fini(&fresh.o);
        }
        assert_int_equal(f->s.count, 4);
}

static void refuses_lines_that_the_parser_would_cut(void **state)
{
        char text[400];
        struct fixture *f = *state;

        snprintf(text, sizeof(text), "count = 7\npath = /%0180d\n", 0);
        assert_int_equal(file_of(f, text), 0);
        snprintf(text, sizeof(text), "count = 7\npath = /%0300d\n", 0);
        assert_int_equal(file_of(f, text), OPTION_USAGE);
        assert_string_equal(f->cause.text,
                            " line 2: longer than 198 bytes; a list may stand on several lines");
}

static void says_why_a_file_cannot_be_read(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(options_from_file(&f->o, "/tmp/no/such.ini", &f->cause), OPTION_USAGE);
        assert_string_equal(f->cause.text, "/tmp/no/such.ini: cannot be read: No such file or directory");
        assert_int_equal(options_from_file(&f->o, "/tmp", &f->cause), OPTION_USAGE);
        assert_string_equal(f->cause.text, "/tmp: is a folder, not a file");
}

/* ---- texts ---- */

static void writes_numbers_the_shortest_exact_way(void **state)
{
        char out[OPTION_NUMBER_SIZE];

        (void)state;
        assert_string_equal(option_size_text(0, out), "0");
        assert_string_equal(option_size_text(1023, out), "1023");
        assert_string_equal(option_size_text(1024, out), "1k");
        assert_string_equal(option_size_text(1025, out), "1025");
        assert_string_equal(option_size_text(1536 << 10, out), "1536k");
        assert_string_equal(option_size_text(UINT64_C(1) << 40, out), "1T");
        assert_string_equal(option_duration_text(0, out), "0");
        assert_string_equal(option_duration_text(1500, out), "1500ms");
        assert_string_equal(option_duration_text(90000, out), "90s");
        assert_string_equal(option_duration_text(86400000, out), "1d");
}

static void writes_values_as_it_would_read_them(void **state)
{
        static const struct {
                const char *key, *given, *shown;
        } cases[] = {
                { "name", "bob", "bob" },      { "mode", "fast", "fast" },   { "be_quick", "on", "yes" },
                { "count", "12", "12" },       { "room_max", "2048", "2k" }, { "pause", "120", "2m" },
                { "path", "/a, /b", "/a,/b" },
        };
        struct fixture *f = *state;
        struct buf out;

        buf_init(&out, 256);
        for (size_t i = 0; i < LENGTH(cases); i++) {
                buf_clear(&out);
                assert_int_equal(set(f, cases[i].key, cases[i].given, OPTION_ARGUMENT), 0);
                assert_int_equal(option_value_text(&f->o, options_find(&f->o, slice_of(cases[i].key)), &out),
                                 0);
                assert_true(slice_eq(buf_slice(&out), slice_of(cases[i].shown)));
                buf_clear(&out);
                assert_int_equal(set(f, cases[i].key, cases[i].shown, OPTION_ARGUMENT), 0);
        }
        buf_clear(&out);
        assert_int_equal(option_value_text(&f->o, options_find(&f->o, SLICE("file")), &out), 0);
        assert_int_equal(buf_len(&out), 0);
        buf_fini(&out);
}

static void swaps_and_compares_values_of_every_kind(void **state)
{
        static const char *const other[] = { "bob", "fast", "yes", "9", "9k", "9", "9", "/a,/b", "x" };
        struct fixture *f = *state, g = { .cause = { "" } };

        options_init(&g.o, rows, &g.s);
        for (size_t i = 0; i < f->o.count; i++) {
                assert_true(options_same(&f->o, &g.o, &rows[i]));
                assert_int_equal(set(&g, rows[i].key, other[i], OPTION_FILE), 0);
                assert_false(options_same(&f->o, &g.o, &rows[i]));
                options_swap(&f->o, &g.o, &rows[i]);
                assert_false(options_same(&f->o, &g.o, &rows[i]));
                assert_int_equal(options_source(&f->o, &rows[i]), OPTION_FILE);
                assert_int_equal(options_source(&g.o, &rows[i]), OPTION_DEFAULT);
        }
        assert_string_equal(f->s.name, "bob");
        assert_int_equal(f->s.pause_ms, 9000);
        assert_string_equal(f->s.paths[1], "/b");
        assert_string_equal(g.s.name, "ada");
        assert_int_equal(set(&g, "path", "/a,/b,/c", OPTION_FILE), 0);
        assert_false(options_same(&f->o, &g.o, options_find(&f->o, SLICE("path"))));
        options_fini(&g.o);
}

static void help_names_every_row_under_its_group_and_keeps_to_the_width(void **state)
{
        struct buf out;
        char *text, *line, *rest;

        (void)state;
        buf_init(&out, 1 << 16);
        assert_int_equal(option_help(rows, 50, &out), 0);
        text = buf_take(&out);
        assert_non_null(strstr(text, "First:\n  --name NAME"));
        assert_non_null(strstr(text, "\nSecond:\n  --count N"));
        assert_non_null(strstr(text, "  --be-quick\n"));
        assert_non_null(strstr(text, "How much. [64M]\n"));
        assert_non_null(strstr(text, "Where.\n"));
        for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
                assert_true(strlen(line) <= 50);
        free(text);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(starts_with_the_defaults),
                TEST(takes_numbers_at_both_ends_of_their_range),
                TEST(refuses_numbers_with_the_range_in_the_sentence),
                TEST(takes_the_words_of_yes_and_no),
                TEST(takes_only_whole_words_of_a_choice),
                TEST(bounds_the_length_of_strings),
                TEST(shows_odd_values_short_and_harmless),
                TEST(splits_lists_at_commas_and_adds_from_the_same_source),
                TEST(keeps_the_value_of_the_stronger_source),
                TEST(parses_sizes_and_times_for_others),
                TEST(reads_every_form_of_the_command_line),
                TEST(names_what_is_wrong_with_the_command_line),
                TEST(help_comes_before_every_mistake_but_not_after_two_dashes),
                TEST(reads_the_environment),
                TEST(reads_a_file),
                TEST(names_the_line_of_the_file_that_is_wrong),
                TEST(refuses_lines_that_the_parser_would_cut),
                TEST(says_why_a_file_cannot_be_read),
                TEST(writes_numbers_the_shortest_exact_way),
                TEST(writes_values_as_it_would_read_them),
                TEST(swaps_and_compares_values_of_every_kind),
                TEST(help_names_every_row_under_its_group_and_keeps_to_the_width),
        };

        return cmocka_run_group_tests_name("base/option", tests, NULL, NULL);
}
