"""Every ending of PHP's work, foreground and as a job: see endings.py."""
import os
import signal
import socket
import time
from urllib.parse import urlencode

import pytest

from conftest import alive, children, read_all, read_until
from endings import BOTH, CANCEL, CRASH, END, FIN, HALF, KILLED, LIMIT, RST, STOP, WORKS, Case, Lab, compare, documents, record_text, reply_text, run_ms, until

GRACE_MS, HARD_GRACE_MS = 5000, 300  # the default, and that of the server "hard"
SERVERS = {
    "plain": (10, []),
    "limited": (8, ["--foreground-time-limit", "1500ms"]),
    "hard": (8, ["--grace", "300ms", "--foreground-time-limit", "1500ms"]),
    "continue": (4, ["--on-abort", "continue"]),
    "stop": (4, ["--on-abort", "stop"]),
    "patient": (2, ["--grace", "60s"]),
    "killed": (8, []),
    "doomed": (24, []),
    "stopped": (12, ["--drain", "300ms"]),
}

KINDS = {"silent": "silent", "writing": "writing", "writing, ignoring aborts": "ignoring", "in sleep()": "sleep", "in fread()": "fread",
         "in exec()": "exec", "in a busy loop": "busy", "in a long preg_match()": "pcre"}
SILENT, WRITING, IGNORING, SLEEP, FREAD, EXEC, BUSY, PCRE = KINDS
FLOOD = "blocked by a caller that does not read"
PROMPT = (SILENT, WRITING, IGNORING, SLEEP, EXEC, BUSY)  # PHP hears of the limit at once; what exec() waits for is ended, too
LATE = (FREAD, PCRE)                                     # ...when the call comes back
QUIET = (SILENT, SLEEP, FREAD, EXEC, BUSY, PCRE)   # these print nothing meanwhile

# What a script saw.
ZERO, ONE, TWO, THREE = (f"`connection_status()` {n} in its shutdown function" for n in range(4))
END_0, END_1 = (f"{n} at its end" for n in range(2))
NOTHING = "nothing"
NOTHING_OR_ONE = "nothing; 1 where it prints in the instant between the server's death and its own"
# What ran afterwards.
SHUTDOWN = "shutdown functions"
THEN = "then-target"
# How long it kept its worker.
TO_END = "to its own end"
ASKED = "until it was asked to end"
PRINTED = "until it next printed"
CAME_BACK = "until the call came back"
HARD_KILLED = f"until the grace ({HARD_GRACE_MS} ms) was over"
KILL = "until the kill"
OWN_LIMIT = "until PHP's own hard limit (2 s of CPU)"
LIVES, NEW = "; the worker lives", "; a new worker"
ORPHANS = "; what exec() had started lives on"  # never: the next server ends it

NOT_A_JOB = "no job: a line of the access log"
HUNG_UP = "the caller hung up"
LIMITS = {n: f"it ran longer than its time limit of {n} (time_limit)" for n in ("1s", "2s")}
FOREGROUND_LIMIT_MS = 1500
FOREGROUND_LIMIT = "it ran longer than its time limit of 1500ms (foreground_time_limit)"
DIED = "the worker (php-cgi, pid …) was killed by signal 9 (Killed) before the reply was complete"
PUT_BACK = "the server is shutting down"
SERVER_DIED = "the server ended while run 1 was under way (killed, crashed, or the machine went down)"


def also(*words):
    return ", ".join(words)


# ---- the records: foreground

