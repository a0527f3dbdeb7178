/* See script.h. */
#include "server/script.h"

int script_start(struct dispatcher *d, bool for_job, const char *root, const struct site_match *match,
                 const struct job_request *request, const struct cgi_context *context,
                 const struct run_handlers *handlers, void *arg, struct run **out, struct cause *cause)
{
        const struct cgi_script script = {
                .document_root = root,
                .script_filename = match->script_filename,
                .script_name = match->script_name,
                .path_info = match->path_info,
        };
        struct fcgi_params params;
        const struct cgi_sink sink = cgi_sink_params(&params);
        const struct pool_request wanted = { .params = &params,
                                             .body = &request->body,
                                             .own_control = for_job };
        int r;

        fcgi_params_init(&params, 1);
        r = cgi_env_build(&sink, request, &script, context, cause);
        if (r != 0) {
                fcgi_params_fini(&params);
                return r < 0 ? r : SCRIPT_TOO_LARGE;
        }
        r = dispatcher_start(d, for_job, &wanted, handlers, arg, out);
        if (r != 0)
                fcgi_params_fini(&params);
        return r < 0 ? r : r == POOL_BUSY ? SCRIPT_BUSY : 0;
}
