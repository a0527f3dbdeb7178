"""A pool that somebody else keeps: php-fpm with two children behind `sendoff serve --fastcgi`."""
import glob
import hashlib
import os
import signal
import socket
import subprocess
import tempfile
import threading
from urllib.parse import urlencode

import pytest

from conftest import SITE, Server, alive, children, finish, read_all, read_until, until

CHILDREN = 2
CONFIG = """[global]
error_log = %(folder)s/fpm.log
daemonize = no
process_control_timeout = %(patience)s
[www]
%(user)s
listen = %(listen)s
pm = static
pm.max_children = %(children)d
catch_workers_output = yes
php_admin_value[post_max_size] = 0
php_admin_value[opcache.enable] = 0
"""


class Fpm:
    """A master and its children, in the foreground, as a child of ours; start() again after kill() on the same address."""

    def __init__(self, folder, kind, patience="0"):
        self.folder, self.kind = folder, kind
        if kind == "unix":
            self.path = os.path.join(folder, "fpm.sock")
            self.address = "unix:" + self.path
            listen = self.path
        else:
            with socket.create_server(("127.0.0.1", 0)) as s:
                self.port = s.getsockname()[1]
            self.address = listen = f"127.0.0.1:{self.port}"
        user = "user = root\ngroup = root" if os.geteuid() == 0 else ""
        self.config = os.path.join(folder, "fpm.conf")
        with open(self.config, "w") as f:
            f.write(CONFIG % {"folder": folder, "listen": listen, "children": CHILDREN, "user": user, "patience": patience})
        self.process = None

    def start(self):
        program = sorted(glob.glob("/usr/sbin/php-fpm*"))[-1]
        with open(os.path.join(self.folder, "fpm.out"), "ab") as out:
            self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", program, "-F", "-y", self.config,
                                             *(["-R"] if os.geteuid() == 0 else [])],
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        until(lambda: self.answers() and len(self.pids()) == CHILDREN, "php-fpm")
        return self

    def answers(self):
        assert self.process.poll() is None, open(os.path.join(self.folder, "fpm.out")).read()
        try:
            with socket.socket(socket.AF_UNIX if self.kind == "unix" else socket.AF_INET) as s:
                s.connect(self.path if self.kind == "unix" else ("127.0.0.1", self.port))
            return True
        except OSError:
            return False

    def pids(self):
        return set(children(self.process.pid))

    def kill(self):
        """kill -9 to all of it."""
        pids = [self.process.pid, *self.pids()]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self.process.wait()
        until(lambda: not any(alive(p) for p in pids), "the end of php-fpm")

    def reload(self):
        """As `systemctl reload` does it: new children, the listener is kept."""
        before = self.pids()
        self.process.send_signal(signal.SIGUSR2)
        return before

    def await_new_children(self, before):
        until(lambda: len(self.pids() - before) == CHILDREN and not before & self.pids(), "new children")

    def stop(self):
        if self.process and self.process.poll() is None:
            pids = self.pids()
            self.process.terminate()
            self.process.wait(60)
            until(lambda: not any(alive(p) for p in pids), "the end of php-fpm's children")


@pytest.fixture
def make_fpm():
    made, folders = [], []

    def make(kind="unix", start=True, **more):
        folder = tempfile.mkdtemp(prefix="fpm")
        folders.append(folder)
        made.append(Fpm(folder, kind, **more))
        return made[-1].start() if start else made[-1]
    yield make
    for fpm in made:
        fpm.stop()
    for folder in folders:
        subprocess.run(["rm", "-rf", folder], check=True)


@pytest.fixture(params=["unix", "tcp"])
def kind(request):
    return request.param


@pytest.fixture
def fpm(make_fpm, kind):
    return make_fpm(kind)


def serve(make_server, fpm, *args, site=SITE, workers=3, **more):
    """One of three connections is never given to a job."""
    return make_server(site, workers=workers, args=["--fastcgi", fpm.address, "--grace", "300ms", "--retry-backoff", "50ms", *args], **more)


@pytest.fixture
def server(make_server, fpm):
    return serve(make_server, fpm)


class Slow:
    """A run of slow.php: its mark, and the file that it waits for."""

    def __init__(self, folder, name):
        self.mark, self.go = os.path.join(folder, name + ".mark"), os.path.join(folder, name + ".go")
        self.path = "/slow.php?" + urlencode({"until": self.go, "mark": self.mark})

    def lines(self, word):
        """[[run, pid], …]: slow.php writes: begin|end JOB RUN PID TIME; without a job: PID TIME"""
        try:
            with open(self.mark) as f:
                return [line.split()[1:] for line in f.read().splitlines() if line.startswith(word)]
        except OSError:
            return []

    def begun(self, runs=1):
        until(lambda: len(self.lines("begin")) >= runs, f"beginning {runs} of {self.path}")

    def release(self):
        open(self.go, "w").close()


