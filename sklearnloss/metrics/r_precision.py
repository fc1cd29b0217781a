"""R-precision."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from sklearnloss.component import metric
from sklearnloss.functional.neighbors import measure, ranks


@metric("r_precision")
def r_precision(
    embeddings: ArrayLike,
    y: ArrayLike,
    gallery: ArrayLike | None = None,
    gallery_labels: ArrayLike | None = None,
    *,
    distance: Literal["cosine", "euclidean"] = "cosine",
) -> float:
    r"""Share of the query's class among its nearest, of which as many are looked at as the class has other rows.

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
    Neighbours at the same distance have no order: the value is the mean over all their orders, so that embeddings that
    fell together are worth as much as chance. Precision and recall are the same at this rank.

    References
    ----------
    .. [1] Musgrave, Belongie, Lim. "A metric learning reality check". ECCV 2020.
    .. [2] McSherry, Najork. "Computing information retrieval performance measures efficiently in the presence of tied
       scores". ECIR 2008.

    Examples
    --------
    >>> r_precision([[0.0], [1.0], [1.5], [3.0], [7.0]], [0, 0, 1, 0, 1], distance="euclidean")
    0.3
    """
    measured = measure(embeddings, y, gallery, gallery_labels, distance=distance)
    wanted, total = measured.relevant(), 0.0
    queries = measured.answerable()
    for rows, block in measured.blocks(queries):
        r = wanted[rows]  # (b,)
        found, last = ranks(block, measured.same(rows), int(r.max())), (np.arange(len(rows)), r - 1)
        of_tie = (r - found.start[last]) / found.size[last]  # the share of the last tie that is within the rank
        total += float(((found.before[last] + of_tie * found.positives[last]) / r).sum())
    return min(total / len(queries), 1.0)  # a sum of many may round above
