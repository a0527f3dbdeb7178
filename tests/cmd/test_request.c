/* cmd/request.h and cmd/body.h: the same flags are given to us and to curl, and both requests compared; then
 * what only we refuse. */
#include "cmd/request.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "net/http1.h"
#include "player.h"

#define LENGTH(array) (sizeof(array) / sizeof(array[0]))
#define FLAGS_MAX     12

struct fixture {
        struct request q;
        struct cause cause;
        char folder[64];
        char *old_folder;
};

/* ---- a folder with files to send ---- */

static void write_file(const char *name, const char *bytes, size_t len)
{
        int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, bytes, len), len);
        close(fd);
}

static int setup(void **state)
{
        struct fixture *f = mem_alloc(sizeof(*f));

        strcpy(f->folder, "/tmp/sendoff-request-XXXXXX");
        f->old_folder = getcwd(NULL, 0);
        *state = f;
        if (!mkdtemp(f->folder) || chdir(f->folder) < 0)
                return -1;
        write_file("lines.txt", "a=1\r\nb=2\nc", 10);
        write_file("page.HTML", "<p>", 3);
        write_file("data.bin", "\0\1\xff\r\n--x", 8);
        write_file("quo\"te;x.png", "png", 3);
        write_file("empty", "", 0);
        write_file("headers", "X-File: 1\r\n\nX-Other:  two words \n", 33);
        return request_init(&f->q, &f->cause);
}

static int teardown(void **state)
{
        static const char *const names[] = { "lines.txt",     "page.HTML", "data.bin",
                                             "quo\"te;x.png", "empty",     "headers" };
        struct fixture *f = *state;

        request_fini(&f->q);
        request_fini(&f->q);
        for (size_t i = 0; i < LENGTH(names); i++)
                unlink(names[i]);
        assert_int_equal(chdir(f->old_folder), 0);
        rmdir(f->folder);
        free(f->old_folder);
        free(f);
        return 0;
}

/* ---- flags ---- */

static int apply(struct request *q, const char *flag, const char *value, struct cause *cause)
{
        if (strcmp(flag, "-d") == 0)
                return request_data(q, BODY_DATA, value, cause);
        if (strcmp(flag, "--data-raw") == 0)
                return request_data(q, BODY_RAW, value, cause);
        if (strcmp(flag, "--data-binary") == 0)
                return request_data(q, BODY_BINARY, value, cause);
        if (strcmp(flag, "--data-urlencode") == 0)
                return request_data(q, BODY_URLENCODE, value, cause);
        if (strcmp(flag, "-F") == 0)
                return request_data(q, BODY_FORM, value, cause);
        if (strcmp(flag, "-X") == 0)
                return request_method(q, value, cause);
        if (strcmp(flag, "-H") == 0)
                return request_header(q, value, cause);
        if (strcmp(flag, "-b") == 0)
                return request_cookie(q, value, cause);
        assert_string_equal(flag, "-u");
        return request_user(q, value, cause);
}

static int apply_all(struct request *q, const char *const *flags, struct cause *cause)
{
        int r = 0;

        for (; *flags && r == 0; flags++) {
                if (strcmp(*flags, "-G") == 0) {
                        q->as_get = true;
                } else {
                        r = apply(q, flags[0], flags[1], cause);
                        flags++;
                }
        }
        return r ? r : request_finish(q, cause);
}

static char *body_of(const struct request *q, size_t *len)
{
        char *bytes;

        *len = q->body.any ? (size_t)q->body.spool.len : 0;
        bytes = mem_alloc(*len + 1);
        assert_int_equal(spool_read(&q->body.spool, 0, bytes, *len), *len);
        return bytes;
}

static struct slice our_header(const struct request *q, const char *name)
{
        struct slice rest = buf_slice(&q->headers);
        struct http1_header h;

        while (http1_block_next(&rest, &h))
                if (slice_eq_nocase(h.name, slice_of(name)))
                        return h.value;
        return (struct slice){ "", 0 };
}

/* ---- curl ---- */

static void run_curl(const char *socket, const char *target, const char *const *flags)
{
        const char *argv[FLAGS_MAX * 2 + 12] = { "curl",          "-q",  "-s", "-o", "/dev/null",
                                                 "--unix-socket", socket };
        char *url = mem_printf("http://localhost%s", target);
        int argc = 7, status;
        pid_t pid;

        while (*flags)
                argv[argc++] = *flags++;
        argv[argc++] = "-H";
        argv[argc++] = "Expect:";
        argv[argc++] = url;
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                execvp("curl", (char *const *)(uintptr_t)argv);
                _exit(127);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        free(url);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
                skip();
        assert_int_equal(status, 0);
}

