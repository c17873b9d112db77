"""The medians as bars, in an SVG that reads in light and dark."""

from html import escape

from .measure import summary, values

WIDTH, COLUMN, BAR, GAP, LABEL, VALUE = 960, 464, 16, 5, 140, 70
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 } .quiet { fill: #656d76 }
.bar { fill: #9aa4af } .ours { fill: #0969da } .ground { fill: #ffffff }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .quiet { fill: #8d96a0 } .bar { fill: #58626d } .ours { fill: #4493f8 } .ground { fill: #0d1117 }
}
"""


def panels(report):
    """Of each row the metrics that matter most, with each contestant's median."""
    for row in report.rows:
        for metric in row.metrics:
            if metric.key in ("p50_ms", "p99_ms", "rss", "left"):
                continue
            bars = []
            for each in report.taking_part(row):
                found = summary(values(report.results, row, each.name, metric))
                if found:
                    bars.append((each.name, found[0]))
            if bars:
                bars.sort(key=lambda bar: bar[1], reverse=metric.higher_is_better)
                yield row, metric, bars


def panel(left, top, row, metric, bars, labels):
    better = "more is better" if metric.higher_is_better else "less is better"
    out = [
        f'<text class="title" x="{left}" y="{top + 12}">{escape(row.title)}</text>',
        f'<text class="quiet" x="{left}" y="{top + 28}">{escape(metric.title)}, {better}</text>',
    ]
    most = max(value for _, value in bars) or 1
    for position, (name, value) in enumerate(bars):
        y = top + 38 + position * (BAR + GAP)
        length = max((COLUMN - LABEL - VALUE) * value / most, 1)
        kind = "ours" if name == "hushgate" else "bar"
        weight = ' class="title"' if name == "hushgate" else ""
        out += [
            f'<text{weight} x="{left + LABEL - 8}" y="{y + 12}" text-anchor="end">{escape(labels[name])}</text>',
            f'<rect class="{kind}" x="{left + LABEL}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2"/>',
            f'<text{weight} x="{left + LABEL + length + 6:.1f}" y="{y + 12}">{value:,.{metric.digits}f}</text>',
        ]
    return out, 38 + len(bars) * (BAR + GAP) + 22


def draw(report, labels):
    body, top = [], 40
    every = list(panels(report))
    for first in range(0, len(every), 2):
        heights = []
        for column, (row, metric, bars) in enumerate(every[first:first + 2]):
            drawn, height = panel(12 + column * (COLUMN + 12), top, row, metric, bars, labels)
            body += drawn
            heights.append(height)
        top += max(heights)
    where = report.circumstances
    tls = "with TLS" if report.given.tls else "without TLS"
    title = f"hushgate beside other proxies, {tls}, {where['date']}: medians of {report.given.rounds} rounds"
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}" '
        f'role="img" aria-label="{escape(title)}">',
        f"<style>{STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{top}"/>',
        f'<text class="title" x="12" y="24">{escape(title)}</text>',
        *body, "</svg>", "",
    ])
