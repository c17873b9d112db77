"""How sockets end: every close code of the agent server's reaches the client as it was sent."""

import asyncio
from contextlib import AsyncExitStack, ExitStack

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from harness.agent_server import AgentServer
from harness.client import end_of, hold_conversation, open_events, receive
from harness.credentials import ONE
from harness.gateway import Gateway
from harness.way import Way

QUERY = f"?session_api_key={ONE}"
LARGEST_MESSAGE = 16 * 1024 * 1024
# The agent server allows fifty, and has a few subscribers of its own.
SURELY_ALLOWED, SURELY_TOO_MANY = 40, 51


async def test_too_large_a_message_is_told_as_such(way, new_conversation):
    async with open_events(way, new_conversation, QUERY, compression=None, max_size=None) as socket:
        await socket.send("x" * (LARGEST_MESSAGE + 1))
        assert await end_of(socket) == (1009, f"Message exceeds the maximum size ({LARGEST_MESSAGE} bytes)")


async def test_one_subscriber_too_many_is_told_as_such(way, new_conversation):
    async with AsyncExitStack() as sockets:
        for count in range(SURELY_TOO_MANY):
            socket = await sockets.enter_async_context(open_events(way, new_conversation, QUERY))
            try:
                await receive(socket)
            except ConnectionClosed:
                assert count >= SURELY_ALLOWED
                assert await end_of(socket) == (1013, "Too many connections for this conversation")
                return
    pytest.fail("the agent server allows any number of subscribers")


async def test_the_agent_server_may_go_away_and_come_back(model, tmp_path):
    """Its own 1012 arrives, then the gateway says 502, and needs no restart when it is back."""
    with ExitStack() as programs:

        def folder(name: str):
            (tmp_path / name).mkdir()
            return tmp_path / name

        def start(name: str, port: int | None = None) -> AgentServer:
            server = AgentServer(name, folder(name), port)
            programs.callback(server.stop)
            return server.ready()

        server = start("before")
        gateway = Gateway(folder("gateway"), server.url).ready()
        programs.callback(gateway.stop)

        way = Way(gateway.url, gateway.address, server, server.start_conversation(model.settings), gateway)
        async with open_events(way, way.conversation, QUERY) as socket:
            await receive(socket)
            # It waits for the closing handshake, so the client must be free to answer.
            stopping = asyncio.create_task(asyncio.to_thread(server.stop))
            assert (await end_of(socket))[0] == 1012
            await stopping

        with pytest.raises(InvalidStatus) as refused:
            await open_events(way, way.conversation, QUERY)
        assert refused.value.response.status_code == 502

        server = start("after", server.port)
        async with open_events(way, server.start_conversation(model.settings), QUERY) as socket:
            await hold_conversation(socket, "welcome back")
