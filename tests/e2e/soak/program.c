/* program DIR KIND: works as KIND says. Notes its start and its end in DIR/log, one write each, and holds
 * DIR/locks/JOB from one to the other; whatever it leaves behind holds it, too. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

static const char *dir, *kind, *job, *run;

static void say(const char *what)
{
        char path[4096], line[256];
        struct timespec now;
        int fd, n;

        snprintf(path, sizeof(path), "%s/log", dir);
        fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        clock_gettime(CLOCK_MONOTONIC, &now);
        n = snprintf(line, sizeof(line), "%s exec/%s %s %s %d %lld\n", what, kind, job, run, (int)getpid(),
                     (long long)now.tv_sec * 1000000000 + now.tv_nsec);
        if (fd < 0 || write(fd, line, (size_t)n) != n)
                _exit(99);
        close(fd);
}

static int end(int code)
{
        say("end");
        return code;
}

static void told(int number)
{
        _exit(end(128 + number));
}

static void wait_for_ever(void)
{
        for (;;)
                pause();
}

int main(int argc, char **argv)
{
        char path[4096];
        int lock;

        job = getenv("SENDOFF_JOB");
        run = getenv("SENDOFF_RUN");
        if (argc != 3 || !job || !run)
                return 98;
        dir = argv[1];
        kind = argv[2];
        snprintf(path, sizeof(path), "%s/locks/%s", dir, job);
        lock = open(path, O_RDWR | O_CREAT, 0600); /* inherited by children */
        say(lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0 ? "start" : "overlap");
        if (strcmp(kind, "ok") == 0) {
                puts("done");
        } else if (strcmp(kind, "later") == 0) {
                return end(strcmp(run, "1") == 0 ? 75 : 0);
        } else if (strcmp(kind, "never") == 0) {
                return end(75);
        } else if (strcmp(kind, "fails") == 0) {
                fputs("it failed\n", stderr);
                return end(1);
        } else if (strcmp(kind, "dies") == 0) {
                kill(getpid(), SIGKILL);
        } else if (strcmp(kind, "hangs") == 0) { /* with a child, in its group */
                if (fork() == 0)
                        wait_for_ever();
                signal(SIGTERM, told);
                wait_for_ever();
        } else if (strcmp(kind, "deaf") == 0) {
                signal(SIGTERM, SIG_IGN);
                if (fork() == 0)
                        wait_for_ever();
                wait_for_ever();
        }
        return end(0);
}
