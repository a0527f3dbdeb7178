/* See job_json.h. */
#include "server/job_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

static json_t *time_or_null(int64_t ms)
{
        char text[CLOCK_RFC3339_SIZE];

        return ms ? json_string(clock_rfc3339(ms, text)) : json_null();
}

static json_t *number_unless(int64_t n, int64_t none)
{
        return n == none ? json_null() : json_integer(n);
}

/* Outside bytes that are no UTF-8 become '?', so that JSON stays JSON. */
static json_t *text_or_null(const char *text)
{
        json_t *json;
        char *copy;

        if (!text || !text[0])
                return json_null();
        json = json_string(text);
        if (json)
                return json;
        copy = strdup(text);
        for (char *p = copy; p && *p; p++)
                if ((unsigned char)*p >= 0x80)
                        *p = '?';
        json = copy ? json_string(copy) : NULL;
        free(copy);
        return json ? json : json_null();
}

static json_t *run_json(const struct job_run *run)
{
        json_t *json = json_object();

        json_object_set_new(json, "number", json_integer(run->number));
        json_object_set_new(json, "started_at", time_or_null(run->started_ms));
        json_object_set_new(json, "ended_at", time_or_null(run->ended_ms));
        json_object_set_new(json, "outcome", json_string(run_outcome_name(run->outcome)));
        json_object_set_new(json, "connection_status", json_integer(run->connection_status));
        json_object_set_new(json, "status", number_unless(run->status, 0));
        json_object_set_new(json, "exit_code", number_unless(run->exit_code, -1));
        json_object_set_new(json, "signal", number_unless(run->signal, 0));
        json_object_set_new(json, "reason", text_or_null(run->reason));
        json_object_set_new(json, "cpu_ms", number_unless(run->cpu_ms, -1));
        json_object_set_new(json, "peak_rss_kb", number_unless(run->peak_rss_kb, -1));
        return json;
}

static json_t *runs_json(const struct job *job)
{
        json_t *runs = json_array();

        for (uint32_t i = 0; job->earlier && i < job->earlier_count; i++)
                json_array_append_new(runs, run_json(&job->earlier[i]));
        if (job->run.number > 0)
                json_array_append_new(runs, run_json(&job->run));
        return runs;
}

static json_t *progress_json(const struct job_progress *progress)
{
        json_t *json;

        if (!progress->any)
                return json_null();
        json = json_object();
        json_object_set_new(json, "done", json_integer(progress->done));
        json_object_set_new(json, "total", progress->total ? json_integer(progress->total) : json_null());
        json_object_set_new(json, "note", text_or_null(progress->note));
        return json;
}

static json_t *option_json(const struct job_options *options, const struct job_option_row *row)
{
        int64_t number = job_option_number(options, row);

        switch (row->kind) {
        case JOB_OPTION_DURATION:
                return number % 1000 ? json_real((double)number / 1000) : json_integer(number / 1000);
        case JOB_OPTION_SIZE:
        case JOB_OPTION_COUNT:
                return json_integer(number);
        case JOB_OPTION_CHOICE:
                return json_string(number <= row->max ? row->words[number] : "end");
        case JOB_OPTION_TARGET:
                break;
        }
        return text_or_null(*(char *const *)((const char *)options + row->offset));
}

/* What was asked, in the form in which it is asked. */
static json_t *options_json(const struct job_options *options)
{
        json_t *json = json_object(), *parent;

        for (const struct job_option_row *row = job_option_rows; row->name; row++) {
                if (!job_option_is_set(options, row))
                        continue;
                parent = row->parent ? json_object_get(json, row->parent) : json;
                if (!parent) {
                        parent = json_object();
                        json_object_set_new(json, row->parent, parent);
                }
                json_object_set_new(parent, row->field, option_json(options, row));
        }
        return json;
}

