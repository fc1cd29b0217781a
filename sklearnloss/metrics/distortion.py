"""Distortion of distances by an embedding."""

import numpy as np
from numpy.typing import ArrayLike

from sklearnloss.component import metric
from sklearnloss.metrics._distances import check_square


@metric("distortion")
def distortion(distances: ArrayLike, embedded: ArrayLike, *, worst: bool = False) -> float:
    r"""Mean relative error of embedded distances, or how much more one is stretched than another.

    Parameters
    ----------
    distances : array-like of shape (n, n)
        The distances that should be kept. Pairs at distance zero or infinity do not count.
    embedded : array-like of shape (n, n)
        The distances between the embedded points, divided by the scale at which they were embedded.
    worst : bool, default=False
        Whether to return the worst-case distortion instead of the mean, for which the scale does not matter.

    Returns
    -------
    float
        Zero is best, or one if ``worst``.

    Raises
    ------
    ValueError
        If the arrays do not fit together, hold no distances, or no pair counts.

    Notes
    -----
    .. math:: \operatorname{mean}_{i < j} \frac{|D_{ij} - d_{ij}|}{d_{ij}}, \qquad
        \text{worst:}\quad \max_{i < j} \frac{D_{ij}}{d_{ij}} \Big/ \min_{i < j} \frac{D_{ij}}{d_{ij}}

    References
    ----------
    .. [1] Sala, De Sa, Gu, Ré. "Representation tradeoffs for hyperbolic embeddings". ICML 2018.

    Examples
    --------
    >>> given, embedded = [[0, 1, 2], [1, 0, 1], [2, 1, 0]], [[0, 1, 1], [1, 0, 2], [1, 2, 0]]
    >>> distortion(given, embedded), distortion(given, embedded, worst=True)
    (0.5, 4.0)
    """
    given = check_square("distances", distances)
    found = check_square("embedded", embedded, len(given))
    pairs = np.triu((given > 0) & np.isfinite(given), k=1)
    if not pairs.any():
        raise ValueError("distances must hold a pair at a positive, finite distance, got none")
    ratio = found[pairs] / given[pairs]
    if not worst:
        return float(np.abs(ratio - 1).mean())
    return float(ratio.max() / ratio.min()) if ratio.min() > 0 else float("inf")
