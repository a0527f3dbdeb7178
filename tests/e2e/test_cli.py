"""The command line as people and programs use it."""
import hashlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest

from conftest import PATIENCE, SENDOFF, until


def test_send_accepts_and_says_how_long_it_took(server):
    done = server.cli("send", "/slow.php", "-d", "n=5", check=0)
    words = done.stdout.decode().split()
    assert words[0] == "accepted" and words[2] == "in" and words[4] == "ms" and float(words[3]) < 1000
    assert server.wait(words[1])["state"] == "succeeded" and server.result(words[1]).text == "done 5\n"


def test_send_json_prints_one_receipt_a_line(server):
    done = server.cli("send", "--json", "/hello.php", "/slow.php", check=0)
    receipts = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(receipts) == 2 and all(set(r) == {"id", "location", "state"} for r in receipts)


def test_a_target_alone_is_send(server):
    assert server.cli("/hello.php", check=0).stdout.startswith(b"accepted ")
    assert server.cli("/hello.php", "--wait", check=0).stdout == b"hello\n"


def test_wait_prints_the_output_and_the_exit_code_tells(server):
    done = server.cli("send", "--wait", "/slow.php?n=1&ms=50", check=0)
    assert done.stdout == b"done 1\n" and b"accepted" in done.stderr
    done = server.cli("send", "--wait", "/status.php?code=500", check=1)
    assert done.stdout == b"status 500\n" and b"failed" in done.stderr


def test_several_targets_run_at_once_and_take_as_long_as_the_slowest(make_server):
    server = make_server(workers=4)
    server.cli("send", "--wait", "/hello.php", check=0)
    began = time.monotonic()
    done = server.cli("send", "--wait", "/slow.php?ms=1000&n=a", "/slow.php?ms=1200&n=b", "/slow.php?ms=800&n=c", check=0)
    assert time.monotonic() - began < 2.9  # one after the other would be 3.0
    assert done.stdout == b"done a\ndone b\ndone c\n"


@pytest.mark.parametrize("flags,method,body,extra", [
    (["-d", "a=1", "-d", "b=2"], "POST", "a=1&b=2", {"CONTENT_TYPE": "application/x-www-form-urlencoded"}),
    (["--data-urlencode", "a=x y&z", "-d", "k=v"], "POST", "a=x+y%26z&k=v", {}),
    (["--data-urlencode", "=x y"], "POST", "x+y", {}),
    (["--data-urlencode", "x y"], "POST", "x+y", {}),
    (["--data-binary", "a\nb", "-H", "Content-Type: text/plain"], "POST", "a\nb", {"CONTENT_TYPE": "text/plain"}),
    (["-X", "PUT", "-d", "x"], "PUT", "x", {}),
    (["-X", "DELETE"], "DELETE", "", {}),
    (["-G", "-d", "a=1", "-d", "b=2"], "GET", "", {"QUERY_STRING": "a=1&b=2"}),
    (["-b", "c=1; d=2"], "GET", "", {"HTTP_COOKIE": "c=1; d=2"}),
    (["-u", "ada:secret"], "GET", "", {"PHP_AUTH_USER": "ada", "PHP_AUTH_PW": "secret"}),
    (["-H", "X-One: 1", "-H", "x-two:2"], "GET", "", {"HTTP_X_ONE": "1", "HTTP_X_TWO": "2"}),
])
def test_curls_flags_mean_what_they_mean_in_curl(server, flags, method, body, extra):
    ours = json.loads(server.cli("send", "--wait", "/echo.php", *flags, check=0).stdout)
    curls = json.loads(subprocess.run(["curl", "-s", *flags, server.url + "/echo.php"], capture_output=True, check=True).stdout)
    for got in (ours, curls):
        assert got["method"] == method and got["body"] == body
        assert {k: got["server"].get(k) for k in extra} == extra


