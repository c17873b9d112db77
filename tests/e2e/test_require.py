"""The gateway decides who may in: callers have keys of its keyring, and the agent server has one that none of them knows."""

import asyncio
import base64
import json
import urllib.error
import urllib.request

import openai
import pytest
from websockets.exceptions import InvalidStatus

from harness import browser as chromium
from harness import leaks, official_sdk
from harness.agent_server import AgentServer
from harness.callers import Callers
from harness.client import end_of, hold_conversation, open_events, receive
from harness.credentials import ONE, WRONG
from harness.gateway import Gateway
from harness.model import answer_to
from harness.tap import Tap
from harness.way import Way

OWN = "known-to-the-gateway-and-the-agent-server-only"
REVOKED = 4001
FAILED = (4001, "Authentication failed")

# Callers whose entry does not let them in as they come here.
NARROWED = {
    "early": ("--not-before", "2100-01-01T00:00:00Z"),
    "elsewhere": ("--origin", "https://app.example"),
    "by-query-only": ("--carrier", "query"),
}


@pytest.fixture(scope="module")
def callers(tmp_path_factory) -> Callers:
    callers = Callers(tmp_path_factory.mktemp("callers"), OWN)
    for name, options in [("alice", ()), ("bob", ()), *NARROWED.items()]:
        callers.add(name, *options)
    return callers


@pytest.fixture(scope="module")
def alice(callers) -> str:
    return callers.keys["alice"]


@pytest.fixture(scope="module")
def required(tmp_path_factory, callers, model):
    """A way whose both sides of the gateway are recorded; in the end nobody may have got another's key."""
    server = AgentServer("behind-the-edge", tmp_path_factory.mktemp("behind-the-edge"), accepted=[OWN])
    try:
        server.ready()
        behind = Tap(server.address)
        gateway = Gateway(tmp_path_factory.mktemp("gateway-edge"), behind.url, callers=callers).ready()
        before = Tap(gateway.address)
        yield Way(before.url, before.address, server, server.start_conversation(model.settings), gateway)
        gateway.stop()
    finally:
        server.stop()
    for tap in (before, behind):
        tap.stop()
    assert leaks.find([OWN], behind.asked), "the agent server was never asked with its own key"
    assert b"X-Hushgate-Caller: alice\r\n" in behind.asked
    assert leaks.find([callers.keys["alice"]], before.asked), "no key was presented, so that none is found says nothing"
    for what, keys, holds in (
        ("the traffic of the agent server", [*callers.keys.values(), WRONG], behind.asked),
        ("the log of the agent server", [*callers.keys.values(), WRONG], server.process.printed),
        ("what the clients received", callers.secrets, before.answered),
    ):
        found = leaks.find(keys, holds)
        assert not found, f"{what} holds a key:\n" + "\n".join(found)


@pytest.fixture
def conversation(required, model, alice) -> str:
    """The id of a new conversation, asked for through the gateway."""
    return required.agent_server.start_conversation(model.settings, required.url, alice)


def presented(key: str, by: str) -> dict:
    """How a key goes into an opening handshake, if it does; nothing is compressed, so that the taps can be searched."""
    match by:
        case "query":
            return {"query": f"?session_api_key={key}", "compression": None}
        case "field":
            return {"fields": {"X-Session-API-Key": key}, "compression": None}
        case "subprotocol":
            encoded = base64.urlsafe_b64encode(key.encode()).rstrip(b"=").decode()
            return {"subprotocols": ["base64url.bearer.authorization.k8s.io." + encoded, "chat"], "compression": None}
        case "first message":
            return {"compression": None}


def authentication(key: str, **more) -> str:
    return json.dumps({"type": "auth", "session_api_key": key, **more})


