"""A foreground script whose reply is complete goes on without its caller, as a job."""
import http.client
import os
import time
from urllib.parse import urlencode

import pytest

from conftest import PATIENCE, Server, finish, read_all, read_until, until
from stepping import WORKS_SITE


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("release"), WORKS_SITE, ["--grace", "2s"], 4).start()
    yield server
    finish(server)


class Released:
    """A request to release.php, and the job that becomes of it."""

    count = 0

    def __init__(self, server, folder, **query):
        Released.count += 1
        self.server, base = server, f"{folder}/released{Released.count}"
        self.mark, self.go = base + ".mark", base + ".go"
        self.path = "/release.php?" + urlencode({"mark": self.mark, "go": self.go, **query})

    def text(self):
        try:
            with open(self.mark) as f:
                return f.read()
        except OSError:
            return ""

    def job(self):
        """Its job as it is listed while it goes on."""
        def listed():
            jobs = self.server.control("GET", "/v1/jobs?limit=100").json["jobs"]
            return next((j for j in jobs if os.path.basename(self.mark) in (j["target"] or "")), None)
        return until(listed, "the listed run")

    def release(self):
        open(self.go, "w").close()


@pytest.fixture(params=[{}, {"close": 1}], ids=["keep-alive", "Connection: close"])
def released(request, server, tmp_path):
    return Released(server, tmp_path, **request.param)


def test_a_complete_reply_lets_the_caller_go_and_the_run_is_seen_to_its_end(server, released):
    c = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE)
    c.request("GET", released.path)
    r = c.getresponse()
    assert (r.status, r.read(), r.getheader("content-length")) == (200, b"early\n", "6") and "end" not in released.text()
    assert (r.getheader("connection") == "close") == ("close=1" in released.path)
    c.request("GET", "/hello.php")  # http.client opens a new connection where it was told that the old one closes
    assert c.getresponse().read() == b"hello\n" and "end" not in released.text()
    c.close()
    job = released.job()
    assert job["state"] == "running" and job["run"] == 1 and job["method"] == "GET" and job["runner"] == "fastcgi"
    status = server.get(job["location"])
    assert status.status == 202 and status.json["state"] == "running"
    released.release()
    record = server.wait(job["id"])
    assert (record["state"], record["connection_status"], record["status"]) == ("succeeded", 0, 200) and record["finished_at"]
    assert server.result(job["id"]).text == "late\n" and "0 shutdown 0" in released.text()


