/* The variables as php-cgi itself sees them. */
#include "run/cgi_env.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "rig.h"

static void assert_line(struct call *call, const char *line)
{
        char *wanted = mem_printf("\n%s\n", line), *text = mem_printf("\n%s", call_text(call));

        if (!strstr(text, wanted))
                fail_msg("no line %s in:%s", line, text);
        free(wanted);
        free(text);
}

static void assert_no(struct call *call, const char *part)
{
        if (strstr(call_text(call), part))
                fail_msg("%s in:\n%s", part, call_text(call));
}

static void replace(char **at, const char *with)
{
        free(*at);
        *at = mem_dup(with);
}

static void tells_the_request_line(void **state)
{
        struct call call;

        call_init(&call, *state, "GET", "/env.php/a%20b/c?x=1&y=%3F?z");
        free(call.request.target);
        call.request.target = mem_dup("/env.php/a b/c?x=1&y=%3F?z");
        call.path_info = "/a b/c";
        call_run(&call);
        assert_line(&call, "REQUEST_METHOD=GET");
        assert_line(&call, "REQUEST_URI=/env.php/a b/c?x=1&y=%3F?z");
        assert_line(&call, "QUERY_STRING=x=1&y=%3F?z");
        assert_line(&call, "DOCUMENT_ROOT=" TEST_SITE);
        assert_line(&call, "SCRIPT_FILENAME=" TEST_SITE "/env.php");
        assert_line(&call, "SCRIPT_NAME=/env.php");
        assert_line(&call, "PATH_INFO=/a b/c");
        assert_line(&call, "PATH_TRANSLATED=" TEST_SITE "/a b/c");
        assert_line(&call, "DOCUMENT_URI=/env.php/a b/c");
        assert_line(&call, "PHP_SELF=/env.php/a b/c");
        assert_line(&call, "GATEWAY_INTERFACE=CGI/1.1");
        assert_line(&call, "SERVER_PROTOCOL=HTTP/1.1");
        assert_line(&call, "SERVER_SOFTWARE=sendoff/" SENDOFF_VERSION);
        assert_line(&call, "REQUEST_SCHEME=http");
        assert_line(&call, "REDIRECT_STATUS=200");
        assert_no(&call, "HTTPS=");
        assert_no(&call, "CONTENT_LENGTH");
        assert_no(&call, "SENDOFF_JOB");
        call_fini(&call);
}

static void tells_a_script_without_path_info(void **state)
{
        struct call call;

        call_init(&call, *state, "GET", "/env.php");
        call.context.minor = 0;
        call.context.https = true;
        call_run(&call);
        assert_line(&call, "PHP_SELF=/env.php");
        assert_line(&call, "QUERY_STRING=");
        assert_line(&call, "SERVER_PROTOCOL=HTTP/1.0");
        assert_line(&call, "REQUEST_SCHEME=https");
        assert_line(&call, "HTTPS=on");
        assert_no(&call, "PATH_INFO=");
        assert_no(&call, "PATH_TRANSLATED=");
        call_fini(&call);
}

static void tells_addresses(void **state)
{
        struct call call;

        call_init(&call, *state, "GET", "/env.php");
        call_run(&call);
        assert_line(&call, "REMOTE_ADDR=192.0.2.7");
        assert_line(&call, "REMOTE_PORT=50412");
        assert_line(&call, "SERVER_ADDR=127.0.0.1");
        assert_line(&call, "SERVER_PORT=8080");
        assert_line(&call, "SERVER_NAME=example.test");
        assert_line(&call, "HTTP_HOST=example.test:8080");
        call_fini(&call);
}

