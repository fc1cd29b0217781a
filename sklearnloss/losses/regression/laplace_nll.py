"""Negative log-likelihood of a Laplace distribution."""

import math

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Positive
from sklearnloss.functional.columns import location_scale
from sklearnloss.functional.distributions import Laplace
from sklearnloss.typing import Columns, PerRow, Targets


def laplace(columns: Tensor, *, min_scale: float = 1e-3) -> Laplace:
    """Return the distributions that median and raw scale stand for."""
    mu, scale = location_scale(columns.double(), min_scale)
    return Laplace(mu.numpy(), scale.numpy())


@loss("laplace_nll", task="regression", outputs=lambda: 2, link=laplace, proper=True)
def laplace_nll(columns: Columns, y: Targets, *, min_scale: Positive = 1e-3) -> PerRow:
    r"""Predict median and mean absolute deviation: tails are heavier than normal ones, so far rows pull less.

    Parameters
    ----------
    columns : Tensor of shape (n, n_targets, 2)
        Median, and what softplus turns into the mean absolute deviation.
    y : Tensor of shape (n, n_targets)
        Targets.
    min_scale : float in (0, inf), default=1e-3
        Least mean absolute deviation, in standard deviations of y.

    Returns
    -------
    Tensor of shape (n, n_targets)
        One value per row and target; negative where the density is above one.

    Notes
    -----
    .. math:: \ell = \log 2 b + \frac{|y - \mu|}{b}, \qquad b = b_{\min} + \log(1 + e^s)

    With b fixed it is the absolute error.

    References
    ----------
    .. [1] Laplace. "Mémoire sur la probabilité des causes par les évènements". 1774.

    Examples
    --------
    >>> laplace_nll(torch.tensor([[[0.0, 0.5413]]]), torch.tensor([[1.0]]), min_scale=1e-6)
    tensor([[1.6931]])
    """
    mu, scale = location_scale(columns, min_scale)  # (n, n_targets) each
    return math.log(2) + torch.log(scale) + (y - mu).abs() / scale