def foreground():
    for kind in KINDS:
        yield Case(kind, END, END_0, "200, whole", NOT_A_JOB, SHUTDOWN, TO_END + LIVES)
    for kind in KINDS:
        for ending in (FIN, RST):
            if kind in QUIET:
                yield Case(kind, ending, END_0, "", f"**cancelled**: stopped, 1, “{HUNG_UP}”", SHUTDOWN, TO_END + LIVES, policy="php")
    for ending in (FIN, RST):
        yield Case(WRITING, ending, ONE, "", f"**cancelled**: stopped, 1, status 200, “{HUNG_UP}”", SHUTDOWN, PRINTED + LIVES,
                   policy="php", query={"after": 300})
        yield Case(IGNORING, ending, END_1, "", f"**cancelled**: stopped, 1, status 200, “{HUNG_UP}”", SHUTDOWN, TO_END + LIVES, policy="php")
        for kind in (SILENT, WRITING, IGNORING):
            yield Case(kind, ending, END_0, "", "**succeeded**: succeeded, 1, status 200", SHUTDOWN, TO_END + LIVES,
                       policy="continue", server="continue")
            yield Case(kind, ending, TWO, "",
                       f"**cancelled**: stopped, 1, status {500 if kind == SILENT else 200}, “{HUNG_UP}”", SHUTDOWN, ASKED + LIVES,
                       policy="stop", server="stop", query={"after": 300})
    for kind in PROMPT:
        got = "500, whole" if kind in QUIET else "200, whole"
        yield Case(kind, LIMIT, TWO, got, NOT_A_JOB, SHUTDOWN, ASKED + LIVES, server="limited")
    for kind in LATE:
        yield Case(kind, LIMIT, TWO, "500, whole", NOT_A_JOB, SHUTDOWN, CAME_BACK + LIVES, server="limited", back=True,
                   note="the call comes back within the grace")
        yield Case(kind, LIMIT, NOTHING, f"504: “{FOREGROUND_LIMIT}”", NOT_A_JOB, NOTHING, HARD_KILLED + NEW, server="hard",
                   note="the call does not come back")
    for kind in (SILENT, SLEEP, EXEC, BUSY):
        yield Case(kind, BOTH, TWO, "", f"**cancelled**: stopped, 3, “{HUNG_UP}; then {FOREGROUND_LIMIT}”", SHUTDOWN,
                   ASKED + LIVES, policy="php", server="limited")
    yield Case(IGNORING, BOTH, THREE, "", f"**cancelled**: stopped, 3, status 200, “{HUNG_UP}; then {FOREGROUND_LIMIT}”", SHUTDOWN,
               ASKED + LIVES, policy="php", server="limited")
    for kind in LATE:
        yield Case(kind, BOTH, NOTHING, "", f"**cancelled**: stopped, 3, signal 9, “{HUNG_UP}; then {FOREGROUND_LIMIT}”", NOTHING,
                   HARD_KILLED + NEW, policy="php", server="hard")
    for kind in KINDS:
        got = f"502: “{DIED}”" if kind in QUIET else "200, then cut off"
        yield Case(kind, KILLED, NOTHING, got, NOT_A_JOB, NOTHING, KILL + NEW, server="killed")
    for kind in KINDS:
        got = "nothing: closed" if kind in QUIET else "200, then cut off"
        yield Case(kind, CRASH, NOTHING_OR_ONE if kind == WRITING else NOTHING, got, NOT_A_JOB, NOTHING, KILL + NEW,
                   server="doomed")
    yield Case(SILENT, HALF, END_0, "", f"**cancelled**: stopped, 1, “{HUNG_UP}”", SHUTDOWN, TO_END + LIVES, policy="php")
    for ending in (FIN, RST):
        yield Case(FLOOD, ending, ONE, "", f"**cancelled**: stopped, 1, status 200, “{HUNG_UP}”", SHUTDOWN, PRINTED + LIVES, policy="php",
                   query={"after": 300})
    yield Case(FLOOD, KILLED, NOTHING, "200, then cut off", NOT_A_JOB, NOTHING, KILL + NEW, server="killed")
    for kind in (SILENT, WRITING, EXEC):
        got = f"503: “{PUT_BACK}”" if kind in QUIET else "200, then cut off"
        yield Case(kind, STOP, NOTHING, got, NOT_A_JOB, NOTHING, KILL + NEW, server="stopped")
    yield Case(SILENT, STOP, NOTHING, "", f"**cancelled**: stopped, 1, signal 9, “{HUNG_UP}”", NOTHING, KILL + NEW, server="stopped",
               note="after its caller hung up", query={"hang-up": 1})
    yield Case(SILENT, CRASH, NOTHING, "", f"**cancelled**: crashed, 1, “{SERVER_DIED}”", NOTHING, KILL + NEW, server="doomed",
               note="after its caller hung up", query={"hang-up": 1})


# ---- the records: jobs

