"""Probabilities from the scores of held-out rows, by scikit-learn's calibrators."""

from typing import Any, Self

import numpy as np
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV

__all__ = ["Calibration"]


class Scores(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A fitted classifier whose rows are the scores themselves, for scikit-learn's calibrators."""

    def __init__(self, classes: np.ndarray) -> None:
        self.classes = classes

    @property
    def classes_(self) -> np.ndarray:
        """The classes."""
        return self.classes

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Do nothing."""
        return self

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        """Return X, one column as (n,)."""
        return X[:, 0] if X.shape[1] == 1 else X

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the class of the highest score."""
        columns = np.hstack([-X, X]) if X.shape[1] == 1 else X
        return self.classes[columns.argmax(axis=1)]

    def __sklearn_is_fitted__(self) -> bool:
        return True


class Calibration:
    """A map from scores to probabilities; one for each label where there are several.

    Parameters
    ----------
    method : {"sigmoid", "isotonic", "temperature"}
        As in `sklearn.calibration.CalibratedClassifierCV`.
    """

    def __init__(self, method: str) -> None:
        self.method = method

    def fit(self, scores: np.ndarray, y: np.ndarray, classes: np.ndarray, weights: np.ndarray | None) -> Self:
        """Fit the map on held-out rows.

        Parameters
        ----------
        scores : array of shape (m,) or (m, k)
            What ``decision_function`` gives.
        y : array of shape (m,) or (m, n_labels)
            The classes, as the user gave them.
        classes : array of shape (k,)
            Columns of the result.
        weights : array of shape (m,) or None
            Weights of the rows.

        Raises
        ------
        ValueError
            If a class has no held-out row.
        """
        self.labelwise = y.ndim == 2
        pairs = (
            [(scores[:, [j]], y[:, j], np.array([0, 1])) for j in range(y.shape[1])]
            if self.labelwise
            else [(scores.reshape(len(y), -1), y, classes)]
        )
        self.maps = []
        for columns, target, known in pairs:
            if missing := sorted(set(known.tolist()) - set(np.unique(target).tolist())):
                raise ValueError(
                    f"calibrate={self.method!r}: no held-out row of class {missing}; raise validation_fraction or "
                    "leave calibrate off"
                )
            whole = [(np.arange(len(y)), np.arange(len(y)))]  # the scores are fitted already: one fold of all rows
            calibrated = CalibratedClassifierCV(Scores(known), method=self.method, cv=whole, ensemble=False)
            with config_context(enable_metadata_routing=False):  # the weights are handed over here, not routed
                self.maps.append(calibrated.fit(columns, target, sample_weight=weights))
        return self

    def predict_proba(self, scores: np.ndarray) -> np.ndarray:
        """Return probabilities (n, k) from scores (n,) or (n, k)."""
        if self.labelwise:
            columns = [m.predict_proba(scores[:, [j]])[:, 1] for j, m in enumerate(self.maps)]
            return np.stack(columns, axis=1)
        return self.maps[0].predict_proba(scores.reshape(len(scores), -1))
