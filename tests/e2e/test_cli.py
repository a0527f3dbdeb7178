"""The command line as people and programs use it."""
import hashlib
import json
import os
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


@pytest.mark.parametrize("words,code,text", [
    (["send"], 2, "target"), (["send", "report.php"], 2, "starts with '/'"), (["send", "/a b.php"], 2, "percent-encoded"),
    (["send", "http://example.org/"], 2, "URL"), (["send", "--", "ls"], 2, "programs"), (["send", "/hello.php", "--nonsense"], 2, "nonsense"),
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
    for verb in ("serve", "send", "list", "show", "wait", "result", "cancel", "config"):
        done = subprocess.run([SENDOFF, verb, "--help"], capture_output=True, text=True)
        assert done.returncode == 0 and verb in top.stdout and f"  sendoff {verb}" in done.stdout, done


def test_colours_only_on_a_terminal(server):
    server.cli("send", "--wait", "/hello.php", check=0)
    script = f"{SENDOFF} list"
    env = {"SENDOFF_SERVER": f"unix:{server.socket}", "PATH": os.environ["PATH"], "TERM": "xterm"}
    run = lambda **more: subprocess.run(["script", "-qec", script, "/dev/null"], env={**env, **more}, capture_output=True, stdin=subprocess.DEVNULL, timeout=PATIENCE).stdout
    assert b"\033[32msucceeded" in run() and b"\033" not in run(NO_COLOR="1")
