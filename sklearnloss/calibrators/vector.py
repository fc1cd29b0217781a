"""Vector scaling."""

from typing import Annotated

import numpy as np

from sklearnloss.calibrators._scores import Array, ScoreCalibrator, fit_inverse_temperature, minimize_nll, nll
from sklearnloss.component import calibrator
from sklearnloss.constraints import NonNegative, Search

__all__ = ["VectorScaling"]


# Differences from the paper:
# 1. the scores are taken less their mean in each row, so that a constant added to a row changes nothing;
# 2. l2 pulls towards temperature scaling.
@calibrator("vector")
class VectorScaling(ScoreCalibrator):
    r"""A factor and a bias for each class: corrects confidence and frequency class by class.

    Rows are the scores of a fitted model, best of held-out rows: (n, k), or (n,) for two classes, where this is
    Platt's scaling without his smoothed targets.

    Parameters
    ----------
    l2 : float in [0, inf), default=0.0
        Pull towards temperature scaling; the scale of the scores does not matter.

    Attributes
    ----------
    coef_ : array of shape (k,)
        Factors.
    intercept_ : array of shape (k,)
        Biases.
    classes_ : array of shape (k,)
        The classes, sorted as the columns of the scores are.
    n_features_in_ : int
        Number of columns.
    n_iter_ : int
        Steps of L-BFGS.

    Notes
    -----
    .. math:: p = \operatorname{softmax}(w \odot z + b), \qquad
       \min_{w, b} \mathrm{nll} + \frac{\lambda}{k} \sum_j \left[s^2 (w_j - 1/T)^2 + b_j^2\right]

    with z less its mean in each row, of root mean square s, and T of temperature scaling, which is also the start:
    the fit is never worse than it, and becomes it as ``l2 -> inf``. O(n k) a step.

    References
    ----------
    .. [1] Guo, Pleiss, Sun, Weinberger. "On calibration of modern neural networks". ICML 2017.

    Examples
    --------
    >>> scores, y = [2.0, 2.0, 2.0, 2.0, -2.0, -2.0, -2.0, -2.0], [1, 1, 1, 0, 0, 0, 1, 1]
    >>> VectorScaling().fit(scores, y).predict_proba([2.0, -2.0]).round(3)
    array([[0.25, 0.75],
           [0.5 , 0.5 ]])
    """

    def __init__(self, *, l2: Annotated[NonNegative, Search(1e-5, 1.0, log=True)] = 0.0) -> None:
        self.l2 = l2

    def _learn(self, z: Array, y: Array, weights: Array, scale: float) -> None:
        k = z.shape[1]
        factor = scale * fit_inverse_temperature(z, y, weights, scale)
        start = np.concatenate([np.full(k, factor), np.zeros(k)])
        theta, self.n_iter_ = minimize_nll(_objective, start, z / scale, y, weights, self.l2, start)
        self.coef_, self.intercept_ = theta[:k] / scale, theta[k:]

    def _logits(self, z: Array) -> Array:
        return z * self.coef_ + self.intercept_


def _objective(theta: Array, z: Array, y: Array, weights: Array, l2: float, centre: Array) -> tuple[float, Array]:
    """Return the penalised nll and its gradient; theta holds the k factors, then the k biases."""
    k = z.shape[1]
    value, residual = nll(z * theta[:k] + theta[k:], y, weights)
    gradient = np.concatenate([(residual * z).sum(axis=0), residual.sum(axis=0)])
    away = theta - centre
    return value + l2 / k * float(away @ away), gradient + 2 * l2 / k * away
