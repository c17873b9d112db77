"""Finds a credential in what a program printed, however it is spelt."""

import base64
import re
from urllib.parse import unquote_to_bytes


def find(credentials: list[str], printed: bytes) -> list[str]:
    """One line for each credential found: which, in what spelling, and a stretch of what is around it."""
    found = []
    for spelling, text in _readings(printed):
        for credential in credentials:
            for needle in _raw(credential):
                at = text.find(needle)
                if at >= 0:
                    found.append(_report(credential, spelling, text, at))
    for credential in credentials:
        for needle in _base64(credential):
            at = printed.find(needle)
            if at >= 0:
                found.append(_report(credential, "base64", printed, at))
    return found


def _readings(printed: bytes):
    """The text as it stands, and as anyone would read it who undoes the usual encodings."""
    yield "as it is", printed
    unescaped = _unescape(printed)
    if unescaped != printed:
        yield "escaped", unescaped
    # A percent sign that is itself encoded is undone by the second round.
    once = unquote_to_bytes(unescaped)
    twice = unquote_to_bytes(once)
    yield "percent-encoded", once
    yield "percent-encoded with +", unquote_to_bytes(unescaped.replace(b"+", b" "))
    yield "percent-encoded twice", twice


def _unescape(printed: bytes) -> bytes:
    r"""Undoes \u00e9 (JSON), \u{e9} (Rust) and \xe9 (Python, Rust)."""

    def character(match: re.Match) -> bytes:
        number = int(match[1] or match[2], 16)
        return chr(number).encode(errors="replace") if number <= 0x10FFFF else match[0]

    printed = re.sub(rb"\\u(?:\{([0-9a-fA-F]{1,6})\}|([0-9a-fA-F]{4}))", character, printed)
    return re.sub(rb"\\x([0-9a-fA-F]{2})", lambda match: bytes([int(match[1], 16)]), printed)


def _raw(credential: str) -> set[bytes]:
    return {credential.encode(), credential.encode("latin-1")}


def _base64(credential: str) -> set[bytes]:
    """What is in the base64 text of anything that holds the credential, at each of the three offsets."""
    needles = set()
    for raw in _raw(credential):
        for encode in (base64.standard_b64encode, base64.urlsafe_b64encode):
            for offset in range(3):
                encoded = encode(b"\0" * offset + raw).rstrip(b"=")
                # The first and last characters depend on the neighbours too.
                start = (0, 2, 3)[offset]
                end = -1 if (offset + len(raw)) % 3 else None
                needles.add(encoded[start:end])
    return needles


def _report(credential: str, spelling: str, text: bytes, at: int) -> str:
    around = text[max(0, at - 80) : at + 80].decode(errors="replace")
    return f"{credential!r} {spelling}: …{around}…"
