/* FastCGI records: see fcgi.h. The good path: fcgi_begin, fcgi_params_add for every pair, fcgi_params_end,
 * STDIN records; then fcgi_decode for as long as bytes come, until FCGI_SAW_END. Encoding fails only for want
 * of room, with nothing added; decoding fails when the peer speaks something else, and the caller closes. */
#include "net/fcgi.h"

#include <errno.h>
#include <string.h>

#define VERSION        1
#define ROLE_RESPONDER 1
#define KEEP_CONN      1

void fcgi_header(char out[FCGI_HEADER_SIZE], int type, uint16_t request_id, size_t len)
{
        out[0] = VERSION;
        out[1] = (char)type;
        out[2] = (char)(request_id >> 8);
        out[3] = (char)(request_id & 255);
        out[4] = (char)(len >> 8 & 255);
        out[5] = (char)(len & 255);
        out[6] = 0;
        out[7] = 0;
}

int fcgi_begin(struct buf *out, uint16_t request_id, bool keep_connection)
{
        char record[FCGI_HEADER_SIZE + 8] = { 0 };

        fcgi_header(record, FCGI_BEGIN_REQUEST, request_id, 8);
        record[FCGI_HEADER_SIZE + 1] = ROLE_RESPONDER;
        record[FCGI_HEADER_SIZE + 2] = keep_connection ? KEEP_CONN : 0;
        return buf_append(out, record, sizeof(record));
}

int fcgi_get_values(struct buf *out)
{
        static const char pair[] = "\017\000FCGI_MPXS_CONNS";
        char record[FCGI_HEADER_SIZE + sizeof(pair) - 1];

        fcgi_header(record, FCGI_GET_VALUES, 0, sizeof(pair) - 1);
        memcpy(record + FCGI_HEADER_SIZE, pair, sizeof(pair) - 1);
        return buf_append(out, record, sizeof(record));
}

/* ---- parameters ---- */

void fcgi_params_init(struct fcgi_params *p, uint16_t request_id)
{
        buf_init(&p->out, FCGI_PARAMS_MAX);
        p->open = 0;
        p->request_id = request_id;
}

void fcgi_params_fini(struct fcgi_params *p)
{
        buf_fini(&p->out);
}

static size_t length_size(size_t len)
{
        return len < 128 ? 1 : 4;
}

static char *put_length(char *at, size_t len)
{
        if (len < 128) {
                *at++ = (char)len;
                return at;
        }
        *at++ = (char)(len >> 24 | 0x80);
        *at++ = (char)(len >> 16 & 255);
        *at++ = (char)(len >> 8 & 255);
        *at++ = (char)(len & 255);
        return at;
}

static size_t open_length(const struct fcgi_params *p)
{
        return buf_len(&p->out) - p->open - FCGI_HEADER_SIZE;
}

static void close_record(struct fcgi_params *p)
{
        fcgi_header(buf_data(&p->out) + p->open, FCGI_PARAMS, p->request_id, open_length(p));
}

int fcgi_params_add(struct fcgi_params *p, struct slice name, struct slice value)
{
        size_t pair = length_size(name.len) + length_size(value.len) + name.len + value.len;
        bool fresh = buf_len(&p->out) == 0 || open_length(p) + pair > FCGI_RECORD_MAX;
        size_t need = pair + (fresh ? FCGI_HEADER_SIZE : 0);
        char *at;

        if (pair > FCGI_RECORD_MAX)
                return FCGI_PAIR_TOO_LONG;
        if (need > p->out.max - buf_len(&p->out))
                return BUF_FULL;
        at = buf_reserve(&p->out, need);
        if (!at)
                return -ENOMEM;
        if (fresh) {
                if (buf_len(&p->out) > 0)
                        close_record(p);
                p->open = buf_len(&p->out);
                at += FCGI_HEADER_SIZE;
                buf_wrote(&p->out, FCGI_HEADER_SIZE);
        }
        at = put_length(at, name.len);
        at = put_length(at, value.len);
        if (name.len)
                memcpy(at, name.ptr, name.len);
        if (value.len)
                memcpy(at + name.len, value.ptr, value.len);
        buf_wrote(&p->out, pair);
        return 0;
}

