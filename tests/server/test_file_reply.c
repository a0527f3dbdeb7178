/* What is answered for a static file: methods, conditions in their order, ranges, and the lines of the head.
 */
#include "server/file_reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MODIFIED "Sun, 06 Nov 1994 08:49:37 GMT"
#define BEFORE   "Sun, 06 Nov 1994 08:49:36 GMT"
#define AFTER    "Sun, 06 Nov 1994 08:49:38 GMT"

#define MODIFIED_S  784111777
#define MODIFIED_NS 123456789

/* 1000 bytes, inode 42 */
static const struct stat file = {
        .st_size = 1000,
        .st_ino = 42,
        .st_mtim = { .tv_sec = MODIFIED_S, .tv_nsec = MODIFIED_NS },
};

/* The entity tag as the file has it. */
static char etag[64];

#define FIELDS_MAX 6

/* fields: name, value, name, value, …, NULL */
static void decide_fields(struct file_reply *out, const char *method, const struct stat *st,
                          const char *const *fields)
{
        struct http1_header headers[FIELDS_MAX];
        size_t count = 0;

        for (; fields[2 * count]; count++) {
                assert_true(count < FIELDS_MAX);
                headers[count] =
                        (struct http1_header){ slice_of(fields[2 * count]), slice_of(fields[2 * count + 1]) };
        }
        file_reply_decide(out, slice_of(method), headers, count, st, "dir/a.txt");
}

#define DECIDE(out, method, ...)                                                                             \
        decide_fields(out, method, &file, (const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL, NULL })

static void assert_status(int expected, const char *method, const char *const *fields)
{
        struct file_reply reply;

        decide_fields(&reply, method, &file, fields);
        if (reply.status != expected)
                fail_msg("%s with %s: %s is %d, expected %d", method, fields[0] ? fields[0] : "nothing",
                         fields[0] ? fields[1] : "", reply.status, expected);
        assert_int_equal(reply.has_body, expected == 200 || expected == 206);
        if (expected == 200)
                assert_true(reply.first == 0 && reply.length == 1000);
        if (!reply.has_body)
                assert_true(reply.first == 0 && reply.length == 0);
        file_reply_fini(&reply);
}

#define STATUS(expected, method, ...)                                                                        \
        assert_status(expected, method, (const char *const[]){ __VA_ARGS__ __VA_OPT__(, ) NULL, NULL })

/* "" when there is no such line. */
static const char *line_of(const struct file_reply *reply, const char *name)
{
        static char value[256];
        struct slice rest = buf_slice(&reply->headers);
        struct http1_header h;

        while (http1_block_next(&rest, &h)) {
                if (!slice_eq_nocase(h.name, slice_of(name)))
                        continue;
                snprintf(value, sizeof(value), "%.*s", SLICE_ARG(h.value));
                return value;
        }
        return "";
}

static int learn_etag(void **state)
{
        struct file_reply reply;

        DECIDE(&reply, "GET");
        snprintf(etag, sizeof(etag), "%s", line_of(&reply, "etag"));
        file_reply_fini(&reply);
        return 0;
}

static void gives_the_whole_file(void **state)
{
        struct file_reply reply;

        DECIDE(&reply, "GET");
        assert_int_equal(reply.status, 200);
        assert_true(reply.has_body);
        assert_int_equal(reply.first, 0);
        assert_int_equal(reply.length, 1000);
        assert_string_equal(line_of(&reply, "Content-Type"), "text/plain; charset=utf-8");
        assert_string_equal(line_of(&reply, "Last-Modified"), MODIFIED);
        assert_string_equal(line_of(&reply, "Accept-Ranges"), "bytes");
        assert_string_equal(line_of(&reply, "Content-Range"), "");
        assert_string_equal(line_of(&reply, "Content-Length"), ""); /* whoever sends it adds it */
        file_reply_fini(&reply);
        file_reply_fini(&reply);
}

