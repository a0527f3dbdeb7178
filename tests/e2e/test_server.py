"""Starting, reloading, stopping; the workers' lives; the store's troubles; the control door."""
import json
import os
import shutil
import signal
import socket
import stat
import time
import subprocess

import pytest

from conftest import PATIENCE, SENDOFF, Server, alive, finish, read_until, until


# ---- stopping and starting

def test_sigterm_lets_runs_end_and_exits_0(server, tmp_path):
    go, mark = tmp_path / "go", tmp_path / "mark"
    with server.connect() as s:
        s.sendall(f"GET /slow.php?until={go}&mark={mark} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        until(mark.exists, "the foreground run")
        job = server.send_off(f"/slow.php?until={go}").json["id"]
        server.process.send_signal(signal.SIGTERM)
        until(lambda: "shutting down" in server.log_text(), "the drain")
        with pytest.raises(ConnectionRefusedError):
            server.connect()
        go.touch()
        assert b"done" in read_until(s, b"done")
    assert server.process.wait(PATIENCE) == 0
    server.start()
    assert server.job(job)["state"] in ("succeeded", "ready", "running") and server.wait(job)["crashes"] == 0


def test_what_does_not_end_in_the_drain_time_is_put_back_and_runs_again(make_server, tmp_path):
    server = make_server(args=["--drain", "200ms"])
    go, mark = tmp_path / "go", tmp_path / "mark"
    job = server.send_off(f"/slow.php?until={go}&mark={mark}").json["id"]
    queued = [server.send_off("/hello.php").json["id"] for _ in range(3)]
    until(mark.exists, "the run")
    assert server.stop() == 0
    server.start()
    go.touch()
    record = server.wait(job)
    assert (record["state"], record["run"], record["crashes"]) == ("succeeded", 2, 0)
    assert record["runs"][0]["outcome"] == "put back" and "shutting down" in record["runs"][0]["reason"]
    assert all(server.wait(j)["state"] == "succeeded" for j in queued)


def test_a_long_poll_is_answered_when_the_server_stops(server, tmp_path):
    job = server.send_off(f"/slow.php?until={tmp_path}/go").json["id"]
    with server.connect() as s:
        s.sendall(f"GET /.sendoff/jobs/{job}?wait=50 HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        until(lambda: server.get("/hello.php").status == 200, "the question's arrival")
        server.process.send_signal(signal.SIGTERM)
        assert read_until(s, b"\r\n\r\n").startswith(b"HTTP/1.1 202 ")
    (tmp_path / "go").touch()
    assert server.process.wait(PATIENCE) == 0


def test_a_second_server_on_the_same_folder_is_told_who_has_it(server):
    done = subprocess.run([SENDOFF, "serve", server.site, "--listen", "127.0.0.1:0", "--control", f"unix:{server.folder}/other.sock", "--data", server.data],
                          capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 3 and f"pid {server.process.pid}" in done.stderr and "--data" in done.stderr and done.stdout == ""


def test_a_second_server_on_the_same_port_or_socket_says_so(server, tmp_path):
    for listen, control in ((f"127.0.0.1:{server.port}", f"unix:{tmp_path}/x.sock"), ("127.0.0.1:0", f"unix:{server.socket}")):
        done = subprocess.run([SENDOFF, "serve", server.site, "--listen", listen, "--control", control, "--data", str(tmp_path / "d2")],
                              capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 3 and ("in use" in done.stderr or "already answers" in done.stderr), done


@pytest.mark.parametrize("args,word", [
    (["/no/such/folder"], "folder"), (["--workers", "0"], "workers"), (["--workers", "many"], "workers"), (["--body-max", "5X"], "body_max"),
    (["--listen", "nonsense"], "listen"), (["--no-such"], "no-such"), (["--worker", "'open"], "quote"), (["--worker", "no-such-program"], "no-such-program"),
])
def test_an_option_that_cannot_be_carried_out_is_named(tmp_path, args, word):
    site = [] if args[0].startswith("/") else [str(tmp_path)]
    done = subprocess.run([SENDOFF, "serve", *site, *args, "--data", str(tmp_path / "d"), "--control", f"unix:{tmp_path}/c.sock"], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode in (2, 3) and word in done.stderr.replace("-max", "_max") and done.stdout == ""


def test_sighup_rereads_what_can_be_reread_and_reopens_the_access_log(make_server, tmp_path):
    ini = tmp_path / "sendoff.ini"
    ini.write_text("body_max = 100\nworkers = 2\n")
    server = make_server(args=["--config", str(ini)])
    assert server.request("POST", "/echo.php", b"x" * 200).status == 413
    ini.write_text("body_max = 1k\nworkers = 3\n")
    os.rename(server.folder + "/access.log", server.folder + "/access.log.1")
    server.process.send_signal(signal.SIGHUP)
    until(lambda: "options reread" in server.log_text(), "the reload")
    assert server.request("POST", "/echo.php", b"x" * 200).status == 200
    until(lambda: " 200 " in server.access_log(), "the new access log")
    ini.write_text("body_max = nonsense\n")
    server.process.send_signal(signal.SIGHUP)
    until(lambda: "nothing changed" in server.log_text(), "the refusal")
    assert server.request("POST", "/echo.php", b"x" * 200).status == 200


def test_options_come_from_file_environment_and_command_line_in_that_order(tmp_path):
    ini = tmp_path / "s.ini"
    ini.write_text("workers = 5\nbody_max = 1M\nqueue_max = 7\n")
    env = {**os.environ, "SENDOFF_BODY_MAX": "2M", "SENDOFF_QUEUE_MAX": "8"}
    done = subprocess.run([SENDOFF, "config", "--json", "--config", str(ini), "--queue-max", "9"], env=env, capture_output=True, text=True, check=True)
    rows = {r["key"]: r for r in json.loads(done.stdout)}
    assert [(rows[k]["value"], rows[k]["source"]) for k in ("workers", "body_max", "queue_max", "drain")] == \
        [("5", "file"), ("2M", "environment"), ("9", "command line"), ("30s", "default")]


# ---- workers

def worker_pids(server):
    def is_worker(pid):
        try:
            with open(f"/proc/{pid}/cmdline") as f:
                return f.read().startswith("php-cgi")
        except OSError:  # it ended since it was listed
            return False
    return [p for p in server.workers_pids() if is_worker(p)]


def test_a_worker_killed_while_idle_is_replaced(server):
    old = until(lambda: len(worker_pids(server)) == 2 and worker_pids(server), "two workers")
    assert server.get("/hello.php").status == 200
    os.kill(old[0], signal.SIGKILL)
    until(lambda: len(worker_pids(server)) == 2 and old[0] not in worker_pids(server), "its replacement")
    assert all(server.get("/hello.php").status == 200 for _ in range(4))


def test_workers_are_recycled_by_count_without_losing_a_request(make_server, site):
    (site / "pid.php").write_text("<?php echo getmypid();")
    server = make_server(site, workers=2, args=["--worker-requests", "5"])
    pids = [server.get("/pid.php").text for _ in range(40)]
    assert all(pids.count(p) <= 5 for p in set(pids)) and len(set(pids)) >= 8


def test_a_worker_that_cannot_live_is_started_with_growing_pauses(make_server, tmp_path):
    script = tmp_path / "dies"
    script.write_text("#!/bin/sh\necho 'cannot live' >&2\nexit 3\n")
    script.chmod(0o755)
    server = make_server(args=["--worker", str(script), "--drain", "100ms"])
    until(lambda: "in_ms=400" in server.log_text(), "the third pause")
    log = server.log_text()
    assert log.index("in_ms=100") < log.index("in_ms=200") < log.index("in_ms=400") and "cannot live" in log


def test_opcache_keeps_compiled_scripts_for_new_workers(server):
    assert server.get("/hello.php").status == 200
    folder = server.data + "/run/opcache"
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    info = subprocess.run(["php-cgi", "-m"], capture_output=True, text=True).stdout
    if "Zend OPcache" not in info:
        pytest.skip("this php-cgi has no opcache")
    until(lambda: (server.get("/hello.php"), [f for _, _, files in os.walk(folder) for f in files if f.endswith(".bin")])[1], "a cached script")


def test_two_workers_run_two_requests_at_once(server, tmp_path):
    go, marks = tmp_path / "go", [tmp_path / "a", tmp_path / "b"]
    held = []
    for mark in marks:
        s = server.connect()
        s.sendall(f"GET /slow.php?mark={mark}&until={go} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        held.append(s)
    until(lambda: all(m.exists() for m in marks), "both runs")
    go.touch()
    assert all(b"done" in read_until(s, b"done") for s in held)
    for s in held:
        s.close()


# ---- the store in trouble

def small_disk(tmp_path, size):
    """A little tmpfs; skips when we may not mount."""
    where = tmp_path / "disk"
    where.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(where)], capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here: not root")
    return where


def test_a_full_disk_is_507_and_acceptance_comes_back_when_there_is_room(tmp_path):
    disk = small_disk(tmp_path, "12m")
    server = Server(tmp_path, workers=1, args=["--async-rate", "0"])
    server.data = str(disk / "data")
    try:
        server.start()
        go = tmp_path / "go"
        kept = [server.send_off(f"/slow.php?until={go}").json["id"]]
        filler = disk / "filler"
        statuses = []
        with open(filler, "wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"\0" * 65536)
                    f.flush()
            except OSError:
                pass
        for size in (10, 1000, 60000, 300000) * 20:
            r = server.send_off("/hello.php", b"x" * size)
            statuses.append(r.status)
            if r.status == 202:
                kept.append(r.json["id"])
            else:
                assert r.status == 507 and "full" in r.json["detail"] and "retry-after" in r.headers
        assert 507 in statuses
        health = server.control("GET", "/healthz").json
        assert health["disk_full"] and health["cause"]
        assert server.get("/hello.php").text == "hello\n" and server.get(f"/.sendoff/jobs/{kept[0]}").status == 202
        os.unlink(filler)
        until(lambda: server.send_off("/hello.php").status == 202, "acceptance again")
        go.touch()
        assert all(server.wait(j)["state"] == "succeeded" for j in kept)
        server.kill()
        server.start()
        assert all(server.wait(j)["state"] == "succeeded" for j in kept)
        finish(server)
    finally:
        if server.process and server.process.poll() is None:
            server.kill()
        subprocess.run(["umount", "-l", str(disk)])


def test_an_end_that_cannot_be_stored_is_stored_when_there_is_room(tmp_path):
    disk = small_disk(tmp_path, "8m")
    server = Server(tmp_path, workers=1)
    server.data = str(disk / "data")
    try:
        server.start()
        go, mark = tmp_path / "go", tmp_path / "mark"
        job = server.send_off(f"/slow.php?until={go}&mark={mark}").json["id"]
        until(mark.exists, "the run")
        with open(disk / "filler", "wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"\0" * 4096)
                    f.flush()
            except OSError:
                pass
        go.touch()
        until(lambda: "end" in mark.read_text(), "the run's end")
        os.unlink(disk / "filler")
        record = server.wait(job)
        assert (record["state"], record["run"]) == ("succeeded", 1)
        finish(server)
    finally:
        if server.process and server.process.poll() is None:
            server.kill()
        subprocess.run(["umount", "-l", str(disk)])


# ---- the control door

def test_the_control_socket_is_0660_and_goes_with_the_server(server):
    assert stat.S_IMODE(os.stat(server.socket).st_mode) == 0o660
    assert server.stop() == 0 and not os.path.exists(server.socket)


def test_a_job_posted_as_json_becomes_a_request(server):
    r = server.control("POST", "/v1/jobs", {"target": "/echo.php?x=1", "form": {"a": "ä&b", "n": 5, "l": ["1", "2"]}, "headers": {"X-One": "1", "X-Two": ["a", "b"], "Host": "example.org:81"}})
    assert r.status == 202 and set(r.json) == {"id", "location", "state"}
    server.wait(r.json["id"])
    got = server.result(r.json["id"]).json
    assert got["method"] == "POST" and got["body"] == "a=%C3%A4%26b&n=5&l=1&l=2" and got["post"]["a"] == "ä&b" and got["get"] == {"x": "1"}
    s = got["server"]
    assert s["HTTP_X_ONE"] == "1" and s["HTTP_X_TWO"] == "a, b" and s["HTTP_HOST"] == "example.org:81" and s["CONTENT_TYPE"] == "application/x-www-form-urlencoded"
    plain = server.control("POST", "/v1/jobs?wait=30", {"target": "/echo.php"})
    assert plain.status == 200 and plain.json["state"] == "succeeded" and plain.json["method"] == "GET"
    assert server.result(plain.json["id"]).json["server"]["HTTP_HOST"] == f"127.0.0.1:{server.port}"
    for body, expect in (({"json": {"k": [1, None]}}, '{"k":[1,null]}'), ({"body": "täxt"}, "täxt"), ({"body_base64": "aGkh"}, "hi!"), ({"body_base64": ""}, "")):
        job = server.control("POST", "/v1/jobs?wait=30", {"target": "/echo.php", **body}).json
        assert server.result(job["id"]).json["body"] == expect


@pytest.mark.parametrize("body,status,word", [
    ("{", 400, "JSON"), ("[]", 400, "object"), ('{"target": 5}', 400, "target"), ('{"target": "x"}', 400, "target"), ("{}", 400, "target"),
    ('{"target": "/hello.php", "delay": "10 minutes"}', 400, "delay"), ('{"target": "/hello.php", "delay": -1}', 400, "delay"), ('{"target": "/hello.php", "run_at": "tomorrow"}', 400, "run_at"),
    ('{"target": "/hello.php", "queue": "mail"}', 400, "queue"), ('{"target": "/hello.php", "retry": {"max": 901}}', 400, "retry.max"), ('{"target": "/hello.php", "retry": 5}', 400, "retry"),
    ('{"target": "/hello.php", "retry": {"most": 5}}', 400, "retry.most"), ('{"target": "/hello.php", "on_abort": "no"}', 400, "on_abort"), ('{"target": "/hello.php", "on_crash": "end"}', 400, "on_crash"),
    ('{"target": "/hello.php", "time_limit": "x"}', 400, "time_limit"), ('{"target": "/hello.php", "time_limit": true}', 400, "time_limit"), ('{"target": "/hello.php", "limits": {"files": 1.5}}', 400, "limits.files"),
    ('{"target": "/hello.php", "then": {"always": "x"}}', 400, "then.always"), ('{"target": "/hello.php", "then": {"always": "/missing.php"}}', 422, "target"),
    ('{"argv": []}', 400, "argv"), ('{"argv": ["a", 5]}', 400, "argv"), ('{"argv": "ls"}', 400, "argv"), ('{"argv": ["ls"], "target": "/hello.php"}', 400, "argv"), ('{"argv": [""]}', 400, "argv"),
    ('{"target": "exec:"}', 400, "target"), ('{"target": "exec:a \'b"}', 400, "target"), ('{"target": "ftp://example.org/"}', 400, "target"), ('{"target": "http:///x"}', 400, "target"), ('{"target": "/hello.php", "target": "/x.php"}', 400, "JSON"),
    ('{"target": "/hello.php", "body": "a", "json": 1}', 400, "json"), ('{"target": "/hello.php", "body_base64": "a"}', 400, "body_base64"),
    ('{"target": "/hello.php", "headers": {"a b": "c"}}', 400, "headers"), ('{"target": "/hello.php", "headers": {"a": "b\\r\\nc: d"}}', 400, "headers"),
    ('{"target": "/hello.php", "method": "a b"}', 400, "method"),
    ('{"target": "/numbers.txt"}', 422, "target"), ('{"target": "/missing.php"}', 422, "target"), ('{"target": "/a b.php"}', 400, "target"),
    ('{"target": "/hello.php", "headers": {"Content-Length": "5"}}', 400, "content-length"), ("[" * 5000, 400, "JSON"),
])
def test_a_wrong_job_is_refused_with_the_field_and_changes_nothing(server, body, status, word):
    r = server.control("POST", "/v1/jobs", body)
    assert r.status == status and r.headers["content-type"] == "application/problem+json"
    assert word in r.json["detail"].lower() or word in r.json["detail"]
    assert server.control("GET", "/v1/jobs").json["jobs"] == []


def test_the_list_is_paged_and_filtered(server):
    jobs = [server.send_off(f"/status.php?code={code}").json["id"] for code in (200, 500, 200, 500, 200)]
    for j in jobs:
        server.wait(j)
    seen, cursor = [], ""
    while cursor is not None:
        page = server.control("GET", f"/v1/jobs?limit=2&cursor={cursor}").json
        assert len(page["jobs"]) <= 2
        seen, cursor = seen + [j["id"] for j in page["jobs"]], page["next"]
    assert seen == jobs[::-1]
    failed = server.control("GET", "/v1/jobs?state=failed,dead").json["jobs"]
    assert [j["id"] for j in failed] == [jobs[3], jobs[1]]
    for wrong in ("state=nonsense", "limit=0", "limit=1001", "limit=x", "cursor=zzz"):
        assert server.control("GET", "/v1/jobs?" + wrong).status == 400


def test_unknown_routes_and_methods_are_told_what_there_is(server):
    assert server.control("GET", "/v2/jobs").status == 404 and "/v1/jobs" in server.control("GET", "/").json["detail"]
    assert server.control("DELETE", "/v1/jobs").status == 405 and "POST" in server.control("DELETE", "/v1/jobs").headers["allow"]
    job = server.send_off("/hello.php").json["id"]
    assert server.control("GET", f"/v1/jobs/{job}/cancel").status == 405 and server.control("GET", f"/v1/jobs/{job}/x").status == 404


def test_healthz_says_how_the_store_is(server):
    r = server.control("GET", "/healthz")
    assert r.status == 200 and r.json["status"] == "ok" and r.json["store_writable"]


def test_the_short_form_sends_this_very_request(server):
    r = server.control("PATCH", "/v1/send/echo.php/info?q=1", "body", {"Content-Type": "x/y", "X-A": "b"})
    assert r.status == 202
    server.wait(r.json["id"])
    got = server.result(r.json["id"]).json
    assert got["method"] == "PATCH" and got["body"] == "body" and got["server"]["HTTP_X_A"] == "b" and got["server"]["REQUEST_URI"] == "/echo.php/info?q=1"
    assert "HTTP_SENDOFF_RETRIES" not in got["server"]


@pytest.mark.parametrize("name,value", [("Sendoff-Delay", "soon"), ("Sendoff-Run-At", "soon"), ("Sendoff-Retries", "-1"), ("Sendoff-On-Abort", "no"), ("Sendoff-Nonsense", "1"), ("Sendoff-Argv", "ls")])
def test_a_wrong_option_of_the_short_form_is_refused_by_name(server, name, value):
    r = server.control("POST", "/v1/send/echo.php", "x", {name: value})
    assert r.status == 400 and name.lower() in r.json["detail"].lower()
    assert server.control("GET", "/v1/jobs").json["jobs"] == []


def test_options_of_the_short_form_ride_as_headers(server):
    r = server.control("POST", "/v1/send/echo.php", "x", {"Sendoff-Delay": "10m", "Sendoff-Retries": "5", "Sendoff-Time-Limit": "90", "Sendoff-On-Abort": "php", "Sendoff-Then-Always": "/hello.php"})
    job = server.control("GET", f"/v1/jobs/{r.json['id']}").json
    assert job["state"] == "scheduled" and job["retries_left"] == 5 and job["waiting_for"].startswith("its time, ")
    assert job["options"] == {"time_limit": 90, "on_abort": "php", "retry": {"max": 5}, "then": {"always": "/hello.php"}}


def test_the_short_form_starts_programs(server):
    r = server.control("POST", "/v1/send/exec", "the body", {"Sendoff-Argv": "sh -c 'cat; echo \"$1\"' x 'a b'"})
    server.wait(r.json["id"])
    assert server.result(r.json["id"]).body == b"the bodya b\n"
    assert server.control("POST", "/v1/send/exec", "x").status == 400


def test_options_asked_in_json_are_shown_as_they_were_asked(server):
    asked = {"time_limit": 1.5, "idle_limit": 60, "on_abort": "continue", "on_crash": "hold", "retry": {"max": 7, "backoff": 2, "backoff_max": 60}, "limits": {"memory": 1 << 30, "cpu": 5, "files": 100}, "then": {"success": "/hello.php", "failure": "exec:sh -c 'exit 0'"}}
    job = server.control("POST", "/v1/jobs?wait=30", {"argv": ["true"], **asked}).json
    assert job["options"] == asked and job["target"] == "exec:true" and job["runner"] == "exec" and job["retries_left"] == 7
    short = server.control("POST", "/v1/jobs?wait=30", {"argv": ["true"], "retry": {"backoff": 0.05}})
    assert '"backoff":0.05}' in short.text and '"backoff":0.05}' in server.cli("show", "--json", short.json["id"], check=0).stdout.decode()


def test_a_delayed_job_waits_for_its_time(server):
    for when in ({"delay": 0.6}, {"run_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))}):
        job = server.control("POST", "/v1/jobs", {"target": "/hello.php", **when}).json
        assert job["state"] == "scheduled"
        done = server.wait(job["id"])
        assert done["state"] == "succeeded" and done["runs"][0]["started_at"] >= done["run_at"]
    past = server.control("POST", "/v1/jobs", {"target": "/hello.php", "run_at": "2020-01-01T00:00:00Z"}).json
    assert server.wait(past["id"])["state"] == "succeeded"


def test_the_front_door_does_not_show_targets_of_the_control_door(server):
    job = server.control("POST", "/v1/jobs?wait=30", {"target": "/echo.php?secret=1"}).json["id"]
    record = server.get(f"/.sendoff/jobs/{job}").json
    assert record["target"] is None and record["state"] == "succeeded"


def test_a_large_body_is_there_again_when_its_job_is_run_again(make_server, tmp_path):
    server = make_server()
    body = os.urandom(400000)
    words = f"sh -c 'cat > {tmp_path}/got-$SENDOFF_JOB; exit 1'"
    first = server.control("POST", "/v1/send/exec", body, {"Sendoff-Argv": words}).json["id"]
    assert server.wait(first)["state"] == "failed" and len(os.listdir(os.path.join(server.data, "files"))) == 1
    again = server.control("POST", f"/v1/jobs/{first}/retry").json["id"]
    assert server.wait(again)["state"] == "failed"
    assert (tmp_path / f"got-{first}").read_bytes() == body and (tmp_path / f"got-{again}").read_bytes() == body
    assert len(os.listdir(os.path.join(server.data, "files"))) == 2
    server.stop()
    server.args += ["--keep-finished", "0"]
    server.start()
    until(lambda: os.listdir(os.path.join(server.data, "files")) == [], "both forgotten, with their files")
