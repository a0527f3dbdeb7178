"""What the end-to-end tests share: a real sendoff on a real folder with real php-cgi, started on port 0 and awaited by its ready line."""
import http.client
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import time

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SENDOFF = os.path.abspath(os.environ.get("SENDOFF", os.path.join(ROOT, "build", "sendoff")))
SITE = os.path.join(ROOT, "tests", "e2e", "site")
PATIENCE = int(os.environ.get("SENDOFF_PATIENCE", "60"))  # seconds a condition may take before a test fails; never slept through


def until(condition, what="the condition", patience=PATIENCE, every=0.005):
    """Waits until condition() is true and returns its value; looks `every` so many seconds."""
    end = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"{what} did not come true in {patience} s"
        time.sleep(every)


def children(pid):
    """Every descendant of a process, from /proc."""
    found, todo = [], [pid]
    while todo:
        parent = todo.pop()
        try:
            with open(f"/proc/{parent}/task/{parent}/children") as f:
                kids = [int(k) for k in f.read().split()]
        except OSError:
            kids = []
        found += kids
        todo += kids
    return found


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


class Reply:
    def __init__(self, response, body):
        self.status, self.reason, self.body = response.status, response.reason, body
        self.headers = {}
        self.raw_headers = response.getheaders()
        for name, value in self.raw_headers:
            self.headers[name.lower()] = value

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def json(self):
        return json.loads(self.body)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=PATIENCE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self.path)


class Server:
    """A running `sendoff serve`; start() again after kill() or stop() to restart on the same data folder."""

    def __init__(self, folder, site=SITE, args=(), workers=2, env=None):
        self.folder, self.site, self.args, self.workers = str(folder), str(site), list(args), workers
        self.data = os.path.join(self.folder, "data")
        self.socket = os.path.join(self.folder, "control.sock")
        self.log_path = os.path.join(self.folder, "server.log")
        self.env = {**os.environ, **(env or {})}
        self.process = None
        self.host = self.port = None

    def start(self, expect_ready=True):
        words = [SENDOFF, "serve", self.site, "--listen", "127.0.0.1:0", "--control", f"unix:{self.socket}",
                 "--data", self.data, "--workers", str(self.workers),
                 "--access-log", os.path.join(self.folder, "access.log")] + self.args
        self.log = open(self.log_path, "ab")
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=self.log, stdin=subprocess.DEVNULL,
                                        env=self.env, cwd=self.folder)
        if not expect_ready:
            return self
        readable, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        line = self.process.stdout.readline().decode() if readable else ""
        found = re.fullmatch(r"sendoff: ready http://(.+):(\d+) control unix:(.+)\n", line)
        assert found, f"no ready line but {line!r}; log:\n{self.log_text()[-3000:]}"
        self.host, self.port = found.group(1), int(found.group(2))
        return self

    def log_text(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def access_log(self):
        with open(os.path.join(self.folder, "access.log")) as f:
            return f.read()

    @property
    def url(self):
        return f"http://{self.host}:{self.port}"

    def kill(self):
        """kill -9, and wait until it and its workers are gone."""
        kids = children(self.process.pid)
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE)
        for kid in kids:
            until(lambda: not alive(kid), f"the end of worker {kid}")

    def stop(self):
        """SIGTERM; returns the exit code."""
        kids = children(self.process.pid)
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE)
        for kid in kids:
            until(lambda: not alive(kid), f"the end of worker {kid}")
        return code

    def workers_pids(self):
        return children(self.process.pid)

    def connect(self):
        return socket.create_connection((self.host, self.port), timeout=PATIENCE)

    def request(self, method, path, body=None, headers=None):
        c = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)
        return self._ask(c, method, path, body, headers)

    def control(self, method, path, body=None, headers=None):
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        return self._ask(UnixConnection(self.socket), method, path, body, headers)

    @staticmethod
    def _ask(connection, method, path, body, headers):
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Reply(response, response.read())
        finally:
            connection.close()

    def get(self, path, headers=None):
        return self.request("GET", path, None, headers)

    def send_off(self, path, body=None, headers=None, method=None, prefer="respond-async"):
        return self.request(method or ("POST" if body is not None else "GET"), path, body,
                            {"Prefer": prefer, **(headers or {})})

    def job(self, job_id):
        return self.control("GET", f"/v1/jobs/{job_id}").json

    def wait(self, job_id):
        """The record of the job once it is in a final state."""
        def ended():
            job = self.control("GET", f"/v1/jobs/{job_id}?wait=20").json
            return job if job["state"] in ("succeeded", "failed", "dead", "cancelled") else None
        return until(ended, f"the end of job {job_id}")

    def result(self, job_id):
        return self.get(f"/.sendoff/jobs/{job_id}/result")

    def raw(self, data, shut=False):
        """Sends bytes, returns everything until the server closes."""
        with self.connect() as s:
            s.sendall(data)
            if shut:
                s.shutdown(socket.SHUT_WR)
            return read_all(s)

    def cli(self, *words, input=None, env=None, check=None):
        done = subprocess.run([SENDOFF, *words], input=input, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env={**self.env, "SENDOFF_SERVER": f"unix:{self.socket}", **(env or {})}, timeout=PATIENCE)
        if check is not None:
            assert done.returncode == check, done
        return done


def read_all(s):
    got = b""
    while True:
        try:
            piece = s.recv(65536)
        except ConnectionResetError:
            return got
        if not piece:
            return got
        got += piece


def read_until(s, mark):
    got = b""
    while mark not in got:
        piece = s.recv(65536)
        assert piece, f"closed before {mark!r}: {got!r}"
        got += piece
    return got


SANITIZER = re.compile(r"(ERROR: AddressSanitizer|ERROR: LeakSanitizer|runtime error:|WARNING: ThreadSanitizer|Assertion .* failed)")


def finish(server):
    """Ends a server that a test has used; whatever the sanitizers found fails the test."""
    if server.process and server.process.poll() is None:
        code = server.stop()
        assert code == 0, f"exit code {code}: {server.log_text()[-4000:]}"
    text = server.log_text() if os.path.exists(server.log_path) else ""
    found = SANITIZER.search(text)
    assert not found, text[max(0, found.start() - 500):found.start() + 4000]


@pytest.fixture
def make_server(tmp_path):
    made = []

    def make(site=SITE, args=(), workers=2, start=True, env=None):
        folder = tmp_path / f"s{len(made)}"
        folder.mkdir()
        server = Server(folder, site, args, workers, env)
        made.append(server)
        return server.start() if start else server

    yield make
    for server in made:
        finish(server)


@pytest.fixture
def server(make_server):
    return make_server()


@pytest.fixture
def site(tmp_path):
    """A copy of the test site that a test may change."""
    copy = tmp_path / "site"
    shutil.copytree(SITE, copy)
    return copy
