"""The real agent server, on a free port of loopback, in an empty folder of its own."""

import json
import shutil
import socket
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from .credentials import ACCEPTED
from .process import START_TIMEOUT, Process, clean_environment

_VARIABLES = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    # Without litellm's filter the log shows what the server itself would print of a key.
    "LITELLM_DISABLE_REDACT_SECRETS": "true",
    "LOG_JSON": "true",  # a line that is not wrapped can be searched
    "OH_ENABLE_VSCODE": "false",
    "OH_PRELOAD_TOOLS": "false",
    "OPENHANDS_SUPPRESS_BANNER": "1",
    "PYTHONUTF8": "1",
}


class AgentServer:
    """`ready` must be called before the first use; starting several at once saves time."""

    def __init__(self, name: str, folder: Path, port: int | None = None, accepted: Sequence[str] = ACCEPTED):
        self.folder = folder
        self.key = accepted[0]
        self.port = port or _free_port()
        keys = {f"OH_SESSION_API_KEYS_{index}": key for index, key in enumerate(accepted)}
        command = [sys.executable, "-m", "openhands.agent_server", "--host", "127.0.0.1", "--port", str(self.port)]
        self.process = Process(name, command, folder, clean_environment(folder, **_VARIABLES, **keys))

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ready(self) -> "AgentServer":
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            self.process.require_alive()
            try:
                with urllib.request.urlopen(f"{self.url}/alive", timeout=5):
                    return self
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def start_conversation(self, llm: dict, url: str | None = None, key: str | None = None) -> str:
        """The id of a new conversation with an agent that asks the model at `llm`; `url` and `key` are a gateway's."""
        agent = {"kind": "Agent", "llm": llm, "tools": [], "include_default_tools": []}
        workspace = {"kind": "LocalWorkspace", "working_dir": str(self.folder)}
        request = urllib.request.Request(
            f"{url or self.url}/api/conversations",
            data=json.dumps({"agent": agent, "workspace": workspace, "autotitle": False}).encode(),
            headers={"Content-Type": "application/json", "X-Session-API-Key": key or self.key},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["id"]

    def stop(self) -> None:
        self.process.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def _free_port() -> int:
    # The server has no way to say which port it took, so one is chosen for it.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
