"""A program under test: started by us, everything it prints kept, ended by us."""

import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

START_TIMEOUT = 60
STOP_TIMEOUT = 20


def clean_environment(home: Path, **variables: str) -> dict[str, str]:
    """Nothing of the caller's environment decides what is tested, except where programs are found."""
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), **variables}


class Process:
    """One running program. `output` and `errors` hold what it printed so far."""

    def __init__(self, name: str, command: list[str], folder: Path, environment: dict[str, str]):
        self.name = name
        self._printed = threading.Condition()
        self._streams = {"output": bytearray(), "errors": bytearray()}
        self._child = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._readers = [
            threading.Thread(target=self._read, args=(stream, pipe), daemon=True)
            for stream, pipe in (("output", self._child.stdout), ("errors", self._child.stderr))
        ]
        for reader in self._readers:
            reader.start()

    @property
    def output(self) -> bytes:
        return bytes(self._streams["output"])

    @property
    def errors(self) -> bytes:
        return bytes(self._streams["errors"])

    @property
    def printed(self) -> bytes:
        return self.output + b"\n" + self.errors

    def wait_for(self, pattern: str, stream: str = "errors", timeout: float = 20) -> re.Match:
        """The first match of `pattern` in the stream, as soon as it is there."""
        deadline = time.monotonic() + timeout
        compiled = re.compile(pattern.encode(), re.MULTILINE)
        with self._printed:
            while not (found := compiled.search(self._streams[stream])):
                left = deadline - time.monotonic()
                if left <= 0 or self._ended():
                    raise AssertionError(f"{self.name} did not print {pattern!r}; it printed:\n{self._tail()}")
                self._printed.wait(min(left, 0.5))
            return found

    def require_alive(self) -> None:
        assert self._child.poll() is None, f"{self.name} ended by itself:\n{self._tail()}"

    def signal(self, number: int) -> None:
        self._child.send_signal(number)

    def wait(self) -> None:
        """Waits until it has ended by itself."""
        self._child.wait(STOP_TIMEOUT)

    def stop(self) -> int:
        """Asks the program to end, waits, and returns its exit code; it is killed if it does not."""
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)
        try:
            code = self._child.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._child.kill()
            code = self._child.wait()
        for reader in self._readers:
            reader.join(STOP_TIMEOUT)
        return code

    def _read(self, stream: str, pipe) -> None:
        with pipe:
            while chunk := os.read(pipe.fileno(), 65536):
                with self._printed:
                    self._streams[stream] += chunk
                    self._printed.notify_all()

    def _ended(self) -> bool:
        return self._child.poll() is not None and not any(reader.is_alive() for reader in self._readers)

    def _tail(self) -> str:
        return self.printed.decode(errors="replace")[-1500:]