def test_data_from_files_and_stdin(server, tmp_path):
    (tmp_path / "f").write_bytes(b"a=1\r\nb=2\n")
    got = lambda *flags, input=None: json.loads(server.cli("send", "--wait", "/echo.php", *flags, input=input, check=0).stdout)
    assert got("-d", f"@{tmp_path}/f")["body"] == "a=1b=2" and got("--data-binary", f"@{tmp_path}/f")["body"] == "a=1\r\nb=2\n"
    assert got("-d", "@-", input=b"from stdin")["body"] == "from stdin"
    assert got("--data-urlencode", f"name@{tmp_path}/f")["post"] == {"name": "a=1\r\nb=2\n"}


def test_a_form_with_files_is_multipart(server, tmp_path):
    big = tmp_path / 'b"ig.bin'
    big.write_bytes(os.urandom(1500000))
    got = json.loads(server.cli("send", "--wait", "/echo.php", "-F", "name=väl;ue", "-F", f"file=@{big}", check=0).stdout)
    assert got["post"] == {"name": "väl;ue"}
    assert got["files"]["file"]["md5"] == hashlib.md5(big.read_bytes()).hexdigest() and got["files"]["file"]["size"] == 1500000


def test_list_show_wait_result_cancel(make_server, tmp_path):
    server = make_server(workers=1)
    go = tmp_path / "go"
    a = json.loads(server.cli("send", "--json", f"/slow.php?until={go}", check=0).stdout)["id"]
    b = json.loads(server.cli("send", "--json", "/hello.php", check=0).stdout)["id"]
    until(lambda: server.job(a)["state"] == "running", "the first job")
    table = server.cli("list", check=0).stdout.decode().splitlines()
    assert table[0].split() == ["ID", "STATE", "RUN", "AGE", "TOOK", "STATUS", "TARGET"] and b in table[1] and "ready" in table[1] and a in table[2] and "running" in table[2]
    assert "\033" not in "".join(table)
    assert [json.loads(line)["id"] for line in server.cli("list", "--json", "--state", "ready").stdout.splitlines()] == [b]
    assert b"a worker" in server.cli("show", b, check=0).stdout
    assert server.cli("cancel", b, check=0).stdout.split() == [b.encode(), b"cancelled"]
    assert server.cli("cancel", b, check=1).stdout == b""
    assert server.cli("wait", "--timeout", "1", a, check=1).stdout.split()[1] == b"running"
    go.touch()
    assert server.cli("wait", a, check=0).stdout.split()[1] == b"succeeded"
    assert server.cli("wait", a, b, check=1)
    assert server.cli("result", a, check=0).stdout == b"done \n" and server.cli("result", f"/.sendoff/jobs/{a}", check=0).stdout == b"done \n"
    shown = server.cli("result", "--headers", a, check=0).stdout
    assert shown.startswith(b"HTTP/1.1 200 OK\r\n") and shown.endswith(b"\r\n\r\ndone \n")
    server.cli("result", "-o", str(tmp_path / "out"), a, check=0)
    assert (tmp_path / "out").read_bytes() == b"done \n"
    assert json.loads(server.cli("show", "--json", a, check=0).stdout)["runs"][0]["outcome"] == "succeeded"
    refused = server.cli("result", b, check=3)
    assert refused.stdout == b"" and b"cancelled" in refused.stderr


def test_a_large_result_is_streamed_whole(server):
    done = server.cli("send", "--wait", "/big.php?mb=20", check=0)
    assert len(done.stdout) == 20 << 20


def test_programs_are_sent_with_their_words_and_their_input(server, tmp_path):
    body = os.urandom(3 << 20)
    (tmp_path / "in").write_bytes(body)
    done = server.cli("send", "--wait", "--data-binary", f"@{tmp_path}/in", "--", "sha256sum", check=0)
    assert done.stdout.split()[0].decode() == hashlib.sha256(body).hexdigest()
    done = server.cli("send", "--wait", "--", "printf", "%s|", "a b", "it's", "\"ü\"", "--wait", "$HOME", "", check=0)
    assert done.stdout.decode() == "a b|it's|\"ü\"|--wait|$HOME||"
    failed = server.cli("send", "--wait", "--", "sh", "-c", "echo so far; exit 3", check=1)
    assert failed.stdout == b"so far\n" and "exit code 3" in failed.stderr.decode()