def ask(required, target: str, key: str | None, body: dict | None = None) -> tuple[int, dict]:
    """A plain request, and what is answered to it."""
    fields = {"X-Session-API-Key": key} if key else {}
    data = None if body is None else json.dumps(body).encode()
    if data is not None:
        fields["Content-Type"] = "application/json"
    try:
        with urllib.request.urlopen(urllib.request.Request(required.url + target, data, fields), timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


async def refusal(required, **options) -> int:
    with pytest.raises(InvalidStatus) as refused:
        await open_events(required, required.conversation, **options)
    assert refused.value.response.body == b""
    return refused.value.response.status_code


def test_the_official_sdk_holds_a_conversation(required, model, alice, tmp_path):
    official_sdk.hold_conversation(required.url, alice, model.settings, tmp_path)
    required.gateway.process.wait_for(r'"outcome":"upgraded","credential_source":"first_message","caller":"alice"', "output")


@pytest.mark.parametrize("by", ["query", "field", "subprotocol", "first message"])
async def test_a_client_holds_a_conversation_with_a_key_of_the_keyring(required, conversation, alice, by):
    async with open_events(required, conversation, **presented(alice, by)) as socket:
        if by == "first message":
            await socket.send(authentication(alice))
        assert socket.subprotocol == ("chat" if by == "subprotocol" else None)
        assert (await receive(socket))["kind"] == "ConversationStateUpdateEvent"
        await hold_conversation(socket, f"by {by}")


def test_the_api_is_used_with_the_field(required, conversation, alice):
    status, found = ask(required, f"/api/conversations/{conversation}", alice)
    assert (status, found["id"]) == (200, conversation)


def test_a_client_of_openais_interface_holds_a_conversation(required, model, alice):
    for target, body in (("", {"llm": model.settings}), ("/activate", {})):
        assert ask(required, f"/api/profiles/scripted{target}", alice, body)[0] in (200, 201)
    client = openai.OpenAI(base_url=f"{required.url}/v1", api_key=alice, max_retries=0, timeout=60)
    (known,) = client.models.list()
    said = [{"role": "user", "content": "by bearer"}]
    answer = client.chat.completions.create(model=known.id, messages=said)
    assert answer.choices[0].message.content == answer_to("by bearer")
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=f"{required.url}/v1", api_key=WRONG, max_retries=0).models.list()


# What a page does that keeps its key out of the URL: a subprotocol, or a ticket.
PAGE = """
async (by, conversation, key, message) => {
  const path = `/sockets/events/${conversation}`;
  let query = "", offered = [];
  if (by === "subprotocol") {
    const encoded = btoa(key).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
    offered = [`base64url.bearer.authorization.k8s.io.${encoded}`, "chat"];
  } else {
    const asked = `/.hushgate/tickets?path=${encodeURIComponent(path)}`;
    const answer = await fetch(asked, { method: "POST", headers: { "X-Session-API-Key": key } });
    if (!answer.ok) return "refused";
    query = `?ticket=${(await answer.json()).ticket}`;
  }
  const socket = new WebSocket(`ws://${location.host}${path}${query}`, offered);
  return await (TALK)(socket, message);
}
""".replace("TALK", chromium.TALK)


@pytest.mark.parametrize("by", ["subprotocol", "ticket"])
def test_a_page_holds_a_conversation(required, conversation, alice, browser, by):
    page = browser.open(f"{required.url}/server_info")
    assert page.call(PAGE, by, conversation, alice, "from a page") == answer_to("from a page")
    assert page.call(PAGE, by, conversation, WRONG, "from a page") == "refused"


# What a page does to show a file of the workspace: it asks for a cookie, and then for the file in a frame.
COOKIE = """
async (method, key, file) => {
  const headers = key ? { "X-Session-API-Key": key } : {};
  const { status } = await fetch("/api/auth/workspace-session", { method, headers, credentials: "include" });
  const frame = document.createElement("iframe");
  const loaded = new Promise((resolve) => { frame.onload = resolve; });
  frame.src = file;
  document.body.append(frame);
  await loaded;
  return [status, frame.contentDocument.body.innerText.trim()];
}
"""


