/* What all heads share: tokens, field values, finding fields, list members, stored header blocks, reason
 * phrases. See http1.h. */
#include "net/http1.h"

#include <errno.h>
#include <string.h>

static const unsigned char token_char[256] = {
        ['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1,         ['&'] = 1,         ['\''] = 1,
        ['*'] = 1, ['+'] = 1, ['-'] = 1, ['.'] = 1,         ['^'] = 1,         ['_'] = 1,
        ['`'] = 1, ['|'] = 1, ['~'] = 1, ['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1,
};

bool http1_is_token(struct slice s)
{
        for (size_t i = 0; i < s.len; i++)
                if (!token_char[(unsigned char)s.ptr[i]])
                        return false;
        return s.len > 0;
}

bool http1_is_field_value(struct slice s)
{
        for (size_t i = 0; i < s.len; i++) {
                unsigned char c = (unsigned char)s.ptr[i];

                if ((c < 0x20 && c != '\t') || c == 0x7f)
                        return false;
        }
        return true;
}

const struct http1_header *http1_find(const struct http1_header *headers, size_t count, struct slice name)
{
        for (size_t i = 0; i < count; i++)
                if (slice_eq_nocase(headers[i].name, name))
                        return &headers[i];
        return NULL;
}

bool http1_has_token(const struct http1_header *headers, size_t count, struct slice name, struct slice token)
{
        for (size_t i = 0; i < count; i++) {
                struct slice rest = headers[i].value, item;

                if (!slice_eq_nocase(headers[i].name, name))
                        continue;
                while (slice_cut(&rest, ',', &item))
                        if (slice_eq_nocase(slice_trim(item), token))
                                return true;
        }
        return false;
}

bool http1_block_next(struct slice *rest, struct http1_header *out)
{
        const char *end, *colon;

        if (rest->len == 0)
                return false;
        end = memchr(rest->ptr, '\n', rest->len);
        colon = end ? memchr(rest->ptr, ':', (size_t)(end - rest->ptr)) : NULL;
        if (!colon)
                return false;
        out->name = (struct slice){ rest->ptr, (size_t)(colon - rest->ptr) };
        out->value = (struct slice){ colon + 1, (size_t)(end - colon - 1) };
        if (out->value.len && out->value.ptr[out->value.len - 1] == '\r')
                out->value.len--;
        out->value = slice_trim(out->value);
        *rest = slice_from(*rest, (size_t)(end - rest->ptr) + 1);
        return true;
}

int http1_block_add(struct buf *block, struct slice name, struct slice value)
{
        char *at;

        if (!http1_is_token(name) || !http1_is_field_value(value))
                return -EINVAL;
        if (name.len + value.len + 4 > block->max - buf_len(block))
                return BUF_FULL;
        at = buf_reserve(block, name.len + value.len + 4);
        if (!at)
                return -ENOMEM;
        memcpy(at, name.ptr, name.len);
        at += name.len;
        *at++ = ':';
        *at++ = ' ';
        if (value.len)
                memcpy(at, value.ptr, value.len);
        at += value.len;
        *at++ = '\r';
        *at++ = '\n';
        buf_wrote(block, name.len + value.len + 4);
        return 0;
}

const char *http1_reason(int status)
{
        static const struct {
                int status;
                const char *reason;
        } reasons[] = {
                { 100, "Continue" },
                { 101, "Switching Protocols" },
                { 103, "Early Hints" },
                { 200, "OK" },
                { 201, "Created" },
                { 202, "Accepted" },
                { 203, "Non-Authoritative Information" },
                { 204, "No Content" },
                { 205, "Reset Content" },
                { 206, "Partial Content" },
                { 207, "Multi-Status" },
                { 208, "Already Reported" },
                { 300, "Multiple Choices" },
                { 301, "Moved Permanently" },
                { 302, "Found" },
                { 303, "See Other" },
                { 304, "Not Modified" },
                { 307, "Temporary Redirect" },
                { 308, "Permanent Redirect" },
                { 400, "Bad Request" },
                { 401, "Unauthorized" },
                { 402, "Payment Required" },
                { 403, "Forbidden" },
                { 404, "Not Found" },
                { 405, "Method Not Allowed" },
                { 406, "Not Acceptable" },
                { 407, "Proxy Authentication Required" },
                { 408, "Request Timeout" },
                { 409, "Conflict" },
                { 410, "Gone" },
                { 411, "Length Required" },
                { 412, "Precondition Failed" },
                { 413, "Content Too Large" },
                { 414, "URI Too Long" },
                { 415, "Unsupported Media Type" },
                { 416, "Range Not Satisfiable" },
                { 417, "Expectation Failed" },
                { 421, "Misdirected Request" },
                { 422, "Unprocessable Content" },
                { 423, "Locked" },
                { 424, "Failed Dependency" },
                { 425, "Too Early" },
                { 426, "Upgrade Required" },
                { 428, "Precondition Required" },
                { 429, "Too Many Requests" },
                { 431, "Request Header Fields Too Large" },
                { 451, "Unavailable For Legal Reasons" },
                { 500, "Internal Server Error" },
                { 501, "Not Implemented" },
                { 502, "Bad Gateway" },
                { 503, "Service Unavailable" },
                { 504, "Gateway Timeout" },
                { 505, "HTTP Version Not Supported" },
                { 507, "Insufficient Storage" },
                { 508, "Loop Detected" },
        };

        for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
                if (reasons[i].status == status)
                        return reasons[i].reason;
        return "Unknown";
}
