"""The front door: the site as php -S serves it."""
import hashlib
import os
import socket
import subprocess

import pytest

from conftest import read_all, read_until, until


def test_a_script_answers_with_its_own_headers(server):
    r = server.get("/hello.php")
    assert (r.status, r.text) == (200, "hello\n")
    assert r.headers["content-type"].startswith("text/plain")


def test_head_has_the_headers_and_no_body(server):
    for path in ("/hello.php", "/numbers.txt"):
        r = server.request("HEAD", path)
        assert r.status == 200 and r.body == b""
    assert server.request("HEAD", "/numbers.txt").headers["content-length"] == "8893"


def test_the_variables_of_a_script_are_those_of_cgi(server):
    r = server.request("POST", "/echo.php/more/path?x=1&y=a%20b", "k=v&l=w", {
        "Content-Type": "application/x-www-form-urlencoded", "Cookie": "c=1; d=2", "X-Own": "yes",
        "Authorization": "Basic dTpw", "Proxy": "evil"}).json
    s = r["server"]
    assert r["get"] == {"x": "1", "y": "a b"} and r["post"] == {"k": "v", "l": "w"} and r["cookie"] == {"c": "1", "d": "2"}
    assert s["REQUEST_URI"] == "/echo.php/more/path?x=1&y=a%20b" and s["PATH_INFO"] == "/more/path"
    assert s["SCRIPT_NAME"] == "/echo.php" and s["PHP_SELF"] == "/echo.php/more/path"
    assert s["SCRIPT_FILENAME"] == os.path.realpath(server.site) + "/echo.php"
    assert s["HTTP_HOST"] == f"127.0.0.1:{server.port}" and s["SERVER_PORT"] == str(server.port)
    assert s["SERVER_NAME"] == "127.0.0.1" and s["REMOTE_ADDR"] == "127.0.0.1" and int(s["REMOTE_PORT"]) > 0
    assert s["PHP_AUTH_USER"] == "u" and s["PHP_AUTH_PW"] == "p" and s["HTTP_X_OWN"] == "yes"
    assert s["GATEWAY_INTERFACE"] == "CGI/1.1" and s["SERVER_PROTOCOL"] == "HTTP/1.1" and s["CONTENT_LENGTH"] == "7"
    assert "HTTP_PROXY" not in s and "SENDOFF_JOB" not in s


def test_repeated_headers_are_joined_and_underscores_dropped(server):
    reply = server.raw(b"GET /echo.php HTTP/1.1\r\nHost: h\r\nX-Two: a\r\nX-Two: b\r\nCookie: a=1\r\nCookie: b=2\r\n"
                       b"X_Bad: no\r\nConnection: close\r\n\r\n")
    assert b'"HTTP_X_TWO":"a, b"' in reply and b'"a":"1","b":"2"' in reply and b"X_BAD" not in reply


def test_an_upload_of_100_megabytes_arrives_whole(make_server):
    server = make_server(args=["--worker", "php-cgi -d post_max_size=0 -d upload_max_filesize=0 -d memory_limit=1G"])
    piece = os.urandom(1 << 20)
    with server.connect() as s:
        s.sendall(b"POST /echo.php HTTP/1.1\r\nHost: h\r\nContent-Type: application/octet-stream\r\n"
                  b"Content-Length: %d\r\nConnection: close\r\n\r\n" % (100 << 20))
        for _ in range(100):
            s.sendall(piece)
        reply = read_all(s)
    md5 = hashlib.md5(piece * 100).hexdigest().encode()
    assert b'"length":%d' % (100 << 20) in reply and md5 in reply
    assert os.listdir(server.data + "/files") == []


def test_a_form_upload_becomes_a_file_of_php(server, tmp_path):
    big = tmp_path / "big.bin"
    big.write_bytes(os.urandom(1500000))
    done = subprocess.run(["curl", "-s", "-F", f"f=@{big}", "-F", "n=v", server.url + "/echo.php"], capture_output=True, check=True)
    assert hashlib.md5(big.read_bytes()).hexdigest().encode() in done.stdout and b'"n":"v"' in done.stdout


def test_180_kilobytes_of_parameters_reach_the_script(make_server):
    server = make_server(args=["--head-max", "256k"])
    headers = {f"X-H{i}": f"{i}-" + "v" * 900 for i in range(200)}
    got = server.get("/echo.php", headers).json["server"]
    assert all(got[f"HTTP_X_H{i}"] == v for i, v in enumerate(headers.values()))


