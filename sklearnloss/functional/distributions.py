"""Predictive distributions in numpy: what a loss that knows more than a point predicts.

A link of a loss on ``columns`` returns one of these in the units that the network was trained in; `LossRegressor`
brings it back to the units of y.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

__all__ = ["Distribution", "Normal", "Quantiles"]


@dataclass(frozen=True)
class Distribution(ABC):
    """One distribution for each row, or for each row and target.

    Fields are arrays whose first axes are those of `shape`; fields named in ``_shared`` are the same for all.
    """

    _shared: ClassVar[frozenset[str]] = frozenset()

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """``(n,)`` or ``(n, n_targets)``."""

    @abstractmethod
    def scaled(self, loc: np.ndarray, scale: np.ndarray) -> Self:
        """Return the distributions of ``loc + scale * Y``; both have one number per target."""

    @abstractmethod
    def mean(self) -> np.ndarray:
        """Return the means, of `shape`."""

    @abstractmethod
    def cdf(self, y: ArrayLike) -> np.ndarray:
        """Return the probability of at most y, a number or an array that broadcasts with `shape`."""

    @abstractmethod
    def ppf(self, q: ArrayLike) -> np.ndarray:
        """Return quantiles at q in (0, 1), a number or an array that broadcasts with `shape`."""

    def point(self) -> np.ndarray:
        """Return the point forecast that the loss stands for: the mean, unless a subclass says otherwise."""
        return self.mean()

    def quantiles(self, levels: ArrayLike) -> np.ndarray:
        """Return the quantiles at several levels, of shape ``(*shape, len(levels))``."""
        return np.stack([self.ppf(level) for level in np.asarray(levels, dtype=float)], axis=-1)

    def sample(self, size: int, random_state: Any = None) -> np.ndarray:
        """Return draws of shape ``(size, *shape)``.

        Parameters
        ----------
        size : int
            Draws of each distribution.
        random_state : int, Generator or None, default=None
            Seed.
        """
        uniform = np.random.default_rng(random_state).uniform(size=(size, *self.shape))
        return self.ppf(np.clip(uniform, np.finfo(float).tiny, 1 - np.finfo(float).eps))

    def crps(self, y: ArrayLike) -> np.ndarray:
        """Return the continuous ranked probability score of outcomes, of `shape`; smaller is better.

        Unless a subclass knows a closed form, it is twice the mean pinball loss over 999 levels.
        """
        levels = (np.arange(999) + 0.5) / 999
        gap = np.asarray(y, dtype=float)[..., None] - self.quantiles(levels)
        return 2 * np.maximum(levels * gap, (levels - 1) * gap).mean(-1)

    def squeezed(self) -> Self:
        """Return the distributions of the only target, of shape (n,)."""
        own = {f.name: getattr(self, f.name)[:, 0] for f in fields(self) if f.name not in self._shared}
        return replace(self, **own)


@dataclass(frozen=True)
class Normal(Distribution):
    """Normal distributions.

    Examples
    --------
    >>> one = Normal(np.array([0.0]), np.array([2.0]))
    >>> one.ppf(0.975).round(2), one.crps([0.0]).round(4)
    (array([3.92]), array([0.4674]))
    """

    mu: np.ndarray
    sigma: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the means."""
        return self.mu.shape

    def scaled(self, loc: np.ndarray, scale: np.ndarray) -> Self:
        """Return the distributions of ``loc + scale * Y``."""
        return replace(self, mu=loc + scale * self.mu, sigma=scale * self.sigma)

    def mean(self) -> np.ndarray:
        """Return the means."""
        return self.mu

    def cdf(self, y: ArrayLike) -> np.ndarray:
        """Return the probability of at most y."""
        return np.asarray(stats.norm.cdf(y, self.mu, self.sigma))

    def ppf(self, q: ArrayLike) -> np.ndarray:
        """Return quantiles."""
        return np.asarray(stats.norm.ppf(q, self.mu, self.sigma))

    def crps(self, y: ArrayLike) -> np.ndarray:
        """Return the score, in closed form."""
        z = (np.asarray(y, dtype=float) - self.mu) / self.sigma
        return np.asarray(self.sigma * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - np.pi**-0.5))


@dataclass(frozen=True)
class Quantiles(Distribution):
    """Quantiles at some levels, with straight lines between them.

    Beyond the outermost levels the outermost lines go on. Values that cross are sorted.

    Attributes
    ----------
    values : array of shape (n, n_targets, w)
        Quantiles.
    levels : array of shape (w,)
        Their levels, rising, in (0, 1).
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

    def scaled(self, loc: np.ndarray, scale: np.ndarray) -> Self:
        """Return the distributions of ``loc + scale * Y``."""
        return replace(self, values=loc[..., None] + scale[..., None] * self.values)

    def point(self) -> np.ndarray:
        """Return the medians."""
        return self.ppf(0.5)

    def mean(self) -> np.ndarray:
        """Return the means of the lines."""
        steps = np.linspace(0, 1, 1001)
        return self.quantiles((steps[1:] + steps[:-1]) / 2).mean(-1)

    def ppf(self, q: ArrayLike) -> np.ndarray:
        """Return quantiles by interpolation."""
        q = np.broadcast_to(np.asarray(q, dtype=float), np.broadcast_shapes(np.shape(q), self.shape))
        if len(self.levels) == 1:
            return np.broadcast_to(self.values[..., 0], q.shape).copy()
        place = np.clip(np.searchsorted(self.levels, q, side="right") - 1, 0, len(self.levels) - 2)
        values = np.broadcast_to(self.values, (*q.shape, len(self.levels)))
        low, high = (np.take_along_axis(values, (place + k)[..., None], -1)[..., 0] for k in (0, 1))
        share = (q - self.levels[place]) / (self.levels[place + 1] - self.levels[place])
        return low + share * (high - low)

    def cdf(self, y: ArrayLike) -> np.ndarray:
        """Return the probability of at most y, the inverse of `ppf`, in [0, 1]."""
        y = np.broadcast_to(np.asarray(y, dtype=float), np.broadcast_shapes(np.shape(y), self.shape))
        values = np.broadcast_to(self.values, (*y.shape, len(self.levels)))
        if len(self.levels) == 1:
            return np.where(y < values[..., 0], 0.0, 1.0)
        place = np.clip((values <= y[..., None]).sum(-1) - 1, 0, len(self.levels) - 2)
        low, high = (np.take_along_axis(values, (place + k)[..., None], -1)[..., 0] for k in (0, 1))
        flat = high <= low
        share = np.where(flat, (y >= low).astype(float), (y - low) / np.where(flat, 1.0, high - low))
        return np.clip(self.levels[place] + share * (self.levels[place + 1] - self.levels[place]), 0.0, 1.0)
