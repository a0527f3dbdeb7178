#!/usr/bin/python3
"""Every way that work can end: what test_endings_*.py share, and the tables of docs/ENDINGS.md.

A case is a record of what is expected, column by column. The tests carry all cases of a module out at once, on a few real
servers, and compare what they saw with the record; the document's row is made of the same record.

    python3 tests/e2e/endings.py            says whether the document's tables are those of the records
    python3 tests/e2e/endings.py --write    rewrites them
"""
import concurrent.futures
import contextlib
import importlib
import json
import os
import re
import shlex
import socket
import sys
import threading
import time
import traceback
from dataclasses import dataclass, field
from urllib.parse import urlencode

from conftest import PATIENCE, ROOT, Server, alive, children, finish, read_all
from conftest import until as until_soon
from target import Target, nobody, reset

DOCUMENT = os.path.join(ROOT, "docs", "ENDINGS.md")
WORKS = os.path.join(ROOT, "tests", "e2e", "works")
FINAL = ("succeeded", "failed", "dead", "cancelled")
MODULES = ("test_endings_php", "test_endings_exec", "test_endings_http")

# The endings.
END = "by itself"
FIN = "caller hangs up (FIN)"
RST = "caller hangs up (RST)"
CANCEL = "cancelled"
LIMIT = "time limit"
BOTH = "hang-up, then time limit"
KILLED = "killed from outside"
CRASH = "server kill -9"
STOP = "server stopped, its drain time over"
HALF = "caller shuts down its sending side"


def until(condition, what):
    """Many look at the same time: not too often."""
    return until_soon(condition, what, every=0.03)


@dataclass(frozen=True)
class Case:
    work: str
    ending: str
    saw: str = ""
    got: str = ""         # foreground: what the caller got
    recorded: str = ""    # in the job's record
    then: str = ""        # what ran afterwards
    busy: str = ""        # how long it kept its worker busy, and whether that lives
    server: str = "plain"
    policy: str = ""      # on_abort, where it matters
    note: str = ""        # what else is special about it, for its name
    back: bool = False    # what it waits for comes back after it was asked to end
    job: dict = field(default_factory=dict)    # more fields of POST /v1/jobs
    query: dict = field(default_factory=dict)  # more of the script's query

    @property
    def how(self):
        return ", ".join(w for w in (self.ending, self.policy and f"`{self.policy}`", self.note) if w)

    @property
    def name(self):
        return f"{self.work}: {self.how}"


def rows(table, columns, cases):
    """A table as lines of Markdown: columns are pairs of a title and a field."""
    def cell(case, name):
        return case.how if name == "how" else getattr(case, name) or "–"
    lines = ["| " + " | ".join(title for title, _ in columns) + " |", "|" + "---|" * len(columns)]
    return lines + ["| " + " | ".join(cell(case, name) for _, name in columns) + " |" for case in cases]


# ---- the document

def tables():
    """name -> lines, from the test modules."""
    made = {}
    for module in MODULES:
        for name, (columns, cases) in importlib.import_module(module).TABLES.items():
            made[name] = rows(name, columns, cases)
    return made


def document(text, made):
    """The text with its tables replaced, and the names of the tables it has no place for."""
    missing = []
    for name, lines in made.items():
        begin, end = f"<!-- table: {name} -->\n", "<!-- end of table -->\n"
        before, found, after = text.partition(begin)
        if not found or end not in after:
            missing.append(name)
            continue
        text = before + begin + "\n".join(lines) + "\n" + end + after.partition(end)[2]
    return text, missing


def documented():
    """name -> lines that stand in the document now."""
    with open(DOCUMENT) as f:
        text = f.read()
    found = re.findall(r"<!-- table: (.+?) -->\n(.*?)<!-- end of table -->\n", text, re.S)
    return {name: lines.splitlines() for name, lines in found}


# ---- carrying cases out

