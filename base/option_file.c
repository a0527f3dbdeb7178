/* The ini file of options, read line by line through inih. The first thing that is wrong ends it: the
 * sentence names file and line. See option.h. */
#include "base/option.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/nearest.h"

struct reading {
        struct options *o;
        const char *path, *name; /* name: its last part, for messages */
        FILE *file;
        unsigned line;
        unsigned *seen; /* a row: the line it stood on, 0 not yet */
        struct cause *cause;
        int r;
};

static const char *last_part(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash && slash[1] ? slash + 1 : path;
}

static void fail(struct reading *in, const char *what)
{
        if (in->r == 0)
                in->r = cause_set(in->cause, OPTION_USAGE, "%s line %u: %s", in->name, in->line, what);
}

/* A line without its indentation, so that inih never takes it for the value before it to go on. */
static char *read_line(char *line, int size, void *arg)
{
        struct reading *in = arg;
        size_t len, blanks;

        if (in->r != 0 || !fgets(line, size, in->file))
                return NULL;
        in->line++;
        len = strlen(line);
        if (len > 0 && line[len - 1] != '\n' && !feof(in->file)) {
                char what[80];

                snprintf(what, sizeof(what), "longer than %d bytes; a list may stand on several lines",
                         size - 2);
                fail(in, what);
                return NULL;
        }
        blanks = strspn(line, " \t");
        memmove(line, line + blanks, len - blanks + 1);
        return line;
}

static void unknown_key(struct reading *in, const char *key)
{
        char what[256];
        struct nearest n;

        nearest_init(&n, slice_of(key));
        for (size_t i = 0; i < in->o->count; i++)
                if (!in->o->rows[i].not_in_file)
                        nearest_offer(&n, in->o->rows[i].key);
        snprintf(what, sizeof(what), "'%.64s': there is no such option%s%s%s", key,
                 n.best ? "; did you mean " : "", n.best ? n.best : "", n.best ? "?" : "");
        fail(in, what);
}

static int take_value(void *arg, const char *section, const char *key, const char *value)
{
        struct reading *in = arg;
        const struct option_row *row;
        char where[256], what[128];
        unsigned *seen;

        if (in->r != 0)
                return 0;
        if (section[0]) {
                snprintf(what, sizeof(what), "[%.40s]: the file has no sections", section);
                fail(in, what);
                return 0;
        }
        row = options_find(in->o, slice_of(key));
        if (!row) {
                unknown_key(in, key);
                return 0;
        }
        seen = &in->seen[row - in->o->rows];
        if (row->not_in_file) {
                snprintf(what, sizeof(what), "%s: cannot be set in the file", row->key);
                fail(in, what);
        } else if (*seen && row->kind != OPTION_LIST) {
                snprintf(what, sizeof(what), "%s: stands on line %u already", row->key, *seen);
                fail(in, what);
        } else {
                snprintf(where, sizeof(where), "%.160s line %u: %s", in->name, in->line, row->key);
                in->r = options_set(in->o, row, value, OPTION_FILE, where, in->cause);
        }
        *seen = in->line;
        return in->r == 0;
}

int options_from_file(struct options *o, const char *path, struct cause *cause)
{
        struct reading in = { .o = o, .path = path, .name = last_part(path), .cause = cause };
        struct stat st;
        int bad;

        in.file = fopen(path, "re");
        if (!in.file)
                return cause_set(cause, OPTION_USAGE, "%s: cannot be read: %s", path, strerror(errno));
        if (fstat(fileno(in.file), &st) == 0 && S_ISDIR(st.st_mode)) {
                fclose(in.file);
                return cause_set(cause, OPTION_USAGE, "%s: is a folder, not a file", path);
        }
        in.seen = mem_alloc((o->count + 1) * sizeof(*in.seen));
        bad = ini_parse_stream(read_line, &in, take_value, &in);
        if (in.r == 0 && ferror(in.file))
                in.r = cause_set(cause, OPTION_USAGE, "%s: cannot be read: %s", path, strerror(errno));
        if (in.r == 0 && bad > 0) {
                in.line = (unsigned)bad;
                fail(&in, "neither KEY = VALUE nor a comment");
        }
        if (in.r == 0 && bad < 0)
                in.r = cause_set(cause, OPTION_USAGE, "%s: memory is short", path);
        fclose(in.file);
        free(in.seen);
        return in.r;
}
