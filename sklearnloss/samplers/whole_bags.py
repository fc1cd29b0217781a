"""Batches of whole bags."""

from collections.abc import Iterator

import numpy as np

from sklearnloss.component import sampler
from sklearnloss.constraints import PositiveInt

__all__ = ["whole_bags"]


@sampler("whole_bags")
def whole_bags(
    bag: np.ndarray, *, batch_size: int, rng: np.random.Generator, max_bag_rows: PositiveInt | None = None
) -> Iterator[np.ndarray]:
    """Fill each batch with whole bags, in random order, up to its size.

    Parameters
    ----------
    bag : int array of shape (n,)
        Bag of each row.
    batch_size : int
        Upper limit of a batch; a bag that is larger is a batch of its own.
    rng : numpy.random.Generator
        Source of the order.
    max_bag_rows : int in [1, inf) or None, default=None
        Rows that are drawn at most of a bag, without replacement and each as likely, anew each epoch: the mean over
        them is that of the bag on average.

    Yields
    ------
    array of int
        Row numbers of a batch, bag by bag.

    Notes
    -----
    O(n) each epoch, and the sort of the bags once.

    References
    ----------
    .. [1] Ardehaly, Culotta. "Co-training for demographic classification using deep learning from label proportions".
       ICDM workshops, 2017.

    Examples
    --------
    >>> bag = np.repeat([0, 1, 2], 4)
    >>> [np.unique(bag[rows]).size for rows in whole_bags(bag, batch_size=8, rng=np.random.default_rng(0))]
    [2, 1]
    """
    order = np.argsort(bag, kind="stable")
    edges = np.flatnonzero(np.r_[True, np.diff(bag[order]) != 0, True])
    sizes = np.diff(edges)
    taken = sizes if max_bag_rows is None else np.minimum(sizes, max_bag_rows)
    held: list[np.ndarray] = []
    count = 0
    for number in rng.permutation(len(sizes)).tolist():
        if held and count + taken[number] > batch_size:
            yield np.concatenate(held)
            held, count = [], 0
        rows = order[edges[number] : edges[number + 1]]
        held.append(rows if taken[number] == sizes[number] else rng.choice(rows, taken[number], replace=False))
        count += int(taken[number])
    if held:
        yield np.concatenate(held)
