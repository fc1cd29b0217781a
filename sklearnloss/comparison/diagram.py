"""The critical-difference diagram."""

from collections.abc import Mapping, Sequence
from math import ceil, floor
from typing import Any

from sklearnloss.figures import new_axes

__all__ = ["draw_ranks"]

INK, LINE, BAR = "0.1", "0.45", "#1f6fb4"
ROW, BAR_STEP = 0.26, 0.5  # inches of a row of text; rows from one bar to the next
TITLE_ROWS, AXIS_INCHES, LETTER = 2.3, 4.5, 0.085
LETTERS = 34  # a longer name is cut in the picture


def draw_ranks(
    ranks: Mapping[str, float], cliques: Sequence[Sequence[str]], critical_difference: float, ax: Any = None
) -> Any:
    """Draw names by mean rank, the best on the left, with a bar over each clique.

    Parameters
    ----------
    ranks : mapping of str to float
        Mean ranks, the best first.
    cliques : sequence of sequence of str
        Groups of neighbours that do not differ.
    critical_difference : float
        Drawn above the axis.
    ax : matplotlib Axes, default=None
        Where to draw; None makes a new figure.

    Returns
    -------
    matplotlib Axes
    """
    values = list(ranks.values())
    low, high = floor(values[0]), max(ceil(values[-1]), floor(values[0]) + 1)
    high = max(high, min(ceil(low + critical_difference), len(values)))
    levels = _levels([(ranks[c[0]], ranks[c[-1]]) for c in cliques])
    top = 0.9 + BAR_STEP * (max(levels, default=-1) + 1)  # of the names; rows count down from the axis
    left = (len(values) + 1) // 2
    if ax is None:
        letters = max(len(_shown(name)) for name in ranks)
        width, height = AXIS_INCHES + 2 * LETTER * (letters + 6), ROW * (top + left + TITLE_ROWS)
        ax = new_axes("Ranking.plot", width, height)
    ax.set(xlim=(low, high), ylim=(top + left - 0.5, -TITLE_ROWS))
    ax.axis("off")
    _draw_axis(ax, low, high)
    _draw_bar(ax, low, low + critical_difference, -1.45, f"critical difference {critical_difference:.2f}")
    pad = 0.008 * (high - low)
    for clique, level in zip(cliques, levels, strict=True):
        ends = [ranks[clique[0]] - pad, ranks[clique[-1]] + pad]
        ax.plot(ends, [0.55 + BAR_STEP * level] * 2, color=BAR, linewidth=4, solid_capstyle="round", clip_on=False)
    for j, (name, value) in enumerate(ranks.items()):
        on_left = j < left
        row = top + (j if on_left else len(values) - 1 - j)
        end = low if on_left else high
        ax.plot([value, value, end], [0, row, row], color=LINE, linewidth=0.9, zorder=1, clip_on=False)
        text = f"{_shown(name)}  {value:.2f} " if on_left else f" {value:.2f}  {_shown(name)}"
        ax.text(end, row, text, ha="right" if on_left else "left", va="center", color=INK, fontsize=10)
    return ax


def _levels(intervals: Sequence[tuple[float, float]]) -> list[int]:
    """Return for each interval, in the order of their starts, the first level where it touches no other.

    Examples
    --------
    >>> _levels([(1.0, 2.0), (1.5, 3.0), (2.5, 4.0)])
    [0, 1, 0]
    """
    ends: list[float] = []
    found = []
    for start, end in intervals:
        level = next((i for i, last in enumerate(ends) if last < start), len(ends))
        ends[level : level + 1] = [end]
        found.append(level)
    return found


def _draw_axis(ax: Any, low: int, high: int) -> None:
    step = next(s for s in (1, 2, 5, 10, high - low) if (high - low) / s <= 12)
    ticks = range(low, high + 1, step)
    ax.plot([low, high], [0, 0], color=INK, linewidth=1.2, clip_on=False)
    ax.vlines(ticks, -0.25, 0, color=INK, linewidth=1.2, clip_on=False)
    for tick in ticks:
        ax.text(tick, -0.35, str(tick), ha="center", va="bottom", color=INK, fontsize=10)


def _draw_bar(ax: Any, low: float, high: float, row: float, text: str) -> None:
    ax.plot([low, high], [row, row], color=INK, linewidth=1.2, clip_on=False)
    ax.vlines([low, high], row - 0.15, row + 0.15, color=INK, linewidth=1.2, clip_on=False)
    ax.text(low, row - 0.25, text, ha="left", va="bottom", color=INK, fontsize=9)


def _shown(name: str) -> str:
    return name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…"
