"""Every ending of a program's work: see endings.py."""
import os
import signal

import pytest

from conftest import alive
from endings import BOTH, CANCEL, CRASH, END, FIN, KILLED, LIMIT, STOP, WORKS, Case, Lab, compare, documents, record_text, run_ms, until

GRACE_MS, HARD_GRACE_MS = 5000, 300  # the default, and that of the server "hard"
SERVERS = {
    "plain": (2, ["--programs", "12"]),
    "hard": (2, ["--programs", "12", "--grace", "300ms"]),
    "doomed": (2, ["--programs", "12"]),
    "stopped": (2, ["--programs", "12", "--drain", "300ms"]),
}
KINDS = {"sh with a trap": "trap.sh", "python without a handler": "plain.py", "python that prints": "writing.py",
         "sh that ignores SIGTERM": "deaf.sh", "sh with children": "children.sh"}
TRAP, PLAIN, WRITING, DEAF, FAMILY = KINDS

TERM, TERMS, EPIPE, NOTHING = "SIGTERM", "SIGTERM, and so did its 2 children", "EPIPE", "nothing"
NOTHING_OR_EPIPE = "nothing; EPIPE where it prints in the instant between the server's death and its own"
THEN, RUN_2 = "then-target", "run 2, then-target"
TO_END, ASKED, PRINTED, KILL = "to its own end", "until it was asked to end", "until it next printed", "until the kill"
HARD_KILLED = f"until the grace ({HARD_GRACE_MS} ms) was over"
GONE = "; nothing of its group is left"
LIMITS = {n: f"it ran longer than its time limit of {n} (time_limit)" for n in ("1500ms", "2s")}
DIED = 'the program "…/{}" was killed by signal 9 (Killed)'
PUT_BACK = "the server is shutting down"
SERVER_DIED = "the server ended while run 1 was under way (killed, crashed, or the machine went down)"


def asked_end(kind):
    """What it sees when it is asked to end, how it ends then, and how long that takes."""
    return {TRAP: (TERM, "exit code 3", ASKED), FAMILY: (TERMS, "exit code 3", ASKED), PLAIN: (NOTHING, "signal 15", ASKED),
            WRITING: (NOTHING, "signal 15", ASKED), DEAF: (NOTHING, "signal 9", HARD_KILLED)}[kind]


def programs():
    end = (NOTHING, "", "**succeeded**: succeeded, 0, exit code 0", THEN, TO_END + GONE)
    for ending in (END, FIN):
        for kind in KINDS:
            yield Case(kind, ending, *end)
    for kind in KINDS:
        saw, how, busy = asked_end(kind)
        yield Case(kind, CANCEL, saw, "", f"**cancelled**: stopped, 1, {how}, “cancelled”", THEN, busy + GONE, policy="stop",
                   server="hard" if kind == DEAF else "plain")
    yield Case(TRAP, CANCEL, NOTHING, "", "**cancelled**: stopped, 1, exit code 0, “cancelled”", THEN, TO_END + GONE, policy="php")
    yield Case(WRITING, CANCEL, EPIPE, "", "**cancelled**: stopped, 1, exit code 3, “cancelled”", THEN, PRINTED + GONE, policy="php")
    for kind in (TRAP, WRITING):
        yield Case(kind, CANCEL, NOTHING, "", "**succeeded**: succeeded, 1, exit code 0", THEN, TO_END + GONE, policy="continue")
    for kind in KINDS:
        saw, how, busy = asked_end(kind)
        yield Case(kind, LIMIT, saw, "", f"**failed**: stopped, 2, {how}, “{LIMITS['1500ms']}”", THEN, busy + GONE,
                   server="hard" if kind == DEAF else "plain", job={"time_limit": 1.5})
    for kind in (TRAP, PLAIN, DEAF, FAMILY):
        saw, how, busy = asked_end(kind)
        yield Case(kind, BOTH, saw, "", f"**cancelled**: stopped, 3, {how}, “cancelled; then {LIMITS['2s']}”", THEN, busy + GONE,
                   policy="php", server="hard" if kind == DEAF else "plain", job={"time_limit": 2})
    for kind in KINDS:
        yield Case(kind, KILLED, NOTHING, "", f"**succeeded**: crashed, 0, signal 9, “{DIED.format(KINDS[kind])}”; succeeded, 0, exit code 0", RUN_2,
                   KILL + ("; its children live on" if kind == FAMILY else GONE))
    yield Case(TRAP, KILLED, NOTHING, "", f"**held**: crashed, 0, signal 9, “{DIED.format(KINDS[TRAP])}”", NOTHING, KILL + GONE, job={"on_crash": "hold"},
               note="`on_crash` hold")
    for kind in KINDS:
        yield Case(kind, CRASH, NOTHING_OR_EPIPE if kind == WRITING else NOTHING, "", f"**succeeded**: crashed, 0, “{SERVER_DIED}”; succeeded, 0, exit code 0", RUN_2, KILL + GONE,
                   server="doomed")
    for kind in KINDS:
        yield Case(kind, STOP, NOTHING, "", f"**succeeded**: put back, 0, signal 9, “{PUT_BACK}”; succeeded, 0, exit code 0", RUN_2, KILL + GONE,
                   server="stopped")


