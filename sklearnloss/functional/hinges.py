"""Two hinges over pairs: positives within one distance, negatives beyond another, each kind with a mean of its own."""

from typing import Any

import torch
from torch import Tensor

from sklearnloss.functional.pairs import Block, Compare, Mined, OnPartners, Rule, per_anchor

__all__ = ["pull_and_push"]


def pull_and_push(
    embeddings: Tensor, y: Tensor, *, pos_margin: Any, neg_margin: Any, compare: Compare, pairs: Mined | None
) -> Tensor:
    """Return what each anchor adds to the mean of the pairs that cost anything, of positives and of negatives, (n,).

    Examples
    --------
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6]])
    >>> y = torch.tensor([0, 0, 1])
    >>> pull_and_push(embeddings, y, pos_margin=0.0, neg_margin=1.0, compare="euclidean", pairs=None)
    tensor([2.3970, 2.2005, 0.3548])
    """

    def value(block: Block) -> tuple[Tensor, Tensor]:
        pull = (block.positives(pos_margin) - pos_margin).clamp_min(0)  # (b, m)
        push = (neg_margin - block.negatives(neg_margin)).clamp_min(0)  # (b, n)
        totals = torch.stack([pull.sum(1), push.sum(1)], dim=1)
        return totals, torch.stack([(pull > 0).sum(1), (push > 0).sum(1)], dim=1)

    def slope(block: Block) -> tuple[Tensor, Tensor, list[Tensor | OnPartners]]:
        pull = (block.positives(pos_margin) - pos_margin).clamp_min_(0)
        push = block.negatives_(neg_margin).neg_().add_(neg_margin).clamp_min_(0)
        totals = torch.stack([pull.sum(1), push.sum(1)], dim=1)
        counts = torch.stack([pull.sign_().sum(1), push.sign_().sum(1)], dim=1)
        return totals, counts, [OnPartners(pull), push.neg_()]

    totals, counts = per_anchor(Rule(value, slope, parts=2), embeddings, y, compare=compare, pairs=pairs)
    return (totals * (len(y) / counts.sum(0).clamp(min=1))).sum(1)
