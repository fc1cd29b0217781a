"""Threshold-consistent margin loss."""

from typing import Annotated

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Interval, NonNegative
from sklearnloss.functional.pairs import Block, Mined, OnPartners, Rule, per_anchor
from sklearnloss.typing import Embeddings, Labels, PerAnchor


@loss("tcm", task="embedding", unit="anchor", sampler="per_class", aliases=("threshold_consistent_margin",))
def tcm(
    embeddings: Embeddings,
    y: Labels,
    *,
    pos_margin: Annotated[float, Interval(-1, 1, "both")] = 0.9,
    neg_margin: Annotated[float, Interval(-1, 1, "both")] = 0.5,
    pos_weight: NonNegative = 1.0,
    neg_weight: NonNegative = 1.0,
    pairs: Mined | None = None,
) -> PerAnchor:
    r"""Every class is held to the same two cosines: its positives above one, its negatives below the other.

    Added to a loss over pairs it makes one threshold fit all classes: ``Loss("supcon") + Loss("tcm")``.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        Any length; they are normalized here.
    y : LongTensor of shape (n,)
        Class of each row.
    pos_margin : float in [-1, 1], default=0.9
        Cosine that positives should reach.
    neg_margin : float in [-1, 1], default=0.5
        Cosine that negatives should stay below.
    pos_weight : float in [0, inf), default=1.0
        Weight of the positives.
    neg_weight : float in [0, inf), default=1.0
        Weight of the negatives.
    pairs : Mined, default=None
        What a miner keeps.

    Returns
    -------
    Tensor of shape (n,)
        One value per anchor, not negative; their mean is the loss.

    Notes
    -----
    .. math:: L = w_+ \operatorname{mean}_{(i, j) \in P,\, s_{ij} \le m_+} (m_+ - s_{ij})
                + w_- \operatorname{mean}_{(i, j) \in N,\, s_{ij} \ge m_-} (s_{ij} - m_-)

    Each mean is over the pairs on the wrong side, and zero without any. An anchor's value is its share in both sums,
    times n over the number of those pairs. O(n^2 d) time, O(block x n) memory.

    References
    ----------
    .. [1] Zhang, Xu, Tang, Fang, Wu, Tighe, Xing. "Threshold-consistent margin loss for open-world deep metric
       learning". ICLR 2024.

    Examples
    --------
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8]])
    >>> tcm(embeddings, torch.tensor([0, 0, 1]))
    tensor([0.2250, 0.4950, 0.4200])
    """

    def value(block: Block) -> tuple[Tensor, Tensor]:
        pull, push = pos_margin - block.positives(torch.inf), block.negatives(-torch.inf) - neg_margin
        totals = torch.stack([pull.clamp_min(0).sum(1), push.clamp_min(0).sum(1)], dim=1)
        return totals, torch.stack([(pull >= 0).sum(1), (push >= 0).sum(1)], dim=1)

    def slope(block: Block) -> tuple[Tensor, Tensor, list[Tensor | OnPartners]]:
        pull = pos_margin - block.positives(torch.inf)
        push = block.negatives_(-torch.inf).sub_(neg_margin)
        pulled, pushed = (torch.ge(costs, 0, out=torch.empty_like(costs)) for costs in (pull, push))
        totals = torch.stack([pull.clamp_min_(0).sum(1), push.clamp_min_(0).sum(1)], dim=1)
        return totals, torch.stack([pulled.sum(1), pushed.sum(1)], dim=1), [OnPartners(pulled.neg_()), pushed]

    totals, counts = per_anchor(Rule(value, slope, parts=2), embeddings, y, pairs=pairs)
    pull, push = (totals * (len(y) / counts.sum(0).clamp(min=1))).unbind(1)
    return pos_weight * pull + neg_weight * push
