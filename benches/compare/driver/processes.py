"""What a process and its children have used, read from /proc."""

import os
import pathlib
import time

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
    # The processor clock of a process counts nanoseconds, where its /proc entry counts hundredths of a
    # second; its number is made of the pid as in clock_getcpuclockid(3).
    return sum(time.clock_gettime((~each << 3) | 2) for each in tree(pid))


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


class Watch:
    """What others did with the machine, from now on."""

    def __init__(self, ours):
        self.ours = ours
        self.began, self.before = time.monotonic(), self.foreign_seconds()

    def foreign_seconds(self):
        own = sum(processor_seconds(pid) for pid in self.ours) + time.process_time()
        busy, steal = busy_seconds()
        return busy + steal - own

    def others(self):
        """The share of all processors that processes which are not part of the measurement took."""
        took = (time.monotonic() - self.began) * os.cpu_count()
        return max(self.foreign_seconds() - self.before, 0) / took
