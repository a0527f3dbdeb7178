/* server/config.h: precedence, refusals, reload, the default folders. */
#include "server/config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

struct fixture {
        struct config c;
        struct cause cause;
        char ini[64];
        char *argv[16];
        int argc;
        int r;
};

static void write_file(const char *path, const char *text)
{
        FILE *f = fopen(path, "w");

        assert_non_null(f);
        fputs(text, f);
        assert_int_equal(fclose(f), 0);
}

static int setup(void **state)
{
        struct fixture *f = mem_alloc(sizeof(*f));
        int fd;

        strcpy(f->ini, "/tmp/sendoff-config-XXXXXX");
        fd = mkstemp(f->ini);
        close(fd);
        *state = f;
        return fd < 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        config_fini(&f->c);
        config_fini(&f->c);
        for (int i = 0; i < f->argc; i++)
                free(f->argv[i]);
        unlink(f->ini);
        free(f);
        return 0;
}

/* Loads with --config on the fixture's file and the words up to NULL. */
static int load(struct fixture *f, const char *first, ...)
{
        va_list args;

        config_fini(&f->c);
        memset(&f->c, 0, sizeof(f->c));
        for (int i = 0; i < f->argc; i++)
                free(f->argv[i]);
        f->argv[0] = mem_dup("--config");
        f->argv[1] = mem_dup(f->ini);
        f->argc = 2;
        va_start(args, first);
        for (const char *word = first; word; word = va_arg(args, const char *))
                f->argv[f->argc++] = mem_dup(word);
        va_end(args);
        f->cause.text[0] = '\0';
        return config_load(&f->c, f->argc, f->argv, &f->cause);
}

static enum option_source source_of(const struct fixture *f, const char *key)
{
        const struct options *o = config_options(&f->c);

        return options_source(o, options_find(o, slice_of(key)));
}

static void the_defaults_are_those_of_the_manual(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(load(f, NULL), 0);
        assert_string_equal(f->c.dir, ".");
        assert_string_equal(f->c.listen, "127.0.0.1:8080");
        assert_string_equal(f->c.worker, "php-cgi");
        assert_string_equal(f->c.worker_for, ".php");
        assert_string_equal(f->c.log_level, "info");
        assert_string_equal(f->c.access_log, "-");
        assert_string_equal(f->c.config_file, f->ini);
        assert_null(f->c.async_paths);
        assert_null(f->c.respond_async_paths);
        assert_int_equal(f->c.workers, 4);
        assert_int_equal(f->c.foreground_workers, 1);
        assert_int_equal(f->c.worker_requests, 10000);
        assert_int_equal(f->c.worker_backoff_max_ms, 10000);
        assert_int_equal(f->c.head_max, 64 << 10);
        assert_int_equal(f->c.uri_max, 16 << 10);
        assert_int_equal(f->c.body_max, 256 << 20);
        assert_int_equal(f->c.body_memory_max, 64 << 10);
        assert_int_equal(f->c.output_max, 64 << 20);
        assert_int_equal(f->c.head_timeout_ms, 10000);
        assert_int_equal(f->c.body_timeout_ms, 30000);
        assert_int_equal(f->c.send_timeout_ms, 60000);
        assert_int_equal(f->c.idle_timeout_ms, 75000);
        assert_int_equal(f->c.connections_max, 10000);
        assert_int_equal(f->c.foreground_queue_max, 1000);
        assert_int_equal(f->c.wait_max_ms, 60000);
        assert_int_equal(f->c.queue_max, 1000000);
        assert_true(f->c.queue_bytes_max == UINT64_C(10) << 30);
        assert_int_equal(f->c.async_rate, 1000);
        assert_int_equal(f->c.async_burst, 2000);
        assert_int_equal(f->c.keep_finished_ms, 7 * 86400000);
        assert_int_equal(f->c.drain_ms, 30000);
}

