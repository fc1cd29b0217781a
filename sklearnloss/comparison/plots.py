"""Pictures of a comparison."""

import math
from typing import Any

from sklearnloss.comparison.findings import Findings
from sklearnloss.comparison.scoring import title
from sklearnloss.figures import new_axes

__all__ = ["plot_scores"]


def plot_scores(comparison: Findings, ax: Any = None) -> Any:
    """Draw the mean score of each loss with its interval, best on top; a band around the baseline is equivalent.

    Parameters
    ----------
    comparison : Findings
        What to draw.
    ax : matplotlib Axes, default=None
        Where to; None makes a new figure.

    Returns
    -------
    matplotlib Axes
    """
    ranked = [row for row in comparison.rows if row.status == "ok"][::-1]  # the axis counts from below
    ax = new_axes("a plot", 7, 1.2 + 0.32 * len(ranked)) if ax is None else ax
    settings = comparison.settings
    for place, row in enumerate(ranked):
        color = "C1" if row.loss == settings.baseline else "C0"
        if not math.isnan(row.low):
            ax.hlines(place, row.low, row.high, color=color, linewidth=2)
        ax.plot(row.score, place, "o", color=color, markersize=7, markeredgecolor="white")
    baseline = next((row.score for row in ranked if row.loss == settings.baseline), None)
    if baseline is not None:
        ax.axvline(baseline, color="C1", linewidth=1, linestyle=":")
        ax.axvspan(baseline - settings.rope, baseline + settings.rope, color="C1", alpha=0.1, linewidth=0)
    ax.set_yticks(range(len(ranked)), [row.loss for row in ranked])
    ax.set_xlabel(f"{title(comparison.metric)}, mean and 95 % interval ({settings.plan})")
    ax.set_ylim(-0.6, len(ranked) - 0.4)
    ax.spines[["top", "right"]].set_visible(False)
    return ax
