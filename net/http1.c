/* Heads of requests and replies: see http1.h. The good path: the caller finds the end of the head, then one
 * pass cuts it into lines and fields, then the fields that decide framing and persistence are judged.
 * Whatever two parsers could read differently ends in a refusal with its reason; nothing is repaired. */
#include "net/http1.h"

#include <errno.h>
#include <string.h>

#define REFUSE(status, ...) cause_set(cause, (status), __VA_ARGS__)

/* False for what begins no head whatever follows: a TLS hello, say. */
static bool begins_head(struct slice bytes)
{
        struct slice first = { bytes.ptr, 1 };

        return bytes.len == 0 || bytes.ptr[0] == '\r' || bytes.ptr[0] == '\n' || http1_is_token(first);
}

size_t http1_head_length(struct slice bytes, size_t *scanned)
{
        size_t at = *scanned;

        if (!begins_head(bytes))
                return 1;
        while (at < bytes.len) {
                const char *lf = memchr(bytes.ptr + at, '\n', bytes.len - at);
                size_t i;

                if (!lf) {
                        at = bytes.len;
                        break;
                }
                i = (size_t)(lf - bytes.ptr);
                if (i >= 3 && memcmp(lf - 3, "\r\n\r\n", 4) == 0)
                        return i + 1;
                /* a bare LF that makes an empty line: the parser refuses it; waiting for more would only hide
                 * it */
                if (i >= 1 && bytes.ptr[i - 1] == '\n')
                        return i + 1;
                if (i >= 2 && bytes.ptr[i - 1] == '\r' && bytes.ptr[i - 2] == '\n')
                        return i + 1;
                at = i + 1;
        }
        *scanned = at;
        return 0;
}

size_t http1_skip_empty(struct slice bytes)
{
        return bytes.len >= 2 && bytes.ptr[0] == '\r' && bytes.ptr[1] == '\n' ? 2 : 0;
}

/* The next line without its CRLF. False when it does not end in one, or holds another CR or a NUL. */
static bool head_line(struct slice *rest, struct slice *line)
{
        const char *lf = rest->len ? memchr(rest->ptr, '\n', rest->len) : NULL;
        size_t len;

        if (!lf || lf == rest->ptr || lf[-1] != '\r')
                return false;
        len = (size_t)(lf - rest->ptr) - 1;
        *line = (struct slice){ rest->ptr, len };
        if (memchr(line->ptr, '\r', len) || memchr(line->ptr, '\0', len))
                return false;
        *rest = slice_from(*rest, len + 2);
        return true;
}

/* The fields after the start line, up to the empty line. 0; 400; 431. */
static int head_fields(struct slice rest, struct http1_header *headers, size_t *count, struct cause *cause)
{
        struct slice line;

        *count = 0;
        for (;;) {
                const char *colon;
                struct http1_header h;

                if (!head_line(&rest, &line))
                        return REFUSE(400, "a header line does not end in CRLF, or holds a bare CR or a NUL");
                if (line.len == 0)
                        return rest.len == 0 ? 0 : REFUSE(400, "there are bytes after the head");
                if (line.ptr[0] == ' ' || line.ptr[0] == '\t')
                        return REFUSE(400, "a header line begins with white space");
                colon = memchr(line.ptr, ':', line.len);
                if (!colon)
                        return REFUSE(400, "a header line has no colon");
                h.name = (struct slice){ line.ptr, (size_t)(colon - line.ptr) };
                h.value = slice_trim(slice_from(line, h.name.len + 1));
                if (!http1_is_token(h.name))
                        return REFUSE(400, "a header name is empty or holds a character that is not allowed, "
                                           "a blank before the colon perhaps");
                if (!http1_is_field_value(h.value))
                        return REFUSE(400, "the value of %.*s holds a control byte",
                                      (int)(h.name.len > 64 ? 64 : h.name.len), h.name.ptr);
                if (*count == HTTP_HEADERS_MAX)
                        return REFUSE(431, "there are more than %d header fields", HTTP_HEADERS_MAX);
                headers[(*count)++] = h;
        }
}

static bool version_minor(struct slice s, int *major, int *minor)
{
        if (s.len != 8 || memcmp(s.ptr, "HTTP/", 5) != 0 || s.ptr[6] != '.')
                return false;
        if (s.ptr[5] < '0' || s.ptr[5] > '9' || s.ptr[7] < '0' || s.ptr[7] > '9')
                return false;
        *major = s.ptr[5] - '0';
        *minor = s.ptr[7] > '0' ? 1 : 0;
        return true;
}

/* Content-Length and Transfer-Encoding, the fields that smuggling lives on (RFC 9112, 6.3 and 11.2). framing
 * is set for what is said; HTTP1_NO_BODY when nothing is. 0; 400; 501. */
