"""Prefer: respond-async, status URLs, results, waiting, cancelling."""
import json
import os
import socket
import time

import pytest

from conftest import read_all, read_until, until


def test_a_request_is_accepted_at_once_and_carried_out(server, tmp_path):
    go = tmp_path / "go"
    r = server.send_off(f"/slow.php?until={go}", "n=7", {"Content-Type": "application/x-www-form-urlencoded"})
    assert r.status == 202 and r.headers["preference-applied"] == "respond-async" and r.headers["vary"] == "Prefer"
    assert r.headers["location"] == r.headers["content-location"] == f"/.sendoff/jobs/{r.json['id']}" and "retry-after" in r.headers
    assert set(r.json) == {"id", "location", "state"}
    status = server.get(r.headers["location"])
    assert status.status == 202 and status.json["state"] in ("ready", "running") and "retry-after" in status.headers
    until(lambda: server.get(r.headers["location"]).json["state"] == "running", "the job's run")
    go.touch()
    job = server.wait(r.json["id"])
    assert (job["state"], job["status"], job["run"], len(job["runs"])) == ("succeeded", 200, 1, 1)
    status = server.get(r.headers["location"])
    assert status.status == 200 and status.headers["asyncresult"] == "200"
    result = server.result(r.json["id"])
    assert result.text == "done 7\n" and result.headers["content-type"].startswith("text/plain")


