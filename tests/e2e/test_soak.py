"""A soak: thousands of jobs over all three runners, a good part of which fail in some way, while workers are killed and the
server itself is killed three times and started again. In the end every job is in the state its kind must end in.

SENDOFF_SOAK_JOBS sets how many (10 000 when not set), SENDOFF_SOAK_SEED the dice (drawn and printed when not set).
"""
import collections
import http.client
import json
import os
import random
import re
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from urllib.parse import parse_qs, urlsplit

import pytest

from conftest import UnixConnection, alive, children, until

JOBS = int(os.environ.get("SENDOFF_SOAK_JOBS", "10000"))
SEED = int(os.environ.get("SENDOFF_SOAK_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
SOAK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "soak")
WORKERS, KILLS, SENDERS = 4, 3, 3
SERVER_ENDED = "the server ended while"

SHORT = {"time_limit": 0.3}


class Kind:
    """What is sent and how it must end: state, how many runs that takes when nothing cuts one short, and what the last
    of them left. first: the fault is in run 1 alone, so that a run 1 cut short takes it along."""

    def __init__(self, weight, state, runs=1, first=False, job=None, **last):
        self.weight, self.state, self.runs, self.first, self.job, self.last = weight, state, runs, first, job or {}, last


KINDS = {
    "site/ok": Kind(400, "succeeded", status=200, connection_status=0),
    "site/large": Kind(20, "succeeded", status=200),
    "site/later": Kind(15, "succeeded", 2, first=True, status=200),
    "site/asks": Kind(30, "succeeded", 2, first=True, status=200),
    "site/exits": Kind(30, "failed", status=404),
    "site/throws": Kind(20, "failed", status=500),
    "site/fails": Kind(10, "dead", 3, job={"retry": {"max": 2}}, status=503),
    "site/dies": Kind(5, "dead", 0, signal=9),
    "site/hangs": Kind(8, "failed", job=SHORT, connection_status=2),
    "site/hangs-twice": Kind(3, "dead", 2, job={**SHORT, "retry": {"max": 1}}, connection_status=2),
    "site/deaf": Kind(3, "failed", job=SHORT, connection_status=2, signal=9),
    "exec/ok": Kind(50, "succeeded", exit_code=0, signal=None),
    "exec/later": Kind(15, "succeeded", 2, first=True, exit_code=0),
    "exec/never": Kind(5, "dead", 3, job={"retry": {"max": 2}}, exit_code=75),
    "exec/fails": Kind(10, "failed", exit_code=1),
    "exec/dies": Kind(5, "dead", 0, signal=9),
    "exec/hangs": Kind(4, "failed", job=SHORT, connection_status=2),
    "exec/deaf": Kind(2, "failed", job=SHORT, connection_status=2, signal=9),
    "http/ok": Kind(230, "succeeded", status=200),
    "http/missing": Kind(30, "failed", status=404),
    "http/fails": Kind(20, "dead", 4, status=500),
    "http/busy-once": Kind(20, "succeeded", 2, first=True, status=200),
    "http/busy-date-once": Kind(20, "succeeded", 2, first=True, status=200),
    "http/hangs": Kind(10, "dead", 2, job={**SHORT, "retry": {"max": 1}}, connection_status=2, status=None),
    "http/hangs-once": Kind(10, "succeeded", 2, first=True, job={"time_limit": 3}, connection_status=0, status=200),
    "http/reset": Kind(10, "dead", 4, status=None),
    "http/reset-once": Kind(20, "succeeded", 2, first=True, status=200),
    "http/torn-once": Kind(20, "succeeded", 2, first=True, status=200),
    "http/garbage": Kind(10, "dead", 4, status=None),
    "http/closes": Kind(10, "dead", 4, status=None),
    "http/closes-once": Kind(10, "succeeded", 2, first=True, status=200),
}


def start_dying_with_us(words, **more):
    return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *words], stdin=subprocess.DEVNULL, **more)


