"""The rows, and one measurement of one contestant."""

import json
import statistics
import subprocess
import threading
import time

from . import processes
from .contestants import TARGET, TOP, Unavailable, free_ports

LOAD = TARGET / "release" / "examples" / "load"
CREDENTIAL = b"0123456789abcdef0123456789abcdef"


class Metric:
    def __init__(self, key, title, higher_is_better, digits):
        self.key, self.title, self.higher_is_better, self.digits = key, title, higher_is_better, digits


class Row:
    """One kind of load. `variants` names who takes part beside the plain configurations."""

    def __init__(self, key, title, command, arguments, seconds, metrics, variants=(), idle=False, growth=False, settle=4):
        self.key, self.title, self.command, self.arguments = key, title, command, arguments
        self.seconds, self.metrics, self.variants = seconds, metrics, variants
        self.idle, self.growth, self.settle = idle, growth, settle

    def takes(self, contestant):
        return contestant.is_proxy and contestant.name in self.variants if contestant.is_variant else (
            contestant.is_proxy or not self.idle)



def rate(title):
    return [Metric("rate", title, True, 0), Metric("p50_ms", "p50 ms", False, 2), Metric("p99_ms", "p99 ms", False, 2)]


CPU = Metric("cpu", "CPU s per 100k", False, 2)
STREAM = [Metric("mib", "MiB/s", True, 0), Metric("cpu_gib", "CPU s per GiB", False, 2)]
IDLE = [
    Metric("pss", "PSS KiB per socket", False, 2),
    Metric("rss", "RSS KiB per socket", False, 2),
    Metric("left", "MiB more than before, once all closed", False, 1),
]


def rows(seconds):
    """Every row; `seconds` scales how long each is measured."""
    streams = [
        Row(f"{way}-{size}{mark}", f"Stream of {size // 1024} KiB frames{text}, {whence}", way,
            ["--sockets", "8", "--size", str(size), "--together", str(together)], 0.8 * seconds, STREAM,
            variants=("nginx-64k", "haproxy-64k", "haproxy-splice"))
        for size, together, mark, text in (
            (1024, 1, "", ""), (1024, 64, "-together", ", 64 written at once"), (65536, 1, "", ""))
        for way, whence in (("down", "from the upstream"), ("up", "from the client"))
    ]
    idle = [
        Row(f"idle-{size}", f"2,000 idle sockets, after one message of {text} each", "idle",
            ["--sockets", "2000", "--size", str(size)], 0, IDLE, idle=True)
        for size, text in ((128, "128 bytes"), (65536, "64 KiB"))
    ]
    return [
        Row("handshakes", "Opening handshakes, each with one message there and back", "handshakes",
            ["--sockets", "40"], 1.2 * seconds, [*rate("per second"), CPU]),
        Row("echo", "Echo of 128 bytes on 64 sockets", "echo", ["--sockets", "64"], 1.2 * seconds,
            [*rate("messages per second"), CPU]),
        *streams, *idle,
        Row("requests", "Plain requests on 64 kept-alive connections", "requests", ["--sockets", "64"], seconds,
            [*rate("per second"), CPU]),
    ]


GROWTH = [
    IDLE[0],
    Metric("cpu_open", "CPU s to open, with a message each", False, 3),
    Metric("cpu_idle", "CPU ms in an idle second", False, 2),
    Metric("cpu_round", "CPU s for one more message each", False, 3),
    IDLE[2],
]


def growth_rows(seconds):
    """How cost grows: with the sockets that are open, and with the parameters that are not ours."""
    sockets = [
        Row(f"sockets-{count}", f"{count:,} sockets, after one message of 128 bytes each", "idle",
            ["--sockets", str(count), "--size", "128"], 5 * seconds, GROWTH, idle=True, growth=True, settle=10)
        for count in (1000, 3000, 9000)
    ]
    # HAProxy takes heads of 16 KiB unless its buffers are larger.
    others = [
        Row(f"parameters-{count}", f"Opening handshakes with {count:,} other parameters", "handshakes",
            ["--sockets", "40", "--others", str(count)], 1.2 * seconds, [*rate("per second"), CPU],
            variants=("haproxy-64k",))
        for count in (0, 10, 100, 1000)
    ]
    return [*sockets, *others]


