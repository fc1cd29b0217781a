"""Matrix scaling."""

from typing import Annotated

import numpy as np

from sklearnloss.calibrators._scores import Array, ScoreCalibrator, fit_inverse_temperature, minimize_nll, nll
from sklearnloss.component import calibrator
from sklearnloss.constraints import NonNegative, Search

__all__ = ["MatrixScaling"]


# Differences from the papers:
# 1. the scores are taken less their mean in each row, so that a constant added to a row changes nothing;
# 2. one weight for the entries off the diagonal and for the intercept, which the second paper tunes apart;
# 3. the entries are those for scores of root mean square one, so that the scale of the scores does not matter.
@calibrator("matrix")
class MatrixScaling(ScoreCalibrator):
    r"""A linear map of the scores, shrunk off its diagonal: corrects which classes are taken for which.

    Rows are the scores of a fitted model, best of held-out rows: (n, k), or (n,) for two classes.

    Parameters
    ----------
    l2 : float in [0, inf), default=1e-3
        Penalty of the entries off the diagonal and of the intercept (ODIR); the diagonal is free.

    Attributes
    ----------
    coef_ : array of shape (k, k)
        The map.
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
    .. math:: p = \operatorname{softmax}(W z + b), \qquad
       \min_{W, b} \mathrm{nll} + \lambda \left[\frac{s^2}{k (k - 1)} \sum_{i \ne j} W_{ij}^2
       + \frac1k \sum_j b_j^2\right]

    with z less its mean in each row, of root mean square s. The start is temperature scaling, which pays no penalty:
    the fit is never worse than it. ``l2 -> inf`` leaves vector scaling without biases. k (k + 1) numbers want many
    rows: with few of them raise ``l2``. O(n k^2) a step.

    References
    ----------
    .. [1] Guo, Pleiss, Sun, Weinberger. "On calibration of modern neural networks". ICML 2017.
    .. [2] Kull, Perello-Nieto, Kängsepp, Silva Filho, Song, Flach. "Beyond temperature scaling: obtaining
       well-calibrated multiclass probabilities with Dirichlet calibration". NeurIPS 2019.

    Examples
    --------
    >>> scores, y = [2.0, 2.0, 2.0, 2.0, -2.0, -2.0, -2.0, -2.0], [1, 1, 1, 0, 0, 0, 1, 1]
    >>> MatrixScaling(l2=0.0).fit(scores, y).predict_proba([2.0, -2.0]).round(3)
    array([[0.25, 0.75],
           [0.5 , 0.5 ]])
    """

    def __init__(self, *, l2: Annotated[NonNegative, Search(1e-5, 1.0, log=True)] = 1e-3) -> None:
        self.l2 = l2

    def _learn(self, z: Array, y: Array, weights: Array, scale: float) -> None:
        k = z.shape[1]
        factor = scale * fit_inverse_temperature(z, y, weights, scale)
        start = np.concatenate([factor * np.eye(k).ravel(), np.zeros(k)])
        theta, self.n_iter_ = minimize_nll(_objective, start, z / scale, y, weights, self.l2)
        self.coef_, self.intercept_ = theta[:-k].reshape(k, k) / scale, theta[-k:]

    def _logits(self, z: Array) -> Array:
        return z @ self.coef_.T + self.intercept_


def _objective(theta: Array, z: Array, y: Array, weights: Array, l2: float) -> tuple[float, Array]:
    """Return the penalised nll and its gradient; theta holds the k x k entries, then the k biases."""
    k = z.shape[1]
    matrix, bias = theta[:-k].reshape(k, k), theta[-k:]
    value, residual = nll(z @ matrix.T + bias, y, weights)
    off = matrix * (1 - np.eye(k))
    penalty = float((off**2).sum() / (k * (k - 1)) + bias @ bias / k)
    by_matrix = residual.T @ z + 2 * l2 / (k * (k - 1)) * off
    by_bias = residual.sum(axis=0) + 2 * l2 / k * bias
    return value + l2 * penalty, np.concatenate([by_matrix.ravel(), by_bias])
