/* See proc.h. Where /proc says nothing the answer is the harmless one. */
#include "run/proc.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static bool read_whole(const char *path, char *out, size_t size)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);

        if (fd >= 0)
                close(fd);
        out[n > 0 ? n : 0] = '\0';
        return n > 0;
}

bool proc_catches(int pid, int signum)
{
        char path[64], text[4096];
        const char *line;

        snprintf(path, sizeof(path), "/proc/%d/status", pid);
        if (!read_whole(path, text, sizeof(text)))
                return false;
        line = strstr(text, "\nSigCgt:");
        return line && (strtoull(line + 8, NULL, 16) >> (signum - 1) & 1);
}

static unsigned signal_children(int pid, int signum, unsigned left)
{
        char path[64], text[4096], *at = text, *end;

        snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
        if (!read_whole(path, text, sizeof(text)))
                return left;
        for (long child = strtol(at, &end, 10); end != at && left > 0; child = strtol(at, &end, 10)) {
                left = signal_children((int)child, signum, left - 1);
                kill((pid_t)child, signum);
                at = end;
        }
        return left;
}

void proc_signal_children(int pid, int signum)
{
        signal_children(pid, signum, PROC_SIGNALLED_MAX);
}

int64_t proc_cpu_us(int pid)
{
        struct timespec used;
        clockid_t clock;

        if (pid <= 0 || clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
                return -1;
        return (int64_t)used.tv_sec * 1000000 + used.tv_nsec / 1000;
}
