/* The Prefer field. */
#include "net/prefer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct prefer read_one(struct slice value)
{
        char *exact = malloc(value.len ? value.len : 1);
        struct prefer p = { 0 };

        assert_non_null(exact);
        memcpy(exact, value.ptr, value.len);
        prefer_add(&p, (struct slice){ exact, value.len });
        free(exact);
        return p;
}

static void hears_respond_async(void **state)
{
        static const struct slice yes[] = {
                SLICE("respond-async"),
                SLICE("Respond-ASYNC"),
                SLICE(" \trespond-async\t "),
                SLICE("respond-async;x=y"),
                SLICE("respond-async ; x"),
                SLICE("handling=lenient, respond-async"),
                SLICE(",,respond-async,,"),
                SLICE("foo=\"a,b\", respond-async"),
                SLICE("foo=\"a\\\",b\", respond-async"),
                SLICE("foo; bar=\"x,;\", respond-async"),
        };
        static const struct slice no[] = {
                SLICE(""),
                SLICE(","),
                SLICE("respond-asyn"),
                SLICE("respond-async2"),
                SLICE("respond async"),
                SLICE("foo=respond-async"),
                SLICE("foo;respond-async"),
                SLICE("foo=\"x, respond-async\""),
                SLICE("foo=\"x, respond-async"),
                SLICE("foo=\"x\\\", respond-async"),
                SLICE("\"respond-async\""),
        };

        for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
                if (!read_one(yes[i]).respond_async)
                        fail_msg("not heard: %.*s", SLICE_ARG(yes[i]));
        for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
                if (read_one(no[i]).respond_async)
                        fail_msg("heard: %.*s", SLICE_ARG(no[i]));
}

static void hears_how_long_to_wait(void **state)
{
        static const struct {
                struct slice value;
                uint32_t wait_s;
        } rows[] = {
                { SLICE("wait=10"), 10 },
                { SLICE("WAIT=0"), 0 },
                { SLICE("wait = 10"), 10 },
                { SLICE("wait=\"10\""), 10 },
                { SLICE("wait=10;foo=bar"), 10 },
                { SLICE("respond-async, wait=5"), 5 },
                { SLICE("wait=5,wait=9"), 5 },
                { SLICE("wait=007"), 7 },
                { SLICE("wait=4294967294"), UINT32_MAX - 1 },
                { SLICE("wait=4294967295"), UINT32_MAX },
                { SLICE("wait=4294967296"), UINT32_MAX },
                { SLICE("wait=99999999999999999999999999999"), UINT32_MAX },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct prefer p = read_one(rows[i].value);

                if (!p.has_wait || p.wait_s != rows[i].wait_s)
                        fail_msg("wrong about %.*s", SLICE_ARG(rows[i].value));
        }
}

static void ignores_a_wait_that_is_no_number(void **state)
{
        static const struct slice rows[] = {
                SLICE("wait"),     SLICE("wait="),     SLICE("wait=-1"),    SLICE("wait=+1"),
                SLICE("wait=1.5"), SLICE("wait=1 2"),  SLICE("wait=0x1"),   SLICE("wait=\"\""),
                SLICE("wait=\"1"), SLICE("wait=\"12"), SLICE("wait=12\""),  SLICE("wait=123\""),
                SLICE("wait=a"),   SLICE("waits=1"),   SLICE("foo;wait=1"), SLICE("foo=wait=1"),
                SLICE("wait;=1"),
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct prefer p = read_one(rows[i]);

                if (p.has_wait || p.wait_s != 0)
                        fail_msg("heard: %.*s", SLICE_ARG(rows[i]));
        }
}

static void takes_several_fields_as_one_list(void **state)
{
        struct prefer p = { 0 };

        prefer_add(&p, SLICE("wait=3"));
        assert_false(p.respond_async);
        prefer_add(&p, SLICE("respond-async"));
        prefer_add(&p, SLICE("wait=100"));
        prefer_add(&p, SLICE(""));
        assert_true(p.respond_async);
        assert_true(p.has_wait);
        assert_int_equal(p.wait_s, 3);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(hears_respond_async),
                cmocka_unit_test(hears_how_long_to_wait),
                cmocka_unit_test(ignores_a_wait_that_is_no_number),
                cmocka_unit_test(takes_several_fields_as_one_list),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
