"""The hardest share of all pairs."""

import math
from typing import Annotated

import torch
from torch import Tensor
from torch.nn.functional import normalize

from sklearnloss.component import miner
from sklearnloss.constraints import Interval
from sklearnloss.typing import Embeddings, Labels


@miner("hdc", static=False)
def hdc(embeddings: Embeddings, y: Labels, *, fraction: Annotated[float, Interval(0, 1, "right")] = 0.5) -> Tensor:
    """Keep the hardest share of all positive pairs of the batch, and of all negative ones.

    Unlike in a rank within each anchor, a batch's easy anchors keep nothing.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        Of any length; cosines are compared.
    y : LongTensor of shape (n,)
        Class of each row.
    fraction : float in (0, 1], default=0.5
        Share of each kind that is kept, rounded up. With 1 all pairs are.

    Returns
    -------
    BoolTensor of shape (n, n)
        Pairs kept; as many more as are equally hard.

    Notes
    -----
    One level of the cascade of [1]_, whose levels keep smaller and smaller shares. O(n^2 d) time, O(n^2) memory.

    References
    ----------
    .. [1] Yuan, Yang, Zhang. "Hard-aware deeply cascaded embedding". ICCV 2017.

    Examples
    --------
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-1.0, 0.0]])
    >>> hdc(embeddings, torch.tensor([0, 0, 0, 1]), fraction=0.3).int().tolist()
    [[0, 0, 1, 0], [0, 0, 0, 0], [1, 0, 0, 1], [0, 0, 1, 0]]
    """
    unit = normalize(embeddings.detach().to(torch.promote_types(embeddings.dtype, torch.float32)), dim=1)
    cosines = unit @ unit.T
    same = y[:, None] == y
    first = torch.ones_like(same).triu(1)  # a pair counts once
    positive = _hardest(-cosines, same & first, fraction)
    negative = _hardest(cosines, ~same & first, fraction)
    kept = positive | negative
    return kept | kept.T


def _hardest(hardness: Tensor, pairs: Tensor, fraction: float) -> Tensor:
    values = hardness[pairs]
    if not len(values):
        return pairs
    easier = len(values) - math.ceil(fraction * len(values))
    return pairs & (hardness >= values.kthvalue(easier + 1).values)
