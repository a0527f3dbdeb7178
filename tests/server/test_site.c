/* The site against a real php -S on the same folder: one table where both say the same, one where they differ
 * on purpose. Then what php -S does not promise: staying inside, regular files only, faults that are not told
 * as 404. Long because of
 * its tables. */
#include "server/site.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bounds.h"
#include "base/clock.h"
#include "base/mem.h"

#define ANSWER_SIZE 4096
#define MEMO_NEAR   105 /* "/a.php/" and this are as long as the site remembers */

struct fixture {
        char base[64]; /* holds the root, and what must never be reached */
        char root[80];
        struct site *site;
        pid_t php;
        uint16_t port;
};

struct row {
        const char *path;
        const char *ours; /* "script NAME INFO", "file NAME", "redirect LOCATION", "400", "404", "503" */
        const char *php;  /* NULL: the same */
};

/* ---- the folder ---- */

static const char script[] =
        "<?php echo 'script ', $_SERVER['SCRIPT_NAME'], ' ', $_SERVER['PATH_INFO'] ?? '', \"\\n\",\n"
        "$_SERVER['SCRIPT_FILENAME'];\n";

static const char *const folders[] = { "",           "idx",      "idx/empty",   "html", "both",
                                       "sub",        "sub/deep", "dir.d",       ".git", ".well-known",
                                       "with blank", "html/in",  ".well-knownx" };
static const char *const scripts[] = { "a.php",         "idx/index.php",           "both/index.php",
                                       "sub/b.php",     "dir.d/index.php",         "UPPER.PHP",
                                       "sub/c.php.txt", "with blank/\xc3\xa9.php", ".well-known/w.php",
                                       "idx/other.php" };
static const char *const files[] = { "a.txt",
                                     "noext",
                                     "html/index.html",
                                     "both/index.html",
                                     "style.css",
                                     ".env",
                                     ".htaccess",
                                     ".git/config",
                                     ".well-known/security.txt",
                                     ".well-known/.secret",
                                     ".well-knownx/x.txt",
                                     "sub/.hidden",
                                     "a.php.bak" };

static void write_file(const char *root, const char *name, const char *text)
{
        char *path = mem_printf("%s/%s", root, name);
        FILE *f = fopen(path, "w");

        assert_non_null(f);
        assert_true(fputs(text, f) >= 0);
        assert_int_equal(fclose(f), 0);
        free(path);
}

static void link_to(const struct fixture *f, const char *target, const char *name)
{
        char *path = mem_printf("%s/%s", f->root, name);

        assert_int_equal(symlink(target, path), 0);
        free(path);
}

static void make_tree(struct fixture *f)
{
        char *path;

        strcpy(f->base, "/tmp/sendoff-test-site-XXXXXX");
        assert_non_null(mkdtemp(f->base));
        snprintf(f->root, sizeof(f->root), "%s/root", f->base);
        for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
                path = mem_printf("%s/%s", f->root, folders[i]);
                assert_int_equal(mkdir(path, 0755), 0);
                free(path);
        }
        for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++)
                write_file(f->root, scripts[i], script);
        for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
                char *text = mem_printf("file %s", files[i]);

                write_file(f->root, files[i], text);
                free(text);
        }
        write_file(f->root, "sub/c.php.txt", "file sub/c.php.txt");
        write_file(f->base, "outside.txt", "outside");
        write_file(f->base, "outside.php", script);
        write_file(f->base, "rootless.txt", "outside"); /* its path starts as the root's does */
        path = mem_printf("%s/a.txt", f->root);
        link_to(f, path, "absolute.txt");
        free(path);
        link_to(f, "a.txt", "relative.txt");
        link_to(f, "../a.php", "sub/up.php");
        link_to(f, "idx", "idxlink");
        link_to(f, "../outside.txt", "escape.txt");
        link_to(f, "../outside.php", "escape.php");
        link_to(f, "..", "escape");
        link_to(f, "/etc/passwd", "passwd.txt");
        link_to(f, "/proc/self/exe", "magic");
        link_to(f, "nowhere", "dangling.txt");
        link_to(f, "loop.txt", "loop.txt");
        path = mem_printf("%s/fifo.txt", f->root);
        assert_int_equal(mkfifo(path, 0644), 0);
        free(path);
        path = mem_printf("%s/fifo.php", f->root);
        assert_int_equal(mkfifo(path, 0644), 0);
        free(path);
}

/* ---- php -S ---- */