@pytest.fixture
def slow(tmp_path):
    count = iter(range(1000))
    made = []

    def make():
        made.append(Slow(tmp_path, f"slow{next(count)}"))
        return made[-1]
    yield make
    for s in made:  # what is left of it in php-fpm may end
        s.release()


# ---- pages

def test_pages_are_made_by_the_pool_and_files_are_not(server, fpm):
    for _ in range(20):
        assert server.get("/hello.php").text == "hello\n"
    assert server.get("/numbers.txt").status == 200 and server.get("/missing.php").status == 404
    assert (r := server.get("/status.php?code=500")).status == 500 and r.headers["x-own"] == "yes"
    head = server.request("HEAD", "/hello.php")
    assert head.status == 200 and head.body == b""
    assert children(server.process.pid) == []  # no worker of our own


def test_the_variables_are_those_of_our_own_workers(make_server, server, fpm, kind):
    body = {"Content-Type": "application/x-www-form-urlencoded", "X-Own": "yes", "Cookie": "c=1"}
    of_pool = server.request("POST", "/echo.php/more?x=1&y=a%20b", "k=v", body).json
    own = make_server(SITE)
    of_ours = own.request("POST", "/echo.php/more?x=1&y=a%20b", "k=v", body).json
    differ = {"HTTP_HOST", "SERVER_PORT", "REMOTE_PORT", "REQUEST_TIME", "REQUEST_TIME_FLOAT", "SENDOFF_CONTROL", "FCGI_ROLE",
              # what a process gets from its parent's environment
              "PATH", "USER", "HOME", "argc", "argv", "PHP_FCGI_MAX_REQUESTS", "PHP_INI_SCAN_DIR", *os.environ}
    for name in ("get", "post", "cookie", "body", "method"):
        assert of_pool[name] == of_ours[name]
    for name in (set(of_pool["server"]) | set(of_ours["server"])) - differ:
        assert of_pool["server"].get(name) == of_ours["server"].get(name), name
    assert of_pool["server"]["SCRIPT_FILENAME"] == os.path.realpath(SITE) + "/echo.php"


@pytest.mark.parametrize("size", [0, 65535, 65536, 5000000])
def test_bodies_of_any_size_reach_it(server, size):
    body = os.urandom(size)
    got = server.request("POST", "/echo.php", body, {"Content-Type": "a/b"}).json
    assert (got["length"], got["md5"]) == (size, hashlib.md5(body).hexdigest())