static void tells_head_what_get_would(void **state)
{
        struct file_reply get, head;

        DECIDE(&get, "GET");
        DECIDE(&head, "HEAD");
        assert_int_equal(head.status, 200);
        assert_int_equal(head.length, get.length);
        assert_true(head.has_body);
        assert_true(slice_eq(buf_slice(&head.headers), buf_slice(&get.headers)));
        file_reply_fini(&get);
        file_reply_fini(&head);
        STATUS(304, "HEAD", "If-None-Match", etag);
        STATUS(200, "HEAD", "Range", "bytes=0-1");
        STATUS(200, "HEAD", "Range", "bytes=5000-");
}

static void makes_an_etag_of_time_size_and_inode(void **state)
{
        struct stat other[4] = { file, file, file, file };
        struct file_reply reply;

        assert_true(strlen(etag) > 4 && etag[0] == '"' && etag[strlen(etag) - 1] == '"');
        other[0].st_mtim.tv_nsec++;
        other[1].st_mtim.tv_sec--;
        other[2].st_size++;
        other[3].st_ino++;
        for (int i = 0; i < 4; i++) {
                decide_fields(&reply, "GET", &other[i], (const char *const[]){ "If-None-Match", etag, NULL });
                assert_int_equal(reply.status, 200);
                assert_string_not_equal(line_of(&reply, "ETag"), etag);
                file_reply_fini(&reply);
        }
}

static void gives_an_empty_file(void **state)
{
        struct stat empty = file;
        struct file_reply reply;

        empty.st_size = 0;
        decide_fields(&reply, "GET", &empty, (const char *const[]){ NULL });
        assert_int_equal(reply.status, 200);
        assert_true(reply.has_body);
        assert_int_equal(reply.length, 0);
        file_reply_fini(&reply);
        decide_fields(&reply, "GET", &empty, (const char *const[]){ "Range", "bytes=0-0", NULL });
        assert_int_equal(reply.status, 416);
        assert_string_equal(line_of(&reply, "Content-Range"), "bytes */0");
        file_reply_fini(&reply);
}

static void allows_only_reading(void **state)
{
        static const char *const others[] = { "POST", "PUT",   "DELETE", "PATCH", "get",
                                              "Get",  "TRACE", "GETX",   "GE" };
        struct file_reply reply;

        for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
                DECIDE(&reply, others[i], "If-None-Match", etag);
                assert_int_equal(reply.status, 405);
                assert_false(reply.has_body);
                assert_true(slice_eq(buf_slice(&reply.headers), SLICE("Allow: GET, HEAD, OPTIONS\r\n")));
                file_reply_fini(&reply);
        }
        DECIDE(&reply, "OPTIONS");
        assert_int_equal(reply.status, 204);
        assert_false(reply.has_body);
        assert_string_equal(line_of(&reply, "Allow"), "GET, HEAD, OPTIONS");
        file_reply_fini(&reply);
}

static void compares_if_none_match_weakly(void **state)
{
        char weak[80], list[160], joined[160];

        snprintf(weak, sizeof(weak), "W/%s", etag);
        snprintf(list, sizeof(list), "\"a,b\" ,, W/\"x\"\t,%s", weak);
        snprintf(joined, sizeof(joined), "\"x\"%s", etag);
        STATUS(304, "GET", "If-None-Match", etag);
        STATUS(304, "GET", "if-none-match", weak);
        STATUS(304, "GET", "If-None-Match", "*");
        STATUS(304, "GET", "If-None-Match", list);
        STATUS(304, "GET", "If-None-Match", "\"x\"", "If-None-Match", etag);
        STATUS(200, "GET", "If-None-Match", "\"x\"");
        STATUS(200, "GET", "If-None-Match", "");
        STATUS(200, "GET", "If-None-Match", "\"\"");
        STATUS(200, "GET", "If-None-Match", "\"unclosed");
        STATUS(200, "GET", "If-None-Match", "W/");
        STATUS(200, "GET", "If-None-Match", "W");
        STATUS(200, "GET", "If-None-Match", "x, *");
        STATUS(200, "GET", "If-None-Match", joined);
        STATUS(200, "GET", "If-None-Match", "\", *,\"");
}

