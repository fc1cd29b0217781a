"""The result of a comparison of query strategies: its table, picture and report."""

import math
from dataclasses import asdict
from typing import Any

from sklearnloss.comparison.frames import require_pandas
from sklearnloss.comparison.shown import Shown
from sklearnloss.comparison.strategy_findings import StrategyFindings
from sklearnloss.comparison.strategy_report import render
from sklearnloss.comparison.strategy_text import table
from sklearnloss.figures import new_axes

__all__ = ["StrategyComparison"]

SHOWN = 3  # best strategies that a picture draws in color with their bands, beside the baseline
COLORS = ("#0b62b0", "#c24a00", "#00795a", "#9b2f86", "#8a6300", "#5a4fcf", "#b3213f")  # as on the page, when light
DASHES: tuple[Any, ...] = ("-", (0, (7, 3)), (0, (2, 3)), (0, (9, 3, 2, 3)), (0, (14, 4)))
INK, QUIET = "0.1", "0.72"


class StrategyComparison(Shown, StrategyFindings):
    """Result of `compare_strategies`.

    Attributes
    ----------
    settings : StrategySettings
        How it was done.
    rows : list of StrategyRow
        The table: largest area first, strategies without a learning curve last.
    n_labels : int array of shape (r + 1,)
        Labels before the first round, and after each.
    curves : dict of str to array of shape (n_seeds, r + 1)
        Learning curves of each strategy.
    scores : dict of str to array of shape (n_seeds,)
        Areas under them over their width: the mean score over the labels. `rank` takes several results.
    penalty : array of shape (m, m)
        How often each strategy is beaten by each other, in the order of the table.
    full_score : float
        Mean score of models that know the labels of the whole pool.
    warning : str
        Why random rows may be the better choice; empty if nothing speaks for them.
    finished : bool
        Whether every run was done.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearnloss import compare_strategies
    >>> X, y = load_iris(return_X_y=True)
    >>> result = compare_strategies(GaussianNB(), X, y, strategies=["margin"], n_initial=6, batch_size=5, n_rounds=4)
    >>> sorted(row.strategy for row in result.rows), result.curves["margin"].shape
    (['margin', 'random'], (5, 5))
    """

    def to_frame(self) -> Any:
        """Return the table as a DataFrame, one row a strategy.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        pandas = require_pandas("StrategyComparison.to_frame")
        return pandas.DataFrame([asdict(row) for row in self.rows]).set_index("strategy")

    def to_text(self, width: int | None = None) -> str:
        """Return the table as text; columns give way where it is wider than ``width``."""
        return table(self, width)

    def plot(self, ax: Any = None) -> Any:
        """Draw the learning curves: the best and the baseline in color, with their 95 % intervals, the others gray.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = new_axes("StrategyComparison.plot", 6.4, 4.0) if ax is None else ax
        for place, row in reversed(list(enumerate(self.ranked))):
            self._draw(ax, place, row.strategy)
        if len(self.n_labels) and self.n_labels[0] <= self.settings.columns <= self.n_labels[-1]:
            ax.axvline(self.settings.columns, color="0.4", linestyle=":", linewidth=1.2, label="a label a column")
        if not math.isnan(self.full_score):
            ax.axhline(self.full_score, color="0.6", linewidth=0.8, linestyle="--", label="all labels")
        ax.set(xlabel="labels", ylabel=self.settings.metric)
        ax.spines[["top", "right"]].set_visible(False)
        handles, labels = ax.get_legend_handles_labels()
        order = [row.strategy for row in self.ranked]
        pairs = sorted(zip(labels, handles, strict=True), key=lambda p: order.index(p[0]) if p[0] in order else 1e9)
        ax.legend([handle for _, handle in pairs], [label for label, _ in pairs], frameon=False, fontsize=9)
        return ax

    def _draw(self, ax: Any, place: int, name: str) -> None:
        """Draw one learning curve as it looks on the page."""
        baseline = name == self.settings.baseline
        on = place < SHOWN or baseline
        color = INK if baseline else COLORS[place % len(COLORS)] if on else QUIET
        style = (0, (1, 1.5)) if baseline else DASHES[place % len(DASHES)]
        if on:
            ax.fill_between(self.n_labels, *self.interval(name), color=color, alpha=0.1, linewidth=0)
        mean = self.curves[name].mean(axis=0)
        ax.plot(self.n_labels, mean, color=color, linestyle=style, linewidth=1.8 if on else 0.9, label=name)

    def __repr__(self) -> str:
        if not self.ranked:
            return f"<StrategyComparison on {self.name}: no strategy has a learning curve>"
        first, settings = self.ranked[0], self.settings
        base = next((row for row in self.ranked if row.strategy == settings.baseline), None)
        beside = "" if base is None or base is first else f", {base.strategy} {base.area:.4f}"
        return (
            f"<StrategyComparison of {len(self.ranked)} strategies on {self.name}, {first.seeds} seeds: best "
            f"{first.strategy} {first.area:.4f}{beside} (mean {settings.metric} from {self.n_labels[0]} to "
            f"{self.n_labels[-1]} labels)>"
        )

    def _page(self) -> str:
        return render(self)
