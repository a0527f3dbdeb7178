/* What jobs.c (jobs in motion) and job_calls.c (questions, watches, recovery) share. For these two files
 * only. */
#ifndef SENDOFF_SERVER_JOBS_INTERNAL_H
#define SENDOFF_SERVER_JOBS_INTERNAL_H

#include <uthash.h>
#include <uv.h>

#include "server/jobs.h"
#include "server/window.h"

#define PURGE_EVERY_MS 1000

enum entry_phase {
        ENTRY_ADDING,
        ENTRY_STARTING,
        ENTRY_WAITING,
        ENTRY_RUNNING,
        ENTRY_ENDING,
        ENTRY_UNSAVED,
};

struct entry {
        uint64_t seq; /* key */
        UT_hash_handle hh;
        struct jobs *jobs;
        enum entry_phase phase;
        struct job *job;
        struct run *run; /* RUNNING */
        struct site_match match;
        struct buf log;
        struct store_op op;
        jobs_accepted *accepted;
        void *accepted_arg;
        bool reserved, started;    /* a worker is reserved; its run has begun on it */
        bool cancel_asked;         /* while STARTING */
        struct entry *prev, *next; /* waiting or unsaved */
};

struct watch_slot {
        uint64_t seq; /* key */
        UT_hash_handle hh;
        struct jobs_watch *list;
};

struct jobs {
        struct jobs_config config;
        struct dispatcher *dispatcher;
        uint64_t seq; /* the last one given out */
        struct entry *entries;
        struct entry *waiting; /* run begun on paper, its worker fell out */
        struct entry *unsaved; /* ended, but the store did not take it yet */
        struct watch_slot *watches;
        struct window window;
        unsigned under_way; /* ops the store has */
        uint64_t counts[JOB_STATES];
        uint64_t bytes; /* request bodies of unfinished jobs */
        uv_timer_t retry, again, purge;
        struct store_op purge_op;
        bool purging, draining, turning;
};

void jobs_count_move(struct jobs *jobs, enum job_state from, enum job_state to, uint64_t body_bytes);
void jobs_notify(struct jobs *jobs, uint64_t seq);
void jobs_notify_all(struct jobs *jobs);
void jobs_check_idle(struct jobs *jobs);
void jobs_retry_unsaved(uv_timer_t *timer);
void jobs_turn_again(uv_timer_t *timer);
void jobs_purge(uv_timer_t *timer);

#endif
