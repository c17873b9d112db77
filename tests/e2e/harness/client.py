"""A client by the `websockets` package: what most programs that speak WebSocket are like."""

import asyncio
import json

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from .model import answer_to

TIMEOUT = 30


def open_events(way, conversation: str, query: str = "", fields: dict[str, str] | None = None, **options) -> connect:
    """The events of a conversation, as an asynchronous context manager."""
    url = f"{way.socket_url}/sockets/events/{conversation}{query}"
    return connect(url, additional_headers=fields, ssl=way.tls, open_timeout=TIMEOUT, proxy=None, **options)


async def receive(socket: ClientConnection) -> dict:
    """The next event."""
    async with asyncio.timeout(TIMEOUT):
        return json.loads(await socket.recv())


async def hold_conversation(socket: ClientConnection, message: str) -> None:
    """Says something as the user, and reads events until the agent has answered."""
    await socket.send(json.dumps({"role": "user", "content": [{"type": "text", "text": message}]}))
    while True:
        event = await receive(socket)
        if event["kind"] == "MessageEvent" and event["source"] == "agent":
            assert event["llm_message"]["content"][0]["text"] == answer_to(message)
            return


async def end_of(socket: ClientConnection) -> tuple[int, str]:
    """The code and reason that the peer closes with, after whatever else it has to say."""
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            await receive(socket)
    assert closed.value.rcvd, "the connection ended without a closing frame"
    return closed.value.rcvd.code, closed.value.rcvd.reason
