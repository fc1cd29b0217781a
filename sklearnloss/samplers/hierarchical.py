"""Classes within super-classes."""

from collections.abc import Iterator

import numpy as np

from sklearnloss.component import sampler
from sklearnloss.constraints import PositiveInt
from sklearnloss.samplers._decks import deal, distinct


@sampler("hierarchical")
def hierarchical(
    y: np.ndarray,
    *,
    batch_size: int,
    rng: np.random.Generator,
    group: np.ndarray,
    groups_per_batch: PositiveInt = 2,
    n_per_class: PositiveInt = 4,
) -> Iterator[np.ndarray]:
    """Fill each batch with classes of a few super-classes, so that negatives are mostly of the same super-class: hard.

    Parameters
    ----------
    y : array of shape (n,)
        Class of each row.
    batch_size : int
        Upper limit of a batch; one class of each super-class and ``n_per_class`` rows of it come even if it is smaller.
    rng : numpy.random.Generator
        Source of the order.
    group : array of shape (n,)
        Super-class of each row: ``fit(X, y, group=...)``.
    groups_per_batch : int in [1, inf), default=2
        Super-classes of a batch, at most all. Alone in a batch, a super-class of one class would have no negatives.
    n_per_class : int in [1, inf), default=4
        Least number of rows of a class in a batch; more where a super-class has few classes. Of a class with fewer
        rows, some come twice.

    Yields
    ------
    array of int
        Row numbers of a batch, grouped by super-class and class.

    Notes
    -----
    Super-classes, the classes of each, and the rows of each class are dealt without replacement before they are
    shuffled again. An epoch has ``ceil(n / batch_size)`` batches. Rows of one class in two super-classes count as two
    classes.

    References
    ----------
    .. [1] Cakir, He, Xia, Kulis, Sclaroff. "Deep metric learning to rank". CVPR 2019.

    Examples
    --------
    >>> y = np.repeat(np.arange(6), 8)
    >>> rows = next(hierarchical(y, batch_size=8, rng=np.random.default_rng(0), group=y // 2, groups_per_batch=1))
    >>> len(rows), len(set(y[rows])), len(set(y[rows] // 2))
    (8, 2, 1)
    """
    groups = [_classes(y, np.flatnonzero(group == name)) for name in np.unique(group)]
    decks = [[deal(rows, rng) for rows in classes] for classes in groups]
    orders = [deal(np.arange(len(classes)), rng) for classes in groups]
    order = deal(np.arange(len(groups)), rng)
    n_groups = min(groups_per_batch, len(groups))
    rows_of_group = batch_size // n_groups
    for _ in range(-(-len(y) // batch_size)):
        batch = []
        for g in distinct(order, n_groups):
            n_classes = min(len(groups[g]), max(1, rows_of_group // n_per_class))
            rows_of_each = max(n_per_class, rows_of_group // n_classes)
            for c in distinct(orders[g], n_classes):
                batch.append([next(decks[g][c]) for _ in range(rows_of_each)])
        yield np.concatenate(batch)


def _classes(y: np.ndarray, rows: np.ndarray) -> list[np.ndarray]:
    return [rows[y[rows] == label] for label in np.unique(y[rows])]
