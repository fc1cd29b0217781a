"""Platt's scaling."""

import numpy as np
from scipy.special import expit
from sklearn.calibration import _SigmoidCalibration

from sklearnloss.calibrators._one_vs_rest import OneVsRestCalibrator
from sklearnloss.calibrators._scores import Array
from sklearnloss.component import calibrator

__all__ = ["SigmoidCalibration"]


@calibrator("sigmoid", aliases=("platt",))
class SigmoidCalibration(OneVsRestCalibrator):
    r"""A logistic curve over the score of each class, with Platt's smoothed targets: two numbers a class, for few rows.

    Rows are the scores of a fitted model, best of held-out rows: (n, k), or (n,) for two classes.

    Attributes
    ----------
    coef_ : array of shape (k,), or (1,) for two classes
        Slope of each curve.
    intercept_ : array of shape (k,), or (1,) for two classes
        Offset of each curve.
    classes_ : array of shape (k,)
        The classes, sorted as the columns of the scores are.
    n_features_in_ : int
        Number of columns.

    Notes
    -----
    .. math:: q_j = \sigma(a_j s_j + b_j), \qquad p_j = q_j / \sum_i q_i

    of more than two classes, and :math:`p = q` of two. Each curve has the least negative log likelihood of the targets
    :math:`(n_+ + 1) / (n_+ + 2)` and :math:`1 / (n_- + 2)` in place of one and zero, so that separable rows stay short
    of certainty. It is what `sklearn.calibration.CalibratedClassifierCV` calls ``method="sigmoid"``. O(n k) a step.

    References
    ----------
    .. [1] Platt. "Probabilistic outputs for support vector machines and comparisons to regularized likelihood methods".
       Advances in Large Margin Classifiers, 1999.
    .. [2] Zadrozny, Elkan. "Transforming classifier scores into accurate multiclass probability estimates". KDD 2002.

    Examples
    --------
    >>> scores, y = [2.0, 2.0, 2.0, 2.0, -2.0, -2.0, -2.0, -2.0], [1, 1, 1, 0, 0, 0, 1, 1]
    >>> SigmoidCalibration().fit(scores, y).predict_proba([2.0]).round(3)
    array([[0.307, 0.693]])
    """

    def _fit_columns(self, columns: Array, positive: Array, weights: Array) -> None:
        curves = [
            _SigmoidCalibration().fit(s, target, weights) for s, target in zip(columns.T, positive.T, strict=True)
        ]
        self.coef_, self.intercept_ = (-np.array([getattr(c, name) for c in curves]) for name in ("a_", "b_"))

    def _columns(self, columns: Array) -> Array:
        return expit(columns * self.coef_ + self.intercept_)
