"""Negative log-likelihood of Student's t distribution."""

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus

from sklearnloss.component import loss
from sklearnloss.constraints import Positive
from sklearnloss.functional.columns import location_scale
from sklearnloss.functional.distributions import StudentT
from sklearnloss.typing import Columns, PerRow, Targets

LEAST_DF = 2.0  # from which on the variance exists


def student_t(columns: Tensor, *, min_scale: float = 1e-3) -> StudentT:
    """Return the distributions that center, raw scale and raw degrees of freedom stand for."""
    mu, scale, df = _parameters(columns.double(), min_scale)
    return StudentT(mu.numpy(), scale.numpy(), df.numpy())


@loss("student_t_nll", task="regression", outputs=lambda: 3, link=student_t, proper=True)
def student_t_nll(columns: Columns, y: Targets, *, min_scale: Positive = 1e-3) -> PerRow:
    r"""Predict center, scale and how heavy the tails are: the network learns which rows may lie far out.

    Parameters
    ----------
    columns : Tensor of shape (n, n_targets, 3)
        Center, and what softplus turns into scale and degrees of freedom.
    y : Tensor of shape (n, n_targets)
        Targets.
    min_scale : float in (0, inf), default=1e-3
        Least scale, in standard deviations of y.

    Returns
    -------
    Tensor of shape (n, n_targets)
        One value per row and target; negative where the density is above one.

    Notes
    -----
    .. math:: \ell = \log s + \tfrac12 \log \nu \pi + \log \Gamma(\tfrac\nu2) - \log \Gamma(\tfrac{\nu + 1}2)
              + \tfrac{\nu + 1}2 \log \Bigl( 1 + \frac{(y - \mu)^2}{\nu s^2} \Bigr)

    There are more than two degrees of freedom, so mean and variance exist. Many of them are ``gaussian_nll``.

    References
    ----------
    .. [1] Lange, Little, Taylor. "Robust statistical modeling using the t distribution". Journal of the American
       Statistical Association 84, 1989.

    Examples
    --------
    >>> student_t_nll(torch.tensor([[[0.0, 0.5413, 0.5413]]]), torch.tensor([[1.0]]), min_scale=1e-6)
    tensor([[1.5763]])
    """
    mu, scale, df = _parameters(columns, min_scale)  # (n, n_targets) each
    gap = ((y - mu) / scale).square() / df
    constant = 0.5 * torch.log(math.pi * df) + torch.lgamma(df / 2) - torch.lgamma((df + 1) / 2)
    return torch.log(scale) + constant + (df + 1) / 2 * torch.log1p(gap)


def _parameters(columns: Tensor, min_scale: float | Tensor) -> tuple[Tensor, Tensor, Tensor]:
    mu, scale = location_scale(columns[..., :2], min_scale)
    return mu, scale, LEAST_DF + softplus(columns[..., 2])
