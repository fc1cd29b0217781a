"""Easy, hard and semi-hard pairs."""

from typing import Literal

import torch
from torch import Tensor

from sklearnloss.component import miner
from sklearnloss.exceptions import ParameterError
from sklearnloss.functional.mining import as_pairs, at_farthest, at_nearest, of_negatives, of_positives
from sklearnloss.functional.pairs import Block

Choice = Literal["easy", "hard", "semihard", "all"]


@miner("easy_hard")
def easy_hard(block: Block, *, positive: Choice = "easy", negative: Choice = "semihard") -> Tensor:
    """Keep of each anchor one positive and one negative: the easiest, the hardest, or one just easier than the other.

    Easy positives let a class be several clusters: only the nearest row of the class has to be near.

    Parameters
    ----------
    block : Block
        Some anchors, compared with every column, by the loss's own distance.
    positive : {"easy", "hard", "semihard", "all"}, default="easy"
        The nearest positive, the farthest, the farthest that is nearer than the negative, or all.
    negative : {"easy", "hard", "semihard", "all"}, default="semihard"
        The farthest negative, the nearest, the nearest that is farther than the positive, or all.

    Returns
    -------
    BoolTensor of shape (b, n)
        Two pairs of each anchor, none where one of them is lacking. Where one side is ``"all"``, all its pairs, and one
        of the other side where there is one.

    Raises
    ------
    ParameterError
        If one side is ``"semihard"`` and the other not a single pair: there is nothing to measure it by.

    Notes
    -----
    ``("hard", "hard")`` is ``hard``. Of equally far ones the first is kept. O(n) time an anchor.

    References
    ----------
    .. [1] Xuan, Stylianou, Pless. "Improved embeddings with easy positive triplet mining". WACV 2020.

    Examples
    --------
    >>> from sklearnloss.functional.mining import mine
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [0.6, 0.8], [0.9, 0.4], [-1.0, 0.0]])
    >>> mine(easy_hard, embeddings, torch.tensor([0, 0, 0, 1, 1, 1])).int()[0].tolist()
    [0, 1, 0, 1, 0, 0]
    """
    if "semihard" in (positive, negative) and ("all" in (positive, negative) or positive == negative):
        raise ParameterError(
            f"miner 'easy_hard': a 'semihard' side is measured by the one pair of the other, which must be 'easy' or "
            f"'hard', got positive={positive!r}, negative={negative!r}"
        )
    near = of_positives(block, block.distances, torch.nan)  # (b, m)
    far = of_negatives(block, block.distances, torch.nan)  # (b, n)
    if positive == "semihard":
        negatives = _negatives(far, negative)
        positives = _positives(near.masked_fill(near >= _one(far, negatives), torch.nan), "hard")
    else:
        positives = _positives(near, positive)
        if negative == "semihard":
            far = far.masked_fill(far <= _one(near, positives), torch.nan)
        negatives = _negatives(far, "hard" if negative == "semihard" else negative)
    if "all" not in (positive, negative):
        both = positives.any(1, keepdim=True) & negatives.any(1, keepdim=True)
        positives, negatives = positives & both, negatives & both
    return as_pairs(block, positives, negatives)


def _positives(distances: Tensor, which: Choice) -> Tensor:
    if which == "all":
        return ~distances.isnan()
    return at_nearest(distances) if which == "easy" else at_farthest(distances)


def _negatives(distances: Tensor, which: Choice) -> Tensor:
    if which == "all":
        return ~distances.isnan()
    return at_farthest(distances) if which == "easy" else at_nearest(distances)


def _one(distances: Tensor, chosen: Tensor) -> Tensor:
    """Return the distance chosen in each row, (b, 1); 0 where none is."""
    return torch.where(chosen, distances, 0.0).sum(1, keepdim=True)
