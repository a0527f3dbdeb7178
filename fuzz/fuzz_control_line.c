/* Lines written to SENDOFF_CONTROL: whatever is understood is within its bounds, and a note is text that can
 * be shown: UTF-8 without control bytes, and a note again when it is written a second time. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "job/control_line.h"

#define NUMBER_MAX   INT64_C(1000000000000000)
#define LIMIT_MAX_MS (INT64_C(365) * 24 * 3600 * 1000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Decoded by its own rules, not by the parser's. */
static void check_text(const char *note)
{
        const unsigned char *p = (const unsigned char *)note;

        while (*p) {
                unsigned follow = *p < 0x80 ? 0 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : 3, code;

                assert(*p >= 0x20 && *p != 0x7f && (*p < 0x80 || *p >= 0xc2) && *p < 0xf8);
                code = follow == 0 ? *p : *p & (0x3fU >> follow);
                for (p++; follow > 0; follow--, p++) {
                        assert((*p & 0xc0) == 0x80);
                        code = code << 6 | (*p & 0x3fU);
                        assert(follow > 1 || code >= 0x80);
                }
                assert(code <= 0x10ffff && (code < 0xd800 || code > 0xdfff));
        }
}

static void check_again(const struct control_line *line)
{
        struct control_line again;
        struct buf text;

        buf_init(&text, 4096);
        assert(buf_printf(&text, "progress %lld/%lld %s", (long long)line->progress.done,
                          (long long)line->progress.total, line->progress.note) == 0);
        assert(control_line_parse(buf_slice(&text), &again, NULL) == 0);
        assert(again.progress.done == line->progress.done && again.progress.total == line->progress.total);
        if (line->progress.note[0] != ' ' && line->progress.note[0] != '\t')
                assert(strcmp(again.progress.note, line->progress.note) == 0);
        buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct cause cause = { "" };
        struct control_line line;

        if (control_line_parse((struct slice){ (const char *)data, size }, &line, &cause) != 0) {
                assert(cause.text[0]);
                return 0;
        }
        assert(size <= CONTROL_LINE_MAX && !cause.text[0]);
        assert(line.progress.any == (line.what == CONTROL_PROGRESS));
        assert(line.progress.done >= 0 && line.progress.done <= NUMBER_MAX);
        assert(line.progress.total >= 0 && line.progress.total <= NUMBER_MAX);
        assert(line.time_limit_ms >= 0 && line.time_limit_ms <= LIMIT_MAX_MS);
        assert(line.what <= CONTROL_DETACH && memchr(line.progress.note, '\0', JOB_NOTE_SIZE));
        check_text(line.progress.note);
        if (line.what == CONTROL_PROGRESS)
                check_again(&line);
        return 0;
}
