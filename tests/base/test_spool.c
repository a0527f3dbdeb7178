/* Spools on a real folder: the threshold, the maximum, what is left behind and what is not, and a full disk.
 */
#include "base/spool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

struct folder {
        char path[64];
        int fd;
};

static int set_up(void **state)
{
        static struct folder f;

        strcpy(f.path, "/tmp/sendoff-test-spool-XXXXXX");
        assert_non_null(mkdtemp(f.path));
        f.fd = open(f.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(f.fd >= 0);
        *state = &f;
        return 0;
}

static unsigned files_in(const struct folder *f)
{
        DIR *dir = opendir(f->path);
        struct dirent *entry;
        unsigned count = 0;

        assert_non_null(dir);
        while ((entry = readdir(dir)))
                count += entry->d_name[0] != '.';
        closedir(dir);
        return count;
}

/* Every test leaves the folder empty, or it has not cleaned up. */
static int tear_down(void **state)
{
        struct folder *f = *state;

        close(f->fd);
        return rmdir(f->path);
}

static void assert_content(const struct spool *s, const char *text)
{
        char got[256] = "";

        assert_int_equal(s->len, strlen(text));
        assert_int_equal(spool_read(s, 0, got, sizeof(got)), strlen(text));
        assert_memory_equal(got, text, strlen(text));
}

static void stays_in_memory_up_to_the_threshold(void **state)
{
        const struct folder *f = *state;
        struct spool s;

        spool_init(&s, f->fd, 6, 100);
        assert_int_equal(spool_write(&s, "abc", 3), 0);
        assert_int_equal(spool_write(&s, "def", 3), 0);
        assert_int_equal(s.fd, -1);
        assert_string_equal(s.name, "");
        assert_int_equal(files_in(f), 0);
        assert_content(&s, "abcdef");
        spool_fini(&s);
        spool_fini(&s);
}

static void becomes_a_file_at_the_first_byte_past_it(void **state)
{
        const struct folder *f = *state;
        struct spool s;

        spool_init(&s, f->fd, 6, 100);
        assert_int_equal(spool_write(&s, "abcdef", 6), 0);
        assert_int_equal(spool_write(&s, "g", 1), 0);
        assert_true(s.fd >= 0);
        assert_int_equal(strlen(s.name), 32);
        assert_int_equal(files_in(f), 1);
        assert_int_equal(faccessat(f->fd, s.name, F_OK, 0), 0);
        assert_int_equal(spool_write(&s, "hi", 2), 0);
        assert_content(&s, "abcdefghi");
        spool_fini(&s);
        assert_int_equal(files_in(f), 0);
        spool_fini(&s);
}

static void may_be_a_file_from_the_first_byte(void **state)
{
        const struct folder *f = *state;
        struct spool s;

        spool_init(&s, f->fd, 0, 100);
        assert_int_equal(spool_write(&s, "", 0), 0);
        assert_int_equal(files_in(f), 0);
        assert_int_equal(spool_write(&s, "a", 1), 0);
        assert_int_equal(files_in(f), 1);
        assert_content(&s, "a");
        spool_fini(&s);
}

static void takes_nothing_of_a_write_past_the_maximum(void **state)
{
        const struct folder *f = *state;
        struct spool s;

        for (size_t memory = 0; memory <= 20; memory += 4) {
                spool_init(&s, f->fd, memory, 10);
                assert_int_equal(spool_write(&s, "abcdefgh", 8), 0);
                assert_int_equal(spool_write(&s, "123", 3), SPOOL_FULL);
                assert_content(&s, "abcdefgh");
                assert_int_equal(spool_write(&s, "ij", 2), 0);
                assert_int_equal(spool_write(&s, "k", 1), SPOOL_FULL);
                assert_int_equal(spool_write(&s, "", 0), 0);
                assert_content(&s, "abcdefghij");
                spool_fini(&s);
        }
}

static void without_a_folder_memory_is_all_there_is(void **state)
{
        struct spool s;

        spool_init(&s, -1, 4, 100);
        assert_int_equal(spool_write(&s, "abcd", 4), 0);
        assert_int_equal(spool_write(&s, "e", 1), SPOOL_FULL);
        assert_content(&s, "abcd");
        spool_fini(&s);
        spool_init(&s, -1, 0, 0);
        assert_int_equal(spool_write(&s, "e", 1), SPOOL_FULL);
        spool_fini(&s);
}

static void reads_from_anywhere(void **state)
{
        const struct folder *f = *state;
        char got[8];

        for (size_t memory = 0; memory <= 10; memory += 10) {
                struct spool s;

                spool_init(&s, f->fd, memory, 10);
                assert_int_equal(spool_read(&s, 0, got, 8), 0);
                assert_int_equal(spool_write(&s, "abcdef", 6), 0);
                assert_int_equal(spool_read(&s, 2, got, 3), 3);
                assert_memory_equal(got, "cde", 3);
                assert_int_equal(spool_read(&s, 4, got, 8), 2);
                assert_memory_equal(got, "ef", 2);
                assert_int_equal(spool_read(&s, 6, got, 8), 0);
                assert_int_equal(spool_read(&s, UINT64_MAX, got, 8), 0);
                assert_int_equal(spool_read(&s, 0, got, 0), 0);
                assert_int_equal(spool_write(&s, "g", 1), 0); /* reading moved nothing */
                assert_content(&s, "abcdefg");
                spool_fini(&s);
        }
}

static void keeps_the_file_when_told_so(void **state)
{
        const struct folder *f = *state;
        char name[SPOOL_NAME_SIZE];
        struct spool s, again;

        spool_init(&s, f->fd, 2, 100);
        assert_int_equal(spool_write(&s, "abcdef", 6), 0);
        strcpy(name, s.name);
        spool_keep(&s);
        spool_fini(&s);
        assert_int_equal(files_in(f), 1);
        assert_int_equal(spool_open(&again, f->fd, name), 0);
        assert_content(&again, "abcdef");
        assert_int_equal(spool_write(&again, "g", 1), SPOOL_FULL);
        spool_fini(&again);
        assert_int_equal(files_in(f), 1);
        assert_int_equal(unlinkat(f->fd, name, 0), 0);
}

static void opens_only_what_is_there(void **state)
{
        const struct folder *f = *state;
        struct spool s;

        assert_int_equal(spool_open(&s, f->fd, "00000000000000000000000000000000"), -ENOENT);
        spool_fini(&s);
        assert_int_equal(spool_open(&s, f->fd, "a name that is longer than the name of any spool could be"),
                         -ENAMETOOLONG);
        spool_fini(&s);
}

static void moves_whole(void **state)
{
        const struct folder *f = *state;

        for (size_t memory = 0; memory <= 10; memory += 10) {
                struct spool from, to;

                spool_init(&from, f->fd, memory, 10);
                assert_int_equal(spool_write(&from, "abcdef", 6), 0);
                spool_move(&to, &from);
                spool_fini(&from);
                assert_content(&to, "abcdef");
                assert_int_equal(from.len, 0);
                assert_int_equal(spool_write(&to, "g", 1), 0);
                assert_content(&to, "abcdefg");
                spool_fini(&to);
        }
}

static void holds_more_than_a_page_whole(void **state)
{
        const struct folder *f = *state;
        struct spool s;
        unsigned seed = 3;
        static char all[300000], got[300000];
        size_t len = 0;

        for (size_t i = 0; i < sizeof(all); i++)
                all[i] = (char)rand_r(&seed);
        spool_init(&s, f->fd, 65536, sizeof(all));
        while (len < sizeof(all)) {
                size_t n = (size_t)rand_r(&seed) % 5000 + 1;

                if (n > sizeof(all) - len)
                        n = sizeof(all) - len;
                assert_int_equal(spool_write(&s, all + len, n), 0);
                len += n;
        }
        assert_int_equal(spool_read(&s, 0, got, sizeof(got)), sizeof(got));
        assert_memory_equal(got, all, sizeof(all));
        spool_fini(&s);
}

/* A file size limit fails write(2) as a full disk does, with EFBIG. */
static void says_when_the_disk_takes_no_more(void **state)
{
        const struct folder *f = *state;
        struct rlimit before, small = { .rlim_cur = 4 };
        static char bytes[100];
        struct spool first, later;
        int at_once, in_time, then;

        signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
        small.rlim_max = before.rlim_max;
        spool_init(&first, f->fd, 0, 1000);
        spool_init(&later, f->fd, 0, 1000);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        at_once = spool_write(&first, bytes, 100);
        in_time = spool_write(&later, bytes, 3);
        then = spool_write(&later, bytes, 100);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(at_once, -EFBIG);
        assert_int_equal(in_time, 0);
        assert_int_equal(then, -EFBIG);
        assert_int_equal(later.len, 3);
        spool_fini(&first);
        spool_fini(&later);
        assert_int_equal(files_in(f), 0);
}

static void says_when_it_cannot_make_a_file(void **state)
{
        const struct folder *f = *state;
        int not_a_folder = open("/dev/null", O_RDONLY | O_CLOEXEC);
        struct spool s;

        spool_init(&s, not_a_folder, 2, 100);
        assert_int_equal(spool_write(&s, "abc", 3), -ENOTDIR);
        assert_string_equal(s.name, "");
        spool_fini(&s);
        close(not_a_folder);
        assert_int_equal(files_in(f), 0);
}

static void copies_are_spools_of_their_own(void **state)
{
        const struct folder *f = *state;
        struct spool small, large, copy;
        char text[32] = "";

        spool_init(&small, f->fd, 100, 1000);
        assert_int_equal(spool_write(&small, "abc", 3), 0);
        assert_int_equal(spool_copy(&copy, &small, f->fd, 100), 0);
        spool_fini(&small);
        assert_int_equal(copy.fd, -1);
        assert_int_equal(spool_read(&copy, 0, text, sizeof(text)), 3);
        assert_string_equal(text, "abc");
        spool_fini(&copy);

        spool_init(&large, f->fd, 2, 1000);
        assert_int_equal(spool_write(&large, "a file", 6), 0);
        assert_int_equal(spool_copy(&copy, &large, f->fd, 2), 0);
        assert_string_not_equal(copy.name, large.name);
        assert_int_equal(files_in(f), 2);
        spool_fini(&large);
        assert_int_equal(files_in(f), 1);
        assert_int_equal(copy.len, 6);
        assert_int_equal(spool_read(&copy, 0, text, sizeof(text)), 6);
        assert_memory_equal(text, "a file", 6);
        spool_fini(&copy);
        assert_int_equal(files_in(f), 0);
}

static void a_copy_of_a_file_that_is_gone_is_refused(void **state)
{
        const struct folder *f = *state;
        struct spool large, copy;

        spool_init(&large, f->fd, 2, 1000);
        assert_int_equal(spool_write(&large, "a file", 6), 0);
        assert_int_equal(unlinkat(f->fd, large.name, 0), 0);
        assert_int_equal(spool_copy(&copy, &large, f->fd, 2), -ENOENT);
        spool_fini(&copy);
        spool_fini(&large);
        assert_int_equal(files_in(f), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(stays_in_memory_up_to_the_threshold, set_up, tear_down),
                cmocka_unit_test_setup_teardown(becomes_a_file_at_the_first_byte_past_it, set_up, tear_down),
                cmocka_unit_test_setup_teardown(may_be_a_file_from_the_first_byte, set_up, tear_down),
                cmocka_unit_test_setup_teardown(takes_nothing_of_a_write_past_the_maximum, set_up, tear_down),
                cmocka_unit_test_setup_teardown(without_a_folder_memory_is_all_there_is, set_up, tear_down),
                cmocka_unit_test_setup_teardown(reads_from_anywhere, set_up, tear_down),
                cmocka_unit_test_setup_teardown(keeps_the_file_when_told_so, set_up, tear_down),
                cmocka_unit_test_setup_teardown(opens_only_what_is_there, set_up, tear_down),
                cmocka_unit_test_setup_teardown(moves_whole, set_up, tear_down),
                cmocka_unit_test_setup_teardown(copies_are_spools_of_their_own, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_copy_of_a_file_that_is_gone_is_refused, set_up, tear_down),
                cmocka_unit_test_setup_teardown(holds_more_than_a_page_whole, set_up, tear_down),
                cmocka_unit_test_setup_teardown(says_when_the_disk_takes_no_more, set_up, tear_down),
                cmocka_unit_test_setup_teardown(says_when_it_cannot_make_a_file, set_up, tear_down),
        };

        return cmocka_run_group_tests_name("spool", tests, NULL, NULL);
}
