"""The fixtures: one agent server that is asked directly, one that only the gateways ask, and the gateways."""

import asyncio
import inspect
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import browser as chromium
from harness import leaks
from harness.agent_server import AgentServer
from harness.certificate import Certificate
from harness.credentials import NEVER_SEEN_BY_AGENT_SERVER_LOG
from harness.gateway import Gateway
from harness.model import Model
from harness.way import Way


@pytest.fixture(scope="session")
def certificate(tmp_path_factory) -> Certificate:
    return Certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="session")
def browser(tmp_path_factory, certificate):
    if chromium.program() is None:
        pytest.skip("there is no Chromium here")
    browser = chromium.Browser(tmp_path_factory.mktemp("chromium"), certificate)
    yield browser
    browser.stop()


@pytest.fixture(scope="session")
def model():
    model = Model()
    yield model
    model.stop()


@pytest.fixture(scope="session")
def agent_servers(tmp_path_factory):
    """Two of the same: what the first logs of direct requests must not count against the gateway."""
    servers = [AgentServer(name, tmp_path_factory.mktemp(name)) for name in ("asked-directly", "behind-gateway")]
    try:
        with ThreadPoolExecutor() as both:
            list(both.map(AgentServer.ready, servers))
        yield servers
    finally:
        for server in servers:
            server.stop()


@pytest.fixture(scope="session")
def direct(agent_servers, model) -> Way:
    server = agent_servers[0]
    return Way(server.url, server.address, server, server.start_conversation(model.settings))


@pytest.fixture(scope="session")
def agent_server_behind(agent_servers):
    """The agent server that only the gateways ask; in the end its whole log must be without keys."""
    directly_asked, behind = agent_servers
    yield behind
    behind.process.stop()
    log = behind.process.printed
    found = leaks.find(NEVER_SEEN_BY_AGENT_SERVER_LOG, log)
    assert not found, "a key reached the log of the agent server behind the gateway:\n" + "\n".join(found)
    assert b"/api/conversations" in log, "the log holds no request at all, so that it holds no key says nothing"


@pytest.fixture(scope="session")
def way_through(agent_server_behind, model):
    conversation = agent_server_behind.start_conversation(model.settings)
    return lambda gateway: Way(gateway.url, gateway.address, agent_server_behind, conversation, gateway)


@pytest.fixture(scope="session")
def gateway(agent_server_behind, tmp_path_factory):
    gateway = Gateway(tmp_path_factory.mktemp("gateway"), agent_server_behind.url).ready()
    yield gateway
    gateway.stop()


@pytest.fixture(scope="session")
def gateway_with_tls(agent_server_behind, tmp_path_factory, certificate):
    gateway = Gateway(tmp_path_factory.mktemp("gateway-tls"), agent_server_behind.url, certificate).ready()
    yield gateway
    gateway.stop()


@pytest.fixture(params=["gateway", "gateway_with_tls"], ids=["plain", "tls"])
def through(request, way_through):
    """Through the gateway, over each of its listeners; what it printed is searched after every test."""
    gateway = request.getfixturevalue(request.param)
    yield way_through(gateway)
    gateway.require_silent()


@pytest.fixture(params=["direct", "gateway", "gateway_with_tls"], ids=["direct", "plain", "tls"])
def way(request):
    """Every way there is: what a test says of it holds with and without the gateway."""
    if request.param == "direct":
        yield request.getfixturevalue("direct")
    else:
        gateway = request.getfixturevalue(request.param)
        yield request.getfixturevalue("way_through")(gateway)
        gateway.require_silent()


@pytest.fixture
def new_conversation(way, model) -> str:
    """The id of a conversation that no other test speaks in."""
    return way.agent_server.start_conversation(model.settings)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """A test may be a coroutine; each runs on a loop of its own.

    Clients of WebSockets are: those that use threads read and write one TLS connection from two of
    them, which Python's ssl module does not always survive.
    """
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    asyncio.run(pyfuncitem.obj(**arguments))
    return True