def jobs():
    end = (END_0, "", "**succeeded**: succeeded, 0, status 200", also(SHUTDOWN, THEN), TO_END + LIVES)
    for kind in KINDS:
        yield Case(kind, END, *end)
    for kind in KINDS:
        yield Case(kind, FIN, *end)
        yield Case(kind, RST, *end[:3], SHUTDOWN, end[4])
    for kind in PROMPT:
        status = 500 if kind in QUIET else 200
        yield Case(kind, CANCEL, TWO, "", f"**cancelled**: stopped, 1, status {status}, “cancelled”",
                   also(SHUTDOWN, THEN), ASKED + LIVES, policy="stop")
    for kind in LATE:
        yield Case(kind, CANCEL, TWO, "", "**cancelled**: stopped, 1, status 500, “cancelled”", also(SHUTDOWN, THEN),
                   CAME_BACK + LIVES, policy="stop", back=True, note="the call comes back within the grace")
        yield Case(kind, CANCEL, NOTHING, "", "**cancelled**: stopped, 1, signal 9, “cancelled”", THEN, HARD_KILLED + NEW, policy="stop",
                   server="hard", note="the call does not come back")
    yield Case(SILENT, CANCEL, END_0, "", "**cancelled**: stopped, 1, “cancelled”", also(SHUTDOWN, THEN), TO_END + LIVES, policy="php")
    yield Case(WRITING, CANCEL, ONE, "", "**cancelled**: stopped, 1, status 200, “cancelled”", also(SHUTDOWN, THEN), PRINTED + LIVES, policy="php")
    yield Case(IGNORING, CANCEL, END_1, "", "**cancelled**: stopped, 1, status 200, “cancelled”", also(SHUTDOWN, THEN), TO_END + LIVES,
               policy="php")
    for kind in (SILENT, WRITING, IGNORING):
        yield Case(kind, CANCEL, END_0, "", "**succeeded**: succeeded, 1, status 200", also(SHUTDOWN, THEN), TO_END + LIVES, policy="continue")
    for kind in PROMPT:
        status = 500 if kind in QUIET else 200
        yield Case(kind, LIMIT, TWO, "", f"**failed**: stopped, 2, status {status}, “{LIMITS['1s']}”",
                   also(SHUTDOWN, THEN), ASKED + LIVES, job={"time_limit": 1})
    for kind in LATE:
        yield Case(kind, LIMIT, TWO, "", f"**failed**: stopped, 2, status 500, “{LIMITS['1s']}”",
                   also(SHUTDOWN, THEN), CAME_BACK + LIVES, job={"time_limit": 1}, back=True, note="the call comes back within the grace")
        yield Case(kind, LIMIT, NOTHING, "", f"**failed**: stopped, 2, signal 9, “{LIMITS['1s']}”", THEN, HARD_KILLED + NEW,
                   server="hard", job={"time_limit": 1}, note="the call does not come back")
    yield Case(PCRE, LIMIT, NOTHING, "", f"**failed**: stopped, 2, exit code 124, “{LIMITS['1s']}”", THEN, OWN_LIMIT + NEW,
               server="patient", job={"time_limit": 1}, note="the grace is longer than PHP's patience")
    for kind in (SILENT, SLEEP, BUSY, FREAD, EXEC, PCRE):
        late = kind in LATE
        yield Case(kind, BOTH, NOTHING if late else TWO, "",
                   "**cancelled**: stopped, 3, " + ("signal 9, " if late else "") + f"“cancelled; then {LIMITS['2s']}”",
                   THEN if late else also(SHUTDOWN, THEN), HARD_KILLED + NEW if late else ASKED + LIVES,
                   policy="php", server="hard" if late else "plain", job={"time_limit": 2})
    yield Case(IGNORING, BOTH, THREE, "", f"**cancelled**: stopped, 3, status 200, “cancelled; then {LIMITS['2s']}”",
               also(SHUTDOWN, THEN), ASKED + LIVES, policy="php", job={"time_limit": 2})
    for kind in KINDS:
        status = "" if kind in QUIET else "status 200, "
        yield Case(kind, KILLED, NOTHING, "", f"**succeeded**: crashed, 0, {status}signal 9, “{DIED}”; succeeded, 0, status 200",
                   also("run 2", THEN), KILL + NEW, server="killed")
    yield Case(SILENT, KILLED, NOTHING, "", f"**held**: crashed, 0, signal 9, “{DIED}”", NOTHING, KILL + NEW, server="killed", job={"on_crash": "hold"},
               note="`on_crash` hold")
    for kind in KINDS:
        yield Case(kind, CRASH, NOTHING_OR_ONE if kind == WRITING else NOTHING, "", f"**succeeded**: crashed, 0, “{SERVER_DIED}”; succeeded, 0, status 200",
                   also("run 2", THEN), KILL + NEW, server="doomed")
    for kind in (SILENT, WRITING, EXEC):
        status = "" if kind in QUIET else "status 200, "
        yield Case(kind, STOP, NOTHING, "", f"**succeeded**: put back, 0, {status}signal 9, “{PUT_BACK}”; succeeded, 0, status 200",
                   also("run 2", THEN), KILL + NEW, server="stopped")
    yield Case(SILENT, CRASH, NOTHING, "", f"**held**: crashed, 0, “{SERVER_DIED}”", NOTHING, KILL + NEW, server="doomed",
               job={"on_crash": "hold"}, note="`on_crash` hold")


