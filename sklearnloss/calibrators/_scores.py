"""What calibrators of scores share: their rows, the negative log likelihood, and the way from scores to predictions."""

import warnings
from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
from scipy.optimize import brentq, minimize
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from sklearnloss.component import Component
from sklearnloss.spec import check_params

__all__ = ["RANGE", "SLOPE", "ScoreCalibrator", "ScoreClassifier", "fit_inverse_temperature", "minimize_nll", "nll"]

Array = np.ndarray[Any, Any]

RANGE = 1e5  # the temperature lies between scale / RANGE and scale * RANGE
SLOPE = 1e-10  # where the nll falls slower than this by the logarithm of the temperature, it is at its minimum


class ScoreClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier whose rows are the scores of a fitted model.

    A subclass writes ``_fit_rows(X, y, weights)``, which sets its attributes, numbers and arrays that end in ``_``, and
    ``_probabilities(X)``; X (n, k), or (n, 1) of two classes, are the scores.
    """

    component: ClassVar[Component]

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the map on rows that the model has not seen.

        Parameters
        ----------
        X : array of shape (n, k), (n,) or (n, 1)
            What ``decision_function`` gives: a column for each class in sorted order, or the one score of the second
            of two classes.
        y : array of shape (n,)
            The classes.
        sample_weight : array of shape (n,), default=None
            Weights of the rows; a weight of two is the row twice.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the columns are not those of the classes in y, as where a class has no row.
        """
        check_params(self.component, self.get_params(deep=False))
        X, y = validate_data(self, _as_columns(X), y, dtype=np.float64)
        check_classification_targets(y)
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        present = weights > 0
        self.classes_, codes = np.unique(y[present], return_inverse=True)
        if len(self.classes_) != (k := max(X.shape[1], 2)):
            raise ValueError(
                f"{self.component.title}: the scores are those of {k} classes, but y has rows with positive "
                f"weight of {len(self.classes_)}: {self.classes_.tolist()}; every class needs a column and a row"
            )
        self._fit_rows(X[present], codes, weights[present])
        return self

    def predict_proba(self, X: Any) -> Array:
        """Return calibrated probabilities (n, k)."""
        return self._probabilities(self._rows(X))

    def predict_log_proba(self, X: Any) -> Array:
        """Return logarithms of the calibrated probabilities."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X: Any) -> Array:
        """Return the class of the highest probability."""
        highest = self.predict_proba(X).argmax(axis=1)
        return self.classes_[highest]

    def _rows(self, X: Any) -> Array:
        check_is_fitted(self)
        return validate_data(self, _as_columns(X), dtype=np.float64, reset=False)

    def _fit_rows(self, X: Array, y: Array, weights: Array) -> None:
        """Set the fitted attributes from classes y in 0..k-1 and positive weights."""
        raise NotImplementedError

    def _probabilities(self, X: Array) -> Array:
        """Return the calibrated probabilities (n, k)."""
        raise NotImplementedError


class ScoreCalibrator(ScoreClassifier):
    """A map from scores to the logits of calibrated probabilities.

    A subclass writes ``_learn(z, y, weights, scale)``, which sets its attributes, and ``_logits(z)``; z (n, k) are the
    scores, one column a class, less their mean in each row.
    """

    def decision_function(self, X: Any) -> Array:
        """Return calibrated logits (n, k), or log odds (n,) of two classes."""
        logits = self._calibrated(X)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def predict_log_proba(self, X: Any) -> Array:
        """Return logarithms of the calibrated probabilities, finite where those are zero."""
        return log_softmax(self._calibrated(X), axis=1)

    def _calibrated(self, X: Any) -> Array:
        return self._logits(_centred(self._rows(X)))

    def _fit_rows(self, X: Array, y: Array, weights: Array) -> None:
        z, weights = _centred(X), weights / weights.sum()
        scale = float(np.sqrt((weights @ z**2).mean())) or 1.0
        self._learn(z, y, weights, scale)

    def _probabilities(self, X: Array) -> Array:
        return softmax(self._logits(_centred(X)), axis=1)

    def _learn(self, z: Array, y: Array, weights: Array, scale: float) -> None:
        """Set the fitted attributes; weights sum to one, scale is the root mean square of z."""
        raise NotImplementedError

    def _logits(self, z: Array) -> Array:
        """Return the logits of the calibrated probabilities."""
        raise NotImplementedError


def _as_columns(X: Any) -> Any:
    column = np.asarray(X)
    return column[:, None] if column.ndim == 1 else X


def _centred(X: Array) -> Array:
    """Return one column a class, less their mean: a constant added to a row says nothing."""
    z = np.hstack([np.zeros_like(X), X]) if X.shape[1] == 1 else X  # softmax([0, s]) is [1 - sigmoid(s), sigmoid(s)]
    return z - z.mean(axis=1, keepdims=True)


def nll(logits: Array, y: Array, weights: Array) -> tuple[float, Array]:
    """Return the weighted negative log likelihood and its gradient by the logits.

    Parameters
    ----------
    logits : array of shape (n, k)
        Of the probabilities.
    y : array of shape (n,)
        Classes in 0..k-1.
    weights : array of shape (n,)
        Sum to one.

    Examples
    --------
    >>> nll(np.array([[0.0, 0.0]]), np.array([1]), np.array([1.0]))
    (0.6931471805599453, array([[ 0.5, -0.5]]))
    """
    rows = np.arange(len(y))
    log_p = log_softmax(logits, axis=1)  # (n, k)
    residual = np.exp(log_p)
    residual[rows, y] -= 1
    return float(-(weights @ log_p[rows, y])), weights[:, None] * residual


def fit_inverse_temperature(z: Array, y: Array, weights: Array, scale: float) -> float:
    """Return the factor of z with the least negative log likelihood.

    The likelihood is convex in the factor, so the sign of its slope finds the one minimum. Rows that the scores
    separate have none: the factor stops where the slope by its logarithm is `SLOPE`, at gaps of about 26, and scores
    that say nothing, or the opposite, stop at the highest temperature.
    """
    gap = z - z[np.arange(len(y)), y][:, None]  # (n, k); what the other classes lead by

    def slope(log_factor: float) -> float:
        gaps = np.exp(log_factor) * gap
        return float(weights @ (softmax(gaps, axis=1) * gaps).sum(axis=1)) + SLOPE

    low, high = np.log([1 / (scale * RANGE), RANGE / scale])
    if slope(low) >= 0:
        return float(np.exp(low))
    if slope(high) <= 0:
        return float(np.exp(high))
    return float(np.exp(brentq(slope, low, high, xtol=1e-12)))


def minimize_nll(objective: Callable[..., tuple[float, Array]], start: Array, *args: Any) -> tuple[Array, int]:
    """Return the parameters with the least ``objective(parameters, *args)``, and the number of steps."""
    result = minimize(
        objective, start, args, jac=True, method="L-BFGS-B", options={"maxiter": 2000, "ftol": 1e-14, "gtol": 1e-8}
    )
    if result.status == 1:  # the limit of steps; where a line search ends at rounding errors it is at the minimum
        warnings.warn(
            f"calibration stopped after {result.nit} steps; raise l2, or give more rows",
            ConvergenceWarning,
            stacklevel=5,  # the call of fit
        )
    return result.x, int(result.nit)