def test_a_large_reply_comes_whole_and_a_small_one_streams(server, slow):
    assert len(server.get("/big.php?mb=5").body) == 5 << 20
    s = slow()
    with server.connect() as c:
        c.sendall(f"GET /stream.php?until={s.go} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
        assert b"second" not in read_until(c, b"first\n")
        s.release()
        assert b"second" in read_all(c)


def test_what_a_script_says_on_stderr_is_in_the_log(make_server, fpm, site, tmp_path):
    (site / "says.php").write_text("<?php error_log('a word to the log'); echo 'said';")
    server = serve(make_server, fpm, site=site)
    assert server.get("/says.php").text == "said"
    until(lambda: "a word to the log" in server.log_text(), "the line in the log")
    job = server.wait(server.send_off("/says.php").json["id"])
    assert "a word to the log" in server.control("GET", f"/v1/jobs/{job['id']}/log").text


def test_a_script_may_finish_its_request_and_go_on(make_server, fpm, site, tmp_path):
    (site / "finish.php").write_text("""<?php
        echo "finished\n";
        fastcgi_finish_request();
        while (!file_exists($_GET['go'])) usleep(2000);
        file_put_contents($_GET['mark'], 'went on');""")
    server = serve(make_server, fpm, site=site)
    mark, go = tmp_path / "mark", tmp_path / "go"
    assert server.get(f"/finish.php?mark={mark}&go={go}").text == "finished\n"
    job = server.wait(server.send_off(f"/finish.php?mark={mark}&go={go}").json["id"])
    assert job["state"] == "succeeded" and not mark.exists()
    go.touch()
    until(mark.exists, "the script's end")


# ---- jobs

def test_jobs_run_in_the_pool(server):
    r = server.send_off("/echo.php?x=1", b"b" * 100000, {"Content-Type": "a/b"})
    job = server.wait(r.json["id"])
    assert (job["state"], job["status"], job["run"]) == ("succeeded", 200, 1)
    got = server.result(job["id"]).json
    assert got["server"]["SENDOFF_JOB"] == job["id"] and got["server"]["SENDOFF_RUN"] == "1" and got["length"] == 100000
    assert server.wait(server.send_off("/status.php?code=500").json["id"])["state"] == "failed"


def test_a_job_has_no_control_fifo_in_a_pool_that_is_not_ours(server):
    job = server.wait(server.send_off("/echo.php").json["id"])
    assert "SENDOFF_CONTROL" not in server.result(job["id"]).json["server"]


def test_a_child_that_is_killed_under_a_job_is_a_crash_and_the_job_runs_again(server, fpm, slow):
    s = slow()
    job = server.send_off(s.path).json["id"]
    s.begun()
    os.kill(int(s.lines("begin")[0][2]), signal.SIGKILL)
    s.begun(2)
    s.release()
    record = server.wait(job)
    assert (record["state"], record["run"], record["crashes"]) == ("succeeded", 2, 1)
    assert [r["outcome"] for r in record["runs"]] == ["crashed", "succeeded"] and record["runs"][0]["reason"]


def test_a_script_that_kills_its_child_every_time_ends_dead(server):
    record = server.wait(server.send_off("/die.php").json["id"])
    assert (record["state"], record["crashes"], record["run"]) == ("dead", 3, 3)
    assert server.get("/hello.php").text == "hello\n"


# ---- at once

def test_two_jobs_run_at_once_on_two_children_and_the_third_waits(server, fpm, slow):
    works = [slow() for _ in range(3)]
    jobs = [server.send_off(w.path).json["id"] for w in works]
    works[0].begun()
    works[1].begun()
    pids = {w.lines("begin")[0][2] for w in works[:2]}
    assert pids == {str(p) for p in fpm.pids()}
    assert server.job(jobs[2])["state"] == "ready" and "worker" in server.job(jobs[2])["waiting_for"]
    works[0].release()
    works[2].begun()
    assert not works[1].lines("end")
    works[1].release()
    works[2].release()
    assert [server.wait(j)["state"] for j in jobs] == ["succeeded"] * 3


def test_more_connections_than_children_are_answered_in_turn(make_server, fpm, slow):
    server = serve(make_server, fpm, workers=8)
    works, replies = [slow() for _ in range(8)], {}
    threads = [threading.Thread(target=lambda w=w: replies.update({w.path: server.get(w.path).text})) for w in works]
    for t in threads:
        t.start()
    until(lambda: sum(len(w.lines("begin")) for w in works) == CHILDREN, "two beginnings")
    for w in works:
        w.release()
    for t in threads:
        t.join()
    assert list(replies.values()) == ["done \n"] * 8 and len(replies) == 8


# ---- limits, hang-ups

def test_a_job_whose_time_is_up_is_recorded_and_its_connection_closed(server, fpm, slow):
    s = slow()
    r = server.control("POST", "/v1/jobs", {"target": s.path, "time_limit": 0.5})
    record = server.wait(r.json["id"])
    assert (record["state"], record["connection_status"], record["status"]) == ("failed", 2, None), record
    assert "time limit of 500ms (time_limit)" in record["reason"]
    assert not s.lines("end")  # php-fpm goes on with it: it is not ours to kill
    assert server.get("/hello.php").text == "hello\n"
    s.release()
    until(lambda: s.lines("end"), "the script's own end")
    assert server.job(record["id"])["state"] == "failed"


def test_a_page_whose_time_is_up_is_a_504(make_server, fpm, slow):
    server, s = serve(make_server, fpm, "--foreground-time-limit", "500ms"), slow()
    r = server.get(s.path)
    assert r.status == 504 and "foreground_time_limit" in r.json["detail"]
    assert server.get("/hello.php").text == "hello\n"


def test_a_cancelled_job_ends_and_its_connection_with_it(server, fpm, slow):
    s = slow()
    job = server.send_off(s.path).json["id"]
    s.begun()
    assert server.request("DELETE", f"/.sendoff/jobs/{job}").status == 202
    record = server.wait(job)
    assert (record["state"], record["connection_status"], record["reason"]) == ("cancelled", 1, "cancelled")
    assert not s.lines("end") and server.get("/hello.php").text == "hello\n"


def test_a_script_notices_that_its_caller_has_gone_when_it_prints(make_server, fpm, tmp_path):
    works = os.path.join(os.path.dirname(SITE), "works", "site")
    server = serve(make_server, fpm, site=works)
    mark = tmp_path / "mark"
    with server.connect() as c:
        c.sendall(f"GET /ending.php?kind=writing&mark={mark}&go={tmp_path}/never HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        read_until(c, b"something\n")
    until(lambda: mark.exists() and "shutdown 1" in mark.read_text(), "the script's shutdown function")
    assert "end" not in mark.read_text().split()
    until(lambda: server.get("/hello.php").text == "hello\n", "the next request")


# ---- the pool comes and goes

def test_jobs_wait_for_a_pool_that_is_not_there_yet(make_server, make_fpm, kind, slow):
    fpm = make_fpm(kind, start=False)
    server = serve(make_server, fpm)
    job = server.send_off("/hello.php").json["id"]
    r = server.get("/hello.php")
    assert r.status in (502, 503) and r.json["detail"]
    fpm.start()
    record = server.wait(job)
    assert (record["state"], record["crashes"]) == ("succeeded", 0), record
    until(lambda: server.get("/hello.php").status == 200, "the page")


def test_a_pool_that_is_killed_and_started_again_costs_no_job(server, fpm, slow):
    works = [slow() for _ in range(6)]
    jobs = [server.send_off(w.path).json["id"] for w in works]
    works[0].begun()
    works[1].begun()
    fpm.kill()
    more = slow()
    jobs.append(server.send_off(more.path).json["id"])  # accepted as ever
    r = server.get("/hello.php")
    assert r.status in (502, 503) and r.json["detail"]
    until(lambda: all(server.job(j)["state"] == "ready" for j in jobs), "the wait for the pool")
    assert not works[2].lines("begin")
    for w in (*works, more):
        w.release()
    fpm.start()
    records = [server.wait(j) for j in jobs]
    assert [r["state"] for r in records] == ["succeeded"] * 7
    # its processes do not die in one instant: what is handed over until the last has closed the listener is lost once more
    crashes = [r["crashes"] for r in records]
    assert min(crashes[:2]) >= 1 and max(crashes) <= 2 and sum(crashes) <= 2 * CHILDREN, crashes
    assert server.get("/hello.php").text == "hello\n"


def test_a_patient_reload_lets_what_runs_end(make_server, make_fpm, kind, slow):
    fpm = make_fpm(kind, patience="60s")
    server, s, later = serve(make_server, fpm), slow(), slow()
    job = server.send_off(s.path).json["id"]
    s.begun()
    before = fpm.reload()
    next_job = server.send_off(later.path).json["id"]
    s.release()
    later.release()
    assert [(r["state"], r["crashes"]) for r in (server.wait(job), server.wait(next_job))] == [("succeeded", 0)] * 2
    fpm.await_new_children(before)
    assert all(server.get("/hello.php").text == "hello\n" for _ in range(10))


def test_a_hasty_reload_is_a_crash_of_what_runs_and_of_nothing_else(server, fpm, slow):
    s = slow()
    job = server.send_off(s.path).json["id"]
    s.begun()
    before = fpm.reload()
    fpm.await_new_children(before)
    s.release()
    record = server.wait(job)
    # the next run may meet a child that the reload has not ended yet
    assert record["state"] == "succeeded" and 1 <= record["crashes"] <= 2, record
    for _ in range(10):
        assert server.get("/hello.php").text == "hello\n"


def test_requests_go_on_while_the_pool_reloads_again_and_again(make_server, make_fpm, kind):
    """A connection that was kept over a reload is dead: the request goes on a new one, and its caller sees nothing of it."""
    fpm = make_fpm(kind, patience="60s")
    server = serve(make_server, fpm)
    for _ in range(5):
        before = fpm.reload()
        replies = []
        while not (len(fpm.pids() - before) == CHILDREN and not before & fpm.pids()):
            replies.append(server.get("/hello.php").status)
        replies += [server.get("/hello.php").status for _ in range(5)]
        assert set(replies) == {200}, replies
    jobs = [server.send_off("/hello.php").json["id"] for _ in range(20)]
    assert all(server.wait(j)["state"] == "succeeded" for j in jobs)


def test_the_server_is_killed_and_its_job_runs_again_after_the_script_of_the_pool(make_server, fpm, slow):
    server, s = serve(make_server, fpm), slow()
    job = server.send_off(s.path).json["id"]
    s.begun()
    server.kill()
    s.release()  # the pool's script goes on by itself
    until(lambda: s.lines("end"), "its end")
    server.start()
    record = server.wait(job)
    assert (record["state"], record["run"], record["crashes"]) == ("succeeded", 2, 1)
