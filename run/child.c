/* See child.h. Neither can fail: the kernel refuses SIGKILL and SIGSTOP, which cannot be changed anyway, and
 * a limit may always be lowered. */
#include "run/child.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FILES 1024

void child_default_signals(void)
{
        static const unsigned long zeroes[16]; /* the kernel's struct sigaction, all default */
        sigset_t none;

        for (int s = 1; s < NSIG; s++)
                if (s != SIGKILL && s != SIGSTOP)
                        syscall(SYS_rt_sigaction, s, zeroes, NULL, sizeof(unsigned long));
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
}

void child_default_files(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur <= FILES)
                return;
        limit.rlim_cur = FILES;
        setrlimit(RLIMIT_NOFILE, &limit);
}
