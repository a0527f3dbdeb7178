/* kill -9 at any moment: a child adds and ends jobs and reports each acknowledgement through a pipe; the
 * parent kills it, opens what is left, and looks for everything that was reported. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "rig.h"

enum { ROUNDS = 40, UNDER_WAY = 8, JOBS_MAX = 100000 };

struct report {
        uint32_t seq;
        uint32_t ended; /* 0: added; 1: ended */
};

struct slot {
        struct store_op op;
        struct rig *rig;
        int report_fd;
        uint32_t *next_seq;
};

static size_t body_len(uint64_t seq)
{
        return seq % 3 ? (size_t)(seq % 900) : (size_t)(2000 + seq % 5000);
}

static void slot_done(struct store_op *op);

static void slot_add(struct slot *slot)
{
        uint32_t seq = ++*slot->next_seq;

        slot->op = (struct store_op){ .kind = STORE_ADD,
                                      .job = rig_job(slot->rig, seq, body_len(seq), true),
                                      .done = slot_done,
                                      .arg = slot };
        store_submit(slot->rig->store, &slot->op);
}

/* The reply holds the same bytes as the request. */
static void slot_end(struct slot *slot)
{
        static const struct job_run how = {
                .outcome = RUN_SUCCEEDED, .status = 200, .exit_code = -1, .cpu_ms = -1, .peak_rss_kb = -1
        };
        struct job *job = slot->op.job;
        size_t len = (size_t)job->request.body.len;
        char *body = mem_alloc(len + 1);

        if (spool_read(&job->request.body, 0, body, len + 1) != (ssize_t)len)
                abort();
        spool_fini(&job->reply.body);
        spool_init(&job->reply.body, store_files_fd(slot->rig->store), 1000, 1 << 30);
        if (spool_write(&job->reply.body, body, len) != 0)
                abort();
        free(body);
        job->reply.status = 200;
        job->reply.kept = true;
        job_run_ended(job, &(struct job_ending){ .run = &how }, 6000);
        slot->op.kind = STORE_UPDATE;
        store_submit(slot->rig->store, &slot->op);
}

static void slot_done(struct store_op *op)
{
        struct slot *slot = op->arg;
        struct report report = { .seq = (uint32_t)op->job->id.seq, .ended = op->kind == STORE_UPDATE };

        if (op->status != 0 || write(slot->report_fd, &report, sizeof(report)) != sizeof(report))
                abort();
        if (!report.ended && report.seq % 2) {
                slot_end(slot);
                return;
        }
        job_free(op->job);
        slot_add(slot);
}

static void child(struct rig *rig, int report_fd, uint32_t next_seq)
{
        struct cause cause = { "" };
        struct slot slots[UNDER_WAY];
        int never = 0;

        if (rig_open(rig, &cause) != 0)
                _exit(1);
        for (int i = 0; i < UNDER_WAY; i++) {
                slots[i] = (struct slot){ .rig = rig, .report_fd = report_fd, .next_seq = &next_seq };
                slot_add(&slots[i]);
        }
        rig_wait(rig, &never, 1);
}

/* Reads reports until the pipe ends; kills the child after `count` of them and a moment. */
static unsigned crash_after(struct rig *rig, uint32_t next_seq, unsigned count, int moment_us,
                            unsigned char *seen)
{
        struct report report;
        unsigned got = 0;
        int fds[2], status;
        pid_t pid;

        assert_int_equal(pipe(fds), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                close(fds[0]);
                child(rig, fds[1], next_seq);
                _exit(1);
        }
        close(fds[1]);
        while (read(fds[0], &report, sizeof(report)) == sizeof(report)) {
                assert_true(report.seq < JOBS_MAX);
                seen[report.seq] |= (unsigned char)(1 + report.ended);
                if (++got == count) {
                        usleep((useconds_t)moment_us); /* the moment is arbitrary, nothing is waited for */
                        kill(pid, SIGKILL);
                }
        }
        close(fds[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        assert_true(got >= count);
        return got;
}

static void account(struct rig *rig, const unsigned char *seen, uint32_t last)
{
        for (uint32_t seq = 1; seq <= last; seq++) {
                int status;
                struct job *job = rig_get(rig, seq, &status);

                if (seen[seq])
                        assert_non_null(job);
                if (!job) {
                        assert_int_equal(status, STORE_NOT_FOUND);
                        continue;
                }
                assert_true(rig_body_is_whole(&job->request.body, seq, body_len(seq)));
                if (seen[seq] & 2)
                        assert_int_equal(job->state, JOB_SUCCEEDED);
                if (job->state == JOB_SUCCEEDED)
                        assert_true(rig_body_is_whole(&job->reply.body, seq, body_len(seq)));
                job_free(job);
        }
}

static void everything_acknowledged_is_found_whole_after_kill_9_at_any_moment(void **state)
{
        unsigned char *seen = mem_alloc(JOBS_MAX);
        struct store_op stats = { .kind = STORE_STATS };
        struct cause cause = { "" };
        uint32_t last = 0;
        struct rig rig;

        (void)state;
        srandom((unsigned)getpid());
        rig_make(&rig);
        for (int round = 0; round < ROUNDS; round++) {
                store_close(rig.store); /* no threads while forking */
                rig.store = NULL;
                crash_after(&rig, last, 1 + (unsigned)random() % 60, (int)(random() % 3000), seen);
                if (rig_open(&rig, &cause) != 0)
                        fail_msg("%s", cause.text);
                assert_int_equal(rig_files(&rig), rig_named_files(&rig));
                assert_int_equal(rig_do(&rig, &stats), 0);
                last = (uint32_t)stats.stats.seq_max;
                account(&rig, seen, last);
                for (uint32_t seq = last + 1; seq < last + 2 * UNDER_WAY; seq++)
                        assert_int_equal(seen[seq], 0);
        }
        assert_true(last > ROUNDS);
        rig_remove(&rig);
        free(seen);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(everything_acknowledged_is_found_whole_after_kill_9_at_any_moment),
        };

        log_set_level(LOG_ERROR);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
