"""Conditional Cauchy-Schwarz divergence between predictions and targets."""

import math
from typing import Literal

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Positive
from sklearnloss.functional.kernels import log_gaussian, median_width
from sklearnloss.typing import Prediction, Scalar, Targets


@loss("cs_div", task="regression", unit="batch")
def cs_div(
    prediction: Prediction,
    y: Targets,
    *,
    X: Tensor,
    x_scale: Tensor,
    sigma: Positive = 1.0,
    x_sigma: Positive | None = None,
    denominator: Literal["squared_sum", "sum_of_squares"] = "squared_sum",
) -> Scalar:
    r"""Compare the distributions of predictions and of targets among rows that are alike; single far rows hardly count.

    Parameters
    ----------
    prediction : Tensor of shape (n, n_targets)
        Predictions.
    y : Tensor of shape (n, n_targets)
        Targets.
    X : Tensor of shape (n, d)
        Rows.
    x_scale : Tensor of shape (d,)
        Standard deviation of each column.
    sigma : float in (0, inf), default=1.0
        Width of the kernel on targets and predictions, in standard deviations of y.
    x_sigma : float in (0, inf) or None, default=None
        Width of the kernel on standardized rows; None is the median distance in the batch.
    denominator : {"squared_sum", "sum_of_squares"}, default="squared_sum"
        Whether the kernel sum of a row is squared, as the estimator of a conditional density wants it, or the kernels
        are squared and summed, as the authors' code does. Both are zero where predictions are targets.

    Returns
    -------
    Tensor of shape ()
        In bits; zero where predictions are targets.

    Notes
    -----
    With the kernels K of rows, and L of targets, of predictions and between the two,

    .. math:: \ell = \log_2 f(L^{yy}) + \log_2 f(L^{\hat y \hat y}) - 2 \log_2 f(L^{\hat y y}),
              \qquad f(M) = \sum_j \frac{\sum_i K_{ji} M_{ji}}{(\sum_i K_{ji})^2}

    Logarithms of the sums are formed without the sums, so that predictions far from everything still have a gradient.
    Weights of rows are refused. O(n**2 (d + n_targets)).

    References
    ----------
    .. [1] Yu, Yu, Løkse, Jenssen, Príncipe. "Cauchy-Schwarz divergence information bottleneck for regression".
       ICLR 2024.

    Examples
    --------
    >>> X, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [1.0]])
    >>> cs_div(y + 1, y, X=X, x_scale=torch.ones(1)), cs_div(y, y, X=X, x_scale=torch.ones(1))
    (tensor(1.0493), tensor(0.))
    """
    rows = X / x_scale.clamp(min=torch.finfo(X.dtype).tiny)
    width = median_width(rows) if x_sigma is None else x_sigma
    log_k = log_gaussian(rows, rows, width)  # (n, n)
    if denominator == "squared_sum":
        norm = 2 * torch.logsumexp(log_k, dim=1)
    else:
        norm = torch.logsumexp(2 * log_k, dim=1)
    weight = log_k - norm[:, None]

    def log_f(a: Tensor, b: Tensor) -> Tensor:
        return torch.logsumexp((weight + log_gaussian(a, b, sigma)).flatten(), dim=0)

    bits = log_f(y, y) + log_f(prediction, prediction) - 2 * log_f(prediction, y)
    return (bits / math.log(2)).to(prediction.dtype)
