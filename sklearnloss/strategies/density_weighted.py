"""Uncertainty weighted by density."""

from collections.abc import Callable
from typing import Literal

import numpy as np
from scipy.special import entr

from sklearnloss.component import strategy
from sklearnloss.constraints import NonNegative
from sklearnloss.functional.top_two import lead

__all__ = ["density_weighted"]


@strategy("density_weighted", unit="pool", aliases=("information_density",))
def density_weighted(
    proba: np.ndarray,
    *,
    embeddings: np.ndarray,
    beta: NonNegative = 1.0,
    uncertainty: Literal["margin", "entropy", "least_confidence"] = "entropy",
) -> np.ndarray:
    r"""Ask first rows that are uncertain and have many others like them.

    Parameters
    ----------
    proba : array of shape (n, k)
        Probabilities of the classes.
    embeddings : array of shape (n, d)
        Embeddings, compared by their cosine about the pool's mean.
    beta : float in [0, inf), default=1.0
        Power of the density; zero leaves the uncertainty alone.
    uncertainty : {"margin", "entropy", "least_confidence"}, default="entropy"
        What is weighted.

    Returns
    -------
    array of shape (n,)

    Notes
    -----
    .. math:: u_i = \phi(p_i) \Big( \frac1n \sum_j \frac{1 + \cos(x_i, x_j)}{2} \Big)^\beta

    The mean similarity to all rows is that to the mean of the unit vectors, so that it takes O(n d).

    References
    ----------
    .. [1] Settles, Craven. "An analysis of active learning strategies for sequence labeling tasks". EMNLP 2008.

    Examples
    --------
    >>> rows, even = np.array([[1.0, 0.0], [1.0, 0.1], [-1.0, 0.3]]), np.full((3, 2), 0.5)
    >>> density_weighted(even, embeddings=rows).argmin()
    np.int64(2)
    """
    measures: dict[str, Callable[[], np.ndarray]] = {
        "margin": lambda: 1 - lead(proba),
        "entropy": lambda: entr(proba).sum(axis=1),
        "least_confidence": lambda: 1 - proba.max(axis=1),
    }
    centered = embeddings - embeddings.mean(axis=0)
    length = np.sqrt(np.einsum("ij,ij->i", centered, centered))
    unit = centered / np.where(length > 0, length, 1)[:, None]  # a row at the mean is like none in particular
    density = (1 + unit @ unit.mean(axis=0)) / 2
    return np.asarray(measures[uncertainty]() * np.maximum(density, 0) ** beta)
