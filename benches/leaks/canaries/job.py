"""Which parts of the job a product does: what its upstream sees of an opening handshake."""

import contextlib
import socket
import socketserver
import threading

FIELD = "x-session-api-key"
SPELT = "session_api_key"
# The target, what the client's own field says, and what has to go on as the target and as the field.
JOB = {
    "parameter moved to the field": (f"/sockets/1?{SPELT}=one&after=1", None, "/sockets/1?after=1", ["one"]),
    "it overrides the field": (f"/sockets/1?{SPELT}=one", "other", "/sockets/1", ["one"]),
    "percent-encoded name": ("/sockets/1?%73ession%5fapi%5Fkey=one", None, "/sockets/1", ["one"]),
    "rest as it came": (f"/sockets/1?a=%2B1&{SPELT}=one&b=x%2520y+z&c", None, "/sockets/1?a=%2B1&b=x%2520y+z&c", ["one"]),
    "last of several": (f"/sockets/1?{SPELT}=one&{SPELT}=two", None, "/sockets/1", ["two"]),
}


class Upstream(socketserver.ThreadingTCPServer):
    """Answers everything with 200, and keeps the last opening handshake that it got."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port):
        self.last = None
        super().__init__(("127.0.0.1", port), Answer)


class Answer(socketserver.StreamRequestHandler):
    timeout = 5

    def handle(self):
        with contextlib.suppress(OSError):
            lines = read_head(self.rfile).split("\r\n")
            fields = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines[1:])]
            if ("upgrade", "websocket") in fields:
                target = lines[0].split(" ")[1]
                self.server.last = (target, [value for name, value in fields if name == FIELD])
            # A connection that a product keeps would lead to this upstream when its time is over.
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def read_head(file):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = file.readline(65536)
        if not line:
            return ""
        head += line
    return head.decode("latin-1").rstrip("\r\n")


@contextlib.contextmanager
def upstream(port):
    """One that serves until the block ends, and has left its port by then."""
    with Upstream(port) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def done(port, server):
    """Of each part whether it is done."""
    return {part: seen(port, server, target, field) == (target_out, field_out)
            for part, (target, field, target_out, field_out) in JOB.items()}


def seen(port, server, target, field):
    own = f"X-Session-API-Key: {field}\r\n" if field else ""
    server.last = None
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall((
            f"GET {target} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{own}\r\n"
        ).encode())
        client.recv(1)
    return server.last
