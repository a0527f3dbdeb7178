"""A neighbour: a little HTTP server in the test's own process that answers when it is told to, and sees when a caller
closes its connection."""
import socket
import struct
import threading

from conftest import PATIENCE, until


def reset(s):
    """Closes with a RST instead of a FIN."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


class Call:
    """One request that came to the target."""

    def __init__(self, method, path, headers, body, connection):
        self.method, self.path, self.headers, self.body, self.connection = method, path, headers, body, connection
        self.closed = False  # the caller went before it was answered
        self.half_sent = False

    def __repr__(self):
        return f"{self.method} {self.path} {self.headers}"


class Target:
    """answer(path, …) says what a path answers; a path that has no answer yet keeps its callers waiting. Answers may be a
    list: one a call, the last one for all that follow."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.answers, self.heard, self.halved = {}, {}, set()
        self.changed = threading.Condition()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection:
            try:
                self.one(connection)
            except OSError:
                pass

    def one(self, connection):
        head = b""
        while b"\r\n\r\n" not in head:
            piece = connection.recv(65536)
            if not piece:
                return
            head += piece
        head, _, body = head.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ")
        headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines)}
        while len(body) < int(headers.get("content-length", 0)):
            piece = connection.recv(65536)
            if not piece:
                return
            body += piece
        call = Call(method, path, headers, body, connection)
        name = path.lstrip("/").split("?")[0]
        with self.changed:
            self.heard.setdefault(name, []).append(call)
            self.changed.notify_all()
        if name in self.halved:
            connection.sendall(b"HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\nthe first half")
            self.halved.discard(name)
            call.half_sent = True
        answer = self.await_answer(name, call)
        if answer:
            connection.sendall(answer)

    def await_answer(self, name, call):
        connection = call.connection
        while True:
            with self.changed:
                answers = self.answers.get(name)
                if answers:
                    return answers.pop(0) if len(answers) > 1 else answers[0]
                self.changed.wait(0.02)
            connection.setblocking(False)
            try:
                if connection.recv(1, socket.MSG_PEEK) == b"":
                    call.closed = True
            except BlockingIOError:
                pass
            except OSError:
                call.closed = True
            finally:
                if connection.fileno() >= 0:
                    connection.setblocking(True)
            if call.closed or connection.fileno() < 0:
                return None

    def answer(self, name, status=200, headers=(), body=b"answered\n", then=()):
        """then: statuses of the answers that follow this one."""
        made = []
        for code in (status, *then):
            lines = [f"HTTP/1.1 {code} X", f"Content-Length: {len(body)}", "Connection: close", *headers]
            made.append("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
            headers = ()
        with self.changed:
            self.answers[name] = made
            self.changed.notify_all()

    def halve(self, name):
        """The first call gets a half of its reply at once, and then waits."""
        self.halved.add(name)

    def calls(self, name):
        with self.changed:
            return list(self.heard.get(name, ()))

    def await_calls(self, name, count=1):
        def heard():
            calls = self.calls(name)
            return calls if len(calls) >= count else None
        return until(heard, f"call {count} of /{name}", PATIENCE)

    def kill(self, name):
        """As if the target had died under its last call: the connection is reset."""
        call = self.calls(name)[-1]
        reset(call.connection)

    def close(self):
        self.listener.close()


def nobody():
    """The URL of a port where nobody listens."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{s.getsockname()[1]}"
