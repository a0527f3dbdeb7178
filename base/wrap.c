/* See wrap.h. Word by word: a word that does not fit begins a new line, one longer than a line stands alone.
 */
#include "base/wrap.h"

#include <string.h>
#include <sys/ioctl.h>

#define WIDTH_DEFAULT 80
#define WIDTH_MIN     40
#define WIDTH_MAX     120
#define ENTRY_COLUMN  32

unsigned wrap_width(int fd)
{
        struct winsize size;

        if (ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
                return WIDTH_DEFAULT;
        return size.ws_col < WIDTH_MIN ? WIDTH_MIN : size.ws_col > WIDTH_MAX ? WIDTH_MAX : size.ws_col;
}

static unsigned columns(const char *text, size_t len)
{
        unsigned n = 0;

        for (size_t i = 0; i < len; i++)
                n += ((unsigned char)text[i] & 0xc0) != 0x80;
        return n;
}

unsigned wrap_columns(const char *text)
{
        return columns(text, strlen(text));
}

int wrap_text(struct buf *out, const char *text, unsigned at, unsigned indent, unsigned width)
{
        bool fresh = true; /* nothing on this line yet */
        int r = 0;

        while (*text && r == 0) {
                size_t len = strcspn(text, " \n");
                unsigned wide = columns(text, len);

                if (len > 0) {
                        if (!fresh && at + 1 + wide > width) {
                                r = buf_printf(out, "\n%*s", (int)indent, "");
                                at = indent;
                        } else if (!fresh) {
                                r = buf_append_str(out, " ");
                                at++;
                        }
                        r = r ? r : buf_append(out, text, len);
                        at += wide;
                        fresh = false;
                }
                text += len;
                if (*text == '\n' && text[1] && r == 0) {
                        r = buf_printf(out, "\n%*s", (int)indent, "");
                        at = indent;
                        fresh = true;
                }
                text += *text ? 1 : 0;
        }
        return r ? r : buf_append_str(out, "\n");
}

int wrap_entry(struct buf *out, const char *left, const char *text, unsigned width)
{
        unsigned column = width < 2 * ENTRY_COLUMN ? 8 : ENTRY_COLUMN, used = 2 + wrap_columns(left);
        int r = buf_printf(out, "  %s", left);

        if (r == 0 && used + 1 > column - 1) {
                r = buf_append_str(out, "\n");
                used = 0;
        }
        r = r ? r : buf_printf(out, "%*s", (int)(column - used), "");
        return r ? r : wrap_text(out, text, column, column, width);
}
