"""Quantities that lose digits, or overflow, when they are computed as they are written."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["absent_as_rarest", "box_cox", "log_odds", "power", "softplus", "steady_exp"]


def log_odds(logits: Tensor, y: Tensor) -> Tensor:
    """Return ``log(p / (1 - p))`` (n,) for the softmax probability p of the true class, exact wherever p is.

    ``logsigmoid`` of it is ``log p``, ``logsigmoid`` of its negative ``log(1 - p)``.

    Examples
    --------
    >>> log_odds(torch.tensor([[2.0, 0.0, 0.0]]), torch.tensor([0]))  # 2 - log(2)
    tensor([1.3069])
    """
    others = logits.scatter(1, y[:, None], -math.inf)  # (n, k)
    return logits.gather(1, y[:, None]).squeeze(1) - torch.logsumexp(others, dim=1)  # (n,)


def box_cox(log_x: Tensor, power: Any, cap: float = 30.0) -> Tensor:
    """Return ``(x ** power - 1) / power`` from ``log x``; at power 0 it is ``log x``.

    Where ``x ** power`` passes ``exp(cap)`` its exponential goes on along the tangent, so neither value nor gradient
    overflows and neither stops growing.

    Examples
    --------
    >>> box_cox(torch.log(torch.tensor(4.0)), 0.5), box_cox(torch.log(torch.tensor(4.0)), 0.0)
    (tensor(2.), tensor(1.3863))
    """
    power = torch.as_tensor(power, dtype=log_x.dtype, device=log_x.device)
    tiny = torch.finfo(log_x.dtype).tiny ** 0.5
    power = torch.where(power.abs() < tiny, tiny, power)  # at so small a power the quotient is log x to the last digit
    exponent = power * log_x
    return (torch.expm1(exponent.clamp(max=cap)) + math.exp(cap) * F.relu(exponent - cap)) / power


def absent_as_rarest(counts: Tensor) -> Tensor:
    """Return counts or shares (k,) in which a class without rows counts as much as the rarest that has any.

    Examples
    --------
    >>> absent_as_rarest(torch.tensor([5.0, 0.0, 2.0]))
    tensor([5., 2., 2.])
    """
    return counts.clamp(min=torch.where(counts > 0, counts, math.inf).min())


def power(base: Tensor, exponent: Any) -> Tensor:
    """Return the power of the positive part; above zero, where the slope of a power below one is infinite.

    Examples
    --------
    >>> power(torch.tensor([0.25, -1.0]), 0.5)
    tensor([5.0000e-01, 1.0842e-19])
    """
    return base.clamp(min=torch.finfo(base.dtype).tiny) ** exponent


def softplus(x: Tensor) -> Tensor:
    """Return ``log(1 + exp(x))``, to the last digit wherever x is; torch's own, by default, is x from 20 on.

    Examples
    --------
    >>> softplus(torch.tensor([0.0, -torch.inf]))
    tensor([0.6931, 0.0000])
    """
    return F.softplus(x, threshold=40.0)  # from there on it is x to the last digit of float64


def steady_exp(x: Tensor, cap: float = 30.0) -> Tensor:
    """Return ``exp(x)``, which from cap on grows along its tangent and never overflows.

    Examples
    --------
    >>> steady_exp(torch.tensor([0.0, 1.0])), bool(steady_exp(torch.tensor(1e4)).isfinite())
    (tensor([1.0000, 2.7183]), True)
    """
    return torch.exp(x.clamp(max=cap)) + math.exp(cap) * F.relu(x - cap)
