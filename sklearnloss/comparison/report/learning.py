"""Held-out score by epoch."""

import math

import numpy as np

from sklearnloss.comparison.findings import Findings
from sklearnloss.comparison.fits import Record
from sklearnloss.comparison.report.markup import Html, tag
from sklearnloss.comparison.report.plot import chart, curve, figure, stretched
from sklearnloss.comparison.report.scales import Scale, linear
from sklearnloss.comparison.report.series import Series, far_below, legend
from sklearnloss.comparison.scoring import title

__all__ = ["learning", "mean_curve"]

HEIGHT = 320
Points = list[tuple[float, float]]  # epoch and score
STEEP = 10  # percent of all points that may lie below the axis: the first epochs of a fit say little


def learning(findings: Findings, shown: list[Series]) -> Html | None:
    """Return a line per loss, the mean over the splits; None if there is no epoch to show."""
    curves = {s.place: mean_curve(findings.used[s.name]) for s in shown}
    drawn = [s for s in shown if curves[s.place] and not s.far]
    if not drawn:
        return None
    metric = title(findings.metric)
    x, y = _axes([curves[s.place] for s in drawn])
    lines = [_line(s, curves[s.place], x, y) for s in sorted(drawn, key=lambda s: s.on)]
    about = "Mean over the splits; a fit that stopped early keeps its last score."
    if any(value < y.low for s in drawn for _, value in curves[s.place]):
        about += " Scores of the first epochs below the axis are cut off."
    plot = chart(
        "learning-chart", x, y, [stretched(lines)],
        labels=("epoch", f"{metric} on rows held out"),
        title=f"{metric} on rows held out, by epoch",
        about="; ".join(f"{s.name}: {curves[s.place][0][1]:.3f} to {curves[s.place][-1][1]:.3f}" for s in drawn),
        height=HEIGHT,
    )  # fmt: skip
    return figure("learning", "Learning curves", plot, legend("learning", drawn), about=about + far_below(shown))


def mean_curve(records: list[Record]) -> Points:
    """Return epochs and the mean score of the splits there; a split that has ended keeps its last score.

    Examples
    --------
    >>> short = {"curve": {"epoch": [1, 2], "score": [0.5, 0.7]}}
    >>> mean_curve([short, {"curve": {"epoch": [1, 2, 4], "score": [0.5, 0.7, 0.9]}}])
    [(1.0, 0.5), (2.0, 0.7), (4.0, 0.8)]
    """
    known = [
        {e: s for e, s in zip(r["curve"]["epoch"], r["curve"]["score"], strict=True) if s is not None} for r in records
    ]
    known = [points for points in known if points]
    if not known:
        return []
    epochs = sorted({epoch for points in known for epoch in points})
    means = [[_at(points, epoch) for points in known] for epoch in epochs]
    return [(float(e), float(np.nanmean(v))) for e, v in zip(epochs, means, strict=True) if not np.isnan(v).all()]


def _at(points: dict[int, float], epoch: int) -> float:
    past = [e for e in points if e <= epoch]
    return points[max(past)] if past else math.nan


def _axes(curves: list[Points]) -> tuple[Scale, Scale]:
    values = [value for points in curves for _, value in points]
    floor = min(float(np.percentile(values, STEEP)), *(points[-1][1] for points in curves))
    epochs = [epoch for points in curves for epoch, _ in points]
    return linear(epochs, least=1.0, pad=0.02, whole=True), linear([floor, max(values)], least=1e-3, pad=0.05)


def _line(one: Series, points: Points, x: Scale, y: Scale) -> Html:
    path = curve([(x.at(epoch), y.at(value)) for epoch, value in points])
    return tag("g", tag("title", one.name), path, class_=one.look, data_series=one.place)
