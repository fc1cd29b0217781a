"""Angular loss."""

import math
from typing import Annotated

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Interval, Search
from sklearnloss.functional.numerics import softplus
from sklearnloss.functional.pairs import Block, Mined, Rule, per_anchor
from sklearnloss.typing import Embeddings, Labels, PerAnchor


@loss("angular", task="embedding", unit="anchor", sampler="per_class")
def angular(
    embeddings: Embeddings,
    y: Labels,
    *,
    angle: Annotated[float, Interval(0, math.pi / 2), Search(0.5, 1.0)] = math.radians(40),
    pairs: Mined | None = None,
) -> PerAnchor:
    r"""Bound the angle at the negative in the triangle that it forms with the anchor and a positive.

    An angle does not depend on how far a class is spread, as a distance does.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        Any length; they are normalized here.
    y : LongTensor of shape (n,)
        Class of each row.
    angle : float in (0, pi / 2), default=0.698
        Bound of the angle, in radians; the default is 40 degrees, the paper tries 36 to 55.
    pairs : Mined, default=None
        What a miner keeps; the negatives of a pair are those of its anchor.

    Returns
    -------
    totals : Tensor of shape (n,)
        The sum over the positives of an anchor, not negative.
    valid : Tensor of shape (n,)
        How many positives that is.

    Notes
    -----
    .. math:: \ell_{ij} = \log\Bigl(1 + \sum_{k \in N_i}
              e^{4 \tan^2 \alpha \, (e_i + e_j) \cdot e_k - 2 (1 + \tan^2 \alpha) \, e_i \cdot e_j}\Bigr)

    Without negatives it is zero. An anchor takes O(n m d) time for its m positives; memory is O(block x n).

    References
    ----------
    .. [1] Wang, Zhou, Wen, Liu, Lin. "Deep metric learning with angular loss". ICCV 2017.

    Examples
    --------
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    >>> angular(embeddings, torch.tensor([0, 0, 1]))
    (tensor([0.0581, 0.0581, 0.0000]), tensor([1., 1., 0.]))
    """
    squared = torch.as_tensor(angle, dtype=torch.float64).tan().square()

    def value(block: Block) -> tuple[Tensor, Tensor]:
        against = block.n_negatives > 0  # (b,)
        mine = torch.where(against[:, None], block.negatives(-torch.inf), 0.0)  # (b, n)
        rivals = (mine[:, None] + block.partner_values).logsumexp(2)  # (b, m)
        gap = rivals - ((1 + squared) / (2 * squared)).to(rivals) * block.positives(0.0)
        counted = block.is_positive & against[:, None]
        return torch.where(counted, softplus(gap), 0.0).sum(1), block.n_positives

    rule = Rule(value, scale=(4 * squared).to(embeddings.device), arrays=True, inner=True)
    return per_anchor(rule, embeddings, y, pairs=pairs)
