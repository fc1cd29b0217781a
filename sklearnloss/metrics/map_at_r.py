"""Mean average precision at R."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from sklearnloss.component import metric
from sklearnloss.functional.neighbors import measure, ranks


@metric("map_at_r", aliases=("mean_average_precision_at_r",))
def map_at_r(
    embeddings: ArrayLike,
    y: ArrayLike,
    gallery: ArrayLike | None = None,
    gallery_labels: ArrayLike | None = None,
    *,
    distance: Literal["cosine", "euclidean"] = "cosine",
) -> float:
    r"""Precision among the nearest, averaged over the ranks of hits; as many ranks as the class has other rows.

    Unlike `recall_at_k` it rewards an embedding for every row of the class, and for finding them in front.

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
    distance : {"cosine", "euclidean"}, default="cosine"
        What is near. The cosine of a row of zeros is 0 to all.

    Returns
    -------
    float
        In [0, 1]; the mean over the queries that have another row of their class.

    Raises
    ------
    DataError
        If the arrays do not fit together, are not finite, have one class, or leave nothing to find.
    ParameterError
        If a hyperparameter is out of range.

    Notes
    -----
    With :math:`R` other rows of the query's class, and :math:`P(i)` its share among the :math:`i` nearest,

    .. math:: \frac1R \sum_{i=1}^{R} P(i)\,[\text{the } i\text{-th nearest is of the class}]

    Neighbours at the same distance have no order: the value is the mean over all their orders, so that embeddings that
    fell together are worth as much as chance. At most `r_precision`. O(n m d) time, O(m) memory for
    each row of a block.

    References
    ----------
    .. [1] Musgrave, Belongie, Lim. "A metric learning reality check". ECCV 2020.
    .. [2] McSherry, Najork. "Computing information retrieval performance measures efficiently in the presence of tied
       scores". ECIR 2008.

    Examples
    --------
    >>> map_at_r([[0.0], [1.0], [1.5], [3.0], [7.0]], [0, 0, 1, 0, 1], distance="euclidean")
    0.2
    """
    measured = measure(embeddings, y, gallery, gallery_labels, distance=distance)
    wanted, total = measured.relevant(), 0.0
    queries = measured.answerable()
    for rows, block in measured.blocks(queries):
        r = wanted[rows, None]  # (b, 1)
        found = ranks(block, measured.same(rows), int(r.max()))
        rank = np.arange(1, found.size.shape[1] + 1)
        hit = found.positives / found.size  # (b, k); the chance, in a tie
        others = (
            (rank - 1 - found.start) * (found.positives - 1) / np.maximum(found.size - 1, 1)
        )  # in the tie, in front
        precision = (found.before + 1 + others) / rank  # if it is a hit
        total += float((np.where(rank <= r, hit * precision, 0.0) / r).sum())
    return min(total / len(queries), 1.0)  # a sum of many may round above
