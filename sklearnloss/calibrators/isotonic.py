"""Isotonic calibration."""

import numpy as np
from sklearn.isotonic import IsotonicRegression

from sklearnloss.calibrators._one_vs_rest import OneVsRestCalibrator
from sklearnloss.calibrators._scores import Array
from sklearnloss.component import calibrator

__all__ = ["IsotonicCalibration"]


@calibrator("isotonic")
class IsotonicCalibration(OneVsRestCalibrator):
    r"""A rising line over the score of each class, of whatever shape: for a thousand rows or more.

    Rows are the scores of a fitted model, best of held-out rows: (n, k), or (n,) for two classes.

    Attributes
    ----------
    knots_ : array of shape (m, 2)
        Score and frequency at the knots of all lines, those of the first column first, then by score.
    n_knots_ : array of shape (k,), or (1,) for two classes
        Number of knots of each line.
    classes_ : array of shape (k,)
        The classes, sorted as the columns of the scores are.
    n_features_in_ : int
        Number of columns.

    Notes
    -----
    Each line has the least squared error of all that never fall; it is level beyond the scores of the fit, where it may
    be exactly zero or one: the log loss of other rows can be infinite. The probabilities of a row of more than two
    classes are divided by their sum, and equal where all are zero. It is what
    `sklearn.calibration.CalibratedClassifierCV` calls ``method="isotonic"``. O(k n log n).

    References
    ----------
    .. [1] Zadrozny, Elkan. "Transforming classifier scores into accurate multiclass probability estimates". KDD 2002.
    .. [2] Niculescu-Mizil, Caruana. "Predicting good probabilities with supervised learning". ICML 2005.

    Examples
    --------
    >>> scores, y = [2.0, 2.0, 2.0, 2.0, -2.0, -2.0, -2.0, -2.0], [1, 1, 1, 0, 0, 0, 1, 1]
    >>> IsotonicCalibration().fit(scores, y).predict_proba([2.0, 0.0]).round(3)
    array([[0.25 , 0.75 ],
           [0.375, 0.625]])
    """

    def _fit_columns(self, columns: Array, positive: Array, weights: Array) -> None:
        lines = [IsotonicRegression().fit(s, target, weights) for s, target in zip(columns.T, positive.T, strict=True)]
        self.knots_ = np.vstack([np.stack([line.X_thresholds_, line.y_thresholds_], axis=1) for line in lines])
        self.n_knots_ = np.array([len(line.X_thresholds_) for line in lines])

    def _columns(self, columns: Array) -> Array:
        lines = np.split(self.knots_, self.n_knots_.cumsum()[:-1])
        return np.stack([np.interp(s, *line.T) for s, line in zip(columns.T, lines, strict=True)], axis=1)
