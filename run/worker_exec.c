/* What a worker is before it is php-cgi: this program, for a moment, to tie the worker's life to the
 * server's. libuv's spawn cannot say prctl between fork and exec, so it execs us, and we exec the worker. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "run/pool.h"
#include "run/worker.h"

/* Past glibc's signal(), which refuses the two that it keeps for itself: whoever started the server may have
 * left those ignored, too. All zero is the default action in the kernel's struct. */
static void default_signals(void)
{
        static const unsigned long zeroes[16];
        sigset_t none;

        for (int s = 1; s < NSIG; s++)
                if (s != SIGKILL && s != SIGSTOP)
                        syscall(SYS_rt_sigaction, s, zeroes, NULL, sizeof(unsigned long));
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
}

int worker_exec_main(int argc, char **argv)
{
        const char *parent = getenv(WORKER_PARENT_VARIABLE);

        if (argc < 1) {
                fprintf(stderr, "sendoff worker-exec: no program given\n");
                return 127;
        }
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        /* the server may have died before the line above */
        if (parent && atol(parent) != (long)getppid())
                return 127;
        unsetenv(WORKER_PARENT_VARIABLE);
        default_signals();
        execvp(argv[0], argv);
        fprintf(stderr, "sendoff: cannot start the worker %s: %s\n", argv[0], strerror(errno));
        return 127;
}
