"""Mixtures of normal distributions."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from sklearnloss.functional.distributions.base import Distribution


@dataclass(frozen=True)
class NormalMixture(Distribution):
    """Mixtures of normal distributions; the last axis of the fields counts the components.

    Attributes
    ----------
    weights, mu, sigma : array of shape (n, n_targets, m)
        Weights that sum to one, means, standard deviations.

    Examples
    --------
    >>> one = NormalMixture(*np.array([[[0.5, 0.5]], [[-2.0, 2.0]], [[1.0, 1.0]]]))
    >>> one.cdf(0.0).round(4), one.ppf(0.9).round(4), one.crps([0.0]).round(4)
    (array([0.5]), array([2.8416]), array([0.7344]))
    """

    weights: np.ndarray
    mu: np.ndarray
    sigma: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """Without the axis of components."""
        return self.mu.shape[:-1]

    def scaled(self, loc: np.ndarray, scale: np.ndarray) -> Self:
        """Return the distributions of ``loc + scale * Y``."""
        return replace(self, mu=loc[..., None] + scale[..., None] * self.mu, sigma=scale[..., None] * self.sigma)

    def mean(self) -> np.ndarray:
        """Return the means."""
        return np.asarray((self.weights * self.mu).sum(-1))

    def cdf(self, y: ArrayLike) -> np.ndarray:
        """Return the probability of at most y."""
        z = (np.asarray(y, dtype=float)[..., None] - self.mu) / self.sigma
        return np.asarray((self.weights * special.ndtr(z)).sum(-1).clip(0, 1))

    def ppf(self, q: ArrayLike) -> np.ndarray:
        """Return quantiles, by halving the interval that the components' own quantiles span."""
        q = np.broadcast_to(np.asarray(q, dtype=float), np.broadcast_shapes(np.shape(q), self.shape))
        own = self.mu + self.sigma * special.ndtri(q)[..., None]
        low, high = own.min(-1), own.max(-1)
        for _ in range(60):
            middle = (low + high) / 2
            less = self.cdf(middle) < q
            low, high = np.where(less, middle, low), np.where(less, high, middle)
        return np.asarray(high)

    def sample(self, size: int, random_state: Any = None) -> np.ndarray:
        """Return draws of shape ``(size, *shape)``: a component, then a normal number."""
        rng = np.random.default_rng(random_state)
        place = (rng.uniform(size=(size, *self.shape, 1)) > np.cumsum(self.weights, -1)[..., :-1]).sum(-1)[..., None]
        mu, sigma = (np.take_along_axis(np.broadcast_to(f, (size, *f.shape)), place, -1) for f in (self.mu, self.sigma))
        return np.asarray((mu + sigma * rng.normal(size=mu.shape))[..., 0])

    def crps(self, y: ArrayLike) -> np.ndarray:
        """Return the score, in closed form."""
        gap = np.asarray(y, dtype=float)[..., None] - self.mu
        far = (self.weights * _mean_absolute(gap, self.sigma)).sum(-1)
        apart = self.mu[..., :, None] - self.mu[..., None, :]
        spread = np.hypot(self.sigma[..., :, None], self.sigma[..., None, :])
        both = self.weights[..., :, None] * self.weights[..., None, :]
        return np.asarray(far - 0.5 * (both * _mean_absolute(apart, spread)).sum((-2, -1)))


def _mean_absolute(mu: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Return the mean of the absolute value of a normal number."""
    z = mu / sigma
    return np.asarray(mu * (2 * special.ndtr(z) - 1) + 2 * sigma * stats.norm.pdf(z))
