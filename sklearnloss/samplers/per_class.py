"""A few rows of each of several classes."""

from collections.abc import Iterator

import numpy as np

from sklearnloss.component import sampler
from sklearnloss.constraints import PositiveInt
from sklearnloss.samplers._decks import deal, distinct


@sampler("per_class", aliases=("m_per_class",))
def per_class(
    y: np.ndarray, *, batch_size: int, rng: np.random.Generator, n_per_class: PositiveInt = 4
) -> Iterator[np.ndarray]:
    """Fill each batch with at least ``n_per_class`` rows of as many classes as fit, so that every row has a partner.

    Parameters
    ----------
    y : array of shape (n,)
        Class of each row.
    batch_size : int
        Upper limit of a batch; at least two classes and ``n_per_class`` rows of each are drawn even if it is smaller.
    rng : numpy.random.Generator
        Source of the order.
    n_per_class : int in [1, inf), default=4
        Least number of rows of a class in a batch; more where there are few classes, so that the batch is full. Of a
        class with fewer rows, some come twice.

    Yields
    ------
    array of int
        Row numbers of a batch, grouped by class.

    Notes
    -----
    Each class is dealt without replacement before it is shuffled again. An epoch has ``ceil(n / batch_size)`` batches.

    References
    ----------
    .. [1] Hermans, Beyer, Leibe. "In defense of the triplet loss for person re-identification". 2017.

    Examples
    --------
    >>> y = np.repeat([0, 1, 2], 8)
    >>> rows = next(per_class(y, batch_size=8, rng=np.random.default_rng(0)))
    >>> np.unique(y[rows], return_counts=True)[1].tolist()
    [4, 4]
    """
    members = [np.flatnonzero(y == label) for label in np.unique(y)]
    decks = [deal(rows, rng) for rows in members]
    classes_per_batch = min(len(members), max(2, batch_size // n_per_class))
    rows_of_each = max(n_per_class, batch_size // classes_per_batch)
    order = deal(np.arange(len(members)), rng)
    for _ in range(-(-len(y) // batch_size)):
        chosen = distinct(order, classes_per_batch)
        yield np.concatenate([[next(decks[c]) for _ in range(rows_of_each)] for c in chosen])