static void each_stronger_source_wins_and_is_remembered(void **state)
{
        struct fixture *f = *state;

        write_file(f->ini, "workers = 5\nbody_max = 1M\nqueue_max = 7\nasync_path = /file\n");
        setenv("SENDOFF_BODY_MAX", "2M", 1);
        setenv("SENDOFF_QUEUE_MAX", "8", 1);
        setenv("SENDOFF_ASYNC_PATH", "/environment/*,/more", 1);
        f->r = load(f, "site", "--queue-max=9", NULL);
        unsetenv("SENDOFF_BODY_MAX");
        unsetenv("SENDOFF_QUEUE_MAX");
        unsetenv("SENDOFF_ASYNC_PATH");
        assert_int_equal(f->r, 0);
        assert_string_equal(f->c.dir, "site");
        assert_int_equal(f->c.workers, 5);
        assert_int_equal(f->c.body_max, 2 << 20);
        assert_int_equal(f->c.queue_max, 9);
        assert_string_equal(f->c.async_paths[0], "/environment/*");
        assert_string_equal(f->c.async_paths[1], "/more");
        assert_null(f->c.async_paths[2]);
        assert_int_equal(source_of(f, "dir"), OPTION_ARGUMENT);
        assert_int_equal(source_of(f, "workers"), OPTION_FILE);
        assert_int_equal(source_of(f, "body_max"), OPTION_ENVIRONMENT);
        assert_int_equal(source_of(f, "queue_max"), OPTION_ARGUMENT);
        assert_int_equal(source_of(f, "drain"), OPTION_DEFAULT);
}

static void the_environment_names_the_file_unless_the_command_line_does(void **state)
{
        struct fixture *f = *state;
        char other[] = "/tmp/sendoff-config-XXXXXX";
        int fd = mkstemp(other);

        assert_true(fd >= 0);
        close(fd);
        write_file(f->ini, "workers = 5\n");
        write_file(other, "workers = 6\n");
        setenv("SENDOFF_CONFIG", other, 1);
        f->r = load(f, NULL);
        assert_int_equal(f->r, 0);
        assert_int_equal(f->c.workers, 5);
        config_fini(&f->c);
        f->r = config_load(&f->c, 0, f->argv, &f->cause);
        unsetenv("SENDOFF_CONFIG");
        unlink(other);
        assert_int_equal(f->r, 0);
        assert_int_equal(f->c.workers, 6);
}

static void refuses_what_cannot_be_meant(void **state)
{
        static const struct {
                const char *flag, *value, *sentence;
        } bad[] = {
                { "--listen", "8080", "--listen: '8080' is not what it takes (ADDR:PORT, port 0 to 65535)" },
                { "--listen", "127.0.0.1:65536",
                  "--listen: '127.0.0.1:65536' is not what it takes (ADDR:PORT, port 0 to 65535)" },
                { "--listen",
                  "127.0.0.1:", "--listen: '127.0.0.1:' is not what it takes (ADDR:PORT, port 0 to 65535)" },
                { "--control", "127.0.0.1:9000",
                  "--control: '127.0.0.1:9000' is not what it takes (unix:PATH)" },
                { "--control", "unix:", "--control: 'unix:' is too short (unix:PATH)" },
                { "--worker-for", "php",
                  "--worker-for: 'php' is not what it takes (a suffix such as .php, or / for every "
                  "request)" },
                { "--async-path", "jobs/*",
                  "--async-path: 'jobs/*' is not what it takes (a GLOB that starts with / or *)" },
                { "--workers", "0", "--workers: '0' is out of range (1 … 1024)" },
                { "--workers", "1025", "--workers: '1025' is out of range (1 … 1024)" },
                { "--body-max", "64X", "--body-max: '64X' is not a size (0 … 1T, e.g. 256M)" },
                { "--uri-max", "17k", "--uri-max: '17k' is out of range (256 … 16k, e.g. 16k)" },
                { "--head-max", "1023", "--head-max: '1023' is out of range (1k … 1M, e.g. 64k)" },
                { "--drain", "25h", "--drain: '25h' is out of range (0 … 1d, e.g. 30s)" },
                { "--log-level", "loud",
                  "--log-level: 'loud' is not one of the words it takes (error, warn, info, debug)" },
                { "--wrokers", "4", "--wrokers: there is no such option; did you mean --workers?" },
                { NULL, NULL, NULL },
        };
        struct fixture *f = *state;

        for (size_t i = 0; bad[i].sentence; i++) {
                assert_int_equal(load(f, bad[i].flag, bad[i].value, NULL), OPTION_USAGE);
                assert_string_equal(f->cause.text, bad[i].sentence);
        }
}

