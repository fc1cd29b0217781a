"""Cauchy-Schwarz mutual information between rows and features."""

import math

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Positive
from sklearnloss.functional.kernels import log_gaussian, median_width
from sklearnloss.typing import Features, Scalar

TINY = 1e-12


@loss("cs_qmi", task="regression", unit="batch")
def cs_qmi(*, X: Tensor, features: Features, x_scale: Tensor | None = None, sigma: Positive | None = None) -> Scalar:
    r"""Penalize what features remember of their rows: a bottleneck, which also makes predictions harder to attack.

    A term beside a loss that predicts, such as ``Loss("cs_div") + 0.01 * Loss("cs_qmi")``.

    Parameters
    ----------
    X : Tensor of shape (n, d)
        Rows.
    features : Tensor of shape (n, h)
        What the head sees.
    x_scale : Tensor of shape (d,), default=None
        Standard deviation of each column; None takes the columns as they are.
    sigma : float in (0, inf) or None, default=None
        Width of both kernels; None is the median distance in the batch, of rows and of features.

    Returns
    -------
    Tensor of shape ()
        In [0, 1]: 0 for features that are all the same, 1 for features that are as far apart as the rows. In small
        batches independent ones are above 0.

    Notes
    -----
    With kernels K of rows and L of features,

    .. math:: I(x; z) = \log \frac{\sum_{ij} K_{ij} L_{ij}}{n^2} + \log \frac{\sum_{ij} K_{ij} \sum_{ij} L_{ij}}{n^4}
              - 2 \log \frac{\sum_j \sum_i K_{ji} \sum_i L_{ji}}{n^3},
              \qquad \ell = \frac{I(x; z)}{\sqrt{I(x; x) I(z; z)}}

    O(n**2 (d + h)).

    References
    ----------
    .. [1] Yu, Yu, Løkse, Jenssen, Príncipe. "Cauchy-Schwarz divergence information bottleneck for regression".
       ICLR 2024.

    Examples
    --------
    >>> X = torch.tensor([[0.0], [1.0], [3.0]])
    >>> cs_qmi(X=X, features=5 * X, x_scale=torch.ones(1))
    tensor(1.)
    >>> cs_qmi(X=X, features=0 * X, x_scale=torch.ones(1)).abs() < 1e-6
    tensor(True)
    """
    rows = (X if x_scale is None else X / x_scale.clamp(min=torch.finfo(X.dtype).tiny)).flatten(1)  # (n, d)
    # the three logarithms nearly cancel, so they are added up in double precision
    log_k = log_gaussian(rows, rows, median_width(rows) if sigma is None else sigma).double()
    log_l = log_gaussian(features, features, median_width(features) if sigma is None else sigma).double()
    shared, own_x, own_z = _information(log_k, log_l), _information(log_k, log_k), _information(log_l, log_l)
    norm = (own_x.clamp(min=0) * own_z.clamp(min=0) + TINY).sqrt()
    return (shared / norm).to(features.dtype)


def _information(log_k: Tensor, log_l: Tensor) -> Tensor:
    log_n = math.log(len(log_k))
    both = torch.logsumexp((log_k + log_l).flatten(), 0) - 2 * log_n
    apart = torch.logsumexp(log_k.flatten(), 0) + torch.logsumexp(log_l.flatten(), 0) - 4 * log_n
    cross = torch.logsumexp(torch.logsumexp(log_k, 1) + torch.logsumexp(log_l, 1), 0) - 3 * log_n
    return both + apart - 2 * cross
