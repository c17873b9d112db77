"""The field lines that make a request an opening handshake (RFC 6455, section 4.1)."""

import base64
import hashlib
import re

NONCE = "dGhlIHNhbXBsZSBub25jZQ=="
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket")
VERSION_13 = "Sec-WebSocket-Version: 13"
KEY = f"Sec-WebSocket-Key: {NONCE}"
WITHOUT_KEY = (*UPGRADE, VERSION_13)
COMPLETE = (*UPGRADE, VERSION_13, KEY)
VERSION_12 = (*UPGRADE, "Sec-WebSocket-Version: 12", KEY)


def accept(request: bytes) -> str:
    """The `Sec-WebSocket-Accept` that answers the key in this request."""
    nonce = re.search(rb"^Sec-WebSocket-Key: *(.*?) *\r$", request, re.MULTILINE)[1]
    return base64.b64encode(hashlib.sha1(nonce + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()
