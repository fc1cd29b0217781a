"""Pieces of charts, as SVG that keeps its text at one size however wide it is drawn.

Places across are percentages of the width, so a chart is as wide as its box while letters, dots and dashes keep their
size; only paths are stretched, without their strokes.
"""

from collections.abc import Iterable, Sequence

from sklearnloss.comparison.report.markup import Html, join, tag
from sklearnloss.comparison.report.scales import Scale

__all__ = ["band", "chart", "circle", "curve", "figure", "label_width", "percent", "shorten", "stretched"]

UNITS = 1000.0  # of the stretched box in which paths are drawn, each way
LETTER = 7.2  # pixels of a letter of a chart's text, rather too many; wide ones are counted twice


def percent(value: float) -> str:
    """Return a place as SVG has it."""
    return f"{value:g}%"


def figure(key: str, title: str, *content: Html | None, about: str | Html = "", wide: bool = False) -> Html:
    """Return a figure with its heading, and what a reader must know to read it."""
    heading = tag("h3", title, id=f"{key}-title")
    said = tag("figcaption", about) if about else None
    return tag(
        "figure", heading, *content, said, class_="wide" if wide else None, id=key, aria_labelledby=f"{key}-title"
    )


def chart(
    key: str, x: Scale, y: Scale, marks: Iterable[Html], *, labels: tuple[str, str], title: str, about: str, height: int
) -> Html:
    """Return axes with marks on them.

    Parameters
    ----------
    key : str
        Beginning of its ids.
    x, y : Scale
        Axes.
    marks : iterable of Html
        What is drawn, the last on top.
    labels : (str, str)
        Of the axes.
    title, about : str
        What someone is told who does not see it.
    height : int
        Pixels between the axes' ends.
    """
    drawn = tag(
        "svg",
        tag("title", title, id=f"{key}-name"),
        tag("desc", about, id=f"{key}-about"),
        _grid(x, y, height),
        tag("text", labels[1], x=0, y=-12, class_="axis start"),
        tag("text", labels[0], x="100%", y=height + 38, class_="axis end"),
        *marks,
        width="100%",
        height=height,
        role="img",
        aria_labelledby=f"{key}-name {key}-about",
    )
    return tag("div", drawn, class_="plot")


def curve(points: Sequence[tuple[float, float]], *, class_: str | None = None) -> Html:
    """Return a line through places given in percent across and up; of a single place, a dot."""
    alone = len(points) == 1
    ends = [*points, *points] if alone else points
    path = " ".join(f"{UNITS * x / 100:.0f},{UNITS * (1 - y / 100):.0f}" for x, y in ends)
    return tag("path", d=f"M{path}", vector_effect="non-scaling-stroke", class_=class_ or ("point" if alone else None))


def band(low: Sequence[tuple[float, float]], high: Sequence[tuple[float, float]]) -> Html:
    """Return the area between two lines through places given in percent across and up."""
    corners = [*low, *reversed(high)]
    path = " ".join(f"{UNITS * x / 100:.0f},{UNITS * (1 - y / 100):.0f}" for x, y in corners)
    return tag("path", d=f"M{path}Z", class_="band")


def stretched(children: Iterable[Html]) -> Html:
    """Return the box in which paths are drawn; what leaves it is cut off."""
    box = f"0 0 {UNITS:g} {UNITS:g}"
    return tag("svg", *children, viewBox=box, preserveAspectRatio="none", width="100%", height="100%", class_="paths")


def circle(x: float, y: float, radius: float, *children: Html, class_: str | None = None) -> Html:
    """Return a dot at a place given in percent across and up, with a tooltip if a title is among its children."""
    dot = tag("circle", cx=percent(x), cy=percent(round(100 - y, 2)), r=radius)
    return tag("g", *children, dot, class_=class_)


def shorten(name: str, most: int = 26) -> str:
    """Return a name that fits beside a mark; its full form stands in the legend and the table."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def label_width(text: str) -> float:
    """Return about how many pixels a text takes in a chart."""
    return LETTER * sum(1 if ord(letter) < 0x1100 else 2 for letter in text)


def _grid(x: Scale, y: Scale, height: int) -> Html:
    lines = [tag("line", x1=percent(at), x2=percent(at), y1=0, y2="100%") for at in (x.at(v) for v, _ in x.ticks)]
    lines += [tag("line", x1=0, x2="100%", y1=percent(at), y2=percent(at)) for at in (_down(y, v) for v, _ in y.ticks)]
    across = [tag("text", label, x=percent(x.at(v)), y=height + 18, class_="middle") for v, label in x.ticks]
    up = [tag("text", label, x=-8, y=percent(_down(y, v)), dy=4, class_="end") for v, label in y.ticks]
    return tag("g", join(lines), join(across), join(up), class_="grid", aria_hidden="true")


def _down(y: Scale, value: float) -> float:
    return round(100 - y.at(value), 2)
