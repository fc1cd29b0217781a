"""Predictions in a metric space of labels, of classes that were never seen too."""

from numbers import Real
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils import Tags, get_tags
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.validation import check_is_fitted

from sklearnloss.component import estimator
from sklearnloss.constraints import Constraint, Positive
from sklearnloss.exceptions import DataError, ParameterError, did_you_mean
from sklearnloss.functional.frechet import farthest_class, frechet_choice, reachable

__all__ = ["FrechetClassifier"]


def _gives_probabilities(value: Any) -> bool:
    return hasattr(value, "fit") and hasattr(value, "predict_proba")


Classifier = Annotated[Any, Constraint(_gives_probabilities, "a classifier with predict_proba")]
Distances = Annotated[
    Any,
    Constraint(
        lambda v: v is None or (np.ndim(v) == 2 and np.shape(v)[0] == np.shape(v)[1]),
        "a square table of distances between all labels, or None",
    ),
]
Labels = Annotated[Any, Constraint(lambda v: v is None or np.ndim(v) == 1, "a sequence of labels, or None")]


@estimator("frechet_decode")
class FrechetClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    r"""Predict the label with the smallest expected squared distance, which may be one that was never seen.

    Where labels have distances (levels of a scale, nodes of a tree), a mistake that is near costs little. So the middle
    of two probable labels may be the better answer than either, and a model of a few labels can answer with the others.

    Parameters
    ----------
    estimator : classifier with ``predict_proba``
        Fitted to the labels that there are.
    label_distances : array of shape (N, N) or None, default=None
        Distances between all labels, symmetric, with zeros on the diagonal; None takes the labels for numbers.
    labels : sequence of N labels or None, default=None
        What rows and columns of ``label_distances`` stand for, unseen ones too; None are the sorted labels of y.
    power : float in (0, inf), default=1.0
        Power of the probabilities before they are brought to sum to one again: large ones approach the most probable
        label, small ones the middle of all.

    Attributes
    ----------
    estimator_ : classifier
        The fitted model.
    classes_ : array of shape (k,)
        Seen labels, whose probabilities there are.
    labels_ : array of shape (N,)
        Labels that can be predicted, if they lie between others.
    distances_ : array of shape (k, N)
        From each seen label to all.
    n_features_in_, feature_names_in_
        As the model has them.

    Notes
    -----
    .. math:: \hat y = \arg\min_y \sum_k p_k \, d(k, y)^2

    With distances of zero and one it is the most probable label.

    References
    ----------
    .. [1] Roberts, Li, Huang, Adila, Schoenberg, Liu, Pick, Ma, Sala. "Geometry-aware adaptation for pretrained
       models". NeurIPS 2023.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> X, y = np.array([[0.0], [0.2], [3.8], [4.0]]), np.array([0, 0, 4, 4])
    >>> path = np.abs(np.subtract.outer(np.arange(5), np.arange(5)))
    >>> model = FrechetClassifier(LogisticRegression(), path, range(5)).fit(X, y)
    >>> model.predict([[0.0], [2.0], [4.0]]).tolist()
    [0, 2, 4]
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "predict_proba"])],
        "label_distances": ["array-like", None],
        "labels": ["array-like", None],
        "power": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self, estimator: Classifier, label_distances: Distances = None, labels: Labels = None, *, power: Positive = 1.0
    ) -> None:
        self.estimator = estimator
        self.label_distances = label_distances
        self.labels = labels
        self.power = power

    def fit(self, X: Any, y: Any, **params: Any) -> Self:
        """Fit the model, and look up the distances of its classes.

        Parameters
        ----------
        X : as the model takes it, of n rows
            Rows.
        y : array of shape (n,)
            Their labels.
        **params
            For the model's ``fit``.

        Returns
        -------
        self

        Raises
        ------
        ParameterError
            If the distances are no metric's, or there is none for a label.
        DataError
            If labels without distances are no numbers.
        """
        self._validate_params()
        self.estimator_ = clone(self.estimator).fit(X, y, **params)
        self.classes_ = np.asarray(self.estimator_.classes_)
        self.labels_ = self.classes_ if self.labels is None else np.asarray(self.labels)
        table = self._table()
        places = {label: place for place, label in enumerate(self.labels_.tolist())}
        if len(places) < len(self.labels_):
            raise ParameterError(f"FrechetClassifier: labels must be different, got {self.labels_.tolist()}")
        for label in self.classes_.tolist():
            if label not in places:
                near = did_you_mean(label, map(str, places)) if isinstance(label, str) else ""
                raise ParameterError(f"FrechetClassifier: y has {label!r}, which is not among labels{near}")
        rows = np.array([places[label] for label in self.classes_.tolist()])
        self.distances_, self._all, self._seen = table[rows], table, rows
        return self

    def _table(self) -> np.ndarray:
        n = len(self.labels_)
        if self.label_distances is None:
            if self.labels_.dtype.kind not in "iuf":
                raise DataError(
                    "FrechetClassifier: without label_distances labels are taken for numbers, got "
                    f"{self.labels_.dtype}; give label_distances and labels"
                )
            values = self.labels_.astype(np.float64)
            return np.abs(np.subtract.outer(values, values))
        table = np.asarray(self.label_distances, dtype=np.float64)
        if table.shape != (n, n):
            raise ParameterError(
                f"FrechetClassifier: label_distances must be ({n}, {n}), a row for each of the {n} labels, got "
                f"{table.shape}"
            )
        rounding = 1e-8 * np.abs(table).max(initial=0)  # of distances that were computed by products
        fine = np.isfinite(table).all() and (table >= 0).all() and (np.abs(table - table.T) <= rounding).all()
        if not fine or (np.diag(table) > rounding).any():
            raise ParameterError(
                "FrechetClassifier: label_distances must be finite, not negative, symmetric, and zero from a label to "
                "itself"
            )
        return table

    def predict(self, X: Any) -> np.ndarray:
        """Return the label of each row with the smallest expected squared distance.

        Parameters
        ----------
        X : as the model takes it, of n rows
            Rows.

        Returns
        -------
        array of shape (n,)
        """
        check_is_fitted(self)
        proba = np.asarray(self.estimator_.predict_proba(X), dtype=np.float64)
        if self.power != 1:
            with np.errstate(divide="ignore"):
                logs = self.power * np.log(proba)
            proba = np.exp(logs - logs.max(axis=1, keepdims=True))
            proba /= proba.sum(axis=1, keepdims=True)
        return self.labels_[frechet_choice(proba, self.distances_)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the model's probabilities of the seen labels, (n, k)."""
        check_is_fitted(self)
        return np.asarray(self.estimator_.predict_proba(X))

    @property
    def n_features_in_(self) -> int:
        """Columns of X, where the model knows them."""
        return int(self.estimator_.n_features_in_)

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the columns of X, where the model knows them."""
        return np.asarray(self.estimator_.feature_names_in_)

    @property
    def reachable_(self) -> np.ndarray:
        """Labels that some mixture of two seen labels predicts."""
        check_is_fitted(self)
        return self.labels_[reachable(self._all, self._seen)]

    def next_class(self) -> Any:
        """Return the label to see next: the farthest from all that can be predicted; None if all can be."""
        check_is_fitted(self)
        place = farthest_class(self._all, self._seen)
        return None if place is None else self.labels_.tolist()[place]

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "distances_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags = inner.input_tags
        tags.classifier_tags = inner.classifier_tags
        return tags
