"""Heads: from the backbone's features to what the loss's role wants."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sklearnloss.facts import ROLES

__all__ = ["CosineHead", "HiddenHead", "LinearHead", "NoHead", "ScoreHead", "head_kind", "make_head"]


class LinearHead(nn.Linear):
    """Scores (n, k)."""


class ScoreHead(nn.Linear):
    """One score per row, (n,)."""

    def forward(self, features: Tensor) -> Tensor:
        """Return scores (n,)."""
        return super().forward(features).squeeze(1)


class HiddenHead(nn.Linear):
    """A linear head that training does not apply: the loss takes its weight and bias as facts."""


class CosineHead(nn.Module):
    """Cosines between features and class proxies; its weight is the proxies."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        nn.init.normal_(self.weight, std=in_features**-0.5)

    def forward(self, features: Tensor) -> Tensor:
        """Return cosines (n, k * m)."""
        return F.normalize(features, dim=1) @ F.normalize(self.weight, dim=1).T


class NoHead(nn.Identity):
    """The features themselves, for a loss that predicts from them."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features


def head_kind(role: str) -> str:
    """Name the head of a role; roles of one kind can share it.

    Examples
    --------
    >>> head_kind("logits"), head_kind("scores"), head_kind("embeddings")
    ('logits', 'scores', 'none')
    """
    return "none" if ROLES[role].head == "none" else role


def make_head(role: str, in_features: int, n_outputs: int) -> nn.Module:
    """Make the head of a role.

    Parameters
    ----------
    role : str
        Role of the loss.
    in_features : int
        Width of the backbone.
    n_outputs : int
        Width of the head.
    """
    match ROLES[role].head:
        case "cosine":
            return CosineHead(in_features, n_outputs)
        case "hidden":
            return HiddenHead(in_features, n_outputs)
        case "none":
            return NoHead(in_features, in_features)
        case _:
            single = role == "scores" and n_outputs == 1
            return (ScoreHead if single else LinearHead)(in_features, n_outputs)
