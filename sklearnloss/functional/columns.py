"""What the columns of a head stand for, where several losses read them alike."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from sklearnloss.functional.distributions import Normal, Quantiles

__all__ = ["location_scale", "normal", "quantiles"]


def location_scale(columns: Tensor, min_scale: Any) -> tuple[Tensor, Tensor]:
    """Return location and scale, both (n, n_targets), of columns (n, n_targets, 2).

    Examples
    --------
    >>> location_scale(torch.tensor([[[1.0, -torch.inf]]]), 0.5)
    (tensor([[1.]]), tensor([[0.5000]]))
    """
    location, raw = torch.unbind(columns, dim=-1)
    return location, min_scale + softplus(raw)


def normal(columns: Tensor, *, min_scale: float = 1e-3) -> Normal:
    """Return the normal distributions that location and raw scale stand for."""
    mu, sigma = location_scale(columns.double(), min_scale)
    return Normal(mu.numpy(), sigma.numpy())


def quantiles(columns: Tensor, *, levels: Any) -> Quantiles:
    """Return the distributions that have these quantiles, sorted where they cross."""
    return Quantiles(columns.double().numpy(), torch.as_tensor(levels, dtype=torch.float64).numpy())
