"""A place between two programs at which everything that passes is kept."""

import socket
import threading


class Tap:
    """Passes on to `address` what comes, and back what is answered."""

    def __init__(self, address: tuple[str, int]):
        self._to = address
        self._asked, self._answered = bytearray(), bytearray()
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> tuple[str, int]:
        return self._listener.getsockname()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.address[1]}"

    @property
    def asked(self) -> bytes:
        return bytes(self._asked)

    @property
    def answered(self) -> bytes:
        return bytes(self._answered)

    def stop(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._to)
            except OSError:
                return  # one of the three has ended
            for one, other, kept in (client, server, self._asked), (server, client, self._answered):
                threading.Thread(target=_pass_on, args=(one, other, kept), daemon=True).start()


def _pass_on(one: socket.socket, other: socket.socket, kept: bytearray) -> None:
    try:
        while chunk := one.recv(65536):
            kept += chunk
            other.sendall(chunk)
        other.shutdown(socket.SHUT_WR)
    except OSError:
        other.close()
