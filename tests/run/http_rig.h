/* What the tests of run/http*.c share: a loop with a desk, a web server on that very loop (an origin) that
 * says what a test wants it to say and sees what it is sent, and calls that keep what a run delivers. */
#ifndef SENDOFF_TESTS_RUN_HTTP_RIG_H
#define SENDOFF_TESTS_RUN_HTTP_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/http1.h"
#include "run/http.h"

#define VISITS_MAX 16

struct visit;

struct origin {
        struct bench *bench;
        uv_tcp_t listener;
        int port;
        bool deaf; /* connections are taken and nothing is read from them */
        unsigned accepted, requests, open, gone;
        struct visit *visits;
        void (*answer)(struct visit *v); /* a whole request is there */
        void (*heard)(struct visit *v);  /* some bytes of one came; may be NULL */
};

/* A connection to an origin. */
struct visit {
        uv_tcp_t tcp;
        struct origin *origin;
        struct visit *prev, *next;
        struct buf in;
        size_t scanned;
        bool headed;
        char *head;                   /* of the request under way */
        struct http1_request request; /* points into head */
        uint64_t body_len;
        uint32_t body_sum;
        char body[256]; /* its beginning */
        uint64_t bytes; /* of the whole connection */
        unsigned requests;
        size_t unsent;
        bool closed; /* by us */
        void (*drained)(struct visit *v);
        uint64_t left; /* for the test's own use */
};

struct bench {
        uv_loop_t loop;
        uv_timer_t tick;
        struct http_desk *desk;
        struct origin origin;
        char folder[64];
        int folder_fd;
        bool stopped;
        int fds; /* open before */
};

struct call {
        struct bench *bench;
        struct job_request request;
        struct buf fields; /* of the request */
        char id[40];
        struct run *run;
        bool ended, headed, count_only, paused;
        int status;
        char *headers; /* the reply's, "Name: value\n" lines */
        char *words;   /* the reply's reason phrase */
        struct buf data;
        uint64_t data_len;
        uint32_t data_sum;
        struct job_run how;
        unsigned
                broken_promises; /* data while paused, after the end, before the head; a second head or end */
        unsigned *running;       /* counted down at the end; may be NULL */
        void (*on_head)(struct call *call);
        void (*on_data)(struct call *call);
        void (*on_end)(struct call *call);
};

/* The defaults: five seconds to connect, no redirects, 16 connections, nothing denied. */
struct http_config bench_config(void);
void bench_open(struct bench *bench, const struct http_config *config);
void bench_close(struct bench *bench); /* stops the desk; fails when a handle or a descriptor is left */
void bench_stop(struct bench *bench);  /* the desk alone */
int bench_setup(void **state);         /* for cmocka: with bench_config */
int bench_teardown(void **state);
void bench_until(struct bench *bench, bool (*is_so)(void *arg), void *arg); /* half a minute at most */
void bench_turns(struct bench *bench, unsigned count); /* so many times around the loop */
unsigned bench_fds(void);
char *bench_path(const struct bench *bench, const char *name); /* in the folder; to be freed */

void origin_open(struct origin *o, struct bench *bench);
void origin_close(struct origin *o);
char *origin_url(const struct origin *o, const char *path); /* to be freed */
void visit_write(struct visit *v, const char *bytes, size_t len);
void visit_say(struct visit *v, const char *text);
/* 200 with this body and its length; the connection is kept. */
void visit_answer(struct visit *v, const char *body);
void visit_end(struct visit *v);   /* after what was written */
void visit_reset(struct visit *v); /* at once, with a RST */
bool visit_has(const struct visit *v, const char *name);
char *visit_field(const struct visit *v, const char *name); /* to be freed; "" when there is none */

/* What an origin may answer. */
#define BIG (100 << 20)
void origin_hello(struct visit *v);
void origin_big(struct visit *v); /* a pattern of BIG bytes */
void origin_sum(struct visit *v); /* length and sum of the request's body */
void origin_waits(struct visit *v);

/* path: of the bench's origin, or a whole URL. */
void call_init(struct call *call, struct bench *bench, const char *method, const char *path);
void call_fini(struct call *call);
void call_field(struct call *call, const char *name, const char *value);
void call_body(struct call *call, const char *bytes, size_t len);
void call_body_pattern(struct call *call, uint64_t len); /* in a file; sum_pattern of the same length */
void call_start(struct call *call);
void call_until_end(struct call *call);
void call_run(struct call *call);                       /* start, and until the end */
char *call_text(struct call *call);                     /* data, NUL-terminated; the call's */
char *call_header(struct call *call, const char *name); /* of the reply; to be freed; "" when there is none */
uint32_t sum_bytes(uint32_t sum, const char *bytes, size_t len);
void pattern(char *out, uint64_t at, size_t len);
uint32_t pattern_sum(uint64_t len);

void assert_answered(const struct call *call, int status);
#define assert_reason(call, expected) assert_string_equal((call)->how.reason, expected)

#endif
