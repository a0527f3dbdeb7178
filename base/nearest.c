/* Edit distance with neighbouring letters exchanged counted once (optimal string alignment), three rows at a
 * time. A word longer than WORD_MAX is nobody's typing error and finds nothing. See nearest.h. */
#include "base/nearest.h"

#include <string.h>

#define WORD_MAX 64

void nearest_init(struct nearest *n, struct slice word)
{
        *n = (struct nearest){ .word = word,
                               .distance = 1 + (unsigned)(word.len > WORD_MAX ? 0 : word.len / 3) };
}

static char letter(char c)
{
        if (c == '_')
                return '-';
        return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static unsigned least(unsigned a, unsigned b)
{
        return a < b ? a : b;
}

static unsigned distance(struct slice a, struct slice b)
{
        unsigned rows[3][WORD_MAX + 1];

        for (size_t j = 0; j <= b.len; j++)
                rows[0][j] = (unsigned)j;
        for (size_t i = 1; i <= a.len; i++) {
                unsigned *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];

                now[0] = (unsigned)i;
                for (size_t j = 1; j <= b.len; j++) {
                        bool same = letter(a.ptr[i - 1]) == letter(b.ptr[j - 1]);

                        now[j] = least(last[j - 1] + (same ? 0 : 1), least(last[j], now[j - 1]) + 1);
                        if (i > 1 && j > 1 && letter(a.ptr[i - 1]) == letter(b.ptr[j - 2]) &&
                            letter(a.ptr[i - 2]) == letter(b.ptr[j - 1]))
                                now[j] = least(now[j], before[j - 2] + 1);
                }
        }
        return rows[a.len % 3][b.len];
}

void nearest_offer(struct nearest *n, const char *candidate)
{
        struct slice other = slice_of(candidate);
        unsigned d;

        if (n->word.len == 0 || n->word.len > WORD_MAX || other.len > WORD_MAX)
                return;
        d = distance(n->word, other);
        if (d < n->distance || (d == n->distance && !n->best)) {
                n->best = candidate;
                n->distance = d;
        }
}
