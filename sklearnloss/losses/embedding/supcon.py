"""Supervised contrastive loss."""

from typing import Annotated

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, Search
from sklearnloss.functional.pairs import Block, Mined, Rule, per_anchor, softmax_
from sklearnloss.typing import Embeddings, Labels, PerAnchor


@loss("supcon", task="embedding", unit="anchor", sampler="per_class")
def supcon(
    embeddings: Embeddings,
    y: Labels,
    *,
    tau: Annotated[Positive, Search(0.02, 1, log=True)] = 0.1,
    pairs: Mined | None = None,
) -> PerAnchor:
    r"""Each row picks the rows of its class out of the whole batch, by a softmax of cosines.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        Any length; they are normalized here.
    y : LongTensor of shape (n,)
        Class of each row.
    tau : float in (0, inf), default=0.1
        Temperature that divides the cosines.
    pairs : Mined, default=None
        What a miner keeps; only those positives and negatives are in the sums.

    Returns
    -------
    values : Tensor of shape (n,)
        One value per anchor, never negative; zero without a positive.
    valid : Tensor of shape (n,)
        1 where the anchor has a positive, else 0.

    Notes
    -----
    With :math:`s_{ij} = \cos(e_i, e_j) / \tau` and the other rows of its class :math:`P(i)`,

    .. math:: \ell_i = \log \sum_{k \ne i} e^{s_{ik}} - \frac{1}{|P(i)|} \sum_{j \in P(i)} s_{ij}

    the form with the sum outside the logarithm. With equal embeddings it is ``log(n - 1)``. The length of an embedding
    does not matter; one of length zero has the cosine 0 to all. O(n**2 d) time, O(block * n)
    memory.

    References
    ----------
    .. [1] Khosla, Teterwak, Wang, Sarna, Tian, Isola, Maschinot, Liu, Krishnan. "Supervised contrastive learning".
       NeurIPS 2020.

    Examples
    --------
    >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> supcon(embeddings, torch.tensor([0, 0, 1]), tau=1.0)
    (tensor([0.3133, 0.3133, 0.0000]), tensor([1., 1., 0.]))
    """

    def value(block: Block) -> tuple[Tensor, Tensor]:
        count = block.n_positives  # (b,)
        others = torch.where(count[:, None] > 0, block.others(-torch.inf), 0.0)  # (b, n)
        values = others.logsumexp(1) - block.positives(0.0).sum(1) / count.clamp(min=1)
        return torch.where(count > 0, values, 0.0), count > 0

    def slope(block: Block) -> tuple[Tensor, Tensor, list[Tensor]]:
        count = block.n_positives  # (b,)
        mean = block.positives(0.0).sum(1) / count.clamp(min=1)
        shares = block.others_(-torch.inf)  # (b, n)
        values = torch.where(count > 0, softmax_(shares) - mean, 0.0)
        shares.mul_((count > 0)[:, None])
        return values, count > 0, [block.add_to_partners_(shares, -1 / count[:, None].to(shares.dtype))]

    return per_anchor(Rule(value, slope, scale=1 / tau), embeddings, y, pairs=pairs)
