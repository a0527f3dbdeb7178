/* See signals.h. It cannot fail: the kernel refuses SIGKILL and SIGSTOP, which cannot be changed anyway. */
#include "run/signals.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

void signals_default(void)
{
        static const unsigned long zeroes[16]; /* the kernel's struct sigaction, all default */
        sigset_t none;

        for (int s = 1; s < NSIG; s++)
                if (s != SIGKILL && s != SIGSTOP)
                        syscall(SYS_rt_sigaction, s, zeroes, NULL, sizeof(unsigned long));
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
}
