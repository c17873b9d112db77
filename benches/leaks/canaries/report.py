"""The table: written whole into benches/results/leaks.md, and in short into README."""

import pathlib

from .products import LABELS, USUAL

BEGIN, END = "<!-- begin leaks -->", "<!-- end leaks -->"
# Sinks that are no log: what goes on to the upstream, and what the client gets.
UPSTREAM, REPLIES = "upstream target", "replies"


def table(head, lines):
    out = ["| " + " | ".join(head) + " |", "| --- |" + " --- |" * (len(head) - 1)]
    return out + ["| " + " | ".join(line) + " |" for line in lines]


def folded(lines):
    """One line for all that differ in their first cell only, in the order of the first of each."""
    alike = {}
    for name, *cells in lines:
        alike.setdefault(tuple(cells), []).append(name)
    return [["; ".join(names), *cells] for cells, names in alike.items()]


def bold(sinks):
    return f"**{', '.join(sorted(sinks))}**" if sinks else "clean"


class Report:
    def __init__(self, present, absent, matrices, circumstances):
        self.best = [each.name for each in present if each.name in LABELS]
        self.usual = [each.name for each in present if each.name in USUAL]
        self.versions = {each.name: each.version for each in present}
        self.checks = {each.files[0]: f"{pathlib.Path(each.command[0]).name} {' '.join(each.check_command)}" for each in present
                       if each.check_command}
        self.absent, self.matrices, self.where = absent, matrices, circumstances
        cells = list(dict.fromkeys(cell for name in matrices for cell in matrices[name].leaks))
        self.carriers = list(dict.fromkeys(carrier for carrier, _ in cells))
        self.paths = list(dict.fromkeys(path for _, path in cells))

    def count(self, name, wanted):
        """In how many cells a sink that `wanted` chooses held the canary."""
        return sum(any(wanted(sink) for sink in sinks) for sinks in self.matrices[name].leaks.values())

    def in_logs(self, name):
        return self.count(name, lambda sink: sink not in (UPSTREAM, REPLIES))

    def cell(self, name, where, is_counted):
        """The sinks that leaked in the cells that `where` chooses, or clean."""
        chosen = [sinks for cell, sinks in self.matrices[name].leaks.items() if where(cell)]
        leaked = [sinks for sinks in chosen if sinks]
        if not chosen:
            return "-"
        some = f" ({len(leaked)} of {len(chosen)})" if leaked and is_counted else ""
        return bold(set().union(*leaked)) + some

    def rows(self, products, which, is_counted=True):
        """A line for each carrier (0) or path (1), with a cell for each product."""
        return [[one, *(self.cell(name, lambda cell: cell[which] == one, is_counted) for name in products)]
                for one in (self.carriers, self.paths)[which]]

    def summary(self):
        lines, parts = [], []
        for name in [*self.best, *self.usual]:
            matrix = self.matrices[name]
            parts = list(matrix.job_done)
            lines.append([
                LABELS.get(name) or f"{USUAL[name]}, usual logs", self.versions[name], f"{len(matrix.leaks):,}",
                f"**{self.in_logs(name)}**" if self.in_logs(name) else "clean",
                *(f"{self.count(name, lambda sink, one=one: sink == one)}" for one in (UPSTREAM, REPLIES)),
                *("yes" if does else "no" for does in matrix.job_done.values()),
            ])
        lines += [[name, "-", f"takes no part: {reason.replace('|', '/')}", *[""] * (3 + len(parts))]
                  for name, reason in self.absent.items()]
        return table(["", "version", "canaries", "leaked into its logs", f"…into {UPSTREAM}", f"…into {REPLIES}", *parts],
                     lines)

    def sections(self):
        """The cells of each path on which anybody leaked; paths of which all cells are alike share one."""
        alike = {}
        for path in self.paths:
            lines = []
            for carrier in self.carriers:
                found = [self.matrices[name].leaks.get((carrier, path)) for name in self.best]
                if any(found):
                    lines.append([carrier, *("-" if sinks is None else bold(sinks) for sinks in found)])
            if lines:
                alike.setdefault("\n".join(self.table("carrier", self.best, folded(lines))), []).append(path)
        return [line for text, paths in alike.items() for line in ("", f"### On the path: {'; '.join(paths)}", "", text)]

    @staticmethod
    def table(first, products, lines):
        return table([first, *(LABELS.get(name) or USUAL[name] for name in products)], lines)

    def searched(self):
        lines = []
        for name, matrix in self.matrices.items():
            sizes = ", ".join(f"{size:,} bytes of {sink}" for sink, size in matrix.bytes.items())
            lines.append(f"- `{name}`: searched {sizes}.")
            if matrix.pieces:
                lines.append(f"  Pieces of canaries, too short to tell whose: {', '.join(sorted(matrix.pieces))}.")
            lines += [f"  {trouble[0].upper()}{trouble[1:]}." for trouble in matrix.troubles]
        skipped = {}
        for name, matrix in self.matrices.items():
            for one in matrix.skipped:
                skipped.setdefault(one, []).append(name)
        for one, names in skipped.items():
            who = "anybody" if len(names) == len(self.matrices) else ", ".join(f"`{name}`" for name in names)
            lines.append(f"- Not tried with {who}: {one}.")
        return lines

    def made(self):
        where = self.where
        return f"`{where['command']}` at commit {where['commit']} on {where['date']}"

    def markdown(self):
        both = [("By carrier", "carrier", 0), ("By path", "path", 1)]
        out = [
            "# Where a key leaks: the canary matrix", "",
            f"{self.made()}, in {self.where['took']}: {self.where['machine']}.", "",
            "Each canary is planted once, in one carrier, in a request that ends on one path; then all that a product",
            "writes is searched for it. A cell is clean, or names the sinks that held the canary, in how many of how many",
            "cells; *-* could not be tried. How it is made, and its limits:",
            "[benches/README.md](../README.md#leaks-the-canary-matrix). The configurations, each with its reasons:",
            "[benches/leaks/rivals](../leaks/rivals).", "",
            *self.summary(), "",
            "The columns at the right say what of the job a product does. *Upstream target* counts canaries in spellings",
            "of the parameter that went on in the URL, and so into the agent server's own log; *replies* those that came",
            "back to their client: nginx takes an upstream's garbage for an answer of HTTP/0.9, and passes it on.",
            "Before it was started:", "",
        ]
        for file, command in self.checks.items():
            out.append(f"- `{command} {file}` found nothing wrong.")
        out += ["- Traefik has no checker.", ""] if "traefik" in self.best else [""]
        for title, first, which in both:
            out += [f"## {title}", "", *self.table(first, self.best, folded(self.rows(self.best, which))), ""]
        if self.usual:
            out += ["## With the logs that they come with", ""]
            for _, first, which in both:
                out += [*self.table(first, self.usual, folded(self.rows(self.usual, which))), ""]
        out += ["## Every cell, in the best configuration", "",
                "Carriers and paths on which every product is clean are left out.", *self.sections()]
        return "\n".join([*out, "", "## What was searched", "", *self.searched()]) + "\n"

    def block(self):
        """What README says: rows of which any product leaks, and how many others there are."""
        def short(which, what):
            lines = self.rows(self.best, which, is_counted=False)
            leaky = [line for line in lines if any("**" in cell for cell in line[1:])]
            others = len(lines) - len(leaky)
            rest = [[f"the other {others} {what}", *["clean"] * len(self.best)]] if others else []
            return [*folded(leaky), *rest]

        def logs(name):
            if name not in self.matrices:
                return "-"
            return f"**{self.in_logs(name)}** of {len(self.matrices[name].leaks)}" if self.in_logs(name) else "clean"
        versions = ", ".join(f"{LABELS[name]} {self.versions[name]}" for name in self.best if name != "nginx-errors")
        usual = [logs(name if name == "hushgate" else f"{name}-usual") for name in self.best]
        in_targets = [self.count(name, lambda sink: sink == UPSTREAM) for name in self.best]
        return [
            f"{self.made()}, with {versions} ([every cell](benches/results/leaks.md)):", "",
            *self.table("canaries that leaked", self.best, [
                ["into its logs, in its best configuration", *(logs(name) for name in self.best)],
                ["into its logs, with those it comes with", *usual],
                ["into the URL that the agent server gets", *(f"**{count}**" if count else "clean" for count in in_targets)],
            ]), "",
            *self.table("carrier, in the best configuration", self.best, short(0, "carriers")), "",
            *self.table("path, in the best configuration", self.best, short(1, "paths")),
        ]

    def write(self, folder, readme):
        folder.mkdir(parents=True, exist_ok=True)
        whole = folder / "leaks.md"
        whole.write_text(self.markdown())
        if readme is None:
            return [whole]
        before, found, rest = readme.read_text().partition(BEGIN)
        if not found or END not in rest:
            raise SystemExit(f"{readme.name} has no {BEGIN} … {END}")
        body = "\n".join(self.block())
        readme.write_text(f"{before}{BEGIN}\n{body}\n{END}{rest.partition(END)[2]}")
        return [whole, readme]

    def failures(self):
        """What went wrong with hushgate, for the exit code."""
        if "hushgate" in self.absent:
            return [f"takes no part: {self.absent['hushgate']}"]
        if "hushgate" not in self.matrices:
            return []
        matrix = self.matrices["hushgate"]
        leaked = [f"{', '.join(sorted(sinks))} leaked: {carrier} ({path})"
                  for (carrier, path), sinks in matrix.leaks.items() if sinks]
        return leaked + [f"{sink} holds a piece of a canary" for sink in sorted(matrix.pieces)] + matrix.troubles
