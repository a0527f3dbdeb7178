/* Allocation that ends the program when it fails: see mem.h for why that is right here. */
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void mem_die(void)
{
        static const char text[] = "sendoff: out of memory\n";

        fwrite(text, 1, sizeof(text) - 1, stderr);
        abort();
}

void *mem_alloc(size_t bytes)
{
        void *p = calloc(1, bytes ? bytes : 1);

        if (!p)
                mem_die();
        return p;
}

char *mem_dup(const char *str)
{
        char *copy = str ? strdup(str) : NULL;

        if (str && !copy)
                mem_die();
        return copy;
}

char *mem_printf(const char *format, ...)
{
        va_list args;
        char *text = NULL;
        int n;

        va_start(args, format);
        n = vasprintf(&text, format, args);
        va_end(args);
        if (n < 0 || !text)
                mem_die();
        return text;
}
