/* See talk.h. */
#include "cmd/talk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cmd/verb.h"
#include "job/job.h"
#include "server/config.h"

#define SILENCE_MS 30000
#define POLL_S     20

int talk_open(struct talk *t, const char *server)
{
        const char *from = server ? server : getenv("SENDOFF_SERVER");
        char *socket = from && *from ? NULL : config_default_socket();
        struct cause cause = { "" };

        t->client = NULL;
        t->server = socket ? mem_printf("unix:%s", socket) : mem_dup(from);
        free(socket);
        if (client_new(&t->client, t->server, SILENCE_MS, &cause) < 0) {
                fprintf(stderr, "sendoff: %s\n", cause.text);
                return EXIT_USAGE;
        }
        return EXIT_OK;
}

void talk_close(struct talk *t)
{
        client_free(t->client);
        free(t->server);
        t->client = NULL;
        t->server = NULL;
}

static int talk_failed(int r, const struct cause *cause)
{
        fprintf(stderr, "sendoff: %s\n", cause->text);
        if (r == CLIENT_NO_SERVER)
                fprintf(stderr, "Start one with `sendoff serve DIR`, or say where it is with --server "
                                "unix:PATH or SENDOFF_SERVER.\n");
        return EXIT_SERVER;
}

int talk_ask(struct talk *t, const char *method, const char *path, struct slice headers,
             const struct spool *body, struct client_reply *reply)
{
        const struct client_request request = {
                .method = method, .path = path, .headers = headers, .body = body
        };
        struct cause cause = { "" };
        int r = client_ask(t->client, &request, NULL, reply, &cause);

        return r == 0 ? EXIT_OK : talk_failed(r, &cause);
}

int talk_refused(const char *what, const struct client_reply *reply)
{
        json_error_t error;
        struct slice body = buf_slice(&reply->body);
        json_t *json = json_loadb(body.ptr, body.len, 0, &error);
        const char *detail = json ? json_string_value(json_object_get(json, "detail")) : NULL;

        fprintf(stderr, "sendoff: %s: %s (%d %s)\n", what, detail ? detail : "refused", reply->status,
                http1_reason(reply->status));
        json_decref(json);
        return EXIT_SERVER;
}

json_t *talk_json(const struct client_reply *reply)
{
        json_error_t error;
        struct slice body = buf_slice(&reply->body);
        json_t *json = json_loadb(body.ptr, body.len, JSON_REJECT_DUPLICATES, &error);

        if (!json)
                fprintf(stderr, "sendoff: the server's answer is no JSON: %s\n", error.text);
        return json;
}

int talk_job(struct talk *t, const char *id, int wait_s, json_t **job)
{
        char path[96];
        struct client_reply reply;
        int r;

        *job = NULL;
        snprintf(path, sizeof(path), wait_s ? "/v1/jobs/%s?wait=%d" : "/v1/jobs/%s", id, wait_s);
        client_set_timeout(t->client, SILENCE_MS + wait_s * 1000);
        r = talk_ask(t, "GET", path, SLICE(""), NULL, &reply);
        if (r == EXIT_OK && reply.status != 200)
                r = talk_refused(id, &reply);
        if (r == EXIT_OK) {
                *job = talk_json(&reply);
                r = *job ? EXIT_OK : EXIT_SERVER;
        }
        client_reply_fini(&reply);
        return r;
}

int talk_wait(struct talk *t, const char *id, int timeout_s, json_t **job)
{
        int64_t end = clock_mono_ms() + (int64_t)timeout_s * 1000;
        int r = EXIT_OK;

        *job = NULL;
        for (;;) {
                int64_t left = (end - clock_mono_ms() + 999) / 1000;
                int wait_s = timeout_s == 0 || left > POLL_S ? POLL_S : left < 1 ? 0 : (int)left;

                json_decref(*job);
                r = talk_job(t, id, wait_s, job);
                if (r != EXIT_OK || job_is_final(*job) || (timeout_s && clock_mono_ms() >= end))
                        return r;
        }
}

struct result {
        FILE *out;
        bool headers;
        bool refused;
};

static bool result_wanted(void *arg, const struct client_reply *head)
{
        struct result *result = arg;

        result->refused = client_reply_header(head, SLICE("sendoff-job")).ptr == NULL;
        if (!result->refused && result->headers)
                fprintf(result->out, "HTTP/1.1 %d %s\r\n%.*s\r\n", head->status, http1_reason(head->status),
                        SLICE_ARG(buf_slice(&head->headers)));
        return !result->refused;
}

static int result_take(void *arg, struct slice bytes)
{
        struct result *result = arg;

        return fwrite(bytes.ptr, 1, bytes.len, result->out) == bytes.len ? 0 : -5;
}

int talk_result(struct talk *t, const char *id, bool headers, FILE *out)
{
        struct result result = { .out = out, .headers = headers };
        const struct client_sink sink = { .wanted = result_wanted, .take = result_take, .arg = &result };
        struct client_request request = { .method = "GET" };
        struct cause cause = { "the output could not be written" };
        struct client_reply reply;
        char path[96];
        int r;

        snprintf(path, sizeof(path), "/v1/jobs/%s/result", id);
        request.path = path;
        r = client_ask(t->client, &request, &sink, &reply, &cause);
        if (r != 0)
                r = talk_failed(r, &cause);
        else if (result.refused)
                r = talk_refused(id, &reply);
        else if (fflush(out) != 0)
                r = talk_failed(-1, &cause);
        client_reply_fini(&reply);
        return r;
}

const char *talk_id(const char *text, char out[TALK_ID_SIZE])
{
        size_t len = strlen(text);
        struct job_id id;

        if (len > 7 && strcmp(text + len - 7, "/result") == 0)
                len -= 7;
        if (len < JOB_ID_LEN || (len > JOB_ID_LEN && text[len - JOB_ID_LEN - 1] != '/') ||
            !job_id_parse((struct slice){ text + len - JOB_ID_LEN, JOB_ID_LEN }, &id))
                return NULL;
        snprintf(out, TALK_ID_SIZE, "%s", id.text);
        return out;
}

const char *json_text(const json_t *object, const char *key)
{
        const char *text = json_string_value(json_object_get(object, key));

        return text ? text : "";
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
