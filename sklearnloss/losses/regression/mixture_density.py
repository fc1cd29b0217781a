"""Negative log-likelihood of a mixture of normal distributions."""

import math
from typing import Annotated

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, PositiveInt, Search
from sklearnloss.functional.columns import location_scale
from sklearnloss.functional.distributions import NormalMixture
from sklearnloss.typing import Columns, PerRow, Targets


def mixture(columns: Tensor, *, min_scale: float = 1e-2) -> NormalMixture:
    """Return the mixtures that logits, means and raw scales stand for."""
    log_weights, mu, sigma = _parameters(columns.double(), min_scale)
    return NormalMixture(log_weights.exp().numpy(), mu.numpy(), sigma.numpy())


@loss(
    "mixture_density",
    task="regression",
    outputs=lambda *, n_components: 3 * n_components,
    link=mixture,
    proper=True,
    aliases=("mdn",),
)
def mixture_density(
    columns: Columns,
    y: Targets,
    *,
    n_components: Annotated[PositiveInt, Search(2, 10)] = 3,
    min_scale: Positive = 1e-2,
) -> PerRow:
    r"""Predict a mixture of normal distributions, for targets that may lie here or there, but not between.

    Parameters
    ----------
    columns : Tensor of shape (n, n_targets, 3 * n_components)
        Logits of the weights, then means, then what softplus turns into standard deviations.
    y : Tensor of shape (n, n_targets)
        Targets.
    n_components : int in [1, inf), default=3
        Components of the mixture; one is ``gaussian_nll``.
    min_scale : float in (0, inf), default=1e-2
        Least standard deviation, in those of y; it keeps a component from closing in on a single row.

    Returns
    -------
    Tensor of shape (n, n_targets)
        One value per row and target; negative where the density is above one.

    Notes
    -----
    .. math:: \ell = -\log \sum_k \pi_k \, \mathcal N(y; \mu_k, \sigma_k^2)

    The point forecast is the mean, which may lie where there are no targets; `predict_dist` knows the rest.

    References
    ----------
    .. [1] Bishop. "Mixture density networks". Aston University, 1994.

    Examples
    --------
    >>> columns = torch.tensor([[[0.0, 0.0, -1.0, 1.0, 0.5413, 0.5413]]])
    >>> mixture_density(columns, torch.tensor([[0.0]]), n_components=2, min_scale=1e-6)
    tensor([[1.4189]])
    """
    log_weights, mu, sigma = _parameters(columns, min_scale)  # (n, n_targets, m) each
    z = (y[..., None] - mu) / sigma
    log_density = -0.5 * z.square() - torch.log(sigma) - 0.5 * math.log(2 * math.pi)
    return -torch.logsumexp(log_weights + log_density, dim=-1)


def _parameters(columns: Tensor, min_scale: float | Tensor) -> tuple[Tensor, Tensor, Tensor]:
    logits, mu, raw = columns.chunk(3, dim=-1)
    mu, sigma = location_scale(torch.stack([mu, raw], dim=-1), min_scale)
    return torch.log_softmax(logits, dim=-1), mu, sigma
