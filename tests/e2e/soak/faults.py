"""faults.py DIR: an HTTP target that misbehaves as the path says. Its first line of output is its port. It notes in DIR/log,
as site/soak.php does, when a run's request has come and when it was answered or its caller had gone."""
import asyncio
import email.utils
import os
import socket
import struct
import sys
import time

log = os.open(sys.argv[1] + "/log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
under_way = {}  # job -> Attempt


def gone(writer):
    """Whether the caller has closed its end, seen in the socket itself: the loop may not have come to it yet."""
    if writer.is_closing():
        return True
    with socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno())) as s:
        try:
            return s.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True


class Attempt:
    def __init__(self, kind, job, run, writer):
        self.kind, self.job, self.run, self.writer = kind, job, run, writer
        other = under_way.get(job)
        self.say("start" if other is None or gone(other.writer) else "overlap")
        under_way[job] = self

    def say(self, what):
        os.write(log, f"{what} http/{self.kind} {self.job} {self.run} 0 {time.monotonic_ns()}\n".encode())

    def end(self):
        """Said before the answer leaves: what follows from it cannot come sooner."""
        if under_way.get(self.job) is self:
            del under_way[self.job]
            self.say("end")


def answer(status, *headers, body=b"answered\n", length=None):
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def reset(writer):
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def torn(writer):
    writer.write(answer(200, body=b"half", length=100000))
    await writer.drain()


async def carry_out(kind, first, attempt, reader, writer):
    """True when the connection is kept."""
    once = kind.endswith("-once")
    fault = kind.removesuffix("-once") if first or not once else "ok"
    if fault == "hangs":
        await reader.read()
        attempt.end()
        return False
    if fault == "torn":
        await torn(writer)
    else:
        await asyncio.sleep(0.002)
    attempt.end()
    if fault in ("reset", "torn"):
        reset(writer)
    elif fault == "garbage":
        writer.write(b"\x00\xff this is no HTTP\r\n\r\n" * 20)
    elif fault == "closes":
        pass
    else:
        writer.write({
            "ok": lambda: answer(200),
            "missing": lambda: answer(404),
            "fails": lambda: answer(500),
            "busy": lambda: answer(503, "Retry-After: 1"),
            "busy-date": lambda: answer(503, "Retry-After: " + email.utils.formatdate(time.time() + 1, usegmt=True)),
        }[fault]())
        await writer.drain()
        return True
    return False


async def serve(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            line, *fields = head.split("\r\n")
            headers = {n.lower(): v.strip() for n, _, v in (f.partition(":") for f in fields)}
            await reader.readexactly(int(headers.get("content-length", 0)))
            kind, run = line.split(" ")[1].strip("/"), headers["sendoff-run"]
            attempt = Attempt(kind, headers["idempotency-key"], run, writer)
            if not await carry_out(kind, run == "1", attempt, reader, writer):
                return
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
