"""Focal supervised contrastive loss."""

from typing import Annotated

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, Search
from sklearnloss.functional.pairs import Block, Mined, Rule, per_anchor, softmax_
from sklearnloss.typing import Embeddings, Labels, PerAnchor


# Difference from the authors' code: it divides by the number of all columns, not of positives.
@loss("focal_supcon", task="embedding", unit="anchor", sampler="per_class")
def focal_supcon(
    embeddings: Embeddings,
    y: Labels,
    *,
    tau: Annotated[Positive, Search(0.02, 1, log=True)] = 0.07,
    detach: bool = False,
    pairs: Mined | None = None,
) -> PerAnchor:
    r"""``supcon`` in which a positive counts the less, the surer it is picked.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        Any length; they are normalized here.
    y : LongTensor of shape (n,)
        Class of each row.
    tau : float in (0, inf), default=0.07
        Temperature that divides the cosines.
    detach : bool, default=False
        Whether the gradient takes the focal weights as constants.
    pairs : Mined, default=None
        What a miner keeps; only those positives and negatives are in the sums.

    Returns
    -------
    values : Tensor of shape (n,)
        One value per anchor, not negative; zero without a positive.
    valid : Tensor of shape (n,)
        1 where the anchor has a positive, else 0.

    Notes
    -----
    With :math:`p_{ij}` the softmax of :math:`\cos(e_i, e_j) / \tau` over the other rows,

    .. math:: \ell_i = -\frac{1}{|P_i|} \sum_{j \in P_i} (1 - p_{ij}) \log p_{ij}

    Without the weight ``1 - p`` it is ``supcon``. With one other row it is zero. O(n^2 d) time, O(block x n) memory.

    References
    ----------
    .. [1] Zhang, Hooi, Hu, Liang, Feng. "Unleashing the power of contrastive self-supervised visual models via
       contrast-regularized fine-tuning". NeurIPS 2021.

    Examples
    --------
    >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> focal_supcon(embeddings, torch.tensor([0, 0, 1]), tau=1.0)
    (tensor([0.0842, 0.0842, 0.0000]), tensor([1., 1., 0.]))
    """

    def value(block: Block) -> tuple[Tensor, Tensor]:
        count = block.n_positives  # (b,)
        total = torch.where(count[:, None] > 0, block.others(-torch.inf), 0.0).logsumexp(1)  # (b,)
        log_p = torch.where(block.is_positive, block.positives(0.0) - total[:, None], 0.0)  # (b, m)
        lacking = (log_p.detach() if detach else log_p).expm1()  # p - 1
        return (lacking * log_p).sum(1) / count.clamp(min=1), count > 0

    def slope(block: Block) -> tuple[Tensor, Tensor, list[Tensor]]:
        count = block.n_positives
        positives = block.positives(0.0)
        shares = block.others_(-torch.inf)  # (b, n)
        total = softmax_(shares)
        log_p = torch.where(block.is_positive, positives - total[:, None], 0.0)
        lacking = log_p.expm1()
        share = 1 / count.clamp(min=1)[:, None].to(log_p.dtype)
        by_log_p = share * (lacking if detach else (1 + lacking) * log_p + lacking)  # (b, m); 0 where there is none
        shares.mul_(-by_log_p.sum(1, keepdim=True))
        values = share.squeeze(1) * (lacking * log_p).sum(1)
        return values, count > 0, [block.add_to_partners_(shares, by_log_p)]

    return per_anchor(Rule(value, slope, scale=1 / tau), embeddings, y, pairs=pairs)
