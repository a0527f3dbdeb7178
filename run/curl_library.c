/* See curl_library.h. The good path: dlopen, every function by its name, the version, global_init. Any of
 * them may fail; then nothing is kept and the next call tries again: libcurl may have been installed
 * meanwhile. It is never unloaded: what it has loaded itself registers things for the end of the process. */
#include "run/curl_library.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#define NAME           "libcurl.so.4"
#define VERSION_NEEDED 0x075500 /* 7.85: CURLOPT_PROTOCOLS_STR, without which file: would be a URL */

static const struct {
        const char *name;
        size_t offset;
} functions[] = {
#define FUNCTION(name)                                                                                       \
        {                                                                                                    \
                "curl_" #name, offsetof(struct curl_library, name)                                           \
        }
        FUNCTION(global_init),
        FUNCTION(version_info),
        FUNCTION(easy_init),
        FUNCTION(easy_cleanup),
        FUNCTION(easy_setopt),
        FUNCTION(easy_getinfo),
        FUNCTION(easy_pause),
        FUNCTION(easy_strerror),
        FUNCTION(free),
        FUNCTION(url),
        FUNCTION(url_cleanup),
        FUNCTION(url_set),
        FUNCTION(url_get),
        FUNCTION(url_strerror),
        FUNCTION(multi_init),
        FUNCTION(multi_cleanup),
        FUNCTION(multi_setopt),
        FUNCTION(multi_add_handle),
        FUNCTION(multi_remove_handle),
        FUNCTION(multi_socket_action),
        FUNCTION(multi_info_read),
        FUNCTION(multi_assign),
#undef FUNCTION
};

static int find_functions(struct curl_library *library, struct cause *cause)
{
        for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
                void *function = dlsym(library->handle, functions[i].name);

                if (!function)
                        return cause_set(cause, -ENOENT, "URLs need a newer libcurl: %s has no %s", NAME,
                                         functions[i].name);
                memcpy((char *)library + functions[i].offset, &function, sizeof(function));
        }
        return 0;
}

static int start(struct curl_library *library, struct cause *cause)
{
        const curl_version_info_data *info = library->version_info(CURLVERSION_NOW);

        if (info->version_num < VERSION_NEEDED)
                return cause_set(cause, -ENOENT, "URLs need libcurl 7.85 or newer, this is %s",
                                 info->version);
        if (!(info->features & CURL_VERSION_SSL))
                return cause_set(cause, -ENOENT, "URLs need a libcurl with TLS, this one (%s) has none",
                                 info->version);
        if (library->global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
                return cause_set(cause, -ENOMEM, "libcurl cannot be initialised");
        return 0;
}

int curl_library_load(struct curl_library *library, struct cause *cause)
{
        int r;

        if (library->handle)
                return 0;
        library->handle = dlopen(NAME, RTLD_NOW | RTLD_LOCAL);
        if (!library->handle)
                return cause_set(cause, -ENOENT,
                                 "URLs need libcurl, which cannot be loaded: %s (apt-get install libcurl4)",
                                 dlerror());
        r = find_functions(library, cause);
        if (r == 0)
                r = start(library, cause);
        if (r < 0) {
                dlclose(library->handle);
                memset(library, 0, sizeof(*library));
        }
        return r;
}
