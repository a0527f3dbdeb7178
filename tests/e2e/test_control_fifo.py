"""SENDOFF_CONTROL: what a run says of itself, from PHP, sh, Python and C."""
import http.client
import os
import time

import pytest

from conftest import PATIENCE, Server, finish, read_until, until
from stepping import LANGUAGES, WORKS_SITE, Stepping, steps_in_c  # noqa: F401: a fixture


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("control"), WORKS_SITE, ["--async-rate", "0", "--grace", "2s"], 4).start()
    yield server
    finish(server)


@pytest.fixture(params=LANGUAGES)
def work(request, server, tmp_path, steps_in_c):  # noqa: F811
    return Stepping(server, tmp_path, request.param, steps_in_c)


@pytest.fixture
def php(server, tmp_path):
    return Stepping(server, tmp_path)


def test_progress_is_seen_while_it_runs_and_kept(work):
    work.send("progress 40/100 mailing", "@more", "progress 50%", "@most", "progress 7 as many as there are", "@go")
    work.await_progress("40/100 mailing")
    status = work.status()
    assert status.status == 202 and status.json["state"] == "running"
    assert status.json["progress"] == {"done": 40, "total": 100, "note": "mailing"}
    assert work.server.job(work.id)["progress"] == status.json["progress"]
    work.go("more")
    work.await_progress("50/100")
    assert work.status().json["progress"] == {"done": 50, "total": 100, "note": None}
    work.go("most")
    work.await_progress("7 as many as there are")
    assert work.status().json["progress"] == {"done": 7, "total": None, "note": "as many as there are"}
    work.go()
    record = work.record()
    assert record["state"] == "succeeded" and record["progress"]["done"] == 7
    assert work.status().status == 200 and work.status().headers["x-progress"].startswith("7 ")


def test_a_job_that_says_nothing_has_no_progress(php):
    php.send("@go").begun()
    assert php.status().json["progress"] is None and "x-progress" not in php.status().headers
    php.go()
    assert php.record()["progress"] is None


def test_a_time_limit_is_lifted_from_within(work):
    work.send("time-limit 0", "progress 1", "@go", time_limit=0.7)
    work.await_progress("1")
    began = work.server.job(work.id)["runs"][0]["started_at"]
    # Nothing but time tells that a limit is not reached: another job with the same limit, begun later, reaches it.
    other = Stepping(work.server, os.path.dirname(work.mark)).send("@never", time_limit=0.7)
    record = other.record()
    assert record["state"] == "failed" and record["connection_status"] == 2 and record["runs"][0]["started_at"] >= began
    work.go()
    record = work.record()
    assert (record["state"], record["connection_status"]) == ("succeeded", 0)


def test_a_time_limit_is_set_from_within(work):
    record = work.send("time-limit 300ms", "@never", time_limit=3600).record()
    assert (record["state"], record["connection_status"]) == ("failed", 2)
    assert "300ms" in record["reason"] and "time_limit" in record["reason"]
    if work.language == "php":
        assert work.notes("shutdown") == [["2"]]
    elif work.language != "c":
        assert work.notes("TERM")
    assert not work.notes("end")


def test_a_line_is_a_sign_of_life_and_silence_is_none(work):
    other = Stepping(work.server, os.path.dirname(work.mark), work.language, work.binary).send("@never", idle_limit=0.6)
    work.send("progress 1", "@1", "progress 2", "@2", "progress 3", idle_limit=0.6)
    for n in ("1", "2"):
        work.await_progress(n)
        time.sleep(0.4)  # the case is about time: three times less than the limit, together more
        work.go(n)
    assert work.record()["state"] == "succeeded"
    record = other.record()
    assert (record["state"], record["connection_status"]) == ("failed", 2) and "nothing was heard of it for 600ms (idle_limit)" in record["reason"]


def test_ignore_abort_on_lets_a_cancelled_job_go_on(work):
    work.send("ignore-abort on", "progress 1", "@go")
    work.await_progress("1")
    work.cancel()
    work.go()
    record = work.record()
    assert (record["state"], record["connection_status"]) == ("succeeded", 1) and work.notes("end")


def test_ignore_abort_off_takes_it_back(work):
    work.send("ignore-abort on", "ignore-abort off", "progress 1", "@never")
    work.await_progress("1")
    work.cancel()
    record = work.record()
    assert (record["state"], record["connection_status"]) == ("cancelled", 1) and not work.notes("end")


