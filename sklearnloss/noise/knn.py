"""Labels against those of the neighbours."""

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import HasMethods, Interval

from sklearnloss.active.pool import embed
from sklearnloss.exceptions import DataError
from sklearnloss.noise._judge import RowJudge, network

__all__ = ["NeighborDisagreement"]


class NeighborDisagreement(RowJudge):
    """Doubt rows whose neighbors mostly have another label.

    Parameters
    ----------
    estimator : transformer, Pipeline, network or None, default=None
        Where rows are near to each other: a network (`LossClassifier`, `MetricEmbedder`) or a pipeline is fitted, and
        rows are compared as its last layer, or its last step, sees them. None compares standardized columns.
    n_neighbors : int in [1, inf), default=10
        Neighbors of a row, itself not counted.
    threshold : float in [0, 1), default=0.5
        Share of other labels among them above which a row is doubted.
    random_state : int, RandomState or None, default=None
        Seed of the model, unless it has its own.

    Attributes
    ----------
    scores_ : array of shape (n,)
        Share of the neighbors with another label.
    noisy_mask_ : bool array of shape (n,)
        Which rows are doubted.
    suggested_ : array of shape (n,)
        The most frequent label of the neighbors.
    classes_ : array of shape (k,)
        The classes.

    References
    ----------
    .. [1] Wilson. "Asymptotic properties of nearest neighbor rules using edited data". IEEE SMC 2, 1972.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> y[7] = 2
    >>> judge = NeighborDisagreement().fit(X, y)
    >>> float(judge.scores_[7]), int(judge.suggested_[7])
    (1.0, 0)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit"]), None],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "threshold": [Interval(Real, 0, 1, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self, estimator: Any = None, *, n_neighbors: int = 10, threshold: float = 0.5, random_state: Any = None
    ) -> None:
        self.estimator = estimator
        self.n_neighbors = n_neighbors
        self.threshold = threshold
        self.random_state = random_state

    def _judge(self, X: Any, codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        self._validate_params()
        n, k = len(codes), len(self.classes_)
        if self.n_neighbors >= n:
            raise DataError(
                f"method 'knn' compares {self.n_neighbors} neighbors, but there are only {n - 1} other rows"
            )
        model = None if self.estimator is None else network(self.estimator, rng).fit(X, codes)
        rows = embed(model, X, "method 'knn'")
        if model is None:
            rows = StandardScaler().fit_transform(rows)
        neighbors = NearestNeighbors(n_neighbors=self.n_neighbors).fit(rows).kneighbors(return_distance=False)
        votes = np.zeros((n, k))
        np.add.at(votes, (np.arange(n)[:, None], codes[neighbors]), 1)
        self.scores_ = 1 - votes[np.arange(n), codes] / self.n_neighbors
        self.noisy_mask_ = self.scores_ > self.threshold
        return votes.argmax(axis=1)
