/* The site: which file or script a URL path means, decided as `php -S` decides it, and never outside the folder. Blocking file system calls (stat, open with O_NOFOLLOW-safe resolution) on the loop thread: they are
 * answered from the page cache.
 *
 * - a file: served; a script when its name ends as --worker-for says (".php")
 * - a folder: its index.php, else index.html; without the trailing slash in the URL a redirect to it
 * - something below a script (/a.php/more): the script, with PATH_INFO /more; below a plain file: 404
 * - nothing: the nearest index.php (else index.html) up the tree with PATH_INFO, unless the last segment has an extension: then 404
 * - any segment that starts with a dot: 404, except /.well-known
 * - a symbolic link that leads outside the folder: 404 */
#ifndef SENDOFF_SERVER_SITE_H
#define SENDOFF_SERVER_SITE_H

#include <sys/stat.h>

#include "base/cause.h"
#include "base/slice.h"

struct site;

enum site_kind {
        SITE_FILE, /* fd and st are set; the caller closes fd */
        SITE_SCRIPT, /* script_* are set */
        SITE_REDIRECT, /* location: the path with a slash appended, percent-encoded, no query */
        SITE_NOT_FOUND,
        SITE_BAD, /* the path cannot be decoded: 400 */
};

struct site_match {
        enum site_kind kind;
        int fd;
        struct stat st;
        char *name; /* FILE: path below the root, for the type and messages */
        char *script_filename, *script_name, *path_info; /* SCRIPT: see run/cgi_env.h */
        char *location; /* REDIRECT */
};

/* root: an existing folder, kept open. everything: --worker-for / (all requests are one program's). suffix: ".php" otherwise. 0 or < 0 with cause. */
int site_new(struct site **out, const char *root, const char *suffix, bool everything, struct cause *cause) __attribute__((warn_unused_result));
void site_free(struct site *site);
const char *site_root(const struct site *site); /* absolute, resolved, no trailing slash */

/* raw_path: undecoded path of the request. Always fills *match; finish it with site_match_fini. */
void site_resolve(struct site *site, struct slice raw_path, struct site_match *match);
void site_match_fini(struct site_match *match);

#endif
