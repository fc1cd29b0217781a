"""What every predictive distribution can do."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike


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
