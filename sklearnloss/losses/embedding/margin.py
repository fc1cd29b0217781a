"""Margin loss."""

from typing import Annotated

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative, Positive, Search
from sklearnloss.functional.pairs import Block, Distance, Mined, Rule, per_anchor
from sklearnloss.typing import Embeddings, Labels, PerAnchor


# Difference from the paper: it learns ``beta``, for each class if wanted; here it is a constant.
@loss("margin", task="embedding", unit="anchor", sampler="per_class")
def margin(
    embeddings: Embeddings,
    y: Labels,
    *,
    margin: Annotated[NonNegative, Search(0.05, 0.5)] = 0.2,
    beta: Annotated[Positive, Search(0.5, 1.4)] = 1.2,
    pairs: Mined | None = None,
    distance: Distance | None = None,
) -> PerAnchor:
    r"""Positives are pulled within one distance, negatives pushed beyond it, each by a margin; triplets balance them.

    Unlike in ``triplet`` all anchors share the boundary, unlike in ``contrastive`` each positive is paired with
    negatives, so that both kinds weigh the same.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        Any length; they are normalized here, unless a distance is given.
    y : LongTensor of shape (n,)
        Class of each row.
    margin : float in [0, inf), default=0.2
        How far from the boundary a pair should be.
    beta : float in (0, inf), default=1.2
        The boundary between positives and negatives, a distance.
    pairs : Mined, default=None
        What a miner keeps; the paper's is ``distance_weighted``.
    distance : callable, default=None
        None is the Euclidean distance of unit vectors, not squared.

    Returns
    -------
    totals : Tensor of shape (n,)
        The sum over both pairs of an anchor's triplets, not negative.
    valid : Tensor of shape (n,)
        How many of those pairs are not zero.

    Notes
    -----
    .. math:: \ell_i = \sum_{j \in P_i} \sum_{k \in N_i}
              [m + d_{ij} - \beta]_+ + [m - d_{ik} + \beta]_+

    An anchor takes O(n) time, or O(n m) for its m positives with a miner of triplets; memory is O(block x n).

    References
    ----------
    .. [1] Wu, Manmatha, Smola, Kraehenbuehl. "Sampling matters in deep embedding learning". ICCV 2017.

    Examples
    --------
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6]])
    >>> margin(embeddings, torch.tensor([0, 0, 1]))
    (tensor([1.1818, 0.9198, 0.0000]), tensor([2., 2., 0.]))
    """

    def value(block: Block) -> tuple[Tensor, Tensor]:
        by_positive, by_negative = _triplets(block)  # (b, m), (b, n) or (b, 1)
        pull = torch.where(block.is_positive, margin - beta + block.positives(0.0), 0.0).clamp_min(0)  # (b, m)
        push = (margin + beta - block.negatives(torch.inf)).clamp_min(0)  # (b, n)
        counts = ((pull > 0) * by_positive).sum(1) + ((push > 0) * by_negative).sum(1)
        return (pull * by_positive).sum(1) + (push * by_negative).sum(1), counts

    def slope(block: Block) -> tuple[Tensor, Tensor, list[Tensor]]:
        by_positive, by_negative = (count.to(block.values.dtype) for count in _triplets(block))
        pull = torch.where(block.is_positive, margin - beta + block.positives(0.0), 0.0).clamp_min_(0)
        push = block.negatives_(torch.inf).neg_().add_(margin + beta).clamp_min_(0)
        totals = (pull * by_positive).sum(1) + (push * by_negative).sum(1)
        pull.sign_().mul_(by_positive)
        push.sign_().mul_(by_negative)
        counts = pull.sum(1) + push.sum(1)
        return totals, counts, [block.add_to_partners_(push.neg_(), pull)]

    by_triplets = pairs is not None and pairs.unit != "pair"
    rule = Rule(value, slope, triplets=True, arrays=by_triplets)
    return per_anchor(rule, embeddings, y, compare=distance or "euclidean", pairs=pairs)


def _triplets(block: Block) -> tuple[Tensor, Tensor]:
    """Return in how many triplets each positive is, and each negative."""
    if block.triplets is None:
        return block.n_negatives[:, None], block.n_positives[:, None]
    exists = block.triples()  # (b, m, n)
    return exists.sum(2), exists.sum(1)