FOREGROUND, JOBS = list(foreground()), list(jobs())
FOREGROUND_COLUMNS = [("php script", "work"), ("ending", "how"), ("it saw", "saw"), ("its caller got", "got"), ("recorded", "recorded"),
                      ("ran afterwards", "then"), ("its worker was busy", "busy")]
JOB_COLUMNS = [c for c in FOREGROUND_COLUMNS if c[1] != "got"]
TABLES = {"php in the foreground": (FOREGROUND_COLUMNS, FOREGROUND), "php jobs": (JOB_COLUMNS, JOBS)}


# ---- carrying one out

def target(work):
    case, kind = work.case, KINDS.get(work.case.work, "flood")
    ends = case.busy.startswith(TO_END)
    return "/ending.php?" + urlencode({
        "kind": kind, "mark": work.mark, "go": work.go, "name": work.key, "port": work.lab.target.port,
        "seconds": 1 if ends else 60, "as": 24 if ends or case.back else 38, **case.query})


def dying(work):
    """The kernel closes a killed server's connections a moment before it kills its workers."""
    return work.case.ending == CRASH and work.case.work == WRITING


def saw(work):
    shutdown = work.notes("shutdown", work.first)
    if dying(work):
        assert shutdown in ([], [["1"]]) and not work.notes("end", work.first)
        return NOTHING_OR_ONE
    if work.notes("end", work.first):
        return f"{shutdown[0][0]} at its end"
    return f"`connection_status()` {shutdown[0][0]} in its shutdown function" if shutdown else NOTHING


def ran_afterwards(work, record):
    ran = []
    if work.notes("shutdown", work.first) and not dying(work):
        ran.append(SHUTDOWN)
    if record and len(record["runs"]) > 1:
        ran.append(f"run {len(record['runs'])}")
    if record and "then" in work.sent:
        state = work.then_state()
        assert state == record["state"], (state, record)
        ran.append(THEN)
    return also(*ran) or NOTHING


def await_blocked(work):
    """It writes to a connection that takes nothing: ten times in a row it has come no further."""
    seen = []

    def stands_still():
        try:
            seen.append(os.path.getsize(work.mark + ".rounds"))
        except OSError:
            return False
        return len(seen) > 10 and seen[-10] == seen[-1] > 0
    until(stands_still, "the script being blocked")


def begun(work):
    """Its worker's pid, once it is in its work."""
    pid = work.begun()
    work.started = until(lambda: children(pid), "what exec() starts") if work.case.work == EXEC and not work.case.busy.startswith(TO_END) else []
    return pid


def left(work):
    """Of what exec() has started."""
    end = time.monotonic() + 1
    while any(alive(p) for p in work.started) and time.monotonic() < end:
        time.sleep(0.02)
    living = any(alive(p) for p in work.started)
    work.release()
    return ORPHANS if living else ""


def busy(work, pid, record):
    """What ended its worker's time, by what happened; its duration is checked where there is one to be checked."""
    case = work.case
    lives = (LIVES if alive(pid) else NEW) + left(work)
    if work.notes("end", work.first):
        return TO_END + lives
    if case.ending in (KILLED, CRASH, STOP):
        return KILL + lives
    took = run_ms(record) if record else 1000 * (work.over - work.asked)
    limit = 1000 * case.job.get("time_limit", 0) if case.ending in (LIMIT, BOTH) else 0
    run = record["runs"][0] if record else {}
    if not alive(pid):
        if run.get("exit_code") == 124:
            return OWN_LIMIT + lives
        grace = HARD_GRACE_MS if case.server == "hard" else GRACE_MS
        assert took >= limit + grace - 50, f"killed after {took} ms, before the grace was over"
        return f"until the grace ({grace} ms) was over" + lives
    if work.released:
        return CAME_BACK + lives
    assert took >= limit, f"ended after {took} ms, before the limit"
    if case.ending in (FIN, RST, CANCEL) and case.policy == "php":
        return PRINTED + lives
    return ASKED + lives


def release(work):
    work.released = True
    work.release()


def release_within_grace(work, limit_ms):
    """It has been asked to end, but what it is in has not come back: only then it does."""
    time.sleep(limit_ms / 1000 + 0.3)  # the case is about time
    release(work)


def foreground_event(work, s, pid):
    case = work.case
    if case.ending == END:
        release(work)
    elif case.ending in (FIN, RST, HALF, BOTH):
        work.hang_up(s)
    elif case.ending == KILLED:
        os.kill(pid, signal.SIGKILL)
    elif case.ending in (CRASH, STOP):
        if "hang-up" in case.query:
            work.hang_up(s)
            until(work.listed, "the listed run")
        work.crash()
    elif case.back:
        release_within_grace(work, FOREGROUND_LIMIT_MS)


