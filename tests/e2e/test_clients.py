"""Real clients hold a conversation with the real agent server, directly and through the gateway."""

import asyncio
import json
from urllib.parse import quote

import pytest
from websockets.exceptions import InvalidStatus

from harness import official_sdk
from harness.client import TIMEOUT, hold_conversation, open_events
from harness.credentials import LATIN, ONE, RESERVED, TWO, WRONG


def test_the_official_sdk_holds_a_conversation(way, model, tmp_path):
    official_sdk.hold_conversation(way.url, RESERVED, model.settings, tmp_path, way.certificate)


@pytest.mark.parametrize("credential", [ONE, TWO, RESERVED, LATIN])
async def test_a_socket_with_the_key_in_the_query(way, new_conversation, credential):
    query = f"?resend_all=true&session_api_key={quote(credential, safe='')}"
    async with open_events(way, new_conversation, query) as socket:
        await hold_conversation(socket, "by query")


async def test_a_socket_with_the_key_in_the_field(way, new_conversation):
    async with open_events(way, new_conversation, fields={"X-Session-API-Key": ONE}) as socket:
        await hold_conversation(socket, "by field")


async def test_a_socket_with_the_key_in_the_first_message(way, new_conversation):
    async with open_events(way, new_conversation, "?resend_mode=all") as socket:
        await socket.send(json.dumps({"type": "auth", "session_api_key": ONE}))
        await hold_conversation(socket, "by first message")


@pytest.mark.parametrize("query, fields", [(f"?session_api_key={WRONG}", {}), ("", {"X-Session-API-Key": WRONG})], ids=["query", "field"])
async def test_a_wrong_key_is_refused_as_ever(way, query, fields):
    with pytest.raises(InvalidStatus) as refused:
        await open_events(way, way.conversation, query, fields)
    assert refused.value.response.status_code == 403
    assert refused.value.response.body == b""


async def test_a_message_of_many_segments_passes_whole(way, new_conversation):
    """Hard to compress, so that permessage-deflate does not make it small."""
    noise = "".join(chr(0x4E00 + (index * index * 7919) % 20011) for index in range(300_000))
    async with open_events(way, new_conversation, f"?session_api_key={ONE}") as socket:
        await hold_conversation(socket, noise)


async def test_a_ping_is_answered(way):
    async with open_events(way, way.conversation, f"?session_api_key={ONE}") as socket:
        async with asyncio.timeout(TIMEOUT):
            await (await socket.ping(b"are you there"))
