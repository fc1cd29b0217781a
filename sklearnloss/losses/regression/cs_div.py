"""Cauchy-Schwarz divergence between conditional densities."""

import math
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, Search
from sklearnloss.functional.kernels import log_gaussian
from sklearnloss.typing import Prediction, Scalar, Targets


# Differences from the authors' code:
# 1. It divides by the sum of squared kernels where the estimator has the square of their sum; that one is an option.
# 2. It works with kernels, of which those beyond 13 widths are zero in float32; here with their logarithms.
@loss("cs_div", task="regression", unit="batch")
def cs_div(
    prediction: Prediction,
    y: Targets,
    *,
    X: Tensor,
    x_scale: Any = None,
    sample_weight: Any = None,
    y_width: Annotated[Positive, Search(0.3, 3, log=True)] = 1.0,
    x_width: Annotated[Positive, Search(0.1, 3, log=True)] = 1.0,
    denominator: Literal["squared_sum", "sum_of_squares"] = "squared_sum",
) -> Scalar:
    r"""Compare the densities of target and prediction given the inputs, not the numbers one by one.

    Parameters
    ----------
    prediction : Tensor of shape (n, n_targets)
        Predictions.
    y : Tensor of shape (n, n_targets)
        Targets.
    X : Tensor of shape (n, ...)
        Inputs.
    x_scale : Tensor of shape (d,), default=None
        Units of the columns of X; None is 1.
    sample_weight : Tensor of shape (n,), default=None
        Weights of the rows.
    y_width : float in (0, inf), default=1.0
        Width of the kernel of targets and predictions, in standard deviations of y.
    x_width : float in (0, inf), default=1.0
        Width of the kernel of inputs, in units of ``sqrt(d)``, since distances grow like this.
    denominator : {"squared_sum", "sum_of_squares"}, default="squared_sum"
        How a row's kernels are normalized: "squared_sum" is the estimator of the densities, "sum_of_squares" what the
        authors' code has.

    Returns
    -------
    Tensor of shape ()
        In bits; zero where predictions equal targets.

    Notes
    -----
    With kernels K of inputs and L of targets and predictions,

    .. math:: \ell = \log_2 f(L^{yy}) + \log_2 f(L^{\hat y \hat y}) - 2 \log_2 f(L^{\hat y y}), \qquad
        f(M) = \sum_j \frac{\sum_i K_{ji} M_{ji}}{\bigl(\sum_i K_{ji}\bigr)^2}

    All targets off by c cost :math:`c^2 / (\sigma^2 \log 2)`, if they are equal. A row far from all others in y has
    hardly any slope, so it is robust, and slow from a cold start: train some epochs with ``mse`` first. ``cs_qmi``
    beside it makes the information bottleneck of the paper. O(n**2 d).

    References
    ----------
    .. [1] Yu, Yu, Løkse, Jenssen, Principe. "Cauchy-Schwarz divergence information bottleneck for regression". ICLR
       2024.

    Examples
    --------
    >>> X, y = torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([[0.0], [1.0], [0.0]])
    >>> cs_div(y, y, X=X), cs_div(y.roll(1, 0), y, X=X).round(decimals=4)
    (tensor(0.), tensor(0.2083))
    """
    rows = (X if x_scale is None else X / x_scale).flatten(1)  # (n, d)
    inputs = log_gaussian(rows, rows, x_width * rows.shape[1] ** 0.5)  # (n, n)
    if sample_weight is None:
        log_weight = torch.zeros_like(inputs[0])
    else:
        log_weight = sample_weight.to(inputs.dtype).log()  # (n,)
    doubled = 2 * inputs if denominator == "sum_of_squares" else inputs
    norm = torch.logsumexp(doubled + log_weight, dim=1) * (1 if denominator == "sum_of_squares" else 2)  # (n,)

    def log_f(a: Tensor, b: Tensor) -> Tensor:
        joint = torch.logsumexp(inputs + log_gaussian(a, b, y_width) + log_weight, dim=1)  # (n,)
        return torch.logsumexp(joint - norm + log_weight, dim=0)

    nats = log_f(y, y) + log_f(prediction, prediction) - 2 * log_f(prediction, y)
    return (nats / math.log(2)).to(prediction.dtype)