/* A boundary is anybody's choice: every occurrence becomes '@'. */
static char *without_boundary(struct slice bytes, struct slice type, size_t *len)
{
        const char *at = type.len ? memmem(type.ptr, type.len, "boundary=", 9) : NULL;
        struct slice boundary = { "", 0 };
        char *out = mem_alloc(bytes.len + 1);

        if (at)
                boundary = slice_from(type, (size_t)(at - type.ptr) + 9);
        *len = 0;
        while (bytes.len > 0) {
                if (boundary.len && slice_starts(bytes, boundary)) {
                        out[(*len)++] = '@';
                        bytes = slice_from(bytes, boundary.len);
                } else {
                        out[(*len)++] = *bytes.ptr;
                        bytes = slice_from(bytes, 1);
                }
        }
        return out;
}

/* Every byte visible, so that a difference can be read. */
static char *readable(struct slice bytes)
{
        char *out = mem_alloc(4 * bytes.len + 1), *end = out;

        for (size_t i = 0; i < bytes.len; i++)
                end += sprintf(end, bytes.ptr[i] >= 0x20 && bytes.ptr[i] < 0x7f ? "%c" : "\\x%02x",
                               (unsigned char)bytes.ptr[i]);
        return out;
}

static void expect_same_text(struct slice ours, struct slice curls)
{
        char *x = readable(ours), *y = readable(curls);

        assert_string_equal(x, y);
        free(x);
        free(y);
}

static void expect_same_body(const struct request *q, const struct player *p)
{
        struct slice our_type = our_header(q, "Content-Type"), type = player_header(p, 0, "Content-Type");
        size_t len, our_len, raw;
        char *body = body_of(q, &raw);
        char *ours = without_boundary((struct slice){ body, raw }, our_type, &our_len);
        char *theirs = without_boundary(player_body(p, 0), type, &len);

        if (memmem(type.ptr, type.len, "multipart/", 10))
                assert_true(slice_starts(our_type, SLICE("multipart/form-data; boundary=")));
        else
                expect_same_text(our_type, type);
        expect_same_text((struct slice){ ours, our_len }, (struct slice){ theirs, len });
        free(body);
        free(ours);
        free(theirs);
}

static void compare(const char *target, const char *const *flags)
{
        static const struct play play = { .bytes = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
                                          .close = true };
        static const char *const names[] = { "Cookie", "Authorization", "X-One",  "X-Two",
                                             "X-File", "X-Other",       "X-Empty" };
        struct cause cause = { "" };
        struct player p;
        struct request q;
        char *path, *line;

        player_start(&p, &play, 1);
        run_curl(p.path, target, flags);
        player_stop(&p);
        assert_int_equal(p.played, 1);
        assert_int_equal(request_init(&q, &cause), 0);
        assert_int_equal(apply_all(&q, flags, &cause), 0);
        path = request_path(&q, target);
        line = mem_printf("%s %s HTTP/1.1", q.method, path + strlen("/v1/send"));
        expect_same_text(slice_of(line), player_line(&p, 0));
        for (size_t i = 0; i < LENGTH(names); i++)
                expect_same_text(our_header(&q, names[i]), player_header(&p, 0, names[i]));
        expect_same_body(&q, &p);
        free(line);
        free(path);
        request_fini(&q);
        player_fini(&p);
}

static void compare_all(const char *const (*flags)[FLAGS_MAX], size_t count)
{
        for (size_t i = 0; i < count; i++)
                compare("/x", flags[i]);
}

/* ---- the same as curl ---- */

static void data_is_joined_and_read_as_curl_does(void **state)
{
        static const char *const flags[][FLAGS_MAX] = {
                { NULL },
                { "-d", "a=1" },
                { "-d", "a=1", "-d", "b=2", "-d", "c" },
                { "-d", "" },
                { "-d", "", "-d", "a=1" },
                { "-d", "a=ü &" },
                { "-d", "@lines.txt" },
                { "-d", "@lines.txt", "-d", "x=y" },
                { "-d", "a=@lines.txt" },
                { "-d", "@empty" },
                { "--data-raw", "@lines.txt", "--data-raw", "b" },
                { "--data-binary", "@lines.txt" },
                { "--data-binary", "@data.bin", "--data-binary", "a\nb", "-d", "c" },
                { "-X", "PUT", "-d", "a" },
                { "-X", "DELETE" },
                { "-X", "GET", "-d", "a" },
        };

        (void)state;
        compare_all(flags, LENGTH(flags));
}

