/* Extension to media type: see mime.h. What php -S knows and what web sites hold today; a sorted table,
 * searched by halves. */
#include "server/mime.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct mime_row {
        const char *extension;
        const char *type;
};

#define TEXT(kind) "text/" kind "; charset=utf-8"

static const struct mime_row rows[] = {
        { "3gp", "video/3gpp" },
        { "7z", "application/x-7z-compressed" },
        { "aac", "audio/aac" },
        { "apk", "application/vnd.android.package-archive" },
        { "apng", "image/apng" },
        { "appcache", TEXT("cache-manifest") },
        { "atom", "application/atom+xml" },
        { "avi", "video/x-msvideo" },
        { "avif", "image/avif" },
        { "bmp", "image/bmp" },
        { "bz2", "application/x-bzip2" },
        { "c", TEXT("plain") },
        { "conf", TEXT("plain") },
        { "css", TEXT("css") },
        { "csv", TEXT("csv") },
        { "deb", "application/vnd.debian.binary-package" },
        { "doc", "application/msword" },
        { "docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document" },
        { "eot", "application/vnd.ms-fontobject" },
        { "eps", "application/postscript" },
        { "epub", "application/epub+zip" },
        { "flac", "audio/flac" },
        { "gif", "image/gif" },
        { "glb", "model/gltf-binary" },
        { "gltf", "model/gltf+json" },
        { "gz", "application/gzip" },
        { "h", TEXT("plain") },
        { "heic", "image/heic" },
        { "htc", TEXT("x-component") },
        { "htm", TEXT("html") },
        { "html", TEXT("html") },
        { "ico", "image/vnd.microsoft.icon" },
        { "ics", TEXT("calendar") },
        { "jar", "application/java-archive" },
        { "jfif", "image/jpeg" },
        { "jpe", "image/jpeg" },
        { "jpeg", "image/jpeg" },
        { "jpg", "image/jpeg" },
        { "js", TEXT("javascript") },
        { "json", "application/json" },
        { "jsonld", "application/ld+json" },
        { "jxl", "image/jxl" },
        { "log", TEXT("plain") },
        { "m3u8", "application/vnd.apple.mpegurl" },
        { "m4a", "audio/mp4" },
        { "m4v", "video/x-m4v" },
        { "map", "application/json" },
        { "markdown", TEXT("markdown") },
        { "md", TEXT("markdown") },
        { "mid", "audio/midi" },
        { "mjs", TEXT("javascript") },
        { "mkv", "video/x-matroska" },
        { "mov", "video/quicktime" },
        { "mp3", "audio/mpeg" },
        { "mp4", "video/mp4" },
        { "mpeg", "video/mpeg" },
        { "mpg", "video/mpeg" },
        { "ndjson", "application/x-ndjson" },
        { "odp", "application/vnd.oasis.opendocument.presentation" },
        { "ods", "application/vnd.oasis.opendocument.spreadsheet" },
        { "odt", "application/vnd.oasis.opendocument.text" },
        { "oga", "audio/ogg" },
        { "ogg", "audio/ogg" },
        { "ogv", "video/ogg" },
        { "opus", "audio/ogg" },
        { "otf", "font/otf" },
        { "pdf", "application/pdf" },
        { "png", "image/png" },
        { "ppt", "application/vnd.ms-powerpoint" },
        { "pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation" },
        { "ps", "application/postscript" },
        { "rar", "application/vnd.rar" },
        { "rss", "application/rss+xml" },
        { "rtf", "application/rtf" },
        { "svg", "image/svg+xml" },
        { "tar", "application/x-tar" },
        { "tgz", "application/gzip" },
        { "tif", "image/tiff" },
        { "tiff", "image/tiff" },
        { "ts", "video/mp2t" },
        { "tsv", TEXT("tab-separated-values") },
        { "ttc", "font/collection" },
        { "ttf", "font/ttf" },
        { "txt", TEXT("plain") },
        { "vcf", TEXT("vcard") },
        { "vtt", TEXT("vtt") },
        { "wasm", "application/wasm" },
        { "wav", "audio/wav" },
        { "weba", "audio/webm" },
        { "webm", "video/webm" },
        { "webmanifest", "application/manifest+json" },
        { "webp", "image/webp" },
        { "woff", "font/woff" },
        { "woff2", "font/woff2" },
        { "xht", "application/xhtml+xml" },
        { "xhtml", "application/xhtml+xml" },
        { "xls", "application/vnd.ms-excel" },
        { "xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" },
        { "xml", TEXT("xml") },
        { "xsl", TEXT("xml") },
        { "xz", "application/x-xz" },
        { "yaml", "application/yaml" },
        { "yml", "application/yaml" },
        { "zip", "application/zip" },
        { "zst", "application/zstd" },
};

static int compare(const void *key, const void *row)
{
        return strcasecmp(key, ((const struct mime_row *)row)->extension);
}

const char *mime_type(const char *name)
{
        const char *slash = strrchr(name, '/'), *dot;
        const struct mime_row *row = NULL;

        dot = strrchr(slash ? slash : name, '.');
        if (dot)
                row = bsearch(dot + 1, rows, sizeof(rows) / sizeof(rows[0]), sizeof(rows[0]), compare);
        return row ? row->type : "application/octet-stream";
}