static void compares_if_match_strongly(void **state)
{
        char weak[80], list[160];

        snprintf(weak, sizeof(weak), "W/%s", etag);
        snprintf(list, sizeof(list), "\"x\", %s", etag);
        STATUS(200, "GET", "If-Match", etag);
        STATUS(200, "GET", "If-Match", "*");
        STATUS(200, "GET", "If-Match", list);
        STATUS(412, "GET", "If-Match", weak);
        STATUS(412, "GET", "If-Match", "\"x\"");
        STATUS(412, "GET", "If-Match", "");
        STATUS(412, "HEAD", "If-Match", "\"x\"");
        STATUS(412, "GET", "If-Match", "garbage");
}

static void compares_dates_to_the_second(void **state)
{
        STATUS(304, "GET", "If-Modified-Since", MODIFIED);
        STATUS(304, "GET", "If-Modified-Since", AFTER);
        STATUS(200, "GET", "If-Modified-Since", BEFORE);
        STATUS(304, "GET", "If-Modified-Since", "Sunday, 06-Nov-94 08:49:37 GMT");
        STATUS(304, "GET", "If-Modified-Since", "Sun Nov  6 08:49:37 1994");
        STATUS(200, "GET", "If-Modified-Since", "yesterday");
        STATUS(200, "GET", "If-Modified-Since", MODIFIED, "If-Modified-Since",
               MODIFIED); /* not a list field */
        STATUS(200, "GET", "If-Unmodified-Since", MODIFIED);
        STATUS(200, "GET", "If-Unmodified-Since", AFTER);
        STATUS(412, "GET", "If-Unmodified-Since", BEFORE);
        STATUS(200, "GET", "If-Unmodified-Since", "yesterday");
}

static void takes_conditions_in_their_order(void **state)
{
        /* If-Match before If-Unmodified-Since, which is then not looked at */
        STATUS(200, "GET", "If-Unmodified-Since", BEFORE, "If-Match", etag);
        STATUS(412, "GET", "If-Unmodified-Since", AFTER, "If-Match", "\"x\"");
        /* a failed precondition before not-modified */
        STATUS(412, "GET", "If-None-Match", etag, "If-Match", "\"x\"");
        STATUS(412, "GET", "If-None-Match", etag, "If-Unmodified-Since", BEFORE);
        STATUS(304, "GET", "If-None-Match", etag, "If-Match", etag);
        /* If-None-Match before If-Modified-Since, which is then not looked at */
        STATUS(200, "GET", "If-Modified-Since", AFTER, "If-None-Match", "\"x\"");
        STATUS(304, "GET", "If-Modified-Since", BEFORE, "If-None-Match", etag);
        /* all of them before the range */
        STATUS(304, "GET", "Range", "bytes=0-1", "If-None-Match", etag);
        STATUS(412, "GET", "Range", "bytes=5000-", "If-Match", "\"x\"");
        STATUS(206, "GET", "Range", "bytes=0-1", "If-None-Match", "\"x\"");
}

static void leaves_a_304_without_a_type(void **state)
{
        struct file_reply reply;

        DECIDE(&reply, "GET", "If-None-Match", etag);
        assert_string_equal(line_of(&reply, "Content-Type"), "");
        assert_string_equal(line_of(&reply, "ETag"), etag);
        assert_string_equal(line_of(&reply, "Last-Modified"), MODIFIED);
        file_reply_fini(&reply);
}

static void gives_one_range(void **state)
{
        static const struct {
                const char *range;
                uint64_t first, length;
                const char *content_range;
        } ranges[] = {
                { "bytes=0-0", 0, 1, "bytes 0-0/1000" },
                { "bytes=0-", 0, 1000, "bytes 0-999/1000" },
                { "bytes=999-", 999, 1, "bytes 999-999/1000" },
                { "bytes=100-199", 100, 100, "bytes 100-199/1000" },
                { "bytes=-1", 999, 1, "bytes 999-999/1000" },
                { "bytes=-5000", 0, 1000, "bytes 0-999/1000" },
                { "bytes=900-5000", 900, 100, "bytes 900-999/1000" },
                { "BYTES=1-2", 1, 2, "bytes 1-2/1000" },
        };

        for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
                struct file_reply reply;

                DECIDE(&reply, "GET", "Range", ranges[i].range);
                assert_int_equal(reply.status, 206);
                assert_true(reply.has_body);
                assert_int_equal(reply.first, ranges[i].first);
                assert_int_equal(reply.length, ranges[i].length);
                assert_string_equal(line_of(&reply, "Content-Range"), ranges[i].content_range);
                assert_string_equal(line_of(&reply, "ETag"), etag);
                assert_string_equal(line_of(&reply, "Content-Type"), "text/plain; charset=utf-8");
                file_reply_fini(&reply);
        }
}