static void urlencoding_follows_curls_rules(void **state)
{
        static const char *const flags[][FLAGS_MAX] = {
                { "--data-urlencode", "a b&c=d" },
                { "--data-urlencode", "content only & more" },
                { "--data-urlencode", "=content=with=signs" },
                { "--data-urlencode", "name=va lue&+%/" },
                { "--data-urlencode", "name=" },
                { "--data-urlencode", "=" },
                { "--data-urlencode", "n m=v" },
                { "--data-urlencode", "who=ada@example.org" },
                { "--data-urlencode", "a@b=c" },
                { "--data-urlencode", "@lines.txt" },
                { "--data-urlencode", "name@lines.txt" },
                { "--data-urlencode", "name@data.bin" },
                { "--data-urlencode", "a=ü ~-._*'()" },
                { "--data-urlencode", "a= x  y " },
                { "--data-urlencode", "a=1", "-d", "b=2", "--data-urlencode", "c=3 4" },
        };

        (void)state;
        compare_all(flags, LENGTH(flags));
}

static void forms_are_the_multipart_that_curl_writes(void **state)
{
        static const char *const flags[][FLAGS_MAX] = {
                { "-F", "a=1" },
                { "-F", "a=1", "-F", "b=2 ü\r\n", "-F", "a=3" },
                { "-F", "a=" },
                { "-F", "up=@lines.txt" },
                { "-F", "up=@data.bin", "-F", "note=x" },
                { "-F", "up=@page.HTML" },
                { "-F", "up=@empty" },
                { "-F", "up=@./lines.txt" },
                { "-F", "up=@lines.txt;type=text/csv" },
                { "-F", "up=@lines.txt;filename=other.pdf" },
                { "-F", "up=@data.bin;filename=other.pdf;type=image/x" },
                { "-F", "up=@data.bin; type=text/plain; filename=a b" },
                { "-F", "up=@data.bin;filename=\"q\\\"uo;te.txt\"" },
                { "-F", "up=@\"quo\\\"te;x.png\"" },
                { "-F", "up=<lines.txt" },
                { "-F", "up=<page.HTML" },
                { "-F", "up=<data.bin;type=text/x" },
                { "-F", "a=1;type=text/html" },
                { "-F", "a=1;type=text/html;charset=utf-8" },
                { "-F", "a=1;filename=x.txt" },
                { "-F", "a=\"quoted; so\";type=text/html" },
                { "-F", "a=\"quoted; so\"" },
                { "-F", "q\"n=1" },
        };

        (void)state;
        compare_all(flags, LENGTH(flags));
}

static void header_flags_mean_what_they_mean_in_curl(void **state)
{
        static const char *const flags[][FLAGS_MAX] = {
                { "-H", "X-One: 1", "-H", "X-Two:two words  " },
                { "-H", "X-Empty;" },
                { "-H", "@headers" },
                { "-H", "Content-Type: text/plain", "-d", "a" },
                { "-H", "content-type:", "-d", "a" },
                { "-d", "a", "-H", "content-type: text/x" },
                { "-b", "a=1" },
                { "-b", "a=1; b=2" },
                { "-b", "a=1", "-H", "Cookie: z=9" },
                { "-u", "ada:secret" },
                { "-u", "ada:" },
                { "-u", "a:b:c" },
                { "-u", "ab:1", "-u", "ada:ü12" },
                { "-u", "ada:secret", "-H", "Authorization: Bearer x" },
        };

        (void)state;
        compare_all(flags, LENGTH(flags));
}

static void get_puts_the_data_into_the_query(void **state)
{
        static const char *const flags[][FLAGS_MAX] = {
                { "-G", "-d", "a=1", "-d", "b=2" },
                { "-G", "--data-urlencode", "a=x y" },
                { "-d", "a=1", "-G", "-X", "DELETE" },
        };
        static const char *const targets[] = { "/x", "/x?y=1", "/x?" };

        (void)state;
        for (size_t i = 0; i < LENGTH(targets); i++)
                for (size_t k = 0; k < LENGTH(flags); k++)
                        compare(targets[i], flags[k]);
}

/* ---- our own ---- */

