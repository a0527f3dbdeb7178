/* bench-store FOLDER [JOBS]: the store by itself, in a folder that must not exist yet. Additions, and whole
 * jobs (accepted as running, then ended with a reply), each at several numbers of operations under way, all
 * with their syncs; then a restart over the backlog of JOBS ready jobs (1000000 unless said otherwise). A row
 * says how many a second, and how long one operation took from its submission to its callback. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "store/store.h"

enum { BODY = 512, MEASURE_MS = 2000, UNDER_WAY_MAX = 512, SAMPLES_MAX = 1 << 20 };

struct bench {
        struct store *store;
        const char *folder;
        int wake;
        uint64_t seq;
        uint64_t finished; /* operations, or whole jobs */
        unsigned under_way;
        bool whole, stop;
        int32_t *took_us;
        uint32_t samples;
};

struct slot {
        struct store_op op;
        struct bench *bench;
        int64_t began_ns;
};

static void wake(void *arg)
{
        const struct bench *b = arg;
        uint64_t one = 1;

        if (write(b->wake, &one, sizeof(one)) < 0)
                abort();
}

static void bench_open(struct bench *b)
{
        const struct store_config config = {
                .folder = b->folder, .wake = wake, .wake_arg = b, .body_memory_max = 64 << 10
        };
        struct cause cause = { "" };

        if (store_open(&b->store, &config, &cause) != 0) {
                fprintf(stderr, "bench-store: %s\n", cause.text);
                exit(1);
        }
}

static void bench_turn(struct bench *b)
{
        struct pollfd p = { .fd = b->wake, .events = POLLIN };
        uint64_t n;

        if (poll(&p, 1, -1) != 1 || read(b->wake, &n, sizeof(n)) != sizeof(n))
                abort();
        store_drain(b->store);
}

static void replace(char **at, const char *text)
{
        free(*at);
        *at = mem_dup(text);
}

static struct job *draft(struct bench *b)
{
        static const char body[BODY] = { 'b' };
        struct job *job = job_new();
        unsigned char random[13];

        if (random_bytes(random, sizeof(random)) < 0)
                abort();
        job_id_make(&job->id, ++b->seq, random);
        replace(&job->request.method, "POST");
        replace(&job->request.target, "/mail.php?to=somebody@example.org");
        replace(&job->request.headers,
                "User-Agent: bench\r\nAccept: */*\r\nContent-Type: application/octet-stream\r\n");
        replace(&job->request.host, "127.0.0.1:8080");
        replace(&job->request.remote, "127.0.0.1:50412");
        replace(&job->request.local, "127.0.0.1:8080");
        spool_init(&job->request.body, store_files_fd(b->store), 64 << 10, 1 << 20);
        if (spool_write(&job->request.body, body, sizeof(body)) != 0)
                abort();
        return job;
}

static void slot_done(struct store_op *op);

static void slot_begin(struct slot *slot)
{
        struct bench *b = slot->bench;
        struct job *job = draft(b);

        job_accept(job, b->whole, clock_real_ms());
        slot->op = (struct store_op){ .kind = STORE_ADD, .job = job, .done = slot_done, .arg = slot };
        slot->began_ns = clock_mono_ns();
        b->under_way++;
        store_submit(b->store, &slot->op);
}

static void slot_end(struct slot *slot)
{
        static const struct job_run how = {
                .outcome = RUN_SUCCEEDED, .status = 200, .exit_code = -1, .cpu_ms = 1, .peak_rss_kb = -1
        };
        struct job *job = slot->op.job;

        job->reply.status = 200;
        replace(&job->reply.headers, "Content-Type: text/plain\r\n");
        spool_init(&job->reply.body, store_files_fd(slot->bench->store), 64 << 10, 1 << 20);
        if (spool_write(&job->reply.body, "sent\n", 5) != 0)
                abort();
        job->reply.kept = true;
        job_run_ended(job, &(struct job_ending){ .run = &how }, clock_real_ms());
        slot->op.kind = STORE_UPDATE;
        slot->bench->under_way++;
        store_submit(slot->bench->store, &slot->op);
}

