"""A classifier by the nearest class mean."""

from numbers import Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import log_softmax
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from sklearnloss.exceptions import DataError
from sklearnloss.functional.neighbors import unit_rows

__all__ = ["PrototypeClassifier"]


class PrototypeClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    r"""Each class is the mean of its rows; a new row belongs to the nearest.

    What prototypical networks do with embeddings of a few examples. It has nothing to tune but the temperature, which
    changes probabilities, never a prediction.

    Parameters
    ----------
    metric : {"cosine", "euclidean", "squared_euclidean"}, default="cosine"
        How far a row is from a mean. With ``"cosine"``, ``1 - cos``, rows are brought to length one first; one of zeros
        is as far from all.
    temperature : float in (0, inf), default=1.0
        What distances are divided by before the softmax. Cosines want about 0.1.

    Attributes
    ----------
    classes_ : array of shape (k,)
        The classes.
    prototypes_ : array of shape (k, d)
        Their means.
    n_features_in_ : int
        Columns of X.

    Notes
    -----
    .. math:: p(c \mid x) \propto e^{-d(x, \mu_c) / \tau}

    With ``"squared_euclidean"`` it is linear in x, the posterior of classes that are normal with one variance
    :math:`\tau / 2` and equally frequent, and predicts as scikit-learn's ``NearestCentroid``.

    References
    ----------
    .. [1] Snell, Swersky, Zemel. "Prototypical networks for few-shot learning". NeurIPS 2017.
    .. [2] Mensink, Verbeek, Perronnin, Csurka. "Distance-based image classification: generalizing to new classes at
       near-zero cost". TPAMI 35, 2013.

    Examples
    --------
    >>> model = PrototypeClassifier("euclidean").fit([[0.0], [2.0], [5.0]], ["a", "a", "b"])
    >>> model.prototypes_.ravel().tolist(), model.predict([[2.5], [4.0]]).tolist()
    ([1.0, 5.0], ['a', 'b'])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "metric": [StrOptions({"cosine", "euclidean", "squared_euclidean"})],
        "temperature": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self, metric: Literal["cosine", "euclidean", "squared_euclidean"] = "cosine", *, temperature: float = 1.0
    ) -> None:
        self.metric = metric
        self.temperature = temperature

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Take the mean of each class.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, such as embeddings.
        y : array-like of shape (n,)
            Their classes, two at least.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows; a weight of two is the row twice, one of zero is no row.

        Returns
        -------
        self

        Raises
        ------
        DataError
            If there is only one class.
        """
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32])
        check_classification_targets(y)
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        present = weight > 0
        self.classes_, codes = np.unique(y[present], return_inverse=True)
        if len(self.classes_) == 1:
            raise DataError(
                "PrototypeClassifier needs two classes at least that have a row of positive weight, got one class: "
                f"{self.classes_.tolist()}"
            )
        rows, weight = self._placed(X[present]), weight[present]
        sums = np.zeros((len(self.classes_), X.shape[1]))
        np.add.at(sums, codes, weight[:, None] * rows)
        self.prototypes_ = sums / np.bincount(codes, weight)[:, None]
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Return scores: negative distances divided by the temperature, (n, k); of two classes the difference (n,).

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.
        """
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of the nearest mean, (n,); of equally near ones the first.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.
        """
        nearest = self._scores(X).argmax(axis=1)
        return self.classes_[nearest]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the softmax of the scores, (n, k).

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.
        """
        return np.exp(self.predict_log_proba(X))

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return logarithms of the probabilities, (n, k).

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.
        """
        return log_softmax(self._scores(X), axis=1)

    def _scores(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        if self.metric == "cosine":
            distances = 1 - unit_rows(rows.astype(np.float64)) @ unit_rows(self.prototypes_).T
        else:
            distances = cdist(rows, self.prototypes_, "sqeuclidean" if self.metric != "euclidean" else "euclidean")
        return -distances / self.temperature

    def _placed(self, rows: np.ndarray) -> np.ndarray:
        """Return rows as they enter the mean."""
        return unit_rows(rows.astype(np.float64)) if self.metric == "cosine" else rows
