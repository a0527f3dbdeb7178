/* Clocks and the three ways sendoff writes a date. All in UTC; no locale is consulted. */
#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *const month_names[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                           "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
static const char *const day_names[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };

static int64_t clock_ns(clockid_t id)
{
        struct timespec ts;

        clock_gettime(id, &ts);
        return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t clock_real_ms(void)
{
        return clock_ns(CLOCK_REALTIME) / 1000000;
}

int64_t clock_mono_ms(void)
{
        return clock_ns(CLOCK_MONOTONIC) / 1000000;
}

int64_t clock_mono_ns(void)
{
        return clock_ns(CLOCK_MONOTONIC);
}

static struct tm clock_utc(int64_t real_ms, int *ms)
{
        time_t seconds = (time_t)(real_ms / 1000);
        struct tm tm = { 0 };

        *ms = (int)(real_ms % 1000);
        if (*ms < 0) {
                *ms += 1000;
                seconds--;
        }
        gmtime_r(&seconds, &tm);
        return tm;
}

char *clock_rfc3339(int64_t real_ms, char out[CLOCK_RFC3339_SIZE])
{
        int ms;
        struct tm tm = clock_utc(real_ms, &ms);

        snprintf(out, CLOCK_RFC3339_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
                 (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)(tm.tm_mon + 1) % 100,
                 (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
                 (unsigned)tm.tm_sec % 100, (unsigned)ms % 1000);
        return out;
}

char *clock_http(int64_t real_ms, char out[CLOCK_HTTP_SIZE])
{
        int ms;
        struct tm tm = clock_utc(real_ms, &ms);

        snprintf(out, CLOCK_HTTP_SIZE, "%s, %02u %s %04u %02u:%02u:%02u GMT", day_names[tm.tm_wday],
                 (unsigned)tm.tm_mday % 100, month_names[tm.tm_mon], (unsigned)(tm.tm_year + 1900) % 10000,
                 (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
        return out;
}

char *clock_clf(int64_t real_ms, char out[CLOCK_CLF_SIZE])
{
        int ms;
        struct tm tm = clock_utc(real_ms, &ms);

        snprintf(out, CLOCK_CLF_SIZE, "%02u/%s/%04u:%02u:%02u:%02u +0000", (unsigned)tm.tm_mday % 100,
                 month_names[tm.tm_mon], (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
                 (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
        return out;
}

bool clock_http_parse(struct slice s, int64_t *real_ms)
{
        static const char *const forms[] = {
                "%a, %d %b %Y %H:%M:%S GMT", /* IMF-fixdate */
                "%A, %d-%b-%y %H:%M:%S GMT", /* RFC 850 */
                "%a %b %e %H:%M:%S %Y",      /* asctime */
        };
        char text[64];

        if (s.len == 0 || s.len >= sizeof(text) || memchr(s.ptr, '\0', s.len))
                return false;
        memcpy(text, s.ptr, s.len);
        text[s.len] = '\0';
        for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
                struct tm tm = { 0 };
                const char *end = strptime(text, forms[i], &tm);

                if (end && *end == '\0') {
                        *real_ms = (int64_t)timegm(&tm) * 1000;
                        return true;
                }
        }
        return false;
}

/* Two digits at *at, within low and high; moves on. -1 when they are not. */
static int two_digits(const char **at, int low, int high)
{
        const char *p = *at;
        int n;

        if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
                return -1;
        n = (p[0] - '0') * 10 + p[1] - '0';
        *at = p + 2;
        return n >= low && n <= high ? n : -1;
}

static bool take(const char **at, const char *one_of)
{
        if (!**at || !strchr(one_of, **at))
                return false;
        (*at)++;
        return true;
}

/* "Z", "+01:00", "-0330" as minutes to be taken off. */
static bool zone(const char **at, int *minutes)
{
        int sign = **at == '-' ? -1 : 1, hours, rest;

        *minutes = 0;
        if (take(at, "Zz"))
                return true;
        if (!take(at, "+-"))
                return false;
        hours = two_digits(at, 0, 23);
        take(at, ":");
        rest = hours < 0 ? -1 : two_digits(at, 0, 59);
        *minutes = sign * (hours * 60 + rest);
        return rest >= 0;
}

bool clock_rfc3339_parse(struct slice s, int64_t *real_ms)
{
        char text[48] = "";
        const char *at = text;
        struct tm tm = { 0 };
        int century, year, minutes, ms = 0, scale = 100;

        if (s.len >= sizeof(text) - 8)
                return false;
        memcpy(text, s.ptr, s.len);
        century = two_digits(&at, 19, 99);
        year = century < 0 ? -1 : two_digits(&at, 0, 99);
        tm.tm_year = century * 100 + year - 1900;
        if (year < 0 || !take(&at, "-") || (tm.tm_mon = two_digits(&at, 1, 12) - 1) < 0 || !take(&at, "-") ||
            (tm.tm_mday = two_digits(&at, 1, 31)) < 0 || !take(&at, "Tt ") ||
            (tm.tm_hour = two_digits(&at, 0, 23)) < 0 || !take(&at, ":") ||
            (tm.tm_min = two_digits(&at, 0, 59)) < 0)
                return false;
        if (take(&at, ":") && (tm.tm_sec = two_digits(&at, 0, 60)) < 0)
                return false;
        if (take(&at, ".")) {
                if (*at < '0' || *at > '9')
                        return false;
                for (; *at >= '0' && *at <= '9'; at++, scale /= 10)
                        ms += (*at - '0') * scale;
        }
        if (!zone(&at, &minutes) || *at || (size_t)(at - text) != s.len)
                return false;
        *real_ms = ((int64_t)timegm(&tm) - (int64_t)minutes * 60) * 1000 + ms;
        return *real_ms >= 0;
}
