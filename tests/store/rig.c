/* See rig.h. */
#include "rig.h"

#include <assert.h>
#include <dirent.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/clock.h"
#include "base/mem.h"

#define PATIENCE_MS 60000

static void wake(void *arg)
{
        const struct rig *rig = arg;
        uint64_t one = 1;

        if (write(rig->wake, &one, sizeof(one)) < 0)
                abort();
}

int rig_open(struct rig *rig, struct cause *cause)
{
        const struct store_config config = {
                .folder = rig->folder, .wake = wake, .wake_arg = rig, .body_memory_max = 1000
        };

        return store_open(&rig->store, &config, cause);
}

void rig_make(struct rig *rig)
{
        struct cause cause = { "" };

        strcpy(rig->folder, "/tmp/sendoff-store-XXXXXX");
        if (!mkdtemp(rig->folder))
                abort();
        rig->wake = eventfd(0, EFD_CLOEXEC);
        if (rig_open(rig, &cause) != 0) {
                fprintf(stderr, "store_open: %s\n", cause.text);
                abort();
        }
}

void rig_reopen(struct rig *rig)
{
        struct cause cause = { "" };

        store_close(rig->store);
        if (rig_open(rig, &cause) != 0) {
                fprintf(stderr, "store_open: %s\n", cause.text);
                abort();
        }
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        (void)st;
        (void)type;
        (void)ftw;
        return remove(path);
}

void rig_remove(struct rig *rig)
{
        store_close(rig->store);
        rig->store = NULL;
        nftw(rig->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        close(rig->wake);
}

void rig_wait(struct rig *rig, const int *done, int count)
{
        while (*done < count) {
                struct pollfd p = { .fd = rig->wake, .events = POLLIN };
                uint64_t n;

                if (poll(&p, 1, 60000) != 1 || read(rig->wake, &n, sizeof(n)) != sizeof(n))
                        abort();
                store_drain(rig->store);
        }
}

static void count_done(struct store_op *op)
{
        ++*(int *)op->arg;
}

int rig_do(struct rig *rig, struct store_op *op)
{
        int done = 0;

        op->done = count_done;
        op->arg = &done;
        store_submit(rig->store, op);
        rig_wait(rig, &done, 1);
        return op->status;
}

struct job_id rig_id(uint64_t seq)
{
        unsigned char random[13];
        struct job_id id;

        for (size_t i = 0; i < sizeof(random); i++)
                random[i] = (unsigned char)(seq * 31 + i * 7);
        job_id_make(&id, seq, random);
        return id;
}

static char body_byte(uint64_t seq, size_t i)
{
        return (char)(seq * 131 + i * 7 + i / 251);
}

struct job *rig_draft(struct rig *rig, uint64_t seq, size_t len)
{
        struct job *job = job_new();
        char *body = mem_alloc(len);

        for (size_t i = 0; i < len; i++)
                body[i] = body_byte(seq, i);
        job->id = rig_id(seq);
        free(job->request.method);
        free(job->request.target);
        free(job->request.headers);
        job->request.method = mem_dup("POST");
        job->request.target = mem_printf("/job.php?n=%llu", (unsigned long long)seq);
        job->request.headers = mem_dup("X-One: 1\r\nX-Two: 2\r\n");
        spool_init(&job->request.body, store_files_fd(rig->store), 1000, 1 << 30);
        if (spool_write(&job->request.body, body, len) != 0) {
                job_free(job);
                job = NULL;
        }
        free(body);
        return job;
}

struct job *rig_job(struct rig *rig, uint64_t seq, size_t len, bool running)
{
        struct job *job = rig_draft(rig, seq, len);

        if (job)
                job_accept(job, running, 1000 + (int64_t)seq);
        return job;
}

bool rig_body_is_whole(const struct spool *body, uint64_t seq, size_t len)
{
        char *got = mem_alloc(len + 1);
        bool whole = body->len == len && spool_read(body, 0, got, len + 1) == (ssize_t)len;

        for (size_t i = 0; whole && i < len; i++)
                whole = got[i] == body_byte(seq, i);
        free(got);
        return whole;
}

int rig_add(struct rig *rig, uint64_t seq, size_t len, bool running)
{
        struct store_op op = { .kind = STORE_ADD, .job = rig_job(rig, seq, len, running) };
        int r = op.job ? rig_do(rig, &op) : STORE_NO_SPACE;

        job_free(op.job);
        return r;
}

struct job *rig_get(struct rig *rig, uint64_t seq, int *status)
{
        struct store_op op = {
                .kind = STORE_GET, .job = job_new(), .want_request = true, .want_reply = true
        };

        op.job->id = rig_id(seq);
        *status = rig_do(rig, &op);
        if (*status == 0)
                return op.job;
        job_free(op.job);
        return NULL;
}

bool rig_is_there(struct rig *rig, uint64_t seq, size_t len)
{
        int status;
        struct job *job = rig_get(rig, seq, &status);
        bool there = job != NULL;

        if (there ? !rig_body_is_whole(&job->request.body, seq, len) : status != STORE_NOT_FOUND) {
                fprintf(stderr, "job %llu: status %d, or its body is not whole\n", (unsigned long long)seq,
                        status);
                abort();
        }
        job_free(job);
        return there;
}

void rig_wait_until_writable(struct rig *rig)
{
        int64_t end = clock_mono_ms() + PATIENCE_MS;
        struct store_health health = { .writable = false };

        while (!health.writable) {
                if (clock_mono_ms() > end)
                        abort();
                poll(NULL, 0, 5);
                store_health(rig->store, &health);
        }
}

unsigned rig_files(struct rig *rig)
{
        char path[96];
        struct dirent *entry;
        unsigned count = 0;
        DIR *dir;

        snprintf(path, sizeof(path), "%s/files", rig->folder);
        dir = opendir(path);
        while (dir && (entry = readdir(dir)))
                count += entry->d_name[0] != '.';
        if (dir)
                closedir(dir);
        return count;
}

static sqlite3 *rig_database(struct rig *rig)
{
        char path[96];
        sqlite3 *db;

        snprintf(path, sizeof(path), "%s/sendoff.db", rig->folder);
        if (sqlite3_open(path, &db) != SQLITE_OK || sqlite3_busy_timeout(db, 10000) != SQLITE_OK)
                abort();
        return db;
}

void rig_sql(struct rig *rig, const char *sql)
{
        sqlite3 *db = rig_database(rig);

        if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
                fprintf(stderr, "%s: %s\n", sql, sqlite3_errmsg(db));
                abort();
        }
        sqlite3_close(db);
}

int rig_number(struct rig *rig, const char *sql)
{
        sqlite3 *db = rig_database(rig);
        sqlite3_stmt *s;
        int n;

        if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK || sqlite3_step(s) != SQLITE_ROW) {
                fprintf(stderr, "%s: %s\n", sql, sqlite3_errmsg(db));
                abort();
        }
        n = sqlite3_column_int(s, 0);
        sqlite3_finalize(s);
        sqlite3_close(db);
        return n;
}

unsigned rig_named_files(struct rig *rig)
{
        return (unsigned)rig_number(
                rig, "SELECT (SELECT count(body_file) FROM jobs) + (SELECT count(body_file) FROM replies)");
}
