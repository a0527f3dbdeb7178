/* Speaking to the server for every verb. What goes wrong is said here, once, on stderr; the verb passes the
 * exit code on. See talk.h. */
#include "cmd/talk.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

/* A server that answers at once although it was asked to wait (its wait_max is 0) is asked a few times a
 * second. */
static void breathe(int64_t asked_ms)
{
        const struct timespec pause = { .tv_nsec = 200 * 1000 * 1000 };

        if (clock_mono_ms() - asked_ms < 50)
                nanosleep(&pause, NULL);
}

int talk_wait(struct talk *t, const char *id, int64_t timeout_ms, json_t **job)
{
        int64_t end = clock_mono_ms() + timeout_ms;

        *job = NULL;
        for (;;) {
                int64_t now = clock_mono_ms(), left_s = (end - now + 999) / 1000;
                int r;

                json_decref(*job);
                r = talk_job(t, id,
                             timeout_ms == 0 || left_s > POLL_S ? POLL_S
                             : left_s < 1                       ? 0
                                                                : (int)left_s,
                             job);
                if (r != EXIT_OK || job_is_final(*job) || (timeout_ms && clock_mono_ms() >= end))
                        return r;
                breathe(now);
        }
}

int talk_page(struct talk *t, const char *state, uint64_t limit, char **cursor, json_t **page)
{
        char *path =
                mem_printf("/v1/jobs?limit=%llu%s%s%s%s", (unsigned long long)limit, state ? "&state=" : "",
                           state ? state : "", *cursor ? "&cursor=" : "", *cursor ? *cursor : "");
        struct client_reply reply;
        int r = talk_ask(t, "GET", path, SLICE(""), NULL, &reply);

        free(path);
        free(*cursor);
        *cursor = NULL;
        *page = NULL;
        if (r == EXIT_OK && reply.status != 200)
                r = talk_refused("list", &reply) == EXIT_SERVER && reply.status == 400 ? EXIT_USAGE
                                                                                       : EXIT_SERVER;
        else if (r == EXIT_OK)
                r = (*page = talk_json(&reply)) ? EXIT_OK : EXIT_SERVER;
        if (*page && json_text(*page, "next")[0])
                *cursor = mem_dup(json_text(*page, "next"));
        client_reply_fini(&reply);
        return r;
}

/* ---- results ---- */

struct result {
        const char *path;
        FILE *out; /* NULL until there is a result */
        bool headers;
        bool refused;
        int error; /* of writing, an errno */
};

static bool result_wanted(void *arg, const struct client_reply *head)
{
        struct result *result = arg;

        result->refused = client_reply_header(head, SLICE("sendoff-job")).ptr == NULL;
        if (result->refused)
                return false;
        result->out = result->path ? fopen(result->path, "we") : stdout;
        if (!result->out)
                result->error = errno;
        else if (result->headers &&
                 fprintf(result->out, "HTTP/1.1 %d %s\r\n%.*s\r\n", head->status, http1_reason(head->status),
                         SLICE_ARG(buf_slice(&head->headers))) < 0)
                result->error = errno;
        return true;
}

static int result_take(void *arg, struct slice bytes)
{
        struct result *result = arg;

        if (result->error == 0 && fwrite(bytes.ptr, 1, bytes.len, result->out) != bytes.len)
                result->error = errno ? errno : EIO;
        return result->error ? -EIO : 0;
}

static void result_close(struct result *result)
{
        int r;

        if (!result->out)
                return;
        r = result->path ? fclose(result->out) : fflush(result->out);
        if (r != 0 && result->error == 0)
                result->error = errno;
}

int talk_result(struct talk *t, const char *id, bool headers, const char *path)
{
        struct result result = { .path = path, .headers = headers };
        const struct client_sink sink = { .wanted = result_wanted, .take = result_take, .arg = &result };
        struct client_request request = { .method = "GET" };
        struct cause cause = { "" };
        struct client_reply reply;
        char url[96];
        int r;

        snprintf(url, sizeof(url), "/v1/jobs/%s/result", id);
        request.path = url;
        r = client_ask(t->client, &request, &sink, &reply, &cause);
        result_close(&result);
        if (result.error) {
                fprintf(stderr, "sendoff: cannot write %s: %s\n", path ? path : "to stdout",
                        strerror(result.error));
                r = EXIT_USAGE;
        } else if (r != 0) {
                r = talk_failed(r, &cause);
        } else if (result.refused) {
                r = talk_refused(id, &reply);
        }
        client_reply_fini(&reply);
        return r;
}

/* ---- ids ---- */

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

int check_ids(const char *verb, int argc, char **argv)
{
        char id[TALK_ID_SIZE];

        if (optind >= argc)
                return usage_error(verb, "which job? An id is missing");
        for (int i = optind; i < argc; i++)
                if (!talk_id(argv[i], id))
                        return usage_error(verb, "'%s' is no job id", argv[i]);
        return EXIT_OK;
}

int check_states(const char *verb, const char *text)
{
        if (*text && text[strspn(text, "abcdefghijklmnopqrstuvwxyz,")] == '\0')
                return EXIT_OK;
        return usage_error(verb, "--state takes names of states with commas between");
}
