"""The table that is printed and written, with losses as openly as wins."""

from . import chart
from .measure import ratios, summary, values

LABELS = {
    "direct": "direct", "hushgate": "hushgate", "nginx": "nginx", "nginx-64k": "nginx, 64 KiB buffers",
    "haproxy": "HAProxy", "haproxy-64k": "HAProxy, 64 KiB buffers", "haproxy-splice": "HAProxy, splice", "envoy": "Envoy", "caddy": "Caddy", "traefik": "Traefik",
}
RIVALS = ["nginx", "nginx-64k", "haproxy", "haproxy-64k", "haproxy-splice", "envoy", "caddy", "traefik"]
JOB = [
    ("query", "parameter moved to the field, query clean"),
    ("both", "parameter overrides the field"),
    ("encoded", "percent-encoded name too"),
    ("log", "no credential in its logs while all goes well"),
]


def number(value, digits):
    return f"{value:,.{digits}f}"


def cell(found, digits):
    if found is None:
        return "-"
    middle, least, most = (number(value, digits) for value in found)
    return f"{middle} ({least}–{most})"


def table(head, lines):
    out = ["| " + " | ".join(head) + " |", "| --- |" + " --: |" * (len(head) - 1)]
    return out + ["| " + " | ".join(line) + " |" for line in lines]


