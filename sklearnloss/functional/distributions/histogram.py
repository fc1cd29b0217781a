"""Distributions by the probabilities of bins."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from sklearnloss.functional.distributions.base import Distribution
from sklearnloss.functional.distributions.lines import interpolate, lines_crps

HALF = float(stats.norm.ppf(0.75))  # the median of a half-normal number


@dataclass(frozen=True)
class Histogram(Distribution):
    """Probabilities of bins, spread evenly within each.

    Attributes
    ----------
    probabilities : array of shape (n, n_targets, m)
        Of the bins; they sum to one.
    edges : array of shape (n, n_targets, m + 1)
        Rising, of each row and target.

    Examples
    --------
    >>> one = Histogram(np.array([[0.25, 0.75]]), np.array([[0.0, 1.0, 3.0]]))
    >>> one.mean(), one.ppf(0.5).round(4), one.cdf(2.0), one.crps([2.0]).round(4)
    (array([1.625]), array([1.6667]), array([0.625]), array([0.2708]))
    """

    probabilities: np.ndarray
    edges: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """Without the axis of bins."""
        return self.probabilities.shape[:-1]

    def _levels(self) -> np.ndarray:
        """Return the probabilities of at most each edge, (..., m + 1)."""
        levels = np.cumsum(self.probabilities, axis=-1)
        return np.concatenate([np.zeros((*self.shape, 1)), levels / levels[..., -1:]], axis=-1)

    def scaled(self, loc: np.ndarray, scale: np.ndarray) -> Self:
        """Return the distributions of ``loc + scale * Y``."""
        return replace(self, edges=loc[..., None] + scale[..., None] * self.edges)

    def mean(self) -> np.ndarray:
        """Return the means."""
        return np.asarray((self.probabilities * (self.edges[..., 1:] + self.edges[..., :-1]) / 2).sum(-1))

    def cdf(self, y: ArrayLike) -> np.ndarray:
        """Return the probability of at most y."""
        return interpolate(np.asarray(y, dtype=float), self.edges, self._levels())

    def ppf(self, q: ArrayLike) -> np.ndarray:
        """Return quantiles."""
        return interpolate(np.asarray(q, dtype=float), self._levels(), self.edges)

    def crps(self, y: ArrayLike) -> np.ndarray:
        """Return the score, exactly."""
        return lines_crps(self.edges, self._levels(), np.asarray(y, dtype=float))


@dataclass(frozen=True)
class TailedHistogram(Histogram):
    """A histogram whose first and last bins are half-normal tails, which go on without end.

    Half of a tail's probability lies within the width of its bin.

    Examples
    --------
    >>> one = TailedHistogram(np.array([[0.25, 0.5, 0.25]]), np.array([[-2.0, -1.0, 1.0, 2.0]]))
    >>> one.mean(), one.cdf(2.0), one.ppf(0.875), one.crps([0.0]).round(4)
    (array([0.]), array([0.875]), array([2.]), array([0.3783]))
    """

    def _tails(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return probabilities and scales of the tails: (lower p, lower scale, upper p, upper scale)."""
        widths, p = np.diff(self.edges), self.probabilities
        return p[..., 0], widths[..., 0] / HALF, p[..., -1], widths[..., -1] / HALF

    def mean(self) -> np.ndarray:
        """Return the means."""
        low, s, high, t = self._tails()
        middle = (self.probabilities * (self.edges[..., 1:] + self.edges[..., :-1]) / 2)[..., 1:-1].sum(-1)
        reach = np.sqrt(2 / np.pi)
        return np.asarray(middle + low * (self.edges[..., 1] - reach * s) + high * (self.edges[..., -2] + reach * t))

    def cdf(self, y: ArrayLike) -> np.ndarray:
        """Return the probability of at most y."""
        y, (low, s, high, t) = np.asarray(y, dtype=float), self._tails()
        inner = super().cdf(np.clip(y, self.edges[..., 1], self.edges[..., -2]))
        below, above = (self.edges[..., 1] - y) / s, (y - self.edges[..., -2]) / t
        inner = np.where(below > 0, 2 * low * special.ndtr(-below), inner)
        return np.asarray(np.where(above > 0, 1 - 2 * high * special.ndtr(-above), inner))

    def ppf(self, q: ArrayLike) -> np.ndarray:
        """Return quantiles."""
        q, (low, s, high, t) = np.asarray(q, dtype=float), self._tails()
        inner = np.clip(super().ppf(q), self.edges[..., 1], self.edges[..., -2])
        tiny = np.finfo(float).tiny
        down = self.edges[..., 1] + s * special.ndtri(np.clip(q / (2 * low + tiny), tiny, 0.5))
        up = self.edges[..., -2] - t * special.ndtri(np.clip((1 - q) / (2 * high + tiny), tiny, 0.5))
        return np.asarray(np.where(q < low, down, np.where(q > 1 - high, up, inner)))

    def crps(self, y: ArrayLike) -> np.ndarray:
        """Return the score, exactly."""
        y, (low, s, high, t) = np.asarray(y, dtype=float), self._tails()
        middle = lines_crps(self.edges[..., 1:-1], self._levels()[..., 1:-1], y, ends=False)
        below, above = self.edges[..., 1] - y, y - self.edges[..., -2]
        return np.asarray(middle + _tail_crps(low, s, below) + _tail_crps(high, t, above))


def _tail_crps(p: np.ndarray, scale: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Return the part of the score in a half-normal tail of probability p that the outcome is ``depth`` deep in."""
    unit = np.sqrt(2) * scale
    z = np.maximum(depth, 0) / unit
    beyond = z * special.erfc(z) - np.expm1(-(z**2)) / np.sqrt(np.pi)  # integral of erfc over [0, z]
    return np.asarray(unit * (p**2 * (2 - np.sqrt(2)) / np.sqrt(np.pi) + z - 2 * p * beyond))
