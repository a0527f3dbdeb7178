"""HTTP/1.1 as a hostile or clumsy client speaks it: a clear refusal, a closed connection, nothing started."""
import socket

import pytest

from conftest import read_all, read_until, until

HOST = b"Host: h\r\n"


@pytest.mark.parametrize("head,status", [
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    (b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    (b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    (b"GET /#f HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    (b"GET / HTTP/1.1\n" + HOST + b"\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost : h\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\n" + HOST + b"X: a\rb\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\n" + HOST + b" folded\r\n\r\n", 400),
    (b"POST /slow.php HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    (b"POST /slow.php HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 400),
    (b"POST /slow.php HTTP/1.1\r\n" + HOST + b"Content-Length: +5\r\n\r\n", 400),
    (b"POST /slow.php HTTP/1.1\r\n" + HOST + b"Content-Length: 5, 5\r\n\r\n", 400),
    (b"POST /slow.php HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
    (b"POST /slow.php HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n", 400),
    (b"POST /slow.php HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5 6\r\nhello\r\n", 400),
    (b"POST /slow.php HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n", 400),
    (b"POST /slow.php HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX", 400),
    (b"CONNECT h:80 HTTP/1.1\r\n" + HOST + b"\r\n", 501),
    (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 505),
    (b"GET /" + b"x" * 20000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
    (b"GET /" + b"x" * 100000, 414),
    (b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"y" * 70000 + b"\r\n\r\n", 431),
    (b"GET / HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 300 + b"\r\n", 431),
    (b"POST /slow.php HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999\r\n\r\n", 413),
])
def test_a_malformed_request_is_refused_and_the_connection_closed(server, head, status):
    reply = server.raw(head)
    assert reply.startswith(b"HTTP/1.1 %d " % status), reply
    assert reply.count(b"\r\nDate: ") == 1 and b"application/problem+json" in reply and b"Connection: close" in reply


def test_header_count_at_its_edge(server):
    fine = b"GET /hello.php HTTP/1.1\r\n" + HOST + b"Connection: close\r\n" + b"X: y\r\n" * 254 + b"\r\n"
    assert server.raw(fine).startswith(b"HTTP/1.1 200 ")
    assert server.raw(fine.replace(b"X: y\r\n\r\n", b"X: y\r\nX: y\r\n\r\n")).startswith(b"HTTP/1.1 431 ")


def test_body_max_at_its_edge(make_server):
    server = make_server(args=["--body-max", "1000"])
    assert server.request("POST", "/echo.php", b"x" * 1000).json["length"] == 1000
    r = server.request("POST", "/echo.php", b"x" * 1001)
    assert r.status == 413 and "body_max" in r.json["detail"]
    chunked = b"POST /echo.php HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert server.raw(chunked + b"3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n").startswith(b"HTTP/1.1 413 ")


def test_a_body_that_never_came_whole_starts_nothing(server, tmp_path):
    mark = tmp_path / "mark"
    with server.connect() as s:
        s.sendall(f"POST /slow.php?mark={mark} HTTP/1.1\r\nHost: h\r\nPrefer: respond-async\r\nContent-Length: 10\r\n\r\nhalf".encode())
    assert server.get("/hello.php").status == 200
    assert server.control("GET", "/v1/jobs").json["jobs"] == [] and not mark.exists()


def test_a_slow_head_and_a_slow_body_are_408(make_server):
    server = make_server(args=["--head-timeout", "300ms", "--body-timeout", "300ms", "--idle-timeout", "300ms"])
    assert server.raw(b"GET / HT").startswith(b"HTTP/1.1 408 ")
    assert server.raw(b"POST /echo.php HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc").startswith(b"HTTP/1.1 408 ")
    assert server.raw(b"") == b""


def test_more_connections_than_allowed_get_503(make_server):
    server = make_server(args=["--connections-max", "5"])
    held = [server.connect() for _ in range(5)]
    for s in held:
        s.sendall(b"GET /numbers.txt HTTP/1.1\r\nHost: h\r\n\r\n")
        read_until(s, b"2000\n")
    with server.connect() as s:
        assert read_all(s).startswith(b"HTTP/1.1 503 ")
    for s in held:
        s.close()
    until(lambda: server.get("/hello.php").status == 200, "room for a connection")


def test_more_waiting_requests_than_allowed_get_503(make_server, tmp_path):
    server = make_server(workers=1, args=["--foreground-queue-max", "1"])
    go, mark = tmp_path / "go", tmp_path / "mark"
    held = [server.connect() for _ in range(2)]
    held[0].sendall(f"GET /slow.php?mark={mark}&until={go} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
    until(mark.exists, "the first script")
    held[1].sendall(b"GET /slow.php HTTP/1.1\r\nHost: h\r\n\r\n")
    until(lambda: server.get("/hello.php").status == 503, "the full line")
    go.touch()
    assert all(b"done" in read_until(s, b"done") for s in held)


def test_three_thousand_idle_connections_cost_little(server):
    def rss():
        with open(f"/proc/{server.process.pid}/status") as f:
            return int(next(line for line in f if line.startswith("VmRSS")).split()[1])

    before, held = rss(), []
    for _ in range(3000):
        s = socket.socket()
        s.connect((server.host, server.port))
        s.sendall(b"GET /style.css HTTP/1.1\r\nHost: h\r\n\r\n")
        held.append(s)
    for s in held:
        read_until(s, b"black }")
    assert rss() - before < 3000 * 20  # kB: 20 kB each under ASan's red zones and quarantine
    assert server.get("/hello.php").status == 200
    for s in held:
        s.close()


def test_memory_max_presses_the_connections_and_lets_go_again(make_server, site):
    (site / "large.bin").write_bytes(b"x" * (4 << 20))
    server = make_server(site, args=["--memory-max", "16M"])
    held = []
    for _ in range(120):  # each has up to 320 kB waiting for a client that takes nothing
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect((server.host, server.port))
        s.sendall(b"GET /large.bin HTTP/1.1\r\nHost: h\r\n\r\n")
        held.append(s)
    until(lambda: "memory_max" in server.log_text(), "the pressure")
    until(lambda: server.get("/hello.php").status == 503, "a refusal")
    for s in held:
        s.close()
    until(lambda: server.get("/hello.php").status == 200, "room again")


def test_options_and_unknown_methods(server):
    assert server.request("OPTIONS", "*").status == 204
    assert server.request("OPTIONS", "/numbers.txt").headers["allow"]
    assert server.request("BREW", "/echo.php").json["method"] == "BREW"
