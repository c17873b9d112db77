"""Where the gateway answers otherwise than the agent server, or for it: the complete list.

Whatever is not here is answered the same, and a row that is here and is answered the same after all
fails too. None of these lets anyone in whom the agent server would refuse.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stricter:
    status: int
    reason: str


_NOT_ONE_HANDSHAKE = "it names websocket and is not exactly an opening handshake; hops could disagree on what it is"
_FRAGMENT = "a target has no fragment, and where one begins is read differently from hop to hop"
_PARSER = "Pingora's parser refuses this byte in a target"
_CONTROL = "a field value has no control characters (RFC 9110, section 5.5)"
_BODY = "what follows the head would be a body to one hop and frames to another"

STRICTER: dict[str, Stricter] = {
    "HTTP/1.0 upgrade": Stricter(400, "HTTP/1.0 has no Upgrade (RFC 9110, section 7.8)"),
    "absolute-form target": Stricter(400, "only a forward proxy is asked for an absolute-form target"),
    "asterisk-form target": Stricter(400, "only OPTIONS has it"),
    "fragment in target #": Stricter(400, _FRAGMENT),
    "fragment before query": Stricter(400, _FRAGMENT),
    "raw quotation mark": Stricter(400, _PARSER),
    "raw angle brackets": Stricter(400, _PARSER),
    "raw backtick": Stricter(400, _PARSER),
    "ten Connection tokens": Stricter(400, "Pingora reads no more than nine tokens, and what it does not read could be hop-by-hop"),
    "Connection names the field": Stricter(400, "the next hop would drop the credential that decides"),
    "no Connection": Stricter(400, _NOT_ONE_HANDSHAKE),
    "Connection: keep-alive": Stricter(400, _NOT_ONE_HANDSHAKE),
    "Upgrade: h2c, websocket": Stricter(400, _NOT_ONE_HANDSHAKE),
    "Upgrade: websocket/13": Stricter(400, _NOT_ONE_HANDSHAKE),
    "two Upgrade lines": Stricter(400, _NOT_ONE_HANDSHAKE),
    "two versions": Stricter(400, _NOT_ONE_HANDSHAKE),
    "invalid Sec-WebSocket-Key": Stricter(400, "16 bytes in base64 are required (RFC 6455, section 4.2.1)"),
    "Expect": Stricter(400, "a handshake has no body to wait for"),
    "a body": Stricter(400, _BODY),
    "a chunked body": Stricter(400, _BODY),
    "Content-Length with Transfer-Encoding": Stricter(400, "the two disagree; request smuggling begins with such"),
    "line folding": Stricter(400, "obsolete line folding is read differently from hop to hop (RFC 9112, section 5.2)"),
    "a head of more than 64 KiB": Stricter(431, "limits.head_size"),
    "a hundred and one fields": Stricter(431, "limits.head_fields"),
    "0x01 in the field's value": Stricter(400, _CONTROL),
    "DEL in the field's value": Stricter(400, _CONTROL),
}

# Refused with the same status by both; the gateway does not ask, and has a reason phrase where the
# agent server has none.
ANSWERED_FOR_IT = {
    "POST + upgrade hdrs": Stricter(400, _NOT_ONE_HANDSHAKE),
    "missing ws key": Stricter(400, _NOT_ONE_HANDSHAKE),
    "no version": Stricter(400, _NOT_ONE_HANDSHAKE),
    "ws version 12": Stricter(426, _NOT_ONE_HANDSHAKE),
}
