"""One product under `hushgate leaktest`: every carrier on every path, every sink searched."""

import json
import subprocess
import threading

from driver.contestants import Unavailable, free_ports

from . import job
from .products import TIMEOUT, patience, sinks

# leaktest ends by itself; nothing here may hang, whatever a product does.
LONGEST = 180


class Matrix:
    """What was found of one product: of each carrier and path, the sinks that leaked."""

    def __init__(self, job_done, found, names):
        self.job_done = job_done
        self.leaks, self.pieces = {}, set()
        for cell in found["cells"]:
            if cell["carrier"] is None:
                # Too little of a canary to tell where it was planted.
                self.pieces.add(self.sink(cell, names))
                continue
            leaks = self.leaks.setdefault((cell["carrier"], cell["path"]), set())
            if cell["verdict"] == "leaked":
                leaks.add(self.sink(cell, names))
        self.troubles = found["troubles"]
        self.skipped = [": ".join(one[key] for key in ("path", "carrier", "reason") if one.get(key))
                        for one in found["skipped"]]
        self.bytes = {names.get(sink["sink"], sink["sink"]): sink["bytes"] for sink in found["sinks"]}

    @staticmethod
    def sink(cell, names):
        return names.get(cell["sink"], cell["sink"])


def run(contestant, tester, folder, settle):
    """Starts it, looks at its job, and has leaktest play its clients and its agent server."""
    (contestant.upstream_port,) = free_ports(1)
    try:
        with job.upstream(contestant.upstream_port) as server:
            contestant.start(folder, None, check=True, timeout=TIMEOUT)
            job_done = job.done(contestant.running.port, server)
        return Matrix(job_done, leaktest(contestant, tester, settle), sinks(contestant))
    finally:
        contestant.stop()


def leaktest(contestant, tester, settle):
    running = contestant.running
    words = [tester, "leaktest", "--target", f"http://127.0.0.1:{running.port}",
             "--upstream", f"127.0.0.1:{contestant.upstream_port}", "--settle", settle, "--patience", f"{patience(contestant)}s",
             "--format", "json", "--watch", *sinks(contestant)]
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, cwd=running.folder)
    guard = threading.Timer(LONGEST, process.kill)
    guard.start()
    try:
        said, complained = process.communicate()
    finally:
        guard.cancel()
    try:
        # What it calls no result, because of a cell that could not be tried, is a result for the others.
        return json.loads(said)
    except json.JSONDecodeError:
        last = (complained.strip().splitlines() or ["no word"])[-1][:200]
        raise Unavailable(f"leaktest came to no result ({process.returncode}): {last}") from None
