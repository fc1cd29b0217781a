"""The table of a comparison of query strategies as plain text, and its outcome in words."""

import math
from collections.abc import Callable
from typing import NamedTuple

from sklearnloss.comparison.budget import duration
from sklearnloss.comparison.strategy_findings import LEVEL, StrategyFindings, StrategyRow
from sklearnloss.comparison.text import signed

__all__ = ["StrategyColumn", "budget", "columns", "labels_of", "p_value", "table", "verdict"]

NARROW = ("query", "p (Holm)", "last", "95 % interval", "to")  # what gives way, in that order
GAP = 2  # cells between columns
WORDS = frozenset({"strategy", "verdict"})  # columns of words; the others hold numbers
VERDICTS = {word: float(rank) for rank, word in enumerate(("worse", "unclear", "baseline", "better"))}


class StrategyColumn(NamedTuple):
    """A column of the table.

    Attributes
    ----------
    key : str
        What it is.
    head : str
        What stands above it.
    text : callable
        Of a row, what its cell says.
    value : callable
        Of a row, what it is sorted by; NaN if there is nothing.
    """

    key: str
    head: str
    text: Callable[[StrategyRow], str]
    value: Callable[[StrategyRow], float | str]


def verdict(row: StrategyRow, *, baseline: str) -> str:
    """Say how the area of a strategy stands to that of the baseline: by the adjusted paired t-test at 5 %.

    Returns
    -------
    str
        ``baseline, better, worse`` or ``unclear``; nothing if there was no test.
    """
    if row.strategy == baseline:
        return "baseline"
    if math.isnan(row.p_holm):
        return ""
    return "unclear" if row.p_holm >= LEVEL else "better" if row.difference > 0 else "worse"


def labels_of(row: StrategyRow, findings: StrategyFindings) -> str:
    """Say with how many labels a strategy reaches the baseline's last score."""
    if math.isnan(row.labels):
        return ""
    return f"> {findings.n_labels[-1]}" if math.isinf(row.labels) else f"{row.labels:.0f}"


def p_value(value: float) -> str:
    """Return a p-value as tables have it; nothing for NaN."""
    if math.isnan(value):
        return ""
    return "< .001" if value < 0.001 else f"{value:.3f}"


def budget(findings: StrategyFindings) -> str:
    """Say over which labels a learning curve goes."""
    n = findings.n_labels
    return f"{n[0]} to {n[-1]} labels" if len(n) else "no labels"


def columns(findings: StrategyFindings) -> list[StrategyColumn]:
    """Return the columns of the table."""
    base = findings.settings.baseline
    goal = next((row.final for row in findings.ranked if row.strategy == base), math.nan)
    return [
        StrategyColumn("strategy", "strategy", lambda row: row.strategy, lambda row: row.strategy),
        StrategyColumn("area", "area", lambda row: f"{row.area:.4f}", lambda row: row.area),
        StrategyColumn("95 % interval", "95 % interval", _interval, lambda row: row.low),
        StrategyColumn("to", f"to {base}", lambda row: signed(row.difference), lambda row: row.difference),
        StrategyColumn("p (Holm)", "p (Holm)", lambda row: p_value(row.p_holm), lambda row: row.p_holm),
        StrategyColumn(
            "verdict",
            "verdict",
            lambda row: verdict(row, baseline=base),
            lambda row: VERDICTS.get(verdict(row, baseline=base), math.nan),
        ),
        StrategyColumn("rounds", "won/tied/lost", _rounds, _net),
        StrategyColumn("last", f"at {_last(findings)}", lambda row: f"{row.final:.4f}", lambda row: row.final),
        StrategyColumn(
            "labels", f"labels to {goal:.3f}", lambda row: labels_of(row, findings), lambda row: row.labels
        ),
        StrategyColumn("query", "query", lambda row: duration(row.query_seconds), lambda row: row.query_seconds),
    ]  # fmt: skip


def _interval(row: StrategyRow) -> str:
    return "" if math.isnan(row.low) else f"{row.low:.3f} to {row.high:.3f}"


def _rounds(row: StrategyRow) -> str:
    return "" if math.isnan(row.p) else f"{row.wins}/{row.ties}/{row.losses}"


def _net(row: StrategyRow) -> float:
    return math.nan if math.isnan(row.p) else float(row.wins - row.losses)


def _last(findings: StrategyFindings) -> str:
    return f"{findings.n_labels[-1]} labels" if len(findings.n_labels) else "the end"


def table(findings: StrategyFindings, width: int | None = None) -> str:
    """Return the table, what it is over, and what failed.

    Parameters
    ----------
    findings : StrategyFindings
        Of strategies.
    width : int, default=None
        Of the terminal; where the table is wider, columns give way. None leaves none out but the empty ones.
    """
    ranked, shown = findings.ranked, columns(findings)
    cells = {c.key: [c.head, *(c.text(row) for row in ranked)] for c in shown}
    widths = {key: max(map(len, texts)) for key, texts in cells.items() if key == "strategy" or any(texts[1:])}
    for key in NARROW:
        if width is not None and sum(widths.values()) + GAP * (len(widths) - 1) > width:
            widths.pop(key, None)
    lines = [
        (" " * GAP).join(cells[k][i].ljust(w) if k in WORDS else cells[k][i].rjust(w) for k, w in widths.items())
        for i in range(len(ranked) + 1)
    ]
    said = [f"{row.strategy}  {row.status}: {row.reason}" for row in findings.rows if row.status != "ok"]
    parts = ["\n".join(line.rstrip() for line in lines if ranked), "\n".join(said), _below(findings)]
    return "\n\n".join(part for part in parts if part)


def _below(findings: StrategyFindings) -> str:
    settings = findings.settings
    seeds = {row.seeds for row in findings.ranked}
    over = f"{max(seeds, default=0)} of {settings.n_seeds} seeds" if seeds != {settings.n_seeds} else (
        f"{settings.n_seeds} {'seed' if settings.n_seeds == 1 else 'seeds'}"
    )  # fmt: skip
    lines = [
        f"{settings.name}: {settings.n_pool} rows to ask, {settings.n_test} to judge by, {settings.columns} columns; "
        f"{over}",
        f"area: mean {settings.metric} from {budget(findings)}; all labels: {_full(findings)}",
        f"verdict: area against {settings.baseline}, paired t-test at {100 * LEVEL:.0f} %, adjusted",
        *([f"careful: {findings.warning}"] if findings.warning else []),
    ]
    return "\n".join(lines)


def _full(findings: StrategyFindings) -> str:
    return "unknown" if math.isnan(findings.full_score) else f"{findings.full_score:.4f}"