static void slot_done(struct store_op *op)
{
        struct slot *slot = op->arg;
        struct bench *b = slot->bench;

        if (op->status != 0) {
                fprintf(stderr, "bench-store: %s\n", op->cause.text);
                exit(1);
        }
        b->under_way--;
        if (b->whole && op->kind == STORE_ADD) {
                slot_end(slot);
                return;
        }
        job_free(op->job);
        b->finished++;
        if (b->samples < SAMPLES_MAX)
                b->took_us[b->samples++] = (int32_t)((clock_mono_ns() - slot->began_ns) / 1000);
        if (!b->stop)
                slot_begin(slot);
}

static int by_value(const void *a, const void *b)
{
        return *(const int32_t *)a - *(const int32_t *)b;
}

/* Keeps under_way operations going for a while, or until there are `count` jobs when that is not 0. */
static void measure(struct bench *b, bool whole, unsigned under_way, uint64_t count)
{
        struct slot *slots = mem_alloc(under_way * sizeof(*slots));
        int64_t began = clock_mono_ms(), took;

        b->whole = whole;
        b->finished = b->samples = 0;
        b->stop = false;
        for (unsigned i = 0; i < under_way; i++) {
                slots[i].bench = b;
                slot_begin(&slots[i]);
        }
        while (b->under_way > 0) {
                bench_turn(b);
                b->stop = count ? b->seq >= count : clock_mono_ms() - began >= MEASURE_MS;
        }
        took = clock_mono_ms() - began;
        qsort(b->took_us, b->samples, sizeof(*b->took_us), by_value);
        printf("%-10s %4u under way  %8.0f /s   median %7d us   99%% %7d us   slowest %7d us\n",
               whole ? "whole jobs" : "additions", under_way, (double)b->finished * 1000 / (double)took,
               b->took_us[b->samples / 2], b->took_us[(uint64_t)b->samples * 99 / 100],
               b->took_us[b->samples - 1]);
        fflush(stdout);
        free(slots);
}

static void count_done(struct store_op *op)
{
        *(bool *)op->arg = true;
}

static double ms_of(struct bench *b, struct store_op *op)
{
        int64_t began = clock_mono_ns();
        bool done = false;

        op->done = count_done;
        op->arg = &done;
        store_submit(b->store, op);
        while (!done)
                bench_turn(b);
        if (op->status != 0) {
                fprintf(stderr, "bench-store: %s\n", op->cause.text);
                exit(1);
        }
        return (double)(clock_mono_ns() - began) / 1e6;
}

static void restart(struct bench *b)
{
        struct store_op stats = { .kind = STORE_STATS },
                        ready = { .kind = STORE_READY, .ready = { .limit = 512 } },
                        list = { .kind = STORE_LIST, .list = { .limit = 50, .states = 1U << JOB_FAILED } };
        int64_t began;
        double open_ms;

        store_close(b->store);
        began = clock_mono_ns();
        bench_open(b);
        open_ms = (double)(clock_mono_ns() - began) / 1e6;
        printf("restart    open %.1f ms", open_ms);
        printf("   counts %.1f ms", ms_of(b, &stats));
        printf("   first 512 %.1f ms", ms_of(b, &ready));
        printf("   list of failed %.1f ms", ms_of(b, &list));
        printf("   (%llu ready, %llu succeeded)\n", (unsigned long long)stats.stats.jobs[JOB_READY],
               (unsigned long long)stats.stats.jobs[JOB_SUCCEEDED]);
        free(ready.ready.ids);
        for (uint32_t i = 0; i < list.list.count; i++)
                job_free(list.list.jobs[i]);
        free(list.list.jobs);
}

int main(int argc, char **argv)
{
        static const unsigned under_way[] = { 1, 8, 64, 512 };
        struct bench b = { .folder = argc > 1 ? argv[1] : "", .wake = eventfd(0, EFD_CLOEXEC) };
        uint64_t jobs = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;

        if (argc < 2 || argc > 3 || access(argv[1], F_OK) == 0) {
                fprintf(stderr, "usage: bench-store FOLDER [JOBS]; the folder must not exist\n");
                return 2;
        }
        b.took_us = mem_alloc(SAMPLES_MAX * sizeof(*b.took_us));
        bench_open(&b);
        for (int i = 0; i < 4; i++)
                measure(&b, false, under_way[i], 0);
        for (int i = 0; i < 4; i++)
                measure(&b, true, under_way[i], 0);
        if (b.seq < jobs)
                measure(&b, false, UNDER_WAY_MAX, jobs);
        restart(&b);
        measure(&b, false, 64, 0);
        store_close(b.store);
        free(b.took_us);
        close(b.wake);
        return 0;
}
