"""Histogram of the probability integral transform."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from sklearnloss.constraints import Levels
from sklearnloss.exceptions import DataError, ParameterError
from sklearnloss.figures import new_axes
from sklearnloss.functional.distributions import Ensemble, Quantiles
from sklearnloss.functional.forecasts import NINE, check_quantiles, forecast
from sklearnloss.metrics._axes import COLORS, name_of

__all__ = ["PITDisplay"]

BAND = 0.9  # where the height of a bar lies with this probability if forecasts are calibrated


class PITDisplay:
    """Histogram of where outcomes fall in their predicted distributions; flat if these are calibrated.

    Use `from_estimator` or `from_predictions`. A hump says that forecasts are too wide, a valley too narrow, a slope
    that they are biased. Nine of ten bars lie in the grey band if forecasts are calibrated and rows independent.

    Parameters
    ----------
    values : array-like of shape (n,)
        Probability that each predicted distribution gives to at most the outcome.
    n_bins : int in [1, inf), default=10
        Number of bars.
    name : str, default=None
        The title.

    Attributes
    ----------
    values_ : array of shape (n,)
        As given.
    density_ : array of shape (n_bins,)
        Heights of the bars; 1 is flat.
    band_ : tuple of float
        Lower and upper ends of the band.
    ax_, figure_ : matplotlib Axes and Figure
        What `plot` drew on.

    See Also
    --------
    sklearnloss.metrics.pit.pit : How far from calibrated, as a number.

    Examples
    --------
    >>> PITDisplay([0.1, 0.2, 0.3, 0.9], n_bins=2).density_
    array([1.5, 0.5])
    """

    ax_: Any
    figure_: Any

    def __init__(self, values: ArrayLike, *, n_bins: int = 10, name: str | None = None) -> None:
        self.values_ = np.asarray(values, dtype=np.float64)
        if self.values_.ndim != 1 or not len(self.values_) or not ((self.values_ >= 0) & (self.values_ <= 1)).all():
            raise DataError("PITDisplay: values must be probabilities of shape (n,), at least one, in [0, 1]")
        if isinstance(n_bins, bool) or not isinstance(n_bins, int) or n_bins < 1:
            raise ParameterError(f"PITDisplay: n_bins must be an int in [1, inf), got {n_bins!r}")
        n = len(self.values_)
        self.density_ = np.histogram(self.values_, n_bins, (0, 1))[0] * n_bins / n
        low, high = stats.binom.ppf([(1 - BAND) / 2, (1 + BAND) / 2], n, 1 / n_bins) * n_bins / n
        self.band_ = (float(low), float(high))
        self.name = name

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        quantiles: ArrayLike,
        *,
        levels: Levels = NINE,
        n_bins: int = 10,
        name: str | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw the histogram of predicted quantiles, with straight lines between them.

        Parameters
        ----------
        y_true : array-like of shape (n,) or (n, n_targets)
            Outcomes.
        quantiles : array-like of shape (n, w) or (n, n_targets, w)
            A quantile for each level. Targets are counted together.
        levels : sequence of float in (0, 1), rising, default=(0.1, ..., 0.9)
            Levels of the quantiles. Beyond the outermost, where bars say little, the outermost lines go on.
        n_bins : int in [1, inf), default=10
            Number of bars.
        name : str, default=None
            The title.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        PITDisplay
        """
        y, values, _, at = check_quantiles(y_true, quantiles, None, levels)
        return cls(Quantiles(values, at).cdf(y).ravel(), n_bins=n_bins, name=name).plot(ax)

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: ArrayLike, *, n_bins: int = 10, name: str | None = None, ax: Any = None
    ) -> Self:
        """Draw the histogram of a fitted regressor.

        Parameters
        ----------
        estimator : regressor with ``predict_dist(X)``
            Fitted. For an ensemble it is the histogram of ranks, spread evenly within each.
        X : array-like of shape (n, d)
            Rows it was not trained on.
        y : array-like of shape (n,) or (n, n_targets)
            Their outcomes.
        n_bins : int in [1, inf), default=10
            Number of bars.
        name : str, default=None
            The title; None is the name of the estimator's class.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        PITDisplay
        """
        found = forecast(cls.__name__, "predict_dist", estimator, X)
        outcomes = np.asarray(y, dtype=np.float64)
        if isinstance(found, Ensemble):
            m = found.members.shape[-1]
            below = (found.members < outcomes[..., None]).sum(axis=-1)
            values = (below + np.random.default_rng(0).uniform(size=below.shape)) / (m + 1)
        else:
            values = found.cdf(outcomes)
        return cls(values.ravel(), n_bins=n_bins, name=name_of(estimator) if name is None else name).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the histogram.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        PITDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = new_axes("PITDisplay", 4.5, 3) if ax is None else ax
        width = 1 / len(self.density_)
        ax.axhspan(*self.band_, color="0.88", linewidth=0, label=f"{BAND:.0%} of chance")
        left = width * np.arange(len(self.density_))
        ax.bar(left, self.density_, width, align="edge", color=COLORS[0], alpha=0.75, edgecolor="white", linewidth=0.8)
        ax.axhline(1, linestyle=":", color="0.4", linewidth=1.2, label="perfectly calibrated")
        ax.set(xlabel="Predicted probability of at most the outcome", ylabel="Density", xlim=(0, 1))
        ax.set_ylim(0, 1.25 * max(float(self.density_.max()), self.band_[1]))
        ax.set_title(self.name or "")
        ax.legend(loc="upper center", ncols=2, frameon=False)
        self.ax_, self.figure_ = ax, ax.figure
        return self
