/* Request bodies from curl's flags: see body.h. Files are copied through, so that a large upload needs no
 * memory. */
#include "cmd/body.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/random.h"
#include "net/url.h"

#define MEMORY_MAX (1 << 20)
#define PIECE      65536
#define VALUE_MAX  (64 << 20) /* of one --data-urlencode file: it is encoded in memory */

int body_init(struct body *b, struct cause *cause)
{
        const char *tmp = getenv("TMPDIR");

        b->any = b->form = false;
        b->dir_fd = open(tmp && *tmp ? tmp : "/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (b->dir_fd < 0)
                return cause_set(cause, -errno, "no folder for large bodies: %s: %s",
                                 tmp && *tmp ? tmp : "/tmp", strerror(errno));
        spool_init(&b->spool, b->dir_fd, MEMORY_MAX, UINT64_MAX / 2);
        return random_hex(b->boundary, 32);
}

void body_fini(struct body *b)
{
        spool_fini(&b->spool);
        if (b->dir_fd >= 0)
                close(b->dir_fd);
        b->dir_fd = -1;
}

static int put(struct body *b, const char *bytes, size_t len, struct cause *cause)
{
        int r = spool_write(&b->spool, bytes, len);

        return r == 0 ? 0
                      : cause_set(cause, r < 0 ? r : -EFBIG, "the body cannot be kept: %s",
                                  strerror(r < 0 ? -r : EFBIG));
}

static int put_str(struct body *b, const char *text, struct cause *cause)
{
        return put(b, text, strlen(text), cause);
}

static FILE *open_file(const char *path, struct cause *cause)
{
        FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");

        if (!f)
                cause_set(cause, -errno, "cannot read %s: %s", path, strerror(errno));
        return f;
}

static int close_file(FILE *f, const char *path, int r, struct cause *cause)
{
        if (r == 0 && ferror(f))
                r = cause_set(cause, -EIO, "cannot read %s to its end", path);
        if (f != stdin)
                fclose(f);
        return r;
}

static size_t drop_line_ends(char *piece, size_t n)
{
        size_t kept = 0;

        for (size_t i = 0; i < n; i++)
                if (piece[i] != '\r' && piece[i] != '\n' && piece[i] != '\0')
                        piece[kept++] = piece[i];
        return kept;
}

static int put_file(struct body *b, const char *path, bool line_ends, struct cause *cause)
{
        FILE *f = open_file(path, cause);
        char *piece = mem_alloc(PIECE);
        int r = f ? 0 : -ENOENT;
        size_t n;

        while (r == 0 && (n = fread(piece, 1, PIECE, f)) > 0)
                r = put(b, piece, line_ends ? n : drop_line_ends(piece, n), cause);
        free(piece);
        return f ? close_file(f, path, r, cause) : r;
}

static int read_value(const char *path, struct buf *out, struct cause *cause)
{
        FILE *f = open_file(path, cause);
        char *piece = mem_alloc(PIECE);
        int r = f ? 0 : -ENOENT;
        size_t n;

        while (r == 0 && (n = fread(piece, 1, PIECE, f)) > 0)
                if (buf_append(out, piece, n) != 0)
                        r = cause_set(cause, -EFBIG, "%s is longer than %d bytes", path, VALUE_MAX);
        free(piece);
        return f ? close_file(f, path, r, cause) : r;
}

/* Encoded as curl does since 7.87: a blank is '+'. */
static int encode_value(struct slice raw, struct buf *coded)
{
        struct slice piece;
        bool first = true;
        int r = 0;

        while (r == 0 && slice_cut(&raw, ' ', &piece)) {
                r = first ? 0 : buf_append(coded, "+", 1);
                r = r ? r : url_encode(piece, false, coded);
                first = false;
        }
        return r;
}

/* curl's rule: what comes first, '=' or '@', says what it is. */
static int add_urlencoded(struct body *b, const char *value, struct cause *cause)
{
        size_t name = strcspn(value, "=@");
        struct buf raw, coded;
        int r = 0;

        buf_init(&raw, VALUE_MAX);
        buf_init(&coded, 3U * VALUE_MAX);
        if (value[name] == '@')
                r = read_value(value + name + 1, &raw, cause);
        else if (buf_append_str(&raw, value[name] == '=' ? value + name + 1 : value) != 0)
                r = cause_set(cause, -EFBIG, "a value is longer than %d bytes", VALUE_MAX);
        if (r == 0 && value[name] && name > 0) {
                r = put(b, value, name, cause);
                r = r ? r : put_str(b, "=", cause);
        }
        if (r == 0 && encode_value(buf_slice(&raw), &coded) != 0)
                r = cause_set(cause, -ENOMEM, "out of memory");
        if (r == 0)
                r = put(b, buf_slice(&coded).ptr, buf_len(&coded), cause);
        buf_fini(&raw);
        buf_fini(&coded);
        return r;
}

/* In a Content-Disposition parameter: quotes and line ends are percent-encoded, as browsers do (HTML,
 * multipart/form-data encoding). */
static int put_quoted(struct body *b, struct slice text, struct cause *cause)
{
        int r = put_str(b, "\"", cause);

        for (size_t i = 0; i < text.len && r == 0; i++) {
                char c = text.ptr[i];

                r = c == '"'    ? put_str(b, "%22", cause)
                    : c == '\r' ? put_str(b, "%0D", cause)
                    : c == '\n' ? put_str(b, "%0A", cause)
                                : put(b, &c, 1, cause);
        }
        return r ? r : put_str(b, "\"", cause);
}

static bool take_parameter(struct slice *rest, const char *name, struct slice *value)
{
        size_t len = strlen(name);
        struct slice all = *rest, piece;

        slice_cut(&all, ';', &piece);
        while (slice_cut(&all, ';', &piece)) {
                piece = slice_trim(piece);
                if (piece.len > len && memcmp(piece.ptr, name, len) == 0 && piece.ptr[len] == '=') {
                        *value = slice_from(piece, len + 1);
                        return true;
                }
        }
        return false;
}

static int add_form(struct body *b, const char *value, struct cause *cause)
{
        const char *eq = strchr(value, '=');
        struct slice content, file_name = { "", 0 }, type = { "", 0 };
        char *path = NULL;
        bool is_file;
        int r;

        if (!eq || eq == value)
                return cause_set(cause, -EINVAL, "-F takes name=value or name=@file, not '%s'", value);
        content = slice_of(eq + 1);
        is_file = content.len > 0 && (content.ptr[0] == '@' || content.ptr[0] == '<');
        if (is_file) {
                size_t len = strcspn(eq + 2, ";");
                const char *slash;

                path = slice_dup((struct slice){ eq + 2, len });
                slash = strrchr(path, '/');
                file_name = slice_of(slash ? slash + 1 : path);
                take_parameter(&content, "filename", &file_name);
        }
        take_parameter(&content, "type", &type);
        r = put_str(b, "--", cause);
        r = r ? r : put_str(b, b->boundary, cause);
        r = r ? r : put_str(b, "\r\nContent-Disposition: form-data; name=", cause);
        r = r ? r : put_quoted(b, (struct slice){ value, (size_t)(eq - value) }, cause);
        if (r == 0 && is_file && content.ptr[0] == '@') {
                r = put_str(b, "; filename=", cause);
                r = r ? r : put_quoted(b, file_name, cause);
                if (type.len == 0)
                        type = SLICE("application/octet-stream");
        }
        if (r == 0 && type.len > 0) {
                r = put_str(b, "\r\nContent-Type: ", cause);
                r = r ? r : put(b, type.ptr, type.len, cause);
        }
        r = r ? r : put_str(b, "\r\n\r\n", cause);
        if (r == 0 && is_file)
                r = put_file(b, path, true, cause);
        else if (r == 0)
                r = put(b, content.ptr, type.len ? strcspn(content.ptr, ";") : content.len, cause);
        free(path);
        return r ? r : put_str(b, "\r\n", cause);
}

int body_add(struct body *b, enum body_kind kind, const char *value, struct cause *cause)
{
        bool form = kind == BODY_FORM;
        int r = 0;

        if (b->any && form != b->form)
                return cause_set(cause, -EINVAL, "-F does not go together with -d and its relatives");
        if (b->any && !form)
                r = put_str(b, "&", cause);
        b->any = true;
        b->form = form;
        if (r != 0)
                return r;
        if (form)
                return add_form(b, value, cause);
        if (kind == BODY_URLENCODE)
                return add_urlencoded(b, value, cause);
        if (value[0] == '@')
                return put_file(b, value + 1, kind == BODY_BINARY, cause);
        return put_str(b, value, cause);
}

int body_end(struct body *b, struct cause *cause)
{
        int r;

        if (!b->form)
                return 0;
        r = put_str(b, "--", cause);
        r = r ? r : put_str(b, b->boundary, cause);
        return r ? r : put_str(b, "--\r\n", cause);
}