/* Here curl 7.88 does not do what its manual says, and we do. */
static void line_ends_and_nul_bytes_are_stripped_and_an_empty_file_keeps_its_name(void **state)
{
        static const char *const flags[] = { "-d", "@data.bin", "--data-urlencode", "name@empty", NULL };
        struct fixture *f = *state;
        size_t len;
        char *body;

        assert_int_equal(apply_all(&f->q, flags, &f->cause), 0);
        body = body_of(&f->q, &len);
        assert_string_equal(body, "\1\xff--x&name=");
        free(body);
}

static void several_cookies_are_one_field(void **state)
{
        static const char *const flags[] = { "-b", "a=1", "-b", "b=2", NULL };
        struct fixture *f = *state;

        assert_int_equal(apply_all(&f->q, flags, &f->cause), 0);
        expect_same_text(our_header(&f->q, "cookie"), SLICE("a=1; b=2"));
}

static void a_value_with_semicolons_is_kept_whole(void **state)
{
        static const char *const flags[] = { "-F", "a=b;c; d", NULL };
        struct fixture *f = *state;
        size_t len;
        char *body;

        assert_int_equal(apply_all(&f->q, flags, &f->cause), 0);
        body = body_of(&f->q, &len);
        assert_non_null(strstr(body, "name=\"a\"\r\n\r\nb;c; d\r\n--"));
        free(body);
}

static void a_large_upload_goes_to_a_file_not_to_memory(void **state)
{
        static const char *const flags[] = { "-F", "up=@big", NULL };
        size_t size = 3 << 20, len, head;
        struct fixture *f = *state;
        char *bytes = mem_alloc(size), *body, *at;

        for (size_t i = 0; i < size; i++)
                bytes[i] = (char)(i * 31 + i / 509);
        write_file("big", bytes, size);
        assert_int_equal(apply_all(&f->q, flags, &f->cause), 0);
        unlink("big");
        assert_true(f->q.body.spool.fd >= 0);
        body = body_of(&f->q, &len);
        at = strstr(body, "\r\n\r\n");
        assert_non_null(at);
        head = (size_t)(at - body) + 4;
        assert_memory_equal(body + head, bytes, size);
        assert_int_equal(len, head + size + 2 + 2 + 32 + 4);
        free(body);
        free(bytes);
}

static void refuses_with_a_sentence_what_cannot_be_sent(void **state)
{
        static const struct {
                const char *flags[FLAGS_MAX];
                const char *sentence;
        } bad[] = {
                { { "-X", "" }, "-X: '' is not a method" },
                { { "-X", "PO ST" }, "-X: 'PO ST' is not a method" },
                { { "-H", "nocolon" }, "-H takes 'Name: value', not 'nocolon'" },
                { { "-H", "" }, "-H takes" },
                { { "-H", ": x" }, "malformed" },
                { { "-H", "A B: x" }, "malformed" },
                { { "-H", "A: x\r\nB: y" }, "malformed" },
                { { "-H", "A: x\nB: y" }, "malformed" },
                { { "-H", "content-length: 5" }, "-H: Content-Length is not for you to give" },
                { { "-H", "Transfer-Encoding: chunked" }, "-H: Transfer-Encoding is not" },
                { { "-H", "Connection: close" }, "-H: Connection is not" },
                { { "-H", "Sendoff-Delay: 5" }, "-H: Sendoff-* fields are options of the job" },
                { { "-H", "Host: a", "-H", "host: b" }, "-H: there is a Host already" },
                { { "-H", "@no-such" }, "cannot read no-such" },
                { { "-b", "cookies.txt" }, "-b takes NAME=VALUE" },
                { { "-b", "a=1\r\nX: y" }, "malformed" },
                { { "-u", "ada" }, "-u takes USER:PASSWORD" },
                { { "-d", "@no-such" }, "cannot read no-such" },
                { { "-d", "@/tmp" }, "cannot read /tmp" },
                { { "--data-urlencode", "a@no-such" }, "cannot read no-such" },
                { { "-F", "up=@no-such" }, "cannot read no-such" },
                { { "-F", "noname" }, "-F takes name=value" },
                { { "-F", "=x" }, "-F takes name=value" },
                { { "-F", "up=@lines.txt;nonsense" }, "';nonsense' is neither" },
                { { "-F", "a=1;type=text/x\r\nX: y" }, "holds a control byte" },
                { { "-d", "a", "-F", "b=c" }, "-F does not go together with -d" },
                { { "-F", "b=c", "-d", "a" }, "-F does not go together with -d" },
                { { "-G", "-F", "b=c" }, "-G does not go together with -F" },
                { { "-G", "-d", "a b" }, "--data-urlencode encodes them" },
                { { "-G", "-d", "a#b" }, "--data-urlencode encodes them" },
        };
        struct fixture *f = *state;

        for (size_t i = 0; i < LENGTH(bad); i++) {
                request_fini(&f->q);
                assert_int_equal(request_init(&f->q, &f->cause), 0);
                f->cause.text[0] = '\0';
                assert_true(apply_all(&f->q, bad[i].flags, &f->cause) < 0);
                if (!strstr(f->cause.text, bad[i].sentence))
                        assert_string_equal(f->cause.text, bad[i].sentence);
        }
}

