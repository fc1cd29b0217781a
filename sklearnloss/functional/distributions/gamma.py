"""Gamma distributions."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from sklearnloss.functional.distributions.base import Distribution


@dataclass(frozen=True)
class Gamma(Distribution):
    """Gamma distributions, by mean and shape.

    Examples
    --------
    >>> one = Gamma(np.array([2.0]), np.array([1.0]))
    >>> one.ppf(0.5).round(4), one.crps([2.0]).round(4)
    (array([1.3863]), array([0.4715]))
    """

    center: np.ndarray
    concentration: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the means."""
        return self.center.shape

    def scaled(self, loc: np.ndarray, scale: np.ndarray) -> Self:
        """Return the distributions of ``scale * Y``.

        Raises
        ------
        ValueError
            If loc is not zero: there is no gamma distribution that begins elsewhere.
        """
        if np.any(loc):
            raise ValueError(f"a gamma distribution begins at zero and cannot be moved by {loc}")
        return replace(self, center=scale * self.center)

    def mean(self) -> np.ndarray:
        """Return the means."""
        return self.center

    def cdf(self, y: ArrayLike) -> np.ndarray:
        """Return the probability of at most y."""
        return np.asarray(stats.gamma.cdf(y, self.concentration, scale=self.center / self.concentration))

    def ppf(self, q: ArrayLike) -> np.ndarray:
        """Return quantiles."""
        return np.asarray(stats.gamma.ppf(q, self.concentration, scale=self.center / self.concentration))

    def crps(self, y: ArrayLike) -> np.ndarray:
        """Return the score, in closed form."""
        y, k = np.asarray(y, dtype=float), self.concentration
        scale = self.center / k
        below, further = stats.gamma.cdf(y, k, scale=scale), stats.gamma.cdf(y, k + 1, scale=scale)
        spread = scale * np.exp(-special.betaln(0.5, k))
        return np.asarray(y * (2 * below - 1) - k * scale * (2 * further - 1) - spread)
