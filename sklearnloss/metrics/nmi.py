"""Normalized mutual information."""

import warnings
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import normalized_mutual_info_score

from sklearnloss.component import metric
from sklearnloss.constraints import NonNegativeInt, PositiveInt
from sklearnloss.exceptions import DataError
from sklearnloss.functional.neighbors import check_distance, check_embeddings, check_labels, positive_int, unit_rows


@metric("nmi", aliases=("normalized_mutual_information",))
def nmi(
    embeddings: ArrayLike,
    y: ArrayLike,
    *,
    n_clusters: PositiveInt | None = None,
    n_init: PositiveInt = 10,
    random_state: NonNegativeInt = 0,
    distance: Literal["cosine", "euclidean"] = "cosine",
) -> float:
    r"""How much the clusters that k-means finds among the embeddings say of the classes.

    Parameters
    ----------
    embeddings : array-like of shape (n, d)
        Rows of any length.
    y : array-like of shape (n,)
        Their classes.
    n_clusters : int in [1, inf), default=None
        Number of clusters, no more than rows; None is the number of classes.
    n_init : int in [1, inf), default=10
        How often k-means starts anew; the tightest clusters are kept.
    random_state : int in [0, inf), default=0
        Seed of its starts.
    distance : {"cosine", "euclidean"}, default="cosine"
        Clusters of rows of length one, or of the rows as they are.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    DataError
        If the arrays do not fit together, are not finite, have one class, or leave nothing to cluster.
    ParameterError
        If a hyperparameter is out of range.

    Notes
    -----
    With the classes :math:`C` and the clusters :math:`K`, it is :math:`2 I(C; K) / (H(C) + H(K))`. Chance gives more
    than zero, the more so the more clusters there are, so numbers of different data do not compare; [2]_ advises
    `map_at_r` instead. Embeddings that fell together give zero.

    References
    ----------
    .. [1] Vinh, Epps, Bailey. "Information theoretic measures for clusterings comparison". JMLR 11, 2010.
    .. [2] Musgrave, Belongie, Lim. "A metric learning reality check". ECCV 2020.

    Examples
    --------
    >>> nmi([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]], ["a", "a", "b", "b"])
    1.0
    """
    rows = check_embeddings(embeddings)
    labels = check_labels(y, len(rows))
    if (labels == labels[0]).all():
        raise DataError("y has one class, of which a cluster can say nothing; there must be two at least")
    wanted = len(np.unique(labels)) if n_clusters is None else positive_int("n_clusters", n_clusters)
    if wanted > len(rows):
        raise DataError(f"metric 'nmi': n_clusters must be at most the {len(rows)} rows, got {wanted}")
    if check_distance(distance) == "cosine":
        rows = unit_rows(rows)
    means = KMeans(wanted, n_init=positive_int("n_init", n_init), random_state=random_state)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # rows that fell together make fewer clusters
        clusters = means.fit_predict(rows)
    return float(normalized_mutual_info_score(labels, clusters))
