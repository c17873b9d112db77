"""Headless Chromium, driven by its DevTools protocol."""

import base64
import hashlib
import itertools
import json
import os
import shutil
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from websockets.sync.client import connect

from .certificate import Certificate
from .process import Process, clean_environment

TIMEOUT = 30

# Chromium asks for updates, suggestions and the like of its own accord; a test's browser must not.
_QUIET = [
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-proxy-server",
]


# What a page does with a WebSocket that it has opened: one message, one answer.
TALK = """
(socket, message) => new Promise((resolve) => {
  const end = (outcome) => { socket.close(); resolve(outcome); };
  setTimeout(() => end("silence"), 20000);
  socket.onerror = () => end("refused");
  socket.onopen = () => socket.send(JSON.stringify({ role: "user", content: [{ type: "text", text: message }] }));
  socket.onmessage = ({ data }) => {
    const event = JSON.parse(data);
    if (event.kind === "MessageEvent" && event.source === "agent") end(event.llm_message.content[0].text);
  };
})
"""


def program() -> str | None:
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Browser:
    """One browser with a profile of its own, and its protocol's connection."""

    def __init__(self, folder: Path, certificate: Certificate):
        flags = [*_QUIET, f"--user-data-dir={folder}", "--remote-debugging-port=0"]
        # The suite's own certificate and no other is believed without a root.
        flags.append(f"--ignore-certificate-errors-spki-list={_public_key_digest(certificate)}")
        if os.geteuid() == 0:
            flags.append("--no-sandbox")
        self._process = Process("Chromium", [program(), *flags, "about:blank"], folder, clean_environment(folder))
        devtools = self._process.wait_for(r"DevTools listening on (ws://\S+)")[1].decode()
        self._connection = connect(devtools, max_size=None, open_timeout=TIMEOUT, proxy=None)
        self._numbers = itertools.count(1)

    def open(self, url: str) -> "Page":
        """A new page at `url`, once it is loaded."""
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        session = self.command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        failure = page.command("Page.navigate", url=url).get("errorText")
        assert failure is None, f"{url}: {failure}"
        page.wait_until("document.readyState === 'complete' && location.href !== 'about:blank'")
        return page

    def command(self, method: str, session: str | None = None, **parameters) -> dict:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        self._connection.send(json.dumps(message))
        while True:  # what is not the answer is an event, and none is of interest here
            answer = json.loads(self._connection.recv(timeout=TIMEOUT))
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer}"
                return answer["result"]

    def stop(self) -> None:
        self._connection.close()
        self._process.stop()


class Page:
    """A page of the browser."""

    def __init__(self, browser: Browser, session: str):
        self._browser = browser
        self._session = session

    def command(self, method: str, **parameters) -> dict:
        return self._browser.command(method, self._session, **parameters)

    def run(self, script: str):
        """The value of an expression; a promise is waited for."""
        result = self.command("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def call(self, function: str, *arguments):
        """The value of a function given these arguments, which need not be quoted."""
        return self.run(f"({function})(...{json.dumps(arguments)})")

    def wait_until(self, condition: str) -> None:
        deadline = time.monotonic() + TIMEOUT
        while not self.run(condition):
            assert time.monotonic() < deadline, f"{condition} did not come true on:\n{self.text()}"
            time.sleep(0.05)

    def text(self) -> str:
        return self.run("document.body.innerText")


def _public_key_digest(certificate: Certificate) -> str:
    public_key = x509.load_pem_x509_certificate(certificate.path.read_bytes()).public_key()
    encoded = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(encoded).digest()).decode()
