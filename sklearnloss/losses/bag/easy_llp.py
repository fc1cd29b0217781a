"""Unbiased estimate of the cross entropy of rows from the proportions of bags."""

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.functional.bags import BagParts, bag_mean, bag_sum
from sklearnloss.typing import Logits, PerBag, Priors, Proportions


# 1. The paper has two classes; its weights are taken class by class, which keeps their sum at one.
# 2. Rows that were merged from two bags get one effective size per bag, exact where both gave the same share.
@loss("easy_llp", task="bag", unit="bag", aliases=("easyllp",))
def easy_llp(
    logits: Logits,
    y: Proportions,
    *,
    bag: Tensor,
    n_bags: int,
    priors: Priors,
    bag_index: Tensor | None = None,
    bag_sizes: Tensor | None = None,
    bag_weight: Tensor | None = None,
    bag_parts: BagParts | None = None,
    nonnegative: bool = False,
) -> PerBag:
    r"""Cross entropy of each row with a label that is right on average: the bag's deviation from the prior, enlarged.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Scores of the rows.
    y : Tensor of shape (b, k)
        Proportions of each bag.
    bag : Tensor of shape (n,)
        Bag of each row.
    n_bags : int
        Number of bags b.
    priors : Tensor of shape (k,)
        Share of each class among the training rows.
    bag_index : Tensor of shape (b,), default=None
        Number of each bag among all, where a batch may hold a part of a bag.
    bag_sizes : Tensor of shape (B,), default=None
        Rows of all bags, of which the proportions are; None is those in the batch.
    bag_weight : Tensor of shape (b,), default=None
        Weight of each bag in the sums of ``nonnegative``; None is its rows.
    bag_parts : BagParts, default=None
        What a mixup of bags merged.
    nonnegative : bool, default=False
        Whether a class whose part of the batch's loss is negative, which no risk is, is left out of that batch. It
        keeps a flexible network from following the negative weights, and is biased.

    Returns
    -------
    Tensor of shape (b,)
        One value per bag. It may be negative and has no lower limit, unless ``nonnegative``, which bounds the mean.

    Notes
    -----
    .. math:: \ell_b = -\frac{1}{n_b} \sum_{i \in b} \sum_c w_{bc} \log p_{ic}, \qquad
              w_{bc} = n_b (y_{bc} - \pi_c) + \pi_c

    The weights of a bag sum to one and may be negative. Where bags are drawn at random, the expectation of
    :math:`w_b` given one row is the distribution of that row's class, so the loss estimates the cross entropy of rows
    without bias; a bag of one row has that cross entropy itself. The variance grows with the size of the bags. Where
    bags are not random, as with precincts, the estimate is biased; ``mean_map`` estimates the factor from the bags.

    The loss is convex in the logits, but a network that can tell rows of the same kind apart makes it fall without end:
    take a linear model, weight decay, early stopping, or ``nonnegative``. Weights of rows would change how much a row
    tells of the proportions, so they are not taken. O(n k).

    References
    ----------
    .. [1] Busa-Fekete, Choi, Dick, Gentile, Munoz Medina. "Easy learning from label proportions". NeurIPS 2023.
    .. [2] Kiryo, Niu, du Plessis, Sugiyama. "Positive-unlabeled learning with non-negative risk estimator". NeurIPS
       2017.

    Examples
    --------
    >>> logits, bag = torch.tensor([[0.0, 3.0], [0.0, -3.0], [0.0, 3.0]]), torch.tensor([0, 0, 1])
    >>> y, priors = torch.tensor([[0.5, 0.5], [0.0, 1.0]]), torch.tensor([0.5, 0.5])
    >>> easy_llp(logits, y, bag=bag, n_bags=2, priors=priors)
    tensor([1.5486, 0.0486])
    """
    rows = bag_sum(torch.ones_like(logits[:, 0]), bag, n_bags)  # (b,)
    size = rows
    if bag_parts is not None:
        size = _effective_size(bag_parts)
    elif bag_index is not None and bag_sizes is not None:
        size = bag_sizes[bag_index]
    weight = size.to(y.dtype)[:, None] * (y - priors) + priors  # (b, k)
    parts = -weight * bag_mean(logits.log_softmax(1), bag, n_bags)  # (b, k)
    if nonnegative:
        share = rows if bag_weight is None else bag_weight
        parts = torch.where((share[:, None] * parts).sum(0) > 0, parts, 0.0)
    return parts.sum(1)


def _effective_size(parts: BagParts) -> Tensor:
    """Return one over what the label of a row moves the proportions on average, (b,)."""
    first = parts.n_first / (parts.n_first + parts.n_second)
    second = 1 - first
    return 1 / (first**2 / parts.size_first + second**2 / parts.size_second.clamp(min=1))