static void strips_the_brackets_of_ipv6(void **state)
{
        struct call call;

        call_init(&call, *state, "GET", "/env.php");
        replace(&call.request.remote, "[2001:db8::7]:50412");
        replace(&call.request.local, "[::1]:8080");
        replace(&call.request.host, "[::1]:8080");
        call_run(&call);
        assert_line(&call, "REMOTE_ADDR=2001:db8::7");
        assert_line(&call, "REMOTE_PORT=50412");
        assert_line(&call, "SERVER_ADDR=::1");
        assert_line(&call, "SERVER_PORT=8080");
        assert_line(&call, "SERVER_NAME=[::1]");
        assert_line(&call, "HTTP_HOST=[::1]:8080");
        call_fini(&call);

        call_init(&call, *state, "GET", "/env.php");
        replace(&call.request.host, "[::1]");
        call_run(&call);
        assert_line(&call, "SERVER_NAME=[::1]");
        call_fini(&call);
}

static void gives_a_unix_socket_loopback_addresses(void **state)
{
        struct call call;

        call_init(&call, *state, "GET", "/env.php");
        replace(&call.request.remote, "unix:");
        replace(&call.request.local, "unix:");
        replace(&call.request.host, "");
        call_run(&call);
        assert_line(&call, "REMOTE_ADDR=127.0.0.1");
        assert_line(&call, "REMOTE_PORT=0");
        assert_line(&call, "SERVER_ADDR=127.0.0.1");
        assert_line(&call, "SERVER_PORT=80");
        assert_line(&call, "SERVER_NAME=localhost");
        assert_no(&call, "HTTP_HOST=");
        call_fini(&call);
}

static void tells_the_length_of_a_body(void **state)
{
        struct call call;

        call_init(&call, *state, "POST", "/env.php");
        call_header(&call, "Content-Type", "application/octet-stream");
        call_header(&call, "Content-Length", "99");
        call_body(&call, "12345", 5);
        call_run(&call);
        assert_line(&call, "CONTENT_LENGTH=5");
        assert_line(&call, "CONTENT_TYPE=application/octet-stream");
        assert_no(&call, "HTTP_CONTENT");
        call_fini(&call);

        call_init(&call, *state, "POST", "/env.php");
        call_run(&call);
        assert_line(&call, "CONTENT_LENGTH=0");
        call_fini(&call);

        call_init(&call, *state, "GET", "/env.php");
        call_body(&call, "1", 1);
        call_run(&call);
        assert_line(&call, "CONTENT_LENGTH=1");
        call_fini(&call);
}

static void tells_job_and_run(void **state)
{
        struct call call;

        call_init(&call, *state, "GET", "/env.php");
        call.context.job = "0000000100abcdefghjkmnpqrstv";
        call.context.run = 3;
        call_run(&call);
        assert_line(&call, "SENDOFF_JOB=0000000100abcdefghjkmnpqrstv");
        assert_line(&call, "SENDOFF_RUN=3");
        call_fini(&call);
}

static void hands_header_fields_on(void **state)
{
        char name[301] = "X-", *line;
        struct call call;

        memset(name + 2, 'n', 298);
        call_init(&call, *state, "GET", "/env.php");
        call_header(&call, "X-Forwarded-For", "192.0.2.1");
        call_header(&call, "accept", "*/*");
        call_header(&call, "X-Empty", "");
        call_header(&call, "Host", "other.test");
        call_header(&call, name, "long");
        call_run(&call);
        assert_line(&call, "HTTP_X_FORWARDED_FOR=192.0.2.1");
        assert_line(&call, "HTTP_ACCEPT=*/*");
        assert_line(&call, "HTTP_X_EMPTY=");
        assert_line(&call, "HTTP_HOST=example.test:8080");
        memset(name + 2, 'N', 298);
        line = mem_printf("HTTP_X_%s=long", name + 2);
        assert_line(&call, line);
        free(line);
        call_fini(&call);
}

static void joins_repeated_fields(void **state)
{
        struct call call;

        call_init(&call, *state, "GET", "/env.php");
        call_header(&call, "X-List", "a");
        call_header(&call, "Cookie", "one=1");
        call_header(&call, "X-Other", "o");
        call_header(&call, "x-list", "b");
        call_header(&call, "cookie", "two=2");
        call_header(&call, "X-LIST", "c");
        call_header(&call, "X-Lis", "shorter");
        call_run(&call);
        assert_line(&call, "HTTP_X_LIST=a, b, c");
        assert_line(&call, "HTTP_X_LIS=shorter");
        assert_line(&call, "HTTP_X_OTHER=o");
        assert_line(&call, "HTTP_COOKIE=one=1; two=2");
        call_fini(&call);
}

