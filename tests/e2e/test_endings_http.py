"""Every ending of a request to a URL: see endings.py."""
import pytest

from endings import BOTH, CANCEL, CRASH, END, FIN, KILLED, LIMIT, STOP, Case, Lab, compare, documents, nobody, record_text, run_ms, until

SERVERS = {"plain": (2, []), "doomed": (2, []), "stopped": (2, ["--drain", "300ms"])}
SLOW, DEAD, HALFWAY = "slow target", "dead target", "target half-way through its reply"

CLOSED, NOTHING = "its caller closed the connection", "nothing"
THEN, RUN_2 = "then-target", "run 2, then-target"
TO_END, ASKED, KILL, AT_ONCE = "until it answered", "until it was asked to end", "until the kill", "no time"
ONCE = {"retry": {"max": 1, "backoff": "10ms"}}  # one retry, soon
NEVER = {"retry": {"max": 0}}
PUT_BACK = "the server is shutting down"
LIMIT_500 = "it ran longer than its time limit of 500ms (time_limit)"
REFUSED = "connection to HOST:PORT refused"
RESET = "no answer from HOST:PORT: the connection was reset"
CUT = "the reply of HOST:PORT was cut short after 14 of 100 bytes: the connection was reset"
SERVER_DIED = "the server ended while run 1 was under way (killed, crashed, or the machine went down)"


def requests():
    end = (NOTHING, "", "**succeeded**: succeeded, 0, status 200", THEN, TO_END)
    yield Case(SLOW, END, *end)
    yield Case(SLOW, FIN, *end)
    for policy in ("stop", "php"):
        yield Case(SLOW, CANCEL, CLOSED, "", "**cancelled**: stopped, 1, “cancelled”", THEN, ASKED, policy=policy)
    yield Case(SLOW, CANCEL, NOTHING, "", "**succeeded**: succeeded, 1, status 200", THEN, TO_END, policy="continue")
    yield Case(SLOW, LIMIT, CLOSED, "", f"**failed**: stopped, 2, “{LIMIT_500}”", THEN, ASKED, job={"time_limit": 0.5, **NEVER},
               note="no retries")
    yield Case(SLOW, LIMIT, CLOSED, "", f"**succeeded**: stopped, 2, “{LIMIT_500}”; succeeded, 0, status 200", RUN_2, ASKED,
               job={"time_limit": 0.5, **ONCE}, note="one retry")
    yield Case(SLOW, BOTH, CLOSED, "", f"**cancelled**: stopped, 3, “{LIMIT_500.replace('500ms', '2s')}”", THEN, ASKED, policy="continue",
               job={"time_limit": 2})
    yield Case(SLOW, KILLED, NOTHING, "", f"**succeeded**: failed, 0, “{RESET}”; succeeded, 0, status 200", RUN_2, KILL, job=ONCE,
               note="one retry")
    yield Case(SLOW, CRASH, CLOSED, "", f"**succeeded**: crashed, 0, “{SERVER_DIED}”; succeeded, 0, status 200", RUN_2, KILL, server="doomed")
    for policy in ("stop", "php"):
        yield Case(HALFWAY, CANCEL, CLOSED, "", "**cancelled**: stopped, 1, status 200, “cancelled”", THEN, ASKED, policy=policy)
    yield Case(HALFWAY, LIMIT, CLOSED, "", f"**failed**: stopped, 2, status 200, “{LIMIT_500}”", THEN, ASKED, job={"time_limit": 0.5, **NEVER},
               note="no retries")
    yield Case(HALFWAY, KILLED, NOTHING, "", f"**succeeded**: failed, 0, status 200, “{CUT}”; succeeded, 0, status 200", RUN_2, KILL, job=ONCE,
               note="one retry")
    yield Case(HALFWAY, CRASH, CLOSED, "", f"**succeeded**: crashed, 0, “{SERVER_DIED}”; succeeded, 0, status 200", RUN_2, KILL, server="doomed")
    yield Case(SLOW, STOP, CLOSED, "", f"**succeeded**: put back, 0, “{PUT_BACK}”; succeeded, 0, status 200", RUN_2, KILL, server="stopped")
    used_up = f"**dead**: failed, 0, “{REFUSED}”; failed, 0, “{REFUSED}; retry 1 of at most 1, not run again”"
    for ending in (END, FIN, LIMIT):
        yield Case(DEAD, ending, "", "", used_up, RUN_2, AT_ONCE, job={**ONCE, **({"time_limit": 0.5} if ending == LIMIT else {})},
                   note="one retry")
    later = {"retry": {"max": 1, "backoff": "1h"}}
    yield Case(DEAD, CANCEL, "", "", f"**cancelled**: failed, 0, “{REFUSED}; cancelled before it ran again”", THEN, AT_ONCE, job=later, note="while it waits for its retry")
    yield Case(DEAD, CRASH, "", "", f"**cancelled**: failed, 0, “{REFUSED}; cancelled before it ran again”", THEN, AT_ONCE, job=later, server="doomed",
               note="while it waits for its retry; then cancelled")


