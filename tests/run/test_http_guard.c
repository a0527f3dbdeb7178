/* run/http_guard.c: which addresses are refused, however they are spelt, and on every redirect. */
#include "http_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "run/http_guard.h"

static char *const metadata[] = { "169.254.0.0/16", "fe80::/10", "fd00:ec2::254", NULL };
static char *const loopback[] = { "127.0.0.0/8", "::1", NULL };

static bool refuses(char *const *deny, char *const *allow, const char *address)
{
        struct sockaddr_storage storage = { 0 };
        struct http_guard guard;
        struct cause cause = { "" };
        bool refused;

        storage.ss_family = strchr(address, ':') ? AF_INET6 : AF_INET;
        assert_int_equal(inet_pton(storage.ss_family, address,
                                   storage.ss_family == AF_INET
                                           ? (void *)&((struct sockaddr_in *)&storage)->sin_addr
                                           : (void *)&((struct sockaddr_in6 *)&storage)->sin6_addr),
                         1);
        assert_int_equal(http_guard_init(&guard, deny, allow, &cause), 0);
        refused = http_guard_refuses(&guard, (struct sockaddr *)&storage);
        http_guard_fini(&guard);
        http_guard_fini(&guard);
        return refused;
}

static void what_is_denied_is_refused_unless_it_is_allowed(void **state)
{
        char *const allow[] = { "127.0.0.1", NULL };

        assert_true(refuses(loopback, NULL, "127.0.0.1"));
        assert_true(refuses(loopback, NULL, "127.1.2.3"));
        assert_true(refuses(loopback, NULL, "::1"));
        assert_false(refuses(loopback, NULL, "10.0.0.1"));
        assert_false(refuses(NULL, NULL, "127.0.0.1"));
        assert_false(refuses(loopback, allow, "127.0.0.1"));
        assert_true(refuses(loopback, allow, "127.0.0.2"));
        assert_false(refuses(NULL, allow, "10.0.0.1"));
}

static void the_unspecified_address_is_the_loopback_address(void **state)
{
        char *const v4[] = { "127.0.0.0/8", NULL }, *const v6[] = { "::1", NULL };
        char *const any[] = { "0.0.0.0", "::", NULL };

        assert_true(refuses(v4, NULL, "0.0.0.0"));
        assert_true(refuses(v4, NULL, "::ffff:0.0.0.0"));
        assert_false(refuses(v4, NULL, "::"));
        assert_true(refuses(v6, NULL, "::"));
        assert_false(refuses(v6, NULL, "0.0.0.0"));
        assert_true(refuses(any, NULL, "0.0.0.0"));
        assert_true(refuses(any, NULL, "::"));
        assert_false(refuses(any, NULL, "127.0.0.1"));
        assert_false(refuses(any, loopback, "127.0.0.1"));
}

static void a_malformed_list_is_told(void **state)
{
        char *const wrong[] = { "127.0.0.0/8", "nonsense", NULL };
        struct http_guard guard;
        struct cause cause = { "" };

        assert_int_equal(http_guard_init(&guard, wrong, NULL, &cause), -EINVAL);
        assert_non_null(strstr(cause.text, "nonsense"));
        assert_int_equal(http_guard_init(&guard, NULL, wrong, &cause), -EINVAL);
}

static void a_desk_with_a_malformed_list_is_none(void **state)
{
        char *const wrong[] = { "10.0.0.1/8", NULL };
        struct http_config config = bench_config();
        struct http_desk *desk = (void *)&config;
        struct cause cause = { "" };

        config.deny = wrong;
        assert_int_equal(http_new(&desk, &config, &cause), -EINVAL);
        assert_null(desk);
        assert_string_equal(cause.text, "'10.0.0.1/8' has bits set below its mask");
}

/* ---- over the wire ---- */

static void open_with(struct bench *bench, char *const *deny, char *const *allow, unsigned redirects)
{
        struct http_config config = bench_config();

        config.deny = deny;
        config.allow = allow;
        config.redirects_max = redirects;
        bench_open(bench, &config);
}

static void assert_refused(struct bench *bench, const char *url, const char *reason)
{
        struct call call;

        call_init(&call, bench, "GET", url);
        call_run(&call);
        assert_int_equal(call.how.outcome, RUN_FAILED);
        assert_false(call.how.may_pass);
        assert_false(call.headed);
        assert_reason(&call, reason);
        call_fini(&call);
}

static void every_spelling_of_a_refused_address_is_refused(void **state)
{
        static const char *const hosts[] = { "169.254.169.254",     "2852039166",          "0xa9fea9fe",
                                             "0xA9.0xFE.0xA9.0xFE", "0251.0376.0251.0376", "025177524776",
                                             "169.254.43518",       "169.16689662" };
        struct bench bench;

        open_with(&bench, metadata, NULL, 0);
        for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
                char *url = mem_printf("http://%s:8/latest/meta-data/", hosts[i]);

                assert_refused(&bench, url, "169.254.169.254 is refused (option http_deny)");
                free(url);
        }
        bench_close(&bench);
}