static void takes_every_form_of_an_address(void **state)
{
        static const char *const good[] = { "127.0.0.1:0", "0.0.0.0:65535", "[::1]:80", "localhost:8080",
                                            ":8080" };
        struct fixture *f = *state;

        for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
                assert_int_equal(load(f, "--listen", good[i], NULL), 0);
                assert_string_equal(f->c.listen, good[i]);
        }
}

static void names_file_and_line(void **state)
{
        struct fixture *f = *state;

        write_file(f->ini, "# limits\nworkers = 2\nbody_max = 64X\n");
        assert_int_equal(load(f, NULL), OPTION_USAGE);
        assert_string_equal(strstr(f->cause.text, " line"),
                            " line 3: body_max: '64X' is not a size (0 … 1T, e.g. 256M)");
        write_file(f->ini, "config = other.ini\n");
        assert_int_equal(load(f, NULL), OPTION_USAGE);
        assert_non_null(strstr(f->cause.text, "config: cannot be set in the file"));
        unlink(f->ini);
        assert_int_equal(load(f, NULL), OPTION_USAGE);
        assert_non_null(strstr(f->cause.text, "cannot be read: No such file"));
}

static void a_reload_takes_over_what_is_reloadable_and_nothing_else(void **state)
{
        struct fixture *f = *state;

        write_file(f->ini, "workers = 5\nbody_max = 1M\nasync_path = /a\ndrain = 3s\nlog_level = error\n");
        assert_int_equal(load(f, "--drain", "5s", NULL), 0);
        write_file(f->ini, "workers = 6\nhead_max = 128k\nbody_memory_max = 1M\nbody_max = 2M\nasync_path = "
                           "/b\nasync_path = /c\ndrain = "
                           "4s\nlog_level = error\n");
        assert_int_equal(config_reload(&f->c, &f->cause), 0);
        assert_int_equal(f->c.workers, 5);
        assert_int_equal(f->c.head_max, 64 << 10);
        assert_int_equal(f->c.body_memory_max, 64 << 10);
        assert_int_equal(f->c.body_max, 2 << 20);
        assert_string_equal(f->c.async_paths[0], "/b");
        assert_string_equal(f->c.async_paths[1], "/c");
        assert_int_equal(f->c.drain_ms, 5000);
        assert_int_equal(source_of(f, "body_max"), OPTION_FILE);
        write_file(f->ini, "");
        assert_int_equal(config_reload(&f->c, &f->cause), 0);
        assert_int_equal(f->c.body_max, 256 << 20);
        assert_null(f->c.async_paths);
        assert_string_equal(f->c.log_level, "info");
        assert_int_equal(source_of(f, "body_max"), OPTION_DEFAULT);
        assert_int_equal(f->c.workers, 5);
}

static void a_reload_of_a_bad_file_changes_nothing(void **state)
{
        struct fixture *f = *state;

        write_file(f->ini, "body_max = 1M\n");
        assert_int_equal(load(f, NULL), 0);
        write_file(f->ini, "body_max = 2M\nqueue_max = many\n");
        assert_int_equal(config_reload(&f->c, &f->cause), OPTION_USAGE);
        assert_non_null(strstr(f->cause.text, "queue_max: 'many'"));
        assert_int_equal(f->c.body_max, 1 << 20);
        assert_int_equal(f->c.queue_max, 1000000);
        unlink(f->ini);
        assert_int_equal(config_reload(&f->c, &f->cause), OPTION_USAGE);
        assert_int_equal(f->c.body_max, 1 << 20);
}