CASES = list(requests())
COLUMNS = [("URL", "work"), ("ending", "how"), ("the target saw", "saw"), ("recorded", "recorded"), ("ran afterwards", "then"),
           ("it was under way", "busy")]
TABLES = {"urls": (COLUMNS, CASES)}


def ran_afterwards(work, record):
    ran = []
    if len(record["runs"]) > 1:
        ran.append(f"run {len(record['runs'])}")
    assert work.then_state() == record["state"]
    return ", ".join([*ran, THEN])


def busy(work, record, calls):
    case = work.case
    if case.work == DEAD:
        return AT_ONCE
    if case.ending in (KILLED, CRASH, STOP):
        return KILL
    took, limit = run_ms(record), 1000 * case.job.get("time_limit", 0)
    if calls[0].closed:
        assert took >= limit, f"ended after {took} ms, before the limit"
        return ASKED
    return TO_END


def drive_dead(work):
    case = work.case
    s = work.post({"target": nobody() + "/" + work.key}, 10 if case.ending == FIN else None, then={"always": f"/then.php?mark={work.then_mark}"})
    if s:
        work.id = work.await_listed(work.key)
        work.hang_up(s)
    if case.ending in (CANCEL, CRASH):
        work.await_state("scheduled")
        if case.ending == CRASH:
            work.crash()
            assert work.server.job(work.id)["state"] == "scheduled"
        assert work.cancel().status == 200
    record = work.record()
    return {"saw": "", "recorded": record_text(record), "then": ran_afterwards(work, record), "busy": busy(work, record, [])}


def drive_slow(work):
    case, target = work.case, work.lab.target
    if case.work == HALFWAY:
        target.halve(work.key)
    s = work.post({"target": f"{target.url}/{work.key}", "body": "a body"}, 10 if case.ending == FIN else None,
                  then={"always": f"/then.php?mark={work.then_mark}"})
    first = target.await_calls(work.key)[0]
    if case.work == HALFWAY:
        until(lambda: first.half_sent, "the first half of the reply")
        work.noticed()
    work.id = first.headers["idempotency-key"]
    if s:
        work.hang_up(s)
    if case.ending in (CANCEL, BOTH):
        work.cancel()
    elif case.ending == KILLED:
        target.kill(work.key)
    elif case.ending in (CRASH, STOP):
        work.crash()
    if case.busy == TO_END:
        target.answer(work.key)
    elif case.then == RUN_2:
        target.await_calls(work.key, 2)
        target.answer(work.key)
    record = work.record()
    calls = target.calls(work.key)
    assert len(calls) == len(record["runs"]) and all(c.body == b"a body" for c in calls)
    assert {c.headers["idempotency-key"] for c in calls} == {work.id}
    if not first.closed and case.ending != KILLED and case.busy != TO_END:
        until(lambda: first.closed, "the target seeing its caller go")
    seen = CLOSED if first.closed and case.ending != KILLED else NOTHING
    return {"saw": seen, "recorded": record_text(record), "then": ran_afterwards(work, record), "busy": busy(work, record, calls)}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    return Lab(tmp_path_factory.mktemp("http"), SERVERS, CASES)


@pytest.fixture(scope="module")
def outcomes(lab):
    return lab.run(lambda work: drive_dead(work) if work.case.work == DEAD else drive_slow(work))


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_the_end_of_a_request_to_a_url(outcomes, case):
    compare(case, outcomes[id(case)])
    documents("urls", COLUMNS, case)


def test_the_pools_are_whole_again_and_nobody_else_lost_a_request(lab, outcomes):
    lab.finish()
