"""Negative log-likelihood of a gamma distribution."""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from sklearnloss.component import loss
from sklearnloss.functional.distributions import Gamma
from sklearnloss.functional.numerics import steady_exp
from sklearnloss.typing import Columns, PerRow, Targets

LEAST_SHAPE = 0.05  # below it the quantiles near zero underflow


def gamma_distribution(columns: Tensor) -> Gamma:
    """Return the distributions that logarithm of the mean and raw shape stand for."""
    log_mean, shape = _parameters(columns.double())
    return Gamma(torch.exp(log_mean.clamp(-30, 30)).numpy(), shape.numpy())


@loss("gamma", task="regression", outputs=lambda: 2, link=gamma_distribution, target="positive", proper=True)
def gamma(columns: Columns, y: Targets) -> PerRow:
    r"""Predict mean and shape of amounts such as times, prices or claims; their spread grows like their mean.

    Parameters
    ----------
    columns : Tensor of shape (n, n_targets, 2)
        Logarithm of the mean, and what softplus turns into the shape.
    y : Tensor of shape (n, n_targets)
        Targets, positive.

    Returns
    -------
    Tensor of shape (n, n_targets)
        One value per row and target; negative where the density is above one.

    Notes
    -----
    .. math:: \ell = \log \Gamma(k) - k \log \frac{k}{\mu} - (k - 1) \log y + \frac{k y}{\mu}

    The standard deviation is :math:`\mu / \sqrt k`; k = 1 is the exponential distribution. The shape is at least 0.05.

    References
    ----------
    .. [1] Nelder, Wedderburn. "Generalized linear models". Journal of the Royal Statistical Society A 135, 1972.

    Examples
    --------
    >>> gamma(torch.tensor([[[0.0, 0.46]]]), torch.tensor([[2.0]]))  # near an exponential distribution
    tensor([[2.0002]])
    """
    log_mean, k = _parameters(columns)  # (n, n_targets) each
    # y / mu by its logarithm, which does not overflow where the mean is far too small
    ratio = torch.log(y) - log_mean
    return torch.lgamma(k) - k * torch.log(k) + torch.log(y) - k * ratio + k * steady_exp(ratio)


def _parameters(columns: Tensor) -> tuple[Tensor, Tensor]:
    log_mean, raw = torch.unbind(columns, dim=-1)
    return log_mean, LEAST_SHAPE + softplus(raw)
