"""What a process and its children have used, read from /proc."""

import os
import pathlib

TICK = os.sysconf("SC_CLK_TCK")


def tree(pid):
    found, open_ = [], [pid]
    while open_:
        pid = open_.pop()
        found.append(pid)
        for children in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                open_.extend(int(child) for child in children.read_text().split())
            except OSError:
                continue
    return found


def processor_seconds(pid):
    """User and system time of the whole tree; nobody here ends a child while being measured."""
    total = 0
    for each in tree(pid):
        fields = pathlib.Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def memory_kib(pid):
    """Resident, proportional and private memory of the whole tree, in KiB."""
    total = {"Rss": 0, "Pss": 0, "Private": 0}
    for each in tree(pid):
        for line in pathlib.Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()[1:]:
            name, value = line.split(":", 1)
            name = "Private" if name.startswith("Private_") and "Hugetlb" not in name else name
            if name in total:
                total[name] += int(value.split()[0])
    return total


def busy_seconds():
    """What all processors of the machine have worked so far, and what its host took away."""
    fields = [int(field) for field in pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:]]
    user, nice, system, _idle, _wait, interrupt, soft, steal = fields[:8]
    return (user + nice + system + interrupt + soft) / TICK, steal / TICK


def own_seconds():
    return sum(os.times()[:4])
