"""The official Python SDK as a client: how `clients/official_sdk.py` is started, and what it said."""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from .certificate import Certificate
from .model import answer_to
from .process import clean_environment

PROGRAM = Path(__file__).parent.parent / "clients" / "official_sdk.py"


def command(url: str, credential: str, settings: dict, *messages: str) -> list[str]:
    return [sys.executable, str(PROGRAM), url, credential, json.dumps(settings), *messages]


def environment(home: Path, certificate: Certificate | None = None) -> dict[str, str]:
    trust = {"SSL_CERT_FILE": str(certificate.path)} if certificate else {}
    return clean_environment(home, LITELLM_LOCAL_MODEL_COST_MAP="True", OPENHANDS_SUPPRESS_BANNER="1", **trust)


def answers(lines: Iterable[str]) -> Iterable[str]:
    """The lines that are answers; it may print others."""
    return (json.loads(line) for line in lines if line.startswith('"'))


def hold_conversation(url: str, credential: str, settings: dict, folder: Path, certificate: Certificate | None = None) -> None:
    """Runs it to its end, and fails unless everything that it said was answered."""
    said = ["first", "second"]
    client = subprocess.run(
        command(url, credential, settings, *said),
        cwd=folder,
        env=environment(folder, certificate),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
    )
    assert client.returncode == 0, client.stderr.decode()[-2000:]
    assert list(answers(client.stdout.decode().splitlines())) == [answer_to(message) for message in said]
