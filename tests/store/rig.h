/* A store on a folder of its own, and operations that are waited for. */
#ifndef SENDOFF_TESTS_RIG_H
#define SENDOFF_TESTS_RIG_H

#include "store/store.h"

struct rig {
        struct store *store;
        int wake; /* eventfd */
        char folder[64];
};

void rig_make(struct rig *rig);                     /* a fresh folder and an open store */
int rig_open(struct rig *rig, struct cause *cause); /* store_open's result */
void rig_reopen(struct rig *rig);
void rig_remove(struct rig *rig); /* closes, and removes the folder */

int rig_do(struct rig *rig, struct store_op *op);           /* submits, waits, returns the status */
void rig_wait(struct rig *rig, const int *done, int count); /* drains until *done reaches count */

/* A draft with a body of len bytes that depend on seq; rig_job: accepted as ready or running. The id's random
 * part depends on seq, too. NULL when the body's file cannot be written. */
struct job *rig_draft(struct rig *rig, uint64_t seq, size_t len);
struct job *rig_job(struct rig *rig, uint64_t seq, size_t len, bool running);
struct job_id rig_id(uint64_t seq);
bool rig_body_is_whole(const struct spool *body, uint64_t seq, size_t len);

/* The status of the addition; STORE_NO_SPACE, too, when the body's file cannot be written. */
int rig_add(struct rig *rig, uint64_t seq, size_t len, bool running);
struct job *rig_get(struct rig *rig, uint64_t seq,
                    int *status); /* with request and reply; NULL unless found */
bool rig_is_there(struct rig *rig, uint64_t seq,
                  size_t len);                 /* then its body is whole; else it is not found */
void rig_wait_until_writable(struct rig *rig); /* asks for nothing: the store is to recover by itself */
unsigned rig_files(struct rig *rig);           /* in files/ */

/* Past the store, for what it does not tell. Ends the test when it fails. */
void rig_sql(struct rig *rig, const char *sql);
int rig_number(struct rig *rig, const char *sql); /* the first column of the first row */
unsigned rig_named_files(struct rig *rig);        /* that jobs and replies name */

#endif
