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
#include "net/http1.h"
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

/* curl's rule: the first '=' parts name and content; without one the first '@' parts name and file. */
static int add_urlencoded(struct body *b, const char *value, struct cause *cause)
{
        size_t name = strchr(value, '=') ? strcspn(value, "=") : strcspn(value, "@");
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

/* ---- -F ---- */

struct part {
        struct slice name;
        char *content;           /* the value, or the file's path */
        char *type, *file_name;  /* NULL when not given */
        bool is_file, is_upload; /* name=<file is no upload: a value that stands in a file */
};

static void part_fini(struct part *p)
{
        free(p->content);
        free(p->type);
        free(p->file_name);
}

/* Where a parameter of this name begins: behind ';' and blanks. NULL when there is none here. */
static const char *parameter_at(const char *at, const char *name)
{
        if (*at != ';')
                return NULL;
        at += 1 + strspn(at + 1, " \t");
        return strncmp(at, name, strlen(name)) == 0 ? at + strlen(name) : NULL;
}

static size_t until_parameter(const char *text)
{
        const char *at = text;

        while (*at && !parameter_at(at, "type=") && !parameter_at(at, "filename="))
                at++;
        return (size_t)(at - text);
}

/* "quoted \"so\"" up to its closing quote; NULL when it does not end before ';' or the end, then it is no
 * quoting. */
static char *quoted_word(const char **at)
{
        const char *p = *at + 1;
        char *out = mem_alloc(strlen(p) + 1), *end = out;

        for (; *p && *p != '"'; p++) {
                if (*p == '\\' && (p[1] == '\\' || p[1] == '"'))
                        p++;
                *end++ = *p;
        }
        if (*p != '"' || (p[1] && p[1] != ';')) {
                free(out);
                return NULL;
        }
        *at = p + 1;
        return out;
}

/* The next word: quoted, or `len` bytes without the white space around them, as curl has it. */
static char *take_word(const char **at, size_t len)
{
        static const char blanks[] = " \t\r\n\v\f";
        const char *word = *at;
        char *quoted = *word == '"' ? quoted_word(at) : NULL;

        if (quoted)
                return quoted;
        *at += len;
        while (len > 0 && strchr(blanks, *word))
                word++, len--;
        while (len > 0 && strchr(blanks, word[len - 1]))
                len--;
        return slice_dup((struct slice){ word, len });
}

static void replace(char **at, char *with)
{
        free(*at);
        *at = with;
}

static int part_parse(struct part *p, const char *value, struct cause *cause)
{
        const char *eq = strchr(value, '='), *at, *parameter;

        *p = (struct part){ .name = { value, eq ? (size_t)(eq - value) : 0 } };
        if (!eq || eq == value)
                return cause_set(cause, -EINVAL, "-F takes name=value or name=@file, not '%s'", value);
        at = eq + 1;
        p->is_upload = *at == '@';
        p->is_file = p->is_upload || *at == '<';
        if (p->is_file)
                at++;
        p->content = take_word(&at, p->is_file ? strcspn(at, ";") : until_parameter(at));
        while (*at) {
                if ((parameter = parameter_at(at, "type=")) != NULL) {
                        at = parameter;
                        replace(&p->type, take_word(&at, until_parameter(at)));
                } else if ((parameter = parameter_at(at, "filename=")) != NULL) {
                        at = parameter;
                        replace(&p->file_name, take_word(&at, strcspn(at, ";")));
                } else {
                        return cause_set(cause, -EINVAL,
                                         "-F %s: '%s' is neither ;type= nor ;filename=; put \"quotes\" "
                                         "around a value that holds ';'",
                                         value, at);
                }
        }
        if (p->type && !http1_is_field_value(slice_of(p->type)))
                return cause_set(cause, -EINVAL, "-F %s: the type holds a control byte", value);
        return 0;
}

/* As curl has it, by the end of the name. NULL when it says nothing. */
static const char *type_of_name(const char *name)
{
        static const char *const types[][2] = {
                { ".gif", "image/gif" },       { ".jpg", "image/jpeg" },    { ".jpeg", "image/jpeg" },
                { ".png", "image/png" },       { ".svg", "image/svg+xml" }, { ".txt", "text/plain" },
                { ".htm", "text/html" },       { ".html", "text/html" },    { ".pdf", "application/pdf" },
                { ".xml", "application/xml" },
        };
        size_t len = name ? strlen(name) : 0;

        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
                size_t end = strlen(types[i][0]);

                if (len >= end && strcasecmp(name + len - end, types[i][0]) == 0)
                        return types[i][1];
        }
        return NULL;
}

static const char *part_type(const struct part *p, const char *file_name)
{
        const char *type = p->type ? p->type : type_of_name(file_name);

        if (!type && p->is_file)
                type = type_of_name(p->content);
        if (!type && p->is_file && file_name)
                type = "application/octet-stream";
        if (!p->type && type && !file_name && strcmp(type, "text/plain") == 0)
                return NULL;
        return type;
}

static int put_part(struct body *b, const struct part *p, struct cause *cause)
{
        const char *slash = strrchr(p->content, '/'), *base = slash ? slash + 1 : p->content;
        const char *file_name = p->file_name ? p->file_name : p->is_upload ? base : NULL;
        const char *type = part_type(p, file_name);
        int r = put_str(b, "--", cause);

        r = r ? r : put_str(b, b->boundary, cause);
        r = r ? r : put_str(b, "\r\nContent-Disposition: form-data; name=", cause);
        r = r ? r : put_quoted(b, p->name, cause);
        if (r == 0 && file_name) {
                r = put_str(b, "; filename=", cause);
                r = r ? r : put_quoted(b, slice_of(file_name), cause);
        }
        if (r == 0 && type) {
                r = put_str(b, "\r\nContent-Type: ", cause);
                r = r ? r : put_str(b, type, cause);
        }
        r = r ? r : put_str(b, "\r\n\r\n", cause);
        r = r ? r : p->is_file ? put_file(b, p->content, true, cause) : put_str(b, p->content, cause);
        return r ? r : put_str(b, "\r\n", cause);
}

static int add_form(struct body *b, const char *value, struct cause *cause)
{
        struct part part;
        int r = part_parse(&part, value, cause);

        r = r ? r : put_part(b, &part, cause);
        part_fini(&part);
        return r;
}

int body_add(struct body *b, enum body_kind kind, const char *value, struct cause *cause)
{
        bool form = kind == BODY_FORM;
        int r = 0;

        if (b->any && form != b->form)
                return cause_set(cause, -EINVAL, "-F does not go together with -d and its like");
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
        if (value[0] == '@' && kind != BODY_RAW)
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
