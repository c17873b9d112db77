"""The ways to an agent server."""

import dataclasses
import ssl

from .agent_server import AgentServer
from .certificate import Certificate
from .gateway import Gateway
from .raw import Connection


@dataclasses.dataclass(frozen=True)
class Way:
    """A way to an agent server: directly, or through the gateway with or without TLS."""

    url: str
    address: tuple[str, int]
    agent_server: AgentServer
    conversation: str
    """The id of a conversation on that agent server."""
    gateway: Gateway | None = None

    @property
    def certificate(self) -> Certificate | None:
        return self.gateway.certificate if self.gateway else None

    @property
    def authority(self) -> str:
        return f"{self.address[0]}:{self.address[1]}"

    @property
    def socket_url(self) -> str:
        return self.url.replace("http", "ws", 1)

    @property
    def tls(self) -> ssl.SSLContext | None:
        return self.certificate.trusting_context() if self.certificate else None

    def connect(self) -> Connection:
        return Connection(self.address, self.tls)