CASES = list(programs())
COLUMNS = [("program", "work"), ("ending", "how"), ("it saw", "saw"), ("recorded", "recorded"), ("ran afterwards", "then"),
           ("it was under way", "busy")]
TABLES = {"programs": (COLUMNS, CASES)}


def saw(work):
    terms = len(work.notes("TERM", 1))
    if work.case.saw == NOTHING_OR_EPIPE:  # the kernel closes a killed server's pipes a moment before its programs are killed
        assert not terms and not work.notes("end", 1)
        return NOTHING_OR_EPIPE
    if work.notes("EPIPE", 1):
        return EPIPE
    if terms > 1:
        return f"{TERM}, and so did its {terms - 1} children"
    return TERM if terms else NOTHING


def ran_afterwards(work, record):
    ran = []
    if len(record["runs"]) > 1:
        ran.append(f"run {len(record['runs'])}")
    if record["state"] != "held":
        assert work.then_state() == record["state"]
        ran.append(THEN)
    return ", ".join(ran) or NOTHING


def left(work, pid):
    """Its children too are looked for. Those that outlive it are let go."""
    pids = [pid] + [int(n[0]) for n in work.notes("child", 1)]
    living = [p for p in pids if alive(p)]
    if not living:
        return GONE
    assert pid not in living
    work.release()
    until(lambda: not any(alive(p) for p in living), "the end of the children")
    return "; its children live on"


def busy(work, record):
    case = work.case
    if work.notes("end", 1):
        return TO_END
    if case.ending in (KILLED, CRASH, STOP):
        return KILL
    took, limit = run_ms(record), 1000 * case.job.get("time_limit", 0)
    assert took >= limit, f"ended after {took} ms, before the limit"
    if record["runs"][0]["signal"] == 9:
        grace = HARD_GRACE_MS if case.server == "hard" else GRACE_MS
        assert took >= limit + grace - 50, f"killed after {took} ms, before the grace was over"
        return f"until the grace ({grace} ms) was over"
    return PRINTED if work.notes("EPIPE", 1) else ASKED


def drive(work):
    case = work.case
    s = work.post({"argv": [os.path.join(WORKS, "programs", KINDS[case.work]), work.mark, work.go]}, 10 if case.ending == FIN else None,
                  then={"always": f"/then.php?mark={work.then_mark}"})
    pid = work.begun()
    if s:
        work.hang_up(s)
    if case.ending in (CANCEL, BOTH):
        work.cancel()
    elif case.ending == KILLED:
        os.kill(pid, signal.SIGKILL)
    elif case.ending in (CRASH, STOP):
        work.crash()
    if case.busy.startswith(TO_END):
        work.release()
    record = work.record()
    seen = {"saw": saw(work), "recorded": record_text(record), "then": ran_afterwards(work, record), "busy": busy(work, record) + left(work, pid)}
    if record["state"] == "held":
        assert work.cancel().status == 200
    return seen


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    return Lab(tmp_path_factory.mktemp("exec"), SERVERS, CASES)


@pytest.fixture(scope="module")
def outcomes(lab):
    return lab.run(drive)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_the_end_of_a_program(outcomes, case):
    compare(case, outcomes[id(case)])
    documents("programs", COLUMNS, case)


def test_the_pools_are_whole_again_and_nobody_else_lost_a_request(lab, outcomes):
    lab.finish()
