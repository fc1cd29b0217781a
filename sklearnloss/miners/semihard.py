"""Semi-hard negatives."""

from sklearnloss.component import miner
from sklearnloss.constraints import Positive
from sklearnloss.functional.pairs import Block, Window


@miner("semihard", unit="window")
def semihard(block: Block, *, margin: Positive = 0.2) -> Window:
    """Keep negatives that lie farther than the positive, but by less than a margin.

    Nearer negatives can drag all embeddings to one point early in training; farther ones teach nothing.

    Parameters
    ----------
    block : Block
        Some anchors, compared with every column; a window holds for all of them.
    margin : float in (0, inf), default=0.2
        Width of the window, in the loss's own distance. With the margin of a triplet loss, all that are kept cost
        something.

    Returns
    -------
    Window
        ``(0, margin)``.

    Notes
    -----
    .. math:: 0 < d_{ik} - d_{ij} < m

    A window costs a triplet loss nothing. A loss that looks at pairs keeps those that are in a triplet, which takes
    O(m n) time an anchor.

    References
    ----------
    .. [1] Schroff, Kalenichenko, Philbin. "FaceNet: a unified embedding for face recognition and clustering".
       CVPR 2015.

    Examples
    --------
    >>> from sklearnloss.functional.mining import mine
    >>> mine(semihard, torch.eye(3), torch.tensor([0, 0, 1]), unit="window", margin=0.1)
    Window(low=0.0, high=0.1)
    """
    return Window(0.0, margin)