int fcgi_params_end(struct fcgi_params *p)
{
        char last[FCGI_HEADER_SIZE];

        if (buf_len(&p->out) > 0)
                close_record(p);
        fcgi_header(last, FCGI_PARAMS, p->request_id, 0);
        return buf_append(&p->out, last, sizeof(last));
}

/* ---- decoding ---- */

void fcgi_decoder_init(struct fcgi_decoder *d)
{
        memset(d, 0, sizeof(*d));
}

static unsigned decoder_type(const struct fcgi_decoder *d)
{
        return d->header[1];
}

/* Takes header bytes; true once all eight are there. */
static bool take_header(struct fcgi_decoder *d, struct slice *in)
{
        size_t n = FCGI_HEADER_SIZE - d->have;

        if (n == 0)
                return true;
        if (n > in->len)
                n = in->len;
        if (n)
                memcpy(d->header + d->have, in->ptr, n);
        *in = slice_from(*in, n);
        d->have += n;
        if (d->have < FCGI_HEADER_SIZE)
                return false;
        d->left = (size_t)d->header[4] << 8 | d->header[5];
        d->padding = d->header[6];
        d->body_have = 0;
        return true;
}

static bool take_padding(struct fcgi_decoder *d, struct slice *in)
{
        size_t n = d->padding < in->len ? d->padding : in->len;

        *in = slice_from(*in, n);
        d->padding -= n;
        return d->padding == 0;
}

static bool is_ours(const struct fcgi_decoder *d, uint16_t request_id)
{
        return ((unsigned)d->header[2] << 8 | d->header[3]) == request_id;
}

/* Content that is not handed on: END_REQUEST's is collected, the rest dropped. */
static void take_content(struct fcgi_decoder *d, struct slice *in)
{
        size_t n = d->left < in->len ? d->left : in->len;

        for (size_t i = 0; i < n && d->body_have < sizeof(d->body); i++)
                d->body[d->body_have++] = (unsigned char)in->ptr[i];
        *in = slice_from(*in, n);
        d->left -= n;
}

static int finish_record(struct fcgi_decoder *d, uint16_t request_id, struct fcgi_event *event,
                         struct cause *cause)
{
        unsigned type = decoder_type(d);

        d->have = 0;
        *event = (struct fcgi_event){ .what = FCGI_SAW_OTHER };
        if (type == FCGI_GET_VALUES_RESULT || type == FCGI_UNKNOWN_TYPE) {
                event->what = FCGI_SAW_VALUES;
        } else if (type == FCGI_END_REQUEST && is_ours(d, request_id)) {
                if (d->body_have < sizeof(d->body))
                        return cause_set(cause, -EPROTO, "an END_REQUEST record of %zu bytes", d->body_have);
                event->what = FCGI_SAW_END;
                event->app_status = (uint32_t)d->body[0] << 24 | (uint32_t)d->body[1] << 16 |
                                    (uint32_t)d->body[2] << 8 | d->body[3];
                event->protocol_status = d->body[4];
        }
        return 0;
}

int fcgi_decode(struct fcgi_decoder *d, uint16_t request_id, struct slice *in, struct fcgi_event *event,
                struct cause *cause)
{
        for (;;) {
                unsigned type;
                bool stream;

                if (!take_header(d, in))
                        return FCGI_MORE;
                type = decoder_type(d);
                if (d->header[0] != VERSION)
                        return cause_set(cause, -EPROTO, "a record of FastCGI version %u", d->header[0]);
                stream = (type == FCGI_STDOUT || type == FCGI_STDERR) && is_ours(d, request_id);
                if (d->left > 0 && in->len == 0)
                        return FCGI_MORE;
                if (d->left > 0 && stream) {
                        *event = (struct fcgi_event){ .what = type == FCGI_STDOUT ? FCGI_SAW_STDOUT
                                                                                  : FCGI_SAW_STDERR };
                        event->data = (struct slice){ in->ptr, d->left < in->len ? d->left : in->len };
                        *in = slice_from(*in, event->data.len);
                        d->left -= event->data.len;
                        return 0;
                }
                take_content(d, in);
                if (d->left > 0 || !take_padding(d, in))
                        return FCGI_MORE;
                if (stream) {
                        d->have = 0;
                        continue;
                }
                return finish_record(d, request_id, event, cause);
        }
}
