"""Runs the conformance cases of Autobahn, by the package `kosoku`; a program of its own, since that
package changes modules of the standard library for everyone who imports it.

    python conformance.py URL [CASE…]

prints what came of each case as one JSON object a line, without what depends on time or chance:
durations, dates, masks, and how the bytes were cut into reads. A CASE may end in `*`.
"""

import asyncio
import hashlib
import json
import sys

from kosoku import FailureError, run_fuzzingclient
from kosoku.cases import CASES

# A case of compression sends a thousand messages one after the other, which for all of them takes
# more than six minutes; these many take half a minute, with every size and parameter still there.
MOST_MESSAGES, MOST_BYTES = 200, 1024 * 1024

ATTRIBUTES = [
    "behavior_close.value behavior.value result result_close received closed_by_me failed_by_me dropped_by_me",
    "was_clean was_not_clean_reason was_open_handshake_timeout was_close_handshake_timeout",
    "was_server_connection_drop_timeout local_close_code local_close_reason remote_close_code",
    "remote_close_reason rx_frame_stats tx_frame_stats",
]
# Where `wirelog` says what a frame holds; the fields left out are the mask's and how it was cut to be sent.
SENT, RECEIVED = "TF", "RF"


def main(url: str, *cases: str) -> None:
    for name, case in CASES.items():
        if name.startswith(("12.", "13.")):
            case.COUNT = max(16, min(MOST_MESSAGES, MOST_BYTES // case.LEN))
    try:
        results = asyncio.run(run_fuzzingclient(url, list(cases) or None))
    except FailureError as failure:
        results = failure.results  # of all cases, not only of those that failed
    for result in results:
        print(json.dumps({"case": result.case_id, **{name: told(value) for name, value in what_came(result).items()}}))


def what_came(result) -> dict[str, object]:
    came = {name: attribute(result, name) for line in ATTRIBUTES for name in line.split()}
    came["octets received"] = octets(result.rx_octet_stats)
    came["octets sent"] = octets(result.tx_octet_stats)
    came["traffic"] = result.traffic_stats and sorted(result.traffic_stats.__json__().items())
    came["frames received"] = [entry[1:5] for entry in result.wirelog if entry[0] == RECEIVED]
    came["frames sent"] = [entry[1:5] for entry in result.wirelog if entry[0] == SENT]
    came["response"] = fields(result.http_response)
    return came


def attribute(result, name: str) -> object:
    for part in name.split("."):
        result = getattr(result, part)
    return sorted(result.items()) if isinstance(result, dict) else result


def octets(reads: dict[int, int]) -> int:
    return sum(size * count for size, count in reads.items())


def fields(head: str) -> list[str]:
    """The order of field lines and the case of their names mean nothing."""
    status_line, *lines = head.strip().split("\r\n")
    pairs = [line.split(":", 1) for line in lines]
    return [status_line, *sorted(f"{name.lower()}: {value.strip()}" for name, value in pairs if name.lower() != "date")]


def told(value: object) -> str:
    """Short enough to read, and different for what is different."""
    text = repr(value)
    return text if len(text) < 300 else f"{text[:200]}… ({len(text)} characters, {hashlib.sha256(text.encode()).hexdigest()[:16]})"


if __name__ == "__main__":
    main(*sys.argv[1:])
