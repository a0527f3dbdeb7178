/* The chunked coding: see chunked.h. A machine of one byte a step in the framing, whole slices in the
 * content. It ends in IN_END and takes nothing more; a byte that does not belong is left in the input and
 * refused. */
#include "net/chunked.h"

#include <errno.h>
#include <stdio.h>

#include "base/bounds.h"

#define DIGITS_MAX 15

enum {
        IN_SIZE,      /* hex digits */
        IN_EXTENSION, /* after ';', up to CR */
        IN_SIZE_LF,
        IN_DATA,
        IN_DATA_CR,
        IN_DATA_LF,
        IN_TRAILER, /* at the beginning of a trailer line */
        IN_TRAILER_LINE,
        IN_TRAILER_LF,
        IN_LAST_LF,
        IN_END,
};

void chunked_init(struct chunked *c)
{
        *c = (struct chunked){ .state = IN_SIZE };
}

static int hex_value(unsigned char ch)
{
        if (ch >= '0' && ch <= '9')
                return ch - '0';
        if (ch >= 'a' && ch <= 'f')
                return ch - 'a' + 10;
        if (ch >= 'A' && ch <= 'F')
                return ch - 'A' + 10;
        return -1;
}

static int step_size(struct chunked *c, unsigned char ch, struct cause *cause)
{
        int digit = hex_value(ch);

        c->line++;
        if (digit >= 0) {
                if (++c->digits > DIGITS_MAX)
                        return cause_set(cause, -EPROTO, "a chunk size has more than %d digits", DIGITS_MAX);
                c->left = c->left << 4 | (unsigned)digit;
                return 0;
        }
        if (c->digits == 0 || (ch != ';' && ch != '\r'))
                return cause_set(cause, -EPROTO, "a chunk size is no plain hexadecimal number");
        c->state = ch == ';' ? IN_EXTENSION : IN_SIZE_LF;
        return 0;
}

static int step_trailer(struct chunked *c, unsigned char ch, struct cause *cause)
{
        if (ch == '\r' && c->state == IN_TRAILER) {
                c->state = IN_LAST_LF;
                return 0;
        }
        c->line += ch == '\r' ? 2 : 1; /* its LF as well */
        if (c->line > HTTP_TRAILER_MAX)
                return cause_set(cause, -EPROTO, "the trailer section is longer than %d bytes",
                                 HTTP_TRAILER_MAX);
        if (ch == '\r')
                c->state = IN_TRAILER_LF;
        else if ((ch < 0x20 && ch != '\t') || ch == 0x7f)
                return cause_set(cause, -EPROTO, "a trailer field holds a control byte");
        else
                c->state = IN_TRAILER_LINE;
        return 0;
}

static int step_extension(struct chunked *c, unsigned char ch, struct cause *cause)
{
        if (ch == '\r') {
                c->state = IN_SIZE_LF;
                return 0;
        }
        if (++c->line > HTTP_CHUNK_LINE_MAX)
                return cause_set(cause, -EPROTO, "a chunk line is longer than %d bytes", HTTP_CHUNK_LINE_MAX);
        if ((ch < 0x20 && ch != '\t') || ch == 0x7f)
                return cause_set(cause, -EPROTO, "a chunk extension holds a control byte");
        return 0;
}

static int step_fixed(struct chunked *c, unsigned char ch, struct cause *cause)
{
        if (ch != (c->state == IN_DATA_CR ? '\r' : '\n'))
                return cause_set(cause, -EPROTO, "a line of the chunked coding does not end in CRLF");
        switch (c->state) {
        case IN_SIZE_LF:
                c->state = c->left ? IN_DATA : IN_TRAILER;
                c->line = 0;
                break;
        case IN_DATA_CR:
                c->state = IN_DATA_LF;
                break;
        case IN_DATA_LF:
                c->state = IN_SIZE;
                c->digits = 0;
                c->line = 0;
                break;
        case IN_TRAILER_LF:
                c->state = IN_TRAILER;
                break;
        default:
                c->state = IN_END;
                break;
        }
        return 0;
}

static int step(struct chunked *c, unsigned char ch, struct cause *cause)
{
        switch (c->state) {
        case IN_SIZE:
                return step_size(c, ch, cause);
        case IN_EXTENSION:
                return step_extension(c, ch, cause);
        case IN_TRAILER:
        case IN_TRAILER_LINE:
                return step_trailer(c, ch, cause);
        default:
                return step_fixed(c, ch, cause);
        }
}

int chunked_read(struct chunked *c, struct slice *in, struct slice *data, struct cause *cause)
{
        *data = (struct slice){ in->ptr, 0 };
        while (c->state != IN_END) {
                int r;

                if (in->len == 0)
                        return CHUNKED_MORE;
                if (c->state == IN_DATA) {
                        data->ptr = in->ptr;
                        data->len = in->len < c->left ? in->len : (size_t)c->left;
                        *in = slice_from(*in, data->len);
                        c->left -= data->len;
                        if (c->left == 0)
                                c->state = IN_DATA_CR;
                        return 0;
                }
                r = step(c, (unsigned char)in->ptr[0], cause);
                if (r < 0)
                        return r;
                *in = slice_from(*in, 1);
        }
        return CHUNKED_DONE;
}

size_t chunked_line(char out[CHUNKED_LINE_SIZE], size_t len)
{
        return (size_t)snprintf(out, CHUNKED_LINE_SIZE, "%zx\r\n", len);
}
