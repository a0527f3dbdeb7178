/* The media type of a static file, by its name alone. Pure. */
#ifndef SENDOFF_SERVER_MIME_H
#define SENDOFF_SERVER_MIME_H

/* name: a file name or path. The value for Content-Type, with "; charset=utf-8" for text; never NULL:
 * application/octet-stream when the extension is unknown or there is none. Case does not matter. */
const char *mime_type(const char *name);

#endif
