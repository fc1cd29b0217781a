"""Batches without two rows of a class."""

from collections.abc import Iterator

import numpy as np

from sklearnloss.component import sampler
from sklearnloss.exceptions import DataError
from sklearnloss.samplers._shares import members_of


# The authors sort rows by their rank within the cluster and cut; there late batches are full of the largest clusters.
@sampler("class_disjoint_batches")
def class_disjoint_batches(
    y: np.ndarray, *, batch_size: int, rng: np.random.Generator, group: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """Fill each batch with rows of distinct classes, so that no negative is of the class of its anchor.

    Parameters
    ----------
    y : array of shape (n,) or (n, n_labels)
        Class of each row, where no groups are given.
    batch_size : int
        Upper limit of a batch; so is the number of classes.
    rng : numpy.random.Generator
        Source of classes and rows.
    group : array of shape (n,), optional
        Pseudo-class of each row, such as a cluster: ``fit(X, y, group=KMeans(batch_size).fit_predict(X))``. Take as
        many clusters as a batch has rows, or as many as there are classes.

    Yields
    ------
    array of int
        Row numbers of a batch, no two of a class.

    Raises
    ------
    DataError
        If there is one class only.

    Notes
    -----
    Classes are drawn without replacement, with a probability in proportion to the rows they have left, and of each a
    random row that has not come yet. An epoch ends when fewer classes have rows left than fill half of a batch, or
    fewer than two: of a common class other rows are left out each time. O(n k / batch_size).

    References
    ----------
    .. [1] Chakraborty, Gosthipaty, Paul. "G-SimCLR: self-supervised contrastive learning with guided projection via
       pseudo labelling". ICDM workshops 2020.

    Examples
    --------
    >>> y = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2])
    >>> [sorted(y[rows].tolist()) for rows in class_disjoint_batches(y, batch_size=4, rng=np.random.default_rng(0))]
    [[0, 1, 2], [0, 1, 2], [0, 1, 2]]
    """
    members = [rng.permutation(rows) for rows in members_of(y if group is None else group)]
    if len(members) < 2:
        raise DataError("sampler 'class_disjoint_batches' needs two classes or more, it has one; use 'shuffle'")
    size = min(batch_size, len(members))
    least = min(size, max(2, -(-size // 2)))
    left = np.array([len(rows) for rows in members])
    while (now := min(size, int(np.count_nonzero(left)))) >= least:
        chosen = rng.choice(len(left), now, replace=False, p=left / left.sum())
        left[chosen] -= 1
        yield np.array([members[c][left[c]] for c in chosen])