class Doom:
    """The moment a server is killed, or stopped: when every case that wants it has begun."""

    def __init__(self, server, load, cases):
        self.server, self.load, self.left = server, load, len(cases)
        self.gently = all(c.ending == STOP for c in cases)
        self.lock, self.over = threading.Lock(), threading.Event()
        self.trouble = None

    def arrive(self, wait=True):
        with self.lock:
            self.left -= 1
            last = self.left == 0
        if last:
            try:
                self.load.pause()
                if self.gently:
                    assert self.server.stop() == 0
                else:
                    kill(self.server)
                self.server.start()
                self.load.resume()
            except BaseException as e:
                self.trouble = e
                raise
            finally:
                self.over.set()
        elif wait:
            assert self.over.wait(PATIENCE), "the server was not killed"
            assert not self.trouble, self.trouble


def kill(server):
    """kill -9, and waits until everything that it started is gone: but what PHP scripts have started by exec() is ended by the next."""
    kids = children(server.process.pid)
    others = [p for kid in kids if command_line(kid).startswith("php-cgi") for p in children(kid)]
    server.process.kill()
    server.process.wait(PATIENCE)
    until(lambda: not any(alive(p) for p in kids if p not in others), "the end of workers and programs")


class Load(threading.Thread):
    """Somebody else's requests: a page and a job, again and again. None of them may be lost."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.lock = server, threading.Lock()
        self.over, self.wrong, self.receipts, self.pages = False, [], [], 0

    def run(self):
        while not self.over:
            with self.lock:
                try:
                    page = self.server.get("/hello.php?load")
                    self.pages += 1
                    if (page.status, page.text) != (200, "hello\n"):
                        self.wrong.append((page.status, page.text))
                    job = self.server.send_off("/hello.php?load")
                    if job.status == 202:
                        self.receipts.append(job.json["id"])
                    else:
                        self.wrong.append((job.status, job.text))
                except Exception as e:
                    self.wrong.append(repr(e))
            time.sleep(0.05)  # it shall be there, not take everything

    def pause(self):
        self.lock.acquire()

    def resume(self):
        self.lock.release()

    def finish(self):
        self.over = True
        self.join(PATIENCE)
        assert not self.wrong and self.pages, self.wrong[:5]
        for job in self.receipts:
            record = self.server.wait(job)
            assert record["state"] == "succeeded", record


class Lab:
    """Servers by name, each with somebody else's load on it; the neighbour; the folder for marks."""

    def __init__(self, folder, profiles, cases):
        self.folder, self.profiles, self.cases = str(folder), profiles, cases
        self.servers, self.loads, self.dooms, self.lock = {}, {}, {}, threading.Lock()
        self.target = Target()

    def server(self, name):
        with self.lock:
            if name not in self.servers:
                folder = os.path.join(self.folder, name)
                os.mkdir(folder)
                workers, args = self.profiles[name]
                server = Server(folder, os.path.join(WORKS, "site"), ["--async-rate", "0", *args], workers)
                self.servers[name] = server.start()
                self.loads[name] = load = Load(server)
                load.start()
                self.dooms[name] = Doom(server, load, [c for c in self.cases if c.server == name and c.ending in (CRASH, STOP)])
            return self.servers[name]

    def run(self, drive, at_once=24):
        """id(case) -> (what was seen of it, None) or (None, what went wrong)."""
        def one(number, case):
            arrived = []
            try:
                server = self.server(case.server)
                work = Work(self, server, case, f"w{number}", arrived)
                seen = drive(work)
                assert server.get("/hello.php").text == "hello\n", "the next request"
                return seen, None
            except BaseException:
                if case.ending in (CRASH, STOP) and not arrived:
                    with contextlib.suppress(Exception):
                        self.dooms[case.server].arrive(wait=False)
                return None, traceback.format_exc()
        # Those that meet in a server's death come first: each of them holds a thread until then.
        order = sorted(range(len(self.cases)), key=lambda i: self.cases[i].ending not in (CRASH, STOP))
        doomed = sum(1 for c in self.cases if c.ending in (CRASH, STOP))
        with concurrent.futures.ThreadPoolExecutor(doomed + at_once) as pool:
            futures = {i: pool.submit(one, i, self.cases[i]) for i in order}
            return {id(self.cases[i]): f.result() for i, f in futures.items()}

    def whole(self, name):
        """The server's pool is whole: as many requests as it has workers run at once, on that many processes."""
        server = self.servers[name]
        go, marks, sockets = os.path.join(self.folder, f"{name}.go"), [], []
        for i in range(server.workers):
            marks.append(os.path.join(self.folder, f"{name}.whole{i}"))
            s = server.connect()
            s.sendall(f"GET /ending.php?{urlencode({'kind': 'silent', 'mark': marks[-1], 'go': go})} HTTP/1.1\r\n"
                      "Host: h\r\nConnection: close\r\n\r\n".encode())
            sockets.append(s)
        until(lambda: all(os.path.exists(m) and open(m).read().endswith("\n") for m in marks), "all workers at once")
        pids = {int(open(m).read().split()[2]) for m in marks}
        assert len(pids) == server.workers and all(alive(p) for p in pids), pids
        open(go, "w").close()
        for s in sockets:
            assert read_all(s).startswith(b"HTTP/1.1 200 ")
            s.close()

    def finish(self):
        """Each server's pool is whole, nothing of the load was lost, nothing is left of it when it is told to stop."""
        for name, server in self.servers.items():
            self.loads[name].finish()
            self.whole(name)
            for job in server.control("GET", "/v1/jobs?state=ready,running,scheduled&limit=5").json["jobs"]:
                raise AssertionError(f"left on {name}: {job}")
            assert not [p for p in children(server.process.pid) if WORKS in command_line(p)], "a program is left"
            finish(server)
        self.target.close()


