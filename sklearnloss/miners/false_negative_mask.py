"""Negatives that are probably none."""

from math import inf
from typing import Annotated

import torch
from torch import Tensor

from sklearnloss.component import miner
from sklearnloss.constraints import Interval
from sklearnloss.functional.mining import as_pairs, of_positives
from sklearnloss.functional.pairs import Block


# Differences from the paper:
# 1. It compares the two modalities of one object; here an anchor's most similar positive stands for its own pair.
# 2. It masks only within groups of neighbours, where such negatives are; here all pairs of the batch are looked at.
# 3. Its code multiplies logits by the mask: a masked pair stays in the softmax with the logit 0. Here it is out.
@miner("false_negative_mask")
def false_negative_mask(block: Block, *, margin: Annotated[float, Interval(-inf, inf, "left")] = 0.1) -> Tensor:
    r"""Leave out negatives that are nearly as similar as the positive: they may be of the same class.

    Meant for training without labels, where a row's second view is its positive, and for batches of neighbours
    (``knn_batch``), which bring duplicates together.

    Parameters
    ----------
    block : Block
        Some anchors, compared with every column; cosines are looked at, whatever the loss compares by.
    margin : float in [-inf, inf), default=0.1
        By how much the cosine of the most similar positive must lead that of a negative that stays; ``-inf`` leaves out
        none.

    Returns
    -------
    BoolTensor of shape (b, n)
        All positives, and the negatives that stay; all of them where an anchor has no positive.

    Notes
    -----
    A negative stays if :math:`\max_{j \in P_i} s_{ij} - s_{ik} > \delta`. O(n) time an anchor.

    References
    ----------
    .. [1] Liu et al. "OpenShape: scaling up 3D shape representation towards open-world understanding". NeurIPS 2023.

    Examples
    --------
    >>> from sklearnloss.functional.mining import mine
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.9, 0.4], [0.9, 0.5], [0.0, 1.0]])
    >>> mine(false_negative_mask, embeddings, torch.tensor([0, 0, 1, 2])).int()[0].tolist()
    [0, 1, 0, 1]
    """
    nearest = of_positives(block, block.cosines, -torch.inf).amax(1, keepdim=True)  # (b, 1)
    nearest = torch.where(block.had_positive[:, None], nearest, torch.inf)
    return as_pairs(block, block.is_positive, nearest - block.cosines > margin)
