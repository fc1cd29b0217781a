"""Negative pairs without outliers."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from sklearnloss.component import miner
from sklearnloss.constraints import NonNegative
from sklearnloss.typing import Embeddings, Labels


@miner("unpg_miner", static=False)
def unpg_miner(embeddings: Embeddings, y: Labels, *, width: NonNegative = 1.5) -> Tensor:
    r"""Keep all positives, and the negatives whose cosine is no outlier among the batch's negatives.

    A negative far above all others is often a row with a wrong label; one far below teaches nothing.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        Of any length.
    y : LongTensor of shape (n,)
        Class of each row.
    width : float in [0, inf), default=1.5
        Interquartile ranges beyond the quartiles from which a cosine is an outlier.

    Returns
    -------
    BoolTensor of shape (n, n)
        Pairs kept.

    Notes
    -----
    .. math:: Q_1 - w\,(Q_3 - Q_1) \le s_{ij} \le Q_3 + w\,(Q_3 - Q_1)

    with the quartiles of the l negative pairs at the places :math:`\lfloor l / 4 \rfloor` and
    :math:`\lfloor 3 l / 4 \rfloor` of their order. The loss of [1]_ adds these negatives to the softmax of a head.
    O(n^2 d) time, O(n^2) memory.

    References
    ----------
    .. [1] Jung, Lee, Lee, Yoon. "Unified negative pair generation toward well-discriminative feature space for face
       recognition". BMVC 2022.

    Examples
    --------
    >>> embeddings = torch.eye(4)[[0, 1, 2, 3, 0]]  # the last row equals the first
    >>> unpg_miner(embeddings, torch.arange(5)).int()[0].tolist()
    [0, 1, 1, 1, 0]
    """
    unit = normalize(embeddings.detach().to(torch.promote_types(embeddings.dtype, torch.float32)), dim=1)
    cosines = unit @ unit.T
    same = y[:, None] == y
    values = cosines[(~same).triu(1)]  # (l,); a pair counts once
    if not len(values):
        return _others(same)
    low, high = (values.kthvalue(quarters * len(values) // 4 + 1).values for quarters in (1, 3))
    reach = width * (high - low)
    usual = (cosines >= low - reach) & (cosines <= high + reach)
    return _others(same | (usual & usual.T))


def _others(kept: Tensor) -> Tensor:
    return kept & ~torch.eye(len(kept), dtype=torch.bool, device=kept.device)
