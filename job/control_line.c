/* See control_line.h: a word, then what that word takes. */
#include "job/control_line.h"

#include <errno.h>
#include <string.h>

#include "base/option.h"

#define NUMBER_MAX   INT64_C(1000000000000000)
#define LIMIT_MAX_MS (UINT64_C(365) * 24 * 3600 * 1000)

static struct slice word_of(struct slice *rest)
{
        struct slice word = { rest->ptr, 0 };

        while (word.len < rest->len && rest->ptr[word.len] != ' ' && rest->ptr[word.len] != '\t')
                word.len++;
        *rest = slice_from(*rest, word.len);
        while (rest->len && (rest->ptr[0] == ' ' || rest->ptr[0] == '\t'))
                *rest = slice_from(*rest, 1);
        return word;
}

/* The length of the UTF-8 character at the start of s (RFC 3629), 0 when it is none. */
static size_t character(struct slice s)
{
        const unsigned char *p = (const unsigned char *)s.ptr;
        size_t n = p[0] < 0x80                   ? 1
                   : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
                   : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
                   : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                                 : 0;

        if (n == 0 || n > s.len)
                return 0;
        for (size_t i = 1; i < n; i++)
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
        if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] >= 0xa0) ||
            (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] >= 0x90))
                return 0;
        return n;
}

static void take_note(struct slice text, char note[JOB_NOTE_SIZE])
{
        size_t at = 0;

        while (text.len > 0) {
                size_t n = character(text);
                bool good = n > 1 || (n == 1 && (unsigned char)text.ptr[0] >= 0x20 && text.ptr[0] != 0x7f);

                if (at + (good ? n : 1) >= JOB_NOTE_SIZE)
                        break;
                if (good)
                        memcpy(note + at, text.ptr, n);
                else
                        note[at] = '?';
                at += good ? n : 1;
                text = slice_from(text, n ? n : 1);
        }
        note[at] = '\0';
}

static bool whole(struct slice s, int64_t *out)
{
        uint64_t n;

        if (!slice_to_u64(s, NUMBER_MAX, &n))
                return false;
        *out = (int64_t)n;
        return true;
}

static int parse_progress(struct slice rest, struct control_line *out, struct cause *cause)
{
        struct slice word = word_of(&rest), done, total = word;
        bool good;

        slice_cut(&total, '/', &done);
        if (total.ptr) {
                good = whole(done, &out->progress.done) && whole(total, &out->progress.total);
        } else if (word.len > 1 && word.ptr[word.len - 1] == '%') {
                good = whole((struct slice){ word.ptr, word.len - 1 }, &out->progress.done);
                out->progress.total = 100;
        } else {
                good = whole(word, &out->progress.done);
        }
        if (!good)
                return cause_set(
                        cause, -EINVAL,
                        "progress takes DONE/TOTAL, DONE or N%%, and a note: progress 40/100 mailing");
        out->what = CONTROL_PROGRESS;
        out->progress.any = true;
        take_note(rest, out->progress.note);
        return 0;
}

static int parse_time_limit(struct slice word, struct control_line *out, struct cause *cause)
{
        char text[32] = "";
        uint64_t ms;

        if (word.len < sizeof(text))
                memcpy(text, word.ptr, word.len);
        if (strlen(text) != word.len || option_duration_parse(text, LIMIT_MAX_MS, &ms) != 0)
                return cause_set(cause, -EINVAL,
                                 "time-limit takes a time from now: 30, 30s, 10m, or 0 for none");
        out->what = CONTROL_TIME_LIMIT;
        out->time_limit_ms = (int64_t)ms;
        return 0;
}

static int parse_ignore_abort(struct slice word, struct control_line *out, struct cause *cause)
{
        out->on = slice_eq(word, SLICE("on"));
        if (!out->on && !slice_eq(word, SLICE("off")))
                return cause_set(cause, -EINVAL, "ignore-abort takes on or off");
        out->what = CONTROL_IGNORE_ABORT;
        return 0;
}

int control_line_parse(struct slice line, struct control_line *out, struct cause *cause)
{
        struct slice rest = line, verb;

        memset(out, 0, sizeof(*out));
        if (line.len > CONTROL_LINE_MAX)
                return cause_set(cause, -EINVAL, "the line is longer than %d bytes", CONTROL_LINE_MAX);
        while (rest.len && (rest.ptr[rest.len - 1] == ' ' || rest.ptr[rest.len - 1] == '\t'))
                rest.len--;
        verb = word_of(&rest);
        if (slice_eq(verb, SLICE("progress")))
                return parse_progress(rest, out, cause);
        if (slice_eq(verb, SLICE("time-limit")))
                return parse_time_limit(rest, out, cause);
        if (slice_eq(verb, SLICE("ignore-abort")))
                return parse_ignore_abort(rest, out, cause);
        if (slice_eq(verb, SLICE("detach")) && rest.len == 0) {
                out->what = CONTROL_DETACH;
                return 0;
        }
        return cause_set(
                cause, -EINVAL,
                "not understood; there are progress DONE/TOTAL NOTE, time-limit TIME, ignore-abort on|off "
                "and detach");
}
