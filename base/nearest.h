/* "Did you mean …?": the word of a list that a mistyped one is closest to. */
#ifndef SENDOFF_BASE_NEAREST_H
#define SENDOFF_BASE_NEAREST_H

#include "base/slice.h"

struct nearest {
        struct slice word;
        const char *best; /* borrowed; NULL while nothing was close enough */
        unsigned distance;
};

/* nearest_init, nearest_offer for every candidate, then read `best`. A third of the letters may differ, at
 * least one;
 * '-' and '_' are the same letter. */
void nearest_init(struct nearest *n, struct slice word);
void nearest_offer(struct nearest *n, const char *candidate);

#endif
