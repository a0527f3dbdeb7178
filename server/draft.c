/* See draft.h. */
#include "server/draft.h"

#include <stdlib.h>

#include "base/mem.h"

static const struct slice hop_by_hop[] = {
        { "connection", 10 }, { "keep-alive", 10 }, { "proxy-connection", 16 }, { "transfer-encoding", 17 },
        { "te", 2 },          { "trailer", 7 },     { "upgrade", 7 },           { "content-length", 14 },
        { "expect", 6 },      { "host", 4 },
};

static bool is_one_of(struct slice name, const struct slice *names, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (slice_eq_nocase(name, names[i]))
                        return true;
        return false;
}

static bool is_kept(const struct exchange *ex, struct slice name, struct slice skip)
{
        if (is_one_of(name, hop_by_hop, sizeof(hop_by_hop) / sizeof(hop_by_hop[0])))
                return false;
        if (skip.len && name.len >= skip.len && slice_eq_nocase((struct slice){ name.ptr, skip.len }, skip))
                return false;
        return !http1_has_token(ex->req.headers, ex->req.header_count, SLICE("connection"), name);
}

static void replace(char **at, char *with)
{
        free(*at);
        *at = with;
}

int draft_from_exchange(struct job_request *request, struct exchange *ex, struct slice target,
                        struct slice skip)
{
        struct buf block;

        buf_init(&block, JOB_HEADERS_MAX);
        for (size_t i = 0; i < ex->req.header_count; i++) {
                const struct http1_header *h = &ex->req.headers[i];

                if (!is_kept(ex, h->name, skip))
                        continue;
                if (http1_block_add(&block, h->name, h->value) != 0) {
                        buf_fini(&block);
                        return 431;
                }
        }
        replace(&request->headers, buf_take(&block));
        replace(&request->method, slice_dup(ex->req.method));
        replace(&request->target, slice_dup(target));
        replace(&request->host, slice_dup(ex->req.host));
        replace(&request->remote, mem_dup(exchange_remote(ex)));
        replace(&request->local, mem_dup(exchange_local(ex)));
        spool_fini(&request->body);
        spool_move(&request->body, &ex->body);
        return 0;
}

int draft_reply_block(struct buf *block, const struct http1_header *headers, size_t count)
{
        static const struct slice ours[] = { { "content-length", 14 }, { "date", 4 }, { "server", 6 } };
        int r = 0;

        for (size_t i = 0; i < count && r == 0; i++)
                if (!is_one_of(headers[i].name, ours, sizeof(ours) / sizeof(ours[0])))
                        r = http1_block_add(block, headers[i].name, headers[i].value);
        return r;
}
