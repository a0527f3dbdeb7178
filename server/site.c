/* The site: turns a URL path into a file, a script or neither. See site.h for the rules.
 *
 * The good path: the normalised path is opened below the root in one openat2 with RESOLVE_BENEATH, so that
 * the kernel itself refuses what leads outside, and one fstat says what it is. What is not there is looked
 * for one segment further up. A kernel without openat2, or a link that the kernel refuses because it is
 * absolute, takes the slow way: open with O_PATH, ask /proc where that led, and go on only when it is inside.
 *
 * How it fails: what cannot be found or may not be read is SITE_NOT_FOUND; what could not be looked at is
 * SITE_FAULT. Every string of a match lies in one block, freed by site_match_fini, which closes the
 * descriptor too. */
#include "server/site.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "base/mem.h"
#include "net/url.h"

#define INDEX_SIZE  (NAME_MAX + 1) /* "/index.html" or "/index" and the suffix */
#define RACES_MAX   8              /* openat2 says EAGAIN when a folder is renamed under it */
#define LOOK_FLAGS  (O_PATH | O_CLOEXEC)
#define READ_FLAGS  (O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC) /* a FIFO must not block the loop */
#define PROC_FD_MAX 40
#define MEMOS       256
#define MEMO_PATH   112 /* longer paths are looked up each time */
#define MEMO_MS     1000

/* Where a script was found a moment ago: the three system calls of looking again cost ten times as much as
 * the rest of site_resolve. Only scripts that lie at their path are remembered, never that something is
 * missing: a new file is seen at once, and of one that was removed within the second its program says so. */
struct memo {
        int64_t until_ms;
        uint32_t len; /* of path; 0: empty */
        uint32_t end; /* of the script's part of it */
        bool index;   /* the index of the folder there; then there is no PATH_INFO */
        char path[MEMO_PATH];
};

struct site {
        int fd;
        bool everything;
        bool no_openat2;
        char *root;
        size_t root_len; /* 0 for "/" */
        char *suffix;
        size_t suffix_len;
        char index[2][INDEX_SIZE];
        struct memo memos[MEMOS];
};

/* What lies at a path. */
enum look {
        LOOK_FILE, /* match->fd and st are set */
        LOOK_SCRIPT,
        LOOK_FOLDER,
        LOOK_MISSING,
        LOOK_REFUSED,
        LOOK_FAULT,
};

/* A search under way. path lies behind the root in match->mem and is cut off at `end`; whole is all of it. */
struct search {
        struct site *site;
        struct site_match *match;
        char *path;
        char *whole;
        size_t len, end;
};

