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
    continuous: ClassVar[bool] = True

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


def interpolate(x: np.ndarray, xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    """Interpolate along the last axis, each row between knots of its own; beyond the ends the ends.

    Where xs repeat, the last of them counts.

    Parameters
    ----------
    x : array that broadcasts with (...,)
        Where.
    xs, ys : array of shape (..., m) or (m,)
        Knots; xs do not fall.

    Examples
    --------
    >>> interpolate(np.array([0.5, 1.0]), np.array([0.0, 1.0, 1.0, 2.0]), np.array([0.0, 2.0, 3.0, 4.0]))
    array([1., 3.])
    """
    shape = np.broadcast_shapes(x.shape, xs.shape[:-1], ys.shape[:-1])
    x = np.broadcast_to(x, shape)
    xs, ys = (np.broadcast_to(knots, (*shape, knots.shape[-1])) for knots in (xs, ys))
    place = np.clip((xs <= x[..., None]).sum(-1) - 1, 0, xs.shape[-1] - 2)[..., None]
    (x0, x1), (y0, y1) = ([np.take_along_axis(k, place + i, -1)[..., 0] for i in (0, 1)] for k in (xs, ys))
    level = x1 <= x0
    share = np.where(level, (x >= x1).astype(float), (x - x0) / np.where(level, 1.0, x1 - x0))
    return np.asarray(y0 + np.clip(share, 0.0, 1.0) * (y1 - y0))


def lines_crps(xs: np.ndarray, levels: np.ndarray, y: np.ndarray, *, ends: bool = True) -> np.ndarray:
    r"""Return :math:`\int (F(x) - [y \le x])^2 dx` of a distribution function that is made of straight lines.

    Parameters
    ----------
    xs, levels : array of shape (..., m) or (m,)
        Knots of the distribution function.
    y : array that broadcasts with (...,)
        Outcomes.
    ends : bool, default=True
        Whether the function is 0 before the first knot and 1 after the last; else only the part between them counts.

    Examples
    --------
    >>> lines_crps(np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.array([0.5, 2.0])).round(4)
    array([0.0833, 1.3333])
    """
    y = y[..., None]
    low, high = xs[..., :-1], xs[..., 1:]
    below, above = levels[..., :-1], levels[..., 1:]
    cut = np.clip(y, low, high)
    width = high - low
    at = below + (above - below) * np.where(width > 0, (cut - low) / np.where(width > 0, width, 1.0), 0.0)
    first = (cut - low) * (below**2 + below * at + at**2) / 3
    rest = (high - cut) * ((1 - at) ** 2 + (1 - at) * (1 - above) + (1 - above) ** 2) / 3
    score = (first + rest).sum(-1)
    if not ends:
        return np.asarray(score)
    return np.asarray(score + np.maximum(xs[..., 0] - y[..., 0], 0) + np.maximum(y[..., 0] - xs[..., -1], 0))