def test_ignore_abort_holds_in_the_foreground_against_the_servers_policy(make_server, tmp_path):
    server = make_server(WORKS_SITE, args=["--on-abort", "stop"])
    work = Stepping(server, tmp_path)
    s = server.connect()
    s.sendall(f"GET {work.path('!begun', 'ignore-abort on', '@go', '!more')} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
    read_until(s, b"begun")
    server.get("/hello.php")
    s.close()
    jobs = until(lambda: server.control("GET", "/v1/jobs").json["jobs"], "the listed run")
    work.go()
    record = server.wait(jobs[0]["id"])
    assert (record["state"], record["connection_status"], record["status"]) == ("succeeded", 1, 200) and work.notes("end")


BAD = ["progres 1/2", "progress", "progress a/b", "progress -1/5", "progress 1/2/3", "time-limit", "time-limit soon", "time-limit -1", "ignore-abort",
       "ignore-abort maybe", "detach now", "DETACH", "\x01\x02 \x7f"]


def test_bad_lines_are_told_in_the_log_and_are_not_fatal(work):
    work.send(*BAD, "progress 1/2 after all", "@go")
    work.await_progress("1/2 after all")
    lines = [line for line in work.log().splitlines() if "SENDOFF_CONTROL" in line]
    assert len(lines) == len(BAD), work.log()
    for bad, line in zip(BAD, lines):
        time, run, stream, text = line.split(" ", 3)
        assert (run, stream) == ("1", "sendoff") and time.endswith("Z")
        assert "".join("?" if c < " " or c == "\x7f" else c for c in bad) in text
    assert "time-limit takes" in lines[5] and "not understood" in lines[0]
    work.go()
    assert work.record()["state"] == "succeeded"
    assert [line for line in work.log().splitlines() if "SENDOFF_CONTROL" in line] == lines


def test_64_kilobytes_without_a_newline_are_told_once_and_the_next_line_counts(work):
    work.send("*65536", "progress 2 still the same line", "progress 3", "@go")
    work.await_progress("3")
    told = [line for line in work.log().splitlines() if "SENDOFF_CONTROL" in line]
    assert len(told) == 1 and "longer than 1024 bytes" in told[0] and len(told[0]) < 400
    work.go()
    assert work.record()["state"] == "succeeded"


def test_a_last_line_needs_no_end_and_crlf_is_one(server, tmp_path):
    work = Stepping(server, tmp_path, "sh").send("progress 1\r", "*5")
    record = work.record()
    assert record["state"] == "succeeded" and record["progress"] == {"done": 1, "total": None, "note": None}
    assert "SENDOFF_CONTROL: 'xxxxx': not understood" in work.log()


def test_the_fifo_is_private_to_its_run_and_gone_with_it(server, tmp_path):
    where = tmp_path / "where"
    argv = ["sh", "-c", 'echo "$SENDOFF_CONTROL" >"$0"; ls -l "$SENDOFF_CONTROL"', str(where)]
    job = server.control("POST", "/v1/jobs?wait=30", {"argv": argv}).json
    assert job["state"] == "succeeded" and server.result(job["id"]).text.startswith("prw-------"), job
    assert not os.path.exists(where.read_text().strip())


def test_a_foreground_script_that_says_nothing_leaves_no_job(server, tmp_path):
    before = len(server.control("GET", "/v1/jobs?limit=1000").json["jobs"])
    assert server.get(Stepping(server, tmp_path).path("progress 1/2", "!done")).text == "done"
    assert len(server.control("GET", "/v1/jobs?limit=1000").json["jobs"]) == before


# ---- detach

def ask(server, path):
    c = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE)
    c.request("GET", path)
    return c


def test_detach_lets_the_caller_go_and_frees_its_connection(server, php):
    c = ask(server, php.path("!the reply", "progress 1/3 before", "detach", "@go", "progress 3/3 after", "@end"))
    first = c.getresponse()
    assert first.status == 200 and first.read() == b"the reply" and not php.notes("end")
    c.request("GET", "/hello.php")  # on the same connection, while the script goes on
    assert c.getresponse().read() == b"hello\n" and not php.notes("end")
    php.id = until(lambda: next((j["id"] for j in server.control("GET", "/v1/jobs").json["jobs"] if os.path.basename(php.mark) in j["target"]), None),
                   "the listed run")
    job = server.job(php.id)
    assert job["state"] == "running" and job["progress"] == {"done": 1, "total": 3, "note": "before"}
    php.go()
    php.await_progress("3/3 after")
    c.request("GET", "/hello.php")
    assert c.getresponse().read() == b"hello\n"
    c.close()
    php.go("end")
    record = php.record()
    assert (record["state"], record["connection_status"], record["status"]) == ("succeeded", 0, 200)
    until(lambda: php.notes("shutdown") == [["0"]], "its shutdown function")


def test_detach_before_any_output_answers_204(server, php):
    c = ask(server, php.path("detach", "@go"))
    r = c.getresponse()
    assert r.status == 204 and r.read() == b""
    c.close()
    php.go()
    until(lambda: php.notes("end"), "the script's end")


def test_detach_of_a_job_changes_nothing(server, php):
    php.send("detach", "!all of it", "@go").begun()
    php.go()
    assert php.record()["state"] == "succeeded" and server.result(php.id).text == "all of it"


def test_a_detached_run_has_the_time_of_a_job(make_server, tmp_path):
    server = make_server(WORKS_SITE, args=["--foreground-time-limit", "700ms", "--time-limit", "1h"])
    work, other = Stepping(server, tmp_path), Stepping(server, tmp_path)
    c = ask(server, work.path("!x", "detach", "@go"))
    assert c.getresponse().read() == b"x"
    c.close()
    assert server.get(other.path("!x", "@never")).status == 200 and other.notes("shutdown") == [["2"]]  # the limit of those with a caller
    work.go()
    until(lambda: work.notes("end"), "the end of the detached script")
    assert work.notes("shutdown") == [["0"]] or until(lambda: work.notes("shutdown"), "its shutdown function") == [["0"]]
