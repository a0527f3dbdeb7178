/* Media types. The table itself is read in, so that every row is proved to be found. */
#include "server/mime.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static void finds_every_row(void **state)
{
        char name[64];

        for (size_t i = 0; i < ROWS; i++) {
                snprintf(name, sizeof(name), "some/file.%s", rows[i].extension);
                assert_string_equal(mime_type(name), rows[i].type);
        }
}

static void keeps_its_rows_sorted_and_unique(void **state)
{
        for (size_t i = 1; i < ROWS; i++)
                if (strcasecmp(rows[i - 1].extension, rows[i].extension) >= 0)
                        fail_msg("%s stands before %s", rows[i - 1].extension, rows[i].extension);
}

static void says_utf_8_for_all_text_and_nothing_else(void **state)
{
        static const char charset[] = "; charset=utf-8";

        for (size_t i = 0; i < ROWS; i++) {
                size_t len = strlen(rows[i].type),
                       at = len > sizeof(charset) - 1 ? len - sizeof(charset) + 1 : 0;

                assert_int_equal(strncmp(rows[i].type, "text/", 5) == 0,
                                 strcmp(rows[i].type + at, charset) == 0);
        }
}

static void knows_what_the_web_is_made_of(void **state)
{
        static const char *const known[][2] = {
                { "index.html", "text/html; charset=utf-8" },
                { "a.htm", "text/html; charset=utf-8" },
                { "style.css", "text/css; charset=utf-8" },
                { "app.js", "text/javascript; charset=utf-8" },
                { "app.mjs", "text/javascript; charset=utf-8" },
                { "app.js.map", "application/json" },
                { "data.json", "application/json" },
                { "site.webmanifest", "application/manifest+json" },
                { "a.txt", "text/plain; charset=utf-8" },
                { "feed.xml", "text/xml; charset=utf-8" },
                { "icon.svg", "image/svg+xml" },
                { "favicon.ico", "image/vnd.microsoft.icon" },
                { "a.png", "image/png" },
                { "a.jpg", "image/jpeg" },
                { "a.jpeg", "image/jpeg" },
                { "a.gif", "image/gif" },
                { "a.webp", "image/webp" },
                { "a.avif", "image/avif" },
                { "a.woff2", "font/woff2" },
                { "a.wasm", "application/wasm" },
                { "a.pdf", "application/pdf" },
                { "a.zip", "application/zip" },
                { "a.mp4", "video/mp4" },
                { "a.webm", "video/webm" },
                { "a.tar.gz", "application/gzip" },
        };

        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
                assert_string_equal(mime_type(known[i][0]), known[i][1]);
}

static void does_not_mind_case(void **state)
{
        assert_string_equal(mime_type("PHOTO.JPG"), "image/jpeg");
        assert_string_equal(mime_type("a.HtMl"), "text/html; charset=utf-8");
}

static void calls_everything_else_octets(void **state)
{
        static const char *const unknown[] = { "",          "README",  "a.",
                                               "a.unknown", "html",    "dir.html/README",
                                               "a.html~",   "a.htmlx", "/" };

        for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
                assert_string_equal(mime_type(unknown[i]), "application/octet-stream");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(finds_every_row),
                cmocka_unit_test(keeps_its_rows_sorted_and_unique),
                cmocka_unit_test(says_utf_8_for_all_text_and_nothing_else),
                cmocka_unit_test(knows_what_the_web_is_made_of),
                cmocka_unit_test(does_not_mind_case),
                cmocka_unit_test(calls_everything_else_octets),
        };

        return cmocka_run_group_tests_name("mime", tests, NULL, NULL);
}
