/* See id.h. */
#include "job/id.h"

#include <string.h>

static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";

#define SEQ_DIGITS 8

static int digit_value(char c)
{
        const char *at;

        if (c >= 'A' && c <= 'Z')
                c = (char)(c + 'a' - 'A');
        at = c ? strchr(digits, c) : NULL;
        return at ? (int)(at - digits) : -1;
}

void job_id_make(struct job_id *id, uint64_t seq, const unsigned char random[13])
{
        unsigned acc = 0, bits = 0;

        id->seq = seq;
        for (int i = SEQ_DIGITS - 1; i >= 0; i--, seq >>= 5)
                id->text[i] = digits[seq & 31];
        for (int i = SEQ_DIGITS, next = 0; i < JOB_ID_LEN; i++) {
                if (bits < 5) {
                        acc = acc << 8 | random[next++];
                        bits += 8;
                }
                bits -= 5;
                id->text[i] = digits[acc >> bits & 31];
                acc &= (1U << bits) - 1;
        }
        id->text[JOB_ID_LEN] = '\0';
}

bool job_id_parse(struct slice s, struct job_id *id)
{
        if (s.len != JOB_ID_LEN)
                return false;
        id->seq = 0;
        for (int i = 0; i < JOB_ID_LEN; i++) {
                int value = digit_value(s.ptr[i]);

                if (value < 0)
                        return false;
                id->text[i] = digits[value];
                if (i < SEQ_DIGITS)
                        id->seq = id->seq << 5 | (unsigned)value;
        }
        id->text[JOB_ID_LEN] = '\0';
        return id->seq > 0;
}

bool job_id_eq(const struct job_id *a, const struct job_id *b)
{
        unsigned char diff = 0;

        for (int i = 0; i < JOB_ID_LEN; i++)
                diff |= (unsigned char)(a->text[i] ^ b->text[i]);
        return diff == 0;
}
