"""Tolerance to rows of the same class."""

import numpy as np
from numpy.typing import ArrayLike

from sklearnloss.component import metric
from sklearnloss.exceptions import DataError
from sklearnloss.functional.neighbors import check_embeddings, check_labels, unit_rows


@metric("tolerance")
def tolerance(embeddings: ArrayLike, y: ArrayLike) -> float:
    r"""Mean cosine of two rows of the same class.

    One where each class points one way; the price of `uniformity`.

    Parameters
    ----------
    embeddings : array-like of shape (n, d)
        Rows of any length; one of zeros has the cosine 0 to all.
    y : array-like of shape (n,)
        Their classes.

    Returns
    -------
    float
        In [-1, 1]; the mean over all pairs of rows of one class.

    Raises
    ------
    DataError
        If the arrays do not fit together, are not finite, or no class has two rows.

    Notes
    -----
    .. math:: \frac{\sum_{i < j,\ y_i = y_j} \cos(e_i, e_j)}{|\{i < j,\ y_i = y_j\}|}

    A class of m rows has m (m - 1) / 2 pairs, so large classes count more. The sum over a class is that of a square,
    :math:`\lVert \sum_i u_i \rVert^2 - \sum_i \lVert u_i \rVert^2`: O(n d) time.

    References
    ----------
    .. [1] Wang, Liu. "Understanding the behaviour of contrastive loss". CVPR 2021.

    Examples
    --------
    >>> tolerance([[1.0, 0.0], [0.0, 2.0], [5.0, 0.0]], ["a", "b", "a"])
    1.0
    """
    rows = unit_rows(check_embeddings(embeddings))
    codes, size = np.unique(check_labels(y, len(rows)), return_inverse=True, return_counts=True)[1:]
    pairs = int((size * (size - 1)).sum())  # each from both sides
    if not pairs:
        raise DataError("y has no class of two rows, so there is no pair to compare")
    paired = size[codes] > 1  # the others have no partner, and leave no rounding behind
    sums = np.zeros((len(size), rows.shape[1]))
    np.add.at(sums, codes[paired], rows[paired])
    value = (np.square(sums).sum() - np.square(rows[paired]).sum()) / pairs
    return float(np.clip(value, -1.0, 1.0))