def test_a_single_parameter_too_long_for_php_cgi_is_refused_with_the_limit(make_server):
    server = make_server(args=["--head-max", "256k"])
    r = server.get("/echo.php", {"X-Long": "v" * 66000})
    assert r.status == 431 and "65535" in r.json["detail"]
    assert server.get("/hello.php").status == 200


def test_chunked_bodies_are_spooled_and_given_a_length(server):
    with server.connect() as s:
        s.sendall(b"POST /echo.php HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                  b"5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nTrailer: x\r\n\r\n")
        reply = read_all(s)
    assert b'"length":11' in reply and b'"CONTENT_LENGTH":"11"' in reply and b"hello world" in reply


def test_expect_100_continue_is_answered_before_the_body(server):
    with server.connect() as s:
        s.sendall(b"POST /echo.php HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\nConnection: close\r\n\r\n")
        assert read_until(s, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        s.sendall(b"abc")
        assert b'"body":"abc"' in read_all(s)


def test_pipelined_requests_are_answered_in_order(server):
    with server.connect() as s:
        s.sendall(b"GET /slow.php?ms=100&n=1 HTTP/1.1\r\nHost: h\r\n\r\nGET /numbers.txt HTTP/1.1\r\nHost: h\r\nRange: bytes=0-1\r\n\r\n"
                  b"GET /slow.php?n=3 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        reply = read_all(s)
    assert reply.index(b"done 1") < reply.index(b"bytes 0-1/8893") < reply.index(b"done 3")


def test_a_request_may_come_byte_by_byte(server):
    with server.connect() as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"POST /echo.php HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc":
            s.sendall(bytes([byte]))
        assert b'"body":"abc"' in read_all(s)


def test_http_1_0_gets_no_chunks_and_is_closed(server):
    reply = server.raw(b"GET /hello.php HTTP/1.0\r\n\r\n")
    assert reply.endswith(b"\r\n\r\nhello\n") and b"chunked" not in reply and b"Connection: close" in reply


def test_a_reply_streams_as_it_is_printed(server, tmp_path):
    go = tmp_path / "go"
    with server.connect() as s:
        s.sendall(f"GET /stream.php?until={go} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
        read_until(s, b"first\n")
        go.touch()
        assert b"second\n" in read_all(s)


def test_a_slow_client_holds_the_script_back_and_memory_stays_flat(server, tmp_path):
    mark = tmp_path / "mark"
    with server.connect() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        s.sendall(f"GET /big.php?mb=60&mark={mark} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
        until(mark.exists, "the script's first megabyte")
        last = [None, 0]

        def stands_still():  # the script's progress has not changed in 100 looks
            now = mark.read_text()
            last[1] = last[1] + 1 if now == last[0] else 0
            last[0] = now
            return last[1] > 100
        until(stands_still, "the script being held back")
        assert int(last[0] or 0) < 30
        assert len(read_all(s)) > 60 << 20


def test_files_have_types_validators_and_ranges(server):
    r = server.get("/style.css")
    assert r.headers["content-type"] == "text/css; charset=utf-8" and r.headers["accept-ranges"] == "bytes"
    assert server.get("/style.css", {"If-None-Match": r.headers["etag"]}).status == 304
    assert server.get("/style.css", {"If-Modified-Since": r.headers["last-modified"]}).status == 304
    part = server.get("/numbers.txt", {"Range": "bytes=10-13"})
    assert part.status == 206 and part.headers["content-range"] == "bytes 10-13/8893" and len(part.body) == 4
    assert server.get("/numbers.txt", {"Range": "bytes=9000-"}).status == 416
    assert server.request("POST", "/numbers.txt", "x").status == 405


@pytest.mark.parametrize("path,status,text", [
    ("/", 200, "index of /index.php - /"),
    ("/app/", 200, "index of /app/index.php - /app/"),
    ("/app/a/b?c", 200, "index of /app/index.php /a/b /app/a/b?c"),
    ("/no/such", 200, "index of /index.php /no/such /no/such"),
    ("/sub/", 200, "<h1>sub</h1>"),
    ("/no/such.html", 404, ""),
    ("/.env", 404, ""), ("/.hidden/x.txt", 404, ""), ("/%2e%2e/%2e%2e/etc/passwd", 404, ""), ("/a%00b", 400, ""), ("/%zz", 400, ""),
])
def test_paths_mean_what_php_s_makes_of_them(server, path, status, text):
    r = server.get(path)
    assert r.status == status or (status == 404 and "root:" not in r.text and "secret" not in r.text and r.text.startswith("index of"))
    if text:
        assert r.text.startswith(text)


def test_a_folder_without_its_slash_is_redirected(server):
    r = server.get("/app?x=1")
    assert r.status == 301 and r.headers["location"] == "/app/?x=1"


def test_a_link_out_of_the_site_is_not_followed(make_server, site, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    (site / "out.txt").symlink_to(secret)
    (site / "in.txt").symlink_to("numbers.txt")
    server = make_server(site)
    assert server.get("/out.txt").status == 404 and server.get("/in.txt").status == 200


def test_a_script_that_dies_is_502_and_costs_nobody_else_a_request(server):
    r = server.get("/die.php")
    assert r.status == 502 and "signal 9" in r.json["detail"]
    assert all(server.get("/hello.php").status == 200 for _ in range(5))


def test_a_script_that_dies_in_the_middle_of_its_reply_closes_the_connection(make_server, site):
    (site / "half.php").write_text("<?php while (ob_get_level()) ob_end_clean(); echo 'half'; flush(); posix_kill(getmypid(), 9);")
    server = make_server(site)
    reply = server.raw(b"GET /half.php HTTP/1.1\r\nHost: h\r\n\r\n")
    assert b"half" in reply and not reply.endswith(b"0\r\n\r\n")


def test_a_writing_script_notices_that_its_caller_hung_up(server, tmp_path):
    mark = tmp_path / "mark"
    s = server.connect()
    s.sendall(f"GET /writing.php?mark={mark} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
    read_until(s, b"xxx")
    s.close()
    until(lambda: mark.exists() and mark.read_text(), "the shutdown function")
    assert mark.read_text() == "1\n"
    assert server.get("/hello.php").status == 200


def test_a_silent_script_runs_to_its_end_when_its_caller_hangs_up(make_server, tmp_path):
    server = make_server(workers=1)
    mark, go = tmp_path / "mark", tmp_path / "go"
    s = server.connect()
    s.sendall(f"GET /slow.php?mark={mark}&until={go} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
    until(mark.exists, "the script's beginning")
    s.close()
    go.touch()
    until(lambda: "end" in mark.read_text(), "the script's end")
    assert server.get("/hello.php").text == "hello\n"


def test_a_request_whose_caller_hung_up_in_the_line_is_run_all_the_same(make_server, tmp_path):
    server = make_server(workers=1)
    go, first, second = tmp_path / "go", tmp_path / "first", tmp_path / "second"
    a = server.connect()
    a.sendall(f"GET /slow.php?mark={first}&until={go} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
    until(first.exists, "the first script")
    b = server.connect()
    b.sendall(f"GET /slow.php?mark={second} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
    b.close()
    go.touch()
    until(lambda: second.exists() and "end" in second.read_text(), "the script of the caller that is gone")
    assert b"done" in read_until(a, b"done")
    a.close()


def test_the_classic_early_finish_lets_the_caller_go(server, tmp_path):
    mark, go = tmp_path / "mark", tmp_path / "go"
    reply = server.raw(f"GET /early.php?mark={mark}&until={go} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
    assert reply.endswith(b"early\n") and not mark.exists()
    go.touch()
    until(mark.exists, "the work after the reply")


def test_the_access_log_has_a_line_a_request(server):
    server.get("/hello.php?q=1", {"User-Agent": 'x"\\y', "Referer": "http://r/"})
    server.get("/nope.txt")
    job = server.send_off("/hello.php").json["id"]
    until(lambda: server.access_log().count("\n") >= 3, "three lines")
    lines = server.access_log().splitlines()
    assert lines[0].startswith("127.0.0.1 - - [") and '"GET /hello.php?q=1 HTTP/1.1" 200 6 "http://r/" "x\\"\\\\y" ' in lines[0]
    assert lines[0].split()[-2].startswith("w") and lines[1].split()[-2:] == ["-", "-"] and " 404 " in lines[1]
    assert lines[2].split()[-1] == job


def test_a_program_that_is_not_php_can_be_the_worker(make_server, tmp_path):
    script = tmp_path / "app.pl"
    script.write_text("use FCGI; my $r = FCGI::Request(); while ($r->Accept() >= 0) { my $b = ''; read(STDIN, $b, $ENV{CONTENT_LENGTH} || 0);"
                      " print \"Content-Type: text/plain\\r\\n\\r\\nperl $ENV{PATH_INFO} $ENV{SCRIPT_NAME} $b\\n\"; }")
    server = make_server(args=["--worker", f"perl {script}", "--worker-for", "/"])
    assert server.request("POST", "/any/path", "body").text == "perl /any/path  body\n"
    assert server.get("/hello.php").text.startswith("perl /hello.php")
