/* See curl_library.h. */
#include "run/curl_library.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>

#define NAME "libcurl.so.4"

static const struct {
        const char *name;
        size_t offset;
} functions[] = {
#define FUNCTION(name)                                                                                       \
        {                                                                                                    \
                "curl_" #name, offsetof(struct curl_library, name)                                           \
        }
        FUNCTION(global_init),         FUNCTION(easy_init),        FUNCTION(easy_cleanup),
        FUNCTION(easy_reset),          FUNCTION(easy_setopt),      FUNCTION(easy_getinfo),
        FUNCTION(easy_pause),          FUNCTION(easy_strerror),    FUNCTION(slist_append),
        FUNCTION(slist_free_all),      FUNCTION(multi_init),       FUNCTION(multi_cleanup),
        FUNCTION(multi_setopt),        FUNCTION(multi_add_handle), FUNCTION(multi_remove_handle),
        FUNCTION(multi_socket_action), FUNCTION(multi_info_read),  FUNCTION(multi_assign),
#undef FUNCTION
};

int curl_library_load(struct curl_library *library, struct cause *cause)
{
        if (library->handle)
                return 0;
        library->handle = dlopen(NAME, RTLD_NOW | RTLD_LOCAL);
        if (!library->handle)
                return cause_set(cause, -ENOENT,
                                 "URLs need libcurl, and it cannot be loaded: %s (apt-get install libcurl4)",
                                 dlerror());
        for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
                void *function = dlsym(library->handle, functions[i].name);

                if (!function) {
                        dlclose(library->handle);
                        library->handle = NULL;
                        return cause_set(cause, -ENOENT, "%s has no %s", NAME, functions[i].name);
                }
                *(void **)((char *)library + functions[i].offset) = function;
        }
        if (library->global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
                return cause_set(cause, -ENOMEM, "libcurl cannot be initialised");
        return 0;
}