static void every_wrapping_of_a_refused_address_is_refused(void **state)
{
        static const struct {
                const char *url, *reason;
        } cases[] = {
                { "http://[::ffff:169.254.169.254]/",
                  "::ffff:169.254.169.254 is refused (option http_deny)" },
                { "http://[::ffff:a9fe:a9fe]:80/",
                  "::ffff:169.254.169.254, the address of [::ffff:a9fe:a9fe], "
                  "is refused (option http_deny)" },
                { "http://[64:ff9b::a9fe:a9fe]/", "64:ff9b::a9fe:a9fe is refused (option http_deny)" },
                { "https://[2002:a9fe:a9fe::1]/", "2002:a9fe:a9fe::1 is refused (option http_deny)" },
                { "http://[fe80::1]/", "fe80::1 is refused (option http_deny)" },
                { "http://user:secret@[fd00:ec2::254]/", "fd00:ec2::254 is refused (option http_deny)" },
        };
        struct bench bench;

        open_with(&bench, metadata, NULL, 0);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                assert_refused(&bench, cases[i].url, cases[i].reason);
        bench_close(&bench);
}

static void a_name_is_refused_by_its_address(void **state)
{
        struct bench bench;
        struct call call;
        char *url;

        open_with(&bench, loopback, NULL, 0);
        url = mem_printf("http://localhost:%d/", bench.origin.port);
        call_init(&call, &bench, "GET", url);
        call_run(&call);
        assert_int_equal(call.how.outcome, RUN_FAILED);
        assert_false(call.how.may_pass);
        assert_non_null(strstr(call.how.reason, ", the address of localhost, is refused (option http_deny)"));
        assert_int_equal(bench.origin.accepted, 0);
        call_fini(&call);
        free(url);
        bench_close(&bench);
}

static void no_spelling_of_the_loopback_address_is_left(void **state)
{
        static const char *const hosts[] = { "127.0.0.1",    "127.1",  "2130706433", "0",
                                             "0.0.0.0",      "[::1]",  "[::]",       "[::ffff:127.0.0.1]",
                                             "[::ffff:0:0]", "0x7f.1", "127.0.0.1." };
        struct bench bench;

        open_with(&bench, loopback, NULL, 0);
        for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
                char *url = mem_printf("http://%s:%d/", hosts[i], bench.origin.port);
                struct call call;

                call_init(&call, &bench, "GET", url);
                call_run(&call);
                assert_int_equal(call.how.outcome, RUN_FAILED);
                if (!strstr(call.how.reason, "is refused (option http_deny)"))
                        assert_non_null(strstr(call.how.reason, "cannot be resolved"));
                call_fini(&call);
                free(url);
        }
        assert_int_equal(bench.origin.accepted, 0);
        bench_close(&bench);
}

static void what_is_allowed_is_asked(void **state)
{
        char *const allow[] = { "127.0.0.1", NULL };
        struct bench bench;
        struct call call;

        open_with(&bench, loopback, allow, 0);
        bench.origin.answer = origin_hello;
        call_init(&call, &bench, "GET", "/");
        call_run(&call);
        assert_answered(&call, 200);
        call_fini(&call);
        bench_close(&bench);
}

static void lead_to_metadata(struct visit *v)
{
        visit_say(v,
                  "HTTP/1.1 302 Found\r\nLocation: http://2852039166/latest/\r\nContent-Length: 0\r\n\r\n");
}

static void a_redirect_to_a_refused_address_is_refused(void **state)
{
        struct bench bench;

        open_with(&bench, metadata, NULL, 5);
        bench.origin.answer = lead_to_metadata;
        assert_refused(&bench, "/", "169.254.169.254 is refused (option http_deny)");
        assert_int_equal(bench.origin.requests, 1);
        bench_close(&bench);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_denied_is_refused_unless_it_is_allowed),
                cmocka_unit_test(the_unspecified_address_is_the_loopback_address),
                cmocka_unit_test(a_malformed_list_is_told),
                cmocka_unit_test(a_desk_with_a_malformed_list_is_none),
                cmocka_unit_test(every_spelling_of_a_refused_address_is_refused),
                cmocka_unit_test(every_wrapping_of_a_refused_address_is_refused),
                cmocka_unit_test(a_name_is_refused_by_its_address),
                cmocka_unit_test(no_spelling_of_the_loopback_address_is_left),
                cmocka_unit_test(what_is_allowed_is_asked),
                cmocka_unit_test(a_redirect_to_a_refused_address_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
