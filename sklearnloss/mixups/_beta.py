"""Shares that mixups draw."""

import math

import torch
from torch import Tensor

from sklearnloss.typing import Generator


def symmetric_beta(alpha: float, rng: Generator, *, device: torch.device, size: tuple[int, ...] = ()) -> Tensor:
    """Draw from Beta(alpha, alpha), in float64."""
    radius, angle = torch.rand(2, *size, generator=rng, dtype=torch.float64, device=device)
    cosine = torch.cos(2 * math.pi * angle)
    ratio = (radius ** (-1 / alpha) - 1) * cosine.square()  # T**2 / (2 alpha), from 0 to inf
    return (1 + cosine.sign() / (1 + 1 / ratio).sqrt()) / 2