class Report:
    def __init__(self, rows, present, absent, results, circumstances, given):
        self.rows, self.present, self.absent = rows, present, absent
        self.results, self.circumstances, self.given = results, circumstances, given
        self.names = [each.name for each in present]
        self.rivals = [name for name in RIVALS if name in self.names]

    def taking_part(self, row):
        return [each for each in self.present if row.takes(each)]

    def failures(self):
        """What went wrong with hushgate, for the exit code."""
        if "hushgate" in self.absent:
            return [f"hushgate takes no part: {self.absent['hushgate']}"]
        out = []
        for row in self.rows:
            for one in self.results.get((row.key, "hushgate"), []):
                if one.get("failed") or one.get("errors"):
                    out.append(f"{row.key}: {one.get('failed') or one.get('first_error')}")
        return out

    def disturbed(self, row):
        """A warning, if other processes took more than a tenth of the machine during a measurement."""
        shares = [one["others"] for each in self.taking_part(row)
                  for one in self.results.get((row.key, each.name), []) if "others" in one]
        many = [share for share in shares if share > 0.1]
        if not many:
            return []
        return ["", f"**Disturbed:** other processes took more than 10 % of the processors in {len(many)} of "
                    f"{len(shares)} measurements, at most {max(many):.0%}."]

    def best(self, row, metric):
        """The rival with the best median, and that median."""
        found = [(summary(values(self.results, row, name, metric)), name) for name in self.rivals]
        found = [(middle[0], name) for middle, name in found if middle]
        if not found:
            return None
        return (max if metric.higher_is_better else min)(found)

    def ratio(self, row, metric):
        return summary(ratios(self.results, row, metric, self.rivals))

    def summary_lines(self):
        lines = []
        for row in self.rows:
            for metric in row.metrics:
                ours = summary(values(self.results, row, "hushgate", metric))
                best, ratio = self.best(row, metric), self.ratio(row, metric)
                if not (ours and best and ratio):
                    continue
                better = ratio[0] > 1 if metric.higher_is_better else ratio[0] < 1
                # What the ranges cannot tell apart, and what is within a fifth, is no difference.
                clear = (ratio[1] > 1 or ratio[2] < 1) and not 1 / 1.2 < ratio[0] < 1.2
                verdict = ("ahead" if better else "behind") if clear else "even"
                lines.append([
                    f"{row.title}: {metric.title}", number(ours[0], metric.digits),
                    f"{number(best[0], metric.digits)} ({LABELS[best[1]]})", cell(ratio, 2),
                    "more" if metric.higher_is_better else "less", verdict,
                ])
        return lines

    def row_lines(self, row):
        lines, broken = [], []
        for each in self.taking_part(row):
            measured = self.results.get((row.key, each.name), [])
            failed = [one["failed"] for one in measured if "failed" in one]
            errors = sum(one.get("errors", 0) for one in measured)
            mark = " †" if each.is_proxy and each.job["query"] is not True else ""
            lines.append([
                LABELS[each.name] + mark,
                *(cell(summary(values(self.results, row, each.name, metric)), metric.digits) for metric in row.metrics),
                f"{errors:,}",
            ])
            if failed:
                broken.append(f"- {LABELS[each.name]} could not do this in {len(failed)} of {len(measured)} rounds: {failed[0]}")
            if errors:
                first = next(one["first_error"] for one in measured if one.get("errors"))
                broken.append(f"- The first error of {LABELS[each.name]}: {first}.")
        ratio = ["**hushgate ÷ best rival of the round**"]
        ratio += [cell(self.ratio(row, metric), 2) for metric in row.metrics] + [""]
        lines.append(ratio)
        return table(["", *(metric.title for metric in row.metrics), "errors"], lines) + ([""] + broken if broken else [])

    def job_lines(self):
        lines = []
        for each in self.present:
            if each.is_proxy:
                lines.append([LABELS[each.name], each.version,
                              *("yes" if each.job.get(key) is True else "no" for key, _ in JOB)])
        lines += [[LABELS[name], "-", f"takes no part: {reason.replace('|', '/')}", "", "", ""]
                  for name, reason in self.absent.items()]
        return table(["", "version", *(title for _, title in JOB)], lines)

    def markdown(self, picture=None):
        where = self.circumstances
        tls = "with TLS from the clients to the proxies" if self.given.tls else "without TLS"
        rounds = f"{self.given.rounds} rounds" if self.given.rounds != 1 else "one round"
        out = [
            f"# hushgate beside other proxies, {tls}: {where['date']}", "",
            f"`{where['command']}` at commit {where['commit']}: {rounds}, {where['took']}; hushgate was built",
            f"{where['built']}.",
            f"{where['machine']}; {where['rust']}. The machine was shared: {where['shared']}.", "",
            "Every figure is the median of the rounds, with the least and the most of them behind it. A ratio",
            "compares hushgate with the best rival of the same round, whoever that is in that round; then the",
            "median of those. Processor time (CPU) is user and system time of all of a proxy's processes. *Even* is",
            "within a fifth, or with 1 inside the range: on a shared machine that is no difference.", "",
        ]
        if picture:
            out += [f"![Bars of the medians below]({picture})", ""]
        out += ["## Where hushgate stands", ""]
        out += table(["", "hushgate", "best rival", "ratio", "better is", ""], self.summary_lines())
        out += ["", "## Who does the job", ""] + self.job_lines()
        if any(each.is_proxy and each.job["query"] is not True for each in self.present):
            out += ["", "† cannot do the job, so its clients send the field and a clean URL: it has less to do. It counts",
                    "as a rival all the same."]
        for row in self.rows:
            out += ["", f"## {row.title} (`{row.key}`)", ""] + self.row_lines(row) + self.disturbed(row)
        return "\n".join(out) + "\n"

    @property
    def kind(self):
        return ("-growth" if self.given.growth else "") + ("-tls" if self.given.tls else "")

    def summary_block(self, name):
        """What benches/README.md says of these results."""
        lines = [line for line in self.summary_lines()]
        counts = {word: sum(line[-1] == word for line in lines) for word in ("ahead", "even", "behind")}
        where = self.circumstances
        return [
            f"![Bars of the medians](results/{name}.svg)", "",
            f"`{where['command']}` at commit {where['commit']} on {where['date']}, hushgate built {where['built']}: {where['machine']}. "
            f"The machine was shared: {where['shared']}. [The whole table](results/{name}.md) has every rival.", "",
            *table(["", "hushgate", "best rival", "ratio", "better is", ""], lines), "",
            f"hushgate is ahead in {counts['ahead']} of these, even in {counts['even']}, behind in {counts['behind']}.",
        ]

    def put_into(self, readme, name):
        """Replaces the block of this kind of results, if its markers are there."""
        begin, end = (f"<!-- {word} {('results' + self.kind)} -->" for word in ("begin", "end"))
        before, found, rest = readme.read_text().partition(begin)
        if not found or end not in rest:
            return False
        body = "\n".join(self.summary_block(name))
        readme.write_text(f"{before}{begin}\n{body}\n{end}{rest.partition(end)[2]}")
        return True

    def write(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        # A part of the results must not take the place of all of them.
        is_whole = not (self.given.rows or self.given.only)
        name = self.circumstances["date"] + self.kind + ("" if is_whole else "-part")
        picture, text = folder / f"{name}.svg", folder / f"{name}.md"
        picture.write_text(chart.draw(self, LABELS))
        text.write_text(self.markdown(picture.name))
        readme = folder.parent / "README.md"
        if is_whole and readme.exists() and self.put_into(readme, name):
            return [text, picture, readme]
        return [text, picture]