def test_the_stored_request_is_the_whole_request(server):
    body = os.urandom(200000)
    r = server.send_off("/echo.php/info?q=%20x", body, {"Content-Type": "image/png", "X-Own": "v", "Cookie": "a=b"}, method="PUT")
    job = server.wait(r.json["id"])
    got = server.result(job["id"]).json
    import hashlib
    assert got["method"] == "PUT" and got["md5"] == hashlib.md5(body).hexdigest() and got["cookie"] == {"a": "b"}
    s = got["server"]
    assert s["CONTENT_TYPE"] == "image/png" and s["HTTP_X_OWN"] == "v" and s["REQUEST_URI"] == "/echo.php/info?q=%20x"
    assert s["SENDOFF_JOB"] == job["id"] and s["SENDOFF_RUN"] == "1" and s["HTTP_HOST"] == f"127.0.0.1:{server.port}"
    assert s["REMOTE_ADDR"] == "127.0.0.1"


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 5000000])
def test_bodies_of_any_size_go_and_come(make_server, size):
    server = make_server(args=["--worker", "php-cgi -d post_max_size=0"])
    (body := bytes(i % 251 for i in range(1000)) * (size // 1000 + 1))
    body = body[:size]
    r = server.send_off("/echo.php", body, {"Content-Type": "x/y"})
    got = server.wait(r.json["id"]) and server.result(r.json["id"]).json
    import hashlib
    assert got["length"] == size and got["md5"] == hashlib.md5(body).hexdigest()


def test_a_large_output_is_kept_whole_and_one_too_large_is_cut(make_server):
    server = make_server(args=["--output-max", "3M"])
    whole = server.wait(server.send_off("/big.php?mb=3").json["id"])
    assert len(server.result(whole["id"]).body) == 3 << 20
    cut = server.wait(server.send_off("/big.php?mb=4").json["id"])
    assert len(server.result(cut["id"]).body) == 3 << 20 and "output_max" in server.log_text()


def test_wait_gives_the_real_reply_when_it_comes_in_time(server):
    r = server.send_off("/status.php?code=418", prefer="respond-async, wait=30")
    assert r.status == 418 and r.headers["x-own"] == "yes" and r.text == "status 418\n" and r.headers["sendoff-job"]


def test_wait_gives_the_receipt_when_it_does_not(server, tmp_path):
    go = tmp_path / "go"
    r = server.send_off(f"/slow.php?until={go}", prefer="respond-async, wait=1")
    assert r.status == 202 and r.json["state"] in ("ready", "running")
    go.touch()
    assert server.wait(r.json["id"])["state"] == "succeeded"


@pytest.mark.parametrize("prefer", ["respond-async", "Respond-Async", 'foo; x="a, b", respond-async', "handling=lenient,respond-async;p=1", "return=minimal, RESPOND-ASYNC, wait=x"])
def test_prefer_is_read_as_rfc_7240_says(server, prefer):
    assert server.send_off("/hello.php", prefer=prefer).status == 202


@pytest.mark.parametrize("prefer", ["", "wait=5", "respond-asynchronously", '"respond-async"', "x; respond-async"])
def test_what_is_not_the_preference_is_ignored(server, prefer):
    assert server.send_off("/hello.php", prefer=prefer).text == "hello\n"


def test_several_prefer_fields_are_one_list(server):
    reply = server.raw(b"GET /hello.php HTTP/1.1\r\nHost: h\r\nPrefer: wait=30\r\nprefer: respond-async\r\nConnection: close\r\n\r\n")
    assert reply.startswith(b"HTTP/1.1 200 ") and b"Sendoff-Job" in reply


def test_a_file_and_a_missing_script_are_answered_not_stored(server):
    assert server.send_off("/numbers.txt").status == 200
    assert server.send_off("/missing.php").status == 404
    assert server.control("GET", "/v1/jobs").json["jobs"] == []


def test_long_poll_answers_when_the_job_ends(server, tmp_path):
    go = tmp_path / "go"
    job = server.send_off(f"/slow.php?until={go}").json["id"]
    with server.connect() as s:
        s.sendall(f"GET /.sendoff/jobs/{job}?wait=50 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
        go.touch()
        began = time.monotonic()
        reply = read_all(s)
    assert b'"succeeded"' in reply and reply.startswith(b"HTTP/1.1 200") and time.monotonic() - began < 40
    assert server.get(f"/.sendoff/jobs/{job}?wait=x").status == 400


def test_a_queued_job_can_be_cancelled_and_never_runs(make_server, tmp_path):
    server = make_server(workers=1)
    go, first, second = tmp_path / "go", tmp_path / "first", tmp_path / "second"
    a = server.send_off(f"/slow.php?until={go}&mark={first}").json["id"]
    b = server.send_off(f"/slow.php?mark={second}").json["id"]
    until(first.exists, "the first job")
    status = server.get(f"/.sendoff/jobs/{b}")
    assert status.status == 202 and status.json["state"] == "ready" and "worker" in status.json["waiting_for"]
    assert server.request("DELETE", f"/.sendoff/jobs/{b}").status == 204
    assert server.request("DELETE", f"/.sendoff/jobs/{b}").status == 409
    go.touch()
    assert server.wait(a)["state"] == "succeeded" and server.wait(b)["state"] == "cancelled"
    assert server.wait(server.send_off("/slow.php").json["id"])["state"] == "succeeded" and not second.exists()
    r = server.result(b)
    assert r.status == 404 and "cancelled" in r.json["detail"]


def test_a_running_job_is_ended_by_cancel(server, tmp_path):
    mark = tmp_path / "mark"
    job = server.send_off(f"/slow.php?until={tmp_path}/never&mark={mark}").json["id"]
    until(mark.exists, "the job's beginning")
    assert server.request("DELETE", f"/.sendoff/jobs/{job}").status == 202
    record = server.wait(job)
    assert (record["state"], record["connection_status"], record["reason"]) == ("cancelled", 1, "cancelled")
    assert "end" not in mark.read_text() and server.get("/hello.php").status == 200


def test_unknown_and_forged_ids_are_404(server):
    job = server.send_off("/hello.php").json["id"]
    forged = job[:-1] + ("0" if job[-1] != "0" else "1")
    for wrong in (forged, "x", job + "0", "", job[:8] + "0" * 20):
        assert server.get(f"/.sendoff/jobs/{wrong}").status == 404
        assert server.request("DELETE", f"/.sendoff/jobs/{wrong}").status == 404
    assert server.get(f"/.sendoff/jobs/{job}/other").status == 404
    assert server.request("POST", f"/.sendoff/jobs/{job}", "").status == 405


def test_a_job_whose_script_fails_is_failed_with_its_answer(server):
    job = server.wait(server.send_off("/status.php?code=500").json["id"])
    assert job["state"] == "failed" and job["status"] == 500 and "500" in job["reason"]
    assert server.result(job["id"]).status == 500 and server.result(job["id"]).text == "status 500\n"


def test_a_job_that_kills_its_worker_every_time_ends_dead_after_three(server):
    job = server.wait(server.send_off("/die.php").json["id"])
    assert (job["state"], job["crashes"], job["run"], job["signal"]) == ("dead", 3, 3, 9)
    assert [r["outcome"] for r in job["runs"]] == ["crashed"] * 3 and [r["number"] for r in job["runs"]] == [1, 2, 3]
    assert "signal 9" in job["reason"] and "at most 3" in job["reason"]
    assert server.get("/hello.php").status == 200


def test_a_queued_job_whose_body_was_taken_away_ends_failed_and_says_so(make_server, tmp_path):
    server = make_server(workers=1)
    go = tmp_path / "go"
    held = server.send_off(f"/slow.php?until={go}").json["id"]
    until(lambda: server.job(held)["state"] == "running", "the first job")
    job = server.send_off("/echo.php", b"x" * 100000).json["id"]
    for name in os.listdir(server.data + "/files"):
        os.unlink(f"{server.data}/files/{name}")
    go.touch()
    record = server.wait(job)
    assert record["state"] == "failed" and record["reason"] and server.wait(held)["state"] == "succeeded"
    assert server.wait(server.send_off("/hello.php").json["id"])["state"] == "succeeded"


def test_foreground_requests_come_before_queued_jobs(make_server, tmp_path):
    server = make_server(workers=2)
    go = tmp_path / "go"
    jobs = [server.send_off(f"/slow.php?until={go}").json["id"] for _ in range(20)]
    for _ in range(5):  # a reserved worker answers although twenty jobs wait
        assert server.get("/hello.php").text == "hello\n"
    go.touch()
    assert all(server.wait(j)["state"] == "succeeded" for j in jobs)


def test_jobs_run_in_the_order_of_acceptance(make_server, tmp_path):
    server = make_server(workers=1)
    mark = tmp_path / "mark"
    jobs = [server.send_off(f"/slow.php?mark={mark}").json["id"] for _ in range(30)]
    for j in jobs:
        server.wait(j)
    assert [line.split()[1] for line in mark.read_text().splitlines() if line.startswith("begin")] == jobs


def test_async_path_always_answers_202_and_respond_async_path_limits(make_server):
    server = make_server(args=["--async-path", "/slow*", "--respond-async-path", "/hello.php", "--respond-async-path", "/app/*"])
    r = server.get("/slow.php")
    assert r.status == 202 and "preference-applied" not in r.headers
    assert server.send_off("/hello.php").status == 202 and server.send_off("/app/x").status == 202
    assert server.send_off("/echo.php").status == 200
    assert server.send_off("/%65cho.php").status == 200 and server.send_off("/./app/../echo.php").status == 200


def test_the_queue_is_bounded_in_length_bytes_and_rate(make_server, tmp_path):
    full = make_server(workers=1, args=["--queue-max", "3"])
    go = tmp_path / "go"
    for _ in range(3):
        assert full.send_off(f"/slow.php?until={go}").status == 202
    r = full.send_off("/slow.php")
    assert r.status == 503 and "queue_max" in r.json["detail"] and "retry-after" in r.headers
    go.touch()
    until(lambda: full.send_off("/slow.php").status == 202, "room in the queue")

    go2 = tmp_path / "go2"
    bytes_ = make_server(workers=1, args=["--queue-bytes-max", "1000"])
    assert bytes_.send_off(f"/slow.php?until={go2}", b"x" * 1000).status == 202
    r = bytes_.send_off("/slow.php", b"x")
    assert r.status == 507 and "queue_bytes_max" in r.json["detail"]
    go2.touch()
    until(lambda: bytes_.send_off("/slow.php", b"x").status == 202, "room for a byte")

    rate = make_server(args=["--async-rate", "1", "--async-burst", "2"])
    assert [rate.send_off("/hello.php").status for _ in range(3)] == [202, 202, 429]
    assert int(rate.send_off("/hello.php").headers["retry-after"]) >= 1


def test_a_caller_that_hangs_up_at_once_loses_nothing(server, tmp_path):
    mark = tmp_path / "mark"
    with server.connect() as s:
        s.sendall(f"POST /slow.php?mark={mark} HTTP/1.1\r\nHost: h\r\nPrefer: respond-async\r\nContent-Length: 3\r\n\r\nabc".encode())
    until(lambda: mark.exists() and "end" in mark.read_text(), "the job's end")


def test_ten_thousand_queued_jobs_beyond_the_window_all_run(make_server, tmp_path):
    server = make_server(workers=2, args=["--async-rate", "0"])
    go = tmp_path / "go"
    held = server.send_off(f"/slow.php?until={go}").json["id"]
    count, per = 6000, 200
    head = b"POST /hello.php HTTP/1.1\r\nHost: h\r\nPrefer: respond-async\r\nContent-Length: 1\r\n\r\nx"
    with server.connect() as s:
        for _ in range(count // per):
            s.sendall(head * per)
            got = b""
            while got.count(b"HTTP/1.1 202 ") < per or not got.endswith(b"}\n"):
                got += s.recv(1 << 20)
    assert server.job(held)["state"] == "running"
    go.touch()

    def drained():
        return server.control("GET", "/v1/jobs?state=ready,running,failed,dead&limit=1").json["jobs"] == []
    until(drained, "the empty queue", 120)
    seen, cursor = 0, ""
    while cursor is not None:
        page = server.control("GET", f"/v1/jobs?state=succeeded&limit=1000&cursor={cursor}").json
        seen, cursor = seen + len(page["jobs"]), page["next"]
    assert seen == count + 1


def test_finished_jobs_are_forgotten_after_their_time_with_their_files(make_server):
    server = make_server(args=["--keep-finished", "1s"])
    jobs = [server.send_off("/big.php?mb=1", b"x" * 100000).json["id"] for _ in range(3)]
    assert all(server.wait(j)["state"] == "succeeded" for j in jobs)
    until(lambda: all(server.get(f"/.sendoff/jobs/{j}").status == 404 for j in jobs), "the purge")
    until(lambda: os.listdir(server.data + "/files") == [], "their files' removal")
    assert server.wait(server.send_off("/hello.php").json["id"])["id"] > max(jobs)