static void drops_fields_that_would_pass_for_others(void **state)
{
        struct call call;

        call_init(&call, *state, "GET", "/env.php");
        call_header(&call, "X-Real-IP", "true");
        call_header(&call, "X_Real_IP", "false");
        call_header(&call, "X.Real-IP", "false");
        call_header(&call, "X-Real!IP", "false");
        call_header(&call, "X.Alone", "false");
        call_header(&call, "X_Alone", "false");
        call_run(&call);
        assert_line(&call, "HTTP_X_REAL_IP=true");
        assert_no(&call, "false");
        call_fini(&call);
}

static void lets_php_decode_authorization(void **state)
{
        struct call call;

        call_init(&call, *state, "GET", "/env.php");
        call_header(&call, "Authorization", "Basic dXNlcjpwYXNz");
        call_run(&call);
        assert_line(&call, "HTTP_AUTHORIZATION=Basic dXNlcjpwYXNz");
        assert_line(&call, "PHP_AUTH_USER=user");
        assert_line(&call, "PHP_AUTH_PW=pass");
        call_fini(&call);
}

static void passes_180_kb_of_variables(void **state)
{
        char name[32], value[1001];
        struct call call;

        memset(value, 'v', sizeof(value) - 1);
        value[sizeof(value) - 1] = '\0';
        call_init(&call, *state, "GET", "/env.php");
        for (int i = 0; i < 180; i++) {
                snprintf(name, sizeof(name), "X-Many-%d", i);
                value[0] = (char)('a' + i % 26);
                call_header(&call, name, value);
        }
        call_run(&call);
        assert_int_equal(call.how.outcome, RUN_SUCCEEDED);
        for (int i = 0; i < 180; i++) {
                char *line;

                value[0] = (char)('a' + i % 26);
                line = mem_printf("HTTP_X_MANY_%d=%s", i, value);
                assert_line(&call, line);
                free(line);
        }
        call_fini(&call);
}

static void passes_the_longest_pair_and_refuses_a_longer_one(void **state)
{
        const size_t most = FCGI_RECORD_MAX - 1 - 4 - strlen("HTTP_X_LONG");
        char *value = mem_alloc(most + 2);
        struct cause cause = { "" };
        struct call call;

        memset(value, 'v', most);
        call_init(&call, *state, "GET", "/env.php");
        call_header(&call, "X-Long", value);
        call_run(&call);
        assert_int_equal(call.how.outcome, RUN_SUCCEEDED);
        assert_non_null(strstr(call_text(&call), value));
        call_fini(&call);

        value[most] = 'v';
        call_init(&call, *state, "GET", "/env.php");
        call_header(&call, "X-Long", value);
        assert_int_equal(call_try(&call, &cause), FCGI_PAIR_TOO_LONG);
        assert_non_null(strstr(cause.text, "HTTP_X_LONG"));
        assert_non_null(strstr(cause.text, "65535"));
        call_fini(&call);
        free(value);
}

static void refuses_more_than_a_mebibyte_of_variables(void **state)
{
        char name[32], *value = mem_alloc(60001);
        struct cause cause = { "" };
        struct call call;

        memset(value, 'v', 60000);
        call_init(&call, *state, "GET", "/env.php");
        call.headers_in.max = 4 << 20;
        for (int i = 0; i < 20; i++) {
                snprintf(name, sizeof(name), "X-Many-%d", i);
                call_header(&call, name, value);
        }
        assert_int_equal(call_try(&call, &cause), BUF_FULL);
        assert_non_null(strstr(cause.text, "1048576"));
        call_fini(&call);
        free(value);
}

