/* Percent-encoding and paths (RFC 3986), forms (application/x-www-form-urlencoded, WHATWG URL 5). Pure. */
#ifndef SENDOFF_NET_URL_H
#define SENDOFF_NET_URL_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/slice.h"

/* Turns the undecoded path of a request into the one path a site knows: percent-decoded once, "//" collapsed,
 * "." and ".." resolved (never above "/"), a trailing slash kept. Appends to out. 0; BUF_FULL; -ENOMEM;
 * -EINVAL for a path that is refused: it does not start with '/', holds a malformed %XX, a NUL (%00), or has
 * more than PATH_SEGMENTS_MAX segments. An encoded slash (%2F) decodes to '/', and is split on before dot
 * segments are resolved, so that nothing hides in it. */
int url_path_normalise(struct slice raw, struct buf *out) __attribute__((warn_unused_result));

/* Percent-decode; plus turns '+' into a blank (forms). -EINVAL on a malformed %XX. */
int url_decode(struct slice raw, bool plus, struct buf *out) __attribute__((warn_unused_result));

/* Percent-encode everything but unreserved characters; with keep_slash '/' stays too. */
int url_encode(struct slice raw, bool keep_slash, struct buf *out) __attribute__((warn_unused_result));

/* The value of a field in a query, undecoded: url_query_get(SLICE("wait=5&x=1"), SLICE("wait"), &v). The
 * first one counts; "name" without '=' gives "". */
bool url_query_get(struct slice query, struct slice name, struct slice *value);

/* fnmatch-like GLOB of options such as --async-path: '*' any run of characters, also '/'; '?' one; everything
 * else itself. Linear in practice, no recursion. */
bool url_glob(const char *glob, struct slice text);

#endif
