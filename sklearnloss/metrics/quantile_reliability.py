"""Reliability diagram of quantiles."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from sklearnloss.constraints import Levels
from sklearnloss.exceptions import DataError
from sklearnloss.figures import new_axes
from sklearnloss.functional.forecasts import NINE, check_levels, check_quantiles, forecast
from sklearnloss.metrics._axes import name_of

__all__ = ["QuantileReliabilityDisplay"]

DIAGONAL = "perfectly calibrated"
BAND = 0.9  # where the share lies with this probability if a level is what it says


class QuantileReliabilityDisplay:
    """Reliability diagram of quantiles: the share of outcomes at or below each, against its level.

    Use `from_estimator` or `from_predictions`. Below the diagonal quantiles are too low. The grey band is where nine of
    ten shares lie, level by level, if forecasts are calibrated and rows independent.

    Parameters
    ----------
    levels : array-like of shape (w,)
        Levels.
    share : array-like of shape (w,)
        Share of the outcomes at or below the quantile of each.
    n : int
        Number of outcomes.
    name : str, default=None
        What the legend calls it.

    Attributes
    ----------
    levels_, share_ : array of shape (w,)
        As given.
    band_ : array of shape (2, w)
        Lower and upper ends of the band.
    n_ : int
        As given.
    ax_, figure_, line_ : matplotlib Axes, Figure and Line2D
        What `plot` drew on and drew.

    See Also
    --------
    ReliabilityDisplay : The same for probabilities of classes.

    Examples
    --------
    >>> display = QuantileReliabilityDisplay([0.1, 0.9], [0.2, 0.9], 100)
    >>> display.band_[:, 0].round(2)
    array([0.05, 0.15])
    """

    ax_: Any
    figure_: Any
    line_: Any

    def __init__(self, levels: ArrayLike, share: ArrayLike, n: int, *, name: str | None = None) -> None:
        self.levels_, self.share_ = np.asarray(levels, dtype=np.float64), np.asarray(share, dtype=np.float64)
        if self.levels_.ndim != 1 or self.levels_.shape != self.share_.shape:
            raise DataError(f"share must have shape {self.levels_.shape}, one for each level, got {self.share_.shape}")
        self.n_ = n
        self.band_ = stats.binom.ppf([[(1 - BAND) / 2], [(1 + BAND) / 2]], n, self.levels_) / n
        self.name = name

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        quantiles: ArrayLike,
        *,
        levels: Levels = NINE,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the diagram of predicted quantiles.

        Parameters
        ----------
        y_true : array-like of shape (n,) or (n, n_targets)
            Outcomes.
        quantiles : array-like of shape (n, w) or (n, n_targets, w)
            A quantile for each level. Targets are counted together.
        levels : sequence of float in (0, 1), rising, default=(0.1, ..., 0.9)
            Levels of the quantiles.
        name : str, default=None
            What the legend calls it.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        **kwargs
            For matplotlib's ``Axes.plot``.

        Returns
        -------
        QuantileReliabilityDisplay
        """
        y, values, _, at = check_quantiles(y_true, quantiles, None, levels)
        share = (y[..., None] <= values).reshape(-1, len(at)).mean(axis=0)
        return cls(at, share, y.size, name=name).plot(ax, **kwargs)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        levels: Levels = NINE,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the diagram of a fitted regressor.

        Parameters
        ----------
        estimator : regressor with ``predict_quantiles(X, levels)``
            Fitted.
        X : array-like of shape (n, d)
            Rows it was not trained on.
        y : array-like of shape (n,) or (n, n_targets)
            Their outcomes.
        levels : sequence of float in (0, 1), rising, default=(0.1, ..., 0.9)
            Levels to ask for.
        name : str, default=None
            What the legend calls it; None is the name of the estimator's class.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        **kwargs
            For matplotlib's ``Axes.plot``.

        Returns
        -------
        QuantileReliabilityDisplay
        """
        quantiles = forecast(cls.__name__, "predict_quantiles", estimator, X, check_levels(levels, "levels"))
        name = name_of(estimator) if name is None else name
        return cls.from_predictions(y, quantiles, levels=levels, name=name, ax=ax, **kwargs)

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> Self:
        """Draw the diagram; several may share an ``ax``.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        name : str, default=None
            What the legend calls it; None is the name it was given.
        **kwargs
            For matplotlib's ``Axes.plot``.

        Returns
        -------
        QuantileReliabilityDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = new_axes("QuantileReliabilityDisplay", 4, 4) if ax is None else ax
        name = self.name if name is None else name
        if DIAGONAL not in ax.get_legend_handles_labels()[1]:
            ax.fill_between(self.levels_, *self.band_, color="0.85", linewidth=0, label=f"{BAND:.0%} of chance")
            ax.plot([0, 1], [0, 1], linestyle=":", color="0.4", linewidth=1.2, label=DIAGONAL)
            ax.set(xlabel="Level", ylabel="Share of outcomes at or below the quantile")
            ax.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
        (line,) = ax.plot(self.levels_, self.share_, **({"marker": "o", "markersize": 4, "label": name} | kwargs))
        ax.legend(loc="upper left", frameon=False)
        self.ax_, self.figure_, self.line_ = ax, ax.figure, line
        return self
