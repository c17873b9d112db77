"""Sends an opening handshake and says what came of it.

A `101` alone says little: the agent server gives it before it has seen a key too, and then waits for
a first message. So each verdict is brought about by a frame of ours, never by waiting for silence:
the agent server ignores a redundant message of authentication once it is satisfied, and closes with
4001 when this was the first message it waited for.
"""

import json
from dataclasses import dataclass

from .opening import accept
from .raw import CLOSE, PING, PONG, TEXT, Connection, Head


@dataclass(frozen=True)
class Answer:
    """A status line as the agent server writes it, and what became of the socket."""

    status_line: str
    socket: str = "none"


_SWITCHING = "HTTP/1.1 101 Switching Protocols"
AUTHENTICATED = Answer(_SWITCHING, "authenticated")
WAITING = Answer(_SWITCHING, "waiting for a first message")
NOT_FOUND = Answer(_SWITCHING, "closed with 4004")
# The agent server gives no reason phrase to what it decides before it switches protocols.
REFUSED = Answer("HTTP/1.1 403 ")
MALFORMED = Answer("HTTP/1.1 400 ")
VERSION = Answer("HTTP/1.1 426 ")
UNPARSED = Answer("HTTP/1.1 400 Bad Request")
NO_ROUTE = Answer("HTTP/1.1 404 Not Found")

_WRONG_AUTHENTICATION = b'{"type":"auth","session_api_key":""}'
# The bash socket says nothing of its own accord; once authenticated it complains about this.
_NO_BASH_COMMAND = b'{"type":"no command"}'


def judge(connection: Connection, request: bytes) -> tuple[Answer, Head]:
    """The answer to a request, and the whole response head for those who want more of it."""
    connection.send(request)
    head = connection.read_head()
    if head.status != 101:
        connection.read_body(head)
        return Answer(head.status_line), head
    assert head.values("Sec-WebSocket-Accept") == [accept(request)], head
    is_bash = b"bash" in request.split(b"\r\n")[0]
    connection.send_frame(TEXT, _NO_BASH_COMMAND if is_bash else _WRONG_AUTHENTICATION)
    return Answer(head.status_line, verdict(connection)), head


def verdict(connection: Connection) -> str:
    """What the first message or closing frame says; pings are answered on the way."""
    while True:
        opcode, payload = connection.read_frame()
        if opcode == PING:
            connection.send_frame(PONG, payload)
        elif opcode == CLOSE:
            code = int.from_bytes(payload[:2], "big")
            return WAITING.socket if code == 4001 else f"closed with {code}"
        elif opcode == TEXT:
            return AUTHENTICATED.socket if _is_for_the_authenticated(json.loads(payload)) else f"sent {payload!r}"


def _is_for_the_authenticated(message: dict) -> bool:
    # The events socket begins with the state, the session socket with `sync`.
    return message.get("kind") in ("ConversationStateUpdateEvent", "BashError") or message.get("type") == "sync"
