"""What the two logs say of a socket whose key was in the URL."""

import json

import pytest

from harness import leaks
from harness.credentials import ONE, STRAY
from harness.row import Row
from harness.verdict import AUTHENTICATED, judge
from rows import ROWS


def test_without_the_gateway_the_key_is_in_the_log(direct):
    """The disease, and the proof that the search of the other agent server's log can find it."""
    with direct.connect() as connection:
        row = Row("", f"{{events}}?session_api_key={ONE}&from=directly", AUTHENTICATED)
        judge(connection, row.bytes(direct.address, direct.conversation))
    log = direct.agent_server.process
    log.wait_for(r"from=directly[^\n]*\[accepted\]")
    assert leaks.find([ONE], log.errors)


@pytest.mark.parametrize("spelling", ["session_api_key=secret-one", "%73ession%5Fapi%5Fke%79=secret%2Done"])
def test_with_the_gateway_the_rest_of_the_query_is_there_byte_for_byte(through, spelling):
    mark = f"{through.address[1]}-{len(spelling)}"
    query = f"a=%2b+%7E&{spelling}&&resend_mode=all&mark={mark}"
    with through.connect() as connection:
        answer, _ = judge(connection, Row("", "{events}?" + query, AUTHENTICATED).bytes(through.address, through.conversation))
    assert answer == AUTHENTICATED
    line = through.agent_server.process.wait_for(rf"WebSocket /sockets/events/\S*mark={mark}[^\n]*\[accepted\]")
    assert b"?a=%2b+%7E&&resend_mode=all&mark=" in line[0]


@pytest.mark.parametrize("name", ["SESSION_API_KEY", "session-api-key", "session%255Fapi_key", "session_api_key%00", "session_api_key[]"])
def test_a_look_alike_is_another_application_s_and_is_forwarded(through, name):
    mark = f"{through.address[1]}-{sum(name.encode())}"
    query = f"{name}={STRAY}&session_api_key={ONE}&{name}&mark={mark}"
    with through.connect() as connection:
        answer, _ = judge(connection, Row("", "{events}?" + query, AUTHENTICATED).bytes(through.address, through.conversation))
    assert answer == AUTHENTICATED
    line = through.agent_server.process.wait_for(rf"WebSocket /sockets/events/\S*mark={mark}[^\n]*\[accepted\]")
    assert f"?{name}={STRAY}&{name}&mark={mark}".encode() in line[0]


def test_the_access_log_says_where_the_key_was(through):
    """One record when the handshake is answered, one when the socket ends, both without the query."""
    log = through.gateway.process
    before = len(log.output)
    row = Row("", f"{{session}}?session_api_key={ONE}&x=1", AUTHENTICATED)
    with through.connect() as connection:
        judge(connection, row.bytes(through.address, through.conversation))
    mine = rf'"target":"/sockets/session/{through.conversation}\?…"'
    log.wait_for(rf'(?s)\A.{{{before}}}.*"event":"close"[^\n]*{mine}[^\n]*\n', "output")
    records = [json.loads(line) for line in log.output[before:].splitlines()]
    # The end of an earlier test's socket may be written in between.
    handshake, close = [record for record in records if "/sockets/session/" in record["target"]][-2:]
    assert (handshake["event"], close["event"]) == ("handshake", "close")
    assert handshake["request_id"] == close["request_id"]
    assert handshake["credential_source"] == close["credential_source"] == "query"
    assert handshake["status"] == 101
    assert handshake["caller"] is None


def test_every_line_on_standard_output_is_an_access_record(through):
    with through.connect() as connection:
        judge(connection, ROWS[0].bytes(through.address, through.conversation))
    log = through.gateway.process
    log.wait_for(r'"event":"handshake"', "output")
    whole_lines = log.output[: log.output.rindex(b"\n")].splitlines()
    assert {json.loads(line)["event"] for line in whole_lines} <= {"request", "handshake", "close"}
