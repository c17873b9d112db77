"""The field lines that make a request an opening handshake (RFC 6455, section 4.1)."""

import base64
import hashlib

# One fixed nonce, so that the right answer to it is a constant.
NONCE = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = base64.b64encode(
    hashlib.sha1((NONCE + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
).decode()

UPGRADE = ("Connection: Upgrade", "Upgrade: websocket")
WITHOUT_KEY = (*UPGRADE, "Sec-WebSocket-Version: 13")
COMPLETE = (*WITHOUT_KEY, f"Sec-WebSocket-Key: {NONCE}")
VERSION_12 = (*UPGRADE, "Sec-WebSocket-Version: 12", f"Sec-WebSocket-Key: {NONCE}")