def test_urls_are_sent(server):
    done = server.cli("send", "--wait", f"{server.url}/echo.php?a=1", "-d", "b=2", "-H", "X-One: 1", check=0)
    got = json.loads(done.stdout)
    assert got["method"] == "POST" and got["get"] == {"a": "1"} and got["post"] == {"b": "2"} and got["server"]["HTTP_X_ONE"] == "1"
    assert len(got["server"]["HTTP_IDEMPOTENCY_KEY"]) == 28
    assert server.cli(f"{server.url}/hello.php", "--wait", check=0).stdout == b"hello\n"


def test_what_is_asked_for_a_job_reaches_the_server(server):
    done = server.cli("send", "--json", "/hello.php", "--delay", "10m", "--time-limit", "90s", "--idle-limit", "5", "--on-abort", "php", "--on-crash", "hold", "--retries", "7", "--backoff", "1m", "--backoff-max", "2h",
                      "--memory", "1G", "--cpu", "10", "--files", "50", "--then-success", "/hello.php", "--then-failure", "https://example.org/", "--then", "exec:true", check=0)
    job = server.control("GET", f"/v1/jobs/{json.loads(done.stdout)['id']}").json
    assert job["state"] == "scheduled"
    assert job["options"] == {"time_limit": 90, "idle_limit": 5, "on_abort": "php", "on_crash": "hold", "retry": {"max": 7, "backoff": 60, "backoff_max": 7200}, "limits": {"memory": 1 << 30, "cpu": 10, "files": 50},
                              "then": {"success": "/hello.php", "failure": "https://example.org/", "always": "exec:true"}}
    shown = server.cli("show", job["id"], check=0).stdout.decode()
    assert "its time, " in shown and "--on-crash hold\n" in shown and "--time-limit 90s\n" in shown and "--memory 1G\n" in shown and "--then-failure https://example.org/\n" in shown
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time.time() + 3600))
    later = server.cli("send", "--json", "/hello.php", "--at", at, check=0)
    run_at = server.control("GET", f"/v1/jobs/{json.loads(later.stdout)['id']}").json["run_at"]
    assert run_at == time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.mktime(time.strptime(at, "%Y-%m-%d %H:%M:%S"))))


def test_retry_runs_jobs_again_one_by_one_or_all_of_a_state(server):
    ids = [json.loads(server.cli("send", "--json", "--", "sh", "-c", "exit 1", check=0).stdout)["id"] for _ in range(3)]
    for i in ids:
        assert server.wait(i)["state"] == "failed"
    again = server.cli("retry", ids[0], check=0).stdout.split()
    assert again[0].decode() == ids[0] and server.wait(again[-1].decode())["state"] == "failed"
    assert server.control("GET", f"/v1/jobs/{ids[0]}").json["retried_as"] == again[-1].decode()
    assert b"already" in server.cli("retry", ids[0], check=1).stderr
    done = server.cli("retry", "--state", "failed", "--yes", "--json", check=0)
    receipts = [json.loads(line) for line in done.stdout.splitlines()]
    assert {r["retry_of"] for r in receipts} == {ids[1], ids[2], again[-1].decode()}
    for r in receipts:
        server.wait(r["id"])
    scheduled = json.loads(server.cli("send", "--json", "/hello.php", "--delay", "1h", check=0).stdout)["id"]
    assert b"goes on" in server.cli("retry", scheduled, check=0).stdout and server.wait(scheduled)["state"] == "succeeded"
    assert b"no dead jobs" in server.cli("retry", "--state", "dead", "--yes", check=0).stderr


