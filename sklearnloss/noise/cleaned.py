"""A classifier that learns without the labels that are doubted."""

from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils import Tags, get_tags
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, has_fit_parameter

from sklearnloss.active.pool import as_table, row_range
from sklearnloss.exceptions import TaskError
from sklearnloss.noise.detector import LabelNoiseDetector

__all__ = ["Cleaned"]


def _delegated(name: str) -> Any:
    def check(model: "Cleaned") -> bool:
        getattr(getattr(model, "estimator_", model.estimator), name)
        return True

    return available_if(check)


class Cleaned(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    """Fit a classifier without the rows whose labels are doubted, or with little weight on them.

    Parameters
    ----------
    estimator : classifier
        What is fitted in the end.
    detector : str, LabelNoiseDetector or None, default=None
        What doubts labels; a string is a method of `LabelNoiseDetector`, None is ``"cv_margin"``, which doubts few rows
        and is seldom wrong. It sees the training rows only, so that in a search the rows to judge by keep their labels.
    weight : float in [0, 1), default=0.0
        Weight of the doubted rows; zero leaves them out, anything else needs a model that takes ``sample_weight``.

    Attributes
    ----------
    estimator_ : classifier
        The fitted model.
    detector_ : LabelNoiseDetector
        With ``scores_``, ``noisy_mask_`` and ``report()``.
    kept_ : bool array of shape (n,)
        Which rows have their full weight.
    classes_ : array of shape (k,)
        The classes.

    Notes
    -----
    A class of which every row is doubted keeps the least doubtful one, so that no class is lost.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> wrong = y.copy()
    >>> wrong[::7] = (y[::7] + 1) % 3
    >>> plain = DecisionTreeClassifier(random_state=0).fit(X, wrong)
    >>> cleaned = Cleaned(DecisionTreeClassifier(random_state=0), "knn").fit(X, wrong)
    >>> round(plain.score(X, y), 2), round(cleaned.score(X, y), 2)
    (0.85, 0.95)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "predict"])],
        "detector": [str, HasMethods(["fit"]), None],
        "weight": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(self, estimator: Any, detector: Any = None, *, weight: float = 0.0) -> None:
        self.estimator = estimator
        self.detector = detector
        self.weight = weight

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Doubt labels, then fit.

        Parameters
        ----------
        X : array, sparse matrix or DataFrame of shape (n, d)
            Rows.
        y : array of shape (n,)
            Their labels.
        sample_weight : array of shape (n,), default=None
            Weights of rows in the fit; the detector looks at rows without.

        Returns
        -------
        self

        Raises
        ------
        TaskError
            If ``weight`` is not zero and the model takes no weights.
        """
        self._validate_params()
        if self.weight and not has_fit_parameter(self.estimator, "sample_weight"):
            raise TaskError(
                f"Cleaned: weight={self.weight} needs a model whose fit takes sample_weight, which "
                f"{type(self.estimator).__name__} does not; set weight=0 to leave the rows out"
            )
        X = as_table(X, "Cleaned")
        detector = self.detector
        if detector is None or isinstance(detector, str):
            detector = LabelNoiseDetector(detector or "cv_margin")
        self.detector_ = clone(detector).fit(X, y)
        codes = np.unique(np.asarray(y).ravel(), return_inverse=True)[1]
        self.kept_ = ~np.asarray(self.detector_.noisy_mask_, dtype=bool)
        for c in np.flatnonzero(np.bincount(codes, self.kept_) == 0):
            rows = np.flatnonzero(codes == c)
            self.kept_[rows[np.argmin(self.detector_.scores_[rows])]] = True
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, X)
        model = clone(self.estimator)
        if self.weight:
            weights = (np.ones(len(codes)) if weights is None else weights) * np.where(self.kept_, 1.0, self.weight)
            self.estimator_ = model.fit(X, y, sample_weight=weights)
        else:
            rows = np.flatnonzero(self.kept_)
            facts = {} if weights is None else {"sample_weight": weights[rows]}
            self.estimator_ = model.fit(row_range(X, rows), row_range(np.asarray(y).ravel(), rows), **facts)
        return self

    @property
    def classes_(self) -> np.ndarray:
        """The classes."""
        check_is_fitted(self)
        return np.asarray(self.estimator_.classes_)

    @property
    def n_features_in_(self) -> int:
        """Columns of X."""
        check_is_fitted(self)
        return int(self.estimator_.n_features_in_)

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted classes of rows (n, d)."""
        check_is_fitted(self)
        return np.asarray(self.estimator_.predict(X))

    @_delegated("predict_proba")
    def predict_proba(self, X: Any) -> Any:
        """Return the model's probabilities for rows (n, d)."""
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    @_delegated("decision_function")
    def decision_function(self, X: Any) -> Any:
        """Return the model's scores for rows (n, d)."""
        check_is_fitted(self)
        return self.estimator_.decision_function(X)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "estimator_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.classifier_tags = inner.classifier_tags
        tags.input_tags = inner.input_tags
        return tags
