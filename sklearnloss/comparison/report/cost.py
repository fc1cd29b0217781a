"""What a loss costs against how well it scores."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sklearnloss.comparison.budget import duration
from sklearnloss.comparison.findings import Findings
from sklearnloss.comparison.report.markup import Html, tag
from sklearnloss.comparison.report.plot import chart, circle, figure, label_width, percent, shorten
from sklearnloss.comparison.report.scales import Scale, linear, minus, seconds_axis
from sklearnloss.comparison.report.series import Entry, Series, far_below
from sklearnloss.comparison.scoring import title

__all__ = ["HEIGHT", "cost", "dot_of", "place_labels"]

HEIGHT = 400
NARROW = 250.0  # pixels across for which labels are placed: they do not meet where there is more room
LINE = 15.0  # pixels of a line of text
ANCHORS = {"start": 0.0, "middle": 0.5, "end": 1.0}  # share of a text to the left of where it is put


class Box(NamedTuple):
    """Pixels that something takes."""

    left: float
    top: float
    right: float
    bottom: float

    def away(self, x: float, y: float) -> float:
        """Return the distance of a point."""
        return math.hypot(max(self.left - x, x - self.right, 0.0), max(self.top - y, y - self.bottom, 0.0))

    def meets(self, other: "Box") -> bool:
        """Return whether two boxes share a pixel."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


def cost(findings: Findings, shown: list[Series], *, key: Html | None) -> Html:
    """Return a dot per loss, seconds of a fit across and score up; ``key`` is a legend if no other chart has one."""
    metric = title(findings.metric)
    near = [s for s in shown if not s.far]
    x = seconds_axis([s.row.fit_seconds for s in near])
    y = linear([s.row.score for s in near], least=findings.settings.rope, pad=0.12)
    labels = place_labels([(s, x.at(s.row.fit_seconds), y.at(s.row.score)) for s in near])
    marks = [_mark(s, x, y, labels.get(s.place)) for s in sorted(near, key=lambda s: s.on)]
    about = "Up and to the left is better: a higher score for less time. Time is the median fit, on a logarithmic axis."
    about += "" if key else " The legend is that of the learning curves."
    drawn = chart(
        "cost-chart", x, y, marks,
        labels=("time of a fit", metric),
        title=f"{metric} against the time of a fit",
        about="; ".join(f"{s.name}: {s.row.score:.4f} in {duration(s.row.fit_seconds)}" for s in shown),
        height=HEIGHT,
    )  # fmt: skip
    return figure("cost", "Cost", drawn, key, about=about + far_below(shown))


def _mark(one: Series, x: Scale, y: Scale, offset: tuple[float, float, str] | None) -> Html:
    across, up = x.at(one.row.fit_seconds), y.at(one.row.score)
    hover = tag("title", f"{one.name}: {minus(f'{one.row.score:.4f}')}, {duration(one.row.fit_seconds)} a fit")
    return dot_of(one, across, up, hover, offset)


def dot_of(one: Entry, across: float, up: float, hover: Html, offset: tuple[float, float, str] | None) -> Html:
    """Return a dot at a place given in percent, with its name where `place_labels` found room for it."""
    text = None
    if offset is not None:
        dx, dy, anchor = offset
        text = tag(
            "text", shorten(one.name), x=percent(across), y=percent(round(100 - up, 2)), dx=dx, dy=dy, class_=anchor
        )
    dot = circle(across, up, 5, hover)
    return tag("g", dot, text, class_=f"{one.look} dot", data_series=one.place)


def place_labels(points: Sequence[tuple[Entry, float, float]]) -> dict[int, tuple[float, float, str]]:
    """Return where names stand beside their dots so that none meets another, by place in the table.

    Parameters
    ----------
    points : sequence of (Series, float, float)
        With percent across and up. Those lifted out are placed first; a name without room has no place.
    """
    dots = {s.place: (NARROW * x / 100, HEIGHT * (1 - y / 100)) for s, x, y in points}
    taken = [Box(x - 6, y - 6, x + 6, y + 6) for x, y in dots.values()]
    placed: dict[int, tuple[float, float, str]] = {}
    for one, _, _ in sorted(points, key=lambda p: (not p[0].on, p[0].place)):
        x, y = dots[one.place]
        width = label_width(shorten(one.name))
        for dx, dy, anchor in _offsets():
            left = x + dx - width * ANCHORS[anchor]
            box = Box(left, y + dy - 11, left + width, y + dy - 11 + LINE)
            inside = box.left >= -9 and box.right <= NARROW + 12 and box.top >= -6 and box.bottom <= HEIGHT
            if inside and _clear(box, one, dots) and not any(box.meets(other) for other in taken):
                taken.append(box)
                placed[one.place] = (dx, dy, anchor)
                break
    return placed


def _clear(box: Box, one: Entry, dots: dict[int, tuple[float, float]]) -> bool:
    """Return whether a name is nearer to its own dot than to any other; one that is lifted out may be as near."""
    own = box.away(*dots[one.place]) + (-1.0 if one.on else 1.0)
    return all(own < box.away(x, y) for place, (x, y) in dots.items() if place != one.place)


def _offsets() -> Iterator[tuple[float, float, str]]:
    yield from ((9, 4, "start"), (-9, 4, "end"), (0, -11, "middle"), (0, 20, "middle"))
    for dy in (-11, 20):  # above and below, from an edge of the chart inwards
        yield from ((-5, dy, "start"), (5, dy, "end"))
    for dy in (-6, 14, -18, 27):
        yield from ((7, dy, "start"), (-7, dy, "end"), (0, dy, "middle"))
