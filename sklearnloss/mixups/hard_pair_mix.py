"""Hard pairs, mixed."""

from typing import Annotated, Literal

import torch
from torch import Tensor

from sklearnloss.component import mixup
from sklearnloss.constraints import Interval, Positive
from sklearnloss.functional.pairs import Extra
from sklearnloss.functional.vectors import unit_rows
from sklearnloss.mixups._beta import symmetric_beta
from sklearnloss.typing import Embeddings, Generator, Labels


# Differences from the authors' code:
# 1. Its search for the least similar positive takes 0 for rows of other classes, so that one of these is found wherever
#    all positives are more similar than that. Here they are out of the search.
# 2. It compares label mixtures by a hash that overflows beyond 18 classes, and draws one share for the batch.
@mixup("hard_pair_mix")
def hard_pair_mix(
    embeddings: Embeddings,
    y: Labels,
    *,
    rng: Generator,
    alpha: Positive = 1.0,
    min_share: Annotated[float, Interval(0.5, 1, "both")] = 0.8,
    positive_rule: Literal["dominant", "exact"] = "dominant",
) -> Extra:
    r"""Add two vectors for each row: its farthest positive mixed with its nearest negative, and itself with any row.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        Of any length; unit vectors are mixed.
    y : LongTensor of shape (n,)
        Class of each row.
    rng : torch.Generator
        Source of shares and partners.
    alpha : float in (0, inf), default=1.0
        Shares are drawn from Beta(alpha, alpha).
    min_share : float in [0.5, 1], default=0.8
        Least share of the random partner.
    positive_rule : {"dominant", "exact"}, default="dominant"
        The class of a mixture: that of the larger share, or none where two classes are mixed: then it is a negative of
        all.

    Returns
    -------
    Extra
        Columns (2n, d), first the mixed pairs and then the mixed partners, with the class of each.

    Notes
    -----
    .. math:: f^+_i = \lambda f_{p} + (1 - \lambda) f_{q}, \qquad
        f^-_i = (1 - \lambda') f_i + \lambda' f_r, \quad \lambda' = \max(\lambda'', m)

    with the least similar row p of the class of i (itself if there is no other), the most similar row q of another
    class, and a random row r. Where all rows are of one class, q is p. The paper trains a classifier on the mixtures as
    well; for that there is ``mixup``. O(n^2 d) time, O(n^2) memory.

    References
    ----------
    .. [1] Zhang, Hooi, Hu, Liang, Feng. "Unleashing the power of contrastive self-supervised visual models via
       contrast-regularized fine-tuning". NeurIPS 2021.

    Examples
    --------
    >>> extra = hard_pair_mix(torch.eye(4), torch.tensor([0, 0, 1, 1]), rng=torch.Generator().manual_seed(0))
    >>> extra.embeddings.shape, extra.y.shape
    (torch.Size([8, 4]), torch.Size([8]))
    """
    unit = unit_rows(embeddings)
    farthest, nearest = _hard_pairs(unit.detach(), y)
    partner = torch.randperm(len(y), generator=rng, device=y.device)
    first, second = symmetric_beta(alpha, rng, device=y.device, size=(2, len(y))).to(unit.dtype)  # (n,)
    second = second.clamp(min=min_share)
    mixed = [
        torch.lerp(unit[nearest], unit[farthest], first[:, None]),
        torch.lerp(unit, unit[partner], second[:, None]),
    ]
    share, one = torch.cat([first, second]), torch.cat([y[farthest], y[partner]])
    return Extra(torch.cat(mixed), _classes(one, torch.cat([y[nearest], y]), share, positive_rule))


def _hard_pairs(unit: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the least similar row of each row's class, and the most similar of another, (n,) each."""
    cosines, same = unit @ unit.T, y[:, None] == y
    itself = torch.eye(len(y), dtype=torch.bool, device=y.device)
    # the row itself is found only where there is no other
    farthest = cosines.masked_fill(~same, torch.inf).masked_fill(itself, torch.finfo(unit.dtype).max).argmin(1)
    nearest = cosines.masked_fill(same, -torch.inf).argmax(1)
    return farthest, torch.where(same.all(1), farthest, nearest)


def _classes(one: Tensor, other: Tensor, share: Tensor, rule: str) -> Tensor:
    """Return the class of mixtures, ``share`` of the first of two classes; a number of its own where it has none."""
    larger = torch.where(share >= 0.5, one, other)
    if rule == "dominant":
        return larger
    pure = (one == other) | (share == 0) | (share == 1)
    return torch.where(pure, larger, -1 - torch.arange(len(one), device=one.device))
