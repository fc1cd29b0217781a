"""Pairs that are not yet as they should be."""

from torch import Tensor

from sklearnloss.component import miner
from sklearnloss.constraints import NonNegative
from sklearnloss.functional.mining import as_pairs
from sklearnloss.functional.pairs import Block


@miner("pair_margin")
def pair_margin(block: Block, *, pos_margin: NonNegative = 0.2, neg_margin: NonNegative = 0.8) -> Tensor:
    """Keep positives farther than one distance, and negatives nearer than another.

    Parameters
    ----------
    block : Block
        Some anchors, compared with every column, by the loss's own distance.
    pos_margin : float in [0, inf), default=0.2
        Distance beyond which a positive is kept.
    neg_margin : float in [0, inf), default=0.8
        Distance within which a negative is kept.

    Returns
    -------
    BoolTensor of shape (b, n)
        Pairs kept.

    Notes
    -----
    With the margins of ``contrastive`` it changes nothing there: what it leaves out costs nothing. O(n) time an anchor.

    References
    ----------
    .. [1] Hadsell, Chopra, LeCun. "Dimensionality reduction by learning an invariant mapping". CVPR 2006.

    Examples
    --------
    >>> from sklearnloss.functional.mining import mine
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.99, 0.1], [0.0, 1.0], [0.8, 0.6], [-1.0, 0.0]])
    >>> mine(pair_margin, embeddings, torch.tensor([0, 0, 0, 1, 1])).int()[0].tolist()
    [0, 0, 1, 1, 0]
    """
    near = block.distances < neg_margin  # (b, n)
    far = (block.distances > pos_margin).gather(1, block.partners)  # (b, m)
    return as_pairs(block, far, near)