def command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline") as f:
            return f.read()
    except OSError:  # it ended since it was listed
        return ""


class Work:
    """One case on its way: its marks, its job, what is seen of it."""

    def __init__(self, lab, server, case, key, arrived):
        self.lab, self.server, self.case, self.key, self.arrived = lab, server, case, key, arrived
        base = os.path.join(lab.folder, key)
        self.mark, self.go, self.then_mark = base + ".mark", base + ".go", base + ".then"
        self.id = None

    # -- what it notes

    def lines(self, run=None):
        """[(run, word, rest…)], of one run or of all."""
        try:
            with open(self.mark) as f:
                text = f.read()
        except OSError:
            return []
        found = [line.split() for line in text.splitlines()]
        return [w for w in found if len(w) > 1 and (run is None or w[0] == str(run))]

    def notes(self, word, run=None):
        return [w[2:] for w in self.lines(run) if w[1] == word]

    def begun(self):
        """Waits until its first run has begun; its pid."""
        first = until(lambda: self.notes("begin"), f"the beginning of {self.case.name}")[0]
        if self.id is None and len(first) > 1 and first[1] != "-":
            self.id = first[1]
        return int(first[0])

    def release(self):
        """What it waits for is there."""
        open(self.go, "w").close()
        self.lab.target.answer(self.key)

    # -- the events

    def noticed(self):
        """After this the server has seen what happened on its sockets before."""
        assert self.server.get("/noticed.txt").status == 200  # takes no worker: they may all be taken by cases

    def crash(self):
        self.arrived.append(True)
        self.lab.dooms[self.case.server].arrive()

    def cancel(self):
        r = self.server.control("POST", f"/v1/jobs/{self.id}/cancel")
        assert r.status in (200, 202), r.text
        return r

    def post(self, target, wait=None, **more):
        body = {**target, **more, **self.case.job}
        if self.case.policy:
            body["on_abort"] = self.case.policy
        if wait is None:
            r = self.server.control("POST", "/v1/jobs", body)
            assert r.status == 202, r.text
            self.id = r.json["id"]
            return None
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(PATIENCE)
        s.connect(self.server.socket)
        text = json.dumps(body).encode()
        s.sendall(b"POST /v1/jobs?wait=%d HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
                  b"Content-Length: %d\r\n\r\n" % (wait, len(text)) + text)
        return s

    def hang_up(self, s):
        if self.case.ending == RST:
            reset(s)
        elif self.case.ending == HALF:
            s.shutdown(socket.SHUT_WR)
        else:
            s.close()
        self.noticed()

    # -- what is seen

    def await_state(self, state):
        until(lambda: self.server.job(self.id)["state"] == state, f"{self.case.name} being {state}")

    def await_listed(self, word):
        """The id of the job whose target has the word."""
        def found():
            jobs = self.server.control("GET", "/v1/jobs?limit=1000").json["jobs"]
            return next((j["id"] for j in jobs if word in (j["target"] or "") and not j["then_of"]), None)
        return until(found, f"{self.case.name} in the list")

    def listed(self):
        """The foreground run as a job, once the server lists it; None when it is over and never was."""
        jobs = self.server.control("GET", "/v1/jobs?limit=1000").json["jobs"]
        return next((j for j in jobs if f"{self.key}.mark" in (j["target"] or "")), None)

    def record(self):
        """In a final state, or held."""
        def ended():
            job = self.server.control("GET", f"/v1/jobs/{self.id}?wait=2").json
            return job if job["state"] in (*FINAL, "held") else None
        return until(ended, f"the end of {self.case.name}")

    def then_state(self):
        """What the then-target was told, once it was: it is told exactly once."""
        def told():
            try:
                with open(self.then_mark) as f:
                    text = f.read()
            except OSError:
                return None
            return text.splitlines() if text.endswith("\n") else None
        lines = until(told, f"the then-target of {self.case.name}")
        assert len(lines) == 1, lines
        return json.loads(lines[0])["body"]["state"]


