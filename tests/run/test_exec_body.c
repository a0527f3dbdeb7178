/* A stored body as a descriptor. */
#include "run/exec_body.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "exec_rig.h"

static void body_init(struct spool *body, int folder_fd, const char *text)
{
        spool_init(body, folder_fd, folder_fd < 0 ? 1 << 20 : 0, 1 << 20);
        assert_int_equal(spool_write(body, text, strlen(text)), 0);
}

static void expect(int fd, const char *wanted)
{
        char text[64];
        ssize_t n = read(fd, text, sizeof(text));

        assert_int_equal(n, strlen(wanted));
        assert_memory_equal(text, wanted, strlen(wanted));
}

static void every_reader_begins_at_the_beginning(void **state)
{
        struct bench *bench = *state;

        for (int in_file = 0; in_file < 2; in_file++) {
                struct spool body;
                int first, second;

                body_init(&body, in_file ? bench->lock_fd : -1, "stored body");
                assert_int_equal(body.fd >= 0, in_file);
                first = exec_body_open(&body);
                second = exec_body_open(&body);
                assert_true(first >= 0 && second >= 0);
                assert_true(fcntl(first, F_GETFD) & FD_CLOEXEC);
                expect(first, "stored body");
                expect(first, "");
                expect(second, "stored body");
                close(first);
                close(second);
                spool_fini(&body);
        }
}

static void nobody_can_write_to_it(void **state)
{
        struct bench *bench = *state;

        for (int in_file = 0; in_file < 2; in_file++) {
                struct spool body;
                int fd;

                body_init(&body, in_file ? bench->lock_fd : -1, "stored body");
                fd = exec_body_open(&body);
                assert_true(fd >= 0);
                assert_int_equal(pwrite(fd, "X", 1, 0), -1);
                assert_int_equal(ftruncate(fd, 0), -1);
                expect(fd, "stored body");
                close(fd);
                spool_fini(&body);
        }
}

static void an_empty_body_is_an_end_of_file(void **state)
{
        struct spool body;
        int fd;

        body_init(&body, -1, "");
        fd = exec_body_open(&body);
        assert_true(fd >= 0);
        expect(fd, "");
        close(fd);
        spool_fini(&body);
}

static void says_what_went_wrong(void **state)
{
        struct bench *bench = *state;
        struct rlimit old, none;

        assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
        none = old;
        none.rlim_cur = 0;
        for (int i = 0; i < 3; i++) {
                struct spool body;
                int r;

                body_init(&body, i == 1 ? bench->lock_fd : -1, i == 2 ? "" : "stored body");
                assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
                r = exec_body_open(&body);
                assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
                assert_int_equal(r, -EMFILE);
                spool_fini(&body);
        }
}

static int tests(void)
{
        const struct CMUnitTest all[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)
                TEST(every_reader_begins_at_the_beginning),
                TEST(nobody_can_write_to_it),
                TEST(an_empty_body_is_an_end_of_file),
                TEST(says_what_went_wrong),
        };

        return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
        return exec_rig_main(argc, argv, tests);
}
