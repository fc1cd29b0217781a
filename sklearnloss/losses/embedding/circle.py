"""Circle loss."""

from typing import Annotated

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Fraction, Positive, Search
from sklearnloss.functional.numerics import softplus
from sklearnloss.functional.pairs import Block, Mined, Rule, per_anchor, softmax_
from sklearnloss.typing import Embeddings, Labels, PerAnchor


@loss("circle", task="embedding", unit="anchor", sampler="per_class", gradient="surrogate")
def circle(
    embeddings: Embeddings,
    y: Labels,
    *,
    margin: Annotated[Fraction, Search(0.1, 0.5)] = 0.4,
    scale: Annotated[Positive, Search(16, 256, log=True)] = 80.0,
    pairs: Mined | None = None,
) -> PerAnchor:
    r"""Pairs are weighed by how far they are from where they should be; the boundary in the plane of both is a circle.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        Any length; they are normalized here.
    y : LongTensor of shape (n,)
        Class of each row.
    margin : float in [0, 1), default=0.4
        Positives should have cosines above ``1 - margin``, negatives below ``margin``.
    scale : float in (0, inf), default=80.0
        Sharpness.
    pairs : Mined, default=None
        What a miner keeps.

    Returns
    -------
    values : Tensor of shape (n,)
        One value per anchor, not negative.
    valid : Tensor of shape (n,)
        1 where the anchor has a positive and a negative, else 0.

    Notes
    -----
    .. math:: \ell_i = \log\Bigl(1 + \sum_{k \in N_i} e^{\gamma \alpha_{ik} (s_{ik} - m)}
              \sum_{j \in P_i} e^{-\gamma \alpha_{ij} (s_{ij} - 1 + m)}\Bigr)

    with the weights :math:`\alpha_{ij} = [1 + m - s_{ij}]_+` of positives and :math:`\alpha_{ik} = [s_{ik} + m]_+` of
    negatives, which the gradient takes as constants, as the paper has it. The boundary is the circle
    :math:`s_{ik}^2 + (1 - s_{ij})^2 = 2 m^2`. Sets of ``(margin, scale)`` in use: ``(0.4,
    80)`` for retrieval, the default; ``(0.25, 256)`` for faces; ``(0.25, 128)`` for persons. O(n^2 d) time,
    O(block x n) memory.

    References
    ----------
    .. [1] Sun, Cheng, Zhang, Zhang, Zheng, Wang, Wei. "Circle loss: a unified perspective of pair similarity
       optimization". CVPR 2020.

    Examples
    --------
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    >>> circle(embeddings, torch.tensor([0, 0, 1]), scale=1.0)
    (tensor([0.5629, 0.7339, 0.0000]), tensor([1., 1., 0.]))
    """

    def value(block: Block) -> tuple[Tensor, Tensor]:
        positives, negatives = block.positives(1.0), block.negatives(0.0)
        pull = -scale * (1 + margin - positives.detach()).clamp_min(0) * (positives - (1 - margin))  # (b, m)
        push = scale * (negatives.detach() + margin).clamp_min(0) * (negatives - margin)  # (b, n)
        valid = (block.n_positives > 0) & (block.n_negatives > 0)  # (b,)
        sums = [
            torch.where(valid[:, None], logits.masked_fill(~exists, -torch.inf), 0.0).logsumexp(1)
            for logits, exists in ((pull, block.is_positive), (push, block.is_negative))
        ]
        return torch.where(valid, softplus(sums[0] + sums[1]), 0.0), valid

    def slope(block: Block) -> tuple[Tensor, Tensor, list[Tensor]]:
        positives = block.positives(1.0)
        toward, away = (1 + margin - positives).clamp_min(0), (block.values + margin).clamp_min_(0)
        pull = torch.where(block.is_positive, -scale * toward * (positives - (1 - margin)), -torch.inf)
        block.values.sub_(margin).mul_(away).mul_(scale)
        push = block.negatives_(-torch.inf)
        valid = (block.n_positives > 0) & (block.n_negatives > 0)
        sums = softmax_(pull) + softmax_(push)
        share = torch.where(valid, scale * sums.sigmoid(), 0.0)[:, None]  # (b, 1)
        push.mul_(away).mul_(share)
        pulled = -share * pull * toward
        return torch.where(valid, softplus(sums), 0.0), valid, [block.add_to_partners_(push, pulled)]

    return per_anchor(Rule(value, slope), embeddings, y, pairs=pairs)