def test_log_shows_what_was_written_and_follows_until_the_end(server, tmp_path):
    go = tmp_path / "go"
    script = f"echo first; echo second >&2; while [ ! -e {go} ]; do sleep 0.05; done; echo third; exit 7"
    job = json.loads(server.cli("send", "--json", "--", "sh", "-c", script, check=0).stdout)["id"]
    follower = subprocess.Popen([SENDOFF, "log", "-f", job], env={**os.environ, "SENDOFF_SERVER": f"unix:{server.socket}"}, stdout=subprocess.PIPE, text=True)
    first = [follower.stdout.readline() for _ in range(3)]
    assert first[0].endswith("run 1 has begun\n") and sorted(line.split(" ", 2)[2] for line in first[1:]) == ["stderr second\n", "stdout first\n"]
    go.touch()
    rest = follower.stdout.read()
    assert follower.wait(PATIENCE) == 1 and "stdout third\n" in rest and "exit code 7" in rest
    whole = server.cli("log", job, check=0).stdout.decode()
    assert whole == "".join(first) + rest
    quick = json.loads(server.cli("send", "--json", "/hello.php", check=0).stdout)["id"]
    server.wait(quick)
    lines = server.cli("log", quick, check=0).stdout.decode().splitlines()
    assert len(lines) == 2 and lines[0].endswith("run 1 has begun") and "succeeded" in lines[1]
    assert server.cli("log", "-f", quick, check=0).stdout.decode().splitlines() == lines


def test_following_a_log_survives_a_restart_of_the_server(make_server, tmp_path):
    server = make_server()
    go = tmp_path / "go"
    script = f"echo run $SENDOFF_RUN; while [ ! -e {go} ]; do sleep 0.05; done; echo over"
    job = json.loads(server.cli("send", "--json", "--", "sh", "-c", script, check=0).stdout)["id"]
    follower = subprocess.Popen([SENDOFF, "log", "-f", job], env={**os.environ, "SENDOFF_SERVER": f"unix:{server.socket}"}, stdout=subprocess.PIPE, text=True)
    assert "begun" in follower.stdout.readline() and follower.stdout.readline().endswith("stdout run 1\n")
    server.kill()
    server.start()
    line = ""
    while not line.endswith("stdout run 2\n"):
        line = follower.stdout.readline()
        assert line and not line.endswith("stdout run 1\n")
    go.touch()
    assert "over" in follower.stdout.read() and follower.wait(PATIENCE) == 0


class Terminal:
    """The program with a terminal of its own, as somebody at a keyboard has it."""

    def __init__(self, server, *words, **env):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(SENDOFF, [SENDOFF, *words], {**os.environ, "TERM": "xterm", "SENDOFF_SERVER": f"unix:{server.socket}", **env})
        self.text = ""

    def read(self):
        """More of what it printed; False at its end."""
        assert select.select([self.fd], [], [], PATIENCE)[0], f"silence after {self.text!r}"
        try:
            piece = os.read(self.fd, 65536)
        except OSError:  # EIO: it has ended
            piece = b""
        self.text += piece.decode(errors="replace")
        return bool(piece)

    def expect(self, text):
        while text not in self.text:
            assert self.read(), f"no {text!r} in {self.text!r}"

    def type(self, keys):
        os.write(self.fd, keys)

    def end(self):
        """All of its text, and its exit code: negative for a signal."""
        while self.read():
            pass
        os.close(self.fd)
        return self.text, os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def send_program(server, script, *flags):
    return json.loads(server.cli("send", "--json", *flags, "--", "sh", "-c", script, check=0).stdout)["id"]


def test_on_a_terminal_a_bar_says_how_far_the_job_is(server, tmp_path):
    go = tmp_path / "go"
    script = f'echo "progress 1/4 mailing ada" > "$SENDOFF_CONTROL"; while [ ! -e {go} ]; do sleep 0.05; done; echo over'
    sender = Terminal(server, "send", "--wait", "--", "sh", "-c", script)
    sender.expect("[######..................] 1/4 mailing ada")
    job = re.search("accepted ([0-9a-z]{28}) ", sender.text).group(1)
    waiter = Terminal(server, "wait", job)
    waiter.expect("[######..................] 1/4 mailing ada")
    assert "progress       [######..................] 1/4 mailing ada\n" in server.cli("show", job, check=0).stdout.decode()
    go.touch()
    text, code = sender.end()
    assert code == 0 and text.endswith("\r\033[Kover\r\n")
    text, code = waiter.end()
    assert code == 0 and text.endswith(f"\r\033[K{job}  succeeded\r\n")
    for words in (["wait", job], ["send", "--wait", "/hello.php"]):
        assert b"\r" not in server.cli(*words, check=0).stderr


