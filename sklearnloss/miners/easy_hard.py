"""Easy, hard and semi-hard pairs."""

from typing import Literal

import torch
from torch import Tensor

from sklearnloss.component import miner
from sklearnloss.exceptions import ParameterError
from sklearnloss.functional.mining import as_pairs, at_farthest, at_nearest
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
    distances = block.distances
    near = distances.gather(1, block.partners)  # (b, m)
    are_positive, are_negative = block.is_positive, block.is_negative
    if positive == "semihard":
        negatives = _one(distances, are_negative, farthest=negative == "easy")
        are_positive = are_positive & (near < _value(distances, negatives))
        positives = _one(near, are_positive, farthest=True)
        return _both(block, positives, negatives)
    if negative == "semihard":
        positives = _one(near, are_positive, farthest=positive == "hard")
        are_negative = are_negative & (distances > _value(near, positives))
        negatives = _one(distances, are_negative, farthest=False)
        return _both(block, positives, negatives)
    positives = are_positive if positive == "all" else _one(near, are_positive, farthest=positive == "hard")
    negatives = are_negative if negative == "all" else _one(distances, are_negative, farthest=negative == "easy")
    if "all" in (positive, negative):
        return as_pairs(block, positives, negatives)
    return _both(block, positives, negatives)


def _one(distances: Tensor, among: Tensor, *, farthest: bool) -> Tensor:
    """Return a mask of the farthest or nearest of each row."""
    if farthest:
        return at_farthest(distances.masked_fill(~among, -torch.inf))
    return at_nearest(distances.masked_fill(~among, torch.inf))


def _value(distances: Tensor, chosen: Tensor) -> Tensor:
    """Return the distance chosen in each row, (b, 1); 0 where none is."""
    return torch.where(chosen, distances, 0.0).sum(1, keepdim=True)


def _both(block: Block, positives: Tensor, negatives: Tensor) -> Tensor:
    """Return the pairs of the anchors that have one of each."""
    both = positives.any(1, keepdim=True) & negatives.any(1, keepdim=True)
    return as_pairs(block, positives & both, negatives & both)
