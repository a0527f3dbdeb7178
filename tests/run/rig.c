/* See rig.h. Everything is real: the pool, the processes, the sockets. */
#include "rig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define PATIENCE_MS 30000

/* ---- the program ---- */

const char *rig_self(void)
{
        static char path[4096];
        ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

        assert_true(n > 0);
        path[n] = '\0';
        return path;
}

int rig_main(int argc, char **argv, int (*tests)(void))
{
        if (argc > 1 && strcmp(argv[1], "worker-exec") == 0)
                return worker_exec_main(argc - 2, argv + 2);
        if (argc > 1 && strcmp(argv[1], "responder") == 0)
                return responder_main();
        signal(SIGPIPE, SIG_IGN); /* as the server does */
        return tests();
}

/* ---- the pool ---- */

static void on_tick(uv_timer_t *timer)
{
}

static void on_freed(void *arg)
{
        ((struct rig *)arg)->freed++;
}

static void rig_open_config(struct rig *rig, struct pool_config config)
{
        struct cause cause = { "" };
        char *runtime;

        memset(rig, 0, sizeof(*rig));
        config.loop = &rig->loop;
        config.self = rig_self();
        config.backoff_ms_max = 400;
        config.freed = on_freed;
        config.arg = rig;
        snprintf(rig->folder, sizeof(rig->folder), "/tmp/sendoff-run-XXXXXX");
        assert_non_null(mkdtemp(rig->folder));
        runtime = rig_path(rig, "run");
        assert_int_equal(mkdir(runtime, 0700), 0);
        config.runtime_folder = runtime;
        assert_int_equal(uv_loop_init(&rig->loop), 0);
        uv_timer_init(&rig->loop, &rig->tick);
        uv_timer_start(&rig->tick, on_tick, 2, 2);
        assert_int_equal(pool_new(&rig->pool, &config, &cause), 0);
        free(runtime);
}

void rig_open(struct rig *rig, char *const *words, unsigned workers, uint64_t requests_max)
{
        rig_open_config(
                rig, (struct pool_config){ .argv = words, .workers = workers, .requests_max = requests_max });
}

void rig_open_outside(struct rig *rig, const char *where, unsigned connections)
{
        rig_open_config(rig, (struct pool_config){ .outside = where, .workers = connections });
}

void rig_open_php(struct rig *rig, unsigned workers, uint64_t requests_max)
{
        char php[] = "php-cgi", d[] = "-d", post[] = "post_max_size=0", upload[] = "upload_max_filesize=200M";
        char *words[] = { php, d, post, d, upload, NULL };

        rig_open(rig, words, workers, requests_max);
}

void rig_open_responder(struct rig *rig, unsigned workers)
{
        char *self = mem_dup(rig_self()), verb[] = "responder";
        char *words[] = { self, verb, NULL };

        rig_open(rig, words, workers, 0);
        free(self);
}

static void on_stopped(void *arg)
{
        struct rig *rig = arg;

        rig->stopped = true;
        pool_free(rig->pool); /* allowed in here */
        rig->pool = NULL;
}

static bool is_stopped(void *arg)
{
        return ((struct rig *)arg)->stopped;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
        return remove(path);
}