def test_show_is_a_page_about_the_job_and_its_runs(server):
    job = server.wait(send_program(server, "echo so far; exit 3", "--time-limit", "90s"))
    page = server.cli("show", job["id"], check=0).stdout.decode()
    for line in ("state          failed", "target         exec:sh -c 'echo so far; exit 3'", "exit code      3", "reason         the program ended with exit code 3", "asked          --time-limit 90s"):
        assert line + "\n" in page
    head, run, reason = page.splitlines()[-3:]
    assert head.split() == ["RUN", "STARTED", "TOOK", "OUTCOME", "ANSWER", "CPU", "MEMORY", "CONNECTION"]
    assert re.fullmatch(r"  1  20\S+Z +\S+s  failed     exit 3    +\d\.\d\ds +\d+\.\dM  normal", run) and reason == "     the program ended with exit code 3"
    slow = server.wait(send_program(server, "exec sleep 60", "--time-limit", "200ms"))
    page = server.cli("show", slow["id"], check=0).stdout.decode()
    assert "connection     timed out\n" in page and "time_limit" in page and page.splitlines()[-2].endswith("  timed out")
    again = json.loads(server.cli("retry", "--json", job["id"], check=0).stdout)["id"]
    assert f"retry of       {job['id']}\n" in server.cli("show", again, check=0).stdout.decode() and f"retried as     {again}\n" in server.cli("show", job["id"], check=0).stdout.decode()


def test_retrying_all_of_a_state_asks_somebody_at_a_terminal(server):
    ids = [send_program(server, "exit 1") for _ in range(3)]
    for i in ids:
        server.wait(i)
    for answer in (b"n\n", b"\n", b"\x04"):
        asked = Terminal(server, "retry", "--state", "failed")
        asked.expect("Run 3 failed jobs again? [y/N] ")
        asked.type(answer)
        assert asked.end()[1] == 1 and all(server.job(i)["retried_as"] is None for i in ids)
    asked = Terminal(server, "retry", "--state", "failed")
    asked.expect("[y/N] ")
    asked.type(b"y\n")
    text, code = asked.end()
    assert code == 0 and "[########################] 3 of 3" in text and "3 run again, 0 refused\r\n" in text
    assert [server.job(i)["retried_as"] for i in ids] == re.findall("runs again as ([0-9a-z]{28})", text)  # the oldest first


def test_a_log_has_colours_on_a_terminal_and_ctrl_c_ends_it_quietly(server, tmp_path):
    job = send_program(server, f"echo out; echo err >&2; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done")
    follower = Terminal(server, "log", "-f", job)
    follower.expect("\033[34msendoff\033[0m run 1 has begun\r\n")
    follower.expect("\033[31mstderr\033[0m err\r\n")
    follower.expect("\033[0m 1 stdout out\r\n")
    before = follower.text
    follower.type(b"\x03")
    text, code = follower.end()
    assert code == -signal.SIGINT and text[len(before):].replace("^C", "") == ""
    plain = Terminal(server, "log", job, NO_COLOR="1")
    assert "\033" not in plain.end()[0]
    (tmp_path / "go").touch()
    server.wait(job)


def test_what_cannot_be_written_is_an_error(server):
    job = json.loads(server.cli("send", "--json", "/hello.php", check=0).stdout)["id"]
    server.wait(job)
    for words in (["list"], ["show", job], ["log", job], ["result", job], ["--help"]):
        with open("/dev/full", "w") as full:
            done = subprocess.run([SENDOFF, *words], stdout=full, stderr=subprocess.PIPE, env={**os.environ, "SENDOFF_SERVER": f"unix:{server.socket}"}, text=True, timeout=PATIENCE)
        assert done.returncode == 2 and "stdout" in done.stderr and done.stderr.count("\n") == 1, done


