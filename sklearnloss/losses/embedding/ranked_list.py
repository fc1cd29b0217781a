"""Ranked list loss."""

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative, Positive, Probability
from sklearnloss.functional.pairs import Block, Distance, Mined, Rule, per_anchor
from sklearnloss.typing import Embeddings, Labels, PerAnchor


@loss("ranked_list", task="embedding", unit="anchor", sampler="per_class")
def ranked_list(
    embeddings: Embeddings,
    y: Labels,
    *,
    boundary: Positive = 1.2,
    margin: NonNegative = 0.4,
    pos_sharpness: NonNegative = 0.0,
    neg_sharpness: NonNegative = 10.0,
    neg_weight: Probability = 0.5,
    detach: bool = False,
    pairs: Mined | None = None,
    distance: Distance | None = None,
) -> PerAnchor:
    r"""Negatives are pushed beyond a boundary, positives pulled a margin inside of it; the worst ones weigh most.

    Positives may keep a distance to each other, so that a class is not drawn to one point.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        Any length; they are normalized here, unless a distance is given.
    y : LongTensor of shape (n,)
        Class of each row.
    boundary : float in (0, inf), default=1.2
        Distance beyond which a negative costs nothing.
    margin : float in [0, inf), default=0.4
        By how much nearer than the boundary a positive should be.
    pos_sharpness : float in [0, inf), default=0.0
        How much more the farthest positives weigh; 0 is a plain mean.
    neg_sharpness : float in [0, inf), default=10.0
        How much more the nearest negatives weigh; 0 is a plain mean.
    neg_weight : float in [0, 1], default=0.5
        Weight of the negatives; the positives have the rest.
    detach : bool, default=False
        Whether the gradient takes the weights of pairs as constants, as the paper does.
    pairs : Mined, default=None
        What a miner keeps.
    distance : callable, default=None
        None is the Euclidean distance of unit vectors, not squared.

    Returns
    -------
    values : Tensor of shape (n,)
        One value per anchor, not negative.
    valid : Tensor of shape (n,)
        1 where the anchor has a positive or a negative, else 0.

    Notes
    -----
    With the costs :math:`c_{ij} = [d_{ij} - \alpha + m]_+` of positives and :math:`c_{ik} = [\alpha - d_{ik}]_+` of
    negatives, and a mean over those that are not zero, weighed by :math:`e^{T c}`,

    .. math:: \ell_i = (1 - \lambda) \frac{\sum_j e^{T_+ c_{ij}} c_{ij}}{\sum_j e^{T_+ c_{ij}}}
                     + \lambda \frac{\sum_k e^{T_- c_{ik}} c_{ik}}{\sum_k e^{T_- c_{ik}}}

    A large sharpness leaves the largest cost. O(n^2 d) time, O(block x n) memory.

    References
    ----------
    .. [1] Wang, Hua, Kodirov, Hu, Garnier, Robertson. "Ranked list loss for deep metric learning". CVPR 2019.

    Examples
    --------
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6]])
    >>> ranked_list(embeddings, torch.tensor([0, 0, 1]))
    (tensor([0.5909, 0.4599, 0.2749]), tensor([1., 1., 1.]))
    """

    def value(block: Block) -> tuple[Tensor, Tensor]:
        pull = block.positives(0.0) - (boundary - margin)  # (b, m)
        pull = torch.where(block.is_positive, pull, 0.0).clamp_min(0)
        push = (boundary - block.negatives(torch.inf)).clamp_min(0)  # (b, n)
        values = (1 - neg_weight) * _mean(pull, pos_sharpness) + neg_weight * _mean(push, neg_sharpness)
        return values, (block.n_positives > 0) | (block.n_negatives > 0)

    def _mean(costs: Tensor, sharpness: float) -> Tensor:
        """Return the mean of the costs above zero, (b,), the larger the heavier."""
        largest = costs.detach().amax(1, keepdim=True)  # (b, 1)
        weights = costs.detach().sign() * (sharpness * (costs - largest)).exp()
        if detach:
            weights = weights.detach()
        return (weights * costs).sum(1) / weights.sum(1).clamp_min(torch.finfo(costs.dtype).tiny)

    return per_anchor(Rule(value), embeddings, y, compare=distance or "euclidean", pairs=pairs)
