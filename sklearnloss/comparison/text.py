"""The table of a comparison as plain text."""

import math
from collections.abc import Callable
from typing import NamedTuple

from sklearnloss.comparison.budget import duration
from sklearnloss.comparison.findings import Findings, Row
from sklearnloss.comparison.protocols import PROTOCOLS
from sklearnloss.comparison.scoring import title

__all__ = ["Column", "columns", "interval", "signed", "table", "verdict"]

NARROW = (
    "predict",
    "transform",
    "p (Holm)",
    "NLL",
    "ECE",
    "to baseline",
    "fit",
    "95 % interval",
)  # what gives way, in that order
GAP = 2  # cells between columns
SURE = 0.95  # probability from which a table speaks of better, worse or equivalent

VERDICTS = {
    word: float(rank)
    for rank, word in enumerate(("worse", "not better", "unclear", "baseline", "equivalent", "not worse", "better"))
}


class Column(NamedTuple):
    """A column of the table.

    Attributes
    ----------
    name : str
        Its head.
    text : callable
        Of a row, what its cell says.
    value : callable
        Of a row, what it is sorted by; NaN if there is nothing.
    """

    name: str
    text: Callable[[Row], str]
    value: Callable[[Row], float | str]


def verdict(row: Row, *, baseline: str) -> str:
    """Say how a loss stands to the baseline, as far as the Bayesian test is sure.

    Parameters
    ----------
    row : Row
        The loss.
    baseline : str
        Its name says "baseline".

    Returns
    -------
    str
        ``baseline, better, worse, equivalent``, or what is likely: ``not worse``, ``not better``, ``unclear``.
    """
    if row.loss == baseline:
        return "baseline"
    if math.isnan(row.better):
        return ""
    for word, probability in (("better", row.better), ("equivalent", row.equivalent), ("worse", row.worse)):
        if probability >= SURE:
            return word
    if row.better + row.equivalent >= SURE:
        return "not worse"
    if row.worse + row.equivalent >= SURE:
        return "not better"
    return "unclear"


def columns(comparison: Findings) -> list[Column]:
    """Return the columns of the table."""
    settings = comparison.settings
    return [
        Column("loss", lambda row: row.loss, lambda row: row.loss),
        Column(title(comparison.metric), lambda row: f"{row.score:.4f}", lambda row: row.score),
        Column("95 % interval", lambda row: interval(row, rope=settings.rope), lambda row: row.low),
        Column("to baseline", lambda row: signed(row.difference), lambda row: row.difference),
        Column("p (Holm)", lambda row: _p(row.p_holm), lambda row: row.p_holm),
        Column(
            "verdict",
            lambda row: verdict(row, baseline=settings.baseline),
            lambda row: VERDICTS.get(verdict(row, baseline=settings.baseline), math.nan),
        ),
        *(_score_column(name) for name in settings.scoring[1:]),
        Column("ECE", lambda row: _number(row.ece), lambda row: row.ece),
        Column("NLL", lambda row: _number(_nll(row)), _nll),
        Column("fit", lambda row: duration(row.fit_seconds), lambda row: row.fit_seconds),
        Column(
            PROTOCOLS[settings.task].method, lambda row: duration(row.predict_seconds), lambda row: row.predict_seconds
        ),
    ]


def interval(row: Row, *, rope: float) -> str:
    """Return the interval of a score in words, nothing if there is none; to digits that matter beside the rope."""
    digits = 3 if rope == 0 or rope >= 0.01 else 4
    return "" if math.isnan(row.low) else f"{row.low:.{digits}f} to {row.high:.{digits}f}"


def _score_column(name: str) -> Column:
    return Column(
        title(name),
        lambda row: _number(row.scores.get(name, math.nan)),
        lambda row: row.scores.get(name, math.nan),
    )


def _nll(row: Row) -> float:
    """Return the log loss if it is a fair thing to ask of the loss."""
    return row.nll if row.proper else math.nan


def table(comparison: Findings, width: int | None = None) -> str:
    """Return the table, what it is over, and what failed.

    Parameters
    ----------
    comparison : Findings
        Of losses.
    width : int, default=None
        Of the terminal; where the table is wider, columns give way. None leaves none out but the empty ones.
    """
    ranked = [row for row in comparison.rows if row.status == "ok"]
    shown = columns(comparison)
    cells = [[column.name for column in shown], *([column.text(row) for column in shown] for row in ranked)]
    widths = {i: max(len(row[i]) for row in cells) for i in range(len(shown)) if i == 0 or any(r[i] for r in cells[1:])}
    for name in (*map(title, comparison.settings.scoring[:0:-1]), *NARROW):
        if width is not None and sum(widths.values()) + GAP * (len(widths) - 1) > width:
            widths = {i: w for i, w in widths.items() if cells[0][i] != name}
    left = {"loss", "verdict"}
    lines = [
        (" " * GAP).join(row[i].ljust(w) if cells[0][i] in left else row[i].rjust(w) for i, w in widths.items())
        for row in cells
    ]
    others = [row for row in comparison.rows if row.status != "ok"]
    said = [f"{row.loss}  {row.status}: {row.reason}" for row in others]
    parts = ["\n".join(line.rstrip() for line in lines if ranked), "\n".join(said), _below(comparison)]
    return "\n\n".join(part for part in parts if part)


def _below(comparison: Findings) -> str:
    settings = comparison.settings
    fits = {row.fits for row in comparison.rows if row.status == "ok"}
    most = max(fits, default=0)
    over = "all splits" if most == settings.splits else f"{most} of {settings.splits} splits"
    bags = f" in {comparison.data['bags']['count']} bags" if "bags" in comparison.data else ""
    lines = [
        f"{settings.name}: {comparison.data['rows']} rows{bags}, {settings.task}; {settings.plan}, {over}",
        *settings.notes,
        f"verdict: against {settings.baseline}, closer than {settings.rope:g} is equivalent, 95 % sure",
    ]
    return "\n".join(lines)


def signed(difference: float) -> str:
    """Return a difference with its sign, none if it rounds to nothing; an empty text for NaN.

    Examples
    --------
    >>> signed(0.0123), signed(-0.00001)
    ('+0.0123', '0.0000')
    """
    if math.isnan(difference):
        return ""
    text = f"{difference:+.4f}"
    return "0.0000" if float(text) == 0 else text


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"


def _p(value: float) -> str:
    if math.isnan(value):
        return ""
    return "< .001" if value < 0.001 else f"{value:.3f}"
