/* Ids: their form, their order, and that nothing else is taken for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>

#include <ctype.h>
#include <string.h>

#include "base/random.h"
#include "job/id.h"

static void an_id_is_read_back_as_it_was_made(void **state)
{
        static const uint64_t seqs[] = { 1, 31, 32, 1000000, UINT64_C(1) << 39, JOB_SEQ_MAX };
        unsigned char random[13];

        for (int round = 0; round < 1000; round++) {
                uint64_t seq = seqs[round % 6];
                struct job_id id, got;

                assert_int_equal(random_bytes(random, sizeof(random)), 0);
                job_id_make(&id, seq, random);
                assert_int_equal(strlen(id.text), JOB_ID_LEN);
                assert_int_equal(strspn(id.text, "0123456789abcdefghjkmnpqrstvwxyz"), JOB_ID_LEN);
                assert_true(job_id_parse(slice_of(id.text), &got));
                assert_int_equal(got.seq, seq);
                assert_string_equal(got.text, id.text);
                assert_true(job_id_eq(&got, &id));
        }
}

static void the_text_is_the_number_and_then_100_of_the_random_bits(void **state)
{
        static const unsigned char none[13] = { 0 }, all[13] = { 255, 255, 255, 255, 255, 255, 255,
                                                                 255, 255, 255, 255, 255, 255 };
        static const unsigned char first[13] = { 0x80 };
        struct job_id id, other;

        job_id_make(&id, 1, none);
        assert_string_equal(id.text, "0000000100000000000000000000");
        job_id_make(&id, JOB_SEQ_MAX, all);
        assert_string_equal(id.text, "zzzzzzzzzzzzzzzzzzzzzzzzzzzz");
        job_id_make(&id, 33, first);
        assert_string_equal(id.text, "00000011g0000000000000000000");
        for (int bit = 0; bit < 104; bit++) { /* each of the first 100 bits makes another id */
                unsigned char random[13] = { 0 };

                random[bit / 8] = (unsigned char)(0x80 >> bit % 8);
                job_id_make(&id, 1, none);
                job_id_make(&other, 1, random);
                assert_int_equal(job_id_eq(&id, &other), bit >= 100);
        }
}

static void texts_sort_by_age(void **state)
{
        static const unsigned char low[13] = { 0 }, high[13] = { 255, 255, 255 };
        struct job_id older, newer;

        for (uint64_t seq = 1; seq < JOB_SEQ_MAX; seq = seq * 2 + 1) {
                job_id_make(&older, seq, high);
                job_id_make(&newer, seq + 1, low);
                if (seq + 1 <= JOB_SEQ_MAX)
                        assert_true(strcmp(older.text, newer.text) < 0);
        }
}

static void upper_case_is_the_same_id(void **state)
{
        static const unsigned char random[13] = { 0xde, 0xad, 0xbe, 0xef, 0xde, 0xad, 0xbe, 0xef };
        char upper[JOB_ID_SIZE];
        struct job_id id, got;

        job_id_make(&id, 123456789, random);
        for (int i = 0; i < JOB_ID_SIZE; i++)
                upper[i] = (char)toupper((unsigned char)id.text[i]);
        assert_true(job_id_parse(slice_of(upper), &got));
        assert_string_equal(got.text, id.text);
        assert_true(job_id_eq(&got, &id));
}

static void nothing_else_is_an_id(void **state)
{
        static const char good[] = "0000000100000000000000000000";
        struct job_id id;
        char text[64];

        assert_true(job_id_parse(slice_of(good), &id));
        for (size_t len = 0; len < JOB_ID_LEN; len++)
                assert_false(job_id_parse((struct slice){ good, len }, &id));
        assert_false(job_id_parse(SLICE("00000001000000000000000000000"), &id));
        assert_false(job_id_parse(SLICE("0000000000000000000000000000"), &id)); /* number 0 */
        for (int c = 0; c < 256; c++) {
                bool digit = c && strchr("0123456789abcdefghjkmnpqrstvwxyzABCDEFGHJKMNPQRSTVWXYZ", c);

                for (int at = 0; at < JOB_ID_LEN; at++) {
                        strcpy(text, good);
                        text[at] = (char)c;
                        if (c == '0' && at == 7)
                                continue; /* number 0 again */
                        assert_int_equal(job_id_parse((struct slice){ text, JOB_ID_LEN }, &id), digit);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_id_is_read_back_as_it_was_made),
                cmocka_unit_test(the_text_is_the_number_and_then_100_of_the_random_bits),
                cmocka_unit_test(texts_sort_by_age),
                cmocka_unit_test(upper_case_is_the_same_id),
                cmocka_unit_test(nothing_else_is_an_id),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
