"""Histogram loss."""

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import PositiveInt
from sklearnloss.functional.histograms import BEYOND, soft_histogram
from sklearnloss.functional.pairs import Block, Mined, Rule, per_anchor
from sklearnloss.typing import Embeddings, Labels, PerAnchor


@loss("histogram", task="embedding", unit="anchor", sampler="per_class")
def histogram(
    embeddings: Embeddings,
    y: Labels,
    *,
    bins: PositiveInt = 100,
    pairs: Mined | None = None,
) -> PerAnchor:
    r"""Estimate the chance that a negative pair is more similar than a positive one, from two histograms.

    There is no margin and no temperature to choose.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        Any length; they are normalized here.
    y : LongTensor of shape (n,)
        Class of each row.
    bins : int in [1, inf), default=100
        Into how many parts the cosines from -1 to 1 are cut.
    pairs : Mined, default=None
        What a miner keeps.

    Returns
    -------
    Tensor of shape (n,)
        One value per anchor, not negative; their mean is the loss, at most 1.

    Notes
    -----
    With :math:`h^+_r` and :math:`h^-_r` the shares of positive and of negative pairs at node r, where a pair between
    two nodes is divided between them by nearness,

    .. math:: L = \sum_r h^-_r \sum_{q \le r} h^+_q

    It is zero where all positives are at a higher node than all negatives, and where there are no positives or no
    negatives. An anchor's value is the share of its negatives in the sum, times n. O(n^2 d) time; O(block x n) memory,
    and O(n bins) for the histograms.

    References
    ----------
    .. [1] Ustinova, Lempitsky. "Learning deep embeddings with histogram loss". NeurIPS 2016.

    Examples
    --------
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6]])
    >>> histogram(embeddings, torch.tensor([0, 0, 1]))
    tensor([0.7500, 0.7500, 1.5000])
    """
    width = 2 / bins

    def value(block: Block) -> tuple[Tensor, Tensor]:
        beyond = (bins + BEYOND) * width - 1
        sums = [
            soft_histogram((cosines + 1) / width, bins)  # (b, bins + 1)
            for cosines in (block.positives(beyond), block.negatives(beyond))
        ]
        counts = [count[:, None].expand(-1, bins + 1) for count in (block.n_positives, block.n_negatives)]
        return torch.cat(sums, dim=1), torch.cat(counts, dim=1)

    totals, counts = per_anchor(Rule(value, parts=2 * (bins + 1)), embeddings, y, pairs=pairs)
    positives, negatives = totals[:, : bins + 1], totals[:, bins + 1 :]  # (n, bins + 1)
    n_positives, n_negatives = counts[:, 0].sum().clamp(min=1), counts[:, -1].sum().clamp(min=1)
    below = positives.sum(0).cumsum(0) / n_positives  # (bins + 1,)
    return negatives @ below * (len(y) / n_negatives)