static void bounds_headers_cookies_and_query(void **state)
{
        struct fixture *f = *state;
        char *value = mem_alloc(JOB_HEADERS_MAX + 2), *header;

        memset(value, 'x', JOB_HEADERS_MAX + 1);
        value[0] = '=';
        header = mem_printf("A: %s", value);
        assert_int_equal(request_header(&f->q, header, &f->cause), -EMSGSIZE);
        assert_int_equal(request_cookie(&f->q, value, &f->cause), -EMSGSIZE);
        value[JOB_TARGET_MAX + 1] = '\0';
        f->q.as_get = true;
        assert_int_equal(request_data(&f->q, BODY_DATA, value, &f->cause), 0);
        assert_int_equal(request_finish(&f->q, &f->cause), -EMSGSIZE);
        assert_string_equal(f->cause.text, "-G: the data has 16385 bytes, a query has at most 16384");
        free(header);
        free(value);
}

static void a_target_is_a_clean_path_of_the_site_or_a_url(void **state)
{
        static const char *const good[] = {
                "/", "/a.php", "/a%20b?c=d&e", "/a?b=//c:;@!$'()*+,~", "http://example.org/", "https://x:8/?y"
        };
        static const char *const bad[] = { "",     "a.php",     "http://", "https:///x", "/a b",   "/a\tb",
                                           "/a#b", "/\xc3\xbc", "/a\r\nb", "/\x7f",      "exec:ls" };
        struct fixture *f = *state;

        for (size_t i = 0; i < LENGTH(good); i++)
                assert_int_equal(request_check_target(good[i], &f->cause), 0);
        for (size_t i = 0; i < LENGTH(bad); i++)
                assert_int_equal(request_check_target(bad[i], &f->cause), -EINVAL);
}

static void a_path_that_looks_otherwise_stays_a_path(void **state)
{
        static const struct {
                const char *target, *path;
        } rows[] = {
                { "/a.php", "/v1/send/a.php" },
                { "/", "/v1/send/" },
                { "http://x/y?z", "/v1/send/http://x/y?z" },
                { "/http://x/", "/v1/send//http://x/" },
                { "/https:", "/v1/send//https:" },
                { "/exec", "/v1/send//exec" },
                { "/exec?x", "/v1/send//exec?x" },
                { "/exec.php", "/v1/send/exec.php" },
                { "//x", "/v1/send///x" },
        };
        struct fixture *f = *state;
        struct request q;

        assert_int_equal(request_init(&q, &f->cause), 0);
        for (size_t i = 0; i < LENGTH(rows); i++) {
                char *path = request_path(&q, rows[i].target);

                assert_string_equal(path, rows[i].path);
                free(path);
        }
        request_fini(&q);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(data_is_joined_and_read_as_curl_does),
                TEST(urlencoding_follows_curls_rules),
                TEST(forms_are_the_multipart_that_curl_writes),
                TEST(header_flags_mean_what_they_mean_in_curl),
                TEST(get_puts_the_data_into_the_query),
                TEST(line_ends_and_nul_bytes_are_stripped_and_an_empty_file_keeps_its_name),
                TEST(several_cookies_are_one_field),
                TEST(a_value_with_semicolons_is_kept_whole),
                TEST(a_large_upload_goes_to_a_file_not_to_memory),
                TEST(refuses_with_a_sentence_what_cannot_be_sent),
                TEST(bounds_headers_cookies_and_query),
                TEST(a_target_is_a_clean_path_of_the_site_or_a_url),
                TEST(a_path_that_looks_otherwise_stays_a_path),
        };

        return cmocka_run_group_tests_name("cmd/request", tests, NULL, NULL);
}
