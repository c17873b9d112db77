"""A key in the first message instead of the handshake: the gateway lets the two ends settle it."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.credentials import ONE, STRAY, STRAY_WRONG, WRONG
from harness.opening import COMPLETE
from harness.raw import BINARY, CLOSE, PING, PONG, TEXT, Connection, frame
from harness.row import Row
from harness.verdict import AUTHENTICATED, REFUSED, WAITING, judge, verdict

AUTHENTICATION_TIMEOUT = 10


def authentication(credential: object, **more: object) -> bytes:
    return json.dumps({"type": "auth", "session_api_key": credential, **more}).encode()


def opening(way, *fields: str, target: str = "{events}") -> bytes:
    return Row("", target, AUTHENTICATED, *fields, opening=COMPLETE).bytes(way.address, way.conversation)


def upgraded(connection: Connection, request: bytes) -> Connection:
    connection.send(request)
    assert connection.read_head().status == 101
    return connection


def first_message(way, opcode: int, payload: bytes) -> str:
    with way.connect() as connection:
        upgraded(connection, opening(way)).send_frame(opcode, payload)
        return verdict(connection)


@pytest.mark.parametrize("socket", ["{events}", "{session}"])
def test_a_good_key_is_enough(way, socket):
    with way.connect() as connection:
        upgraded(connection, opening(way, target=socket)).send_frame(TEXT, authentication(ONE))
        assert verdict(connection) == AUTHENTICATED.socket


def test_more_than_asked_for_is_accepted(way):
    assert first_message(way, TEXT, authentication(ONE, extra=1)) == AUTHENTICATED.socket


@pytest.mark.parametrize(
    "payload",
    [
        authentication(WRONG),
        authentication(""),
        authentication([ONE]),
        authentication(1),
        b'{"type":"auth"}',
        authentication(ONE).replace(b'"auth"', b'"authenticate"'),
        b"[]",
        b"no JSON",
    ],
    ids=["wrong", "empty", "list", "number", "missing", "other type", "array", "no JSON"],
)
def test_anything_else_closes_with_4001(way, payload):
    assert first_message(way, TEXT, payload) == WAITING.socket


def test_a_binary_message_ends_the_connection_without_a_closing_frame(way):
    with way.connect() as connection:
        upgraded(connection, opening(way)).send_frame(BINARY, authentication(ONE))
        assert connection.read_to_end() == b""


def test_a_ping_before_it_is_answered(way):
    with way.connect() as connection:
        upgraded(connection, opening(way)).send_frame(PING, b"early")
        assert connection.read_frame() == (PONG, b"early")
        connection.send_frame(TEXT, authentication(ONE))
        assert verdict(connection) == AUTHENTICATED.socket


def test_a_bad_field_decides_before_it(way):
    with way.connect() as connection:
        answer, _ = judge(connection, opening(way, f"X-Session-API-Key: {WRONG}"))
    assert answer == REFUSED


@pytest.mark.parametrize("credential", [STRAY, STRAY_WRONG], ids=["right", "wrong"])
def test_a_redundant_one_is_ignored(way, credential):
    with way.connect() as connection:
        upgraded(connection, opening(way, target=f"{{events}}?session_api_key={ONE}"))
        connection.send_frame(TEXT, authentication(credential))
        # Complaints come in order, so the first is about the message after the ignored one.
        connection.send_frame(TEXT, b'{"role":"nobody"}')
        assert b"nobody" in _complaint(connection)


def test_a_redundant_one_with_more_in_it_comes_back_word_for_word(way):
    with way.connect() as connection:
        upgraded(connection, opening(way, target=f"{{events}}?session_api_key={ONE}"))
        connection.send_frame(TEXT, authentication(STRAY, x=1))
        assert STRAY.encode() in _complaint(connection)
        connection.send_frame(PING, b"open")
        assert connection.read_frame() == (PONG, b"open")


def test_the_agent_server_waits_ten_seconds_for_it(direct, gateway, gateway_with_tls, way_through):
    """All three wait at the same time, which saves the suite 20 s."""

    def wait(way) -> tuple[str, float]:
        with way.connect() as connection:
            connection.wait_at_most(2 * AUTHENTICATION_TIMEOUT)
            begun = time.monotonic()
            upgraded(connection, opening(way))
            return verdict(connection), time.monotonic() - begun

    with ThreadPoolExecutor() as pool:
        for outcome, waited in pool.map(wait, [direct, way_through(gateway), way_through(gateway_with_tls)]):
            assert outcome == WAITING.socket
            assert waited >= AUTHENTICATION_TIMEOUT - 0.5


def test_one_in_the_same_segment_as_the_handshake_follows_it(through):
    """The agent server alone loses it; the gateway keeps it until the 101 and sends it then."""
    with through.connect() as connection:
        connection.send(opening(through) + frame(TEXT, authentication(ONE)))
        assert connection.read_head().status == 101
        assert verdict(connection) == AUTHENTICATED.socket


def test_a_closing_handshake_ends_both_sides(way):
    with way.connect() as connection:
        upgraded(connection, opening(way, f"X-Session-API-Key: {ONE}"))
        connection.send_frame(CLOSE, (1000).to_bytes(2, "big") + b"done")
        while (last := connection.read_frame())[0] != CLOSE:
            pass
        assert last == (CLOSE, (1000).to_bytes(2, "big") + b"done")
        assert connection.read_to_end() == b""


def _complaint(connection: Connection) -> bytes:
    """The next message that is an error of the agent server's."""
    while True:
        opcode, payload = connection.read_frame()
        assert opcode == TEXT, (opcode, payload)
        if json.loads(payload)["kind"] == "ServerErrorEvent":
            return payload