def drive_foreground(work):
    work.first, work.sent, work.released = 0, {}, False
    case, record, got = work.case, None, ""
    s = work.server.connect()
    if case.work == FLOOD:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    s.sendall(f"GET {target(work)} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
    pid = begun(work)
    first = b"" if case.work in QUIET else read_until(s, b"something")
    if case.work == FLOOD:
        await_blocked(work)
    work.asked = time.monotonic()
    foreground_event(work, s, pid)
    if case.ending in (FIN, RST, HALF, BOTH) or "hang-up" in case.query:
        work.id = until(work.listed, f"the listed run of {case.name}")["id"]
        if case.busy.startswith(TO_END):
            release(work)
        record = work.record()
        assert record["crashes"] == (case.ending == CRASH)
    else:
        got = reply_text(first + read_all(s))
        s.close()
        assert not work.listed(), "a run that nobody left is listed"
    work.over = time.monotonic()
    return {"saw": saw(work), "got": got, "recorded": record_text(record) if record else NOT_A_JOB,
            "then": ran_afterwards(work, record), "busy": busy(work, pid, record)}


def job_begin(work):
    """Its caller's connection, where it waits."""
    case = work.case
    work.sent = {} if case.ending == RST else {"then": {"always": f"/then.php?mark={work.then_mark}"}}
    if case.ending == RST:
        s = work.server.connect()
        s.sendall(f"GET {target(work)} HTTP/1.1\r\nHost: h\r\nPrefer: respond-async, wait=10\r\n\r\n".encode())
        return s
    return work.post({"target": target(work)}, 10 if case.ending == FIN else None, **work.sent)


def job_event(work, s, pid):
    case = work.case
    if s:
        work.hang_up(s)
    if case.ending in (CANCEL, BOTH):
        work.cancel()
    elif case.ending == KILLED:
        os.kill(pid, signal.SIGKILL)
    elif case.ending in (CRASH, STOP):
        work.crash()
    if case.back:
        release_within_grace(work, 1000 * case.job.get("time_limit", 0))
    elif case.busy.startswith(TO_END):
        release(work)


def drive_job(work):
    work.first, work.released = 1, False
    s = job_begin(work)
    pid = begun(work)
    job_event(work, s, pid)
    record = work.record()
    if record["state"] == "held":
        work.sent = {}
        alive_still = until(lambda: not alive(pid), "the end of its worker")
        assert alive_still
    seen = {"saw": saw(work), "recorded": record_text(record), "then": ran_afterwards(work, record), "busy": busy(work, pid, record)}
    if record["state"] == "held":
        assert work.cancel().status == 200
    return seen


# ---- the tests

@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    return Lab(tmp_path_factory.mktemp("php"), SERVERS, FOREGROUND + JOBS)


@pytest.fixture(scope="module")
def outcomes(lab):
    foreground_cases = {id(c) for c in FOREGROUND}
    return lab.run(lambda work: drive_foreground(work) if id(work.case) in foreground_cases else drive_job(work))


def test_a_script_that_its_caller_blocks_is_ended_by_its_time_limit(make_server, tmp_path):
    """Where in its write the signal meets it is chance, and so whether PHP or the end of its grace ends it: not a row."""
    server = make_server(WORKS + "/site", args=["--foreground-time-limit", "500ms", "--grace", "300ms"])
    s = server.connect()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    query = urlencode({"kind": "flood", "mark": f"{tmp_path}/mark", "go": f"{tmp_path}/never"})
    s.sendall(f"GET /ending.php?{query} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
    until(lambda: "(foreground_time_limit)" in server.log_text(), "its end")
    assert all(server.get("/hello.php").text == "hello\n" for _ in range(4))
    s.close()


@pytest.mark.parametrize("case", FOREGROUND, ids=lambda c: c.name)
def test_the_end_of_a_script_in_the_foreground(outcomes, case):
    compare(case, outcomes[id(case)])
    documents("php in the foreground", FOREGROUND_COLUMNS, case)


@pytest.mark.parametrize("case", JOBS, ids=lambda c: c.name)
def test_the_end_of_a_script_as_a_job(outcomes, case):
    compare(case, outcomes[id(case)])
    documents("php jobs", JOB_COLUMNS, case)


def test_the_pools_are_whole_again_and_nobody_else_lost_a_request(lab, outcomes):
    lab.finish()
