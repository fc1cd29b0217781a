"""Distance-weighted sampling."""

import math

import torch
from torch import Tensor

from sklearnloss.component import miner
from sklearnloss.constraints import Positive
from sklearnloss.functional.mining import of_negatives, unit_columns
from sklearnloss.functional.pairs import Block
from sklearnloss.typing import Generator


# Differences from common implementations:
# 1. They subtract the largest log-weight of the whole batch, in which columns take part that cannot be drawn; in high
#    dimension all weights of an anchor then underflow. Here an anchor's weights are a softmax over what it may draw.
# 2. They lose antipodal negatives, whose density is zero; here these have the weight of any far negative.
@miner("distance_weighted", unit="triplet", static=False)
def distance_weighted(
    block: Block, *, rng: Generator, cutoff: Positive = 0.5, nonzero_loss_cutoff: Positive = 1.4
) -> Tensor:
    r"""Draw a negative for each positive, so that all distances come up equally often.

    On a sphere of many dimensions nearly all points lie at the distance :math:`\sqrt 2`, where they teach nothing. A
    weight of one over the density of distances gives the near ones their share.

    Parameters
    ----------
    block : Block
        Some anchors, compared with every column. Distances of unit vectors are looked at, whatever the loss compares
        by: the density holds for them.
    rng : torch.Generator
        Source of the draws.
    cutoff : float in (0, inf), default=0.5
        Nearer negatives have the weight of this distance, so that gradients of few very near ones do not rule.
    nonzero_loss_cutoff : float in (0, inf), default=1.4
        Negatives as far as this are not drawn, as they cost the loss nothing.

    Returns
    -------
    BoolTensor of shape (b, m, n)
        One negative for each positive; none where all lie beyond ``nonzero_loss_cutoff``.

    Notes
    -----
    .. math:: w_k \propto 1 / q(\max(d_{ik}, c)), \qquad
        \log q(d) = (p - 2) \log d + \frac{p - 3}{2} \log\Bigl(1 - \frac{d^2}{4}\Bigr)

    for embeddings of width p. Draws are independent, O(n) time a positive.

    References
    ----------
    .. [1] Wu, Manmatha, Smola, Krähenbühl. "Sampling matters in deep embedding learning". ICCV 2017.

    Examples
    --------
    >>> from sklearnloss.functional.mining import mine
    >>> rng = torch.Generator().manual_seed(0)
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8], [-1.0, 0.0]])
    >>> kept = mine(distance_weighted, embeddings, torch.tensor([0, 0, 1, 1]), unit="triplet", rng=rng)
    >>> kept[0].any(0).int().tolist()  # the fourth row is too far from the first
    [0, 0, 1, 0]
    """
    columns, _ = unit_columns(block)
    distances = (2 - 2 * block.cosines).clamp_min(0).sqrt()  # (b, n)
    weights = _log_weights(distances.clamp(cutoff, _nearly(2.0, distances)), columns.shape[1])
    weights = of_negatives(block, weights, -torch.inf).masked_fill(distances >= nonzero_loss_cutoff, -torch.inf)
    exists = weights.isfinite().any(1, keepdim=True)  # (b, 1)
    shares = torch.where(exists, weights, 0.0).softmax(1)
    m = block.partners.shape[1]
    drawn = torch.multinomial(shares, m, replacement=True, generator=rng)  # (b, m)
    kept = torch.zeros(*drawn.shape, shares.shape[1], dtype=torch.bool, device=shares.device)
    return kept.scatter_(2, drawn[:, :, None], True) & exists[:, :, None]


def _log_weights(distances: Tensor, width: int) -> Tensor:
    return (2 - width) * distances.log() - (width - 3) / 2 * (1 - distances.square() / 4).log()


def _nearly(limit: float, like: Tensor) -> float:
    return limit * (1 - math.sqrt(torch.finfo(like.dtype).eps))
