"""Targets of a regression: from what the user gives to what the network is trained on, and back."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import check_array

__all__ = ["SIGNS", "NumberTargets", "as_numbers", "check_sign"]

SIGNS = {"positive": ("positive", np.greater), "nonnegative": ("not negative", np.greater_equal)}


@dataclass(frozen=True)
class NumberTargets:
    """The units of a regression's targets.

    Attributes
    ----------
    loc, scale : array of shape (n_targets,)
        ``y = loc + scale * encoded``.
    flat : bool
        Whether y was (n,) and predictions are.
    """

    loc: np.ndarray
    scale: np.ndarray
    flat: bool

    @property
    def n_targets(self) -> int:
        """Number of targets."""
        return len(self.loc)

    @classmethod
    def of(cls, y: np.ndarray, *, how: str, weights: np.ndarray | None, flat: bool) -> "NumberTargets":
        """Find the units.

        Parameters
        ----------
        y : array of shape (n, n_targets)
            Targets.
        how : {"standardize", "raw", "positive", "nonnegative"}
            What the loss says of its targets.
        weights : array of shape (n,) or None
            Weights of the rows; zero for rows that are not trained on.
        flat : bool
            Whether the user gave (n,).
        """
        d = y.shape[1]
        if how == "raw":
            return cls(np.zeros(d), np.ones(d), flat)
        mean = np.average(y, axis=0, weights=weights)
        if how in SIGNS:
            return cls(np.zeros(d), np.where(mean > 0, mean, 1.0), flat)
        scale = np.sqrt(np.average(np.square(y - mean), axis=0, weights=weights))
        # what rounding leaves of a constant target is not a scale
        return cls(mean, np.where(scale > 10 * np.finfo(float).eps * np.abs(mean), scale, 1.0), flat)

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return targets as the network sees them, (n, n_targets)."""
        return (y - self.loc) / self.scale

    def decode(self, points: np.ndarray) -> np.ndarray:
        """Return point forecasts (n, n_targets) in the units of y, (n,) if y was."""
        values = self.loc + self.scale * points
        return values[:, 0] if self.flat else values


def as_numbers(y: Any) -> np.ndarray:
    """Return targets as (n, n_targets) in float64.

    Raises
    ------
    ValueError
        If they are no finite numbers.
    """
    values: np.ndarray = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
    return values[:, None] if values.ndim == 1 else values


def check_sign(y: np.ndarray, how: str, title: str) -> None:
    """Refuse targets that a loss cannot have.

    Raises
    ------
    ValueError
        With the first.
    """
    if how not in SIGNS:
        return
    words, holds = SIGNS[how]
    if not (good := holds(y, 0)).all():
        worst = float(y[~good].min())
        raise ValueError(f"{title} needs targets that are {words}; y holds {worst:g} ({(~good).sum()} in all)")
