/* A job's id: 40 bits of sequence number, then 100 random bits, as 28 characters of Crockford's base 32 in
 * lower case. The number leads straight to the row (no second index to keep) and sorts by age; the random
 * part makes the URL the permission (DESIGN section 3: ≥ 96 bits) and is compared in full. */
#ifndef SENDOFF_JOB_ID_H
#define SENDOFF_JOB_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define JOB_ID_LEN  28
#define JOB_ID_SIZE (JOB_ID_LEN + 1)
#define JOB_SEQ_MAX ((UINT64_C(1) << 40) - 1)

struct job_id {
        uint64_t seq; /* 1 … JOB_SEQ_MAX, rising in the order of acceptance */
        char text[JOB_ID_SIZE];
};

/* seq and 20 random characters' worth of bytes (13 bytes, of which 100 bits are used). */
void job_id_make(struct job_id *id, uint64_t seq, const unsigned char random[13]);

/* False when it is not the form of an id. Accepts upper case; text is normalised to lower case. */
bool job_id_parse(struct slice s, struct job_id *id);

/* Constant time in the random part. */
bool job_id_eq(const struct job_id *a, const struct job_id *b);

#endif
