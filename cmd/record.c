/* See record.h. */
#include "cmd/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job/job.h"

const char *json_text(const json_t *object, const char *key)
{
        const char *text = json_string_value(json_object_get(object, key));

        return text ? text : "";
}

void print_json(const json_t *json)
{
        char *line = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(15));

        puts(line ? line : "{}");
        free(line);
}

bool job_is_final(const json_t *job)
{
        enum job_state state;

        return job_state_parse(slice_of(json_text(job, "state")), &state) && job_state_is_final(state);
}

bool job_succeeded(const json_t *job)
{
        return strcmp(json_text(job, "state"), "succeeded") == 0;
}
