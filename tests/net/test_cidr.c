/* net/cidr.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "net/cidr.h"

static bool holds(const char *range, const char *address)
{
        struct sockaddr_storage storage = { 0 };
        struct sockaddr_in *v4 = (struct sockaddr_in *)&storage;
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&storage;
        struct cause cause = { "" };
        struct cidr cidr;

        assert_int_equal(cidr_parse(range, &cidr, &cause), 0);
        if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
                v4->sin_family = AF_INET;
                v4->sin_port = htons(80);
        } else {
                assert_int_equal(inet_pton(AF_INET6, address, &v6->sin6_addr), 1);
                v6->sin6_family = AF_INET6;
                v6->sin6_port = htons(80);
        }
        return cidr_holds(&cidr, (struct sockaddr *)&storage);
}

static void a_range_holds_what_is_in_it(void **state)
{
        assert_true(holds("10.0.0.0/8", "10.0.0.0"));
        assert_true(holds("10.0.0.0/8", "10.255.255.255"));
        assert_false(holds("10.0.0.0/8", "9.255.255.255"));
        assert_false(holds("10.0.0.0/8", "11.0.0.0"));
        assert_true(holds("172.16.0.0/12", "172.31.255.255"));
        assert_false(holds("172.16.0.0/12", "172.32.0.0"));
        assert_true(holds("169.254.169.254", "169.254.169.254"));
        assert_false(holds("169.254.169.254", "169.254.169.255"));
        assert_true(holds("192.0.2.128/25", "192.0.2.255"));
        assert_false(holds("192.0.2.128/25", "192.0.2.127"));
        assert_true(holds("192.0.2.6/31", "192.0.2.7"));
        assert_false(holds("192.0.2.6/31", "192.0.2.8"));
        assert_true(holds("fe80::/10", "febf:ffff::1"));
        assert_false(holds("fe80::/10", "fec0::"));
        assert_true(holds("fd00:ec2::254", "fd00:ec2::254"));
        assert_false(holds("fd00:ec2::254", "fd00:ec2::255"));
        assert_true(holds("2001:db8::/127", "2001:db8::1"));
        assert_false(holds("2001:db8::/127", "2001:db8::2"));
}

static void all_addresses_of_a_family_are_a_range(void **state)
{
        assert_true(holds("0.0.0.0/0", "255.255.255.255"));
        assert_false(holds("0.0.0.0/0", "2001:db8::1"));
        assert_true(holds("::/0", "2001:db8::1"));
        assert_false(holds("::/0", "10.0.0.1"));
        assert_false(holds("::/1", "10.0.0.1"));
        assert_false(holds("::/80", "10.0.0.1"));
}

static void an_address_within_an_address_counts(void **state)
{
        static const char *const forms[] = { "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe",
                                             "2002:a9fe:a9fe::", "2002:a9fe:a9fe:1:2:3:4:5" };

        for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
                assert_true(holds("169.254.0.0/16", forms[i]));
                assert_true(holds("0.0.0.0/0", forms[i]));
                assert_false(holds("169.253.0.0/16", forms[i]));
        }
        assert_false(holds("169.254.0.0/16", "64:ff9b:1::a9fe:a9fe")); /* another prefix */
        assert_false(holds("169.254.0.0/16", "::169.254.169.254"));
        assert_false(holds("169.254.0.0/16", "2003:a9fe:a9fe::"));
}

static void such_an_address_counts_as_itself_too(void **state)
{
        assert_true(holds("64:ff9b::/96", "64:ff9b::a9fe:a9fe"));
        assert_true(holds("2002::/16", "2002:a9fe:a9fe::"));
        assert_true(holds("::ffff:0:0/96", "::ffff:10.0.0.1"));
        assert_true(holds("::/0", "::ffff:10.0.0.1"));
}

static void a_mapped_range_is_one_of_ipv4(void **state)
{
        assert_true(holds("::ffff:10.0.0.0/104", "10.1.2.3"));
        assert_false(holds("::ffff:10.0.0.0/104", "11.1.2.3"));
        assert_true(holds("::ffff:0:0/96", "11.1.2.3"));
        assert_true(holds("::ffff:10.0.0.1", "10.0.0.1"));
}

static void an_address_of_another_kind_is_in_no_range(void **state)
{
        struct sockaddr_un un = { .sun_family = AF_UNIX };
        struct cause cause = { "" };
        struct cidr cidr;

        assert_int_equal(cidr_parse("0.0.0.0/0", &cidr, &cause), 0);
        assert_false(cidr_holds(&cidr, (struct sockaddr *)&un));
        assert_int_equal(cidr_parse("::/0", &cidr, &cause), 0);
        assert_false(cidr_holds(&cidr, (struct sockaddr *)&un));
}

static void what_is_no_range_is_refused(void **state)
{
        static const char *const texts[] = {
                "",
                "/",
                "/8",
                "10.0.0.0/",
                "10.0.0.0/33",
                "10.0.0.0/-1",
                "10.0.0.0/8x",
                "10.0.0.0/8/8",
                "10.0.0/8",
                "10.0.0.256",
                "010.0.0.1",
                "0x0a.0.0.1",
                "10.0.0.0 /8",
                " 10.0.0.0/8",
                "::/129",
                "fe80::%eth0/10",
                "[::1]",
                "localhost",
                "10.0.0.0/99999999999999999999",
                "1111111111111111111111111111111111111111111111111111111111111111"
        };

        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                struct cause cause = { "" };
                struct cidr cidr;

                assert_int_equal(cidr_parse(texts[i], &cidr, &cause), -EINVAL);
                assert_non_null(strstr(cause.text, "is no address and no range such as 10.0.0.0/8"));
        }
}

static void bits_below_the_mask_are_refused(void **state)
{
        static const char *const texts[] = { "10.0.0.1/8", "10.0.0.1/31", "0.0.0.1/0",
                                             "fe80::1/64", "::1/0",       "::ffff:10.0.0.1/104" };

        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                struct cause cause = { "" };
                struct cidr cidr;

                assert_int_equal(cidr_parse(texts[i], &cidr, &cause), -EINVAL);
                assert_non_null(strstr(cause.text, "has bits set below its mask"));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_range_holds_what_is_in_it),
                cmocka_unit_test(all_addresses_of_a_family_are_a_range),
                cmocka_unit_test(an_address_within_an_address_counts),
                cmocka_unit_test(such_an_address_counts_as_itself_too),
                cmocka_unit_test(a_mapped_range_is_one_of_ipv4),
                cmocka_unit_test(an_address_of_another_kind_is_in_no_range),
                cmocka_unit_test(what_is_no_range_is_refused),
                cmocka_unit_test(bits_below_the_mask_are_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
