/* logfmt lines on stderr, one write(2) each so that two threads never mix theirs. See log.h. */
#include "base/log.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define LOG_LINE_MAX 2048

static atomic_int log_level_now = LOG_INFO;
static const char *const level_names[] = { "error", "warn", "info", "debug" };

void log_set_level(enum log_level level)
{
        atomic_store(&log_level_now, (int)level);
}

bool log_level_parse(const char *name, enum log_level *out)
{
        for (int i = 0; i <= LOG_DEBUG; i++) {
                if (strcmp(name, level_names[i]) == 0) {
                        *out = (enum log_level)i;
                        return true;
                }
        }
        return false;
}

static size_t line_add(size_t at, int n)
{
        if (n < 0)
                return at;
        return at + (size_t)n >= LOG_LINE_MAX - 1 ? LOG_LINE_MAX - 2 : at + (size_t)n;
}

void log_say(enum log_level level, const char *room, const char *msg, const char *format, ...)
{
        char line[LOG_LINE_MAX], stamp[CLOCK_RFC3339_SIZE];
        va_list args;
        size_t at = 0;

        if ((int)level > atomic_load(&log_level_now))
                return;
        clock_rfc3339(clock_real_ms(), stamp);
        at = line_add(at, snprintf(line, sizeof(line), "%s level=%s room=%s msg=\"%s\" ", stamp,
                                   level_names[level], room, msg));
        va_start(args, format);
        at = line_add(at, vsnprintf(line + at, sizeof(line) - 1 - at, format, args));
        va_end(args);
        while (at > 0 && line[at - 1] == ' ')
                at--;
        for (size_t i = 0; i < at; i++)
                if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
                        line[i] = '?';
        line[at++] = '\n';
        if (write(STDERR_FILENO, line, at) < 0)
                return; /* nowhere left to complain */
}

char *log_quote(char *out, unsigned long size, const char *str, unsigned long len)
{
        unsigned long at = 0;

        if (size < 8) {
                if (size)
                        out[0] = '\0';
                return out;
        }
        out[at++] = '"';
        for (unsigned long i = 0; i < len && at + 6 < size; i++) {
                unsigned char c = (unsigned char)str[i];

                if (c == '"' || c == '\\') {
                        out[at++] = '\\';
                        out[at++] = (char)c;
                } else if (c < 0x20 || c >= 0x7f) {
                        at += (unsigned long)snprintf(out + at, size - at, "\\x%02x", c);
                } else {
                        out[at++] = (char)c;
                }
        }
        out[at++] = '"';
        out[at] = '\0';
        return out;
}
