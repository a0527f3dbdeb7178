/* The site: which file or script a URL path means, decided as `php -S` decides it, and never outside the
 * folder. Blocking file system calls on the loop thread: they are answered from the page cache.
 *
 * - a file: served; a script when its name ends as --worker-for says (".php"), in any case of letters
 * - a folder: its index.php, else index.html; without the trailing slash in the URL a redirect to it; no
 * index: 404
 * - something below a script (/a.php/more): the script, with PATH_INFO /more; below a plain file: 404, but
 * /a.txt/ is /a.txt
 * - nothing: the index.php (else index.html) of the nearest folder that exists, with PATH_INFO, unless the
 * last segment has an extension: then 404. A nearest folder without an index is a 404, as in php -S: the
 * search does not go on above it
 * - any segment that starts with a dot: 404, except /.well-known
 * - a symbolic link that leads outside the folder: 404; one that stays inside is followed
 * - anything but a regular file (a FIFO, a device): 404
 *
 * Where it differs from php -S on purpose: the redirect (relative links work), dots in earlier segments mean
 * nothing (php -S has no index and no front controller for /v1.0/users), files below files and dot files are
 * not served. */
#ifndef SENDOFF_SERVER_SITE_H
#define SENDOFF_SERVER_SITE_H

#include <sys/stat.h>

#include "base/cause.h"
#include "base/slice.h"

struct site;

enum site_kind {
        SITE_FILE,     /* fd and st are set; the caller closes fd, or sets it to -1 when it hands it on */
        SITE_SCRIPT,   /* script_* are set */
        SITE_REDIRECT, /* location: the path with a slash appended, percent-encoded, no query */
        SITE_NOT_FOUND,
        SITE_BAD,   /* the path cannot be decoded: 400 */
        SITE_FAULT, /* the folder could not be read just now (out of descriptors, an I/O error): 503 */
};

struct site_match {
        enum site_kind kind;
        int fd;
        struct stat st;
        char *name; /* FILE: path below the root, for the type and messages */
        char *script_filename, *script_name, *path_info; /* SCRIPT: see run/cgi_env.h */
        char *location;                                  /* REDIRECT */
        char *mem;                                       /* what the strings point into */
};

/* root: an existing folder, kept open. suffix: ".php". everything: --worker-for /, all requests are one
 * program's: then each is a SCRIPT whose script_filename is the root, script_name "" and path_info the path.
 * 0 or < 0 with cause. */
int site_new(struct site **out, const char *root, const char *suffix, bool everything, struct cause *cause)
        __attribute__((warn_unused_result));
void site_free(struct site *site);              /* NULL is fine */
const char *site_root(const struct site *site); /* absolute, resolved, no trailing slash (but "/") */

/* raw_path: undecoded path of the request. Always fills *match; finish it with site_match_fini. */
void site_resolve(struct site *site, struct slice raw_path, struct site_match *match);
/* Closes fd and frees the strings. Twice is harmless, and so is a match of zeroes. */
void site_match_fini(struct site_match *match);

#endif
