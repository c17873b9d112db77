"""The conformance cases run against a server, and the comparison of two such runs."""

import json
import subprocess
import sys
import warnings
from pathlib import Path

from .process import Process, clean_environment

TIMEOUT = 240
# On a busy machine kosoku was ended by SIGABRT, without a word, in a run that no gateway took part in. Such a run is made
# again, and said so.
ATTEMPTS = 3
PROGRAMS = Path(__file__).parents[1]

Results = dict[str, dict[str, str]]


def echo_server(folder: Path) -> tuple[Process, tuple[str, int]]:
    """An echo server of one's own, which passes every case, and its address."""
    command = [sys.executable, "-B", str(PROGRAMS / "servers" / "echo.py")]
    process = Process("the echo server", command, folder, clean_environment(folder))
    port = int(process.wait_for(r"^(\d+)$", "output")[1])
    return process, ("127.0.0.1", port)


def run_cases(address: tuple[str, int], folder: Path, *cases: str) -> Results:
    """What came of each case, by its name."""
    host, port = address
    for _ in range(ATTEMPTS):
        ran = subprocess.run(
            [sys.executable, "-B", str(PROGRAMS / "clients" / "conformance.py"), f"ws://{host}:{port}/", *cases],
            cwd=folder,
            env=clean_environment(folder),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT,
        )
        if ran.returncode >= 0:
            break
        warnings.warn(f"kosoku was ended by signal {-ran.returncode}", stacklevel=2)
    assert ran.returncode == 0, f"{ran.returncode}: {ran.stderr.decode(errors='replace')[-2000:]}"
    results = {}
    for line in ran.stdout.splitlines():
        result = json.loads(line)
        results[result.pop("case")] = result
    return results


def differences(bare: Results, through: Results) -> list[str]:
    """A line for each case and each thing that is not the same in both runs."""
    lines = [f"{case}: was run one way only" for case in bare.keys() ^ through.keys()]
    for case in bare.keys() & through.keys():
        one, other = bare[case], through[case]
        lines += [
            f"{case}: {name}: bare {one.get(name)}, through {other.get(name)}"
            for name in one.keys() | other.keys()
            if one.get(name) != other.get(name)
        ]
    return sorted(lines, key=lambda line: [int(part) for part in line.split(":")[0].split(".")])