static void start_php(struct fixture *f)
{
        char log[1024] = "", *at;
        size_t len = 0;
        int out[2];

        assert_int_equal(pipe2(out, O_CLOEXEC), 0);
        f->php = fork();
        assert_true(f->php >= 0);
        if (f->php == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                dup2(out[1], STDERR_FILENO);
                execlp("php", "php", "-n", "-S", "127.0.0.1:0", "-t", f->root, (char *)NULL);
                _exit(127);
        }
        close(out[1]);
        while (!strstr(log, ") started")) {
                ssize_t n = read(out[0], log + len, sizeof(log) - 1 - len);

                assert_true(n > 0); /* no php-cli */
                len += (size_t)n;
        }
        at = strstr(log, "http://127.0.0.1:");
        assert_non_null(at);
        f->port = (uint16_t)atoi(at + strlen("http://127.0.0.1:"));
        /* its log stays in the pipe, unread: room for some thousand requests */
        assert_true(fcntl(out[0], F_SETPIPE_SZ, 1 << 20) > 0);
}

static void ask_php(const struct fixture *f, const char *path, char answer[ANSWER_SIZE])
{
        struct sockaddr_in to = { .sin_family = AF_INET,
                                  .sin_port = htons(f->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        char reply[16384], *request = mem_printf("GET %s HTTP/1.0\r\nHost: test\r\n\r\n", path), *body;
        size_t len = 0;
        ssize_t n;

        assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
        assert_int_equal(write(fd, request, strlen(request)), strlen(request));
        while ((n = read(fd, reply + len, sizeof(reply) - 1 - len)) > 0)
                len += (size_t)n;
        reply[len] = '\0';
        close(fd);
        free(request);
        body = strstr(reply, "\r\n\r\n");
        assert_non_null(body);
        if (strncmp(reply + 9, "200", 3) == 0)
                snprintf(answer, ANSWER_SIZE, "%s", body + 4);
        else
                snprintf(answer, ANSWER_SIZE, "%.3s", reply + 9);
}

/* ---- ours, in the same words ---- */

static void read_match(const struct site_match *m, char answer[ANSWER_SIZE])
{
        ssize_t n;

        switch (m->kind) {
        case SITE_FILE:
                assert_true(S_ISREG(m->st.st_mode));
                n = read(m->fd, answer, ANSWER_SIZE - 1);
                assert_int_equal(n, m->st.st_size);
                answer[n] = '\0';
                break;
        case SITE_SCRIPT:
                snprintf(answer, ANSWER_SIZE, "script %s %s\n%s", m->script_name, m->path_info,
                         m->script_filename);
                break;
        case SITE_REDIRECT:
                snprintf(answer, ANSWER_SIZE, "redirect %s", m->location);
                break;
        case SITE_NOT_FOUND:
                strcpy(answer, "404");
                break;
        case SITE_BAD:
                strcpy(answer, "400");
                break;
        case SITE_FAULT:
                strcpy(answer, "503");
                break;
        }
}

static void ask_site(struct site *site, const char *path, char answer[ANSWER_SIZE])
{
        struct site_match match;

        site_resolve(site, slice_of(path), &match);
        read_match(&match, answer);
        site_match_fini(&match);
        site_match_fini(&match);
}

/* The first line; a script's second one must be the file the first one names. */
static void assert_answer(const struct fixture *f, const char *who, const char *path, char *answer,
                          const char *expected)
{
        char *line = strchr(answer, '\n'), name[ANSWER_SIZE];

        if (line) {
                *line = '\0';
                snprintf(name, sizeof(name), "%s%.*s", f->root, (int)strcspn(expected + 7, " "),
                         expected + 7);
                if (!strstr(expected, "with blank"))
                        assert_string_equal(line + 1, name);
        }
        if (strcmp(answer, expected) != 0)
                fail_msg("%s says \"%s\" of %s, expected \"%s\"", who, answer, path, expected);
}

static const struct row rows[] = {
        /* files and scripts */
        { "/a.txt", "file a.txt" },
        { "/a.php", "script /a.php " },
        { "/sub/b.php", "script /sub/b.php " },
        { "/noext", "file noext" },
        { "/UPPER.PHP", "script /UPPER.PHP " },
        { "/upper.php", "404" },
        { "/sub/c.php.txt", "file sub/c.php.txt" },
        { "/a.php.bak", "file a.php.bak" },
        { "/a.php.", "404" },
        { "/idx/index.php", "script /idx/index.php " },
        { "/html/index.html", "file html/index.html" },
        { "/dir.d/index.php", "script /dir.d/index.php " },
        /* path info */
        { "/a.php/", "script /a.php /" },
        { "/a.php/more", "script /a.php /more" },
        { "/a.php/more/and/more/", "script /a.php /more/and/more/" },
        { "/a.php/x.txt", "script /a.php /x.txt" },
        { "/a.php/b.php", "script /a.php /b.php" },
        { "/sub/b.php/x/y.z", "script /sub/b.php /x/y.z" },
        { "/idx/index.php/a.b", "script /idx/index.php /a.b" },
        { "/idx/index.php/", "script /idx/index.php /" },
        /* a slash after a file */
        { "/a.txt/", "file a.txt" },
        { "/noext/", "file noext" },
        { "/html/index.html/", "file html/index.html" },
        /* folders */
        { "/idx/", "script /idx/index.php " },
        { "/both/", "script /both/index.php " },
        { "/html/", "file html/index.html" },
        { "/sub/", "404" },
        { "/sub", "404" },
        { "/sub/deep", "404" },
        { "/sub/deep/", "404" },
        { "/html/in", "404" },
        /* front controllers */
        { "/idx/foo", "script /idx/index.php /foo" },
        { "/idx/foo/", "script /idx/index.php /foo/" },
        { "/idx/foo/bar", "script /idx/index.php /foo/bar" },
        { "/both/foo", "script /both/index.php /foo" },
        { "/html/foo", "file html/index.html" },
        { "/html/foo/bar/", "file html/index.html" },
        { "/idx/foo.txt", "404" },
        { "/idx/foo.txt/", "404" },
        { "/idx/foo.php", "404" },
        { "/idx/foo.", "404" },
        { "/idx/bar/foo.txt", "404" },
        { "/html/foo.png", "404" },
        { "/idx/empty/foo", "404" },
        { "/idx/empty/foo.txt", "404" },
        { "/html/in/foo", "404" },
        { "/sub/none", "404" },
        { "/sub/deep/none/none", "404" },
        { "/missing.txt", "404" },
        { "/missing.php", "404" },
        { "/missing.php/", "404" },
        /* one file, many spellings */
        { "//a.php", "script /a.php " },
        { "/sub//b.php", "script /sub/b.php " },
        { "/sub/../a.php", "script /a.php " },
        { "/sub/./b.php", "script /sub/b.php " },
        { "/../../a.php", "script /a.php " },
        { "/%61.php", "script /a.php " },
        { "/sub%2fb.php", "script /sub/b.php " },
        { "/sub%2f..%2fa.php", "script /a.php " },
        { "/%2e%2e/outside.txt", "404" },
        { "/with%20blank/%C3%A9.php", "script /with blank/\xc3\xa9.php " },
        { "/a.php/x%20y%2fz", "script /a.php /x y/z" },
        { "/a.php/%3Cb%3E", "script /a.php /<b>" },
        { "/a.php%3Fx", "404" },
        { "/A.txt", "404" },
        /* links that stay inside */
        { "/relative.txt", "file a.txt" },
        { "/absolute.txt", "file a.txt" },
        { "/sub/up.php", "script /sub/up.php " },
        { "/idxlink/", "script /idxlink/index.php " },
        { "/idxlink/foo", "script /idxlink/index.php /foo" },
        { "/dangling.txt", "404" },
};

static const struct row root_index_rows[] = {
        { "/", "script /index.php " },
        { "//", "script /index.php " },
        { "/.", "script /index.php " },
        { "/sub/..", "script /index.php " },
        { "/missing", "script /index.php /missing" },
        { "/missing/", "script /index.php /missing/" },
        { "/missing/more", "script /index.php /missing/more" },
        { "/index.php", "script /index.php " },
        { "/missing.txt", "404" },
        { "/missing/x.txt", "404" },
        { "/a.php/more", "script /a.php /more" },
        { "/idx/foo", "script /idx/index.php /foo" },
        { "/sub", "404" },
        { "/sub/x", "404" },
};

static const struct row differences[] = {
        { "/idx", "redirect /idx/", "script /idx/index.php " },
        { "/html", "redirect /html/", "file html/index.html" },
        { "/idxlink", "redirect /idxlink/", "script /idxlink/index.php " },
        { "/sub/../idx", "redirect /idx/", "script /idx/index.php " },
        { "//idx", "redirect /idx/", "script /idx/index.php " },
        { "/dir.d", "redirect /dir.d/", "404" },
        { "/dir.d/", "script /dir.d/index.php ", "404" },
        { "/dir.d/users", "script /dir.d/index.php /users", "404" },
        { "/idx/v1.0/users", "script /idx/index.php /v1.0/users", "404" },
        { "/idx/gone.php/users", "script /idx/index.php /gone.php/users", "404" },
        { "/a.txt/more", "404", "file a.txt" },
        { "/noext/more", "404", "file noext" },
        { "/html/index.html/more", "404", "file html/index.html" },
        { "/.env", "404", "file .env" },
        { "/.htaccess", "404", "file .htaccess" },
        { "/.git/config", "404", "file .git/config" },
        { "/%2egit/config", "404", "file .git/config" },
        { "/sub/.hidden", "404", "file sub/.hidden" },
        { "/.well-known/.secret", "404", "file .well-known/.secret" },
        { "/a.php/.git", "404", "script /a.php /.git" },
        { "/escape.txt", "404", "outside" },
        { "/escape/outside.txt", "404", "outside" },
        { "/escape.php", "404", "script /escape.php " },
        { "/escape/outside.php/x", "404", "script /escape/outside.php /x" },
        { "/a.ph%zz", "400", "404" },
        { "/a.php%2", "400", "404" },
};

static const struct row outside[] = {
        { "/escape.txt", "404" },
        { "/escape.php", "404" },
        { "/escape", "404" },
        { "/escape/", "404" },
        { "/escape/outside.txt", "404" },
        { "/escape/root/a.txt", "file a.txt" },
        { "/passwd.txt", "404" },
        { "/magic", "404" },
        { "/loop.txt", "404" },
        { "/escape/rootless.txt", "404" },
        { "/escape/x", "404" },
};

static const struct row fifos[] = { { "/fifo.txt", "404" },
                                    { "/fifo.php", "404" },
                                    { "/fifo.php/x", "404" } };

static void compare(const struct fixture *f, const struct row *table, size_t count, bool with_php)
{
        char answer[ANSWER_SIZE];

        for (size_t i = 0; i < count; i++) {
                ask_site(f->site, table[i].path, answer);
                assert_answer(f, "sendoff", table[i].path, answer, table[i].ours);
                if (!with_php)
                        continue;
                ask_php(f, table[i].path, answer);
                assert_answer(f, "php -S", table[i].path, answer,
                              table[i].php ? table[i].php : table[i].ours);
        }
}

/* compare() for a child process, which must not fail by a jump. */
static int mismatches(struct site *site, const struct row *table, size_t count)
{
        char answer[ANSWER_SIZE];
        int wrong = 0;

        for (size_t i = 0; i < count; i++) {
                ask_site(site, table[i].path, answer);
                answer[strcspn(answer, "\n")] = '\0';
                if (strcmp(answer, table[i].ours) == 0)
                        continue;
                fprintf(stderr, "in a child: \"%s\" of %s, expected \"%s\"\n", answer, table[i].path,
                        table[i].ours);
                wrong++;
        }
        return wrong;
}

#define MISMATCHES(site, table) mismatches(site, table, sizeof(table) / sizeof((table)[0]))

#define COMPARE(f, table, with_php) compare(f, table, sizeof(table) / sizeof((table)[0]), with_php)

/* ---- tests ---- */

static void says_what_php_says(void **state)
{
        COMPARE(*state, rows, true);
}

static void says_what_php_says_with_an_index_at_the_root(void **state)
{
        struct fixture f = *(const struct fixture *)*state;
        char *path = mem_printf("%s/index.php", f.root);
        struct cause cause;

        write_file(f.root, "index.php", script);
        assert_int_equal(site_new(&f.site, f.root, ".php", false, &cause),
                         0); /* its own, as it may remember index.php */
        COMPARE(&f, root_index_rows, true);
        COMPARE(&f, root_index_rows, false); /* from memory */
        site_free(f.site);
        assert_int_equal(unlink(path), 0);
        free(path);
}

static void says_the_same_from_memory(void **state)
{
        COMPARE(*state, rows, false);
        COMPARE(*state, rows, false);
        COMPARE(*state, differences, false);
        COMPARE(*state, differences, false);
}

static void forgets_a_script_within_a_second(void **state)
{
        const struct fixture *f = *state;
        char *path = mem_printf("%s/brief.php", f->root), answer[ANSWER_SIZE];
        int64_t removed_ms;

        write_file(f->root, "brief.php", script);
        ask_site(f->site, "/brief.php", answer);
        assert_answer(f, "sendoff", "/brief.php", answer, "script /brief.php ");
        assert_int_equal(unlink(path), 0);
        removed_ms = clock_mono_ms();
        do
                ask_site(f->site, "/brief.php", answer);
        while (strcmp(answer, "404") != 0 && clock_mono_ms() - removed_ms < 60000);
        assert_string_equal(answer, "404");
        free(path);
}

static void sees_a_new_script_at_once(void **state)
{
        const struct fixture *f = *state;
        static const char *const paths[] = { "/idx/new.php", "/idx/fresh/", "/idx/fresh" };
        char *folder = mem_printf("%s/idx/fresh", f->root), *path = mem_printf("%s/idx/new.php", f->root),
             *index, answer[ANSWER_SIZE];

        for (size_t i = 0; i < 3; i++)
                ask_site(f->site, paths[i], answer);
        assert_answer(f, "sendoff", paths[2], answer, "script /idx/index.php /fresh");
        write_file(f->root, "idx/new.php", script);
        assert_int_equal(mkdir(folder, 0755), 0);
        write_file(f->root, "idx/fresh/index.php", script);
        ask_site(f->site, paths[0], answer);
        assert_answer(f, "sendoff", paths[0], answer, "script /idx/new.php ");
        ask_site(f->site, paths[1], answer);
        assert_answer(f, "sendoff", paths[1], answer, "script /idx/fresh/index.php ");
        ask_site(f->site, paths[2], answer);
        assert_string_equal(answer, "redirect /idx/fresh/");
        index = mem_printf("%s/index.php", folder);
        assert_int_equal(unlink(index), 0);
        assert_int_equal(rmdir(folder), 0);
        assert_int_equal(unlink(path), 0);
        free(index);
        free(folder);
        free(path);
}

static void differs_from_php_only_on_purpose(void **state)
{
        COMPARE(*state, differences, true);
}

static void finds_nothing_at_a_root_without_an_index(void **state)
{
        const struct fixture *f = *state;
        static const struct row none[] = { { "/", "404" }, { "/missing", "404" }, { "/missing/", "404" } };

        COMPARE(f, none, true);
}

static void serves_only_well_known_among_dot_folders(void **state)
{
        static const struct row known[] = {
                { "/.well-known/security.txt", "file .well-known/security.txt" },
                { "/.well-known/w.php/x", "script /.well-known/w.php /x" },
                { "/%2ewell-known/security.txt", "file .well-known/security.txt" },
                { "/.well-known", "404" },
                { "/.well-knownx/x.txt", "404" },
                { "/sub/.well-known/x", "404" },
                { "/...", "404" },
                { "/..%00", "400" },
        };

        COMPARE(*state, known, false);
}

static void refuses_malformed_paths(void **state)
{
        const struct fixture *f = *state;
        char answer[ANSWER_SIZE], deep[2 * PATH_SEGMENTS_MAX + 3] = "";
        static const char *const bad[] = { "",    "*",    "a.txt",     "%2fa.txt",      "/%",
                                           "/%4", "/%gg", "/a%00.txt", "http://x/a.txt" };

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                ask_site(f->site, bad[i], answer);
                assert_string_equal(answer, "400");
        }
        for (int i = 0; i < PATH_SEGMENTS_MAX; i++)
                strcat(deep, "/a");
        ask_site(f->site, deep, answer);
        assert_string_equal(answer, "404");
        strcat(deep, "/a");
        ask_site(f->site, deep, answer);
        assert_string_equal(answer, "400");
}

static void gives_a_front_controller_names_no_file_could_have(void **state)
{
        const struct fixture *f = *state;
        char path[8 + 6000 + 1] = "/idx/", *long_answer;
        struct site_match match;

        memset(path + 5, 'x', 300);
        for (int i = 0; i < 20; i++) {
                size_t at = strlen(path);

                path[at] = '/';
                memset(path + at + 1, 'y', 250);
        }
        site_resolve(f->site, slice_of(path), &match);
        assert_int_equal(match.kind, SITE_SCRIPT);
        assert_string_equal(match.script_name, "/idx/index.php");
        assert_string_equal(match.path_info, path + 4);
        long_answer = mem_printf("%s/idx/index.php", f->root);
        assert_string_equal(match.script_filename, long_answer);
        free(long_answer);
        site_match_fini(&match);
}

static void gives_a_script_a_path_info_of_any_length(void **state)
{
        const struct fixture *f = *state;
        static const size_t lengths[] = { 60000, 1, MEMO_NEAR - 1, MEMO_NEAR, MEMO_NEAR + 1, 60000 };
        char *path = mem_alloc(60000 + 8);

        for (size_t i = 0; i < 2 * sizeof(lengths) / sizeof(lengths[0]); i++) { /* each twice in a row */
                struct site_match match;

                memset(path, 0, 60000 + 8);
                memset(strcpy(path, "/a.php/") + 7, 'x', lengths[i / 2]);
                site_resolve(f->site, slice_of(path), &match);
                assert_int_equal(match.kind, SITE_SCRIPT);
                assert_string_equal(match.script_name, "/a.php");
                assert_string_equal(match.path_info, path + 6);
                site_match_fini(&match);
        }
        free(path);
}

static void follows_no_link_to_the_outside(void **state)
{
        COMPARE(*state, outside, false);
}

static void serves_no_fifo_and_does_not_wait_for_one(void **state)
{
        COMPARE(*state, fifos, false);
}

static void encodes_the_location_of_a_redirect(void **state)
{
        struct fixture *f = *state;
        char *path = mem_printf("%s/o d\"%%\r\n", f->root), answer[ANSWER_SIZE], *index;

        assert_int_equal(mkdir(path, 0755), 0);
        index = mem_printf("%s/index.html", path);
        write_file(path, "index.html", "x");
        ask_site(f->site, "/o%20d%22%25%0d%0a", answer);
        assert_string_equal(answer, "redirect /o%20d%22%25%0D%0A/");
        ask_site(f->site, "//////o%20d%22%25%0d%0a", answer);
        assert_string_equal(answer, "redirect /o%20d%22%25%0D%0A/");
        assert_int_equal(unlink(index), 0);
        assert_int_equal(rmdir(path), 0);
        free(index);
        free(path);
}

/* Without openat2 the same tables hold: seccomp makes this the kernel of before 2020. */
static void needs_no_openat2(void **state)
{
        struct sock_filter filter[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = { .len = sizeof(filter) / sizeof(filter[0]), .filter = filter };
        const struct fixture *f = *state;
        struct site *old;
        struct cause cause;
        pid_t child = fork();
        int status;

        assert_true(child >= 0);
        if (child == 0) {
                if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
                    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
                        _exit(3);
                if (syscall(SYS_openat2, 0, "", NULL, 0) != -1 || errno != ENOSYS ||
                    site_new(&old, f->root, ".php", false, &cause) != 0)
                        _exit(4);
                _exit(MISMATCHES(old, rows) + MISMATCHES(old, differences) + MISMATCHES(old, outside) +
                      MISMATCHES(old, fifos));
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
}

static void says_nothing_of_what_it_may_not_read(void **state)
{
        static const struct row closed_rows[] = { { "/secret.txt", "404" },
                                                  { "/closed/a.php", "404" },
                                                  { "/a.txt", "file a.txt" } };
        const struct fixture *f = *state;
        char *path = mem_printf("%s/secret.txt", f->root), *folder = mem_printf("%s/closed", f->root);
        pid_t child;
        int status;

        write_file(f->root, "secret.txt", "x");
        assert_int_equal(chmod(f->base, 0755), 0);
        assert_int_equal(chmod(path, 0), 0);
        assert_int_equal(mkdir(folder, 0), 0);
        child = fork();
        assert_true(child >= 0);
        if (child == 0) /* root may read everything, so not as root */
                _exit(geteuid() == 0 && setuid(65534) != 0 ? 9 : MISMATCHES(f->site, closed_rows));
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(rmdir(folder), 0);
        free(folder);
        free(path);
}

static void names_a_file_by_its_path_below_the_root(void **state)
{
        const struct fixture *f = *state;
        struct site_match match;

        site_resolve(f->site, SLICE("/html/"), &match);
        assert_string_equal(match.name, "html/index.html");
        site_match_fini(&match);
        site_resolve(f->site, SLICE("/sub/..//a.txt/"), &match);
        assert_string_equal(match.name, "a.txt");
        site_match_fini(&match);
}

static void tells_running_out_of_descriptors_from_not_found(void **state)
{
        const struct fixture *f = *state;
        struct rlimit before, none;
        char file[ANSWER_SIZE], script_answer[ANSWER_SIZE], folder[ANSWER_SIZE];

        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        none = (struct rlimit){ .rlim_cur = 0, .rlim_max = before.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        ask_site(f->site, "/a.txt", file);
        ask_site(f->site, "/fifo.php", script_answer);
        ask_site(f->site, "/idx/", folder);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_string_equal(file, "503");
        assert_string_equal(script_answer, "503");
        assert_string_equal(folder, "503");
        ask_site(f->site, "/a.txt", file);
        assert_string_equal(file, "file a.txt");
}

static int open_descriptors(void)
{
        DIR *dir = opendir("/proc/self/fd");
        int count = 0;

        assert_non_null(dir);
        while (readdir(dir))
                count++;
        closedir(dir);
        return count;
}

static void closes_what_it_opened_and_nothing_else(void **state)
{
        const struct fixture *f = *state;
        int before = open_descriptors(), saved;
        struct site_match zeroes = { 0 }, match;
        char answer[ANSWER_SIZE];

        COMPARE(f, rows, false);
        COMPARE(f, differences, false);
        assert_int_equal(open_descriptors(), before);

        assert_int_equal(zeroes.kind, SITE_FILE);
        site_match_fini(&zeroes);
        assert_true(fcntl(0, F_GETFD) >= 0);

        saved = fcntl(0, F_DUPFD_CLOEXEC, 100);
        close(0);
        site_resolve(f->site, SLICE("/a.txt"), &match);
        assert_int_equal(match.kind, SITE_FILE);
        assert_true(match.fd > 0);
        assert_int_equal(fcntl(0, F_GETFD), -1);
        read_match(&match, answer);
        assert_string_equal(answer, "file a.txt");
        site_match_fini(&match);
        assert_int_equal(dup2(saved, 0), 0);
        close(saved);
}

static void one_program_gets_everything(void **state)
{
        const struct fixture *f = *state;
        struct site *site;
        struct cause cause;
        struct site_match match;

        assert_int_equal(site_new(&site, f->root, ".php", true, &cause), 0);
        site_resolve(site, SLICE("/a%20b/./../c.txt"), &match);
        assert_int_equal(match.kind, SITE_SCRIPT);
        assert_string_equal(match.script_filename, f->root);
        assert_string_equal(match.script_name, "");
        assert_string_equal(match.path_info, "/c.txt");
        site_match_fini(&match);
        site_resolve(site, SLICE("/%zz"), &match);
        assert_int_equal(match.kind, SITE_BAD);
        site_match_fini(&match);
        site_free(site);
}

static void takes_another_suffix(void **state)
{
        const struct fixture *f = *state;
        struct site *site;
        struct cause cause;
        char answer[ANSWER_SIZE];

        assert_int_equal(site_new(&site, f->root, ".txt", false, &cause), 0);
        ask_site(site, "/a.txt/x", answer);
        assert_true(strncmp(answer, "script /a.txt /x\n", 17) == 0);
        ask_site(site, "/both/", answer);
        assert_string_equal(answer, "file both/index.html");
        site_free(site);
        assert_int_equal(site_new(&site, f->root, "", false, &cause), -EINVAL);
        site_free(site);
}

static void says_why_a_folder_cannot_be_a_site(void **state)
{
        const struct fixture *f = *state;
        char *path = mem_printf("%s/a.txt", f->root);
        struct site *site;
        struct cause cause = { "" };

        assert_int_equal(site_new(&site, "/tmp/sendoff-there-is-no-such-folder", ".php", false, &cause),
                         -ENOENT);
        assert_null(site);
        assert_string_equal(
                cause.text,
                "the site's folder /tmp/sendoff-there-is-no-such-folder: No such file or directory");
        assert_int_equal(site_new(&site, path, ".php", false, &cause), -ENOTDIR);
        free(path);
}

static void resolves_the_root_itself(void **state)
{
        const struct fixture *f = *state;
        char *odd = mem_printf("%s/sub/..//escape/root/", f->root), answer[ANSWER_SIZE];
        struct site *site;
        struct cause cause;

        assert_int_equal(site_new(&site, odd, ".php", false, &cause), 0);
        assert_string_equal(site_root(site), f->root);
        ask_site(site, "/a.php", answer);
        assert_answer(f, "sendoff", odd, answer, "script /a.php ");
        site_free(site);
        free(odd);

        assert_int_equal(site_new(&site, "/", ".php", false, &cause), 0);
        assert_string_equal(site_root(site), "/");
        odd = mem_printf("%s/a.php/x", f->root);
        ask_site(site, odd, answer);
        free(odd);
        odd = mem_printf("script %s/a.php /x\n%s/a.php", f->root, f->root);
        assert_string_equal(answer, odd);
        free(odd);
        site_free(site);
}

/* Whatever is asked for in whatever spelling: what is opened or named lies inside. */
static void never_leaves_the_folder(void **state)
{
        static const char *const pieces[] = { "/",     "/",       "/..",          "/.",          "%2f",
                                              "%2F..", "/%2e%2e", "escape",       "outside.txt", "a.txt",
                                              "sub",   "escape/", "outside.php",  "root",        "passwd.txt",
                                              "magic", "idx",     "absolute.txt", "up.php",      "\\..\\" };
        const struct fixture *f = *state;
        unsigned found = 0, seed = 20211;
        char inside[96];

        snprintf(inside, sizeof(inside), "%s/", f->root);
        for (int i = 0; i < 20000; i++) {
                char path[256] = "/", proc[64], real[4096] = "";
                struct site_match match;

                for (int n = rand_r(&seed) % 8; n > 0; n--)
                        strcat(path, pieces[(unsigned)rand_r(&seed) % (sizeof(pieces) / sizeof(pieces[0]))]);
                site_resolve(f->site, slice_of(path), &match);
                if (match.kind == SITE_FILE) {
                        snprintf(proc, sizeof(proc), "/proc/self/fd/%d", match.fd);
                        assert_true(readlink(proc, real, sizeof(real) - 1) > 0);
                } else if (match.kind == SITE_SCRIPT) {
                        assert_non_null(realpath(match.script_filename, real));
                }
                if (real[0]) {
                        found++;
                        if (strncmp(real, inside, strlen(inside)) != 0)
                                fail_msg("%s leads to %s", path, real);
                }
                site_match_fini(&match);
        }
        assert_true(found > 100);
}

/* ---- set-up ---- */

static int set_up(void **state)
{
        struct fixture *f = mem_alloc(sizeof(*f));
        struct cause cause;

        make_tree(f);
        start_php(f);
        assert_int_equal(site_new(&f->site, f->root, ".php", false, &cause), 0);
        *state = f;
        return 0;
}

static int tear_down(void **state)
{
        struct fixture *f = *state;
        char *command = mem_printf("rm -rf %s", f->base);

        site_free(f->site);
        kill(f->php, SIGKILL);
        waitpid(f->php, NULL, 0);
        assert_int_equal(system(command), 0);
        free(command);
        free(f);
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(says_what_php_says),
                cmocka_unit_test(says_what_php_says_with_an_index_at_the_root),
                cmocka_unit_test(differs_from_php_only_on_purpose),
                cmocka_unit_test(says_the_same_from_memory),
                cmocka_unit_test(forgets_a_script_within_a_second),
                cmocka_unit_test(sees_a_new_script_at_once),
                cmocka_unit_test(finds_nothing_at_a_root_without_an_index),
                cmocka_unit_test(serves_only_well_known_among_dot_folders),
                cmocka_unit_test(refuses_malformed_paths),
                cmocka_unit_test(gives_a_front_controller_names_no_file_could_have),
                cmocka_unit_test(gives_a_script_a_path_info_of_any_length),
                cmocka_unit_test(follows_no_link_to_the_outside),
                cmocka_unit_test(serves_no_fifo_and_does_not_wait_for_one),
                cmocka_unit_test(encodes_the_location_of_a_redirect),
                cmocka_unit_test(needs_no_openat2),
                cmocka_unit_test(says_nothing_of_what_it_may_not_read),
                cmocka_unit_test(names_a_file_by_its_path_below_the_root),
                cmocka_unit_test(tells_running_out_of_descriptors_from_not_found),
                cmocka_unit_test(closes_what_it_opened_and_nothing_else),
                cmocka_unit_test(one_program_gets_everything),
                cmocka_unit_test(takes_another_suffix),
                cmocka_unit_test(says_why_a_folder_cannot_be_a_site),
                cmocka_unit_test(resolves_the_root_itself),
                cmocka_unit_test(never_leaves_the_folder),
        };

        return cmocka_run_group_tests_name("site", tests, set_up, tear_down);
}
