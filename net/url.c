/* Paths, percent-encoding, queries, globs: see url.h. A path is decoded first and cut into segments
 * afterwards, so that nothing hides in a %2F or %2E; one that is refused leaves the output as it was. */
#include "net/url.h"

#include <errno.h>
#include <string.h>

#include "base/bounds.h"

static int hex_value(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        if (c >= 'A' && c <= 'F')
                return c - 'A' + 10;
        return -1;
}

int url_decode(struct slice raw, bool plus, struct buf *out)
{
        for (size_t i = 0; i < raw.len; i++) {
                char c = raw.ptr[i];
                int r;

                if (c == '%') {
                        int high = i + 2 < raw.len ? hex_value(raw.ptr[i + 1]) : -1;
                        int low = i + 2 < raw.len ? hex_value(raw.ptr[i + 2]) : -1;

                        if (high < 0 || low < 0)
                                return -EINVAL;
                        c = (char)(high << 4 | low);
                        i += 2;
                } else if (c == '+' && plus) {
                        c = ' ';
                }
                r = buf_append(out, &c, 1);
                if (r != 0)
                        return r;
        }
        return 0;
}

/* Ends of the segments kept so far, so that ".." can take the last one away. */
struct segments {
        size_t starts[PATH_SEGMENTS_MAX];
        size_t count;
};

static int add_segment(struct segments *s, struct slice piece, struct buf *out, size_t base)
{
        int r;

        if (piece.len == 0 || slice_eq(piece, SLICE(".")))
                return 0;
        if (slice_eq(piece, SLICE(".."))) {
                if (s->count > 0)
                        out->end = out->start + base + s->starts[--s->count];
                return 0;
        }
        if (s->count == PATH_SEGMENTS_MAX)
                return -EINVAL;
        s->starts[s->count++] = buf_len(out) - base;
        r = buf_append(out, "/", 1);
        return r ? r : buf_append_slice(out, piece);
}

int url_path_normalise(struct slice raw, struct buf *out)
{
        struct segments segments = { .count = 0 };
        struct slice rest, piece = SLICE("");
        size_t base = buf_len(out);
        struct buf decoded;
        int r;

        if (raw.len == 0 || raw.ptr[0] != '/')
                return -EINVAL;
        buf_init(&decoded, raw.len);
        r = url_decode(raw, false, &decoded);
        rest = buf_slice(&decoded);
        if (r == 0 && memchr(rest.ptr, '\0', rest.len))
                r = -EINVAL;
        while (r == 0 && slice_cut(&rest, '/', &piece))
                r = add_segment(&segments, piece, out, base);
        /* "/a/", "/a/." and "/a/.." name folders */
        if (r == 0 && (piece.len == 0 || slice_eq(piece, SLICE(".")) || slice_eq(piece, SLICE(".."))))
                r = buf_append(out, "/", 1);
        buf_fini(&decoded);
        if (r != 0)
                out->end = out->start + base;
        return r;
}

static bool is_unreserved(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
               c == '.' || c == '_' || c == '~';
}

int url_encode(struct slice raw, bool keep_slash, struct buf *out)
{
        static const char hex[] = "0123456789ABCDEF";
        int r = 0;

        for (size_t i = 0; i < raw.len && r == 0; i++) {
                unsigned char c = (unsigned char)raw.ptr[i];
                char coded[3] = { '%', hex[c >> 4], hex[c & 15] };

                if (is_unreserved((char)c) || (keep_slash && c == '/'))
                        r = buf_append(out, &raw.ptr[i], 1);
                else
                        r = buf_append(out, coded, 3);
        }
        return r;
}

bool url_query_get(struct slice query, struct slice name, struct slice *value)
{
        struct slice pair;

        while (slice_cut(&query, '&', &pair)) {
                const char *eq = pair.len ? memchr(pair.ptr, '=', pair.len) : NULL;
                struct slice key = { pair.ptr, eq ? (size_t)(eq - pair.ptr) : pair.len };

                if (!slice_eq(key, name))
                        continue;
                *value = eq ? slice_from(pair, key.len + 1) : SLICE("");
                return true;
        }
        return false;
}

bool url_glob(const char *glob, struct slice text)
{
        const char *star = NULL;
        size_t at = 0, retry = 0;

        while (at < text.len) {
                if (*glob == '*') {
                        star = glob++;
                        retry = at;
                } else if (*glob && (*glob == '?' || *glob == text.ptr[at])) {
                        glob++;
                        at++;
                } else if (star) {
                        glob = star + 1;
                        at = ++retry;
                } else {
                        return false;
                }
        }
        while (*glob == '*')
                glob++;
        return *glob == '\0';
}
