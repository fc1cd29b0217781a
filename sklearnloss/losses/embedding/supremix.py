"""Supervised contrastive regression with mixtures."""

from typing import Annotated, Literal

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegativeInt, Positive, PositiveInt, Probability, Search
from sklearnloss.exceptions import TaskError
from sklearnloss.functional.vectors import unit_rows
from sklearnloss.typing import Embeddings, Generator, PerAnchor, Targets


# Differences from the authors' code:
# 1. One logarithm of one sum runs over real rows and mixtures. There the mixtures are shifted by a maximum of their own
#    before the blocks are joined, which puts them on another scale.
# 2. An anchor without any positive is not valid, instead of divided by zero.
# 3. At most n_mix mixtures of each kind are drawn per anchor, instead of all n**2 that there are.
@loss("supremix", task="regression", unit="anchor", gradient="surrogate")
def supremix(
    embeddings: Embeddings,
    y: Targets,
    *,
    rng: Generator,
    tau: Annotated[Positive, Search(0.02, 2, log=True)] = 0.07,
    n_mix: Annotated[NonNegativeInt, Search(4, 64, log=True)] = 16,
    alpha: PositiveInt = 2,
    beta: PositiveInt = 8,
    window: Annotated[Probability, Search(0.05, 0.4)] = 0.2,
    weighting: Literal["l1", "l2", "none"] = "l1",
) -> PerAnchor:
    r"""Each row picks the rows of its target, and mixtures that have it, out of rows and mixtures that do not.

    Embeddings come to lie on a line in the order of their targets, and as far apart.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        Any length; they are normalized here.
    y : Tensor of shape (n, 1) or (n,)
        One real target; standardized here over the batch.
    rng : torch.Generator
        Source of the mixtures.
    tau : float in (0, inf), default=0.07
        Temperature that divides the cosines.
    n_mix : int in [0, inf), default=16
        Most mixtures of each kind per anchor; 0 mixes nothing.
    alpha, beta : int in [1, inf), default=2 and 8
        A negative mixture holds a share of the anchor drawn from Beta(alpha, beta); the paper also has (8, 2) and
        (5, 5).
    window : float in [0, 1], default=0.2
        Share of the range of targets within which the two rows of a positive mixture lie on either side of the anchor.
    weighting : {"l1", "l2", "none"}, default="l1"
        A row or mixture weighs one plus the distance of its target, or the square of that distance, in the denominator.

    Returns
    -------
    totals : Tensor of shape (n,)
        One value per anchor, never negative; 0 without a positive.
    valid : Tensor of shape (n,)
        1 where the anchor has a positive, real or mixed, else 0.

    Notes
    -----
    With unit embeddings z and standardized targets t, anchor i has

    - real rows :math:`z_j` of target :math:`t_j`, positive where it equals :math:`t_i`;
    - negative mixtures :math:`\lambda z_i + (1 - \lambda) z_k` of any row of another target, its target mixed alike;
    - positive mixtures :math:`a z_j + (1 - a) z_k` of rows with :math:`t_j < t_i < t_k`, where
      :math:`a = (t_k - t_i) / (t_k - t_j)` makes the target :math:`t_i`.

    Over the positives P and over everything A but the anchor itself,

    .. math:: \ell_i = \log \sum_{v \in A} w_v e^{z_i \cdot v / \tau} - \frac1{|P|} \sum_{v \in P} z_i \cdot v / \tau,
        \qquad w_v = 1 + |t_i - t_v|

    Mixtures are constants for the gradient, which moves the anchor only. They are never formed: their products with the
    anchor follow from the cosines. ``n_mix=0, weighting="none"`` is the supervised contrastive loss on equal targets.
    The mixtures depend on the order of targets, not of rows. O(n**2 d) time, O(n**2 + n n_mix (alpha + beta)) memory.

    References
    ----------
    .. [1] Wu, Dong, Chen, Zhou, Zhou. "Mixup your own pairs". 2023.

    Examples
    --------
    >>> embeddings, y = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), torch.tensor([[2.0], [2.0], [5.0]])
    >>> rng = torch.Generator().manual_seed(0)
    >>> supremix(embeddings, y, rng=rng, tau=1.0, n_mix=0, weighting="none")
    (tensor([0.3133, 0.3133, 0.0000]), tensor([1., 1., 0.]))
    """
    t = _standardized(y).to(embeddings.dtype)  # (n,)
    order = t.argsort(stable=True)  # what is drawn for an anchor goes by its rank
    t, unit = t[order], unit_rows(embeddings)[order]  # (n,), (n, d)
    similar = unit @ unit.T / tau  # (n, n)
    fixed = unit @ unit.detach().T / tau  # (n, n); of an anchor with mixed rows, which are constants
    gap = (t[:, None] - t).abs()  # (n, n)
    itself = torch.eye(len(t), dtype=torch.bool, device=t.device)
    same = (gap == 0) & ~itself

    index, share, exists = draw_negatives(gap, n_mix, alpha, beta, rng)  # (n, m)
    mixed = share * fixed.diagonal()[:, None] + (1 - share) * fixed.gather(1, index)
    negatives = (mixed + _log_weight((1 - share) * gap.gather(1, index), weighting)).masked_fill(~exists, -torch.inf)
    below, above, between = draw_positives(t, n_mix, window, rng)  # (n, m)
    share = torch.where(between, (t[above] - t[:, None]) / (t[above] - t[below]), 0.5)
    positives = share * fixed.gather(1, below) + (1 - share) * fixed.gather(1, above)

    real = (similar + _log_weight(gap, weighting)).masked_fill(itself, -torch.inf)
    everything = torch.cat([real, negatives, positives.masked_fill(~between, -torch.inf)], dim=1)
    count = same.sum(1) + between.sum(1)  # (n,)
    pulled = torch.where(same, similar, 0.0).sum(1) + torch.where(between, positives, 0.0).sum(1)
    values = torch.where(count > 0, everything.logsumexp(1) - pulled / count.clamp(min=1), 0.0)
    rank = order.argsort()
    return values[rank].to(embeddings.dtype), (count > 0)[rank].to(embeddings.dtype)


