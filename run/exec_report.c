/* What the reports of exec-run mean for the run: its outcome, and the sentence that says why. Pure. */
#include "run/exec_report.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/log.h"
#include "base/option.h"
#include "run/runner.h"

#define CPU_SLACK_MS 500 /* by which the CPU time of who reached the hard limit may seem to be less */
#define NAME_SHOWN   100 /* bytes of a program's or folder's name in a sentence */
#define QUOTED_SIZE  (4 * NAME_SHOWN + 3)

static const char *quoted(char out[QUOTED_SIZE], const char *name)
{
        return log_quote(out, QUOTED_SIZE, name, strnlen(name, NAME_SHOWN));
}

static void refused_limit(const struct exec_report *r, const struct exec_death *d, struct job_run *how)
{
        char number[OPTION_NUMBER_SIZE] = "";
        const char *what = "files";

        if (r->step == EXEC_MEMORY) {
                what = "memory";
                option_size_text((uint64_t)d->limits.memory, number);
        } else if (r->step == EXEC_CPU) {
                what = "cpu";
                option_duration_text((uint64_t)d->limits.cpu_ms, number);
        } else {
                snprintf(number, sizeof(number), "%lld", (long long)d->limits.files);
        }
        snprintf(how->reason, sizeof(how->reason),
                 "the limit of %s cannot be set: %s (limits.%s, program_%s)", number, strerror(r->error),
                 what, what);
}

static bool refusal_may_pass(int error)
{
        return error == EAGAIN || error == ENOMEM || error == EMFILE || error == ENFILE || error == ETXTBSY;
}

static void refused(const struct exec_report *r, const struct exec_death *d, struct job_run *how)
{
        char name[QUOTED_SIZE];
        bool missing = r->step == EXEC_PROGRAM && (r->error == ENOENT || r->error == ENOTDIR);

        how->outcome = RUN_FAILED;
        how->exit_code = missing ? 127 : 126;
        how->may_pass = refusal_may_pass(r->error);
        if (r->step == EXEC_MEMORY || r->step == EXEC_CPU || r->step == EXEC_FILES)
                refused_limit(r, d, how);
        else if (r->step == EXEC_FORK)
                snprintf(how->reason, sizeof(how->reason), "no process can be made: %s", strerror(r->error));
        else if (r->step == EXEC_FOLDER)
                snprintf(how->reason, sizeof(how->reason), "the folder %s cannot be entered: %s",
                         quoted(name, d->folder), strerror(r->error));
        else if (r->step == EXEC_INTERPRETER)
                snprintf(how->reason, sizeof(how->reason),
                         "the program %s cannot be executed: the interpreter that it names was not found",
                         quoted(name, d->program));
        else if (missing)
                snprintf(how->reason, sizeof(how->reason), "the program %s was not found%s",
                         quoted(name, d->program), strchr(d->program, '/') ? "" : " along PATH");
        else
                snprintf(how->reason, sizeof(how->reason), "the program %s cannot be executed: %s",
                         quoted(name, d->program), strerror(r->error));
}

int64_t exec_cpu_seconds(int64_t ms)
{
        return ms / 1000 + (ms % 1000 != 0);
}

/* By SIGXCPU, or, where that was ignored, by the SIGKILL of the hard limit. */
static bool cpu_limit_reached(const struct exec_report *r, const struct exec_death *d, int signum)
{
        int64_t hard_ms = (exec_cpu_seconds(d->limits.cpu_ms) + EXEC_CPU_EXTRA) * 1000;

        return signum == SIGXCPU ||
               (signum == SIGKILL && d->limits.cpu_ms && r->cpu_ms >= hard_ms - CPU_SLACK_MS);
}

static void killed(const struct exec_report *r, const struct exec_death *d, struct job_run *how, int signum)
{
        char name[QUOTED_SIZE], number[OPTION_NUMBER_SIZE];
        const char *text = strsignal(signum);

        how->signal = signum;
        if (!cpu_limit_reached(r, d, signum)) {
                how->outcome = RUN_CRASHED;
                snprintf(how->reason, sizeof(how->reason), "the program %s was killed by signal %d (%s)",
                         quoted(name, d->program), signum, text ? text : "unknown");
                return;
        }
        how->outcome = RUN_FAILED;
        if (d->limits.cpu_ms)
                option_duration_text((uint64_t)exec_cpu_seconds(d->limits.cpu_ms) * 1000, number);
        snprintf(how->reason, sizeof(how->reason),
                 "it used more CPU time than its limit%s%s (limits.cpu, program_cpu)",
                 d->limits.cpu_ms ? " of " : "", d->limits.cpu_ms ? number : "");
}

/* exec-run ended without a word. */
static void orphaned(const struct exec_death *d, struct job_run *how)
{
        const char *text = strsignal(d->signal);

        how->outcome = RUN_CRASHED;
        how->signal = d->signal;
        if (d->signal)
                snprintf(how->reason, sizeof(how->reason),
                         "its supervisor (exec-run, pid %d) was killed by signal %d (%s), and the program "
                         "with it",
                         d->pid, d->signal, text ? text : "unknown");
        else
                snprintf(how->reason, sizeof(how->reason),
                         "its supervisor (exec-run, pid %d) exited with code %d before the program", d->pid,
                         d->exit_code);
}

struct job_run exec_report_result(const struct exec_report *r, const struct exec_death *d)
{
        struct job_run how = run_result(RUN_SUCCEEDED);

        if (r->what == EXEC_REFUSED) {
                refused(r, d, &how);
                return how;
        }
        if (r->what != EXEC_ENDED) {
                orphaned(d, &how);
                return how;
        }
        how.cpu_ms = r->cpu_ms;
        how.peak_rss_kb = r->peak_rss_kb;
        if (WIFSIGNALED(r->wait_status)) {
                killed(r, d, &how, WTERMSIG(r->wait_status));
        } else {
                how.exit_code = WEXITSTATUS(r->wait_status);
                how.outcome = how.exit_code == 0 ? RUN_SUCCEEDED : RUN_FAILED;
        }
        return how;
}
