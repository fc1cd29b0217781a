"""Distributions by the members of an ensemble."""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from sklearnloss.functional.distributions.base import Distribution
from sklearnloss.functional.forecasts import ensemble_score


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
        return ensemble_score(np.asarray(y, dtype=float), self.members, alpha=0)
