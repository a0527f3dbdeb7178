/* A job's options: the store's form as input, and each of its lines given as a person would. What was read or
 * set is within its row's range, and its own text is read back as the same. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bounds.h"
#include "job/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void text_of(const struct job_options *o, struct buf *out)
{
        buf_init(out, 1 << 22);
        assert(job_options_text(o, out) == 0);
}

static void check(const struct job_options *o)
{
        struct job_options again, copy;
        struct buf text, twice, copied;

        for (const struct job_option_row *row = job_option_rows; row->name; row++) {
                int64_t number = job_option_number(o, row);

                if (!job_option_is_set(o, row))
                        assert(number == -1);
                else if (row->kind != JOB_OPTION_TARGET) /* JOB_CRASH_END is beyond what may be asked */
                        assert(number >= row->min &&
                               number <= row->max + (strcmp(row->name, "on_crash") == 0));
        }
        for (int i = 0; i < JOB_THENS; i++)
                assert(!o->then[i] || strlen(o->then[i]) <= JOB_TARGET_MAX);
        text_of(o, &text);
        job_options_init(&again);
        job_options_read(&again, buf_slice(&text));
        text_of(&again, &twice);
        assert(slice_eq(buf_slice(&text), buf_slice(&twice)));
        job_options_copy(&copy, &again);
        job_options_fini(&again);
        text_of(&copy, &copied);
        assert(slice_eq(buf_slice(&text), buf_slice(&copied)));
        job_options_fini(&copy);
        buf_fini(&text);
        buf_fini(&twice);
        buf_fini(&copied);
}

/* "time_limit=10m" */
static void set(struct job_options *o, struct slice line)
{
        struct slice value = line, name;
        const struct job_option_row *row;
        struct cause cause = { "" };
        uint64_t number;
        char *text;

        if (!slice_cut(&value, '=', &name) || !(row = job_option_find(name)))
                return;
        text = slice_dup(value);
        if (job_option_set(o, row, text, &cause) == 0)
                assert(job_option_is_set(o, row) && !cause.text[0]);
        else
                assert(strstr(cause.text, row->name));
        free(text);
        if (slice_to_u64(value, INT64_MAX, &number) &&
            job_option_set_number(o, row, (int64_t)number, NULL) == 0)
                assert(job_option_number(o, row) == (int64_t)number);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct slice all = { (const char *)data, size }, rest = all, line;
        struct job_options read, given;

        job_options_init(&read);
        job_options_read(&read, all);
        check(&read);
        job_options_init(&given);
        while (slice_cut(&rest, '\n', &line))
                set(&given, line);
        check(&given);
        /* a value may hold a line end when it comes from JSON */
        set(&given, all);
        check(&given);
        job_options_fini(&read);
        job_options_fini(&given);
        return 0;
}
