/* Command lines: split(join(words)) is words again, whether they come out of a line or are any strings at
 * all; and a target made of them is one. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "base/mem.h"
#include "job/target.h"

#define LINE_MAX_HERE (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_words(char *const *words)
{
        struct cause cause = { "" };
        struct buf line, again_line;
        char **again, *text;
        size_t count = 0;

        buf_init(&line, LINE_MAX_HERE);
        if (job_words_join(words, &line) != 0) {
                buf_fini(&line);
                return;
        }
        text = buf_take(&line);
        again = job_words_split(text, &cause);
        assert(again);
        for (; words[count]; count++)
                assert(again[count] && strcmp(words[count], again[count]) == 0);
        assert(!again[count] && count >= 1 && count <= JOB_WORDS_MAX);
        buf_init(&again_line, LINE_MAX_HERE);
        assert(job_words_join(again, &again_line) == 0);
        assert(slice_eq(buf_slice(&again_line), slice_of(text)));
        buf_fini(&again_line);
        job_words_free(again);
        free(text);
}

/* The input's lines of NULs as words. */
static void check_any_words(const char *bytes, size_t size)
{
        char *words[JOB_WORDS_MAX + 1];
        size_t count = 0;

        for (size_t at = 0; at < size && count < JOB_WORDS_MAX; at += strnlen(bytes + at, size - at) + 1)
                words[count++] = slice_dup((struct slice){ bytes + at, strnlen(bytes + at, size - at) });
        words[count] = NULL;
        if (count && words[0][0])
                check_words(words);
        while (count > 0)
                free(words[--count]);
}

static void check_target(const char *line)
{
        char *target = mem_printf("exec:%s", line);
        struct cause cause = { "" };

        assert(job_target_runner(target) == JOB_EXEC);
        assert(job_target_check(target, &cause) == 0 || strlen(target) > JOB_TARGET_MAX);
        free(target);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct cause cause = { "" };
        char *line, **words;

        if (size > 60000) /* a word may have 64 KiB */
                return 0;
        line = slice_dup((struct slice){ (const char *)data, size });
        words = job_words_split(line, &cause);
        if (words) {
                check_words(words);
                check_target(line);
        } else {
                assert(cause.text[0]);
        }
        job_words_free(words);
        if (job_target_check(line, &cause) == 0 && job_target_runner(line) != JOB_EXEC)
                for (const char *c = line; *c; c++)
                        assert(*c > 0x20 && *c < 0x7f);
        check_any_words((const char *)data, size);
        free(line);
        return 0;
}
