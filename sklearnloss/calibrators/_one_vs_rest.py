"""What calibrators that look at one column of scores at a time share."""

import numpy as np

from sklearnloss.calibrators._scores import Array, ScoreClassifier

__all__ = ["OneVsRestCalibrator"]


class OneVsRestCalibrator(ScoreClassifier):
    """Each class against the rest, and the probabilities of a row divided by their sum, as scikit-learn does.

    Of two classes there is one column, the score of the second. A subclass writes ``_fit_columns(columns, positive,
    weights)``, which sets its attributes, and ``_columns(columns)``; columns are (n, c), and ``positive`` says of each
    whether the row is of its class.
    """

    def _fit_rows(self, X: Array, y: Array, weights: Array) -> None:
        columns = _one_of_two(X)
        k = len(self.classes_)
        classes = np.arange(k - columns.shape[1], k)  # the second of two, else all
        positive = (y[:, None] == classes).astype(np.float64)  # (n, c)
        self._fit_columns(columns, positive, weights)

    def _probabilities(self, X: Array) -> Array:
        p = self._columns(_one_of_two(X))
        if p.shape[1] == 1:
            return np.hstack([1 - p, p])
        total = p.sum(axis=1, keepdims=True)
        uniform = np.full_like(p, 1 / p.shape[1])  # where every class is impossible
        return np.divide(p, total, out=uniform, where=total > 0)

    def _fit_columns(self, columns: Array, positive: Array, weights: Array) -> None:
        """Set the fitted attributes."""
        raise NotImplementedError

    def _columns(self, columns: Array) -> Array:
        """Return the probability (n, c) of each column's class."""
        raise NotImplementedError


def _one_of_two(X: Array) -> Array:
    return X[:, [1]] - X[:, [0]] if X.shape[1] == 2 else X
