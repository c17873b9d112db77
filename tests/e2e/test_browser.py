"""A real browser, which can send a key with a WebSocket only in the URL."""

import subprocess

import pytest

from harness import browser as chromium
from harness.credentials import LATIN, ONE, RESERVED, WRONG
from harness.gateway import binary
from harness.model import answer_to
from harness.process import Process, clean_environment

pytestmark = pytest.mark.skipif(chromium.program() is None, reason="there is no Chromium here")

# What a page of an application does: the URL built as frontends build it, one message, one answer.
CONVERSATION = """
(conversation, credential, message) => {
  const query = new URLSearchParams({ resend_all: "true", session_api_key: credential });
  const scheme = location.protocol.replace("http", "ws");
  const socket = new WebSocket(`${scheme}//${location.host}/sockets/events/${conversation}?${query}`);
  return (TALK)(socket, message);
}
""".replace("TALK", chromium.TALK)


@pytest.mark.parametrize("credential", [ONE, RESERVED, LATIN])
def test_a_page_holds_a_conversation(way, browser, new_conversation, credential):
    page = browser.open(f"{way.url}/server_info")
    assert page.call(CONVERSATION, new_conversation, credential, "from a browser") == answer_to("from a browser")


def test_a_page_with_a_wrong_key_is_refused(way, browser):
    page = browser.open(f"{way.url}/server_info")
    assert page.call(CONVERSATION, way.conversation, WRONG, "from a browser") == "refused"


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """The address of the page that `hushgate demo` serves after its walk."""
    usage = subprocess.run([binary(), "--help"], capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
    if "demo" not in usage.stdout + usage.stderr:
        pytest.skip("this build of the gateway has no demo")
    folder = tmp_path_factory.mktemp("demo")
    process = Process("hushgate demo", [str(binary()), "demo"], folder, clean_environment(folder))
    try:
        yield process.wait_for(r"page: (http://127\.0\.0\.1:\d+/)", "output", timeout=60)[1].decode()
    finally:
        assert process.stop() == 0


def test_the_page_of_the_demo_tells_the_story(browser, demo):
    page = browser.open(demo)
    page.wait_until("document.querySelector('#connect') !== null")
    page.run("document.querySelector('#connect').click()")
    page.wait_until("document.querySelector('#story').innerText.length > 0")
    page.call("(message) => { document.querySelector('#message').value = message; }", "good morning")
    page.run("document.querySelector('#send').click()")
    page.wait_until("document.querySelector('#story').innerText.includes('echo: good morning')")
