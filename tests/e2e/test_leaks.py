"""The search for keys finds them: without this, that nothing is found would say nothing."""

import base64
import json
from urllib.parse import quote, quote_plus

import pytest

from harness import leaks
from harness.credentials import LATIN, NEVER_PRINTED_BY_GATEWAY, RESERVED

SPELLINGS = {
    "raw": lambda key: key.encode(),
    "Latin-1": lambda key: key.encode("latin-1"),
    "percent-encoded": lambda key: quote(key).encode(),
    "as a form": lambda key: quote_plus(key).encode(),
    "lower-case hex": lambda key: b"".join(b"%%%02x" % byte for byte in key.encode()),
    "encoded twice": lambda key: quote(quote(key)).encode(),
    "last letter encoded": lambda key: quote(key[:-1]).encode() + b"".join(b"%%%02X" % byte for byte in key[-1].encode()),
    "JSON": lambda key: json.dumps(key).encode(),
    "Python": lambda key: repr(key.encode()).encode(),
    "Rust": lambda key: "".join(c if c.isascii() else f"\\u{{{ord(c):x}}}" for c in key).encode(),
    "base64": lambda key: base64.b64encode(key.encode()),
    "base64 after one byte": lambda key: base64.b64encode(b"x" + key.encode()),
    "base64 after two bytes": lambda key: base64.b64encode(b"xx" + key.encode() + b"y"),
    "base64 for URLs": lambda key: base64.urlsafe_b64encode(b"xxx" + key.encode() + b"yy"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("key", NEVER_PRINTED_BY_GATEWAY)
def test_every_spelling_is_found(key, spelling):
    line = b'GET /x?a=1&b="' + SPELLINGS[spelling](key) + b'" HTTP/1.1\n'
    assert leaks.find([key], line)


def test_what_is_no_key_is_not_found():
    innocent = b'{"target":"/sockets/events/x?\xe2\x80\xa6","note":"secret-on e, secret_one, cl%C3%A9"}'
    assert leaks.find([*NEVER_PRINTED_BY_GATEWAY, RESERVED, LATIN], innocent) == []
