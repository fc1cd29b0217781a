"""Smooth-AP."""

from typing import Annotated

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, Search
from sklearnloss.functional.pairs import Block, Mined, Rule, per_anchor
from sklearnloss.typing import Embeddings, Labels, PerAnchor


# Differences from the authors' code:
# 1. It ranks the anchor among the rows that it asks for, always first and always right; here the anchor is left out.
# 2. It wants classes of equal size, one behind the other, and as many of them as rows in each.
@loss("smoothap", task="embedding", unit="anchor", sampler="per_class", aliases=("smooth_ap",))
def smoothap(
    embeddings: Embeddings,
    y: Labels,
    *,
    tau: Annotated[Positive, Search(0.005, 0.5, log=True)] = 0.01,
    pairs: Mined | None = None,
) -> PerAnchor:
    r"""One less the average precision of an anchor's ranking, with a sigmoid for each comparison of two rows.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        Any length; they are normalized here.
    y : LongTensor of shape (n,)
        Class of each row.
    tau : float in (0, inf), default=0.01
        Temperature that divides the difference of two cosines: small is exact, large is smooth.
    pairs : Mined, default=None
        What a miner keeps; only those are ranked.

    Returns
    -------
    values : Tensor of shape (n,)
        One value per anchor, in [0, 1].
    valid : Tensor of shape (n,)
        1 where the anchor has a positive, else 0.

    Notes
    -----
    With :math:`\sigma_{jk} = \sigma((s_{ik} - s_{ij}) / \tau)`, about 1 where k is ranked before j,

    .. math:: \ell_i = 1 - \frac{1}{|P_i|} \sum_{j \in P_i}
              \frac{1 + \sum_{k \in P_i \setminus j} \sigma_{jk}}{1 + \sum_{k \in P_i \cup N_i \setminus j} \sigma_{jk}}

    ``tau -> 0`` gives one less the average precision. Without negatives it is zero. An anchor takes O(n m) time for its
    m positives; memory is O(block x n).

    References
    ----------
    .. [1] Brown, Xie, Kalogeiton, Zisserman. "Smooth-AP: smoothing the path towards large-scale image retrieval".
       ECCV 2020.

    Examples
    --------
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6]])
    >>> smoothap(embeddings, torch.tensor([0, 0, 1]))
    (tensor([0.5000, 0.5000, 0.0000]), tensor([1., 1., 0.]))
    """

    def value(block: Block) -> tuple[Tensor, Tensor]:
        count = block.n_positives  # (b,)
        positives = block.positives(-torch.inf)  # (b, m)
        asked = block.positives(0.0)[:, :, None]  # (b, m, 1)
        ranks, among = (  # less the half that a row gives itself
            0.5 + (rivals[:, None] - asked).sigmoid().sum(2) for rivals in (block.others(-torch.inf), positives)
        )
        precision = torch.where(block.is_positive, among / ranks, 0.0).sum(1)  # (b,)
        return torch.where(count > 0, 1 - precision / count.clamp(min=1), 0.0), count > 0

    return per_anchor(Rule(value, scale=1 / tau, arrays=True), embeddings, y, pairs=pairs)