@pytest.mark.parametrize("words,code,text", [
    (["send"], 2, "target"), (["send", "report.php"], 2, "a path of the site"), (["send", "/a b.php"], 2, "percent-encoded"),
    (["send", "http://"], 2, "no host"), (["send", "ftp://x/"], 2, "URL"), (["send", "exec:ls"], 2, "behind --"), (["send", "--"], 2, "target is missing"),
    (["send", "--", "a\nb"], 2, "POST /v1/jobs"), (["send", "-G", "--", "ls"], 2, "-G"), (["send", "/hello.php", "--retries", "901"], 2, "0 to 900"), (["send", "/hello.php", "--time-limit", "soon"], 2, "--time-limit"),
    (["send", "/hello.php", "--on-abort", "no"], 2, "php, continue, stop"), (["send", "/hello.php", "--at", "tomorrow"], 2, "--at"), (["send", "/hello.php", "--delay", "-1"], 2, "--delay"),
    (["send", "/hello.php", "--then", "x"], 2, "--then"), (["send", "/hello.php", "--then", "/missing.php"], 3, "no script"), (["send", "/hello.php", "--retries", "1", "--retries", "2"], 2, "give it once"),
    (["retry"], 2, "id"), (["retry", "xyz"], 2, "no job id"), (["retry", "--state", "dead"], 2, "--yes"), (["retry", "--state", "nonsense", "--yes"], 2, "state"), (["retry", "--state", "dead", "x"], 2, "not both"),
    (["log"], 2, "id"), (["log", "xyz"], 2, "no job id"), (["log", "0" * 7 + "1" + "0" * 20], 3, "no such job"), (["log", "-f", "0" * 7 + "1" + "0" * 20], 3, "no such job"), (["send", "/hello.php", "--nonsense"], 2, "nonsense"),
    (["send", "/hello.php", "-H", "nocolon"], 2, "Name: value"), (["send", "/hello.php", "-H", "A: b\r\nC: d"], 2, "malformed"),
    (["send", "/hello.php", "-d", "@/no/such"], 2, "/no/such"), (["send", "/hello.php", "-d", "x", "-F", "a=b"], 2, "together"),
    (["send", "/missing.php"], 3, "no script"), (["send", "/numbers.txt"], 3, "no script"),
    (["show"], 2, "id"), (["show", "xyz"], 2, "no job id"), (["wait", "xyz"], 2, "no job id"), (["result"], 2, "one job id"),
    (["show", "0" * 7 + "1" + "0" * 20], 3, "no such job"), (["list", "--state", "nonsense"], 2, "state"), (["list", "--limit", "0"], 2, "limit"),
    (["nonsense"], 2, "no verb"), (["sned"], 2, "did you mean 'send'"), ([], 2, "usage"),
])
def test_mistakes_get_a_sentence_and_the_right_exit_code(server, words, code, text):
    done = server.cli(*words, check=code)
    assert text in done.stderr.decode() and done.stdout == b""
    assert server.control("GET", "/v1/jobs").json["jobs"] == []


def test_no_server_is_exit_code_3_and_says_what_was_tried(tmp_path):
    for words in (["send", "/hello.php"], ["list"], ["show", "0" * 7 + "1" + "0" * 20]):
        done = subprocess.run([SENDOFF, *words, "--server", f"unix:{tmp_path}/none.sock"], capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 3 and "none.sock" in done.stderr and "sendoff serve" in done.stderr and done.stdout == ""


def test_every_verb_has_help_with_an_example():
    top = subprocess.run([SENDOFF, "--help"], capture_output=True, text=True)
    assert top.returncode == 0
    for verb in ("serve", "send", "list", "show", "wait", "result", "log", "cancel", "retry", "config"):
        done = subprocess.run([SENDOFF, verb, "--help"], capture_output=True, text=True)
        assert done.returncode == 0 and verb in top.stdout and f"  sendoff {verb}" in done.stdout, done


def test_colours_only_on_a_terminal(server):
    server.cli("send", "--wait", "/hello.php", check=0)
    script = f"{SENDOFF} list"
    env = {"SENDOFF_SERVER": f"unix:{server.socket}", "PATH": os.environ["PATH"], "TERM": "xterm"}
    run = lambda **more: subprocess.run(["script", "-qec", script, "/dev/null"], env={**env, **more}, capture_output=True, stdin=subprocess.DEVNULL, timeout=PATIENCE).stdout
    assert b"\033[32msucceeded" in run() and b"\033" not in run(NO_COLOR="1")