class Soak:
    """The folder, the program, the URL that misbehaves, and what a job of each kind looks like."""

    def __init__(self, folder):
        self.dir = str(folder)
        self.program, self.log = os.path.join(self.dir, "program"), os.path.join(self.dir, "log")
        os.mkdir(os.path.join(self.dir, "locks"))
        open(self.log, "w").close()
        subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", self.program, os.path.join(SOAK, "program.c")], check=True)
        self.faults = start_dying_with_us([sys.executable, os.path.join(SOAK, "faults.py"), self.dir], stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{int(self.faults.stdout.readline())}"

    def stop(self):
        self.faults.kill()
        self.faults.wait()
        self.faults.stdout.close()

    def job(self, name):
        runner, _, kind = name.partition("/")
        if runner == "site":
            what = {"target": f"/soak.php?dir={self.dir}&do={kind.removesuffix('-twice')}&kind={kind}"}
        elif runner == "exec":
            what = {"argv": [self.program, self.dir, kind]}
        else:
            what = {"target": f"{self.url}/{kind}"}
        return {**what, **KINDS[name].job}

    def kind_of(self, record):
        """By what the record says that the job is."""
        if record["runner"] == "fastcgi":
            return "site/" + parse_qs(urlsplit(record["target"]).query)["kind"][0]
        if record["runner"] == "exec":
            return "exec/" + record["target"].rsplit(" ", 1)[1]
        return "http/" + urlsplit(record["target"]).path.strip("/")

    def processes(self):
        """Of the program, wherever they hang in the tree."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{pid}/exe") == self.program and alive(int(pid)):
                    found.append(int(pid))
            except OSError:
                pass
        return found


class Sender(threading.Thread):
    """Sends its share off and keeps the receipts; while the server is away it tries the same job again, because
    without a receipt nobody knows whether it was taken."""

    def __init__(self, server, soak, names, seed):
        super().__init__()
        self.server, self.soak, self.names, self.random = server, soak, names, random.Random(seed)
        self.receipts, self.trouble = {}, []

    def run(self):
        connection = None
        for name in self.names:
            while not self.trouble:
                try:
                    connection = connection or UnixConnection(self.server.socket)
                    self.receipts[self.send(connection, name)] = name
                    break
                except (OSError, http.client.HTTPException):
                    connection.close()
                    connection = None
                    time.sleep(0.02)
                except AssertionError as e:
                    self.trouble.append(str(e))
        if connection:
            connection.close()

    def send(self, connection, name):
        job = {**self.soak.job(name), "method": "POST", "body": "b" * self.random.choice((0, 0, 0, 300, 300, 5000, 100000))}
        if name == "site/ok" and self.random.random() < 0.3:
            r = self.server.send_off(job["target"], job["body"])
            assert r.status == 202, r.text
            return r.json["id"]
        if name.startswith("exec/"):
            del job["method"]
        connection.request("POST", "/v1/jobs", json.dumps(job), {"Content-Type": "application/json"})
        response = connection.getresponse()
        text = response.read()
        assert response.status == 202, f"{name}: {response.status} {text}"
        return json.loads(text)["id"]


class WorkerKiller(threading.Thread):
    """kill -9 to a worker now and then."""

    def __init__(self, server, seed):
        super().__init__()
        self.server, self.random = server, random.Random(seed)
        self.pause, self.done, self.killed = threading.Lock(), threading.Event(), set()

    def run(self):
        while not self.done.wait(self.random.uniform(0.2, 0.8)):
            with self.pause:
                pids = worker_pids(self.server)
                if pids:
                    pid = self.random.choice(pids)
                    self.killed.add(pid)
                    os.kill(pid, signal.SIGKILL)


def is_worker(pid):
    try:
        with open(f"/proc/{pid}/comm") as f:
            return f.read().strip() == "php-cgi"
    except OSError:
        return False


def worker_pids(server):
    return [p for p in children(server.process.pid) if is_worker(p) and alive(p)]


class Story:
    """What the works themselves noted: starts and ends, in the order in which they happened."""

    def __init__(self, soak):
        self.events = collections.defaultdict(list)
        with open(soak.log) as f:
            for line in f:
                what, name, job, run, pid, at = line.split()
                assert what != "overlap", f"two runs of {job} at once ({name}, run {run}): {self.events[job]} then {line}"
                self.events[job].append((what, int(run), int(pid), int(at)))

    def check(self, record):
        """The runs began in their order; the one before had ended, or was cut short (its lock was free, then)."""
        outcomes = {r["number"]: r["outcome"] for r in record["runs"]}
        started, ended = [], set()
        for what, run, pid, at in self.events[record["id"]]:
            assert run in outcomes, (record, self.events[record["id"]])
            if what == "end":
                assert run == started[-1] and run not in ended, (record, self.events[record["id"]])
                ended.add(run)
                continue
            if record["runner"] == "http" and run in ended and run == started[-1]:
                ended.remove(run)  # libcurl asks again on a new connection when a kept one ends without a byte
                continue
            assert not started or run > started[-1], (record, self.events[record["id"]])
            if started and started[-1] not in ended:
                assert outcomes[started[-1]] in ("crashed", "stopped"), (record, self.events[record["id"]])
            started.append(run)
        for run in record["runs"]:
            if run["outcome"] in ("succeeded", "failed"):
                assert run["number"] in ended, (record, self.events[record["id"]])

    def pid(self, job, run):
        return next((pid for what, r, pid, _ in self.events[job] if (what, r) == ("start", run)), None)


def check_end(name, record):
    """The job ended as its kind must, whatever was killed meanwhile."""
    kind, runs = KINDS[name], record["runs"]
    crashed = [r for r in runs if r["outcome"] == "crashed"]
    whole = [r for r in runs if r["outcome"] != "crashed"]
    assert [r["number"] for r in runs] == list(range(1, record["run"] + 1)), (name, record)
    assert record["crashes"] == len(crashed), (name, record)
    for earlier, later in zip(runs, runs[1:]):
        assert earlier["started_at"] <= earlier["ended_at"] <= later["started_at"], (name, record)
    if record["crashes"] == 3:
        assert record["state"] == "dead" and runs[-1]["outcome"] == "crashed" and "at most 3" in record["reason"], (name, record)
        if kind.runs == 0 and not record["reason"].startswith(SERVER_ENDED):
            assert record["signal"] == 9, (name, record)
        return
    assert kind.runs and record["state"] == kind.state, (name, record)
    spared = kind.first and runs[0]["outcome"] == "crashed"
    assert len(whole) == kind.runs - spared, (name, record)
    for field, value in kind.last.items():
        assert record[field] == value, (name, field, record)
    assert bool(record["reason"]) == (kind.state != "succeeded"), (name, record)


def check_crashes(records, story, killer):
    """Whatever was cut short was cut short by somebody we know: itself, us, or the server's death."""
    by_us = 0
    for name, record in records:
        for run in (r for r in record["runs"] if r["outcome"] == "crashed"):
            if run["reason"].startswith(SERVER_ENDED) or name.endswith("/dies"):
                continue
            assert name.startswith("site/") and run["signal"] == 9, (name, record)
            pid = story.pid(record["id"], run["number"])
            assert pid is None or pid in killer.killed, (name, pid, record)
            by_us += 1
    assert by_us <= len(killer.killed)
    return by_us


def control(server, connection, path):
    connection.request("GET", path)
    response = connection.getresponse()
    text = response.read()
    assert response.status == 200, (path, text)
    return json.loads(text)


def listed(server, states):
    """state -> ids, from the list, page by page."""
    connection, cursor, found = UnixConnection(server.socket), "", collections.defaultdict(set)
    while cursor is not None:
        page = control(server, connection, f"/v1/jobs?state={states}&limit=1000&cursor={cursor}")
        for job in page["jobs"]:
            assert job["id"] not in found[job["state"]], "listed twice"
            found[job["state"]].add(job["id"])
        cursor = page["next"]
    connection.close()
    return found


def seldom(condition, what):
    """until(), for what costs both sides something to find out."""
    def asked():
        value = condition()
        if not value:
            time.sleep(0.1)
        return value
    return until(asked, what, 300)


def drained(server):
    return server.control("GET", "/v1/jobs?state=ready,running,scheduled,held&limit=1").json["jobs"] == []


def fifos(folder):
    return [os.path.join(d, n) for d, _, names in os.walk(folder) for n in names
            if stat.S_ISFIFO(os.lstat(os.path.join(d, n)).st_mode)]


@pytest.fixture
def soak(tmp_path):
    folder = tmp_path / "soak"
    folder.mkdir()
    made = Soak(folder)
    yield made
    made.stop()


def names_of(count, dice):
    """Each kind at least once."""
    drawn = dice.choices(list(KINDS), [k.weight for k in KINDS.values()], k=max(0, count - len(KINDS)))
    names = list(KINDS) + drawn
    dice.shuffle(names)
    return names


def drive(server, soak, dice):
    """Sends everything off, kills at chosen moments, and waits until all is done."""
    names = names_of(JOBS, dice)
    senders = [Sender(server, soak, names[i::SENDERS], dice.random()) for i in range(SENDERS)]
    killer = WorkerKiller(server, dice.random())
    receipts = lambda: sum(len(s.receipts) for s in senders)

    def ends():
        with open(soak.log, "rb") as f:
            return f.read().count(b"\nend")
    moments = [lambda at=dice.uniform(0.1, 0.3): receipts() >= at * len(names),
               lambda at=dice.uniform(0.4, 0.9): receipts() >= at * len(names),
               lambda at=dice.uniform(0.5, 0.9): ends() >= at * len(names)]
    for thread in (*senders, killer):
        thread.start()
    try:
        for moment in moments:
            seldom(lambda: moment() or any(s.trouble for s in senders), "the moment of a kill")
            with killer.pause:
                server.kill()  # also asserts that nothing of it outlives it
                assert not soak.processes()
                server.start()
        seldom(lambda: not any(s.is_alive() for s in senders), "the last receipt")
        seldom(lambda: drained(server), "the end of all jobs")
    finally:
        killer.done.set()
        for s in senders:
            s.names = ()
            s.trouble.append("over")
        for thread in (*senders, killer):
            thread.join()
    assert all(s.trouble == ["over"] for s in senders), [s.trouble[:1] for s in senders]
    return {job: name for s in senders for job, name in s.receipts.items()}, killer


def test_every_job_ends_as_it_must_whatever_fails_or_is_killed(make_server, soak):
    print(f"seed {SEED}, {JOBS} jobs")
    dice = random.Random(SEED)
    server = make_server(os.path.join(SOAK, "site"), workers=WORKERS, args=[
        "--async-rate", "0", "--grace", "200ms", "--retry-backoff", "50ms", "--worker-backoff-max", "100ms", "--urls", "64"])
    began = time.monotonic()
    receipts, killer = drive(server, soak, dice)
    took = time.monotonic() - began

    until(lambda: len(worker_pids(server)) == WORKERS, "all workers")
    until(lambda: sorted(children(server.process.pid)) == sorted(worker_pids(server)), "the end of everything but the workers")
    left = fifos(server.data)  # a worker keeps one for its runs
    assert not soak.processes() and len(left) <= WORKERS and all(re.search(r"/w\d+-\d+\.control$", f) for f in left), left
    assert all(server.get(f"/soak.php?dir={soak.dir}&do=none").status != 502 for _ in range(20))

    states = listed(server, "succeeded,failed,dead,cancelled")
    ids = set().union(*states.values())
    assert sum(map(len, states.values())) == len(ids) and not states["cancelled"]
    assert set(receipts) <= ids, "a receipt was lost"
    assert len(ids) - len(receipts) <= SENDERS * KILLS  # taken, but killed before the receipt was out

    story, connection, records = Story(soak), UnixConnection(server.socket), []
    for job in sorted(ids):
        record = control(server, connection, f"/v1/jobs/{job}")
        name = soak.kind_of(record)
        assert receipts.get(job, name) == name and job in states[record["state"]]
        check_end(name, record)
        story.check(record)
        records.append((name, record))
    connection.close()
    assert set(story.events) - {"-"} <= ids
    by_us = check_crashes(records, story, killer)
    sample = dice.sample([r for n, r in records if n == "site/ok" and r["state"] == "succeeded"], 20)
    assert all(server.result(r["id"]).text == f"{r['id']} {r['run']}\n" for r in sample)

    workers = worker_pids(server)
    assert server.stop() == 0 and not any(alive(w) for w in workers) and not fifos(server.data)
    check_store(server)
    print(f"{len(ids)} jobs in {took:.1f} s: {dict((s, len(i)) for s, i in states.items() if i)}, "
          f"{sum(len(r['runs']) for _, r in records)} runs, {len(killer.killed)} workers killed, {by_us} runs with them")


def check_store(server):
    """Nothing unfinished, no file without a job, no job without its file."""
    db = sqlite3.connect(server.data + "/sendoff.db")
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert db.execute("SELECT count(*) FROM jobs WHERE finished_ms = 0").fetchone() == (0,)
    named = {n for (n,) in db.execute("SELECT body_file FROM jobs WHERE body_file IS NOT NULL UNION ALL "
                                      "SELECT body_file FROM replies WHERE body_file IS NOT NULL")}
    assert named == set(os.listdir(server.data + "/files"))
    db.close()
