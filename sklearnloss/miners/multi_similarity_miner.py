"""The miner of the multi-similarity loss."""

import torch
from torch import Tensor

from sklearnloss.component import miner
from sklearnloss.constraints import Signed
from sklearnloss.functional.mining import as_pairs, of_negatives, of_positives
from sklearnloss.functional.pairs import Block


# Difference from the authors' code: an anchor without a positive, or without a negative, keeps nothing; theirs fails.
@miner("multi_similarity_miner")
def multi_similarity_miner(block: Block, *, margin: Signed = 0.1) -> Tensor:
    r"""Keep negatives nearly as similar as the least similar positive, and positives nearly as far as a negative.

    Parameters
    ----------
    block : Block
        Some anchors, compared with every column; cosines are looked at, whatever the loss compares by.
    margin : float in (-inf, inf), default=0.1
        How much easier than its rival a pair may be and is kept: a cosine. The paper's epsilon.

    Returns
    -------
    BoolTensor of shape (b, n)
        Pairs kept; none of an anchor that lacks a positive or a negative.

    Notes
    -----
    A negative is kept if :math:`s_{ik} + \varepsilon > \min_{j \in P_i} s_{ij}`, a positive if
    :math:`s_{ij} - \varepsilon < \max_{k \in N_i} s_{ik}`. With a margin of 2 and more all pairs are kept. O(n) time an
    anchor.

    References
    ----------
    .. [1] Wang, Han, Huang, Dong, Scott. "Multi-similarity loss with general pair weighting for deep metric
       learning". CVPR 2019.

    Examples
    --------
    >>> from sklearnloss.functional.mining import mine
    >>> cosines = torch.tensor([1.0, 0.8, 0.6, 0.7, 0.3])  # with the first row
    >>> embeddings = torch.stack([cosines, (1 - cosines**2).sqrt()], dim=1)
    >>> mine(multi_similarity_miner, embeddings, torch.tensor([0, 0, 0, 1, 1]), margin=0.05).int()[0].tolist()
    [0, 0, 1, 1, 0]
    """
    positives = of_positives(block, block.cosines, torch.inf)  # (b, m)
    negatives = of_negatives(block, block.cosines, -torch.inf)  # (b, n)
    near = negatives + margin > positives.amin(1, keepdim=True)
    far = positives - margin < negatives.amax(1, keepdim=True)
    return as_pairs(block, far, near)
