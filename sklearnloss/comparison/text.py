"""The table of a comparison as plain text."""

import math
from collections.abc import Callable

from sklearnloss.comparison.budget import duration
from sklearnloss.comparison.findings import Findings, Row

__all__ = ["columns", "signed", "table", "verdict"]

NARROW = ("predict", "p (Holm)", "NLL", "ECE", "to baseline", "fit", "95 % interval")  # what gives way, in that order
GAP = 2  # cells between columns
SURE = 0.95  # probability from which a table speaks of better, worse or equivalent

Column = tuple[str, Callable[[Row], str]]


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
    """Return the columns of the table: name, and the text of a row's cell."""
    settings = comparison.settings
    return [
        ("loss", lambda row: row.loss),
        (_title(comparison.metric), lambda row: f"{row.score:.4f}"),
        ("95 % interval", lambda row: "" if math.isnan(row.low) else f"{row.low:.3f} to {row.high:.3f}"),
        ("to baseline", lambda row: "" if math.isnan(row.difference) else signed(row.difference)),
        ("p (Holm)", lambda row: "" if math.isnan(row.p_holm) else _p(row.p_holm)),
        ("verdict", lambda row: verdict(row, baseline=settings.baseline)),
        *(
            (_title(name), lambda row, name=name: _number(row.scores.get(name, math.nan)))
            for name in settings.scoring[1:]
        ),
        ("ECE", lambda row: _number(row.ece)),
        ("NLL", lambda row: _number(row.nll) if row.proper else ""),
        ("fit", lambda row: duration(row.fit_seconds)),
        ("predict", lambda row: duration(row.predict_seconds)),
    ]


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
    cells = [[name for name, _ in shown], *([cell(row) for _, cell in shown] for row in ranked)]
    widths = {i: max(len(row[i]) for row in cells) for i in range(len(shown)) if i == 0 or any(r[i] for r in cells[1:])}
    for name in (*map(_title, comparison.settings.scoring[:0:-1]), *NARROW):
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
    over = f"{max(fits)} of {settings.splits} splits" if fits and max(fits) < settings.splits else "all splits"
    lines = [
        f"{settings.name}: {comparison.data['rows']} rows, {settings.task}; {settings.plan}, {over}",
        *settings.notes,
        f"verdict: against {settings.baseline}, closer than {settings.rope:g} is equivalent, 95 % sure",
    ]
    return "\n".join(lines)


def _title(score: str) -> str:
    return score.replace("_", " ")


def signed(difference: float) -> str:
    """Return a difference with its sign, none if it rounds to nothing.

    Examples
    --------
    >>> signed(0.0123), signed(-0.00001)
    ('+0.0123', '0.0000')
    """
    text = f"{difference:+.4f}"
    return "0.0000" if float(text) == 0 else text


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"


def _p(value: float) -> str:
    return "< .001" if value < 0.001 else f"{value:.3f}"
