"""Normalized temperature-scaled cross entropy."""

from typing import Annotated

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, Search
from sklearnloss.functional.numerics import softplus
from sklearnloss.functional.pairs import Block, Mined, Rule, per_anchor, softmax_
from sklearnloss.typing import Embeddings, Labels, PerAnchor


@loss("ntxent", task="embedding", unit="anchor", sampler="per_class", aliases=("infonce",))
def ntxent(
    embeddings: Embeddings,
    y: Labels,
    *,
    tau: Annotated[Positive, Search(0.02, 1, log=True)] = 0.07,
    pairs: Mined | None = None,
) -> PerAnchor:
    r"""Each positive pair is picked out of itself and all negatives, by a softmax of cosines.

    Unlike in ``supcon`` the other positives of the anchor are no rivals. Without labels, where a row and its second
    view are the only positives, this is the loss of SimCLR.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        Any length; they are normalized here.
    y : LongTensor of shape (n,)
        Class of each row.
    tau : float in (0, inf), default=0.07
        Temperature that divides the cosines.
    pairs : Mined, default=None
        What a miner keeps.

    Returns
    -------
    totals : Tensor of shape (n,)
        The sum over the positives of an anchor, not negative.
    valid : Tensor of shape (n,)
        How many positives that is.

    Notes
    -----
    With :math:`s_{ij} = \cos(e_i, e_j) / \tau`,

    .. math:: \ell_{ij} = \log\Bigl(1 + \sum_{k \in N_i} e^{s_{ik} - s_{ij}}\Bigr)

    the softplus of the log-sum-exp over the negatives less the positive, so that an anchor takes O(n) and not
    O(n m) time. Without negatives it is zero. O(n^2 d) time, O(block x n) memory.

    References
    ----------
    .. [1] Sohn. "Improved deep metric learning with multi-class n-pair loss objective". NeurIPS 2016.
    .. [2] Chen, Kornblith, Norouzi, Hinton. "A simple framework for contrastive learning of visual representations".
       ICML 2020.

    Examples
    --------
    >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> ntxent(embeddings, torch.tensor([0, 0, 1]), tau=1.0)
    (tensor([0.3133, 0.3133, 0.0000]), tensor([1., 1., 0.]))
    """

    def value(block: Block) -> tuple[Tensor, Tensor]:
        against = block.n_negatives > 0  # (b,)
        rivals = torch.where(against[:, None], block.negatives(-torch.inf), 0.0).logsumexp(1)  # (b,)
        counted = block.is_positive & against[:, None]
        terms = torch.where(counted, softplus(rivals[:, None] - block.positives(0.0)), 0.0)  # (b, m)
        return terms.sum(1), block.n_positives

    def slope(block: Block) -> tuple[Tensor, Tensor, list[Tensor]]:
        positives = block.positives(torch.inf)  # (b, m)
        shares = block.negatives_(-torch.inf)  # (b, n)
        gap = softmax_(shares)[:, None] - positives
        missed = gap.sigmoid()  # (b, m) what the softmax of a positive lacks to one
        shares.mul_(missed.sum(1, keepdim=True))
        totals = softplus(gap).sum(1)
        return totals, block.n_positives, [block.add_to_partners_(shares, -missed)]

    return per_anchor(Rule(value, slope, scale=1 / tau), embeddings, y, pairs=pairs)
