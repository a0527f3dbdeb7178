/* libcurl, loaded when it is first needed and kept: linked, its thirty libraries would cost every start of
 * the program ten times what `sendoff send` takes. The functions are typed by libcurl's own header. */
#ifndef SENDOFF_RUN_CURL_LIBRARY_H
#define SENDOFF_RUN_CURL_LIBRARY_H

#include <curl/curl.h>

#include "base/cause.h"

/* the options are set through pointers: the header's macros would name the functions themselves */
#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

struct curl_library {
        void *handle;
        __typeof__(curl_global_init) *global_init;
        __typeof__(curl_version_info) *version_info;
        __typeof__(curl_easy_init) *easy_init;
        __typeof__(curl_easy_cleanup) *easy_cleanup;
        __typeof__(curl_easy_setopt) *easy_setopt;
        __typeof__(curl_easy_getinfo) *easy_getinfo;
        __typeof__(curl_easy_pause) *easy_pause;
        __typeof__(curl_easy_strerror) *easy_strerror;
        __typeof__(curl_free) *free;
        __typeof__(curl_url) *url;
        __typeof__(curl_url_cleanup) *url_cleanup;
        __typeof__(curl_url_set) *url_set;
        __typeof__(curl_url_get) *url_get;
        __typeof__(curl_url_strerror) *url_strerror;
        __typeof__(curl_multi_init) *multi_init;
        __typeof__(curl_multi_cleanup) *multi_cleanup;
        __typeof__(curl_multi_setopt) *multi_setopt;
        __typeof__(curl_multi_add_handle) *multi_add_handle;
        __typeof__(curl_multi_remove_handle) *multi_remove_handle;
        __typeof__(curl_multi_socket_action) *multi_socket_action;
        __typeof__(curl_multi_info_read) *multi_info_read;
        __typeof__(curl_multi_assign) *multi_assign;
};

/* 0, or < 0 with the sentence. Stays loaded until the program ends; again is harmless. */
int curl_library_load(struct curl_library *library, struct cause *cause) __attribute__((warn_unused_result));

#endif
