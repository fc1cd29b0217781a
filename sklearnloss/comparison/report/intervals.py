"""Scores with their intervals, one line per loss."""

import math

from sklearnloss.comparison.findings import Findings, Row
from sklearnloss.comparison.report.markup import Html, join, tag
from sklearnloss.comparison.report.plot import figure, percent
from sklearnloss.comparison.report.scales import Scale, linear, minus
from sklearnloss.comparison.report.series import Series
from sklearnloss.comparison.scoring import title
from sklearnloss.comparison.text import interval, verdict

__all__ = ["intervals"]

TONE = {"better": "up", "worse": "down"}
ROW = 30  # pixels of a line at least
BEYOND = join([tag("path", d="M10,-6 L4,0 L10,6", class_="beyond"), tag("text", "far below", x=16, y=4)])


def intervals(findings: Findings, shown: list[Series]) -> Html:
    """Return a dot for the mean score of each loss, a line for its interval, and a small dot for each split."""
    settings = findings.settings
    base = next((s.row for s in shown if s.baseline), None)
    scale = _scale(findings, shown, base)
    metric = title(findings.metric)
    entries = [_entry(findings, one, scale, base) for one in shown]
    about = f"Large dot: mean {metric}; line: its 95 % interval; small dots: the splits."
    if base is not None:
        about += f" Dotted line: {settings.baseline}; band: within {settings.rope:g} of it, equivalent in practice."
    axis = tag("div", tag("div", _axis(scale), class_="at"), class_="axis-row", aria_hidden="true")
    strips = tag("div", tag("ol", *entries), axis, class_="strips")
    return figure("intervals", f"{metric[:1].upper()}{metric[1:]} with 95 % intervals", strips, about=about, wide=True)


def _scale(findings: Findings, shown: list[Series], base: Row | None) -> Scale:
    rope = findings.settings.rope
    rows = [one.row for one in shown if not one.far]
    values = [v for row in rows for v in (row.low, row.high, row.score, *findings.scores[row.loss])]
    return linear([*values, *([base.score - rope, base.score + rope] if base else [])], least=2 * rope, count=7)


def _entry(findings: Findings, one: Series, scale: Scale, base: Row | None) -> Html:
    settings, row = findings.settings, one.row
    said, between = verdict(row, baseline=settings.baseline), interval(row, rope=settings.rope)
    parts = [f"{row.loss}: {row.score:.4f}", f"95 % interval {between}" if between else "", said]
    marks = BEYOND if one.far else _marks(row, findings.scores[row.loss].tolist(), scale)
    drawn = tag(
        "svg",
        tag("title", minus(", ".join(part for part in parts if part))),
        *(_base(base, settings.rope, scale) if base else ()),
        tag("svg", marks, y="50%", class_=TONE.get(said, "flat")),
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
    low, high = (scale.at(base.score + d) for d in (-rope, rope))
    at = percent(scale.at(base.score))
    return [
        tag("rect", x=percent(low), width=percent(round(high - low, 2)), y=0, height="100%", class_="rope"),
        tag("line", x1=at, x2=at, y1=0, y2="100%", class_="base"),
    ]


def _marks(row: Row, scores: list[float], scale: Scale) -> Html:
    """Return what is drawn about the middle of a line."""
    dots = [tag("circle", cx=percent(scale.at(score)), cy=6, r=1.6, class_="split") for score in scores]
    line = None
    if not math.isnan(row.low):
        line = tag(
            "line", x1=percent(scale.at(row.low)), x2=percent(scale.at(row.high)), y1=-3, y2=-3, class_="whisker"
        )
    return join([line, *dots, tag("circle", cx=percent(scale.at(row.score)), cy=-3, r=5, class_="mean")])


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
