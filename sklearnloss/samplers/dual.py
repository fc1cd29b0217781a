"""A fixed share of positives in every batch."""

from collections.abc import Iterator
from typing import Annotated

import numpy as np

from sklearnloss.component import sampler
from sklearnloss.constraints import Interval
from sklearnloss.exceptions import TaskError


@sampler("dual")
def dual(
    y: np.ndarray, *, batch_size: int, rng: np.random.Generator, fraction: Annotated[float, Interval(0, 1)] = 0.5
) -> Iterator[np.ndarray]:
    """Fill a fixed share of each batch with positives, however rare they are.

    Parameters
    ----------
    y : array of shape (n,)
        0 or 1.
    batch_size : int
        Size of a batch, at most the number of rows; at least one row of each class is drawn even if it is smaller.
    rng : numpy.random.Generator
        Source of the order.
    fraction : float in (0, 1), default=0.5
        Share of the positives, rounded to whole rows; at least one row of each class.

    Yields
    ------
    array of int
        Row numbers of a batch, positives first. Without rows of one class, all are of the other.

    Raises
    ------
    TaskError
        If y holds more than the classes 0 and 1.

    Notes
    -----
    Each class is dealt without replacement before it is shuffled again. An epoch has ``ceil(n / batch_size)`` batches,
    so rows of the rarer class usually come several times, and some of the commoner class not at all.

    References
    ----------
    .. [1] Yuan et al. "LibAUC: a deep learning library for X-risk optimization". KDD 2023.

    Examples
    --------
    >>> y = np.array([1, 0, 0, 0, 0, 0, 0, 0])
    >>> [y[rows].tolist() for rows in dual(y, batch_size=4, rng=np.random.default_rng(0))]
    [[1, 1, 0, 0], [1, 1, 0, 0]]
    """
    if y.ndim != 1 or not np.isin(y, (0, 1)).all():
        found = f"{y.shape[1]} labels per row" if y.ndim > 1 else f"{len(np.unique(y))} classes"
        raise TaskError(f"sampler 'dual' is for two classes, y has {found}; use 'stratified' or 'per_class'")
    batches = -(-len(y) // batch_size)
    size = max(2, min(batch_size, len(y)))
    positives = min(max(1, round(fraction * size)), size - 1)
    counts = {1: positives, 0: size - positives}
    present = [label for label in (1, 0) if (y == label).any()]
    if len(present) == 1:
        counts[present[0]] = size
    columns = [_deal(np.flatnonzero(y == label), (batches, counts[label]), rng) for label in present]
    yield from np.hstack(columns)


def _deal(rows: np.ndarray, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Deal the rows in random order, again and again, into a table."""
    rounds = -(-shape[0] * shape[1] // len(rows))
    return np.concatenate([rng.permutation(rows) for _ in range(rounds)])[: shape[0] * shape[1]].reshape(shape)