def _standardized(y: Tensor) -> Tensor:
    if y.numel() != len(y):
        raise TaskError(
            f"loss 'supremix' takes one target per row, got y of shape {tuple(y.shape)}; fit one target at a time"
        )
    t = y.reshape(-1).double()  # equal targets stay equal
    return (t - t.mean()) / t.std(correction=0).clamp(min=1e-12)


def _log_weight(gap: Tensor, weighting: str) -> Tensor:
    if weighting == "none":
        return torch.zeros_like(gap)
    return torch.log1p(gap if weighting == "l1" else gap.square())


def draw_negatives(gap: Tensor, n_mix: int, alpha: int, beta: int, rng: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Draw distinct rows of other targets for each anchor, with the anchor's share.

    Returns
    -------
    index : LongTensor of shape (n, m)
        Rows to mix with.
    share : Tensor of shape (n, m)
        Share of the anchor, from Beta(alpha, beta).
    exists : BoolTensor of shape (n, m)
        Whether there is such a mixture.
    """
    index, exists = _distinct(gap > 0, n_mix, rng)
    draws = torch.rand((*index.shape, alpha + beta - 1), generator=rng, device=gap.device)
    return index, draws.kthvalue(alpha, dim=2).values.to(gap.dtype), exists  # an order statistic of uniform numbers


def draw_positives(t: Tensor, n_mix: int, window: float, rng: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Draw distinct rows below and above each anchor, within a share of the range of targets.

    Returns
    -------
    below, above : LongTensor of shape (n, m)
        Pairs of rows to mix.
    exists : BoolTensor of shape (n, m)
        Whether there is such a pair.
    """
    lead = t - t[:, None]  # (n, n), how far the target of a column is above that of a row
    width = window * (t.max() - t.min())
    below, any_below = _distinct((lead < 0) & (lead >= -width), n_mix, rng)
    above, any_above = _distinct((lead > 0) & (lead <= width), n_mix, rng)
    return below, above, any_below & any_above


def _distinct(allowed: Tensor, most: int, rng: Generator) -> tuple[Tensor, Tensor]:
    """Return up to so many allowed columns of each row in random order, and which of them are allowed."""
    keys = torch.rand(allowed.shape, generator=rng, device=allowed.device).masked_fill(~allowed, -1.0)
    best, index = keys.topk(min(most, allowed.shape[1]), dim=1)  # (n, m)
    return index, best >= 0
