"""Hyperbolic multidimensional scaling."""

from typing import Any, Self

import numpy as np
from scipy.linalg import eigh
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.metrics import pairwise_distances
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearnloss.component import estimator
from sklearnloss.constraints import Positive, PositiveInt
from sklearnloss.exceptions import DataError, ParameterError

__all__ = ["HMDS"]

LARGEST = 700.0  # the hyperbolic cosine of more overflows


@estimator("hmds", status="known")
class HMDS(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    r"""Points of the Poincaré ball from distances, without any iteration: h-MDS.

    Trees fit into few hyperbolic dimensions as they do not into many Euclidean ones.

    Parameters
    ----------
    n_components : int in [1, inf), default=2
        Dimensions of the ball; less than the number of rows.
    scale : float in (0, inf), default=1.0
        What a given distance of one becomes. A larger one makes trees fit better, and needs more digits.
    metric : str, default="precomputed"
        ``"precomputed"``: X holds distances. Otherwise X holds features, and this names the metric of
        `sklearn.metrics.pairwise_distances`.

    Attributes
    ----------
    embedding_ : array of shape (n, n_components)
        Points of the ball, shorter than one.
    eigenvalues_ : array of shape (n_components,)
        Not negative, falling; one that is zero says that fewer dimensions would have done.
    X_fit_ : array of shape (n, d)
        The rows given to ``fit``, of any other metric than ``"precomputed"``.
    n_features_in_ : int
        Number of columns given to ``fit``.

    Notes
    -----
    With :math:`Y = \cosh(s D)` and the largest eigenvalues :math:`\lambda \ge 0` of :math:`-Y` with eigenvectors V,
    :math:`X = V \sqrt \lambda` are the space coordinates of points on the hyperboloid, and
    :math:`X / (1 + \sqrt{1 + |X|^2})` those in the ball. An isometry puts any points so that these coordinates are
    orthogonal to the time coordinate, which then is the eigenvector of the one negative eigenvalue: distances that are
    hyperbolic, in that many dimensions or fewer, are recovered exactly. Others are not fitted in the sense of least
    squares; ``hyperbolic_stress`` goes on from there.

    ``transform`` takes the distances of new rows to those of ``fit``. O(n**3) time, O(n**2) memory.

    References
    ----------
    .. [1] Sala, De Sa, Gu, Ré. "Representation tradeoffs for hyperbolic embeddings". ICML 2018.

    Examples
    --------
    >>> star = 2 - 2 * np.eye(4)  # three leaves at distance one from their center
    >>> star[0, 1:] = star[1:, 0] = 1
    >>> points = HMDS(scale=4.0).fit_transform(star)
    >>> np.linalg.norm(points, axis=1).round(3)
    array([0.   , 0.969, 0.969, 0.969])
    """

    def __init__(self, n_components: PositiveInt = 2, *, scale: Positive = 1.0, metric: str = "precomputed") -> None:
        self.n_components = n_components
        self.scale = scale
        self.metric = metric

    def fit(self, X: Any, y: Any = None) -> Self:
        """Embed the rows.

        Parameters
        ----------
        X : array-like of shape (n, n) or (n, d)
            Distances, or features if ``metric`` names one.
        y : ignored
            Here for scikit-learn.

        Returns
        -------
        HMDS
            Itself.

        Raises
        ------
        DataError
            If X holds no distances, or distances too large for the scale.
        ParameterError
            If a parameter is out of range.
        """
        self.fit_transform(X)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Embed the rows and return their points, (n, n_components); see `fit`."""
        self._check_params()
        X = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        if self.metric == "precomputed":
            distances = _check_distances(X)
        else:
            self.X_fit_ = X
            distances = pairwise_distances(X, metric=self.metric)
        n = len(distances)
        if self.n_components >= n:
            raise ParameterError(
                f"HMDS: n_components must be less than the number of rows, {n}, got {self.n_components}"
            )
        values, vectors = eigh(-self._cosh(distances), subset_by_index=[n - self.n_components, n - 1])
        values, vectors = values[::-1].clip(min=0), vectors[:, ::-1]
        largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(self.n_components)]
        self.eigenvalues_ = values
        self.embedding_ = _to_ball(vectors * np.where(largest < 0, -1, 1) * np.sqrt(values))
        return self.embedding_

    def transform(self, X: Any) -> np.ndarray:
        """Return the points of new rows.

        Parameters
        ----------
        X : array-like of shape (m, n) or (m, d)
            Distances to the n rows of ``fit``, or features if ``metric`` names one.

        Returns
        -------
        array of shape (m, n_components)
            Points of the ball; those of ``fit`` for the rows of ``fit``.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        distances = X if self.metric == "precomputed" else pairwise_distances(X, self.X_fit_, metric=self.metric)
        space = _from_ball(self.embedding_)  # (n, r), its columns orthogonal and of squared length eigenvalues_
        used = self.eigenvalues_ > 0
        weights = np.where(used, space, 0.0) / np.where(used, self.eigenvalues_, 1.0)
        return _to_ball(-self._cosh(distances) @ weights)

    def _check_params(self) -> None:
        for parameter in type(self).component.parameters:
            value = getattr(self, parameter.name)
            if not parameter.constraint.allows(value):
                raise ParameterError(f"HMDS: {parameter.name} must be {parameter.constraint}, got {value!r}")

    def _cosh(self, distances: np.ndarray) -> np.ndarray:
        largest = self.scale * distances.max()
        if largest > LARGEST:
            raise DataError(
                f"HMDS: distances times scale must not pass {LARGEST:g}, got {largest:.6g}; choose a smaller scale"
            )
        return np.cosh(self.scale * distances)

    @property
    def _n_features_out(self) -> int:
        return self.embedding_.shape[1]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = tags.input_tags.positive_only = self.metric == "precomputed"
        return tags


def _check_distances(X: np.ndarray) -> np.ndarray:
    """Return a matrix of distances, or say why it is none."""
    advice = "give distances between all rows, or metric='euclidean' for features"
    if X.shape[0] != X.shape[1]:
        raise DataError(f"HMDS: X must be a square matrix of distances, got shape {X.shape}; {advice}")
    if X.min() < 0:
        raise DataError(f"HMDS: Negative values in data: a distance is {X.min():g}; {advice}")
    if not np.allclose(X.diagonal(), 0, atol=1e-8 * X.max()):
        raise DataError(f"HMDS: the distance of a row to itself must be zero, got {X.diagonal().max():g}; {advice}")
    if not np.allclose(X, X.T):
        raise DataError(f"HMDS: distances must be symmetric; {advice}")
    return (X + X.T) / 2


def _to_ball(space: np.ndarray) -> np.ndarray:
    squares = np.square(space).sum(axis=1, keepdims=True)
    points = space / (1 + np.sqrt(1 + squares))
    length = np.linalg.norm(points, axis=1, keepdims=True)
    return points * np.minimum(1, (1 - 1e-15) / np.maximum(length, 0.5))  # rounding must not put it on the border


def _from_ball(points: np.ndarray) -> np.ndarray:
    return 2 * points / (1 - np.square(points).sum(axis=1, keepdims=True))