static void sends_everything_for_ranges_it_does_not_take(void **state)
{
        STATUS(200, "GET", "Range", "bytes=0-1,3-4");
        STATUS(200, "GET", "Range", "bytes=5-1");
        STATUS(200, "GET", "Range", "bytes=");
        STATUS(200, "GET", "Range", "bytes=a-b");
        STATUS(200, "GET", "Range", "lines=0-1");
        STATUS(200, "GET", "Range", "bytes=0-1", "Range", "bytes=2-3");
}

static void says_when_a_range_is_beyond_the_end(void **state)
{
        struct file_reply reply;

        STATUS(416, "GET", "Range", "bytes=-0");
        DECIDE(&reply, "GET", "Range", "bytes=1000-");
        assert_int_equal(reply.status, 416);
        assert_string_equal(line_of(&reply, "Content-Range"), "bytes */1000");
        assert_string_equal(line_of(&reply, "Content-Type"), "");
        file_reply_fini(&reply);
}

static void honours_a_range_only_for_the_same_file(void **state)
{
        char weak[80];

        snprintf(weak, sizeof(weak), "W/%s", etag);
        STATUS(206, "GET", "Range", "bytes=0-1", "If-Range", etag);
        STATUS(206, "GET", "Range", "bytes=0-1", "If-Range", MODIFIED);
        STATUS(200, "GET", "Range", "bytes=0-1", "If-Range", weak);
        STATUS(200, "GET", "Range", "bytes=0-1", "If-Range", "\"x\"");
        STATUS(200, "GET", "Range", "bytes=0-1", "If-Range", BEFORE);
        STATUS(200, "GET", "Range", "bytes=0-1", "If-Range", AFTER);
        STATUS(200, "GET", "Range", "bytes=0-1", "If-Range", "garbage");
        STATUS(200, "GET", "Range", "bytes=5000-", "If-Range", "\"x\"");
        STATUS(200, "GET", "Range", "bytes=0-1", "If-Range", etag, "If-Range", etag);
        STATUS(200, "GET", "If-Range", etag);
}

static void writes_lines_for_any_size_and_time(void **state)
{
        struct stat odd = { .st_size = INT64_MAX,
                            .st_ino = UINT64_MAX,
                            .st_mtim = { .tv_sec = -1, .tv_nsec = 999999999 } };
        struct file_reply reply;

        decide_fields(&reply, "GET", &odd, (const char *const[]){ "Range", "bytes=-9", NULL });
        assert_int_equal(reply.status, 206);
        assert_string_equal(line_of(&reply, "Last-Modified"), "Wed, 31 Dec 1969 23:59:59 GMT");
        assert_string_equal(line_of(&reply, "Content-Range"),
                            "bytes 9223372036854775798-9223372036854775806/9223372036854775807");
        file_reply_fini(&reply);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(gives_the_whole_file),
                cmocka_unit_test(tells_head_what_get_would),
                cmocka_unit_test(makes_an_etag_of_time_size_and_inode),
                cmocka_unit_test(gives_an_empty_file),
                cmocka_unit_test(allows_only_reading),
                cmocka_unit_test(compares_if_none_match_weakly),
                cmocka_unit_test(compares_if_match_strongly),
                cmocka_unit_test(compares_dates_to_the_second),
                cmocka_unit_test(takes_conditions_in_their_order),
                cmocka_unit_test(leaves_a_304_without_a_type),
                cmocka_unit_test(gives_one_range),
                cmocka_unit_test(sends_everything_for_ranges_it_does_not_take),
                cmocka_unit_test(says_when_a_range_is_beyond_the_end),
                cmocka_unit_test(honours_a_range_only_for_the_same_file),
                cmocka_unit_test(writes_lines_for_any_size_and_time),
        };

        return cmocka_run_group_tests_name("file_reply", tests, learn_etag, NULL);
}
