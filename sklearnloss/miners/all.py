"""Every pair."""

import torch
from torch import Tensor

from sklearnloss.component import miner
from sklearnloss.functional.pairs import Block


@miner("all")
def all(block: Block) -> Tensor:
    """Keep every pair: what a loss does without a miner, as a point of a search.

    Parameters
    ----------
    block : Block
        Some anchors, compared with every column.

    Returns
    -------
    BoolTensor of shape (b, n)
        True everywhere.

    References
    ----------
    .. [1] Hermans, Beyer, Leibe. "In defense of the triplet loss for person re-identification". arXiv:1703.07737.

    Examples
    --------
    >>> from sklearnloss.functional.mining import mine
    >>> mine(all, torch.eye(3), torch.tensor([0, 0, 1])).all()
    tensor(True)
    """
    return torch.ones_like(block.is_negative)