static int head_framing(const struct http1_header *headers, size_t count, int minor,
                        enum http1_framing *framing, uint64_t *length, struct cause *cause)
{
        unsigned lengths = 0, codings = 0;

        *framing = HTTP1_NO_BODY;
        *length = 0;
        for (size_t i = 0; i < count; i++) {
                const struct http1_header *h = &headers[i];

                if (slice_eq_nocase(h->name, SLICE("content-length"))) {
                        if (lengths++ || !slice_to_u64(h->value, INT64_MAX, length))
                                return REFUSE(400, "Content-Length is repeated or no plain number");
                        *framing = HTTP1_LENGTH;
                } else if (slice_eq_nocase(h->name, SLICE("transfer-encoding"))) {
                        if (codings++)
                                return REFUSE(400, "Transfer-Encoding is repeated");
                        if (minor == 0)
                                return REFUSE(400, "Transfer-Encoding in HTTP/1.0");
                        if (!slice_eq_nocase(h->value, SLICE("chunked")))
                                return REFUSE(501, "a transfer coding other than chunked");
                }
        }
        if (codings && lengths)
                return REFUSE(400, "both Content-Length and Transfer-Encoding");
        if (codings)
                *framing = HTTP1_CHUNKED;
        return 0;
}

static bool keep_alive(const struct http1_header *headers, size_t count, int minor)
{
        if (http1_has_token(headers, count, SLICE("connection"), SLICE("close")))
                return false;
        return minor >= 1 || http1_has_token(headers, count, SLICE("connection"), SLICE("keep-alive"));
}

/* The end of "[::1]" at the beginning of s, 0 when that is none. */
static size_t ip_literal(struct slice s)
{
        for (size_t i = 1; i < s.len; i++) {
                if (s.ptr[i] == ']')
                        return i > 1 ? i + 1 : 0;
                if (!strchr("0123456789abcdefABCDEF:.", s.ptr[i]) || s.ptr[i] == '\0')
                        return 0;
        }
        return 0;
}

/* A host, then perhaps a colon and a port (RFC 3986, 3.2). User names and commas are refused: nobody means
 * them here. */
static bool is_authority(struct slice s)
{
        size_t at = 0;

        if (s.len > 0 && s.ptr[0] == '[')
                at = ip_literal(s);
        else
                while (at < s.len && s.ptr[at] > 0x20 && s.ptr[at] < 0x7f &&
                       !strchr("/?#@\\\"<>^`{|},:[]", s.ptr[at]))
                        at++;
        if (at == 0 || (at < s.len && s.ptr[at] != ':'))
                return false;
        while (++at < s.len)
                if (s.ptr[at] < '0' || s.ptr[at] > '9')
                        return false;
        return true;
}

static void cut_query(struct http1_request *req, struct slice path)
{
        const char *mark = memchr(path.ptr, '?', path.len);

        req->has_query = mark != NULL;
        req->path = path;
        req->query = (struct slice){ path.ptr + path.len, 0 };
        if (mark) {
                req->path.len = (size_t)(mark - path.ptr);
                req->query = slice_from(path, req->path.len + 1);
        }
}

static int parse_target(struct http1_request *req, struct slice *authority, struct cause *cause)
{
        struct slice t = req->target, rest;
        size_t scheme;

        for (size_t i = 0; i < t.len; i++)
                if ((unsigned char)t.ptr[i] <= 0x20 || (unsigned char)t.ptr[i] >= 0x7f || t.ptr[i] == '#')
                        return REFUSE(400, "the request target holds a byte that must be percent-encoded, or "
                                           "a fragment");
        if (slice_eq(req->method, SLICE("CONNECT")))
                return REFUSE(501, "CONNECT is not served");
        if (t.ptr[0] == '/') {
                cut_query(req, t);
                return 0;
        }
        if (slice_eq(t, SLICE("*"))) {
                if (!slice_eq(req->method, SLICE("OPTIONS")))
                        return REFUSE(400, "the target * goes with OPTIONS only");
                cut_query(req, t);
                return 0;
        }
        scheme = t.len > 7 && slice_eq_nocase((struct slice){ t.ptr, 7 }, SLICE("http://"))    ? 7
                 : t.len > 8 && slice_eq_nocase((struct slice){ t.ptr, 8 }, SLICE("https://")) ? 8
                                                                                               : 0;
        if (!scheme)
                return REFUSE(400, "the request target is neither a path nor an http URL");
        rest = slice_from(t, scheme);
        authority->ptr = rest.ptr;
        authority->len = 0;
        while (authority->len < rest.len && rest.ptr[authority->len] != '/' &&
               rest.ptr[authority->len] != '?')
                authority->len++;
        if (!is_authority(*authority))
                return REFUSE(400, "the host in the request target is malformed");
        rest = slice_from(rest, authority->len);
        if (rest.len == 0 || rest.ptr[0] != '/')
                return REFUSE(400, "the URL in the request target has no path");
        cut_query(req, rest);
        return 0;
}

