"""The gateway under test, and a check of everything it prints."""

import json
import ssl
from collections.abc import Sequence
from pathlib import Path

from . import leaks
from .binary import binary
from .callers import Callers
from .certificate import Certificate
from .credentials import NEVER_PRINTED_BY_GATEWAY
from .process import Process, clean_environment
from .raw import Connection


class Gateway:
    """`hushgate run` in front of one upstream, by default at the most talkative level its diagnostics have."""

    def __init__(
        self,
        folder: Path,
        upstream: str,
        certificate: Certificate | None = None,
        *,
        port: int = 0,
        upstream_ca: Path | None = None,
        drain_timeout: str = "5s",
        log: str = "trace",
        callers: Callers | None = None,
        origins: Sequence[str] | None = None,
    ):
        self.certificate = certificate
        self.callers = callers
        tls = ""
        if certificate:
            tls = f'tls = {{ certificate = "{certificate.path}", private_key_file = "{certificate.private_key_path}" }}'
        trust = f'ca_file = "{upstream_ca}"' if upstream_ca else ""
        credential = authentication = ""
        if callers:
            credential = f'credential_file = "{callers.credential_file}"'
            authentication = f"""[authentication]
mode = "require"
keyring = "{callers.keyring}"
signing_key_file = "{callers.signing_key_file}"
"""
            if origins is not None:
                authentication += f"origins = {json.dumps(origins)}"
        config = folder / "gateway.toml"
        config.write_text(
            f"""
[listen]
address = "127.0.0.1:{port}"
{tls}
[upstream]
url = "{upstream}"
{trust}
{credential}
{authentication}
[admin]
address = "127.0.0.1:0"
[limits]
failed_attempts_per_minute = 0   # the suite is refused on purpose, over and over
[drain]
timeout = "{drain_timeout}"
"""
        )
        self.process = Process(
            "the gateway over TLS" if certificate else "the gateway",
            [str(binary()), "run", "--config", str(config)],
            folder,
            clean_environment(folder, RUST_LOG=log, RUST_BACKTRACE="full"),
        )

    def ready(self) -> "Gateway":
        bound = r"hushgate listens on 127\.0\.0\.1:(\d+)" + (r" \(TLS\)" if self.certificate else "") + "$"
        self.port = int(self.process.wait_for(bound)[1])
        self.process.wait_for(r"hushgate admin on 127\.0\.0\.1:(\d+)$")
        return self

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}" if self.certificate else f"http://127.0.0.1:{self.port}"

    @property
    def tls(self) -> ssl.SSLContext | None:
        return self.certificate.trusting_context() if self.certificate else None

    def connect(self) -> Connection:
        return Connection(self.address, self.tls)

    def require_silent(self) -> None:
        """Nothing it printed so far holds a key, in any spelling."""
        self.process.require_alive()
        self._require_no_leak()

    def stop(self) -> None:
        code = self.process.stop()
        self._require_no_leak()
        assert code == 0, f"the gateway ended with {code}"

    def _require_no_leak(self) -> None:
        own = self.callers.secrets if self.callers else []
        found = leaks.find([*NEVER_PRINTED_BY_GATEWAY, *own], self.process.printed)
        assert not found, "the gateway printed a key:\n" + "\n".join(found)
