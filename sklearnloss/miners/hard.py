"""Batch hard."""

import torch
from torch import Tensor

from sklearnloss.component import miner
from sklearnloss.functional.mining import as_pairs, at_farthest, at_nearest, of_negatives, of_positives
from sklearnloss.functional.pairs import Block


@miner("hard", aliases=("batch_hard",))
def hard(block: Block) -> Tensor:
    """Keep of each anchor its farthest positive and its nearest negative: one triplet.

    Parameters
    ----------
    block : Block
        Some anchors, compared with every column, by the loss's own distance.

    Returns
    -------
    BoolTensor of shape (b, n)
        Two pairs of each anchor; none where it lacks a positive or a negative.

    Notes
    -----
    Of equally far ones the first is kept. A row with a wrong label is the hardest of all, so with noisy labels prefer
    ``semihard``. O(n) time an anchor.

    References
    ----------
    .. [1] Hermans, Beyer, Leibe. "In defense of the triplet loss for person re-identification". arXiv:1703.07737.

    Examples
    --------
    >>> from sklearnloss.functional.mining import mine
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [0.6, 0.8], [-1.0, 0.0]])
    >>> mine(hard, embeddings, torch.tensor([0, 0, 0, 1, 1])).int()[0].tolist()
    [0, 0, 1, 1, 0]
    """
    positive = at_farthest(of_positives(block, block.distances, -torch.inf))  # (b, m)
    negative = at_nearest(of_negatives(block, block.distances, torch.inf))  # (b, n)
    both = positive.any(1, keepdim=True) & negative.any(1, keepdim=True)  # (b, 1)
    return as_pairs(block, positive & both, negative & both)
