"""One row of a table: a request, and what the agent server itself answers to it."""

from .opening import COMPLETE
from .verdict import Answer


class Row:
    """A request, and the agent server's own answer to it."""

    def __init__(
        self,
        name: str,
        target: str,
        answer: Answer,
        *fields: str,
        method: str = "GET",
        version: str = "HTTP/1.1",
        host: str | None = None,
        opening: tuple[str, ...] = COMPLETE,
        body: str = "",
    ):
        self.name, self.target, self.answer, self.fields = name, target, answer, fields
        self.method, self.version, self.host, self.opening, self.body = method, version, host, opening, body

    def bytes(self, address: tuple[str, int], conversation: str) -> bytes:
        """The request as it goes over the wire."""
        authority = f"{address[0]}:{address[1]}"
        target = self.target
        for name, value in {
            "{events}": f"/sockets/events/{conversation}",
            "{session}": f"/sockets/session/{conversation}",
            "{bash}": "/sockets/bash-events",
            "{hex}": conversation.replace("-", ""),
            "{authority}": authority,
        }.items():
            target = target.replace(name, value)
        lines = [f"{self.method} {target} {self.version}", f"Host: {self.host or authority}", *self.opening, *self.fields]
        return "\r\n".join([*lines, "", self.body]).encode("latin-1")
