/* What all runners share: see runner.h. One timer a run, set to the next of its time limit, its idle limit
 * and the end of its grace. The good path never lets it fire. */
#include "run/runner.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/option.h"

static void run_rearm(struct run *run);

struct job_run run_result(enum run_outcome outcome)
{
        return (struct job_run){ .outcome = outcome, .exit_code = -1, .cpu_ms = -1, .peak_rss_kb = -1 };
}

void run_init(struct run *run, const struct runner *runner, uv_loop_t *loop,
              const struct run_handlers *handlers, void *arg)
{
        run->runner = runner;
        run->handlers = *handlers;
        run->arg = arg;
        run->refs = 1;
        uv_timer_init(loop, &run->timer);
        run->timer.data = run;
}

void run_unref(struct run *run)
{
        if (--run->refs == 0)
                run->runner->free(run);
}

static void timer_closed(uv_handle_t *handle)
{
        run_unref(handle->data);
}

/* ---- the ladder ---- */

static void add_reason(struct run *run, const char *reason)
{
        size_t len = strlen(run->reason);

        if (strstr(run->reason, reason))
                return;
        snprintf(run->reason + len, sizeof(run->reason) - len, "%s%s", len ? "; then " : "", reason);
}

static void run_kill(struct run *run)
{
        if (run->killed)
                return;
        run->killed = true;
        uv_timer_stop(&run->timer);
        if (!run->settling)
                run->runner->kill(run);
}

void run_give_up(struct run *run)
{
        if (run->asked || run->killed)
                return;
        run->asked = true;
        run->grace_end_ms = (int64_t)uv_now(run->timer.loop) + run->limits.grace_ms;
        if (!run->settling)
                run->runner->ask(run);
        run_rearm(run);
}

void run_stop(struct run *run, int bits, const char *reason)
{
        if (run->over)
                return;
        run->bits |= bits;
        if (run->decided == RUN_NONE || run->gone)
                run->decided = RUN_STOPPED;
        add_reason(run, reason);
        run_give_up(run);
}

void run_put_back(struct run *run, const char *reason)
{
        if (run->over)
                return;
        if (run->decided == RUN_NONE) {
                run->decided = RUN_PUT_BACK;
                add_reason(run, reason);
        }
        run_kill(run);
}

void run_hang_up(struct run *run, const char *reason)
{
        if (run->over || run->gone || run->killed)
                return;
        run->gone = true;
        run->bits |= CONNECTION_ABORTED;
        if (run->decided == RUN_NONE)
                run->decided = RUN_STOPPED;
        add_reason(run, reason);
        if (run->paused)
                run_heard(run);
        run->paused = false;
        if (!run->settling)
                run->runner->hang_up(run);
        run_rearm(run);
}

void run_note_abort(struct run *run)
{
        run->bits |= CONNECTION_ABORTED;
}

/* ---- limits ---- */

static void run_time_up(struct run *run, const char *before, int64_t ms, const char *option)
{
        char reason[160], time[OPTION_NUMBER_SIZE];

        snprintf(reason, sizeof(reason), "%s %s (%s)", before, option_duration_text((uint64_t)ms, time),
                 option);
        run_stop(run, CONNECTION_TIMED_OUT, reason);
}

static void on_timer(uv_timer_t *timer)
{
        struct run *run = timer->data;
        int64_t now = (int64_t)uv_now(timer->loop);

        if (run->asked) {
                if (now >= run->grace_end_ms)
                        run_kill(run);
        } else if (run->time_up_ms && now >= run->time_up_ms) {
                run_time_up(run, "it ran longer than its time limit of", run->limits.time_limit_ms,
                            run->limits.time_option ? run->limits.time_option : "time_limit");
        } else if (run->limits.idle_limit_ms && !run->paused &&
                   now >= run->last_ms + run->limits.idle_limit_ms) {
                run_time_up(run, "nothing was heard of it for", run->limits.idle_limit_ms, "idle_limit");
        }
        if (!run->over && !run->killed)
                run_rearm(run);
}

static void run_rearm(struct run *run)
{
        int64_t now = (int64_t)uv_now(run->timer.loop), at = 0, idle_at;

        if (run->over || run->killed)
                return;
        if (run->asked) {
                at = run->grace_end_ms;
        } else {
                at = run->time_up_ms;
                idle_at = run->limits.idle_limit_ms && !run->paused ? run->last_ms + run->limits.idle_limit_ms
                                                                    : 0;
                if (idle_at && (!at || idle_at < at))
                        at = idle_at;
        }
        if (at)
                uv_timer_start(&run->timer, on_timer, at > now ? (uint64_t)(at - now) : 0, 0);
        else
                uv_timer_stop(&run->timer);
}

void run_set_limits(struct run *run, const struct run_limits *limits)
{
        run->limits = *limits;
        run->last_ms = (int64_t)uv_now(run->timer.loop);
        run->time_up_ms = limits->time_limit_ms ? run->last_ms + limits->time_limit_ms : 0;
        run_rearm(run);
}

void run_set_time_limit(struct run *run, int64_t ms)
{
        run->limits.time_limit_ms = ms;
        run->limits.time_option = NULL;
        run->time_up_ms = ms ? (int64_t)uv_now(run->timer.loop) + ms : 0;
        run_rearm(run);
}

/* Cheap: the timer finds out by itself that it was set too early. */
void run_heard(struct run *run)
{
        run->last_ms = (int64_t)uv_now(run->timer.loop);
}

/* ---- back-pressure ---- */

void run_pause(struct run *run)
{
        if (run->paused || run->over || run->gone)
                return;
        run->paused = true;
        if (!run->settling)
                run->runner->pause(run);
}

void run_resume(struct run *run)
{
        if (!run->paused || run->over)
                return;
        run->paused = false;
        run_heard(run);
        if (!run->settling)
                run->runner->resume(run);
        run_rearm(run);
}

/* ---- the end ---- */

void run_abandon(struct run *run)
{
        run->over = true;
        uv_close((uv_handle_t *)&run->timer, timer_closed);
}

void run_over(struct run *run, struct job_run *how)
{
        assert(!run->over);
        run->over = true;
        if (run->decided != RUN_NONE) {
                how->outcome = run->decided;
                how->may_pass = false;
                memcpy(how->reason, run->reason, sizeof(how->reason));
        }
        how->connection_status |= run->bits;
        uv_timer_stop(&run->timer);
        run->handlers.end(run->arg, how);
        uv_close((uv_handle_t *)&run->timer, timer_closed);
}

int run_worker(const struct run *run)
{
        return run->runner->worker ? run->runner->worker(run) : 0;
}

int run_pid(const struct run *run)
{
        return run->runner->pid ? run->runner->pid(run) : 0;
}
