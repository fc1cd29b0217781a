"""How rows are mixed with others of their batch: on the line between two, or by a piece of another."""

import torch
from torch import Tensor

from sklearnloss.exceptions import TaskError
from sklearnloss.mixups._beta import symmetric_beta
from sklearnloss.mixups._blocks import block_mask
from sklearnloss.typing import Generator

__all__ = ["blended", "pieced"]

Mixed = tuple[Tensor, Tensor, Tensor]  # rows (n, ...), partners (n,), share of the rows ()


def blended(X: Tensor, *, alpha: float, rng: Generator) -> Mixed:
    """Return rows on the lines between those of a batch, their partners, and the share of the rows."""
    partner = torch.randperm(len(X), generator=rng, device=X.device)
    lam = symmetric_beta(alpha, rng, device=X.device).to(X.dtype)
    return torch.lerp(X[partner], X, lam), partner, lam


def pieced(X: Tensor, *, alpha: float, rng: Generator, title: str) -> Mixed:
    """Return rows with a piece of their partners, the partners, and the share of entries that are of the rows.

    Raises
    ------
    TaskError
        If a row is one number.
    """
    if X.ndim < 2:
        raise TaskError(f"{title} puts pieces of rows together, and a row is one number; use 'mixup'")
    partner = torch.randperm(len(X), generator=rng, device=X.device)
    share = 1 - symmetric_beta(alpha, rng, device=X.device)
    mask, taken = block_mask(X, share, rng, cut=True)
    return torch.where(mask, X[partner], X), partner, (1 - taken).to(X.dtype)
