/* See leftover.h. As long as a session has members the kernel gives its number to no other process, so that a
 * session whose leader is dead can be no stranger's; one whose leader lives is left alone. */
#include "run/leftover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

#define LOOKS_MAX 100 /* 10 ms each */

static void note_name(char *out, size_t size, const char *folder, int number)
{
        snprintf(out, size, "%s/w%d.pid", folder, number);
}

void leftover_note(const char *folder, int number, int pid)
{
        char path[512], text[32];
        int n = snprintf(text, sizeof(text), "%d\n", pid), fd;

        note_name(path, sizeof(path), folder, number);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0 || write(fd, text, (size_t)n) != n)
                log_say(LOG_WARN, "run", "a worker's number cannot be noted", "path=%s why=\"%s\"", path,
                        strerror(errno));
        if (fd >= 0)
                close(fd);
}

void leftover_forget(const char *folder, int number)
{
        char path[512];

        note_name(path, sizeof(path), folder, number);
        unlink(path);
}

static bool read_text(int dir, const char *name, char *out, size_t size)
{
        int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);

        if (fd >= 0)
                close(fd);
        out[n > 0 ? n : 0] = '\0';
        return n > 0;
}

/* The session of a process (proc(5), stat: the fourth number behind the name, which may hold anything);
 * zombies have ended. -1: none. */
static int session_of(int proc, const char *pid)
{
        char path[64], text[1024], state;
        const char *behind;
        int session;

        snprintf(path, sizeof(path), "%.16s/stat", pid);
        if (!read_text(proc, path, text, sizeof(text)))
                return -1;
        behind = strrchr(text, ')');
        if (!behind || sscanf(behind + 1, " %c %*d %*d %d", &state, &session) != 2 || state == 'Z' ||
            state == 'X')
                return -1;
        return session;
}

/* Sends signum to every member of the session; how many there are. leader: whether it is among them. */
static unsigned signal_session(int session, int signum, bool *leader)
{
        DIR *proc = opendir("/proc");
        struct dirent *entry;
        unsigned count = 0;

        *leader = false;
        while (proc && (entry = readdir(proc))) {
                int pid = atoi(entry->d_name);

                if (pid <= 0 || session_of(dirfd(proc), entry->d_name) != session)
                        continue;
                count++;
                *leader = *leader || pid == session;
                if (signum)
                        kill(pid, signum);
        }
        if (proc)
                closedir(proc);
        return count;
}

static void pause_ms(long ms)
{
        const struct timespec pause = { .tv_nsec = ms * 1000 * 1000 };

        nanosleep(&pause, NULL);
}

/* The leader may be dying just now, of the signal that its server's death has sent. */
static unsigned end_session(int session)
{
        bool leader;
        unsigned members = signal_session(session, 0, &leader), ended;

        for (int i = 0; i < LOOKS_MAX && members > 0 && leader; i++) {
                pause_ms(10);
                members = signal_session(session, 0, &leader);
        }
        if (members == 0 || leader)
                return 0;
        ended = members;
        for (int i = 0; i < LOOKS_MAX && members > 0; i++) {
                members = signal_session(session, SIGKILL, &leader);
                if (members > 0)
                        pause_ms(10);
        }
        log_say(LOG_WARN, "run", "ended what a dead server's worker had started", "session=%d processes=%u",
                session, ended);
        return ended;
}

unsigned leftover_end(const char *folder)
{
        DIR *dir = opendir(folder);
        struct dirent *entry;
        char text[32];
        unsigned ended = 0;

        while (dir && (entry = readdir(dir))) {
                if (fnmatch("w*.pid", entry->d_name, 0) != 0)
                        continue;
                if (read_text(dirfd(dir), entry->d_name, text, sizeof(text)) && atoi(text) > 1)
                        ended += end_session(atoi(text));
                unlinkat(dirfd(dir), entry->d_name, 0);
        }
        if (dir)
                closedir(dir);
        return ended;
}
