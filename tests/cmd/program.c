/* See program.h. */
#include "program.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

int program_setup(void **state)
{
        struct fixture *f = mem_alloc(sizeof(*f));

        strcpy(f->folder, "/tmp/sendoff-verbs-XXXXXX");
        *state = f;
        return mkdtemp(f->folder) ? 0 : -1;
}

char *path_in(const struct fixture *f, const char *name)
{
        return mem_printf("%s/%s", f->folder, name);
}

void stop(struct fixture *f)
{
        if (f->playing)
                player_stop(&f->player);
        f->playing = false;
}

int program_teardown(void **state)
{
        static const char *const names[] = { "out", "err", "result" };
        struct fixture *f = *state;

        stop(f);
        player_fini(&f->player);
        for (size_t i = 0; i < LENGTH(names); i++) {
                char *path = path_in(f, names[i]);

                unlink(path);
                free(path);
        }
        rmdir(f->folder);
        free(f->out);
        free(f->err);
        free(f);
        return 0;
}

void play(struct fixture *f, const struct play *plays, size_t count)
{
        stop(f);
        player_fini(&f->player);
        player_start(&f->player, plays, count);
        f->playing = true;
}

char *read_file(const char *path)
{
        FILE *file = fopen(path, "r");
        struct buf all;
        char piece[4096];
        size_t n;

        assert_non_null(file);
        buf_init(&all, 1 << 22);
        while ((n = fread(piece, 1, sizeof(piece), file)) > 0)
                assert_int_equal(buf_append(&all, piece, n), 0);
        fclose(file);
        return buf_take(&all);
}

int run(struct fixture *f, ...)
{
        const char *argv[24] = { getenv("SENDOFF") };
        char *out = path_in(f, "out"), *err = path_in(f, "err");
        int argc = 1, status;
        va_list args;
        pid_t pid;

        va_start(args, f);
        while ((argv[argc] = va_arg(args, const char *)))
                argc++;
        va_end(args);
        assert_non_null(argv[0]);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                if (f->playing)
                        setenv("SENDOFF_SERVER", f->player.address, 1);
                dup2(open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600), 1);
                dup2(open(err, O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);
                dup2(open("/dev/null", O_RDONLY), 0);
                execv(argv[0], (char *const *)(uintptr_t)argv);
                _exit(127);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        free(f->out);
        free(f->err);
        f->out = read_file(out);
        f->err = read_file(err);
        free(out);
        free(err);
        return WEXITSTATUS(status);
}

void expect_err(struct fixture *f, const char *text)
{
        if (!strstr(f->err, text))
                assert_string_equal(f->err, text);
}

void expect_request(struct fixture *f, size_t i, const char *line)
{
        char *got = slice_dup(player_line(&f->player, i));

        assert_string_equal(got, line);
        free(got);
}

/* ---- replies ---- */

char *reply(const char *head, const char *body)
{
        return mem_printf("HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s", head, strlen(body), body);
}

char *receipt(const char *id)
{
        char *body = mem_printf("{\"id\":\"%s\",\"location\":\"/.sendoff/jobs/%s\",\"state\":\"ready\"}\n",
                                id, id),
             *all = reply("202 Accepted", body);

        free(body);
        return all;
}

char *record(const char *id, const char *state, const char *status)
{
        char *body =
                mem_printf("{\"id\":\"%s\",\"state\":\"%s\",\"status\":%s,\"reason\":null,\"runs\":[]}\n", id,
                           state, status);
        char *all = reply("200 OK", body);

        free(body);
        return all;
}

char *problem(const char *head, const char *detail)
{
        char *body = mem_printf("{\"type\":\"about:blank\",\"title\":\"x\",\"status\":1,\"detail\":\"%s\"}",
                                detail);
        char *all = reply(head, body);

        free(body);
        return all;
}

void free_plays(struct fixture *f, struct play *plays, size_t count)
{
        stop(f);
        for (size_t i = 0; i < count; i++)
                free((char *)(uintptr_t)plays[i].bytes);
}
