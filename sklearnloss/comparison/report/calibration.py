"""Reliability diagrams: how often predictions are right, by how sure they are."""

from collections import defaultdict

import numpy as np

from sklearnloss.comparison.findings import Findings
from sklearnloss.comparison.fits import N_BINS, Record
from sklearnloss.comparison.report.markup import Html, tag
from sklearnloss.comparison.report.plot import chart, circle, curve, figure, stretched
from sklearnloss.comparison.report.scales import Scale, linear
from sklearnloss.comparison.report.series import Series, legend

__all__ = ["calibration", "merged_bins"]

HEIGHT = 320
FEWEST = 10  # rows that a bin must hold to be drawn: the share of fewer says nothing

Bins = list[tuple[float, float, float]]


def calibration(findings: Findings, shown: list[Series]) -> Html | None:
    """Return the reliability diagram of the losses that have probabilities; None if there are none."""
    bins = {s.place: merged_bins(findings.used[s.name]) for s in shown}
    drawn = [s for s in shown if bins[s.place]]
    if not drawn:
        return None
    across, up, about = _words(findings)
    axis = linear([0.0, 1.0], pad=0.0, count=5)
    diagonal = curve([(0, 0), (100, 100)], class_="ideal")
    lines = [_line(s, bins[s.place], axis) for s in sorted(drawn, key=lambda s: s.on)]
    without = [s.name for s in shown if not bins[s.place]]
    about += f"{N_BINS} bins of equal width, all splits together, without those of fewer than {FEWEST} rows; "
    about += "the area of a dot is the share of rows in it."
    if without:
        about += f" Without probabilities, and not shown: {', '.join(without)}."
    plot = chart(
        "calibration-chart", axis, axis, [stretched([diagonal]), *lines],
        labels=(across, up),
        title="Observed frequency by predicted probability",
        about="; ".join(f"{s.name}: expected calibration error {s.row.ece:.3f}" for s in drawn),
        height=HEIGHT,
    )  # fmt: skip
    errors = {s.name: f"ECE {s.row.ece:.3f}" for s in drawn}
    return figure("calibration", "Calibration", plot, legend("calibration", drawn, says=errors), about=about)


def _words(findings: Findings) -> tuple[str, str, str]:
    """Return what the axes show, and how to read them; of two classes the probability of the second is judged."""
    match findings.settings.task:
        case "multilabel":
            across, up = "probability of a label", "share that has it"
        case "binary":
            name = f"{findings.data['class_names'][-1]}"
            across, up = f"probability of {name}", f"share that is {name}"
        case _:
            reading = "On the diagonal predictions are right as often as they say; below it they are too sure. "
            return "probability of the predicted class", "share that is right", reading
    return across, up, "On the diagonal probabilities are what happens; below it they are too high, above it too low. "


def merged_bins(records: list[Record]) -> Bins:
    """Return confidence, accuracy and share of rows of each bin that holds enough, over all splits.

    Examples
    --------
    >>> one = {"calibration": {"bins": {"confidence": [0.9], "accuracy": [1.0], "count": [30.0]}}}
    >>> two = {"calibration": {"bins": {"confidence": [0.9, 0.3], "accuracy": [0.0, 0.5], "count": [10.0, 40.0]}}}
    >>> merged_bins([one, two])
    [(0.3, 0.5, 0.5), (0.9, 0.75, 0.5)]
    """
    held: dict[int, list[tuple[float, float, float]]] = defaultdict(list)
    edges = np.arange(1, N_BINS) / N_BINS  # those of the bins that were kept
    for record in records:
        bins = (
            record["calibration"]["bins"] if record["calibration"] else {"confidence": [], "accuracy": [], "count": []}
        )
        for sure, right, count in zip(bins["confidence"], bins["accuracy"], bins["count"], strict=True):
            held[int(np.searchsorted(edges, sure))].append((sure, right, count))
    total = sum(count for parts in held.values() for _, _, count in parts)
    merged = [_merged(np.array(held[place]), total) for place in sorted(held)]
    return [bin_ for bin_ in merged if bin_[2] * total >= FEWEST] or merged


def _merged(parts: np.ndarray, total: float) -> tuple[float, float, float]:
    sure, right, count = parts.T
    return float(np.average(sure, weights=count)), float(np.average(right, weights=count)), float(count.sum() / total)


def _line(one: Series, bins: Bins, axis: Scale) -> Html:
    places = [(axis.at(sure), axis.at(right)) for sure, right, _ in bins]
    dots = [
        circle(
            x,
            y,
            1.5 + 5 * share**0.5,
            tag("title", f"{one.name}: says {sure:.2f}, is right {right:.2f}, {share:.1%} of rows"),
        )
        for (x, y), (sure, right, share) in zip(places, bins, strict=True)
    ]
    return tag("g", stretched([curve(places)]), tag("g", *dots, class_="dots"), class_=one.look, data_series=one.place)
