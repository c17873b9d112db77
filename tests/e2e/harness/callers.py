"""The callers of a gateway in `require`: each has a key that `hushgate key` made, and none has the agent server's."""

import os
import subprocess
from pathlib import Path

from .binary import binary
from .process import clean_environment


class Callers:
    def __init__(self, folder: Path, own: str):
        self._folder = folder
        self.keys: dict[str, str] = {}
        self.keyring, self.credential_file = folder / "keyring.toml", folder / "agent-server.key"
        self.signing_key_file = folder / "signing.key"
        self.signing_key_file.write_text("a-signing-key-of-the-end-to-end-tests\n")
        self.keyring.touch()
        self.credential_file.write_text(own + "\n")
        self.own = own

    @property
    def secrets(self) -> list[str]:
        return [self.own, *self.keys.values()]

    def add(self, name: str, *options: str) -> None:
        command = [str(binary()), "key", "new", name, "--keyring", str(self.keyring), *options]
        made = subprocess.run(command, env=clean_environment(self._folder), capture_output=True, check=True, text=True)
        self.keys[name] = made.stdout.splitlines()[0]

    def remove(self, name: str) -> None:
        first, *entries = self.keyring.read_text().split("[[key]]")
        left = [entry for entry in entries if f'name = "{name}"' not in entry]
        assert len(left) == len(entries) - 1, f"{name} is not in the keyring once"
        new = self._folder / "keyring.new"
        new.write_text("[[key]]".join([first, *left]))
        os.replace(new, self.keyring)
