"""The losses as they look in all charts: one colour and one dash each, and the legend that lifts them out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sklearnloss.comparison.findings import Findings, Row
from sklearnloss.comparison.report.markup import Html, tag
from sklearnloss.comparison.report.scales import minus, typical

__all__ = ["SHOWN", "Entry", "Series", "far_below", "legend", "look_of", "ranked", "series_of"]

COLOURS, DASHES = 7, 5  # without a common divisor: 35 losses look different, and neighbours in the table in both
SHOWN = 3  # best losses that are lifted out, beside the baseline


class Entry(Protocol):
    """What has a line or a dot in the charts: its name and place in the table, and how it looks."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def place(self) -> int:
        """Its place in the table, from 0."""

    @property
    def baseline(self) -> bool:
        """Whether it is the baseline."""

    @property
    def on(self) -> bool:
        """Whether it is lifted out before the reader chooses."""

    @property
    def look(self) -> str:
        """Classes that give it its colour and dashes."""


def look_of(place: int, *, baseline: bool, on: bool) -> str:
    """Return the classes that give what stands at a place of the table its colour and dashes."""
    style = "ink" if baseline else f"c{place % COLOURS} d{place % DASHES}"
    return f"series {style}{' on' if on else ''}"


@dataclass(frozen=True)
class Series:
    """A loss in the charts.

    Attributes
    ----------
    row : Row
        Its row of the table.
    place : int
        Its place there, from 0.
    baseline, on : bool
        Whether it is the baseline, and whether it is lifted out before the reader chooses.
    far : bool
        Whether it scores so far below the others that an axis for it would squeeze them.
    """

    row: Row
    place: int
    baseline: bool
    on: bool
    far: bool

    @property
    def name(self) -> str:
        """Name of the loss."""
        return self.row.loss

    @property
    def look(self) -> str:
        """Classes that give it its colour and dashes."""
        return look_of(self.place, baseline=self.baseline, on=self.on)


def ranked(findings: Findings) -> list[Row]:
    """Return the rows that have a score, best first."""
    return [row for row in findings.rows if row.status == "ok"]


def series_of(findings: Findings) -> list[Series]:
    """Return the losses that have a score, best first."""
    rows, baseline = ranked(findings), findings.settings.baseline
    floor = typical([row.score for row in rows]) if rows else 0.0
    if baseline in findings.scores:  # an axis has room for the baseline on every split
        floor = min(floor, float(findings.scores[baseline].min()))
    return [
        Series(
            row,
            place,
            baseline=row.loss == baseline,
            on=place < SHOWN or row.loss == baseline,
            far=row.score < floor and row.loss != baseline,
        )
        for place, row in enumerate(rows)
    ]


def far_below(shown: list[Series]) -> str:
    """Say which losses an axis has no room for; nothing if there are none."""
    names = [f"{one.name} ({minus(f'{one.row.score:.3f}')})" for one in shown if one.far]
    return f" Far below, and left out: {', '.join(names)}." if names else ""


def legend(key: str, shown: Sequence[Entry], *, says: dict[str, str] | None = None, what: str = "losses") -> Html:
    """Return the legend of a chart, with a box to tick for each loss.

    Parameters
    ----------
    key : str
        Of the chart.
    shown : list of Series
        What it draws.
    says : dict of str to str, default=None
        A figure to show beside the names.
    what : str, default="losses"
        What they are.
    """
    entries = [_entry(key, one, (says or {}).get(one.name)) for one in shown]
    rest = (
        tag("li", _swatch("series"), tag("span", f"other {what}"), class_="rest")
        if any(not s.on for s in shown)
        else None
    )
    return tag(
        "fieldset",
        tag("legend", f"{what.capitalize()} lifted out", class_="hidden"),
        tag("ul", *entries, rest),
        class_="legend",
    )


def _entry(key: str, one: Entry, figure: str | None) -> Html:
    box = tag(
        "input", type="checkbox", checked=one.on, data_series=one.place, id=f"{key}-{one.place}", class_="js-only"
    )
    role = tag("span", " baseline", class_="muted") if one.baseline else None
    number = tag("span", figure, class_="muted num") if figure else None
    name = tag("span", one.name, role, class_="name")
    return tag(
        "li",
        tag("label", box, _swatch(f"{one.look} on"), name, number, for_=f"{key}-{one.place}"),
        class_="on" if one.on else None,
    )


def _swatch(look: str) -> Html:
    line = tag("path", d="M0,6H26", class_=look)
    return tag("svg", line, width=26, height=12, aria_hidden="true", class_="swatch")
