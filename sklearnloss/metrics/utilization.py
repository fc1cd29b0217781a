"""Utilization of the embedding space."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from sklearnloss.component import metric
from sklearnloss.functional.neighbors import check_distance, check_embeddings, measure, unit_rows


@metric("utilization", greater_is_better=False, status="known")
def utilization(
    embeddings: ArrayLike, gallery: ArrayLike | None = None, *, distance: Literal["cosine", "euclidean"] = "cosine"
) -> float:
    r"""Mean squared distance of a query to its nearest training row: what part of the space training has not used.

    Small where new rows fall between those of training. It knows no classes.

    Parameters
    ----------
    embeddings : array-like of shape (n, d)
        The queries, best of classes that were not trained on.
    gallery : array-like of shape (m, d), default=None
        The training rows, with mixed ones if there are. None is the queries themselves, each without itself.
    distance : {"cosine", "euclidean"}, default="cosine"
        Between rows of length one, which makes it ``2 (1 - cosine)``, or between the rows as they are.

    Returns
    -------
    float
        In [0, 4] of rows of length one, else in [0, inf).

    Raises
    ------
    DataError
        If the arrays do not fit together, or are not finite.
    ParameterError
        If there is no such distance.

    Notes
    -----
    .. math:: \frac{1}{|Q|} \sum_{q \in Q} \min_{x \in X} \lVert f(q) - f(x) \rVert^2

    Adding rows to the gallery can only lower it. A row of zeros stays where it is, in the middle. O(n m d) time.

    References
    ----------
    .. [1] Venkataramanan, Psomas, Kijak, Amsaleg, Karantzalos, Avrithis. "It takes two to tango: mixup for deep metric
       learning". ICLR 2022.

    Examples
    --------
    >>> utilization([[0.0, 0.0], [2.0, 0.0]], [[1.0, 0.0], [5.0, 0.0]], distance="euclidean")
    1.0
    """
    alike = check_distance(distance) == "cosine"
    queries = check_embeddings(embeddings)
    others = None if gallery is None else check_embeddings(gallery, "gallery")
    if alike:
        queries, others = unit_rows(queries), None if others is None else unit_rows(others)
    measured = measure(queries, gallery=others, distance="euclidean")
    nearest = [block.min(axis=1) for _, block in measured.blocks()]
    return float(np.concatenate(nearest).mean()) * measured.unit**2