def test_connection_close_really_closes_it_at_once(server, tmp_path):
    released = Released(server, tmp_path, close=1)
    reply = server.raw(f"GET {released.path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())  # reads to the end of the connection
    assert reply.endswith(b"\r\n\r\nearly\n") and "end" not in released.text()
    job = released.job()
    released.release()
    assert server.wait(job["id"])["state"] == "succeeded"


def test_the_next_request_on_the_same_connection_is_served_meanwhile(server, tmp_path):
    released = Released(server, tmp_path)
    with server.connect() as s:
        s.sendall(f"GET {released.path} HTTP/1.1\r\nHost: h\r\n\r\nGET /hello.php HTTP/1.1\r\nHost: h\r\n\r\n".encode())  # pipelined
        got = read_until(s, b"hello\n")
        assert b"early\n" in got and "end" not in released.text()
        job = released.job()
        s.sendall(b"GET /hello.php HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert b"hello\n" in read_all(s)
        assert server.job(job["id"])["state"] == "running"
    released.release()
    assert server.wait(job["id"])["state"] == "succeeded"


def test_a_caller_that_goes_after_its_reply_has_not_hung_up(server, tmp_path):
    released = Released(server, tmp_path)
    with server.connect() as s:
        s.sendall(f"GET {released.path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        read_until(s, b"early\n")
    server.get("/hello.php")
    job = released.job()
    released.release()
    record = server.wait(job["id"])
    assert (record["state"], record["connection_status"]) == ("succeeded", 0) and "0 end" in released.text()


def test_a_released_run_can_be_cancelled(server, tmp_path):
    released = Released(server, tmp_path)
    server.get(released.path)
    job = released.job()
    server.control("POST", f"/v1/jobs/{job['id']}/cancel")
    released.release()  # by policy php it goes on until it prints
    record = server.wait(job["id"])
    assert (record["state"], record["connection_status"]) == ("cancelled", 1) and "0 end" not in released.text()
    until(lambda: "shutdown 1" in released.text(), "its shutdown function")


def test_a_released_run_that_dies_is_dead_and_not_run_again(server, tmp_path):
    released = Released(server, tmp_path, die=1)
    server.get(released.path)
    job = released.job()
    released.release()
    record = server.wait(job["id"])
    assert (record["state"], record["signal"], record["run"], record["crashes"]) == ("dead", 9, 1, 1)
    assert released.text().count("begin") == 1


def test_a_script_that_ends_soon_after_its_reply_is_no_job(server, tmp_path):
    released = Released(server, tmp_path)
    released.release()
    assert server.get(released.path).text == "early\n"
    until(lambda: "shutdown" in released.text(), "its end")
    time.sleep(0.15)  # it would be listed after 100 ms
    assert not [j for j in server.control("GET", "/v1/jobs?limit=100").json["jobs"] if os.path.basename(released.mark) in (j["target"] or "")]


def test_ten_released_runs_at_once_hold_nobody_up(make_server, tmp_path):
    server = make_server(WORKS_SITE, workers=12)
    runs = [Released(server, tmp_path) for _ in range(10)]
    for released in runs:
        assert server.get(released.path).text == "early\n"
    jobs = [released.job() for released in runs]
    assert all(server.get("/hello.php").text == "hello\n" for _ in range(10))
    for released in runs:
        released.release()
    assert all(server.wait(j["id"])["state"] == "succeeded" for j in jobs)


def test_a_released_run_that_asks_for_another_try_is_not_run_again(server, tmp_path):
    """Nobody was promised that; and its caller has its answer."""
    (path, mark) = (f"/answer.php?mark={tmp_path}/mark&detach=1&answer[]=503|Retry-After:%200|Sendoff-Retry:%200", tmp_path / "mark")
    assert server.get(path).status == 204
    job = until(lambda: next((j for j in server.control("GET", "/v1/jobs").json["jobs"] if str(mark) in j["target"]), None), "the listed run")
    record = server.wait(job["id"])
    assert (record["state"], record["status"], record["run"], record["retries_left"]) == ("failed", 503, 1, 0)
    assert len(mark.read_text().splitlines()) == 1


def test_a_released_run_can_be_done_again_by_a_person_with_its_whole_request(server, tmp_path):
    released = Released(server, tmp_path, die=1)
    body = b"b" * 100000
    assert server.request("POST", released.path, body, {"Content-Type": "a/b"}).text == "early\n"
    job = released.job()
    released.release()
    assert server.wait(job["id"])["state"] == "dead"
    released.path = released.path.replace("&die=1", "")
    again = server.control("POST", f"/v1/jobs/{job['id']}/retry")
    assert again.status == 202, again.text
    record = server.wait(again.json["id"])
    assert record["retry_of"] == job["id"] and record["method"] == "POST" and record["crashes"] == 3  # it dies as a job as well
    bodies = [line for line in released.text().splitlines() if " body " in line]
    assert len(bodies) == 4 and len(set(bodies)) == 1 and bodies[0].endswith(f" {len(body)}")


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_released_run_that_the_servers_end_cuts_short_is_dead(make_server, tmp_path, end):
    server = make_server(WORKS_SITE, args=["--drain", "200ms"])
    released = Released(server, tmp_path)
    assert server.get(released.path).text == "early\n"
    job = released.job()
    getattr(server, end)()
    server.start()
    record = server.wait(job["id"])
    assert (record["state"], record["run"], record["connection_status"]) == ("dead", 1, 0) and record["reason"]
    released.release()
    assert server.get("/hello.php").text == "hello\n" and released.text().count("begin") == 1
