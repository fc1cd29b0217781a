"""Neighborhood component analysis."""

from typing import Annotated

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, Search
from sklearnloss.functional.pairs import Block, Mined, Rule, per_anchor, softmax_
from sklearnloss.typing import Embeddings, Labels, PerAnchor


@loss("nca", task="embedding", unit="anchor", sampler="per_class")
def nca(
    embeddings: Embeddings,
    y: Labels,
    *,
    tau: Annotated[Positive, Search(0.05, 2, log=True)] = 1.0,
    pairs: Mined | None = None,
) -> PerAnchor:
    r"""Minus the log of the chance that a neighbor drawn by a softmax of distances is of the anchor's class.

    Unlike in ``supcon`` it is enough that one row of the class is near.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        Any length; they are normalized here.
    y : LongTensor of shape (n,)
        Class of each row.
    tau : float in (0, inf), default=1.0
        Temperature that divides the squared distances.
    pairs : Mined, default=None
        What a miner keeps.

    Returns
    -------
    values : Tensor of shape (n,)
        One value per anchor, not negative.
    valid : Tensor of shape (n,)
        1 where the anchor has a positive, else 0.

    Notes
    -----
    .. math:: \ell_i = -\log \frac{\sum_{j \in P_i} e^{-\|e_i - e_j\|^2 / \tau}}
                                  {\sum_{k \ne i} e^{-\|e_i - e_k\|^2 / \tau}}

    with embeddings of unit length, where :math:`\|e_i - e_j\|^2 = 2 - 2 s_{ij}`. With one positive an anchor it is
    ``supcon`` at ``tau / 2``, with more it is less. Without negatives it is zero. O(n^2 d) time, O(block x n) memory.

    References
    ----------
    .. [1] Goldberger, Roweis, Hinton, Salakhutdinov. "Neighbourhood components analysis". NeurIPS 2004.

    Examples
    --------
    >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> nca(embeddings, torch.tensor([0, 0, 1]))
    (tensor([0.1269, 0.1269, 0.0000]), tensor([1., 1., 0.]))
    """

    def value(block: Block) -> tuple[Tensor, Tensor]:
        valid = block.n_positives > 0  # (b,)
        near, all_ = (
            torch.where(valid[:, None], logits, 0.0).logsumexp(1)
            for logits in (block.positives(-torch.inf), block.others(-torch.inf))
        )
        return torch.where(valid, all_ - near, 0.0), valid

    def slope(block: Block) -> tuple[Tensor, Tensor, list[Tensor]]:
        valid = block.n_positives > 0
        positives = block.positives(-torch.inf).contiguous()  # (b, m)
        shares = block.others_(-torch.inf)  # (b, n)
        values = torch.where(valid, softmax_(shares) - softmax_(positives), 0.0)
        shares.mul_(valid[:, None])
        return values, valid, [block.add_to_partners_(shares, -positives)]

    return per_anchor(Rule(value, slope, scale=2 / tau), embeddings, y, pairs=pairs)
