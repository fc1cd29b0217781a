"""Recall at k."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln

from sklearnloss.component import metric
from sklearnloss.constraints import PositiveInt
from sklearnloss.exceptions import DataError
from sklearnloss.functional.neighbors import Ranks, measure, positive_int, ranks


@metric("recall_at_k")
def recall_at_k(
    embeddings: ArrayLike,
    y: ArrayLike,
    gallery: ArrayLike | None = None,
    gallery_labels: ArrayLike | None = None,
    *,
    k: PositiveInt = 1,
    distance: Literal["cosine", "euclidean"] = "cosine",
) -> float:
    r"""Share of queries that have a row of their class among the k nearest.

    The number of papers on metric learning; of k=1 the accuracy of the nearest neighbour.

    Parameters
    ----------
    embeddings : array-like of shape (n, d)
        The queries, of any length.
    y : array-like of shape (n,)
        Their classes.
    gallery : array-like of shape (m, d), default=None
        What is searched. None is the queries themselves, each without itself.
    gallery_labels : array-like of shape (m,), default=None
        The classes of the gallery.
    k : int in [1, inf), default=1
        How many neighbours are looked at; no more than there are.
    distance : {"cosine", "euclidean"}, default="cosine"
        What is near. The cosine of a row of zeros is 0 to all.

    Returns
    -------
    float
        In [0, 1]; of the queries that have another row of their class.

    Raises
    ------
    DataError
        If the arrays do not fit together, are not finite, have one class, or leave nothing to find, or k is too large.
    ParameterError
        If a hyperparameter is out of range.

    Notes
    -----
    Neighbours at the same distance have no order: the value is the mean over all their orders, so that embeddings that
    fell together are worth as much as chance.
    It is not the recall of classification, the share of the class that is found.

    References
    ----------
    .. [1] Jégou, Douze, Schmid. "Product quantization for nearest neighbor search". TPAMI 33, 2011.
    .. [2] Oh Song, Xiang, Jegelka, Savarese. "Deep metric learning via lifted structured feature embedding". CVPR 2016.
    .. [3] McSherry, Najork. "Computing information retrieval performance measures efficiently in the presence of tied
       scores". ECIR 2008.

    Examples
    --------
    >>> embeddings, y = [[0.0], [1.0], [1.5], [3.0], [7.0]], [0, 0, 1, 0, 1]
    >>> recall_at_k(embeddings, y, k=1, distance="euclidean"), recall_at_k(embeddings, y, k=2, distance="euclidean")
    (0.2, 0.8)
    """
    k = positive_int("k", k)
    measured = measure(embeddings, y, gallery, gallery_labels, distance=distance)
    if k > (available := len(measured.right) - measured.itself):
        others = "other rows" if measured.itself else "rows in the gallery"
        raise DataError(f"metric 'recall_at_k': k must be at most the {available} {others}, got {k}")
    queries = measured.answerable()
    found = sum(float(_hits(ranks(block, measured.same(rows), k)).sum()) for rows, block in measured.blocks(queries))
    return found / len(queries)


def _hits(found: Ranks) -> np.ndarray:
    """Return the chance (b,) that one of the k nearest is of the class: 1 or 0, but where the last of them are tied."""
    before, start, positives, size = (a[:, -1] for a in (found.before, found.start, found.positives, found.size))
    drawn, others = found.size.shape[1] - start, size - positives  # from the last tie; what misses in it
    spare = np.maximum(others - drawn, 0)
    # of all ways to draw from the tie, those that draw misses only
    miss = np.exp(gammaln(others + 1) - gammaln(spare + 1) + gammaln(size - drawn + 1) - gammaln(size + 1))
    return np.where(before > 0, 1.0, 1.0 - np.where(others >= drawn, miss, 0.0))
