/* See words.h. */
#include "server/words.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

/* Reads one word from *at into out. False when a quote is not closed. */
static bool read_word(const char **at, struct buf *out)
{
        const char *p = *at;
        char quote = 0;

        for (; *p && (quote || (*p != ' ' && *p != '\t' && *p != '\n')); p++) {
                if (quote && *p == quote) {
                        quote = 0;
                } else if (!quote && (*p == '\'' || *p == '"')) {
                        quote = *p;
                } else {
                        if (*p == '\\' && quote != '\'' && p[1])
                                p++;
                        if (buf_append(out, p, 1) != 0)
                                return false;
                }
        }
        *at = p;
        return !quote;
}

char **words_split(const char *line, struct cause *cause)
{
        char **words = mem_alloc((WORKER_WORDS_MAX + 1) * sizeof(*words));
        unsigned count = 0;
        struct buf word;

        buf_init(&word, 64 << 10);
        for (;;) {
                line += strspn(line, " \t\n");
                if (!*line)
                        break;
                if (count == WORKER_WORDS_MAX) {
                        cause_set(cause, 0, "worker: more than %d words", WORKER_WORDS_MAX);
                        goto fail;
                }
                if (!read_word(&line, &word)) {
                        cause_set(cause, 0, "worker: a quote is not closed, or a word is too long");
                        goto fail;
                }
                words[count++] = buf_take(&word);
        }
        if (count > 0)
                return words;
        cause_set(cause, 0, "worker: there is no word in it");
fail:
        buf_fini(&word);
        words_free(words);
        return NULL;
}

void words_free(char **words)
{
        for (char **word = words; word && *word; word++)
                free(*word);
        free(words);
}
