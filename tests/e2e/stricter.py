"""Where the gateway answers otherwise than the agent server, or for it: the complete list.

DESIGN.md, section 2, promise 1 says what it may be. Whatever is not here is answered the same, and a
row that is here and is answered the same after all fails too.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stricter:
    status: int
    reason: str


STRICTER: dict[str, Stricter] = {
    "HTTP/1.0 upgrade": Stricter(400, "HTTP/1.0 has no Upgrade (RFC 9110, section 7.8)"),
    "absolute-form target": Stricter(400, "only a forward proxy is asked for absolute-form targets"),
    "fragment in target #": Stricter(400, "a target has no fragment; where it begins is read differently by each hop"),
    "fragment before query": Stricter(400, "a target has no fragment; where it begins is read differently by each hop"),
}