static void help_wins_over_everything(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(load(f, "--workers", "0", "--help", NULL), OPTION_HELP);
}

static void default_folders_follow_user_and_environment(void **state)
{
        struct fixture *f = *state;
        char *socket, *wanted;

        assert_int_equal(load(f, NULL), 0);
        setenv("XDG_RUNTIME_DIR", "/run/user/1000", 1);
        socket = config_default_socket();
        wanted = mem_printf("unix:%s", socket);
        if (geteuid() == 0) {
                assert_string_equal(socket, "/run/sendoff/control.sock");
                assert_string_equal(f->c.data, "/var/lib/sendoff");
                assert_string_equal(f->c.control, wanted);
        } else {
                assert_string_equal(socket, "/run/user/1000/sendoff/control.sock");
                assert_non_null(strstr(f->c.data, "/sendoff"));
        }
        free(wanted);
        free(socket);
        unsetenv("XDG_RUNTIME_DIR");
}

/* As another user, in a child, because there is no way back. */
static void a_plain_user_has_folders_of_its_own(void **state)
{
        struct fixture *f = *state;
        int status = -1;
        pid_t pid;

        if (geteuid() != 0)
                skip();
        chmod(f->ini, 0644);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                char *socket;
                int bad = setresuid(65534, 65534, 65534);

                setenv("XDG_RUNTIME_DIR", "/run/user/65534", 1);
                setenv("HOME", "/home/nobody", 1);
                unsetenv("XDG_STATE_HOME");
                bad |= load(f, NULL);
                socket = config_default_socket();
                bad |= strcmp(socket, "/run/user/65534/sendoff/control.sock") << 1;
                free(socket);
                bad |= strcmp(f->c.data, "/home/nobody/.local/state/sendoff") << 2;
                setenv("XDG_STATE_HOME", "/state", 1);
                setenv("XDG_RUNTIME_DIR", "relative", 1);
                bad |= load(f, NULL);
                bad |= strcmp(f->c.data, "/state/sendoff") << 3;
                bad |= strcmp(f->c.control, "unix:/tmp/sendoff-65534/control.sock") << 4;
                _exit(bad ? 1 : 0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

static void every_row_can_be_printed_and_says_what_it_is(void **state)
{
        struct fixture *f = *state;
        struct buf text;

        assert_int_equal(load(f, NULL), 0);
        buf_init(&text, 1 << 16);
        for (const struct option_row *row = config_rows(); row->key; row++) {
                assert_non_null(row->help);
                assert_non_null(row->group);
                assert_non_null(row->metavar);
                assert_int_equal(row->help[strlen(row->help) - 1], '.');
                assert_int_equal(option_value_text(config_options(&f->c), row, &text), 0);
                assert_int_equal(option_range_text(row, &text), 0);
        }
        assert_int_equal(option_help(config_rows(), 80, &text), 0);
        buf_fini(&text);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(the_defaults_are_those_of_the_manual),
                TEST(each_stronger_source_wins_and_is_remembered),
                TEST(the_environment_names_the_file_unless_the_command_line_does),
                TEST(refuses_what_cannot_be_meant),
                TEST(takes_every_form_of_an_address),
                TEST(names_file_and_line),
                TEST(a_reload_takes_over_what_is_reloadable_and_nothing_else),
                TEST(a_reload_of_a_bad_file_changes_nothing),
                TEST(help_wins_over_everything),
                TEST(default_folders_follow_user_and_environment),
                TEST(a_plain_user_has_folders_of_its_own),
                TEST(every_row_can_be_printed_and_says_what_it_is),
        };

        return cmocka_run_group_tests_name("server/config", tests, NULL, NULL);
}
