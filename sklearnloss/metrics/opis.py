"""Operating-point inconsistency score."""

from typing import Annotated, Literal

import numpy as np
from numpy.typing import ArrayLike

from sklearnloss.component import metric
from sklearnloss.constraints import Interval, PositiveInt
from sklearnloss.exceptions import ParameterError
from sklearnloss.functional.neighbors import Distances, measure, positive_int
from sklearnloss.functional.verification import crossings, pair_totals

Rate = Annotated[float, Interval(0, 1, "right")]


@metric("opis", greater_is_better=False, status="known")
def opis(
    embeddings: ArrayLike,
    y: ArrayLike,
    gallery: ArrayLike | None = None,
    gallery_labels: ArrayLike | None = None,
    *,
    far_low: Rate = 0.01,
    far_high: Rate = 0.1,
    n_thresholds: PositiveInt = 50,
    distance: Literal["cosine", "euclidean"] = "cosine",
) -> float:
    r"""How differently one threshold serves the classes: variance over classes of how well pairs are told apart.

    Zero where every class is served alike, well or badly: it goes beside `map_at_r` or `eer`, not in their place.

    Parameters
    ----------
    embeddings : array-like of shape (n, d)
        Rows of any length.
    y : array-like of shape (n,)
        Their classes.
    gallery : array-like of shape (m, d), default=None
        What they are paired with. None pairs each two of them once.
    gallery_labels : array-like of shape (m,), default=None
        The classes of the gallery.
    far_low, far_high : float in (0, 1], default=0.01, 0.1
        The thresholds go from the distance that accepts this share of all pairs of different classes to the one that
        accepts that share.
    n_thresholds : int in [1, inf), default=50
        How many, evenly spaced; one is the lowest.
    distance : {"cosine", "euclidean"}, default="cosine"
        What is near. The cosine of a row of zeros is 0 to all.

    Returns
    -------
    float
        In [0, 0.25].

    Raises
    ------
    DataError
        If the arrays do not fit together, are not finite, have one class, or leave nothing to accept.
    ParameterError
        If a hyperparameter is out of range.

    Notes
    -----
    Of class :math:`c` and threshold :math:`\delta`, sensitivity is the share of the pairs within the class that are not
    farther than :math:`\delta`, specificity the share of the pairs with exactly one row in the class that are.
    :math:`U_c(\delta)` is their harmonic mean, zero where both are zero. With :math:`\bar U` the mean over classes,

    .. math:: \frac1T \sum_\delta \frac1C \sum_c \bigl(U_c(\delta) - \bar U(\delta)\bigr)^2

    Classes without a pair of their own are left out. The name is also used for other things, such as the error of
    nearest neighbours averaged over thresholds. O(n**2 d) time.

    References
    ----------
    .. [1] "Threshold-consistent margin loss for open-world deep metric learning". ICLR 2024, arXiv:2307.04047.

    Examples
    --------
    >>> embeddings, y = [[0.0], [1.0], [3.0], [9.0]], ["a", "a", "b", "b"]  # the second class is wider
    >>> round(opis(embeddings, y, n_thresholds=1, distance="euclidean"), 4)
    0.1837
    """
    for name, rate in (("far_low", far_low), ("far_high", far_high)):
        if not 0 < rate <= 1:
            raise ParameterError(f"{name} must be a float in (0, 1], got {rate!r}")
    if far_low > far_high:
        raise ParameterError(f"far_low must be at most far_high, got {far_low} and {far_high}")
    n_thresholds = positive_int("n_thresholds", n_thresholds)
    measured = measure(embeddings, y, gallery, gallery_labels, distance=distance)
    low, high = _distances_at(measured, (far_low, far_high))
    accepted = _accepted(measured, _grid(measured, low, high, n_thresholds))  # (C, 2, T)
    totals = _totals(measured)  # (C, 2)
    judged = (totals > 0).all(axis=1)
    shares = accepted[judged] / totals[judged, :, None]
    specificity, sensitivity = 1 - shares[:, 0], shares[:, 1]
    both = specificity + sensitivity
    utility = 2 * specificity * sensitivity / np.where(both > 0, both, 1.0)  # (C, T)
    return float(utility.var(axis=0).mean())


def _distances_at(measured: Distances, rates: tuple[float, ...]) -> list[float]:
    """Return the smallest distances that accept at least such shares of the pairs of different classes."""
    total = pair_totals(measured)[0]
    needed = [np.ceil(rate * total - 1e-9) / total for rate in rates]  # .1 * 30 is more than three
    conditions = [lambda different, same, share=share: different >= share for share in needed]
    return [distance for distance, _, _ in crossings(measured, conditions)]


def _grid(measured: Distances, low: float, high: float, n: int) -> np.ndarray:
    """Return thresholds evenly spaced as a user sees distances, the ends to the bit."""
    if measured.distance == "cosine":
        grid = np.linspace(low, high, n)
    else:
        grid = np.square(np.linspace(np.sqrt(low), np.sqrt(high), n))
    grid[-1] = high
    grid[0] = low
    return grid


def _accepted(measured: Distances, grid: np.ndarray) -> np.ndarray:
    """Count the pairs within each threshold by class, (C, 2, T): with one row in the class, and with both."""
    classes, cells = int(max(measured.y.max(), measured.gallery_y.max())) + 1, len(grid)
    counts = np.zeros((2, classes * cells))
    for block, rows, columns in measured.pairs():
        near = block <= grid[-1]
        place = np.searchsorted(grid, block[near])  # the first threshold that accepts it
        one = np.broadcast_to(measured.y[rows], block.shape)[near]
        other = np.broadcast_to(measured.gallery_y[columns], block.shape)[near]
        same = one == other
        counts[1] += np.bincount(one[same] * cells + place[same], minlength=classes * cells)
        for side in (one, other):
            counts[0] += np.bincount(side[~same] * cells + place[~same], minlength=classes * cells)
    return np.cumsum(counts.reshape(2, classes, cells), axis=2).transpose(1, 0, 2)


def _totals(measured: Distances) -> np.ndarray:
    """Count the pairs by class, (C, 2): with one row in the class, and with both."""
    classes = int(max(measured.y.max(), measured.gallery_y.max())) + 1
    mine, theirs = (np.bincount(codes, minlength=classes) for codes in (measured.y, measured.gallery_y))
    if measured.itself:
        return np.column_stack([mine * (len(measured.y) - mine), mine * (mine - 1) // 2])
    touching = mine * len(measured.gallery_y) + theirs * len(measured.y) - 2 * mine * theirs
    return np.column_stack([touching, mine * theirs])
