"""Opening handshakes and keys that are odd in shape, observed on 1.58.2 as the rows are.

Many of them are stricter through the gateway: stricter.py has each with its reason.
"""

from harness.opening import COMPLETE, KEY, UPGRADE, VERSION_13
from harness.row import Row
from harness.verdict import AUTHENTICATED, MALFORMED, NO_ROUTE, REFUSED, UNPARSED, WAITING

_GOOD = "{events}?session_api_key=secret-one"
_GOOD_FIELD = "X-Session-API-Key: secret-one"
_REST = (VERSION_13, KEY)
_EVERY_LETTER_ENCODED = "%73%65%73%73%69%6F%6E%5F%61%70%69%5F%6B%65%79=%73%65%63%72%65%74%2D%6F%6E%65"

_FIELDS_OF_THE_HANDSHAKE = [
    Row("mixed case", _GOOD, AUTHENTICATED, opening=("connection: upgrade", "upgrade: WebSocket", *_REST)),
    Row("Connection list", _GOOD, AUTHENTICATED, opening=("Connection: keep-alive, Upgrade", "Upgrade: websocket", *_REST)),
    Row("Connection: close, upgrade", _GOOD, AUTHENTICATED, opening=("Connection: close, upgrade", "Upgrade: websocket", *_REST)),
    Row("two Connection lines", _GOOD, AUTHENTICATED, opening=("Connection: keep-alive", *UPGRADE, *_REST)),
    Row("nine Connection tokens", _GOOD, AUTHENTICATED, opening=("Connection: a, b, c, d, e, f, g, h, Upgrade", "Upgrade: websocket", *_REST)),
    Row("ten Connection tokens", _GOOD, AUTHENTICATED, opening=("Connection: a, b, c, d, e, f, g, h, i, Upgrade", "Upgrade: websocket", *_REST)),
    Row("Connection names the field", "{events}", AUTHENTICATED, _GOOD_FIELD, opening=("Connection: Upgrade, X-Session-API-Key", "Upgrade: websocket", *_REST)),
    Row("no Connection", _GOOD, NO_ROUTE, opening=("Upgrade: websocket", *_REST)),
    Row("Connection: keep-alive", _GOOD, NO_ROUTE, opening=("Connection: keep-alive", "Upgrade: websocket", *_REST)),
    Row("Upgrade: h2c", _GOOD, NO_ROUTE, opening=("Connection: Upgrade", "Upgrade: h2c", *_REST)),
    Row("Upgrade: h2c, websocket", _GOOD, NO_ROUTE, opening=("Connection: Upgrade", "Upgrade: h2c, websocket", *_REST)),
    Row("Upgrade: websocket/13", _GOOD, NO_ROUTE, opening=("Connection: Upgrade", "Upgrade: websocket/13", *_REST)),
    Row("two Upgrade lines", _GOOD, AUTHENTICATED, opening=("Connection: Upgrade", "Upgrade: h2c", "Upgrade: websocket", *_REST)),
    Row("two versions", _GOOD, AUTHENTICATED, VERSION_13),
    Row("no version", _GOOD, MALFORMED, opening=(*UPGRADE, KEY)),
    Row("invalid Sec-WebSocket-Key", _GOOD, AUTHENTICATED, opening=(*UPGRADE, VERSION_13, "Sec-WebSocket-Key: AAAA")),
    Row("Expect", _GOOD, AUTHENTICATED, "Expect: 100-continue"),
    Row("Content-Length: 0", _GOOD, AUTHENTICATED, "Content-Length: 0"),
    Row("a body", _GOOD, AUTHENTICATED, "Content-Length: 4", body="body"),
    Row("a chunked body", _GOOD, AUTHENTICATED, "Transfer-Encoding: chunked", body="0\r\n\r\n"),
    Row("Content-Length with Transfer-Encoding", _GOOD, AUTHENTICATED, "Transfer-Encoding: chunked", "Content-Length: 5", body="0\r\n\r\n"),
]