/* Each field looked for among all the others would take minutes. */
static void takes_fifty_thousand_fields_of_one_name(void **state)
{
        struct call call;

        call_init(&call, *state, "GET", "/env.php");
        for (int i = 0; i < 20000; i++)
                call_header(&call, "X", "");
        for (int i = 0; i < 30000; i++)
                call_header(&call, "_", "");
        call_run(&call);
        assert_int_equal(call.how.outcome, RUN_SUCCEEDED);
        assert_non_null(strstr(call_text(&call), "HTTP_X=, , , "));
        call_fini(&call);
}

/* ---- as they go over the wire ---- */

static void encode(struct fcgi_params *params, const struct cgi_script *script, char *headers)
{
        char method[] = "GET", target[] = "/a/b?c", host[] = "h", address[] = "unix:";
        struct job_request request = { .method = method,
                                       .target = target,
                                       .headers = headers,
                                       .host = host,
                                       .remote = address,
                                       .local = address };
        const struct cgi_context context = { .minor = 1 };
        struct cgi_sink sink = cgi_sink_params(params);
        struct cause cause = { "" };

        fcgi_params_init(params, 1);
        assert_int_equal(cgi_env_build(&sink, &request, script, &context, &cause), 0);
        assert_int_equal(fcgi_params_end(params), 0);
}

static bool has_bytes(const struct fcgi_params *params, struct slice bytes)
{
        struct slice all = buf_slice(&params->out);

        return memmem(all.ptr, all.len, bytes.ptr, bytes.len) != NULL;
}

static void one_program_has_an_empty_script_name(void **state)
{
        const struct cgi_script script = { "/srv", "/srv", "", "/a/b" };
        struct fcgi_params params;
        char none[] = "";

        encode(&params, &script, none);
        assert_true(has_bytes(&params, SLICE("\x0b\x00SCRIPT_NAME")));
        assert_true(has_bytes(&params, SLICE("\x09\x04PATH_INFO/a/b")));
        assert_true(has_bytes(&params, SLICE("\x0f\x08PATH_TRANSLATED/srv/a/b")));
        assert_true(has_bytes(&params, SLICE("\x0c\x04"
                                             "DOCUMENT_URI/a/b")));
        fcgi_params_fini(&params);
}

/* PHP drops it too; other programs do not. */
static void never_sends_http_proxy(void **state)
{
        const struct cgi_script script = { "/srv", "/srv/a.php", "/a.php", "" };
        char headers[] = "Proxy: http://evil.test\r\npROXY: http://evil.test\r\nX-Proxy: fine\r\n";
        struct fcgi_params params;

        encode(&params, &script, headers);
        assert_false(has_bytes(&params, SLICE("evil")));
        assert_true(has_bytes(&params, SLICE("HTTP_X_PROXYfine")));
        fcgi_params_fini(&params);
}

static int tests(void)
{
        const struct CMUnitTest all[] = {
                cmocka_unit_test(tells_the_request_line),
                cmocka_unit_test(tells_a_script_without_path_info),
                cmocka_unit_test(tells_addresses),
                cmocka_unit_test(strips_the_brackets_of_ipv6),
                cmocka_unit_test(gives_a_unix_socket_loopback_addresses),
                cmocka_unit_test(tells_the_length_of_a_body),
                cmocka_unit_test(tells_job_and_run),
                cmocka_unit_test(hands_header_fields_on),
                cmocka_unit_test(joins_repeated_fields),
                cmocka_unit_test(drops_fields_that_would_pass_for_others),
                cmocka_unit_test(lets_php_decode_authorization),
                cmocka_unit_test(passes_180_kb_of_variables),
                cmocka_unit_test(passes_the_longest_pair_and_refuses_a_longer_one),
                cmocka_unit_test(refuses_more_than_a_mebibyte_of_variables),
                cmocka_unit_test(takes_fifty_thousand_fields_of_one_name),
                cmocka_unit_test(one_program_has_an_empty_script_name),
                cmocka_unit_test(never_sends_http_proxy),
        };

        return cmocka_run_group_tests(all, rig_setup_php, rig_teardown);
}

int main(int argc, char **argv)
{
        return rig_main(argc, argv, tests);
}
