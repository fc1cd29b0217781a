"""Scores with their intervals, one line per loss."""

import math

from sklearnloss.comparison.findings import Findings, Row
from sklearnloss.comparison.report.markup import Html, join, tag
from sklearnloss.comparison.report.plot import figure, percent
from sklearnloss.comparison.report.scales import Scale, linear, minus, typical
from sklearnloss.comparison.report.series import ranked
from sklearnloss.comparison.text import interval, verdict

__all__ = ["intervals"]

TONE = {"better": "up", "worse": "down"}
ROW, MIDDLE = 30, 12  # pixels of a line, and where its interval is


def intervals(findings: Findings) -> Html:
    """Return a dot for the mean score of each loss, a line for its interval, and a small dot for each split."""
    rows, settings = ranked(findings), findings.settings
    base = next((row for row in rows if row.loss == settings.baseline), None)
    scale = _scale(findings, rows, base)
    metric = findings.metric.replace("_", " ")
    entries = [_entry(findings, row, scale, base) for row in rows]
    about = f"Large dot: mean {metric}; line: its 95 % interval; small dots: the splits."
    if base is not None:
        about += f" Dotted line: {settings.baseline}; band: within {settings.rope:g} of it, equivalent in practice."
    axis = tag("div", tag("div", _axis(scale), class_="at"), class_="axis-row", aria_hidden="true")
    strips = tag("div", tag("ol", *entries), axis, class_="strips")
    return figure("intervals", f"{metric.capitalize()} with 95 % intervals", strips, about=about, wide=True)


def _scale(findings: Findings, rows: list[Row], base: Row | None) -> Scale:
    floor = min([typical([row.score for row in rows]), *([base.score] if base else [])])
    near = [row for row in rows if row.score >= floor]
    rope = findings.settings.rope
    values = [v for row in near for v in (row.low, row.high, row.score, *findings.scores[row.loss])]
    return linear([*values, *([base.score - rope, base.score + rope] if base else [])], least=2 * rope, count=7)


def _entry(findings: Findings, row: Row, scale: Scale, base: Row | None) -> Html:
    said = verdict(row, baseline=findings.settings.baseline)
    between = interval(row)
    parts = [f"{row.loss}: {row.score:.4f}", f"95 % interval {between}" if between else "", said]
    spoken = ", ".join(part for part in parts if part)
    drawn = tag(
        "svg",
        tag("title", minus(spoken)),
        *(_base(base, findings.settings.rope, scale) if base else ()),
        *_marks(row, findings.scores[row.loss].tolist(), scale, TONE.get(said, "flat")),
        width="100%", height=ROW, role="img",
    )  # fmt: skip
    return tag(
        "li",
        tag("span", row.loss, class_="name"),
        tag("div", drawn, class_="at"),
        tag("span", minus(f"{row.score:.4f}"), class_="num score"),
        tag("span", minus(between), class_="num muted range"),
        tag("span", said, class_="muted said"),
    )


def _base(base: Row, rope: float, scale: Scale) -> list[Html]:
    low, high = (min(max(scale.at(base.score + d), 0), 100) for d in (-rope, rope))
    at = percent(scale.at(base.score))
    return [
        tag("rect", x=percent(low), width=percent(round(high - low, 2)), y=0, height="100%", class_="rope"),
        tag("line", x1=at, x2=at, y1=0, y2="100%", class_="base"),
    ]


def _marks(row: Row, scores: list[float], scale: Scale, tone: str) -> list[Html]:
    if not scale.holds(row.score):  # far below all others
        return [tag("path", d="M10,7 L4,13 L10,19", class_="beyond"), tag("text", "off the scale", x=16, y=17)]
    dots = [
        tag("circle", cx=percent(scale.at(s)), cy=MIDDLE + 9, r=1.6, class_="split") for s in scores if scale.holds(s)
    ]
    line = None
    if not math.isnan(row.low):
        ends = [percent(min(max(scale.at(v), 0), 100)) for v in (row.low, row.high)]
        line = tag("line", x1=ends[0], x2=ends[1], y1=MIDDLE, y2=MIDDLE, class_="whisker")
    mean = tag("circle", cx=percent(scale.at(row.score)), cy=MIDDLE, r=5, class_="mean")
    return [tag("g", line, join(dots), mean, class_=tone)]


def _axis(scale: Scale) -> Html:
    ticks = [
        tag(
            "g",
            tag("line", x1=percent(at), x2=percent(at), y1=0, y2=5),
            tag("text", label, x=percent(at), y=20, class_="middle"),
        )
        for at, label in ((scale.at(value), label) for value, label in scale.ticks)
    ]
    return tag("svg", *ticks, width="100%", height=26, class_="grid")