_FIELD_VALUES = [
    Row("line folding", "{events}", AUTHENTICATED, "X-Session-API-Key:\r\n secret-one"),
    Row("tabs around the field's value", "{events}", AUTHENTICATED, "X-Session-API-Key: \tsecret-one\t"),
    Row("tab inside the field's value", "{events}", REFUSED, "X-Session-API-Key: secret-one\tx"),
    Row("0x01 in the field's value", "{events}", REFUSED, "X-Session-API-Key: secret-one\x01"),
    Row("DEL in the field's value", "{events}", REFUSED, "X-Session-API-Key: secret-one\x7f"),
    Row("NUL in the field's value", "{events}", UNPARSED, "X-Session-API-Key: secret-one\x00"),
    Row("bare CR in the field's value", "{events}", UNPARSED, "X-Session-API-Key: secret-one\rx"),
    Row("no-break space after the field's value", "{events}", REFUSED, "X-Session-API-Key: secret-one\xa0"),
    Row("empty line before the good one", "{events}", REFUSED, "X-Session-API-Key:", _GOOD_FIELD),
]

_QUERIES = [
    Row("every letter encoded", "{events}?" + _EVERY_LETTER_ENCODED, AUTHENTICATED),
    Row("last letter of the name encoded", "{events}?session_api_ke%79=secret-one", AUTHENTICATED),
    Row("encoded good, plain bad", "{events}?session%5Fapi_key=secret-one&session_api_key=wrong-key", REFUSED),
    Row("plain bad, encoded good", "{events}?session_api_key=wrong-key&session%5Fapi_key=secret-one", AUTHENTICATED),
    Row("leading space", "{events}?session_api_key=%20secret-one", REFUSED),
    Row("inner tab", "{events}?session_api_key=secret-one%09x", REFUSED),
    Row("trailing no-break space", "{events}?session_api_key=secret-one%C2%A0", REFUSED),
    Row("trailing next line", "{events}?session_api_key=secret-one%C2%85", REFUSED),
    Row("above U+00FF", "{events}?session_api_key=secret-one%E2%98%83", REFUSED),
    Row("null", "{events}?session_api_key=null", REFUSED),
    Row("null with a good field", "{events}?session_api_key=null", REFUSED, _GOOD_FIELD),
    Row("between others", "{events}?a=1&session_api_key=secret-one&b=2", AUTHENTICATED),
    Row("empty names around", "{events}?=&session_api_key=secret-one&==", AUTHENTICATED),
    Row("empty query", "{events}?", WAITING),
    Row("encoded plus kept", "{events}?session_api_key=secret-one&resend_mode=since&after_timestamp=2026-01-01T00:00:00%2B00:00", AUTHENTICATED),
    Row("plus kept", "{events}?session_api_key=secret-one&resend_mode=since&after_timestamp=2026-01-01T00:00:00+00:00", REFUSED),
    Row("raw braces", _GOOD + "&x={}|\\^[]'", AUTHENTICATED),
    Row("raw quotation mark", _GOOD + '&x="', AUTHENTICATED),
    Row("raw angle brackets", _GOOD + "&x=<y>", AUTHENTICATED),
    Row("raw backtick", _GOOD + "&x=`", AUTHENTICATED),
    Row("asterisk-form target", "*", REFUSED),
]

_SIZES = [
    Row("a target of 50 kB", _GOOD + "&x=" + "x" * 50_000, AUTHENTICATED),
    Row("a field of 60 kB", _GOOD, AUTHENTICATED, "Cookie: " + "x" * 60_000),
    Row("a head of more than 64 KiB", _GOOD, AUTHENTICATED, "Cookie: " + "x" * 65_536),
    Row("a hundred fields", _GOOD, AUTHENTICATED, *["X: x"] * (100 - len(COMPLETE) - 1)),
    Row("a hundred and one fields", _GOOD, AUTHENTICATED, *["X: x"] * (101 - len(COMPLETE) - 1)),
]

ODDITIES = _FIELDS_OF_THE_HANDSHAKE + _FIELD_VALUES + _QUERIES + _SIZES
