"""SIGTERM while sockets are busy: everybody is told 1012 between two frames, and nobody is held up by who is not."""

import asyncio
import signal
import subprocess
import time
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close

from harness import official_sdk
from harness.certificate import Certificate
from harness.credentials import ONE
from harness.gateway import Gateway
from harness.model import answer_to
from harness.opening import COMPLETE
from harness.raw import CLOSE

BUSY = 100
RESTART = 1012


@asynccontextmanager
async def echo_server():
    """Sends back what comes, and notes with which code each socket was closed."""
    codes = []

    async def echo(socket):
        try:
            async for message in socket:
                await socket.send(message)
        except ConnectionClosed:
            pass
        finally:
            codes.append(socket.protocol.close_rcvd and socket.protocol.close_rcvd.code)

    async with serve(echo, "127.0.0.1", 0, compression=None, max_size=None) as server:
        yield server.sockets[0].getsockname()[1], codes


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def draining(request, tmp_path):
    """Opens a gateway in front of an echo server; one of its own for each test, since it ends."""
    certificate = Certificate(tmp_path) if request.param else None

    @asynccontextmanager
    async def started():
        async with echo_server() as (port, codes):
            gateway = Gateway(tmp_path, f"http://127.0.0.1:{port}", certificate, drain_timeout="6s", log="info")
            await asyncio.to_thread(gateway.ready)
            try:
                yield gateway, codes
            finally:
                await asyncio.to_thread(gateway.stop)

    return started


async def talk(socket, has_begun: asyncio.Event) -> Close:
    """Says something again and again, checks each echo, and gives back the Close frame that ends it."""
    try:
        for count in range(1_000_000):
            await socket.send(f"{count}")
            assert await socket.recv() == f"{count}"
            has_begun.set()
    except ConnectionClosed as closed:
        assert closed.rcvd is not None, "cut without a Close frame"
        assert closed.sent is not None, "the Close frame was not answered"
        return closed.rcvd
    pytest.fail("it goes on and on")


async def ended(gateway: Gateway) -> float:
    """Waits for the process, and gives back when it ended. `stop` looks at its exit code."""
    await asyncio.to_thread(gateway.process.wait)
    return time.monotonic()


async def open_busy_sockets(gateway: Gateway, stack: AsyncExitStack) -> list[asyncio.Task]:
    url = gateway.url.replace("http", "ws", 1) + f"/sockets/echo?session_api_key={ONE}"
    talks = []
    for _ in range(BUSY):
        socket = await stack.enter_async_context(connect(url, ssl=gateway.tls, compression=None))
        begun = asyncio.Event()
        talks.append((asyncio.create_task(talk(socket, begun)), begun))
    for _, begun in talks:
        await asyncio.wait_for(begun.wait(), 20)
    return [task for task, _ in talks]


def open_raw(gateway: Gateway):
    connection = gateway.connect()
    lines = [f"GET /sockets/echo?session_api_key={ONE} HTTP/1.1", "Host: localhost", *COMPLETE, "", ""]
    connection.send("\r\n".join(lines).encode())
    assert connection.read_head().status == 101
    return connection


async def test_busy_sockets_are_all_told_and_the_process_ends_with_the_last(draining):
    async with draining() as (gateway, codes), AsyncExitStack() as stack:
        talks = await open_busy_sockets(gateway, stack)
        gateway.process.signal(signal.SIGTERM)
        closes = await asyncio.wait_for(asyncio.gather(*talks), 20)
        last = time.monotonic()
        assert await ended(gateway) - last < 1
    assert {close.code for close in closes} == {RESTART}
    # The agent server's side was told too, each socket once.
    assert codes == [RESTART] * BUSY


async def test_a_message_under_way_is_finished_first(draining):
    mask = bytes(4)
    length = 4096
    first = bytes([0x01, 0x80 | 3]) + mask + b"one"
    large = bytes([0x82, 0xFE]) + length.to_bytes(2) + mask + bytes(length)
    async with draining() as (gateway, _), AsyncExitStack() as stack:
        fragmented, halfway = [stack.enter_context(await asyncio.to_thread(open_raw, gateway)) for _ in range(2)]
        fragmented.send(first)
        halfway.send(large[:1000])
        gateway.process.signal(signal.SIGTERM)
        for connection in (fragmented, halfway):
            opcode, payload = await asyncio.to_thread(connection.read_frame)
            assert (opcode, int.from_bytes(payload[:2])) == (CLOSE, RESTART)
        # Between two fragments a Close frame may stand; inside a frame it may not.
        halfway.send(large[1000:])
        for connection in (fragmented, halfway):
            connection.send(bytes([0x88, 0x82]) + mask + RESTART.to_bytes(2))
        for connection in (fragmented, halfway):
            assert await asyncio.to_thread(connection.read_to_end) == b""
        last = time.monotonic()
        assert await ended(gateway) - last < 1


async def test_who_never_answers_is_cut_and_holds_nobody_up(draining):
    async with draining() as (gateway, _), AsyncExitStack() as stack:
        silent = stack.enter_context(await asyncio.to_thread(open_raw, gateway))
        talks = await open_busy_sockets(gateway, stack)
        began = time.monotonic()
        gateway.process.signal(signal.SIGTERM)
        closes = await asyncio.wait_for(asyncio.gather(*talks), 20)
        others = time.monotonic() - began
        opcode, payload = await asyncio.to_thread(silent.read_frame)
        assert (opcode, int.from_bytes(payload[:2])) == (CLOSE, RESTART)
        end = await ended(gateway) - began
    assert {close.code for close in closes} == {RESTART}
    assert others < 5.5 < 6 <= end < 8, f"the others were gone after {others} s, and it after {end} s"
    assert b"what was still open has been cut" in gateway.process.errors


def test_the_official_sdk_comes_back_after_a_restart(agent_server_behind, model, tmp_path):
    """It is told 1012, finds the next gateway at the same address, and its conversation goes on."""

    def start(name: str, port: int = 0) -> Gateway:
        (tmp_path / name).mkdir()
        return Gateway(tmp_path / name, agent_server_behind.url, port=port).ready()

    gateway = start("before")
    with subprocess.Popen(
        official_sdk.command(gateway.url, ONE, model.settings, "first", "second"),
        cwd=tmp_path,
        env=official_sdk.environment(tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as client:
        answers = official_sdk.answers(client.stdout)
        try:
            assert next(answers) == answer_to("first")
            gateway.stop()
            assert b'"closed_by":"gateway"' in gateway.process.output and b'"close_code":1012' in gateway.process.output
            gateway = start("after", gateway.port)
            gateway.process.wait_for(r'"event":"handshake".*"outcome":"upgraded"', "output", 45)
            client.stdin.write("\n")
            client.stdin.flush()
            assert next(answers) == answer_to("second")
            assert client.wait(60) == 0
        finally:
            client.kill()
            gateway.stop()
