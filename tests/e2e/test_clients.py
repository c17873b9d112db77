"""Real clients hold a conversation with the real agent server, directly and through the gateway."""

import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from harness.credentials import LATIN, ONE, RESERVED, TWO, WRONG
from harness.model import answer_to
from harness.process import clean_environment

TIMEOUT = 30
OFFICIAL_SDK = Path(__file__).parent / "clients" / "official_sdk.py"


def test_the_official_sdk_holds_a_conversation(way, model, tmp_path):
    environment = clean_environment(tmp_path, LITELLM_LOCAL_MODEL_COST_MAP="True", OPENHANDS_SUPPRESS_BANNER="1")
    if way.certificate:
        environment["SSL_CERT_FILE"] = str(way.certificate.path)
    said = ["first", "second"]
    client = subprocess.run(
        [sys.executable, str(OFFICIAL_SDK), way.url, RESERVED, json.dumps(model.settings), *said],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
    )
    assert client.returncode == 0, client.stderr.decode()[-2000:]
    answers = [json.loads(line) for line in client.stdout.splitlines() if line.startswith(b'"')]
    assert answers == [answer_to(message) for message in said]


def open_socket(way, conversation: str, query: str = "", fields: dict[str, str] | None = None) -> ClientConnection:
    url = f"{way.socket_url}/sockets/events/{conversation}{query}"
    return connect(url, additional_headers=fields, ssl=way.tls, open_timeout=TIMEOUT)


@pytest.mark.parametrize("credential", [ONE, TWO, RESERVED, LATIN])
def test_a_socket_with_the_key_in_the_query(way, new_conversation, credential):
    query = f"?resend_all=true&session_api_key={quote(credential, safe='')}"
    with open_socket(way, new_conversation, query) as socket:
        hold_conversation(socket, "by query")


def test_a_socket_with_the_key_in_the_field(way, new_conversation):
    with open_socket(way, new_conversation, fields={"X-Session-API-Key": ONE}) as socket:
        hold_conversation(socket, "by field")


def test_a_socket_with_the_key_in_the_first_message(way, new_conversation):
    with open_socket(way, new_conversation, "?resend_mode=all") as socket:
        socket.send(json.dumps({"type": "auth", "session_api_key": ONE}))
        hold_conversation(socket, "by first message")


@pytest.mark.parametrize("query, fields", [(f"?session_api_key={WRONG}", {}), ("", {"X-Session-API-Key": WRONG})], ids=["query", "field"])
def test_a_wrong_key_is_refused_as_ever(way, query, fields):
    with pytest.raises(InvalidStatus) as refused:
        open_socket(way, way.conversation, query, fields)
    assert refused.value.response.status_code == 403
    assert refused.value.response.body == b""


def test_a_message_of_many_segments_passes_whole(way, new_conversation):
    """Hard to compress, so that permessage-deflate does not make it small."""
    noise = "".join(chr(0x4E00 + (index * index * 7919) % 20011) for index in range(300_000))
    with open_socket(way, new_conversation, f"?session_api_key={ONE}") as socket:
        hold_conversation(socket, noise)


def test_a_ping_is_answered(way):
    with open_socket(way, way.conversation, f"?session_api_key={ONE}") as socket:
        assert socket.ping(b"are you there").wait(TIMEOUT)


def hold_conversation(socket: ClientConnection, message: str) -> None:
    """Says something as the user, and reads events until the agent has answered."""
    socket.send(json.dumps({"role": "user", "content": [{"type": "text", "text": message}]}))
    while True:
        event = json.loads(socket.recv(timeout=TIMEOUT))
        if event["kind"] == "MessageEvent" and event["source"] == "agent":
            assert event["llm_message"]["content"][0]["text"] == answer_to(message)
            return
