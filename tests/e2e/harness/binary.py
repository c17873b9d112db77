"""Where the program under test is."""

import os
from pathlib import Path


def binary() -> Path:
    """The program that HUSHGATE names, else what cargo built."""
    if named := os.environ.get("HUSHGATE"):
        return Path(named).resolve()
    target = Path(__file__).parents[3] / "target"
    for built in (target / "debug" / "hushgate", target / "release" / "hushgate"):
        if built.exists():
            return built
    raise FileNotFoundError("there is no gateway to test; build it, or name it in HUSHGATE")