void rig_close(struct rig *rig)
{
        if (rig->pool) {
                pool_stop(rig->pool, on_stopped, rig);
                rig_until(rig, is_stopped, rig);
        }
        uv_close((uv_handle_t *)&rig->tick, NULL);
        for (int i = 0; i < 3; i++)
                uv_run(&rig->loop, UV_RUN_NOWAIT);
        assert_int_equal(uv_loop_close(&rig->loop), 0);
        nftw(rig->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int rig_setup_php(void **state)
{
        struct rig *rig = mem_alloc(sizeof(*rig));

        rig_open_php(rig, 1, 0);
        *state = rig;
        return 0;
}

int rig_setup_responder(void **state)
{
        struct rig *rig = mem_alloc(sizeof(*rig));

        rig_open_responder(rig, 1);
        *state = rig;
        return 0;
}

int rig_teardown(void **state)
{
        rig_close(*state);
        free(*state);
        return 0;
}

struct pool_stats rig_stats(const struct rig *rig)
{
        struct pool_stats stats;

        pool_stats(rig->pool, &stats);
        return stats;
}

char *rig_path(const struct rig *rig, const char *name)
{
        return mem_printf("%s/%s", rig->folder, name);
}

/* ---- conditions ---- */

void rig_until(struct rig *rig, bool (*is_so)(void *arg), void *arg)
{
        int64_t until_ms = clock_mono_ms() + PATIENCE_MS;

        while (!is_so(arg)) {
                if (clock_mono_ms() > until_ms)
                        fail_msg("the condition has not come true");
                uv_run(&rig->loop, UV_RUN_ONCE);
        }
}

void rig_turn(struct rig *rig, unsigned ms)
{
        int64_t until_ms = clock_mono_ms() + ms;

        while (clock_mono_ms() < until_ms)
                uv_run(&rig->loop, UV_RUN_ONCE);
}

struct wanted {
        struct rig *rig;
        unsigned workers;
        const char *path;
        int pid;
};

static bool are_free(void *arg)
{
        struct wanted *wanted = arg;

        return pool_free_workers(wanted->rig->pool) == wanted->workers;
}

void rig_until_free(struct rig *rig, unsigned workers)
{
        struct wanted wanted = { .rig = rig, .workers = workers };

        rig_until(rig, are_free, &wanted);
}

static bool is_there(void *arg)
{
        return access(((struct wanted *)arg)->path, F_OK) == 0;
}

void rig_until_file(struct rig *rig, const char *path)
{
        struct wanted wanted = { .path = path };

        rig_until(rig, is_there, &wanted);
}

char rig_state(int pid)
{
        char path[64], line[256] = "", *end;
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/stat", pid);
        f = fopen(path, "re");
        if (!f)
                return 0;
        if (!fgets(line, sizeof(line), f))
                line[0] = '\0';
        fclose(f);
        end = strrchr(line, ')');
        return end ? end[2] : 0;
}

bool rig_is_dead(int pid)
{
        char state = rig_state(pid);

        return state == 0 || state == 'Z' || state == 'X';
}

static bool is_dead(void *arg)
{
        return rig_is_dead(((struct wanted *)arg)->pid);
}

void rig_until_dead(struct rig *rig, int pid)
{
        struct wanted wanted = { .pid = pid };

        rig_until(rig, is_dead, &wanted);
}

char *rig_read_file(const char *path)
{
        char bytes[4096];
        FILE *f = fopen(path, "re");
        size_t n;

        assert_non_null(f);
        n = fread(bytes, 1, sizeof(bytes), f);
        fclose(f);
        return slice_dup((struct slice){ bytes, n });
}

void rig_touch(const char *path)
{
        int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        close(fd);
}

/* ---- calls ---- */

void call_init(struct call *call, struct rig *rig, const char *method, const char *target)
{
        memset(call, 0, sizeof(*call));
        call->rig = rig;
        call->context.minor = 1;
        call->path_info = "";
        call->request.method = mem_dup(method);
        call->request.target = mem_dup(target);
        call->request.headers = mem_dup("");
        call->request.host = mem_dup("example.test:8080");
        call->request.remote = mem_dup("192.0.2.7:50412");
        call->request.local = mem_dup("127.0.0.1:8080");
        spool_init(&call->request.body, -1, 256 << 20, 256 << 20);
        buf_init(&call->headers_in, JOB_HEADERS_MAX * 4);
        buf_init(&call->data, 128 << 20);
        buf_init(&call->log, 64 << 10);
        buf_init(&call->control, 1 << 20);
        call->limits.grace_ms = 5000;
}

void call_fini(struct call *call)
{
        assert_true(!call->run);
        assert_int_equal(call->broken_promises, 0);
        free(call->request.method);
        free(call->request.target);
        free(call->request.headers);
        free(call->request.host);
        free(call->request.remote);
        free(call->request.local);
        free(call->headers);
        spool_fini(&call->request.body);
        buf_fini(&call->headers_in);
        buf_fini(&call->data);
        buf_fini(&call->log);
        buf_fini(&call->control);
}

void call_header(struct call *call, const char *name, const char *value)
{
        assert_int_equal(http1_block_add(&call->headers_in, slice_of(name), slice_of(value)), 0);
}

void call_body(struct call *call, const char *bytes, size_t len)
{
        assert_int_equal(spool_write(&call->request.body, bytes, len), 0);
}

static void on_head(void *arg, const struct cgi_head *head)
{
        struct call *call = arg;
        struct buf text;

        call->broken_promises += call->headed || call->ended || call->paused;
        call->headed = true;
        call->status = head->status;
        buf_init(&text, CGI_HEAD_MAX * 2);
        for (size_t i = 0; i < head->header_count; i++)
                assert_int_equal(buf_printf(&text, "%.*s: %.*s\n", SLICE_ARG(head->headers[i].name),
                                            SLICE_ARG(head->headers[i].value)),
                                 0);
        call->headers = buf_take(&text);
        buf_fini(&text);
        if (call->on_head)
                call->on_head(call);
}

static void on_data(void *arg, struct slice bytes)
{
        struct call *call = arg;

        call->broken_promises += !call->headed || call->ended || call->paused || bytes.len == 0;
        call->data_bytes += bytes.len;
        if (!call->count_only)
                assert_int_equal(buf_append_slice(&call->data, bytes), 0);
        if (call->on_data)
                call->on_data(call);
}

static void on_log(void *arg, struct slice bytes)
{
        struct call *call = arg;

        call->broken_promises += call->ended;
        assert_int_equal(buf_append_slice(&call->log, bytes), 0);
}

static void on_control(void *arg, struct slice line)
{
        struct call *call = arg;

        call->broken_promises += call->ended || line.len == 0;
        assert_int_equal(buf_append_slice(&call->control, line), 0);
        assert_int_equal(buf_append(&call->control, "\n", 1), 0);
        if (call->on_control)
                call->on_control(call);
}

static void on_end(void *arg, const struct job_run *how)
{
        struct call *call = arg;

        call->broken_promises += call->ended;
        call->ended = true;
        call->how = *how;
        call->run = NULL;
        if (call->on_end)
                call->on_end(call);
}

static const struct run_handlers handlers = { on_head, on_data, on_log, on_control, on_end };

int call_try(struct call *call, struct cause *cause)
{
        size_t path_len = strcspn(call->request.target, "?") - strlen(call->path_info);
        char *name = slice_dup((struct slice){ call->request.target, path_len });
        char *file = mem_printf("%s%s", TEST_SITE, name);
        struct cgi_script script = { TEST_SITE, file, name, call->path_info };
        struct fcgi_params params;
        struct pool_request wanted = { &params, &call->request.body, call->own_control };
        struct cgi_sink sink = cgi_sink_params(&params);
        int r;

        if (call->one_program)
                script = (struct cgi_script){ TEST_SITE, TEST_SITE, "", name };
        free(call->request.headers);
        call->request.headers = buf_take(&call->headers_in);
        fcgi_params_init(&params, 1);
        r = cgi_env_build(&sink, &call->request, &script, &call->context, cause);
        if (r == 0)
                r = pool_start(call->rig->pool, &wanted, &handlers, call, &call->run);
        if (r != 0) {
                fcgi_params_fini(&params);
        } else {
                call->pid = run_pid(call->run);
                run_set_limits(call->run, &call->limits);
        }
        free(name);
        free(file);
        return r;
}

void call_start(struct call *call)
{
        struct cause cause = { "" };

        assert_int_equal(call_try(call, &cause), 0);
        assert_false(call->headed || call->ended);
}

static bool has_ended(void *arg)
{
        return ((struct call *)arg)->ended;
}

void call_until_end(struct call *call)
{
        rig_until(call->rig, has_ended, call);
}

static bool has_free(void *arg)
{
        return pool_free_workers(((struct rig *)arg)->pool) > 0;
}

void call_run(struct call *call)
{
        rig_until(call->rig, has_free, call->rig);
        call_start(call);
        call_until_end(call);
}

static const char *text_of(struct buf *bytes)
{
        assert_int_equal(buf_append(bytes, "", 1), 0);
        bytes->end--;
        return buf_data(bytes);
}

const char *call_text(struct call *call)
{
        return text_of(&call->data);
}

const char *call_control(struct call *call)
{
        return text_of(&call->control);
}

const char *call_log(struct call *call)
{
        return text_of(&call->log);
}

char *call_get(struct rig *rig, const char *target)
{
        struct call call;
        char *text;

        call_init(&call, rig, "GET", target);
        call_run(&call);
        assert_string_equal(call.how.reason, "");
        assert_int_equal(call.how.outcome, RUN_SUCCEEDED);
        text = mem_dup(call_text(&call));
        call_fini(&call);
        return text;
}

void call_expect(struct rig *rig, const char *target, const char *text)
{
        char *got = call_get(rig, target);

        assert_string_equal(got, text);
        free(got);
}

void rig_php_serves(struct rig *rig)
{
        call_expect(rig, "/hello.php", "hello");
}

/* ---- scripts ---- */

void script_init(struct script *script, struct call *call, struct rig *rig, const char *name,
                 const char *extra)
{
        char *target;

        script->rig = rig;
        script->until = rig_path(rig, "until");
        script->done = rig_path(rig, "done");
        script->begun = rig_path(rig, "done.begun");
        unlink(script->until);
        unlink(script->done);
        unlink(script->begun);
        target = mem_printf("%s?until=%s&done=%s%s", name, script->until, script->done, extra);
        call_init(call, rig, "GET", target);
        free(target);
}

void script_fini(struct script *script)
{
        free(script->until);
        free(script->done);
        free(script->begun);
}

void script_start(struct script *script, struct call *call)
{
        rig_until(script->rig, has_free, script->rig);
        call_start(call);
        rig_until_file(script->rig, script->begun);
}

bool script_is_done(const struct script *script)
{
        return access(script->done, F_OK) == 0;
}

void script_until_done(struct script *script, int connection_status, int pid)
{
        char *wanted = mem_printf("%d %d", connection_status, pid), *got;

        rig_until_file(script->rig, script->done);
        got = rig_read_file(script->done);
        assert_string_equal(got, wanted);
        free(wanted);
        free(got);
}

void work_init(struct script *script, struct call *call, struct rig *rig, const char *extra)
{
        rig_until_free(rig, 1);
        script_init(script, call, rig, "/work.php", extra);
}

void work_fini(struct script *script, struct call *call)
{
        call_fini(call);
        script_fini(script);
}

void work_timed_out(struct script *script, struct call *call)
{
        assert_int_equal(call->how.outcome, RUN_STOPPED);
        assert_int_equal(call->how.status, 500);
        assert_int_equal(call->how.signal, 0);
        assert_int_equal(call->how.exit_code, -1);
        assert_string_equal(call_text(call), "shut down 2");
        assert_non_null(strstr(call_log(call), "Maximum execution time"));
        script_until_done(script, 2, call->pid);
        rig_php_serves(script->rig);
        assert_int_equal(rig_stats(script->rig).started, 1);
        assert_int_equal(rig_stats(script->rig).died, 0);
}
