"""Fan chart: quantiles as bands around the median."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from sklearnloss.constraints import Levels
from sklearnloss.exceptions import DataError, ParameterError
from sklearnloss.figures import new_axes
from sklearnloss.functional.forecasts import NINE, check_levels, forecast
from sklearnloss.metrics._axes import COLORS, INK, name_of

__all__ = ["FanChartDisplay"]

FAINT, FULL = 0.12, 0.45  # opacity of the widest band, and of the narrowest
FEW = 5  # bands that the legend names one by one; of more the widest and the narrowest


class FanChartDisplay:
    """Fan chart: central intervals as bands, the narrower the darker, the median as a line, outcomes as dots.

    Use `from_estimator` or `from_predictions`.

    Parameters
    ----------
    x : array-like of shape (n,)
        Where each row stands: time, a column, or its place in an order.
    quantiles : array-like of shape (n, w)
        Quantiles of each row.
    levels : sequence of float in (0, 1), rising
        Their levels. Each pair that is symmetric around 0.5 is a band.
    y : array-like of shape (n,), default=None
        Outcomes.
    x_label : str, default="row"
        What the axis says.

    Attributes
    ----------
    x_, quantiles_, levels_, y_ : array
        As given, in the order of x.
    bands_ : list of (float, float)
        The pairs of levels, widest first.
    ax_, figure_ : matplotlib Axes and Figure
        What `plot` drew on.

    Examples
    --------
    >>> display = FanChartDisplay([2, 1], [[0.0, 1.0, 2.0], [1.0, 2.0, 3.0]], (0.1, 0.5, 0.9))
    >>> display.x_.tolist(), display.bands_
    ([1, 2], [(0.1, 0.9)])
    """

    ax_: Any
    figure_: Any

    def __init__(
        self,
        x: ArrayLike,
        quantiles: ArrayLike,
        levels: Levels,
        y: ArrayLike | None = None,
        *,
        x_label: str = "row",
    ) -> None:
        self.levels_ = check_levels(levels, "levels")
        where, values = np.asarray(x), np.asarray(quantiles, dtype=np.float64)
        if where.ndim != 1 or values.shape != (len(where), len(self.levels_)):
            raise DataError(
                f"quantiles must have shape ({len(where)}, {len(self.levels_)}), a row for each x and a column for "
                f"each level, got {values.shape}"
            )
        outcomes = None if y is None else np.asarray(y, dtype=np.float64)
        if outcomes is not None and outcomes.shape != where.shape:
            raise DataError(f"y must have shape {where.shape}, one for each x, got {outcomes.shape}")
        order = np.argsort(where, kind="stable")
        self.x_, self.quantiles_ = where[order], values[order]
        self.y_ = None if outcomes is None else outcomes[order]
        self.bands_ = [
            (low, high)
            for low, high in zip(self.levels_.tolist(), self.levels_[::-1].tolist(), strict=True)
            if low < high and abs(low + high - 1) < 1e-9
        ]
        if not self.bands_:
            raise ParameterError(
                f"FanChartDisplay: levels must hold a pair that is symmetric around 0.5, such as 0.1 and 0.9, got "
                f"{tuple(self.levels_.tolist())}"
            )
        self.x_label = x_label

    @classmethod
    def from_predictions(
        cls,
        quantiles: ArrayLike,
        y: ArrayLike | None = None,
        *,
        levels: Levels = NINE,
        x: ArrayLike | None = None,
        x_label: str | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw the chart of predicted quantiles.

        Parameters
        ----------
        quantiles : array-like of shape (n, w)
            A quantile for each level.
        y : array-like of shape (n,), default=None
            Outcomes.
        levels : sequence of float in (0, 1), rising, default=(0.1, ..., 0.9)
            Levels of the quantiles.
        x : array-like of shape (n,), default=None
            Where each row stands, such as its time or a column. None orders rows by their median.
        x_label : str, default=None
            What the axis says; None is "x", or "row, by predicted median".
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        FanChartDisplay
        """
        values, at = np.asarray(quantiles, dtype=np.float64), check_levels(levels, "levels")
        if x is None:
            if values.ndim != 2 or values.shape[1] != len(at):
                raise DataError(f"quantiles must have shape (n, {len(at)}), got {values.shape}")
            place = np.empty(len(values), dtype=int)
            place[np.argsort(_median(values, at), kind="stable")] = np.arange(len(values))
            x, x_label = place, "row, by predicted median" if x_label is None else x_label
        return cls(x, values, levels, y, x_label="x" if x_label is None else x_label).plot(ax)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike | None = None,
        *,
        levels: Levels = NINE,
        x: ArrayLike | None = None,
        x_label: str | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw the chart of a fitted regressor.

        Parameters
        ----------
        estimator : regressor with ``predict_quantiles(X, levels)``
            Fitted.
        X : array-like of shape (n, d)
            Rows it was not trained on.
        y : array-like of shape (n,), default=None
            Their outcomes.
        levels : sequence of float in (0, 1), rising, default=(0.1, ..., 0.9)
            Levels to ask for.
        x : array-like of shape (n,), default=None
            Where each row stands, such as its time or a column of X. None orders rows by their median.
        x_label : str, default=None
            What the axis says; None is "x", or "row, by predicted median".
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        FanChartDisplay
        """
        quantiles = forecast(cls.__name__, "predict_quantiles", estimator, X, levels)
        display = cls.from_predictions(quantiles, y, levels=levels, x=x, x_label=x_label, ax=ax)
        display.ax_.set_title(name_of(estimator))
        return display

    def plot(self, ax: Any = None) -> Self:
        """Draw the chart.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        FanChartDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = new_axes("FanChartDisplay", 7, 3.5) if ax is None else ax
        color = COLORS[0]
        column = {level: i for i, level in enumerate(self.levels_.tolist())}
        shades = np.linspace(FAINT, FULL, len(self.bands_))
        for (low, high), shade in zip(self.bands_, shades, strict=True):
            ends = self.quantiles_[:, column[low]], self.quantiles_[:, column[high]]
            shown = len(self.bands_) <= FEW or (low, high) in (self.bands_[0], self.bands_[-1])
            label = f"{round(100 * (high - low), 1):g} %" if shown else None
            ax.fill_between(self.x_, *ends, color=color, alpha=shade, linewidth=0, label=label)
        if 0.5 in column:
            ax.plot(self.x_, self.quantiles_[:, column[0.5]], color=color, linewidth=1.5, label="median")
        if self.y_ is not None:
            ax.scatter(self.x_, self.y_, 8, color=INK, linewidth=0, zorder=3, label="outcome")
        ax.set(xlabel=self.x_label, ylabel="y")
        ax.margins(x=0.01)
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _median(quantiles: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return the medians, or what is nearest to them."""
    return quantiles[:, int(np.abs(levels - 0.5).argmin())]
