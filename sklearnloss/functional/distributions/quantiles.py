"""Distributions by their quantiles."""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from sklearnloss.functional.distributions.base import Distribution
from sklearnloss.functional.distributions.lines import interpolate, lines_crps


@dataclass(frozen=True)
class Quantiles(Distribution):
    """Quantiles at some levels, with straight lines between them.

    Beyond the outermost levels the outermost lines go on, to the levels 0 and 1. Values that cross are sorted.

    Attributes
    ----------
    values : array of shape (n, n_targets, w)
        Quantiles.
    levels : array of shape (w,)
        Their levels, rising, in (0, 1).

    Examples
    --------
    >>> one = Quantiles(np.array([[1.0, 3.0]]), np.array([0.25, 0.75]))
    >>> one.ppf(0.5), one.ppf(0.9), one.mean(), one.cdf(4.0)
    (array([2.]), array([3.6]), array([2.]), array([1.]))
    """

    values: np.ndarray
    levels: np.ndarray

    _shared: ClassVar[frozenset[str]] = frozenset({"levels"})

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", np.sort(self.values, axis=-1))

    @property
    def shape(self) -> tuple[int, ...]:
        """Without the axis of levels."""
        return self.values.shape[:-1]

    def _lines(self) -> tuple[np.ndarray, np.ndarray]:
        """Return values (..., w + 2) and levels (w + 2,), with the ends."""
        values, levels = self.values, self.levels
        if len(levels) == 1:
            return np.repeat(values, 3, axis=-1), np.array([0.0, levels[0], 1.0])
        low = (values[..., 1] - values[..., 0]) / (levels[1] - levels[0])
        high = (values[..., -1] - values[..., -2]) / (levels[-1] - levels[-2])
        ends = values[..., 0] - levels[0] * low, values[..., -1] + (1 - levels[-1]) * high
        return np.concatenate([ends[0][..., None], values, ends[1][..., None]], -1), np.array([0.0, *levels, 1.0])

    def scaled(self, loc: np.ndarray, scale: np.ndarray) -> Self:
        """Return the distributions of ``loc + scale * Y``."""
        return replace(self, values=loc[..., None] + scale[..., None] * self.values)

    def point(self) -> np.ndarray:
        """Return the medians."""
        return self.ppf(0.5)

    def mean(self) -> np.ndarray:
        """Return the means."""
        values, levels = self._lines()
        return np.asarray(((values[..., 1:] + values[..., :-1]) / 2 * np.diff(levels)).sum(-1))

    def ppf(self, q: ArrayLike) -> np.ndarray:
        """Return quantiles by interpolation."""
        values, levels = self._lines()
        return interpolate(np.asarray(q, dtype=float), levels, values)

    def cdf(self, y: ArrayLike) -> np.ndarray:
        """Return the probability of at most y, the inverse of `ppf`."""
        values, levels = self._lines()
        return interpolate(np.asarray(y, dtype=float), values, levels)

    def crps(self, y: ArrayLike) -> np.ndarray:
        """Return the score of the lines, exactly."""
        values, levels = self._lines()
        return lines_crps(values, levels, np.asarray(y, dtype=float))
