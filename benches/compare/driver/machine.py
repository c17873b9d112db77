"""Where and when a comparison ran, without the names of machines, people or folders."""

import os
import platform
import re
import shlex
import subprocess
import sys
import time


def first(command, fallback="?"):
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20).stdout.strip() or fallback
    except (OSError, subprocess.TimeoutExpired):
        return fallback


def said_in(path, pattern, fallback):
    """What the first group of a pattern finds in a file of the system."""
    try:
        with open(path, encoding="utf-8") as file:
            found = re.search(pattern, file.read(), re.MULTILINE)
    except OSError:
        found = None
    return found.group(1) if found else fallback


def processor():
    return said_in("/proc/cpuinfo", r"^model name\s*:\s*(.+)$", platform.machine())


def system():
    return said_in("/etc/os-release", r'^PRETTY_NAME="?([^"\n]+)', "?")


def commit():
    return first(["git", "-C", os.path.dirname(os.path.abspath(__file__)), "rev-parse", "--short", "HEAD"])


def circumstances(given, built, took, load_before, others, steal):
    """Sentences for the head of the report."""
    options = [word for word in sys.argv[1:] if "/" not in word]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "date": time.strftime("%Y-%m-%d"),
        "command": " ".join(["benches/compare/run", *map(shlex.quote, options)]),
        "commit": commit(),
        "built": built,
        "took": f"{took / 60:.0f} minutes" if took >= 90 else f"{took:.0f} seconds",
        "machine": f"{os.cpu_count()} processors ({processor()}), {memory:.0f} GiB, {system()}, "
                   f"Linux {platform.release().split('-')[0]}",
        "rust": first(["rustc", "--version"]).split(" (")[0],
        "shared": f"load average {load_before[0]:.2f} when it began; during the measurement processes that are "
                  f"not part of it used {others:.2f} of a processor, and the host took away {steal:.2f}",
    }
