"""Predictive distributions in numpy: what a loss that knows more than a point predicts.

A link of a loss on ``columns`` returns one of these in the units that the network was trained in; `LossRegressor`
brings it back to the units of y.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

__all__ = [
    "HALF", "Distribution", "Ensemble", "Gamma", "Histogram", "Laplace", "Normal", "NormalMixture", "Quantiles",
    "StudentT", "TailedHistogram", "interpolate", "lines_crps",
]  # fmt: skip

HALF = float(stats.norm.ppf(0.75))  # the median of a half-normal number


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
        levels = np.asarray(levels, dtype=float)
        return np.moveaxis(self.ppf(levels.reshape(-1, *(1 for _ in self.shape))), 0, -1)

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


@dataclass(frozen=True)
class Laplace(Distribution):
    """Laplace distributions.

    Examples
    --------
    >>> one = Laplace(np.array([0.0]), np.array([1.0]))
    >>> one.cdf(1.0).round(4), one.crps([0.0])
    (array([0.8161]), array([0.25]))
    """

    mu: np.ndarray
    scale: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the medians."""
        return self.mu.shape

    def scaled(self, loc: np.ndarray, scale: np.ndarray) -> Self:
        """Return the distributions of ``loc + scale * Y``."""
        return replace(self, mu=loc + scale * self.mu, scale=scale * self.scale)

    def mean(self) -> np.ndarray:
        """Return the means."""
        return self.mu

    def cdf(self, y: ArrayLike) -> np.ndarray:
        """Return the probability of at most y."""
        return np.asarray(stats.laplace.cdf(y, self.mu, self.scale))

    def ppf(self, q: ArrayLike) -> np.ndarray:
        """Return quantiles."""
        return np.asarray(stats.laplace.ppf(q, self.mu, self.scale))

    def crps(self, y: ArrayLike) -> np.ndarray:
        """Return the score, in closed form."""
        z = np.abs((np.asarray(y, dtype=float) - self.mu) / self.scale)
        return np.asarray(self.scale * (z + np.exp(-z) - 0.75))


@dataclass(frozen=True)
class StudentT(Distribution):
    """Student's t distributions with more than one degree of freedom.

    Examples
    --------
    >>> one = StudentT(np.array([0.0]), np.array([1.0]), np.array([3.0]))
    >>> one.ppf(0.975).round(3), one.crps([0.0]).round(4)
    (array([3.182]), array([0.2757]))
    """

    mu: np.ndarray
    scale: np.ndarray
    df: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the medians."""
        return self.mu.shape

    def scaled(self, loc: np.ndarray, scale: np.ndarray) -> Self:
        """Return the distributions of ``loc + scale * Y``."""
        return replace(self, mu=loc + scale * self.mu, scale=scale * self.scale)

    def mean(self) -> np.ndarray:
        """Return the means."""
        return self.mu

    def cdf(self, y: ArrayLike) -> np.ndarray:
        """Return the probability of at most y."""
        return np.asarray(stats.t.cdf(y, self.df, self.mu, self.scale))

    def ppf(self, q: ArrayLike) -> np.ndarray:
        """Return quantiles."""
        return np.asarray(stats.t.ppf(q, self.df, self.mu, self.scale))

    def crps(self, y: ArrayLike) -> np.ndarray:
        """Return the score, in closed form."""
        z, df = (np.asarray(y, dtype=float) - self.mu) / self.scale, self.df
        density = stats.t.pdf(z, df) * (df + z**2) / (df - 1)
        log_ratio = special.betaln(0.5, df - 0.5) - 2 * special.betaln(0.5, 0.5 * df)
        spread = 2 * np.sqrt(df) / (df - 1) * np.exp(log_ratio)
        return np.asarray(self.scale * (z * (2 * stats.t.cdf(z, df) - 1) + 2 * density - spread))


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


@dataclass(frozen=True)
class Ensemble(Distribution):
    """Members of an ensemble, each as likely as the others.

    Attributes
    ----------
    members : array of shape (n, n_targets, m)
        In any order.

    Examples
    --------
    >>> one = Ensemble(np.array([[0.0, 1.0, 3.0]]))
    >>> one.cdf(1.0).round(4), one.ppf(0.5), one.crps([1.0]).round(4)
    (array([0.6667]), array([1.]), array([0.3333]))
    """

    members: np.ndarray

    continuous: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "members", np.sort(self.members, axis=-1))

    @property
    def shape(self) -> tuple[int, ...]:
        """Without the axis of members."""
        return self.members.shape[:-1]

    def scaled(self, loc: np.ndarray, scale: np.ndarray) -> Self:
        """Return the distributions of ``loc + scale * Y``."""
        return replace(self, members=loc[..., None] + scale[..., None] * self.members)

    def mean(self) -> np.ndarray:
        """Return the means."""
        return np.asarray(self.members.mean(-1))

    def cdf(self, y: ArrayLike) -> np.ndarray:
        """Return the share of members at or below y."""
        return np.asarray((self.members <= np.asarray(y, dtype=float)[..., None]).mean(-1))

    def ppf(self, q: ArrayLike) -> np.ndarray:
        """Return the least member that the share q reaches."""
        q = np.broadcast_to(np.asarray(q, dtype=float), np.broadcast_shapes(np.shape(q), self.shape))
        m = self.members.shape[-1]
        place = np.clip(np.ceil(q * m - 1e-9).astype(int) - 1, 0, m - 1)[..., None]  # a share of 3/5 is not above 0.6
        return np.asarray(np.take_along_axis(np.broadcast_to(self.members, (*q.shape, m)), place, -1)[..., 0])

    def crps(self, y: ArrayLike) -> np.ndarray:
        """Return the score of the members as they are, from their order."""
        m = self.members.shape[-1]
        far = np.abs(self.members - np.asarray(y, dtype=float)[..., None]).mean(-1)
        return np.asarray(far - (self.members * (2 * np.arange(m) + 1 - m)).sum(-1) / m**2)


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
