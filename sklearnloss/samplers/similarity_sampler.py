"""Batches of similar rows, each row once an epoch."""

from collections.abc import Iterator

import numpy as np
import torch

from sklearnloss.component import sampler
from sklearnloss.constraints import NonNegativeInt, PositiveInt
from sklearnloss.functional.nearest import nearest_rows


@sampler("similarity_sampler")
def similarity_sampler(
    embeddings: np.ndarray,
    *,
    batch_size: int,
    rng: np.random.Generator,
    refresh: PositiveInt = 4,
    n_neighbors: NonNegativeInt = 64,
    depth: NonNegativeInt = 128,
) -> Iterator[np.ndarray]:
    """Fill batches with rows and their neighbours, half of them the nearest and half somewhat farther; no row twice.

    Parameters
    ----------
    embeddings : array of shape (n, d)
        Of all rows, of any length; cosines are compared.
    batch_size : int
        Size of a batch, at most n.
    rng : numpy.random.Generator
        Source of the order and of the farther neighbours.
    refresh : int in [1, inf), default=4
        Epochs until the trainer computes the embeddings anew; in between they are the same.
    n_neighbors : int in [0, inf), default=64
        Neighbours that come with a row, unless they have come before. With 0 all batches are random.
    depth : int in [0, inf), default=128
        How many of the nearest rows the farther half is drawn from.

    Yields
    ------
    array of int
        Row numbers of a batch, all different.

    Notes
    -----
    Rows are gone through in random order. Each that is still there takes its ``n_neighbors / 2`` nearest and as many
    others of its ``depth`` nearest with it, as far as those are still there and the batch has room. The rows of a last
    batch that is not full are left out of the epoch. The search takes O(n^2 d) time an epoch.

    References
    ----------
    .. [1] Deuser, Habel, Oswald. "Sample4Geo: hard negative sampling for cross-view geo-localisation". ICCV 2023.

    Examples
    --------
    >>> embeddings = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1], [0.1, 1.0]])
    >>> rng = np.random.default_rng(0)
    >>> [sorted(rows.tolist()) for rows in similarity_sampler(embeddings, batch_size=2, rng=rng, n_neighbors=2)]
    [[0, 2], [1, 3]]
    """
    n = len(embeddings)
    size, known = min(batch_size, n), min(depth, n - 1)
    near = nearest_rows(torch.as_tensor(embeddings), known)[0].numpy()  # (n, known)
    nearest = min(n_neighbors // 2, known)
    left = np.ones(n, dtype=bool)
    batch: list[np.ndarray] = []
    room = size
    for row in rng.permutation(n):
        if not left[row]:
            continue
        farther = nearest + rng.permutation(known - nearest)[: n_neighbors - nearest]
        rows = np.concatenate([[row], near[row, :nearest], near[row, farther]])
        rows = rows[left[rows]][:room]
        left[rows] = False
        batch.append(rows)
        room -= len(rows)
        if not room:
            yield np.concatenate(batch)
            batch, room = [], size
