"""Groups of neighbours."""

from collections.abc import Iterator

import numpy as np
import torch

from sklearnloss.component import sampler
from sklearnloss.constraints import PositiveInt
from sklearnloss.functional.nearest import nearest_rows


@sampler("knn_batch")
def knn_batch(
    embeddings: np.ndarray,
    *,
    batch_size: int,
    rng: np.random.Generator,
    refresh: PositiveInt = 1,
    group_size: PositiveInt = 4,
    n_neighbors: PositiveInt = 31,
) -> Iterator[np.ndarray]:
    """Make batches of groups: random rows, each with some of its nearest neighbours, which are hard to tell apart.

    Parameters
    ----------
    embeddings : array of shape (n, d)
        Of all rows, of any length; cosines are compared.
    batch_size : int
        Upper limit of a batch; a group is whole even if it is smaller.
    rng : numpy.random.Generator
        Source of rows and neighbours.
    refresh : int in [1, inf), default=1
        Epochs until the trainer computes the embeddings anew; in between they are the same.
    group_size : int in [1, inf), default=4
        Rows of a group: one and its neighbours. With 1 all batches are random.
    n_neighbors : int in [1, inf), default=31
        How many of the nearest rows are drawn from.

    Yields
    ------
    array of int
        Row numbers of a batch, group by group.

    Notes
    -----
    An epoch has ``n // group_size`` groups, each begun by another row. A row may come several times an epoch, and twice
    in a batch as a neighbour of two. Near duplicates meet: ``false_negative_mask`` leaves such negatives out. The
    search takes O(n^2 d) time an epoch.

    References
    ----------
    .. [1] Liu et al. "OpenShape: scaling up 3D shape representation towards open-world understanding". NeurIPS 2023.

    Examples
    --------
    >>> embeddings = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    >>> rng = np.random.default_rng(0)
    >>> [sorted(rows.tolist()) for rows in knn_batch(embeddings, batch_size=2, rng=rng, group_size=2, n_neighbors=1)]
    [[2, 3], [0, 1]]
    """
    n = len(embeddings)
    known = min(n_neighbors, n - 1)
    near = nearest_rows(torch.as_tensor(embeddings), known)[0].numpy()  # (n, known)
    size = min(group_size, known + 1)
    seeds = rng.permutation(n)[: n // size]
    for chosen in np.array_split(seeds, -(-len(seeds) // max(1, batch_size // size))):
        order = rng.permuted(np.tile(np.arange(known), (len(chosen), 1)), axis=1)[:, : size - 1]  # (g, size - 1)
        yield np.hstack([chosen[:, None], near[chosen[:, None], order]]).ravel()
