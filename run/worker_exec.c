/* What a worker is before it is php-cgi: this program, for a moment, to tie the worker's life to the
 * server's. libuv's spawn cannot say prctl between fork and exec, so it execs us, and we exec the worker. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "run/pool.h"
#include "run/child.h"
#include "run/worker.h"

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
        child_default_signals();
        child_default_files();
        execvp(argv[0], argv);
        fprintf(stderr, "sendoff: cannot start the worker %s: %s\n", argv[0], strerror(errno));
        return 127;
}
