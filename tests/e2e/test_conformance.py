"""The conformance cases of Autobahn (`kosoku`): a client of the gateway sees in each what a client of
the server itself sees.

All 517 cases are run. Those of compression (12.* and 13.*) send up to 200 messages or 1 MiB each
where Autobahn sends 1,000 messages: their full form takes more than six minutes a run, three times
over. `kosoku` has no TLS, so that is tried between two gateways, where one is the other's client.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from harness.certificate import Certificate
from harness.conformance import differences, echo_server, run_cases
from harness.gateway import Gateway

# What `kosoku` 0.1.0 has; a run that ends early must not pass for one without a difference.
CASES = 517
PASSED = {"'OK'", "'NON-STRICT'", "'INFORMATIONAL'"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The three runs at the same time, each with an echo server of its own: about a minute."""
    with ExitStack() as programs:

        def folder(name: str):
            return tmp_path_factory.mktemp(name)

        def server() -> tuple[str, int]:
            process, address = echo_server(folder("echo"))
            programs.callback(process.stop)
            return address

        def gateway(name: str, upstream: str, **options) -> Gateway:
            gateway = Gateway(folder(name), upstream, log="info", **options).ready()
            programs.callback(gateway.stop)
            return gateway

        def url(address: tuple[str, int]) -> str:
            return f"http://{address[0]}:{address[1]}"

        certificate = Certificate(folder("certificate"))
        far = gateway("far", url(server()), certificate=certificate)
        ways = {
            "bare": server(),
            "plain": gateway("plain", url(server())).address,
            "tls": gateway("near", far.url, upstream_ca=certificate.path).address,
        }
        with ThreadPoolExecutor(len(ways)) as pool:
            running = {name: pool.submit(run_cases, address, folder(name)) for name, address in ways.items()}
            yield {name: run.result() for name, run in running.items()}


def test_the_echo_server_alone_passes_every_case(runs):
    """Else what follows would compare failures."""
    bare = runs["bare"]
    assert len(bare) == CASES
    failed = {case: result for case, result in bare.items() if not {result["behavior.value"], result["behavior_close.value"]} <= PASSED}
    assert not failed


@pytest.mark.parametrize("way", ["plain", "tls"])
def test_through_the_gateway_no_case_differs(runs, way):
    found = differences(runs["bare"], runs[way])
    assert not found, "these cases differ:\n" + "\n".join(found)


async def test_the_comparison_sees_one_byte_that_is_changed_on_the_way(tmp_path):
    """A close code that is not the server's: every case in which the server sends one is named."""
    process, address = echo_server(tmp_path)
    try:
        bare = await asyncio.to_thread(run_cases, address, tmp_path, "1.1.*", "7.7.*")
        async with await _mangling(address) as mangling:
            mangled = await asyncio.to_thread(run_cases, mangling.sockets[0].getsockname(), tmp_path, "1.1.*", "7.7.*")
    finally:
        process.stop()
    assert differences(bare, bare) == []
    found = differences(bare, mangled)
    closed_with_1000 = {case for case, result in bare.items() if result["remote_close_code"] == "1000"}
    assert len(closed_with_1000) >= 8
    assert {line.split(":")[0] for line in found} == closed_with_1000
    assert "1.1.1: remote_close_code: bare 1000, through 1001" in found


def test_the_comparison_names_what_is_missing_and_what_differs():
    one = {"1.1": {"result": "a", "code": "1000"}, "1.2": {"result": "a"}}
    other = {"1.1": {"result": "a", "code": "1001"}, "1.10": {"result": "a"}}
    assert differences(one, other) == [
        "1.1: code: bare 1000, through 1001",
        "1.2: was run one way only",
        "1.10: was run one way only",
    ]


async def _mangling(address: tuple[str, int]) -> asyncio.Server:
    """A way to `address` on which the close code 1000 becomes 1001."""

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *change: bytes) -> None:
        while data := await reader.read(65536):
            writer.write(data.replace(*change))
        writer.write_eof()

    async def serve(from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection(*address)
        await asyncio.gather(
            pass_on(from_client, to_server, b"", b"", 0),
            pass_on(from_server, to_client, b"\x88\x02\x03\xe8", b"\x88\x02\x03\xe9"),
        )
        to_client.close()
        to_server.close()

    return await asyncio.start_server(serve, "127.0.0.1", 0)
