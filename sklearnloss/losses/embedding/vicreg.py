"""Variance-invariance-covariance regularization."""

from typing import Annotated

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative, Positive, Search
from sklearnloss.typing import Embeddings, Scalar


# Differences from the authors' code:
# 1. It halves the variance term; here, as in the paper, the terms of both views are added.
# Difference from the paper:
# 2. Its invariance term is the squared distance of two views; here it is divided by d, as in the authors' code, to
#    which the weights of 25 belong.
@loss("vicreg", task="embedding", unit="batch")
def vicreg(
    view_a: Embeddings,
    view_b: Embeddings,
    *,
    invariance_weight: Annotated[NonNegative, Search(1, 50, log=True)] = 25.0,
    variance_weight: Annotated[NonNegative, Search(1, 50, log=True)] = 25.0,
    covariance_weight: Annotated[NonNegative, Search(0.1, 10, log=True)] = 1.0,
    margin: Positive = 1.0,
) -> Scalar:
    r"""Two views agree, every column keeps its spread, and no two columns say the same; there are no negatives.

    Parameters
    ----------
    view_a, view_b : Tensor of shape (n, d)
        Two views; row i of one belongs to row i of the other. Not normalized.
    invariance_weight : float in [0, inf), default=25.0
        Weight of the mean squared difference between the views.
    variance_weight : float in [0, inf), default=25.0
        Weight of what standard deviations of columns lack.
    covariance_weight : float in [0, inf), default=1.0
        Weight of the squared covariances between columns.
    margin : float in (0, inf), default=1.0
        Standard deviation that each column should have.

    Returns
    -------
    Tensor of shape ()
        Never negative.

    Notes
    -----
    .. math:: \ell = \frac{\lambda}{n d} \lVert A - B \rVert^2 + \mu\,(v(A) + v(B)) + \nu\,(c(A) + c(B)), \qquad
        v(Z) = \frac1d \sum_j \bigl[\gamma - \sqrt{\operatorname{Var} Z_{\cdot j} + 10^{-4}}\bigr]_+, \quad
        c(Z) = \frac1d \sum_{j \ne k} \operatorname{Cov}(Z_{\cdot j}, Z_{\cdot k})^2

    with variances and covariances divided by ``n - 1``. Embeddings that are all equal cost
    ``2 * variance_weight * (margin - 0.01)``, and are no minimum. O(n d**2) time, O(d**2) memory.

    References
    ----------
    .. [1] Bardes, Ponce, LeCun. "VICReg: variance-invariance-covariance regularization for self-supervised learning".
       ICLR 2022.

    Examples
    --------
    >>> view = torch.tensor([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    >>> vicreg(view, view), vicreg(view, -view)
    (tensor(0.), tensor(100.))
    """
    invariance = (view_a - view_b).square().mean()
    variance = _missing_spread(view_a, margin) + _missing_spread(view_b, margin)
    covariance = _redundancy(view_a) + _redundancy(view_b)
    return invariance_weight * invariance + variance_weight * variance + covariance_weight * covariance


def _missing_spread(z: Tensor, margin: float) -> Tensor:
    variance = (z - z.mean(0)).square().sum(0) / max(len(z) - 1, 1)  # (d,)
    return torch.relu(margin - (variance + 1e-4).sqrt()).mean()  # the root has no slope at zero


def _redundancy(z: Tensor) -> Tensor:
    centred = z - z.mean(0)
    covariance = centred.T @ centred / max(len(z) - 1, 1)  # (d, d)
    return (covariance.square().sum() - covariance.diagonal().square().sum()) / z.shape[1]