def reason_text(reason):
    """Without what differs from one machine and moment to another."""
    reason = re.sub(r"pid \d+", "pid …", reason).replace(WORKS + "/programs", "…")
    return re.sub(r"127\.0\.0\.1:\d+", "HOST:PORT", reason)


def run_text(run):
    words = [f"{run['outcome']}, {run['connection_status']}"]
    words += [f"{name.replace('_', ' ')} {run[name]}" for name in ("status", "exit_code", "signal") if run[name] is not None]
    if run["reason"]:
        words.append(f"“{reason_text(run['reason'])}”")
    return ", ".join(words)


def record_text(record):
    """Every run's outcome and connection status, and what else is known of it."""
    runs = "; ".join(run_text(run) for run in record["runs"])
    return f"**{record['state']}**: {runs}" if runs else f"**{record['state']}**, no run"


def run_ms(record, number=0):
    def at(text):
        day, _, rest = text.partition("T")
        clock, _, ms = rest.rstrip("Z").partition(".")
        return time.mktime(time.strptime(f"{day} {clock}", "%Y-%m-%d %H:%M:%S")) * 1000 + int(ms)
    run = record["runs"][number]
    return at(run["ended_at"]) - at(run["started_at"])


def reply_text(data):
    """What a caller got, in a few words."""
    if not data:
        return "nothing: closed"
    head, _, body = data.partition(b"\r\n\r\n")
    status = head.split(b" ")[1].decode()
    lower = head.lower()
    if b"application/problem+json" in lower:
        return f"{status}: “{reason_text(json.loads(body)['detail'])}”"
    if b"transfer-encoding: chunked" in lower:
        whole = body.endswith(b"0\r\n\r\n")
    else:
        length = re.search(rb"content-length: (\d+)", lower)
        whole = length is not None and len(body) == int(length.group(1))
    return f"{status}, whole" if whole else f"{status}, then cut off"


def columns_seen(case, seen):
    return {name: (getattr(case, name), seen[name]) for name in seen if getattr(case, name) != seen[name]}


def compare(case, outcome):
    """Fails with the difference between the record and what was seen."""
    seen, trouble = outcome
    assert seen is not None, f"{case.name}\n{trouble}"
    wrong = columns_seen(case, seen)
    assert not wrong, f"{case.name}\n" + "\n".join(f"  {n}: expected {e!r}\n  {' ' * len(n)}  but it is {s!r}"
                                                   for n, (e, s) in wrong.items())


def documents(name, columns, case):
    """Whether the document's table has the case's row."""
    row = rows(name, columns, [case])[-1]
    assert row in documented().get(name, []), f"docs/ENDINGS.md lacks, in {name}:\n{row}\n(python3 tests/e2e/endings.py --write)"


def main():
    with open(DOCUMENT) as f:
        text = f.read()
    new, missing = document(text, tables())
    if missing:
        sys.exit(f"docs/ENDINGS.md has no place for: {', '.join(missing)}")
    if "--write" in sys.argv[1:]:
        with open(DOCUMENT, "w") as f:
            f.write(new)
    elif new != text:
        sys.exit("docs/ENDINGS.md is not what the tests say; python3 tests/e2e/endings.py --write rewrites its tables")


if __name__ == "__main__":
    main()
