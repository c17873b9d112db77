"""A client that sends exactly the bytes it is given, over TCP or TLS, and reads frames by hand."""

import os
import socket
import ssl
import struct
import zlib
from dataclasses import dataclass

TIMEOUT = 8  # less than the agent server's 10 s for a first message, which must not decide a verdict

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


@dataclass(frozen=True)
class Head:
    """A response head: its first line and its field lines, as they came."""

    status_line: str
    fields: tuple[tuple[str, str], ...]

    @property
    def status(self) -> int:
        return int(self.status_line.split(" ")[1])

    def values(self, name: str) -> list[str]:
        return [value for field, value in self.fields if field.lower() == name.lower()]


class Connection:
    """One connection; use it as a context manager."""

    def __init__(self, address: tuple[str, int], tls: ssl.SSLContext | None = None):
        stream = socket.create_connection(address, timeout=TIMEOUT)
        self._stream = tls.wrap_socket(stream, server_hostname="localhost") if tls else stream
        self._read = b""
        self._inflate = None

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_) -> None:
        self._stream.close()

    def wait_at_most(self, seconds: float) -> None:
        self._stream.settimeout(seconds)

    def send(self, data: bytes) -> None:
        self._stream.sendall(data)

    def read_head(self) -> Head:
        lines = self._read_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        fields = tuple(tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:])
        head = Head(lines[0], fields)
        if any("permessage-deflate" in value for value in head.values("Sec-WebSocket-Extensions")):
            self._inflate = zlib.decompressobj(wbits=-15)
        return head

    def read_body(self, head: Head) -> bytes:
        """What `Content-Length` or the chunks announce, else everything until the peer closes."""
        if head.values("Transfer-Encoding") == ["chunked"]:
            body = b""
            while size := int(self._read_until(b"\r\n"), 16):
                body += self._read_exactly(size)
                self._read_exactly(2)
            self._read_until(b"\r\n")
            return body
        lengths = head.values("Content-Length")
        return self._read_exactly(int(lengths[0])) if lengths else self.read_to_end()

    def read_to_end(self) -> bytes:
        while self._receive():
            pass
        rest, self._read = self._read, b""
        return rest

    def read_frame(self) -> tuple[int, bytes]:
        """The opcode and payload of the next frame; a message of one frame is inflated where it has to be."""
        first, second = self._read_exactly(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack(">H", self._read_exactly(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self._read_exactly(8))
        assert not second & 0x80, "a server's frame is never masked"
        assert first & 0x80, "the agent server sends every message as one frame"
        payload = self._read_exactly(length)
        if first & 0x40:
            assert self._inflate, "a compressed frame without permessage-deflate"
            payload = self._inflate.decompress(payload + b"\x00\x00\xff\xff")
        return first & 0x0F, payload

    def send_frame(self, opcode: int, payload: bytes) -> None:
        self.send(frame(opcode, payload))

    def _read_until(self, end: bytes) -> bytes:
        while end not in self._read:
            assert self._receive(), f"the connection ended before {end!r}; it had sent {self._read!r}"
        head, _, self._read = self._read.partition(end)
        return head

    def _read_exactly(self, count: int) -> bytes:
        while len(self._read) < count:
            assert self._receive(), f"the connection ended {count - len(self._read)} bytes too early"
        data, self._read = self._read[:count], self._read[count:]
        return data

    def _receive(self) -> bool:
        try:
            data = self._stream.recv(65536)
        except (ConnectionResetError, ssl.SSLEOFError):
            return False
        self._read += data
        return bool(data)


def frame(opcode: int, payload: bytes) -> bytes:
    """One masked frame, as a client must send it."""
    mask = os.urandom(4)
    length = len(payload)
    size = struct.pack(">B", 0x80 | length) if length < 126 else struct.pack(">BH", 0x80 | 126, length)
    return bytes([0x80 | opcode]) + size + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