class Upstream:
    """The one server behind everybody, with a port for each."""

    def __init__(self, contestants):
        ports = free_ports(len(contestants))
        for contestant, port in zip(contestants, ports):
            contestant.upstream_port = port
        self.process = subprocess.Popen([LOAD, "upstream", *map(str, ports)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise SystemExit("the upstream did not start")

    def stop(self):
        self.process.terminate()
        self.process.wait()


def address(contestant):
    return f"127.0.0.1:{contestant.running.port if contestant.running else contestant.upstream_port}"


def roots(tls):
    return ["--roots", str(tls["certificate"])] if tls else []


def probe(contestant, tls):
    """Finds which parts of the job a contestant does, before anything is measured."""
    words = [LOAD, "probe", address(contestant), *roots(tls)]
    try:
        said = subprocess.run(words, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        raise Unavailable("does not end what is asked of it within a minute") from None
    if said.returncode != 0:
        raise Unavailable("cannot be talked to: " + last_line(said.stderr))
    contestant.job = json.loads(said.stdout)
    if contestant.job["query"] is True:
        contestant.carrier = "query"
    elif contestant.job["field"] is True:
        contestant.carrier = "field"
    else:
        raise Unavailable(f"opens no WebSocket: {contestant.job['field']}")
    if contestant.running:
        folder = contestant.running.folder
        contestant.stop()
        logs = [file for file in folder.glob("*") if file.suffix == ".log"]
        contestant.job["log"] = not any(CREDENTIAL in file.read_bytes() for file in logs)


def last_line(text):
    lines = text.strip().splitlines()
    return lines[-1][:160] if lines else "no word"


def measure(row, contestant, tls, upstream):
    """One measurement: a dictionary by the keys of the row's metrics, and the errors."""
    if contestant.is_proxy and not contestant.running:
        return {"failed": contestant.failure}
    words = [LOAD, row.command, address(contestant), "--carrier", contestant.carrier, *row.arguments, *roots(tls)]
    if row.seconds and not row.idle:
        words += ["--time", f"{int(row.seconds * 1000)}ms"]
    load = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    # Nothing here may hang, whatever a contestant does.
    guard = threading.Timer(180 if row.growth else 60, load.kill)
    guard.start()
    try:
        return exchange(row, contestant, load, upstream)
    except (OSError, json.JSONDecodeError) as error:
        # The load has ended, or the contestant, of which nothing can be read any more.
        load.kill()
        return {"failed": last_line(load.stderr.read() or str(error))}
    finally:
        guard.cancel()
        try:
            load.stdin.close()
        except BrokenPipeError:
            # What it was to be told last has nobody to read it.
            pass
        load.wait()
        load.stdout.close()
        load.stderr.close()


def exchange(row, contestant, load, upstream):
    pid = contestant.running.process.pid if contestant.running else None
    if load.stdout.readline() != "ready\n":
        return {"failed": last_line(load.stderr.read())}
    time.sleep(0.4 if row.idle else 0.05)
    before = processes.memory_kib(pid) if row.idle else None
    watch = processes.Watch([each for each in (load.pid, upstream, pid) if each])
    result, cpu = ask(load, pid, 0 if row.idle else 0.1)
    others = {"others": watch.others()}
    if row.idle:
        return {**idle(row, load, result, cpu, pid, before), **others}
    return {**rates(result, cpu), **others}


def ask(load, pid, pause):
    """Has the load do its work, and gives back the result and the processor time that the proxy took."""
    before = processes.processor_seconds(pid) if pid else None
    load.stdin.write("\n")
    load.stdin.flush()
    result = json.loads(load.stdout.readline())
    time.sleep(pause)
    return result, processes.processor_seconds(pid) - before if pid else None


def rates(result, cpu):
    count, size = result["count"], result["bytes"]
    out = {"errors": result["errors"], "first_error": result["first_error"],
           "p50_ms": result["p50_ms"], "p99_ms": result["p99_ms"]}
    if count:
        out["rate"] = count / result["seconds"]
        out["cpu"] = cpu and cpu / count * 100_000
    if size:
        out["mib"] = size / result["seconds"] / 2**20
        out["cpu_gib"] = cpu and cpu / size * 2**30
    return out


def settled(pid, start, patience):
    """The least memory within so many seconds, or as soon as it is back or two seconds bring no more."""
    least, since, end = processes.memory_kib(pid)["Rss"], time.monotonic(), time.monotonic() + patience
    while time.monotonic() < min(end, since + 2 if patience < 10 else end) and least > start + 1024:
        time.sleep(0.25)
        now = processes.memory_kib(pid)["Rss"]
        if now < least - 256:
            since = time.monotonic()
        least = min(least, now)
    return least


def idle(row, load, result, cpu, pid, before):
    time.sleep(0.4)
    during = processes.memory_kib(pid)
    more = {}
    if row.growth:
        more["cpu_open"], began = cpu, processes.processor_seconds(pid)
        time.sleep(row.seconds)
        more["cpu_idle"] = (processes.processor_seconds(pid) - began) / row.seconds * 1000
        again, more["cpu_round"] = ask(load, pid, 0)
        result = {**result, "errors": result["errors"] + again["errors"],
                  "first_error": result["first_error"] or again["first_error"]}
    load.stdin.close()
    load.wait()
    after = settled(pid, before["Rss"], row.settle)
    count = max(result["count"], 1)
    return {
        **more, "errors": result["errors"], "first_error": result["first_error"],
        "pss": (during["Pss"] - before["Pss"]) / count, "rss": (during["Rss"] - before["Rss"]) / count,
        "private": (during["Private"] - before["Private"]) / count, "left": (after - before["Rss"]) / 1024,
    }


def one_round(number, chosen, contestants, folder, tls, upstream, results, say):
    """Every contestant once in every row; who begins changes from row to row."""
    # Idle memory is read of fresh processes, or an earlier load's leftovers would hide it.
    for turn, row in enumerate(row for row in chosen if row.idle):
        for contestant in rotated([each for each in contestants if row.takes(each)], number + turn):
            contestant.try_to_start(folder, tls)
            keep(results, row, contestant, measure(row, contestant, tls, upstream))
            contestant.stop()
        say(f"round {number + 1}: {row.title}")
    others = [row for row in chosen if not row.idle]
    if not others:
        return
    for contestant in contestants:
        if contestant.is_proxy:
            contestant.try_to_start(folder, tls)
    for turn, row in enumerate(others):
        for contestant in rotated([each for each in contestants if row.takes(each)], number + turn):
            keep(results, row, contestant, measure(row, contestant, tls, upstream))
        say(f"round {number + 1}: {row.title}")
    for contestant in contestants:
        contestant.stop()


def rotated(things, by):
    by %= max(len(things), 1)
    return things[by:] + things[:by]


def keep(results, row, contestant, result):
    results.setdefault((row.key, contestant.name), []).append(result)


def values(results, row, name, metric):
    return [each.get(metric.key) for each in results.get((row.key, name), [])]


def summary(numbers):
    """Median, least and most of what was measured, or nothing."""
    numbers = [number for number in numbers if number is not None]
    return (statistics.median(numbers), min(numbers), max(numbers)) if numbers else None


def ratios(results, row, metric, rivals):
    """hushgate divided by the best rival of the same round, for each round."""
    ours = values(results, row, "hushgate", metric)
    out = []
    for number, our in enumerate(ours):
        theirs = [values(results, row, rival, metric)[number:number + 1] for rival in rivals]
        theirs = [each[0] for each in theirs if each and each[0] is not None]
        if our is not None and theirs:
            best = (max if metric.higher_is_better else min)(theirs)
            if best > 0:
                out.append(our / best)
    return out