json_t *job_json(const struct job *job, const char *waiting_for, unsigned retries_max, bool full)
{
        char location[JOB_LOCATION_SIZE];
        json_t *json = json_object();
        int64_t retries_left = (int64_t)retries_max - job->retries;
        bool show = full || strncmp(job->request.remote, "unix:", 5) != 0;

        json_object_set_new(json, "id", json_string(job->id.text));
        json_object_set_new(json, "state", json_string(job_state_name(job->state)));
        json_object_set_new(json, "target", show ? text_or_null(job->request.target) : json_null());
        json_object_set_new(json, "method", show ? text_or_null(job->request.method) : json_null());
        json_object_set_new(json, "runner", json_string(job_runner_name(job->runner)));
        json_object_set_new(json, "queue", text_or_null(job->queue));
        json_object_set_new(json, "priority", json_integer(0));
        json_object_set_new(json, "created_at", time_or_null(job->created_ms));
        json_object_set_new(json, "run_at", time_or_null(job->run_at_ms));
        json_object_set_new(json, "finished_at", time_or_null(job->finished_ms));
        json_object_set_new(json, "run", json_integer(job->run.number));
        json_object_set_new(json, "retries", json_integer(job->retries));
        json_object_set_new(json, "retries_left", json_integer(retries_left > 0 ? retries_left : 0));
        json_object_set_new(json, "crashes", json_integer(job->crashes));
        json_object_set_new(json, "progress", progress_json(&job->progress));
        json_object_set_new(json, "waiting_for", text_or_null(waiting_for));
        json_object_set_new(json, "connection_status", json_integer(job->run.connection_status));
        json_object_set_new(json, "status", number_unless(job->run.status, 0));
        json_object_set_new(json, "exit_code", number_unless(job->run.exit_code, -1));
        json_object_set_new(json, "signal", number_unless(job->run.signal, 0));
        json_object_set_new(json, "reason", text_or_null(job->run.reason));
        json_object_set_new(json, "location", json_string(job_location(&job->id, location)));
        if (full) {
                json_object_set_new(json, "options", options_json(&job->options));
                json_object_set_new(json, "retry_of", text_or_null(job->links.retry_of));
                json_object_set_new(json, "retried_as", text_or_null(job->links.retried_as));
                json_object_set_new(json, "then_of", text_or_null(job->links.then_of));
        }
        json_object_set_new(json, "runs", runs_json(job));
        return json;
}

json_t *job_json_outcome(const struct job *job, unsigned retries_max)
{
        char location[JOB_LOCATION_SIZE], result[JOB_LOCATION_SIZE + 8];
        json_t *json = job_json(job, NULL, retries_max, true);

        snprintf(result, sizeof(result), "%s/result", job_location(&job->id, location));
        json_object_set_new(json, "result", job->reply.kept ? json_string(result) : json_null());
        json_object_set_new(json, "duration_ms",
                            json_integer(job->finished_ms ? job->finished_ms - job->created_ms : 0));
        return json;
}

json_t *job_json_receipt(const struct job *job)
{
        char location[JOB_LOCATION_SIZE];
        json_t *json = json_object();

        json_object_set_new(json, "id", json_string(job->id.text));
        json_object_set_new(json, "location", json_string(job_location(&job->id, location)));
        json_object_set_new(json, "state", json_string(job_state_name(job->state)));
        if (job->links.retry_of[0])
                json_object_set_new(json, "retry_of", json_string(job->links.retry_of));
        return json;
}

char *job_json_text(json_t *json)
{
        char *text = json ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
        size_t len = text ? strlen(text) : 0;
        char *line = text ? realloc(text, len + 2) : NULL;

        json_decref(json);
        if (!line) {
                free(text);
                return NULL;
        }
        line[len] = '\n';
        line[len + 1] = '\0';
        return line;
}

char *job_location(const struct job_id *id, char out[JOB_LOCATION_SIZE])
{
        snprintf(out, JOB_LOCATION_SIZE, "/.sendoff/jobs/%s", id->text);
        return out;
}
