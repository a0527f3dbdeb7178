/* See target.h. */
#include "job/target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/slice.h"

#define EXEC_PREFIX "exec:"
#define WORD_MAX    (64 << 10)

static const char *const names[JOB_RUNNERS] = { "fastcgi", "exec", "http" };

const char *job_runner_name(enum job_runner runner)
{
        return (unsigned)runner < JOB_RUNNERS ? names[runner] : "unknown";
}

static bool starts_nocase(const char *text, const char *with)
{
        return strncasecmp(text, with, strlen(with)) == 0;
}

enum job_runner job_target_runner(const char *target)
{
        if (strncmp(target, EXEC_PREFIX, sizeof(EXEC_PREFIX) - 1) == 0)
                return JOB_EXEC;
        if (starts_nocase(target, "http://") || starts_nocase(target, "https://"))
                return JOB_HTTP;
        return JOB_FASTCGI;
}

/* A path or a URL, as it stands in a request line (RFC 9112, 3.2). */
static int check_url(const char *target, struct cause *cause)
{
        const char *host = strstr(target, "://");

        for (const char *c = target; *c; c++)
                if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f || *c == '#')
                        return cause_set(
                                cause, -EINVAL,
                                "blanks, control bytes, '#' and bytes above 0x7e must be percent-encoded");
        if (target[0] != '/' && strcspn(host + 3, "/?") == 0)
                return cause_set(cause, -EINVAL, "the URL has no host");
        return 0;
}

int job_target_check(const char *target, struct cause *cause)
{
        char **words;

        if (strlen(target) > JOB_TARGET_MAX)
                return cause_set(cause, -EINVAL, "longer than %d bytes", JOB_TARGET_MAX);
        switch (job_target_runner(target)) {
        case JOB_EXEC:
                words = job_words_split(target + sizeof(EXEC_PREFIX) - 1, cause);
                job_words_free(words);
                return words ? 0 : -EINVAL;
        case JOB_FASTCGI:
                if (target[0] != '/')
                        return cause_set(
                                cause, -EINVAL,
                                "a path of the site (\"/report.php\"), an http(s) URL or exec:PROGRAM is "
                                "wanted");
                return check_url(target, cause);
        case JOB_HTTP:
        case JOB_RUNNERS:
                break;
        }
        return check_url(target, cause);
}

/* ---- words ---- */

/* Reads one word from *at into out. False when a quote is not closed, or the word is too long. */
static bool read_word(const char **at, struct buf *out)
{
        const char *p = *at;
        char quote = 0;

        for (; *p && (quote || !strchr(" \t\n", *p)); p++) {
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

char **job_words_split(const char *line, struct cause *cause)
{
        char **words = mem_alloc((JOB_WORDS_MAX + 1) * sizeof(*words));
        unsigned count = 0;
        struct buf word;

        buf_init(&word, WORD_MAX);
        for (;;) {
                line += strspn(line, " \t\n");
                if (!*line)
                        break;
                if (count == JOB_WORDS_MAX) {
                        cause_set(cause, 0, "more than %d words", JOB_WORDS_MAX);
                        goto fail;
                }
                if (!read_word(&line, &word)) {
                        cause_set(cause, 0, "a quote is not closed, or a word is too long");
                        goto fail;
                }
                words[count++] = buf_take(&word);
        }
        if (count > 0 && words[0][0])
                return words;
        cause_set(cause, 0, "there is no program in it");
fail:
        buf_fini(&word);
        job_words_free(words);
        return NULL;
}

void job_words_free(char **words)
{
        for (char **word = words; word && *word; word++)
                free(*word);
        free(words);
}

static bool is_bare(const char *word)
{
        static const char plain[] =
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%_+=:,./-";

        return word[0] && word[strspn(word, plain)] == '\0';
}

/* 'it'\''s' */
static int join_quoted(const char *word, struct buf *out)
{
        int r = buf_append_str(out, "'");

        for (; *word && r == 0; word++)
                r = *word == '\'' ? buf_append_str(out, "'\\''") : buf_append(out, word, 1);
        return r ? r : buf_append_str(out, "'");
}

int job_words_join(char *const *words, struct buf *out)
{
        int r = 0;

        for (char *const *word = words; *word && r == 0; word++) {
                if (word != words)
                        r = buf_append_str(out, " ");
                if (r == 0)
                        r = is_bare(*word) ? buf_append_str(out, *word) : join_quoted(*word, out);
        }
        return r;
}
