/* See log_lines.h. Within a stream every line is printed, whatever its time: clocks may be set back, and
 * equal lines may be written in one millisecond. Only behind a break are run and time compared, until the
 * first line that is new; from there on everything is. Out of memory, a line is printed twice at worst. */
#include "cmd/log_lines.h"

#include <string.h>

#define LATEST_MAX (1 << 20)
#define HOLE_MAX   (8 << 10)

void log_lines_init(struct log_lines *l, FILE *out, bool colours)
{
        *l = (struct log_lines){ .out = out, .colours = colours };
        buf_init(&l->latest, LATEST_MAX);
        buf_init(&l->expected, LATEST_MAX);
        buf_init(&l->hole, HOLE_MAX);
}

void log_lines_fini(struct log_lines *l)
{
        buf_fini(&l->latest);
        buf_fini(&l->expected);
        buf_fini(&l->hole);
}

void log_lines_again(struct log_lines *l)
{
        l->again = l->time[0] != '\0';
        buf_clear(&l->hole);
        buf_clear(&l->expected);
        if (buf_append_slice(&l->expected, buf_slice(&l->latest)) != 0)
                buf_clear(&l->expected);
}

/* Strikes the line out of those in buf. False when it is not there. */
static bool strike(struct buf *lines, struct slice line)
{
        struct slice rest = buf_slice(lines), one;

        while (rest.len > 0 && slice_cut(&rest, '\n', &one)) {
                if (one.len > 0 && slice_eq(one, line)) {
                        buf_data(lines)[one.ptr - buf_data(lines)] = '\0';
                        return true;
                }
        }
        return false;
}

struct parts {
        struct slice time, run, stream, text;
        uint64_t number;
};

static bool split(struct slice line, struct parts *p)
{
        p->text = line;
        return slice_cut(&p->text, ' ', &p->time) && slice_cut(&p->text, ' ', &p->run) &&
               slice_cut(&p->text, ' ', &p->stream) && p->time.len < sizeof((struct log_lines){ 0 }.time) &&
               slice_to_u64(p->run, UINT64_MAX, &p->number);
}

static bool is_new(struct log_lines *l, const struct parts *p, struct slice line)
{
        int order = strncmp(p->time.ptr, l->time, p->time.len);

        if (p->number != l->run)
                return p->number > l->run;
        return order ? order > 0 : !strike(&l->expected, line);
}

static void remember(struct log_lines *l, const struct parts *p, struct slice line)
{
        if (p->number != l->run || !slice_eq(p->time, slice_of(l->time))) {
                buf_clear(&l->latest);
                l->run = p->number;
                snprintf(l->time, sizeof(l->time), "%.*s", SLICE_ARG(p->time));
        }
        if (buf_append_slice(&l->latest, line) != 0 || buf_append_str(&l->latest, "\n") != 0)
                buf_clear(&l->latest);
}

static void print(const struct log_lines *l, struct slice line)
{
        const char *colour;
        struct parts p;

        if (!l->colours || !split(line, &p)) {
                fprintf(l->out, "%.*s\n", SLICE_ARG(line));
                return;
        }
        colour = slice_eq(p.stream, SLICE("stderr"))    ? "\033[31m"
                 : slice_eq(p.stream, SLICE("sendoff")) ? "\033[34m"
                                                        : "";
        fprintf(l->out, "\033[2m%.*s\033[0m %.*s %s%.*s%s %.*s\n", SLICE_ARG(p.time), SLICE_ARG(p.run),
                colour, SLICE_ARG(p.stream), *colour ? "\033[0m" : "", SLICE_ARG(p.text));
}

void log_lines_take(struct log_lines *l, struct slice line)
{
        struct parts p;

        if (l->again && slice_starts(line, SLICE("- "))) {
                buf_clear(&l->hole);
                if (buf_append_slice(&l->hole, line) != 0)
                        buf_clear(&l->hole);
                return;
        }
        if (!slice_starts(line, SLICE("- ")) && split(line, &p)) {
                if (l->again && !is_new(l, &p, line)) {
                        buf_clear(&l->hole);
                        return;
                }
                remember(l, &p, line);
        }
        if (l->again && buf_len(&l->hole) > 0)
                print(l, buf_slice(&l->hole));
        l->again = false;
        print(l, line);
}
