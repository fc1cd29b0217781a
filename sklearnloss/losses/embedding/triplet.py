"""Triplet loss."""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative
from sklearnloss.functional.pairs import Block, Distance, Mined, Rule, Window, per_anchor
from sklearnloss.typing import Embeddings, Labels, PerAnchor

FEW = 12  # positives, up to which a pass for each is faster than a search


@loss("triplet", task="embedding", unit="anchor", sampler="per_class")
def triplet(
    embeddings: Embeddings,
    y: Labels,
    *,
    margin: NonNegative = 0.05,
    smooth: bool = False,
    active: bool = True,
    pairs: Mined | None = None,
    distance: Distance | None = None,
) -> PerAnchor:
    r"""Each positive should be nearer to the anchor than each negative, by a margin.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        Any length; they are normalized here, unless a distance is given.
    y : LongTensor of shape (n,)
        Class of each row.
    margin : float in [0, inf), default=0.05
        By how much the negative should be farther.
    smooth : bool, default=False
        Softplus in place of the hinge.
    active : bool, default=True
        Whether the mean is over triplets that are not zero, instead of all.
    pairs : Mined, default=None
        What a miner keeps.
    distance : callable, default=None
        None is the Euclidean distance of unit vectors, not squared.

    Returns
    -------
    totals : Tensor of shape (n,)
        The sum over the triplets of an anchor, not negative.
    valid : Tensor of shape (n,)
        How many triplets that is.

    Notes
    -----
    .. math:: \ell_i = \sum_{j \in P_i} \sum_{k \in N_i} \max(0, d_{ij} - d_{ik} + m)

    With ``margin=0`` and every positive nearer than every negative it is zero. Without ``smooth`` an anchor takes
    O(n m) time for its m positives, or O(n log m) if they are many; memory is O(block x n).

    References
    ----------
    .. [1] Schroff, Kalenichenko, Philbin. "FaceNet: a unified embedding for face recognition and clustering".
       CVPR 2015.
    .. [2] Hermans, Beyer, Leibe. "In defense of the triplet loss for person re-identification". arXiv:1703.07737.

    Examples
    --------
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6]])
    >>> triplet(embeddings, torch.tensor([0, 0, 1]), margin=0.1)
    (tensor([0.8818, 0.6198, 0.0000]), tensor([1., 1., 0.]))
    """

    def value(block: Block) -> tuple[Tensor, Tensor]:
        gap = block.positives(0.0)[:, :, None] - block.negatives(0.0)[:, None] + margin  # (b, m, n)
        exists = block.triples()
        terms = torch.where(exists, softplus(gap) if smooth else gap.clamp_min(0), 0.0)
        counted = terms > 0 if active else exists
        return terms.sum((1, 2)), counted.sum((1, 2))

    def slope(block: Block) -> tuple[Tensor, Tensor, list[Tensor]]:
        exists = None if active else block.triples().sum((1, 2))
        positives = block.positives(-torch.inf)  # (b, m)
        negatives = block.negatives_(torch.finfo(positives.dtype).max)  # (b, n)
        by_positive, by_negative = _violations(block, positives, negatives, margin)  # (b, m), (b, n)
        pull = (by_positive * (positives + margin).masked_fill(by_positive == 0, 0.0)).sum(1)
        push = torch.linalg.vecdot(by_negative, negatives)
        counts = by_positive.sum(1) if exists is None else exists
        return pull - push, counts, [block.add_to_partners_(by_negative.neg_(), by_positive)]

    rule = Rule(value, None if smooth else slope, triplets=True, arrays=smooth or not active)
    return per_anchor(rule, embeddings, y, compare=distance or "euclidean", pairs=pairs)


def _violations(block: Block, positives: Tensor, negatives: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """Count the triplets above zero of each positive, (b, m), and of each negative, (b, n)."""
    if isinstance(block.triplets, Tensor):
        wrong = block.triples() & (negatives[:, None] < positives[:, :, None] + margin)  # (b, m, n)
        return wrong.sum(2).to(negatives.dtype), wrong.sum(1).to(negatives.dtype)
    low, high = block.triplets if isinstance(block.triplets, Window) else (-torch.inf, torch.inf)
    far = positives + min(high, margin)  # (b, m); a negative nearer than this counts ...
    near = None if low == -torch.inf else positives + low  # ... if it is farther than this
    if positives.shape[1] <= FEW:
        return _slot_by_slot(far, near, negatives)
    return _by_search(far, near, negatives)


def _slot_by_slot(far: Tensor, near: Tensor | None, negatives: Tensor) -> tuple[Tensor, Tensor]:
    ordered, place = far.sort(1, descending=True)
    near = None if near is None else near.gather(1, place)
    by_positive, by_negative, wrong = torch.zeros_like(far), torch.empty_like(negatives), torch.empty_like(negatives)
    for j in range(max(1, int((far > -torch.inf).sum(1).max()))):
        found = wrong if j else by_negative  # the first slot is where the sum begins
        torch.lt(negatives, ordered[:, j, None], out=found)
        if near is not None:
            found *= negatives > near[:, j, None]
        by_positive[:, j] = found.sum(1)
        if j:
            by_negative += found
    return torch.zeros_like(far).scatter_(1, place, by_positive), by_negative


def _by_search(far: Tensor, near: Tensor | None, negatives: Tensor) -> tuple[Tensor, Tensor]:
    by_positive, by_negative = _below(far, negatives, strict=True)
    if near is not None:
        # one that has to lie beyond both limits is counted by neither
        fewer = _below(torch.minimum(near, far.nextafter(far.new_tensor(-torch.inf))), negatives, strict=False)
        by_positive, by_negative = by_positive - fewer[0], by_negative - fewer[1]
    return by_positive, by_negative


def _below(limits: Tensor, negatives: Tensor, *, strict: bool) -> tuple[Tensor, Tensor]:
    """Count the negatives below each limit, (b, m), and the limits above each negative, (b, n)."""
    ordered, place = limits.sort(1)
    passed = torch.searchsorted(ordered, negatives, right=strict)  # (b, n) limits that are not above it
    m = limits.shape[1]
    at = torch.zeros(len(limits), m + 1, dtype=limits.dtype, device=limits.device)
    at.scatter_add_(1, passed, torch.ones_like(negatives))
    below = at.cumsum(1)[:, :m]  # a negative that has passed j limits lies below those from j on
    return torch.zeros_like(limits).scatter_(1, place, below), (m - passed).to(negatives.dtype)
