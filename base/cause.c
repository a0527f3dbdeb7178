/* See cause.h. */
#include "base/cause.h"

#include <stdarg.h>
#include <stdio.h>

int cause_set(struct cause *cause, int code, const char *format, ...)
{
        va_list args;

        if (cause) {
                va_start(args, format);
                vsnprintf(cause->text, sizeof(cause->text), format, args);
                va_end(args);
        }
        return code;
}
