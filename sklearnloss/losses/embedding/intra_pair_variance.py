"""Intra-pair variance loss."""

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative
from sklearnloss.functional.pairs import Block, Mined, OnPartners, Rule, per_anchor
from sklearnloss.typing import Embeddings, Labels, PerAnchor


@loss("intra_pair_variance", task="embedding", unit="anchor", sampler="per_class", gradient="surrogate")
def intra_pair_variance(
    embeddings: Embeddings,
    y: Labels,
    *,
    pos_eps: NonNegative = 0.01,
    neg_eps: NonNegative = 0.01,
    detach: bool = True,
    pairs: Mined | None = None,
) -> PerAnchor:
    r"""Positive pairs should be as similar as their mean, negative pairs no more similar than theirs.

    It is made to be added to a loss over pairs: ``Loss("tuplet") + 0.5 * Loss("intra_pair_variance")``.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        Any length; they are normalized here.
    y : LongTensor of shape (n,)
        Class of each row.
    pos_eps : float in [0, inf), default=0.01
        Share of their mean cosine that positives may lack.
    neg_eps : float in [0, inf), default=0.01
        Share of their mean cosine by which negatives may pass it.
    detach : bool, default=True
        Whether the gradient takes the means as constants. If not, they come to meet the pairs: both distributions
        become narrow, but nothing moves them apart.
    pairs : Mined, default=None
        What a miner keeps.

    Returns
    -------
    Tensor of shape (n,)
        One value per anchor, not negative; their mean is the loss.

    Notes
    -----
    With the mean cosines :math:`\mu_+` and :math:`\mu_-` of the positive and the negative pairs of the batch,

    .. math:: L = \operatorname{mean}_{(i, j) \in P} [(1 - \varepsilon_+) \mu_+ - s_{ij}]_+^2
                + \operatorname{mean}_{(i, j) \in N} [s_{ij} - (1 + \varepsilon_-) \mu_-]_+^2

    An anchor's value is its share in both sums, times n over the number of pairs. O(n^2 d) time, O(block x n) memory.

    References
    ----------
    .. [1] Yu, Tao. "Deep metric learning with tuplet margin loss". ICCV 2019.

    Examples
    --------
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6]])
    >>> intra_pair_variance(embeddings, torch.tensor([0, 0, 1]))
    tensor([0.0065, 0.0000, 0.0065])
    """
    source = embeddings.detach() if detach else embeddings
    sums, counts = per_anchor(Rule(_cosines, parts=2), source, y, pairs=pairs)
    n_pairs = counts.sum(0).clamp(min=1)  # (2,) of positive and negative pairs
    slack = torch.stack([torch.as_tensor(eps, dtype=sums.dtype) for eps in (-pos_eps, neg_eps)])
    limits = sums.sum(0) / n_pairs * (1 + slack.to(sums.device))  # (2,)
    low, high = limits.detach()

    def value(block: Block) -> tuple[Tensor, Tensor]:
        lack = (low - block.positives(torch.inf)).clamp_min(0)  # (b, m)
        excess = (block.negatives(-torch.inf) - high).clamp_min(0)  # (b, n)
        parts = [lack.square().sum(1), excess.square().sum(1)]
        active = [(lack > 0).sum(1), (excess > 0).sum(1)]
        if detach:
            return torch.stack(parts, dim=1), torch.stack(active, dim=1)
        return torch.stack([*parts, lack.sum(1), excess.sum(1)], dim=1), torch.stack(2 * active, dim=1)

    def slope(block: Block) -> tuple[Tensor, Tensor, list[Tensor | OnPartners]]:
        lack = (low - block.positives(torch.inf)).clamp_min_(0)
        excess = block.negatives_(-torch.inf).sub_(high).clamp_min_(0)
        totals = torch.stack([lack.square().sum(1), torch.linalg.vecdot(excess, excess)], dim=1)
        return (
            totals,
            torch.stack([lack.sign().sum(1), excess.sign().sum(1)], dim=1),
            [
                OnPartners(-2 * lack),
                excess.mul_(2),
            ],
        )

    rule = Rule(value, slope, parts=2) if detach else Rule(value, parts=4)
    totals, active = per_anchor(rule, embeddings, y, pairs=pairs)
    squares = totals[:, :2]  # (n, 2)
    if not detach:  # they are quadratics of the limits, which the blocks took as constants
        moved = (limits - limits.detach()) * limits.new_tensor([1.0, -1.0])  # (2,) zero, with a gradient
        squares = squares + 2 * moved * totals[:, 2:] + moved.square() * active[:, :2]
    return (squares * (len(y) / n_pairs)).sum(1)


def _cosines(block: Block) -> tuple[Tensor, Tensor]:
    sums = [block.positives(0.0).sum(1), block.negatives(0.0).sum(1)]
    return torch.stack(sums, dim=1), torch.stack([block.n_positives, block.n_negatives], dim=1)
