/* Log lines in logfmt on stderr: `2026-11-21T08:00:00.123Z level=info room=run msg="worker started" worker=2
 * pid=4711`. Outside bytes go through log_escape or the "%s" of a quoted field, which escapes them: a log
 * line is always one line of printable UTF-8.
 *
 * The level is the one process-wide setting of sendoff: set once by main before any thread starts and again
 * only by SIGHUP (atomic). */
#ifndef SENDOFF_BASE_LOG_H
#define SENDOFF_BASE_LOG_H

#include <stdbool.h>

enum log_level {
        LOG_ERROR,
        LOG_WARN,
        LOG_INFO,
        LOG_DEBUG,
};

void log_set_level(enum log_level level);
bool log_level_parse(const char *name, enum log_level *out); /* "error" "warn" "info" "debug" */

/* log_say(LOG_INFO, "run", "worker started", "worker=%d pid=%d", n, pid): msg is a literal, format yields
 * ready logfmt fields or "". A field that holds outside bytes is written with LOG_Q (below): "path=" LOG_Q.
 */
void log_say(enum log_level level, const char *room, const char *msg, const char *format, ...)
        __attribute__((format(printf, 4, 5)));

/* Writes a quoted, escaped copy of str ("…", control bytes, quotes and invalid bytes as \xNN) into out and
 * returns out; cut at the size. */
char *log_quote(char *out, unsigned long size, const char *str, unsigned long len);

#endif
