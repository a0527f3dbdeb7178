/* What both doors say about jobs: accepting one, its status (with long-poll), its result, its log, cancelling
 * it, running it again. Each call takes the exchange over and answers it, at once or later; a caller that
 * hangs up meanwhile only ends the answer. */
#ifndef SENDOFF_SERVER_JOB_PAGES_H
#define SENDOFF_SERVER_JOB_PAGES_H

#include "server/exchange.h"
#include "server/jobs.h"

struct job_pages {
        struct jobs *jobs;
        const struct config *config;
        uv_loop_t *loop;
        bool full; /* the control door: whole records, and a status is always 200 */
};

enum job_page_reply {
        JOB_PAGE_REPLY,  /* with a wait: the script's own reply when it comes in time, else the receipt */
        JOB_PAGE_RECORD, /* with a wait: the job's record */
};

struct job_page_accept {
        struct job *draft; /* taken over */
        int64_t wait_ms;   /* 0: answer with the receipt once it is stored */
        enum job_page_reply reply;
        bool preference; /* it was asked for by Prefer: say that it was applied */
};

void job_page_accept(struct job_pages *pages, struct exchange *ex, const struct job_page_accept *accept);
void job_page_status(struct job_pages *pages, struct exchange *ex, const struct job_id *id, int64_t wait_ms);
void job_page_result(struct job_pages *pages, struct exchange *ex, const struct job_id *id);
void job_page_cancel(struct job_pages *pages, struct exchange *ex, const struct job_id *id);
void job_page_retry(struct job_pages *pages, struct exchange *ex, const struct job_id *id);
/* job_log_page.c: the log as text; follow: as server-sent events, until the job ends. */
void job_page_log(struct job_pages *pages, struct exchange *ex, const struct job_id *id, bool follow);

/* The value of ?wait=N in milliseconds, at most wait_max; 0 when there is none. False when it is no number
 * (answered with 400, the exchange is over). */
bool job_page_wait(struct job_pages *pages, struct exchange *ex, int64_t *wait_ms);

#endif
