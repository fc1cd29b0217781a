"""Distributions that are one shape, moved and stretched: normal, Laplace, Student's t."""

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from sklearnloss.functional.distributions.base import Distribution


@dataclass(frozen=True)
class LocationScale(Distribution):
    """Distributions of ``mu + scale * Z`` for a Z whose mean and median are zero."""

    mu: np.ndarray
    scale: np.ndarray

    @abstractmethod
    def _frozen(self) -> Any:
        """Return scipy's distributions."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the locations."""
        return self.mu.shape

    def scaled(self, loc: np.ndarray, scale: np.ndarray) -> Self:
        """Return the distributions of ``loc + scale * Y``."""
        return replace(self, mu=loc + scale * self.mu, scale=scale * self.scale)

    def mean(self) -> np.ndarray:
        """Return the means."""
        return self.mu

    def cdf(self, y: ArrayLike) -> np.ndarray:
        """Return the probability of at most y."""
        return np.asarray(self._frozen().cdf(y))

    def ppf(self, q: ArrayLike) -> np.ndarray:
        """Return quantiles."""
        return np.asarray(self._frozen().ppf(q))

    def _distance(self, y: ArrayLike) -> np.ndarray:
        """Return how far outcomes lie from the location, in scales."""
        return np.asarray((np.asarray(y, dtype=float) - self.mu) / self.scale)


@dataclass(frozen=True)
class Normal(LocationScale):
    """Normal distributions.

    Examples
    --------
    >>> one = Normal(np.array([0.0]), np.array([2.0]))
    >>> one.ppf(0.975).round(2), one.crps([0.0]).round(4)
    (array([3.92]), array([0.4674]))
    """

    def _frozen(self) -> Any:
        return stats.norm(self.mu, self.scale)

    def crps(self, y: ArrayLike) -> np.ndarray:
        """Return the score, in closed form."""
        z = self._distance(y)
        return np.asarray(self.scale * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - np.pi**-0.5))


@dataclass(frozen=True)
class Laplace(LocationScale):
    """Laplace distributions.

    Examples
    --------
    >>> one = Laplace(np.array([0.0]), np.array([1.0]))
    >>> one.cdf(1.0).round(4), one.crps([0.0])
    (array([0.8161]), array([0.25]))
    """

    def _frozen(self) -> Any:
        return stats.laplace(self.mu, self.scale)

    def crps(self, y: ArrayLike) -> np.ndarray:
        """Return the score, in closed form."""
        z = np.abs(self._distance(y))
        return np.asarray(self.scale * (z + np.exp(-z) - 0.75))


@dataclass(frozen=True)
class StudentT(LocationScale):
    """Student's t distributions with more than one degree of freedom.

    Examples
    --------
    >>> one = StudentT(np.array([0.0]), np.array([1.0]), np.array([3.0]))
    >>> one.ppf(0.975).round(3), one.crps([0.0]).round(4)
    (array([3.182]), array([0.2757]))
    """

    df: np.ndarray

    def _frozen(self) -> Any:
        return stats.t(self.df, self.mu, self.scale)

    def crps(self, y: ArrayLike) -> np.ndarray:
        """Return the score, in closed form."""
        z, df = self._distance(y), self.df
        density = stats.t.pdf(z, df) * (df + z**2) / (df - 1)
        log_ratio = special.betaln(0.5, df - 0.5) - 2 * special.betaln(0.5, 0.5 * df)
        spread = 2 * np.sqrt(df) / (df - 1) * np.exp(log_ratio)
        return np.asarray(self.scale * (z * (2 * stats.t.cdf(z, df) - 1) + 2 * density - spread))
