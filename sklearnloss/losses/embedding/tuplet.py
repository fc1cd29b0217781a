"""Tuplet margin loss."""

from typing import Annotated, Any

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Angle, Positive, Search
from sklearnloss.functional.numerics import softplus
from sklearnloss.functional.pairs import Block, Mined, Rule, per_anchor, softmax_
from sklearnloss.typing import Embeddings, Labels, PerAnchor


@loss("tuplet", task="embedding", unit="anchor", sampler="per_class", aliases=("tuplet_margin",))
def tuplet(
    embeddings: Embeddings,
    y: Labels,
    *,
    margin: Annotated[Angle, Search(0.01, 0.5)] = 0.1,
    scale: Annotated[Positive, Search(8, 128, log=True)] = 64.0,
    pairs: Mined | None = None,
) -> PerAnchor:
    r"""Each positive pair is picked out of itself and all negatives, as if its angle were smaller than it is.

    The margin is taken off the angle of positives, which keeps the hardest of them, often wrong labels, from ruling
    the gradient.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        Any length; they are normalized here.
    y : LongTensor of shape (n,)
        Class of each row.
    margin : float in [0, pi), default=0.1
        Angle by which a positive is eased, in radians; 0.1 is 5.73 degrees.
    scale : float in (0, inf), default=64.0
        Factor of the cosines.
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
    .. math:: \ell_{ij} = \log\Bigl(1 + \sum_{k \in N_i}
              e^{s (\cos \theta_{ik} - \cos(\theta_{ij} - \beta))}\Bigr)

    With ``margin=0`` it is ``ntxent`` at ``tau = 1 / scale``. An anchor takes O(n) and not O(n m) time; O(n^2 d) time
    in all, O(block x n) memory.

    References
    ----------
    .. [1] Yu, Tao. "Deep metric learning with tuplet margin loss". ICCV 2019.

    Examples
    --------
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6]])
    >>> tuplet(embeddings, torch.tensor([0, 0, 1]), scale=1.0)
    (tensor([1.1033, 0.9742, 0.0000]), tensor([1., 1., 0.]))
    """
    angle = torch.as_tensor(margin, dtype=torch.float64)

    def value(block: Block) -> tuple[Tensor, Tensor]:
        against = block.n_negatives > 0  # (b,)
        rivals = torch.where(against[:, None], block.negatives(-torch.inf), 0.0).logsumexp(1)  # (b,)
        eased, _ = _eased(block.positives(0.0), angle, scale)  # (b, m)
        counted = block.is_positive & against[:, None]
        return torch.where(counted, softplus(rivals[:, None] - eased), 0.0).sum(1), block.n_positives

    def slope(block: Block) -> tuple[Tensor, Tensor, list[Tensor]]:
        eased, turn = _eased(block.positives(0.0), angle, scale)
        shares = block.negatives_(-torch.inf)  # (b, n)
        gap = softmax_(shares)[:, None] - eased.masked_fill(~block.is_positive, torch.inf)
        missed = gap.sigmoid()  # (b, m) what the softmax of a positive lacks to one
        shares.mul_(missed.sum(1, keepdim=True))
        return softplus(gap).sum(1), block.n_positives, [block.add_to_partners_(shares, -missed * turn)]

    return per_anchor(Rule(value, slope, scale=scale), embeddings, y, pairs=pairs)


def _eased(scaled: Tensor, margin: Tensor, scale: Any) -> tuple[Tensor, Tensor]:
    """Return scaled cosines of the angles less the margin, and their derivative by the scaled cosines."""
    cosines = scaled / scale
    # the sine of a duplicate's angle is rounding; the clamp gives it the slope 0
    sines = (1 - cosines.square()).clamp_min(torch.finfo(scaled.dtype).eps).sqrt()
    inside = cosines.square() < 1 - torch.finfo(scaled.dtype).eps
    along, across = margin.cos().to(scaled.dtype), margin.sin().to(scaled.dtype)
    eased = scale * (cosines * along + sines * across)
    return eased, along - across * torch.where(inside, cosines / sines, 0.0)