static int beneath(int root_fd, const char *rel, uint64_t flags)
{
        struct open_how how = { .flags = flags, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
        long fd = -1;

        for (int i = 0; i < RACES_MAX; i++) {
                fd = syscall(SYS_openat2, root_fd, rel, &how, sizeof(how));
                if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
                        break;
        }
        return (int)fd;
}

int site_new(struct site **out, const char *root, const char *suffix, bool everything, struct cause *cause)
{
        struct site *site = mem_alloc(sizeof(*site));
        int probe, r;

        *out = NULL;
        site->fd = -1;
        site->root = realpath(root, NULL);
        if (site->root)
                site->fd = open(site->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (site->fd < 0) {
                r = -errno;
                site_free(site);
                return cause_set(cause, r, "the site's folder %s: %s", root, strerror(-r));
        }
        site->root_len = strcmp(site->root, "/") == 0 ? 0 : strlen(site->root);
        site->everything = everything;
        site->suffix = mem_dup(suffix);
        site->suffix_len = strlen(suffix);
        if (site->suffix_len == 0 || site->suffix_len > INDEX_SIZE - sizeof("/index")) {
                site_free(site);
                return cause_set(cause, -EINVAL, "the suffix of scripts must have 1 to %zu bytes",
                                 INDEX_SIZE - sizeof("/index"));
        }
        strcat(strcpy(site->index[0], "/index"), suffix);
        strcpy(site->index[1], "/index.html");
        probe = beneath(site->fd, ".", LOOK_FLAGS);
        site->no_openat2 = probe < 0;
        if (probe >= 0)
                close(probe);
        *out = site;
        return 0;
}

void site_free(struct site *site)
{
        if (!site)
                return;
        if (site->fd >= 0)
                close(site->fd);
        free(site->root);
        free(site->suffix);
        free(site);
}

const char *site_root(const struct site *site)
{
        return site->root;
}

/* ---- one look at the disk ---- */

static bool is_inside(const struct site *site, const char *proc)
{
        char target[PATH_MAX];
        ssize_t n = readlink(proc, target, sizeof(target) - 1);

        if (n < 0)
                return false;
        target[n] = '\0';
        return strncmp(target, site->root, site->root_len) == 0 &&
               (target[site->root_len] == '/' || target[site->root_len] == '\0');
}

/* The slow way: nothing but the name is opened until it is known to be inside. */
static int open_checked(const struct site *site, const char *rel, int flags)
{
        int fd = openat(site->fd, rel, LOOK_FLAGS), readable, error;
        char proc[PROC_FD_MAX];

        if (fd < 0)
                return -1;
        snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
        if (!is_inside(site, proc)) {
                close(fd);
                errno = EXDEV;
                return -1;
        }
        if (flags == LOOK_FLAGS)
                return fd;
        readable = open(proc, flags);
        error = errno;
        close(fd);
        errno = error;
        return readable;
}

static int open_inside(const struct site *site, const char *rel, int flags)
{
        int fd = -1;

        if (!site->no_openat2)
                fd = beneath(site->fd, rel, (uint64_t)flags);
        if (site->no_openat2 || (fd < 0 && (errno == EXDEV || errno == EAGAIN)))
                fd = open_checked(site, rel, flags);
        return fd;
}

static enum look look_failed(int error)
{
        switch (error) {
        case ENOENT:
        case ENOTDIR:
        case ENAMETOOLONG:
                return LOOK_MISSING;
        case EMFILE:
        case ENFILE:
        case ENOMEM:
        case EIO:
        case EAGAIN:
        case EINTR:
        case ESTALE:
                return LOOK_FAULT;
        default:
                return LOOK_REFUSED;
        }
}

static bool is_script(const struct site *site, const char *path, size_t len)
{
        return len > site->suffix_len &&
               strncasecmp(path + len - site->suffix_len, site->suffix, site->suffix_len) == 0;
}

/* A script is only looked at, as its program opens it by name; anything else is opened for reading. */
static enum look look_at(struct search *s)
{
        bool script = is_script(s->site, s->path, strlen(s->path));
        int fd = open_inside(s->site, s->path + 1, script ? LOOK_FLAGS : READ_FLAGS);
        struct stat *st = &s->match->st;

        if (fd < 0)
                return look_failed(errno);
        if (fd == 0) { /* so that a match of zeroes owns nothing */
                fd = fcntl(0, F_DUPFD_CLOEXEC, 1);
                close(0);
                if (fd < 0)
                        return LOOK_FAULT;
        }
        if (fstat(fd, st) == 0 && S_ISREG(st->st_mode) && !script) {
                s->match->fd = fd;
                return LOOK_FILE;
        }
        close(fd);
        return S_ISDIR(st->st_mode) ? LOOK_FOLDER : S_ISREG(st->st_mode) ? LOOK_SCRIPT : LOOK_REFUSED;
}

static enum look look_for_index(struct search *s)
{
        enum look look = LOOK_MISSING;

        for (int i = 0; i < 2; i++) {
                strcpy(s->path + s->end, s->site->index[i]);
                look = look_at(s);
                if (look == LOOK_FILE || look == LOOK_SCRIPT || look == LOOK_FAULT)
                        return look;
        }
        s->path[s->end] = '\0';
        return LOOK_MISSING;
}

/* ---- from a look to a match ---- */

static void match_redirect(struct search *s)
{
        struct slice path = { s->whole, s->len };
        struct buf location;

        buf_init(&location, 3 * s->len + 1);
        if (url_encode(path, true, &location) != 0 || buf_append(&location, "/", 1) != 0) {
                buf_fini(&location);
                s->match->kind = SITE_FAULT;
                return;
        }
        free(s->match->mem);
        s->match->mem = s->match->location = buf_take(&location);
        s->match->kind = SITE_REDIRECT;
}

static void match_found(struct search *s, enum look look, char *path_info)
{
        struct site_match *match = s->match;

        switch (look) {
        case LOOK_FILE:
                match->kind = SITE_FILE;
                match->name = s->path + 1;
                break;
        case LOOK_SCRIPT:
                match->kind = SITE_SCRIPT;
                match->script_filename = match->mem;
                match->script_name = s->path;
                match->path_info = path_info;
                break;
        case LOOK_FAULT:
                match->kind = SITE_FAULT;
                break;
        default:
                match->kind = SITE_NOT_FOUND;
        }
}

/* ---- memos ---- */

static struct memo *memo_slot(struct site *site, struct slice path)
{
        uint32_t hash = 2166136261u; /* FNV-1a */

        for (size_t i = 0; i < path.len; i++)
                hash = (hash ^ (unsigned char)path.ptr[i]) * 16777619u;
        return &site->memos[(hash ^ hash >> 16) % MEMOS];
}

static void memo_keep(struct search *s, bool index)
{
        struct slice path = { s->whole, s->len };
        struct memo *memo = memo_slot(s->site, path);

        if (path.len > MEMO_PATH)
                return;
        memo->until_ms = clock_mono_ms() + MEMO_MS;
        memo->len = (uint32_t)path.len;
        memo->end = (uint32_t)s->end;
        memo->index = index;
        memcpy(memo->path, path.ptr, path.len);
}

static bool memo_find(struct search *s)
{
        struct slice path = { s->whole, s->len };
        const struct memo *memo = memo_slot(s->site, path);

        if (!slice_eq(path, (struct slice){ memo->path, memo->len }) || memo->until_ms <= clock_mono_ms())
                return false;
        s->end = memo->end;
        s->path[s->end] = '\0';
        if (memo->index)
                strcpy(s->path + s->end, s->site->index[0]);
        match_found(s, LOOK_SCRIPT, s->whole + (memo->index ? s->len : s->end));
        return true;
}

/* ---- the search ---- */

static bool last_segment_has_extension(const struct search *s)
{
        size_t at = s->len;

        while (at > 0 && s->whole[at - 1] == '/')
                at--;
        while (at > 0 && s->whole[at - 1] != '/')
                if (s->whole[--at] == '.')
                        return true;
        return false;
}

/* The nearest thing that is there: path is cut there, the rest is PATH_INFO. */
static void search_upwards(struct search *s, bool index_tried)
{
        char *nothing = s->whole + s->len;
        bool walked = false;
        enum look look;

        for (;;) {
                s->path[s->end] = '\0';
                look = s->end > 0 ? look_at(s) : LOOK_FOLDER;
                if (look != LOOK_MISSING)
                        break;
                walked = true;
                do
                        s->end--;
                while (s->path[s->end] != '/');
        }
        if (look == LOOK_FILE && s->len > s->end + 1) {
                close(s->match->fd);
                s->match->fd = -1;
                look = LOOK_MISSING;
        } else if (look != LOOK_FOLDER) {
                if (look == LOOK_SCRIPT)
                        memo_keep(s, false);
                match_found(s, look, s->whole + s->end);
                return;
        }
        if (look == LOOK_MISSING || (walked ? last_segment_has_extension(s) : index_tried)) {
                match_found(s, LOOK_MISSING, nothing);
                return;
        }
        look = look_for_index(s);
        if (!walked && (look == LOOK_FILE || look == LOOK_SCRIPT)) {
                if (look == LOOK_FILE)
                        close(s->match->fd);
                s->match->fd = -1;
                match_redirect(s);
                return;
        }
        match_found(s, look, walked ? s->whole + s->end : nothing);
}

/* ---- the path of the request ---- */

/* Whether url_path_normalise would leave it as it is, as it does for nearly every path. */
static bool is_plain(struct slice raw)
{
        size_t segments = 0;

        if (raw.len == 0 || raw.ptr[0] != '/')
                return false;
        for (size_t i = 0; i < raw.len; i++) {
                char next = i + 1 < raw.len ? raw.ptr[i + 1] : '\0';

                if (raw.ptr[i] == '%' || raw.ptr[i] == '\0')
                        return false;
                if (raw.ptr[i] == '/' && (next == '/' || next == '.' || ++segments > PATH_SEGMENTS_MAX))
                        return false;
        }
        return true;
}

static bool has_dot_segment(const char *path)
{
        static const char allowed[] = "/.well-known";
        size_t n = sizeof(allowed) - 1;

        if (strncmp(path, allowed, n) == 0 && (path[n] == '/' || path[n] == '\0'))
                path += n;
        return strstr(path, "/.") != NULL;
}

/* The block of a match: root, path, room for the name of an index, and the path once more for PATH_INFO. */
static void search_begin(struct search *s, struct slice path)
{
        size_t root_len = s->site->root_len;

        s->match->mem = mem_alloc(root_len + path.len + INDEX_SIZE + path.len + 1);
        s->path = s->match->mem + root_len;
        s->whole = s->path + path.len + INDEX_SIZE;
        memcpy(s->match->mem, s->site->root, root_len);
        memcpy(s->path, path.ptr, path.len);
        memcpy(s->whole, path.ptr, path.len);
        s->len = path.len;
        s->end = path.len;
}

static void match_everything(const struct site *site, struct slice path, struct site_match *match)
{
        size_t root_size = strlen(site->root) + 1;

        match->mem = mem_alloc(root_size + path.len + 1);
        memcpy(match->mem, site->root, root_size);
        memcpy(match->mem + root_size, path.ptr, path.len);
        match->kind = SITE_SCRIPT;
        match->script_filename = match->mem;
        match->path_info = match->mem + root_size;
        match->script_name = match->path_info + path.len;
}

static void site_match_path(struct site *site, struct slice path, struct site_match *match)
{
        struct search s = { .site = site, .match = match };
        enum look look = LOOK_MISSING;
        bool folder = path.ptr[path.len - 1] == '/';

        if (site->everything) {
                match_everything(site, path, match);
                return;
        }
        search_begin(&s, path);
        if (memo_find(&s) || has_dot_segment(s.whole))
                return;
        if (folder) { /* most of these are folders with an index: one look, not two */
                s.end--;
                look = look_for_index(&s);
        }
        if (look == LOOK_SCRIPT)
                memo_keep(&s, true);
        if (look == LOOK_MISSING)
                search_upwards(&s, folder);
        else
                match_found(&s, look, s.whole + s.len);
}

void site_resolve(struct site *site, struct slice raw_path, struct site_match *match)
{
        struct buf path;
        int r;

        *match = (struct site_match){ .kind = SITE_NOT_FOUND, .fd = -1 };
        if (is_plain(raw_path)) {
                site_match_path(site, raw_path, match);
                return;
        }
        buf_init(&path, raw_path.len);
        r = url_path_normalise(raw_path, &path);
        if (r == 0)
                site_match_path(site, buf_slice(&path), match);
        else
                match->kind = r == -EINVAL ? SITE_BAD : SITE_FAULT;
        buf_fini(&path);
}

void site_match_fini(struct site_match *match)
{
        if (match->fd > 0)
                close(match->fd);
        free(match->mem);
        *match = (struct site_match){ .kind = SITE_NOT_FOUND, .fd = -1 };
}
