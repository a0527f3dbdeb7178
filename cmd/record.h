/* A job's record, as the server tells it. */
#ifndef SENDOFF_CMD_RECORD_H
#define SENDOFF_CMD_RECORD_H

#include <stdbool.h>

#include <jansson.h>

const char *json_text(const json_t *object, const char *key); /* "" when null or missing */
void print_json(const json_t *json);                          /* one line on stdout */
bool job_is_final(const json_t *job);
bool job_succeeded(const json_t *job);

#endif