def test_a_page_shows_a_file_of_the_workspace_by_a_cookie(required, conversation, alice, browser):
    (required.agent_server.folder / "shown.html").write_text("<p>a file of the workspace</p>")
    file = f"/api/conversations/{conversation}/workspace/shown.html"
    refused = '{"detail":"Unauthorized"}'
    page = browser.open(f"{required.url}/server_info")
    assert page.call(COOKIE, "POST", WRONG, file) == [401, refused]
    assert page.call(COOKIE, "POST", alice, file) == [204, "a file of the workspace"]
    assert page.call(COOKIE, "DELETE", alice, file) == [204, refused]
    record = rf'"target":"{file}"[^\n]*"outcome":"served","credential_source":"cookie","caller":"alice"'
    required.gateway.process.wait_for(record, "output")


async def test_a_client_holds_a_conversation_by_a_cookie_from_a_listed_page(required, conversation, alice, callers, tmp_path):
    gateway = Gateway(tmp_path, required.agent_server.url, callers=callers, origins=["https://app.example"]).ready()
    try:
        way = Way(gateway.url, gateway.address, required.agent_server, conversation, gateway)
        asked = urllib.request.Request(f"{way.url}/api/auth/workspace-session", b"", {"X-Session-API-Key": alice})
        with urllib.request.urlopen(asked, timeout=30) as answer:
            cookie = answer.headers["Set-Cookie"].partition(";")[0]
        assert cookie.startswith("oh_workspace_session_key=hgc_"), "the agent server's own would be its key"
        for page, status in ((None, 403), ("https://evil.example", 403)):
            fields = {"Cookie": cookie} | ({"Origin": page} if page else {})
            assert await refusal(way, fields=fields) == status
        fields = {"Cookie": cookie, "Origin": "https://app.example"}
        async with open_events(way, conversation, fields=fields, compression=None) as socket:
            await hold_conversation(socket, "by cookie")
    finally:
        gateway.stop()


@pytest.mark.parametrize("key", [WRONG, OWN, ONE, None], ids=["wrong", "the agent server's own", "another server's", "none"])
async def test_without_a_key_of_the_keyring_nobody_is_let_in(required, key):
    assert ask(required, f"/api/conversations/{required.conversation}", key) == (401, {"detail": "Unauthorized"})
    for by in ("query", "field", "subprotocol") if key else ():
        assert await refusal(required, **presented(key, by)) == 403
    async with open_events(required, required.conversation, compression=None) as socket:
        await socket.send(authentication(key or ""))
        assert await end_of(socket) == FAILED


async def test_a_redundant_message_with_a_key_never_comes_back(required, conversation, alice):
    """The agent server would repeat it in an error, as `test_first_message.py` shows."""
    async with open_events(required, conversation, **presented(alice, "field")) as socket:
        await socket.send(authentication(alice, x=1))
        await hold_conversation(socket, "after a redundant message")


@pytest.mark.parametrize("name", NARROWED)
async def test_a_key_is_refused_where_its_entry_says_so(required, callers, name):
    key, page = callers.keys[name], {"Origin": "https://evil.example"}
    assert await refusal(required, fields={"X-Session-API-Key": key, **page}) == 403
    async with open_events(required, required.conversation, fields=page, compression=None) as socket:
        await socket.send(authentication(key))
        assert await end_of(socket) == FAILED
    record = rf'"event":"handshake"[^\n]*"caller":"{name}"'
    await asyncio.to_thread(required.gateway.process.wait_for, record, "output")


async def test_a_key_that_is_taken_away_ends_its_sockets_and_no_others(required, callers, conversation, alice):
    bob = callers.keys["bob"]
    async with (
        open_events(required, conversation, **presented(bob, "field")) as his,
        open_events(required, conversation, **presented(bob, "first message")) as his_other,
        open_events(required, conversation, **presented(alice, "field")) as hers,
    ):
        await his_other.send(authentication(bob))
        await receive(his_other)
        callers.remove("bob")
        assert [(await end_of(socket))[0] for socket in (his, his_other)] == [REVOKED, REVOKED]
        await hold_conversation(hers, "still here")
    assert await refusal(required, **presented(bob, "field")) == 403
