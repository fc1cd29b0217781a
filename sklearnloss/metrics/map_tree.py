"""Mean average precision of neighbours."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse

from sklearnloss.component import metric
from sklearnloss.metrics._distances import check_square


@metric("map_tree")
def map_tree(graph: Any, embedded: ArrayLike) -> float:
    r"""How well the nearest points of an embedding are the neighbours in a tree or another graph.

    Only the order of distances counts, not their size.

    Parameters
    ----------
    graph : array-like or sparse matrix of shape (n, n)
        Not zero where there is an edge; the diagonal does not count.
    embedded : array-like of shape (n, n)
        Distances between the embedded points.

    Returns
    -------
    float
        In (0, 1]; one if each point is nearer to all its neighbours than to any other.

    Raises
    ------
    ValueError
        If the arrays do not fit together, hold no distances, or there is no edge.

    Notes
    -----
    With the neighbours :math:`N_a` of a, and the points :math:`R_{ab}` that are no farther from a than b is,

    .. math:: \operatorname{mean}_a \frac{1}{|N_a|} \sum_{b \in N_a} \frac{|N_a \cap R_{ab}|}{|R_{ab}|}

    over the points that have neighbours. Points at equal distance enter together. O(n**2 log n).

    References
    ----------
    .. [1] Nickel, Kiela. "Poincaré embeddings for learning hierarchical representations". NeurIPS 2017.
    .. [2] Sala, De Sa, Gu, Ré. "Representation tradeoffs for hyperbolic embeddings". ICML 2018.

    Examples
    --------
    >>> path = [[0, 1, 0], [1, 0, 1], [0, 1, 0]]
    >>> map_tree(path, [[0, 1, 2], [1, 0, 1], [2, 1, 0]])
    1.0
    >>> round(map_tree(path, [[0, 2, 1], [2, 0, 1], [1, 1, 0]]), 4)
    0.6667
    """
    edges = check_square("graph", graph.toarray() if issparse(graph) else graph) > 0
    far = check_square("embedded", embedded, len(edges))
    np.fill_diagonal(edges, False)
    if not edges.any():
        raise ValueError("graph must have an edge, got none")
    itself = np.eye(len(far), dtype=bool)
    return float(np.mean([_precision(far[a, ~itself[a]], edges[a, ~itself[a]]) for a in np.flatnonzero(edges.any(1))]))


def _precision(far: np.ndarray, neighbour: np.ndarray) -> float:
    """Return the average precision of one point."""
    mine = far[neighbour]
    among = np.searchsorted(np.sort(far), mine, side="right")  # as far as each neighbour or nearer: all points
    right = np.searchsorted(np.sort(mine), mine, side="right")  # and neighbours
    return float((right / among).mean())
