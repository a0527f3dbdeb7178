/* The program, run by a test against a server that plays fixed bytes. SENDOFF names it. */
#ifndef SENDOFF_TESTS_CMD_PROGRAM_H
#define SENDOFF_TESTS_CMD_PROGRAM_H

#include "player.h"

#define LENGTH(array) (sizeof(array) / sizeof(array[0]))
#define ID            "000000018pjptgs4n38ajb8sxwn3"
#define OTHER         "00000002abcdefghjkmnpqrstvwx"
#define THIRD         "00000003abcdefghjkmnpqrstvwx"

struct fixture {
        struct player player;
        bool playing;
        char folder[64];
        char *out, *err; /* of the last run */
};

int program_setup(void **state); /* for cmocka; *state is a struct fixture */
int program_teardown(void **state);

void play(struct fixture *f, const struct play *plays, size_t count);
void stop(struct fixture *f);
/* Runs the program with the words up to NULL; its exit code. */
int run(struct fixture *f, ...);
void expect_err(struct fixture *f, const char *text); /* it is somewhere in stderr */
void expect_request(struct fixture *f, size_t i, const char *line);
char *path_in(const struct fixture *f, const char *name);
char *read_file(const char *path);

/* Replies for struct play, made: free_plays ends the playing and frees them. */
char *reply(const char *head, const char *body);
char *receipt(const char *id);
char *record(const char *id, const char *state, const char *status);
char *problem(const char *head, const char *detail);
void free_plays(struct fixture *f, struct play *plays, size_t count);

#endif