static int parse_host(struct http1_request *req, struct slice authority, struct cause *cause)
{
        const struct http1_header *host = NULL;

        for (size_t i = 0; i < req->header_count; i++) {
                if (!slice_eq_nocase(req->headers[i].name, SLICE("host")))
                        continue;
                if (host)
                        return REFUSE(400, "Host is repeated");
                host = &req->headers[i];
        }
        if (!host && req->minor >= 1)
                return REFUSE(400, "Host is missing");
        if (host && !is_authority(host->value) && (host->value.len > 0 || req->minor >= 1))
                return REFUSE(400, "Host is malformed");
        req->host = authority.len ? authority : host ? host->value : SLICE("");
        return 0;
}

static int parse_request_line(struct http1_request *req, struct slice line, struct slice *authority,
                              struct cause *cause)
{
        const char *first = memchr(line.ptr, ' ', line.len);
        struct slice rest, version;
        const char *second;
        int major;

        if (!first)
                return REFUSE(400, "the request line has no blank");
        req->method = (struct slice){ line.ptr, (size_t)(first - line.ptr) };
        rest = slice_from(line, req->method.len + 1);
        second = rest.len ? memchr(rest.ptr, ' ', rest.len) : NULL;
        if (!second || second == rest.ptr)
                return REFUSE(400, "the request line is not METHOD TARGET VERSION with single blanks");
        req->target = (struct slice){ rest.ptr, (size_t)(second - rest.ptr) };
        version = slice_from(rest, req->target.len + 1);
        if (!http1_is_token(req->method))
                return REFUSE(400, "the method is no token");
        if (req->method.len > JOB_METHOD_MAX)
                return REFUSE(501, "the method is longer than %d bytes", JOB_METHOD_MAX);
        if (!version_minor(version, &major, &req->minor))
                return REFUSE(400, "the version is malformed");
        if (major != 1)
                return REFUSE(505, "HTTP/1.1 and HTTP/1.0 are spoken here");
        return parse_target(req, authority, cause);
}

int http1_request_parse(struct slice head, struct http1_request *req, struct cause *cause)
{
        struct slice rest = head, line, authority = { "", 0 };
        const struct http1_header *expect;
        int r;

        if (!begins_head(head))
                return REFUSE(400,
                              "the first byte begins no HTTP request: TLS on a port without it, perhaps");
        if (!head_line(&rest, &line))
                return REFUSE(400, "the request line does not end in CRLF, or holds a bare CR or a NUL");
        r = parse_request_line(req, line, &authority, cause);
        if (r == 0)
                r = head_fields(rest, req->headers, &req->header_count, cause);
        if (r == 0)
                r = parse_host(req, authority, cause);
        if (r == 0)
                r = head_framing(req->headers, req->header_count, req->minor, &req->framing,
                                 &req->content_length, cause);
        if (r != 0)
                return r;
        req->keep_alive = keep_alive(req->headers, req->header_count, req->minor);
        expect = http1_find(req->headers, req->header_count, SLICE("expect"));
        req->expect_continue =
                expect && req->minor >= 1 && slice_eq_nocase(expect->value, SLICE("100-continue"));
        return 0;
}

int http1_response_parse(struct slice head, struct http1_response *rsp, struct cause *cause)
{
        struct slice rest = head, line;
        uint64_t status;
        int major, r;

        memset(rsp, 0, offsetof(struct http1_response, headers));
        if (!head_line(&rest, &line) || line.len < 12 ||
            !version_minor((struct slice){ line.ptr, 8 }, &major, &rsp->minor) || major != 1 ||
            line.ptr[8] != ' ' || !slice_to_u64((struct slice){ line.ptr + 9, 3 }, 599, &status) ||
            status < 100 || (line.len > 12 && line.ptr[12] != ' '))
                return REFUSE(-EPROTO, "the status line is malformed");
        rsp->status = (int)status;
        rsp->reason = slice_from(line, 13);
        if (!http1_is_field_value(rsp->reason))
                return REFUSE(-EPROTO, "the reason phrase holds a control byte");
        r = head_fields(rest, rsp->headers, &rsp->header_count, cause);
        if (r == 0)
                r = head_framing(rsp->headers, rsp->header_count, rsp->minor, &rsp->framing,
                                 &rsp->content_length, cause);
        if (r != 0)
                return -EPROTO;
        rsp->keep_alive = keep_alive(rsp->headers, rsp->header_count, rsp->minor);
        if (rsp->status < 200 || rsp->status == 204 || rsp->status == 304) {
                rsp->framing = HTTP1_NO_BODY;
        } else if (rsp->framing == HTTP1_NO_BODY) {
                rsp->framing = HTTP1_UNTIL_CLOSE;
                rsp->keep_alive = false;
        }
        return 0;
}
