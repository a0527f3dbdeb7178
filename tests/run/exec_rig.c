/* See exec_rig.h. */
#include "exec_rig.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "run/runner.h"

#define WORDS_MAX 16

int exec_rig_main(int argc, char **argv, int (*tests)(void))
{
        if (argc > 1 && strcmp(argv[1], "exec-run") == 0)
                return exec_main(argc - 2, argv + 2);
        signal(SIGPIPE, SIG_IGN); /* as the server does */
        return tests();
}

/* ---- the bench ---- */

static void on_tick(uv_timer_t *timer)
{
}

void bench_open(struct bench *bench)
{
        struct exec_config config = { .loop = &bench->rig.loop, .self = rig_self(), .lock_fd = -1 };
        struct cause cause = { "" };
        struct rig *rig = &bench->rig;

        memset(bench, 0, sizeof(*bench));
        snprintf(rig->folder, sizeof(rig->folder), "/tmp/sendoff-exec-XXXXXX");
        assert_non_null(mkdtemp(rig->folder));
        bench->runtime = rig_path(rig, "run");
        assert_int_equal(mkdir(bench->runtime, 0700), 0);
        bench->lock_fd = open(rig->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(bench->lock_fd >= 0);
        assert_int_equal(uv_loop_init(&rig->loop), 0);
        uv_timer_init(&rig->loop, &rig->tick);
        uv_timer_start(&rig->tick, on_tick, 2, 2);
        config.runtime_folder = bench->runtime;
        config.folder = rig->folder;
        config.lock_fd = bench->lock_fd;
        assert_int_equal(exec_new(&bench->desk, &config, &cause), 0);
}

void bench_on_stopped(void *arg)
{
        struct bench *bench = arg;

        bench->stopped = true;
        exec_free(bench->desk); /* allowed in here */
        bench->desk = NULL;
}

bool bench_is_stopped(void *arg)
{
        return ((struct bench *)arg)->stopped;
}

void bench_close(struct bench *bench)
{
        if (bench->desk) {
                exec_stop(bench->desk, bench_on_stopped, bench);
                assert_false(bench->stopped); /* only from the loop */
                rig_until(&bench->rig, bench_is_stopped, bench);
        }
        assert_int_equal(rmdir(bench->runtime), 0); /* nothing is left in it */
        free(bench->runtime);
        close(bench->lock_fd);
        rig_close(&bench->rig);
}

int bench_setup(void **state)
{
        *state = mem_alloc(sizeof(struct bench));
        bench_open(*state);
        return 0;
}

int bench_teardown(void **state)
{
        bench_close(*state);
        free(*state);
        return 0;
}

/* ---- trials ---- */

static void trial_prepare(struct trial *t, struct bench *bench)
{
        memset(t, 0, sizeof(*t));
        t->bench = bench;
        t->argv = mem_alloc((WORDS_MAX + 1) * sizeof(char *));
        t->env = mem_alloc(3 * sizeof(char *));
        t->env[0] = mem_printf("PATH=%s", getenv("PATH"));
        t->env[1] = mem_dup("LC_ALL=C");
        spool_init(&t->body, -1, 1 << 20, 1 << 20);
        buf_init(&t->out, 64 << 20);
        buf_init(&t->err, 64 << 20);
        buf_init(&t->control, 1 << 20);
}

void trial_init(struct trial *t, struct bench *bench, const char *program, ...)
{
        va_list words;
        unsigned count = 0;

        trial_prepare(t, bench);
        va_start(words, program);
        for (const char *word = program; word && count < WORDS_MAX; word = va_arg(words, const char *))
                t->argv[count++] = mem_dup(word);
        va_end(words);
}

void trial_sh(struct trial *t, struct bench *bench, const char *script)
{
        trial_init(t, bench, "sh", "-c", script, NULL);
}

void trial_fini(struct trial *t)
{
        assert_true(t->ended || !t->run);
        assert_int_equal(t->broken_promises, 0);
        for (unsigned i = 0; t->argv[i]; i++)
                free(t->argv[i]);
        free(t->argv);
        for (unsigned i = 0; t->env[i]; i++)
                free(t->env[i]);
        free(t->env);
        spool_fini(&t->body);
        buf_fini(&t->out);
        buf_fini(&t->err);
        buf_fini(&t->control);
}

void trial_body(struct trial *t, const char *text)
{
        assert_int_equal(spool_write(&t->body, text, strlen(text)), 0);
}

static void on_data(void *arg, struct slice bytes)
{
        struct trial *t = arg;

        t->broken_promises += t->ended || (t->run && t->run->paused) || bytes.len == 0;
        t->out_bytes += bytes.len;
        if (!t->count_only)
                assert_int_equal(buf_append_slice(&t->out, bytes), 0);
        if (t->on_data)
                t->on_data(t);
}

static void on_log(void *arg, struct slice bytes)
{
        struct trial *t = arg;

        t->broken_promises += t->ended;
        assert_int_equal(buf_append_slice(&t->err, bytes), 0);
}

static void on_control(void *arg, struct slice line)
{
        struct trial *t = arg;

        t->broken_promises += t->ended;
        assert_int_equal(buf_append_slice(&t->control, line), 0);
        assert_int_equal(buf_append(&t->control, "\n", 1), 0);
}

static void on_end(void *arg, const struct job_run *how)
{
        struct trial *t = arg;

        t->broken_promises += t->ended;
        t->ended = true;
        t->how = *how;
        t->run = NULL;
}

int trial_try(struct trial *t, struct cause *cause)
{
        static const struct run_handlers handlers = {
                .data = on_data, .log = on_log, .control = on_control, .end = on_end
        };
        struct exec_request request = { t->argv, t->env, &t->body, t->limits };
        int r = exec_start(t->bench->desk, &request, &handlers, t, &t->run, cause);

        assert_false(t->ended || t->out_bytes);
        return r;
}

void trial_start(struct trial *t)
{
        struct cause cause = { "" };

        if (trial_try(t, &cause) != 0)
                fail_msg("%s", cause.text);
        assert_non_null(t->run);
}

bool trial_has_ended(void *t)
{
        return ((struct trial *)t)->ended;
}

void trial_until_end(struct trial *t)
{
        rig_until(&t->bench->rig, trial_has_ended, t);
}

void trial_run(struct trial *t)
{
        trial_start(t);
        trial_until_end(t);
}

static const char *text(struct buf *b)
{
        assert_int_equal(buf_append(b, "", 1), 0);
        b->end--;
        return buf_data(b);
}

const char *trial_out(struct trial *t)
{
        return text(&t->out);
}

const char *trial_err(struct trial *t)
{
        return text(&t->err);
}

const char *trial_control(struct trial *t)
{
        return text(&t->control);
}

bool trial_has_output(void *t)
{
        return strchr(trial_out(t), '\n');
}

int trial_int(struct trial *t)
{
        rig_until(&t->bench->rig, trial_has_output, t);
        return atoi(trial_out(t));
}

void trial_stop_after(struct trial *t, int64_t grace_ms)
{
        run_set_limits(t->run, &(struct run_limits){ .grace_ms = grace_ms });
        run_stop(t->run, CONNECTION_ABORTED, "cancelled");
        assert_false(t->ended);
}

/* ---- the machine ---- */

void bench_write(struct bench *bench, const char *name, const char *text, mode_t mode)
{
        char *path = rig_path(&bench->rig, name);
        int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        assert_int_equal(fchmod(fd, mode), 0);
        close(fd);
        free(path);
}

void bench_remove(struct bench *bench, const char *name)
{
        char *path = rig_path(&bench->rig, name);

        assert_int_equal(unlink(path), 0);
        free(path);
}

unsigned open_fds(void)
{
        DIR *dir = opendir("/proc/self/fd");
        unsigned count = 0;

        assert_non_null(dir);
        while (readdir(dir))
                count++;
        closedir(dir);
        return count;
}

int parent_of(int pid)
{
        char path[64], line[256] = "", *end;
        int parent = 0;
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/stat", pid);
        f = fopen(path, "re");
        if (!f)
                return 0;
        if (fgets(line, sizeof(line), f) && (end = strrchr(line, ')')))
                parent = atoi(end + 4);
        fclose(f);
        return parent;
}
