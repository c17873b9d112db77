"""The table: written whole into benches/results/leaks.md, and in short into README."""

from .products import LABELS

BEGIN, END = "<!-- begin leaks -->", "<!-- end leaks -->"
# Sinks that are no log: what goes on to the upstream, and what the client gets.
ELSEWHERE = ("upstream target", "replies")


def table(head, lines):
    out = ["| " + " | ".join(head) + " |", "| --- |" + " --- |" * (len(head) - 1)]
    return out + ["| " + " | ".join(line) + " |" for line in lines]


def folded(lines):
    """One line for all that differ in their first cell only, in the order of the first of each."""
    alike = {}
    for name, *cells in lines:
        alike.setdefault(tuple(cells), []).append(name)
    return [["; ".join(names), *cells] for cells, names in alike.items()]


class Report:
    def __init__(self, present, absent, matrices, circumstances):
        self.names = [each.name for each in present]
        self.versions = {each.name: each.version for each in present}
        self.absent, self.matrices, self.where = absent, matrices, circumstances
        cells = list(dict.fromkeys(cell for name in self.names for cell in matrices[name].leaks))
        self.carriers = list(dict.fromkeys(carrier for carrier, _ in cells))
        self.paths = list(dict.fromkeys(path for _, path in cells))

    @property
    def head(self):
        return [LABELS[name] for name in self.names]

    def count(self, name, where, wanted=lambda sink: True):
        """In how many of the cells that `where` chooses a product leaked, and in how many canaries were planted."""
        chosen = [sinks for cell, sinks in self.matrices[name].leaks.items() if where(cell)]
        return sum(any(wanted(sink) for sink in sinks) for sinks in chosen), len(chosen)

    def cell(self, name, where):
        leaked, planted = self.count(name, where)
        if not planted:
            return "-"
        if not leaked:
            return "clean"
        sinks = {sink for cell, found in self.matrices[name].leaks.items() if where(cell) for sink in found}
        words = ", ".join(sorted(sinks))
        return f"**{words}**" if leaked == planted else f"**{words}** ({leaked} of {planted})"

    def rows(self, names, which):
        """A line for each carrier or path, with a cell for each product."""
        return [[one, *(self.cell(name, lambda cell: cell[which] == one) for name in self.names)] for one in names]

    def summary_lines(self):
        lines = []
        for name in self.names:
            matrix = self.matrices[name]
            in_logs, planted = self.count(name, lambda _: True, lambda sink: sink not in ELSEWHERE)
            others = [f"{self.count(name, lambda _: True, lambda sink, one=one: sink == one)[0]}" for one in ELSEWHERE]
            lines.append([LABELS[name], self.versions[name], f"{planted:,}", f"**{in_logs}**" if in_logs else "clean",
                          *others, *("yes" if does else "no" for does in matrix.job_done.values())])
        parts = list(self.matrices[self.names[0]].job_done) if self.names else []
        lines += [[LABELS[name], "-", f"takes no part: {reason.replace('|', '/')}", *[""] * (3 + len(parts))]
                  for name, reason in self.absent.items()]
        return table(["", "version", "canaries", "leaked into its logs", *(f"…into {one}" for one in ELSEWHERE), *parts],
                     lines)

    def path_section(self, path):
        lines = []
        for carrier in self.carriers:
            cells = [self.matrices[name].leaks.get((carrier, path)) for name in self.names]
            if any(cells):
                lines.append([carrier, *("-" if sinks is None else f"**{', '.join(sorted(sinks))}**" if sinks else "clean"
                                         for sinks in cells)])
        if not lines:
            return []
        return ["", f"### {path[0].upper()}{path[1:]}", "", *table(["carrier", *self.head], folded(lines))]

    def notes(self):
        lines = []
        for name in self.names:
            matrix = self.matrices[name]
            searched = ", ".join(f"{size:,} bytes of {sink}" for sink, size in matrix.bytes.items())
            lines.append(f"- {LABELS[name]}: searched {searched}.")
            if matrix.pieces:
                lines.append(f"  Pieces of canaries, too short to tell whose: {', '.join(sorted(matrix.pieces))}.")
            lines += [f"  {trouble[0].upper()}{trouble[1:]}." for trouble in matrix.troubles]
        return lines

    def made(self):
        where = self.where
        return f"`{where['command']}` at commit {where['commit']} on {where['date']}, in {where['took']}"

    def markdown(self):
        out = [
            "# Where a key leaks: the canary matrix", "",
            f"{self.made()}: {self.where['machine']}.", "",
            "Each canary is planted once, in one carrier, in a request that ends on one path; then all that a product",
            "writes is searched for it. A cell is clean, or names the sinks that held the canary; *-* is a cell that",
            "could not be tried. How it is made, and its limits: [benches/README.md](../README.md#leaks-the-canary-matrix).",
            "The configurations, each with its reasons: [benches/leaks/rivals](../leaks/rivals).", "",
            *self.summary_lines(), "",
            "The columns at the right say what of the job a product does. *Upstream target* counts canaries in spellings",
            "of the parameter that went on in the URL, into the agent server's own log; *replies* those that a client got",
            "to see again.", "",
            "## By carrier", "", *table(["carrier", *self.head], folded(self.rows(self.carriers, 0))), "",
            "## By path", "", *table(["path", *self.head], folded(self.rows(self.paths, 1))), "",
            "## Every cell", "", "Carriers and paths on which every product is clean are left out.",
        ]
        for path in self.paths:
            out += self.path_section(path)
        return "\n".join([*out, "", "## What was searched", "", *self.notes()]) + "\n"

    def block(self):
        """What README says: rows of which any product leaks, and how many others there are."""
        def short(names, which, title):
            lines = [line for line in self.rows(names, which) if any("**" in cell for cell in line[1:])]
            clean = len(names) - len(lines)
            rest = [[f"{clean} other {title}", *["clean"] * len(self.names)]] if clean else []
            return [*folded(lines), *rest]
        return [
            f"{self.made()} ([every cell](benches/results/leaks.md)):", "",
            *table(["carrier", *self.head], short(self.carriers, 0, "carriers")), "",
            *table(["path", *self.head], short(self.paths, 1, "paths")),
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
