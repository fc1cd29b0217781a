"""Lifted structure loss."""

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative
from sklearnloss.functional.pairs import Block, Distance, Mined, Rule, per_anchor, softmax_
from sklearnloss.typing import Embeddings, Labels, PerAnchor


# Differences from the paper, after the second reference:
# 1. The soft maximum runs over all positives of an anchor; the paper takes each positive pair by itself.
# 2. The negatives are those of the anchor; the paper joins those of both ends of a positive pair.
# 3. The hinge is not squared.
@loss("lifted", task="embedding", unit="anchor", sampler="per_class", aliases=("generalized_lifted_structure",))
def lifted(
    embeddings: Embeddings,
    y: Labels,
    *,
    margin: NonNegative = 1.0,
    pairs: Mined | None = None,
    distance: Distance | None = None,
) -> PerAnchor:
    r"""Softly, the farthest positive should be nearer than the nearest negative, by a margin.

    A smooth form of ``triplet`` with the hardest positive and the hardest negative, in which near rivals take part.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        Any length; they are normalized here, unless a distance is given.
    y : LongTensor of shape (n,)
        Class of each row.
    margin : float in [0, inf), default=1.0
        By how much the negative should be farther.
    pairs : Mined, default=None
        What a miner keeps.
    distance : callable, default=None
        None is the Euclidean distance of unit vectors, not squared.

    Returns
    -------
    values : Tensor of shape (n,)
        One value per anchor, not negative.
    valid : Tensor of shape (n,)
        1 where the anchor has a positive and a negative, else 0.

    Notes
    -----
    .. math:: \ell_i = \Bigl[\log \sum_{j \in P_i} e^{d_{ij}} + \log \sum_{k \in N_i} e^{m - d_{ik}}\Bigr]_+

    O(n^2 d) time, O(block x n) memory.

    References
    ----------
    .. [1] Song, Xiang, Jegelka, Savarese. "Deep metric learning via lifted structured feature embedding". CVPR 2016.
    .. [2] Hermans, Beyer, Leibe. "In defense of the triplet loss for person re-identification". arXiv:1703.07737.

    Examples
    --------
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6]])
    >>> lifted(embeddings, torch.tensor([0, 0, 1]))
    (tensor([1.7818, 1.5198, 0.0000]), tensor([1., 1., 0.]))
    """

    def value(block: Block) -> tuple[Tensor, Tensor]:
        valid = (block.n_positives > 0) & (block.n_negatives > 0)  # (b,)
        far, near = (
            torch.where(valid[:, None], logits, 0.0).logsumexp(1)
            for logits in (block.positives(-torch.inf), -block.negatives(torch.inf))
        )
        return torch.where(valid, (far + near + margin).clamp_min(0), 0.0), valid

    def slope(block: Block) -> tuple[Tensor, Tensor, list[Tensor]]:
        valid = (block.n_positives > 0) & (block.n_negatives > 0)
        positives = block.positives(-torch.inf).contiguous()  # (b, m)
        shares = block.negatives_(torch.inf).neg_()  # (b, n)
        values = torch.where(valid, softmax_(positives) + softmax_(shares) + margin, 0.0).clamp_min_(0)
        costs = (values > 0).to(values.dtype)[:, None]  # (b, 1)
        return values, valid, [block.add_to_partners_(shares.mul_(-costs), positives * costs)]

    return per_anchor(Rule(value, slope), embeddings, y, compare=distance or "euclidean", pairs=pairs)
