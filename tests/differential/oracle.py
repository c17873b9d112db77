"""What an agent server on Starlette reads of an opening handshake: the judge of the test.

A question a line on standard input, an answer a line on standard output, in order, both JSON; see
oracle.rs for their members.
"""

import json
import sys
from functools import lru_cache

import h11
from starlette.datastructures import QueryParams
from starlette.websockets import WebSocket

PARAMETER = "session_api_key"
FIELD = "x-session-api-key"

# One head in this many is read by h11, as the agent server reads it, and not just split.
READ_BY_H11 = 16


def presented(query: bytes, fields: list[tuple[bytes, bytes]]) -> tuple[str, str | None]:
    """The agent server's own rule: the query if it is there, else the first field line."""
    scope = {"type": "websocket", "path": "/", "query_string": query, "headers": fields}
    socket = WebSocket(scope, receive=None, send=None)
    key = socket.query_params.get(PARAMETER)
    if key is not None:
        return "query", key
    key = socket.headers.get(FIELD)
    return ("none" if key is None else "field"), key


@lru_cache(maxsize=100_000)
def is_parameter(segment: str) -> bool:
    return PARAMETER in QueryParams(segment)


def is_usable(key: str | None) -> bool:
    """Whether a field can carry the key unchanged."""
    if not key or key != key.strip():
        return False
    return all("\x20" <= character <= "\xff" and character != "\x7f" for character in key)


def split(head: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    fields = [line.partition(b":") for line in lines[1:]]
    return lines[0].split(b" ")[1], [(name.lower(), value.strip(b" \t")) for name, _, value in fields]


def read(head: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(head)
    request = connection.next_event()
    assert isinstance(request, h11.Request), request
    assert connection.trailing_data[0] == b"", "something follows the head"
    return request.target, list(request.headers)


def through(head: bytes, number: int) -> dict:
    target, fields = split(head)
    if number % READ_BY_H11 == 0:
        assert read(head) == (target, fields), "h11 reads another head"
    path, _, query = target.partition(b"?")
    assert path == b"/sockets/events/1", path
    source, key = presented(query, fields)
    return {"source": source, "key": key, "query": query.decode("latin-1")}


def main() -> None:
    for number, line in enumerate(sys.stdin):
        question = json.loads(line)
        query, head = question["query"], question["head"]
        # A server takes the white space around a field's value away.
        fields = [(FIELD.encode(), value.strip(" \t").encode("latin-1")) for value in question["fields"]]
        source, key = presented(query.encode("latin-1"), fields)
        others = [segment for segment in query.split("&") if not is_parameter(segment)]
        answer = {
            "source": source,
            "key": key,
            "is_usable": is_usable(key),
            "occurrences": query.count("&") + 1 - len(others),
            "left": "&".join(others),
            "through": None if head is None else through(head.encode("latin-1"), number),
        }
        print(json.dumps(answer))


main()
