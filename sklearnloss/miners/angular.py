"""Triplets with a wide angle at the negative."""

import torch
from torch import Tensor

from sklearnloss.component import miner
from sklearnloss.constraints import Angle
from sklearnloss.functional.mining import unit_columns
from sklearnloss.functional.pairs import Block


# Difference from pytorch-metric-learning: the middle of anchor and positive stays where it is, inside the sphere; there
# it is normalized as well, which changes every angle.
@miner("angular", unit="triplet")
def angular(block: Block, *, angle: Angle = 0.35) -> Tensor:
    r"""Keep triplets in which the negative sees anchor and positive under more than an angle.

    Parameters
    ----------
    block : Block
        Some anchors, compared with every column. Unit vectors are looked at, whatever the loss compares by.
    angle : float in [0, pi), default=0.35
        Radians; the default is 20 degrees. From ``pi / 2`` on nothing is kept.

    Returns
    -------
    BoolTensor of shape (b, m, n)
        Negatives kept for each partner.

    Notes
    -----
    With the middle :math:`c = (a + p) / 2` of anchor and positive, a triplet is kept if

    .. math:: \arctan \frac{|a - p|}{2\,|n - c|} > \alpha

    the angle of the angular loss, whose upper bound is meant. It looks at the distance between positive and negative as
    well, which takes O(m n d) time an anchor.

    References
    ----------
    .. [1] Wang, Zhou, Wen, Liu, Lin. "Deep metric learning with angular loss". ICCV 2017.

    Examples
    --------
    >>> from sklearnloss.functional.mining import mine
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.7, 0.7], [-1.0, 0.0]])
    >>> mine(angular, embeddings, torch.tensor([0, 0, 1, 1]), unit="triplet")[0, 1].int().tolist()
    [0, 0, 1, 1]
    """
    columns, further = unit_columns(block)
    positives = columns[block.partners]  # (b, m, d)
    between = positives @ columns.T  # (b, m, n); cosines of positives and columns
    if further is not None:
        between = torch.cat([between, torch.einsum("bmd,bsd->bms", positives, further)], dim=2)
    own = block.cosines  # (b, n)
    pair = own.gather(1, block.partners)[:, :, None]  # (b, m, 1)
    # of unit vectors: |a - p|^2 = 2 - 2 s_ap, |c|^2 = (1 + s_ap) / 2, n . c = (s_an + s_pn) / 2
    side = (2 - 2 * pair).clamp_min(0).sqrt()
    height = (1 + (1 + pair) / 2 - own[:, None] - between).clamp_min(0).sqrt()  # |n - c|, (b, m, n)
    wide = torch.atan2(side, 2 * height) > angle
    return wide & block.is_positive[:, :, None] & block.is_negative[:, None]
